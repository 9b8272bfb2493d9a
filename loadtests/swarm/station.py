"""What all users of one process share: options, rows of the report, what was answered, what was found wrong."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from loadtests.swarm.clock import Clock
from loadtests.swarm.options import Options
from loadtests.swarm.streams import Flaw, Tops

if TYPE_CHECKING:
    from loadtests.swarm.watcher import Watcher

logger = logging.getLogger("loadtest")

# Of these the largest of all processes counts, of everything else the sum.
MAXIMA = frozenset({"clock error us", "clock offset us", "busiest process %"})
CHECK = "CHECK"  # the rows whose failures are the cluster's
_DETAILS = 20  # flaws that are told one by one; of the others there is the number


class Fire(Protocol):
    """Locust's ``events.request.fire``: one sample, or one failure, of a row."""

    def __call__(
        self,
        *,
        request_type: str,
        name: str,
        response_time: float,
        response_length: int,
        exception: Exception | None,
        context: dict[str, object],
    ) -> None: ...


class Failure(Exception):
    """A row's failure, in words that many of them share: Locust counts failures by their text."""

    # Locust tells failures apart by repr(), which for an exception of a module's own would begin with the module.
    def __repr__(self) -> str:
        return str(self)


class Rows:
    """Rows of Locust's report. Types: ``WS``, ``SDK``, ``deliver``, ``catch up``, ``CHECK``, and ``WS attempt``."""

    def __init__(self, fire: Fire) -> None:
        self._fire = fire

    def took(self, kind: str, name: str, ms: float, size: int) -> None:
        self._fire(request_type=kind, name=name, response_time=ms, response_length=size, exception=None, context={})

    def failed(self, kind: str, name: str, began: float, error: str) -> None:
        """Note a failure; ``began`` by ``time.perf_counter``."""
        ms = (time.perf_counter() - began) * 1000
        self._fire(
            request_type=kind, name=name, response_time=ms, response_length=0, exception=Failure(error), context={}
        )


class Station:
    """Attributes:
    tops: what this process's producers were answered.
    tally: what happened how often, to be added up over all processes.
    watchers: the clients that are at work.
    publishing: producers begin no call while it is false.
    calls: those that have begun and are not answered.
    factors: by kind of message, how many times its rate the shape asks for.
    worker, workers: which of how many processes this is.
    """

    def __init__(self, fire: Fire) -> None:
        self.rows, self.clock = Rows(fire), Clock()
        self.worker, self.workers = 0, 1
        self._options: Options | None = None
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget the test before."""
        self.tops = Tops()
        self.tally: Counter[str] = Counter()
        self.watchers: set[Watcher] = set()
        self.publishing, self.calls = True, 0
        self.factors: dict[str, float] = {}
        self._began, self._cpu = time.monotonic(), time.process_time()

    @property
    def options(self) -> Options:
        assert self._options is not None, "no test has begun"
        return self._options

    def play(self, options: Options) -> None:
        """Take the options of the test that begins."""
        self._options = options
        self.cast = options.cast(worker=self.worker, workers=self.workers)

    def flawed(self, flaw: Flaw, whom: str, detail: str, count: int = 1) -> None:
        """Note what the cluster promises not to do; every event that is missing is a failure of its own."""
        self.tally[flaw] += count
        if sum(self.tally[each] for each in Flaw) - count < _DETAILS:
            logger.error("%s: %s", flaw, detail)
        for _ in range(count):
            self.rows.failed(CHECK, f"{flaw} ({whom})", time.perf_counter(), str(flaw))

    def busy(self) -> int:
        """Return what of a core this process has used since the test began, in %."""
        return round((time.process_time() - self._cpu) / (time.monotonic() - self._began) * 100)

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is true, at most so long; whether it is."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True
