"""One browser tab: it connects, pings, comes back with what it has, and says what it was shown that it should not be.

| it ends with | what it does |
| --- | --- |
| 1012 | comes back after the ``retry_after_ms`` that it was sent |
| 1013, 4429 | backs off, longer each time |
| 4401 | comes back with a new token, once |
| 4408 | comes back; that it did not ping in time is a failure of this process, and counted |
| 1002, 1003, 1007, 1009, 4403 | stays away: to come back unchanged would be wrong, and it is a failure |
| anything else, or no close at all | comes back after a jittered pause |
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from loadtests.swarm.reading import NODES_OWN, Heard, read
from loadtests.swarm.socket_client import Closed, Refused, Socket
from loadtests.swarm.station import Station
from loadtests.swarm.streams import Flaw, Streams, Tops

_HOPELESS: Final = frozenset({1002, 1003, 1007, 1009, 4403})
_NEW_TOKEN: Final = 4401
_CUT: Final = 1006
_LONGEST_BACK_OFF: Final = 30.0  # s
_OPEN_TIMEOUT: Final = 10.0  # s for each step of a connection
_FIRST_FRAME: Final = 10.0  # s until ``connected`` must be there
_SILENT: Final = 3  # intervals without a pong: the connection is dead, whatever TCP says
_REMEMBERED: Final = 4096  # transcodes whose progress is remembered, the latest

_AUDIENCES: Final = {"admin": "admins", "all": "all"}
Command = tuple[float, str]  # s between two, text


class Watcher:
    """Watches until its greenlet is killed, on whichever node it finds; ``leave`` then says what it lacks.

    Args:
        commands: what it says at intervals beside its pings.

    Attributes:
        streams: what it has.
        connected: it has been welcomed, and not been cut off since.
    """

    def __init__(
        self, station: Station, user_id: str, *, admin: bool, dice: random.Random, commands: tuple[Command, ...] = ()
    ) -> None:
        self._station, self._dice, self._commands = station, dice, commands
        self.user_id, self.admin, self.streams = user_id, admin, Streams()
        self.connected = False
        self._role = "admin" if admin else "user"
        self._token = self._avoided = ""
        self._socket: Socket | None = None
        self._progress: OrderedDict[int, float] = OrderedDict()
        self._asked: dict[str, float] = {}  # command -> when, until it is answered
        self._due: list[tuple[float, float, str]] = []  # next time, interval, command
        self._retry_after: float | None = None
        self._failures = 0
        self._away_since = 0.0
        self._welcomed_at = 0  # µs, on the clock of the test
        self._known = self._left = self._hopeless = self._refused = False
        self._own: dict[str, Callable[[Heard], None]] = {
            "connected": self._on_connected,
            "stats": self._on_stats,
            "reconnect": self._on_reconnect,
            "resync": self._on_resync,
        }

    # --- its life

    def watch(self) -> None:
        """Stay connected; returns only when coming back would be wrong."""
        self._away_since = time.perf_counter()
        while True:
            code = self._connection()
            self._station.tally[f"closed {code}"] += 1
            if self._hopeless:
                return
            time.sleep(self._pause(code))

    def _pause(self, code: int) -> float:
        """Return how long to stay away, s."""
        asked, self._retry_after = self._retry_after, None
        if asked is not None:
            return asked
        self._failures += 1
        longest = min(self._station.options.back_off * 2.0 ** (self._failures - 1), _LONGEST_BACK_OFF)
        # All of it is jitter at first: whoever was cut off with thousands must not come back with them.
        return self._dice.uniform(0 if code == _CUT and self._failures == 1 else longest / 2, longest)

    def _connection(self) -> int:
        """Live through one connection and return how it ended."""
        options, rows = self._station.options, self._station.rows
        began, base = time.perf_counter(), self._choose(options.ws_urls)
        url = f"{base}/api/v1/ws{'/admin' if self.admin else ''}"
        try:
            self._token = self._token or options.issuer.token(self.user_id, admin=self.admin)
            self._socket = Socket.open(
                url, token=self._token, since=self.streams.since, timeout=_OPEN_TIMEOUT, verify=options.verify
            )
        except (OSError, Refused, Closed) as exc:
            rows.failed("WS attempt", self._role, began, _words(exc))
            self._avoided = base
            return _CUT
        try:
            return self._read(self._socket)
        finally:
            if self.connected:
                self.connected, self._away_since = False, time.perf_counter()
            self._asked.clear()
            self._socket.cut()

    def _choose(self, urls: tuple[str, ...]) -> str:
        """Return any address but the one that did not answer just now: several stand for a load balancer."""
        others = [url for url in urls if url != self._avoided] or urls
        return self._dice.choice(others)

    def _read(self, socket: Socket) -> int:
        now = time.perf_counter()
        self._due = [(now + _FIRST_FRAME, 0.0, "")]
        began = now
        try:
            while True:
                for text in self._receive(socket, now):
                    self._take(text)
                now = time.perf_counter()
                if now >= self._due[0][0]:
                    self._say(socket, now)
        except Closed as exc:
            self._on_closed(exc, began)
            return exc.code
        except OSError as exc:  # TimeoutError: nothing came, not even a pong
            self._station.rows.failed("WS attempt", f"{self._role} cut off", began, _words(exc))
            return _CUT

    def _receive(self, socket: Socket, now: float) -> list[str]:
        try:
            return socket.receive(max(self._due[0][0] - now, 0.001))
        except TimeoutError:
            return []

    def _say(self, socket: Socket, now: float) -> None:
        """Say what is due."""
        due, interval, command = self._due[0]
        if not command:
            raise TimeoutError("no first frame")
        if command in self._asked:
            if now - self._asked[command] > _SILENT * interval:
                raise TimeoutError(f"no answer to {command}")
        else:
            self._asked[command] = now
        socket.send(command)
        self._due[0] = (max(due + interval, now), interval, command)
        self._due.sort()

    def cut(self) -> None:
        """Lose the connection as a lost network would have it; called from another greenlet."""
        if self._socket is not None:
            self._socket.cut()

    def _on_closed(self, exc: Closed, began: float) -> None:
        rows = self._station.rows
        a_new_token_too = exc.code == _NEW_TOKEN and self._refused
        self._refused = exc.code == _NEW_TOKEN and not self.connected
        if exc.code in _HOPELESS or a_new_token_too:
            self._hopeless = True
            self._station.flawed(Flaw.UNWANTED, self._role, f"{self.user_id} was {exc}")
        elif exc.code not in {1012, _CUT}:
            rows.failed("WS attempt", f"{self._role} closed", began, f"closed with {exc.code}")
        if exc.code == _NEW_TOKEN:
            self._token = ""

    # --- what it is told

    def _take(self, text: str) -> None:
        if text == "pong":
            self._answered("ping")
            return
        heard = read(text)
        if heard.kind in NODES_OWN:
            handle = self._own.get(heard.kind)
            if handle is not None:
                handle(heard)
            else:
                self._station.tally[f"{heard.kind} {heard.message.get('code', '')}".strip()] += 1
            return
        if heard.id:
            self._take_event(heard)
        if heard.kind.startswith("transcode_"):
            self._take_state(heard)
        self._time(heard, len(text))

    def _take_event(self, heard: Heard) -> None:
        self._station.tally["events"] += 1
        flaw = self.streams.take(heard.id, heard.stream, heard.n)
        if flaw is not None:
            self._station.flawed(flaw, _audience(heard.stream), f"{heard.id} at {self.user_id}")

    def _take_state(self, heard: Heard) -> None:
        """Progress rises in our transcodes, and its end comes last: anything else is a state that went backwards."""
        video = heard.message["video_id"]
        if not heard.sent:
            return  # somebody else's transcode: it may start anew
        progress = heard.message["progress"] if heard.kind == "transcode_progress" else 101.0
        if progress < self._progress.get(video, 0.0):
            self._station.flawed(Flaw.BACKWARDS, self._role, f"video {video} at {self.user_id}: {heard.message}")
        self._progress[video] = progress
        self._progress.move_to_end(video)
        if len(self._progress) > _REMEMBERED:
            self._progress.popitem(last=False)

    def _time(self, heard: Heard, size: int) -> None:
        if not heard.sent:
            return
        audience = _audience(heard.stream) if heard.stream else f"{self._role}s"
        # What was sent before the welcome came out of history or the table of states: that says nothing of the way.
        row = "deliver" if heard.sent >= self._welcomed_at else "catch up"
        late = (self._station.clock.now() - heard.sent) / 1000
        self._station.rows.took(row, f"{heard.kind} → {audience}", max(late, 0.0), size)

    def _on_connected(self, heard: Heard) -> None:
        message, station, now = heard.message, self._station, time.perf_counter()
        flaw = self.streams.welcome(message["cursor"], message["recovered"])
        if flaw is not None:
            station.flawed(flaw, self._role, f"{self.user_id}: recovered {message['recovered']} at {message['cursor']}")
        station.rows.took("WS", f"{'resume' if self._known else 'connect'} {self._role}", _ms(self._away_since), 0)
        self._known, self._welcomed_at = True, station.clock.now()
        self.connected, self._failures = True, 0
        interval = message["heartbeat_interval_ms"] / 1000
        said = ((interval, "ping"), *self._commands)
        # Not all at the same moment of the interval: thousands connected together.
        self._due = sorted((now + every * self._dice.uniform(0.1, 1), every, command) for every, command in said)

    def _on_stats(self, heard: Heard) -> None:
        self._answered("get_stats")
        if heard.message["total_admin_connections"] < 1:
            self._station.rows.failed("WS", "get_stats", self._away_since, "the counters do not count who asked")

    def _on_reconnect(self, heard: Heard) -> None:
        self._retry_after = heard.message["retry_after_ms"] / 1000
        self._station.tally["sent away"] += 1

    def _on_resync(self, heard: Heard) -> None:
        self._station.flawed(Flaw.FORGOTTEN, self._role, f"{self.user_id}: resync to {heard.message['cursor']}")
        self.streams.stand_at(heard.message["cursor"])

    def _answered(self, command: str) -> None:
        if (asked := self._asked.pop(command, None)) is not None:
            self._station.rows.took("WS", command, _ms(asked), 0)

    # --- what it lacks

    def has_everything(self, tops: Tops) -> bool:
        return self.connected and not self.streams.missing(tops.streams) and not self._stale(tops)

    def _stale(self, tops: Tops) -> list[int]:
        if not self.admin:
            return []
        return [video for video, progress in tops.progress.items() if self._progress.get(video, -1.0) < progress]

    def leave(self, tops: Tops | None = None) -> None:
        """Say what it never got: up to what it has heard, or up to what routers answered for. Only once."""
        if self._left:
            return
        self._left = True
        station = self._station
        for stream, count in self.streams.missing(tops.streams if tops else None).items():
            station.flawed(Flaw.LOST, _audience(stream), f"{count} of {stream} at {self.user_id}", count)
        if tops is not None:
            if not self.connected and not self._hopeless:
                station.flawed(Flaw.ABSENT, self._role, self.user_id)
            for video in self._stale(tops):
                station.flawed(Flaw.STALE, self._role, f"video {video} at {self.user_id}")


def _audience(stream: str) -> str:
    return _AUDIENCES.get(stream, "users")


def _ms(since: float) -> float:
    return (time.perf_counter() - since) * 1000


def _words(exc: Exception) -> str:
    """Return what went wrong without what differs from one time to the next: Locust counts by these words."""
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc) or type(exc).__name__
