"""Whether one client was shown every event of its streams, once and in order. Pure: ids in, flaws out.

An id is ``<stream>.<epoch>-<n>``, and within a stream n rises by one per event. So a client needs no list of what was
sent: from the position that its welcome names, every n must come, and none twice.

| what came | what it is |
| --- | --- |
| n = last + 1 | good |
| n > last + 1 | those in between are missing: LOST, unless they come after all |
| n that is missing | SWAPPED: it came after a later one |
| any other n | DOUBLED |
| an id of a stream that the welcome did not name | STRANGE: nothing of it may be shown to this client |
| ``recovered: false``, or ``resync`` | FORGOTTEN: the cluster itself says that events were lost |
| ``recovered: true`` at other positions than those asked for | MISPLACED |

A loss with nothing after it shows only against the last positions that routers answered for (``Tops``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum


class Flaw(StrEnum):
    LOST = "lost"
    SWAPPED = "swapped"
    DOUBLED = "doubled"
    STRANGE = "strange"
    FORGOTTEN = "forgotten"
    MISPLACED = "misplaced"
    STALE = "stale state"
    BACKWARDS = "state went backwards"
    UNWANTED = "closed for good"
    ABSENT = "not connected"


def stream_of(event_id: str) -> str:
    return event_id.rpartition(".")[0]


def number_of(event_id: str) -> int:
    return int(event_id.rpartition("-")[2])


class Streams:
    """What one client has of its streams, over as many connections as it takes."""

    __slots__ = ("_ids", "_last", "_missing")

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._last: dict[str, int] = {}
        self._missing: dict[str, set[int]] = {}

    @property
    def since(self) -> str:
        """What to come back with; empty before the first welcome."""
        return ",".join(self._ids.values())

    def welcome(self, cursor: str, recovered: bool | None) -> Flaw | None:
        """Take the positions that a welcome names; whether it is the one that was asked for."""
        came_back = bool(self._ids)
        flaw = None
        if came_back and recovered is not True:
            flaw = Flaw.FORGOTTEN
        elif came_back and set(cursor.split(",")) != set(self._ids.values()):
            flaw = Flaw.MISPLACED
        if flaw or not came_back:
            self.stand_at(cursor)
        return flaw

    def stand_at(self, cursor: str) -> None:
        for event_id in cursor.split(","):
            self._ids[stream_of(event_id)] = event_id
            self._last[stream_of(event_id)] = number_of(event_id)

    def take(self, event_id: str, stream: str, n: int) -> Flaw | None:
        """Take an event; ``stream`` and ``n`` are its id's parts, which many clients share the reading of."""
        last = self._last.get(stream)
        if last is None:
            return Flaw.STRANGE
        if n == last + 1:
            self._last[stream], self._ids[stream] = n, event_id
            return None
        if n > last:
            self._missing.setdefault(stream, set()).update(range(last + 1, n))
            self._last[stream], self._ids[stream] = n, event_id
            return None
        missing = self._missing.get(stream, set())
        if n in missing:
            missing.remove(n)
            return Flaw.SWAPPED
        return Flaw.DOUBLED

    def missing(self, tops: Mapping[str, int] | None = None) -> dict[str, int]:
        """Return how many events each stream lacks, up to these tops or up to its own last one."""
        lacking = {stream: len(numbers) for stream, numbers in self._missing.items() if numbers}
        for stream, last in self._last.items():
            behind = (tops or {}).get(stream, 0) - last
            if behind > 0:
                lacking[stream] = lacking.get(stream, 0) + behind
        return lacking


class Tops:
    """The last position of each stream that a router answered 202 for, and of each running transcode its progress."""

    def __init__(self) -> None:
        self.streams: dict[str, int] = defaultdict(int)
        self.progress: dict[int, float] = {}

    def answered(self, event_ids: Iterable[str]) -> None:
        for event_id in event_ids:
            stream = stream_of(event_id)
            self.streams[stream] = max(self.streams[stream], number_of(event_id))

    def moved(self, video: int, progress: float | None) -> None:
        """Take a transcode's newest progress; None when it has ended."""
        if progress is None:
            self.progress.pop(video, None)
        else:
            self.progress[video] = progress

    def merge(self, other: Mapping[str, Mapping[object, float]]) -> None:
        """Take what another process was answered, as ``packed`` gave it."""
        for stream, n in other["streams"].items():
            self.streams[str(stream)] = max(self.streams[str(stream)], int(n))
        self.progress.update((int(str(video)), progress) for video, progress in other["progress"].items())

    def packed(self) -> dict[str, dict[str, float]]:
        """Return it in the types that a message between processes can carry."""
        progress = {str(video): value for video, value in self.progress.items()}
        return {"streams": dict(self.streams), "progress": progress}
