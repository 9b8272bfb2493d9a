"""A transcoder: the calls that it makes through the SDK, each kind at a rate of its own, in no rhythm.

It reports on one video after another: progress in tenths, then ``complete``, or ``failed`` for one in ten. Beside that
it sends personal messages, batches of them, messages to admins and broadcasts. Calls come at random times (Poisson), as
from many that do not know of each other; whoever is late for more than a second skips what it missed, and says so.
"""

from __future__ import annotations

import heapq
import json
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from videosite_realtime import NotificationError, SyncNotificationService
from videosite_realtime.receipts import ItemResult, Receipt

from loadtests.swarm.reading import FIELD, stamped
from loadtests.swarm.station import Station

_STEP: Final = 10  # % of progress in a call
_FAILED: Final = 0.1  # of all transcodes
_LATE: Final = 1.0  # s
_IDLE: Final = 0.5  # s between two looks whether there is anything to do
_VIDEOS_EACH: Final = 10_000_000


class Producer:
    """Works until its greenlet is killed.

    Args:
        number: of this producer, among all of the test: its videos are told by it.
        share: of the rates that is this producer's.
    """

    def __init__(self, station: Station, number: int, *, share: float, dice: random.Random) -> None:
        options = station.options
        self._station, self._dice, self._share = station, dice, share
        self._sdk = SyncNotificationService(options.router_url, options.api_key)
        # Another run, another seed: its videos are not those of the run before, which may be active still.
        self._video = (options.seed % 10_000 * 1000 + number) * _VIDEOS_EACH + int(time.time()) % _VIDEOS_EACH // 2
        self._progress, self._owner = 0, self._user()
        self._due: list[tuple[float, str]] = []
        self._calls: dict[str, Callable[[], None]] = {
            "personal": self._personal,
            "batch": self._batch,
            "progress": self._transcode,
            "admin": self._to_admins,
            "broadcast": self._broadcast,
        }

    def work(self) -> None:
        now = time.monotonic()
        self._due = [(now + self._dice.random(), kind) for kind, rate in self._station.options.rates.items() if rate]
        heapq.heapify(self._due)
        while True:
            if not self._due or not self._station.publishing:
                time.sleep(_IDLE)
                continue
            due, kind = self._due[0]
            time.sleep(max(min(due - time.monotonic(), _IDLE), 0))
            if time.monotonic() >= due and self._station.publishing:
                self._calls[kind]()
                heapq.heapreplace(self._due, (self._next(due, kind), kind))

    def _next(self, due: float, kind: str) -> float:
        rate = self._station.options.rates[kind] * self._share * self._station.factors.get(kind, 1.0)
        following, now = due + self._dice.expovariate(rate), time.monotonic()
        if following < now - _LATE:
            self._station.tally["calls skipped"] += int((now - following) * rate)
            return now
        return following

    def close(self) -> None:
        self._sdk.close()

    # --- the calls

    def _transcode(self) -> None:
        now, owner, video = self._station.clock.now(), self._owner, self._video
        self._progress += _STEP
        if self._progress < 100:
            text = stamped(f"已完成{self._progress}%", now)
            self._call(
                "notify_transcode_progress",
                lambda: self._sdk.notify_transcode_progress(video, "processing", self._progress, text, owner),
                lambda _: self._station.tops.moved(video, self._progress),
            )
            return
        title = stamped("示例视频", now)
        if self._dice.random() < _FAILED:
            name, ending = (
                "notify_transcode_failed",
                lambda: self._sdk.notify_transcode_failed(video, title, "FFmpeg process exited with code 1", owner),
            )
        else:
            name, ending = (
                "notify_transcode_complete",
                lambda: self._sdk.notify_transcode_complete(video, title, "av1", 1_024_000_000, owner),
            )
        self._station.tops.moved(video, None)
        self._call(name, ending)
        self._video, self._progress, self._owner = video + 1, 0, self._user()

    def _personal(self) -> None:
        message = self._message("order_status_changed")
        self._call("send_personal_message", lambda: self._sdk.send_personal_message(message, self._user()))

    def _batch(self) -> None:
        size = self._station.options.batch_size
        items = [{"audience": {"users": [self._user()]}, "message": self._message("batched")} for _ in range(size)]
        self._call(f"send_batch of {size}", lambda: self._sdk.send_batch(items))

    def _to_admins(self) -> None:
        if self._dice.random() < 0.5:
            text = stamped("磁盘快满了", self._station.clock.now())
            self._call("notify_system_message", lambda: self._sdk.notify_system_message(text, "warning", "admin"))
        else:
            message = self._message("queue_length")
            self._call("send_admin_message", lambda: self._sdk.send_admin_message(message))

    def _broadcast(self) -> None:
        if self._dice.random() < 0.5:
            text = stamped("系统将于10分钟后维护", self._station.clock.now())
            self._call("notify_system_message", lambda: self._sdk.notify_system_message(text, "info", "all"))
        else:
            message = self._message("announcement")
            self._call("broadcast", lambda: self._sdk.broadcast(message))

    def _call(
        self,
        name: str,
        call: Callable[[], Receipt | list[ItemResult]],
        then: Callable[[object], None] = lambda _: None,
    ) -> None:
        """Make a call; what it was answered is what everybody concerned must have been shown at the end."""
        station = self._station
        station.calls += 1
        began = time.perf_counter()
        try:
            answer = call()
        except NotificationError as exc:
            # Done or not, nobody can tell: whoever is shown it is shown a position, which must fit like any other.
            station.rows.failed("SDK", name, began, type(exc).__name__)
        else:
            station.rows.took("SDK", name, (time.perf_counter() - began) * 1000, 0)
            self._answered(name, answer)
            then(answer)
        finally:
            station.calls -= 1

    def _answered(self, name: str, answer: Receipt | list[ItemResult]) -> None:
        results: Iterable[ItemResult] = answer if isinstance(answer, list) else (ItemResult(202, "", answer),)
        for result in results:
            if result.receipt is None:
                self._station.rows.failed("SDK", name, time.perf_counter(), f"an item was answered {result.status}")
                continue
            self._station.tally["answered 202"] += 1
            self._station.tops.answered(result.receipt.ids.values())

    # --- what it says

    def _user(self) -> str:
        return self._dice.choice(self._station.options.users)

    def _message(self, kind: str) -> Mapping[str, object]:
        message = {"type": kind, FIELD: self._station.clock.now(), "text": ""}
        padding = self._station.options.message_size - len(json.dumps(message))
        return {**message, "text": "x" * max(padding, 0)}
