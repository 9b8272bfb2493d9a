"""Locust's users: a browser, an admin, a transcoder. Each is one greenlet, for as long as Locust lets it live."""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit, urlunsplit

import gevent
import httpx
from locust import User, constant, task
from locust.env import Environment
from locust.exception import StopUser

from loadtests.swarm.producer import Producer
from loadtests.swarm.station import Station
from loadtests.swarm.watcher import Watcher

_STATS_EVERY: Final = 10.0  # s
_POLLED: Final = (("/api/v1/ws/stats", 10.0), ("/api/v1/transcodes", 15.0), ("/api/v1/admin/nodes", 15.0))  # s


class _Member(User):
    """A user of ours: one task that lasts as long as the user.

    Attributes:
        started: how many of its kind this process has started.
    """

    abstract = True
    wait_time = constant(1)  # between two tasks, of which there is a second only after a fault of ours
    started: ClassVar[int] = 0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.station: Station = environment.station  # type: ignore[attr-defined]
        kind = type(self)
        self.number = kind.started * self.station.workers + self.station.worker
        kind.started += 1
        self.dice = random.Random(f"{self.station.options.seed} {kind.__name__} {self.number}")

    def watch(self, watcher: Watcher) -> None:
        self.station.watchers.add(watcher)
        try:
            watcher.watch()
        finally:
            # Killed before the end, as a shape that lets users go does: what it lacked so far is lost all the same.
            watcher.leave()
            self.station.watchers.discard(watcher)


class Browser(_Member):
    """A logged-in user's tab."""

    @task
    def stay(self) -> None:
        self.watch(Watcher(self.station, self.station.cast.next_user(), admin=False, dice=self.dice))
        raise StopUser


class Admin(_Member):
    """An admin's page: the admin pool's messages, all progress, the counters by command, and what the page polls."""

    @task
    def stay(self) -> None:
        user_id = self.station.cast.next_admin()
        commands = ((_STATS_EVERY, "get_stats"),)
        polling = gevent.spawn(self._poll, user_id)
        try:
            self.watch(Watcher(self.station, user_id, admin=True, dice=self.dice, commands=commands))
        finally:
            polling.kill()
        raise StopUser

    def _poll(self, user_id: str) -> None:
        options = self.station.options
        token = options.issuer.token(user_id, admin=True)
        due = [(self.dice.uniform(0, every), every, path) for path, every in _POLLED]
        now = 0.0
        with httpx.Client(verify=options.verify, headers={"Authorization": f"Bearer {token}"}, timeout=10) as http:
            while True:
                at, every, path = min(due)
                gevent.sleep(at - now)
                due.remove((at, every, path))
                due.append((at + every, every, path))
                now = at
                _get(self.station, http, _http(self.dice.choice(options.ws_urls)), path)


class Transcoder(_Member):
    """A worker that reports what it does, and the other producers of the platform."""

    @task
    def work(self) -> None:
        options = self.station.options
        producer = Producer(self.station, self.number, share=1 / max(options.transcoders, 1), dice=self.dice)
        try:
            producer.work()
        finally:
            producer.close()


def _get(station: Station, http: httpx.Client, url: str, path: str) -> None:
    began = time.perf_counter()
    try:
        answer = http.get(url + path)
    except httpx.TransportError as exc:
        station.rows.failed("HTTP attempt", path, began, type(exc).__name__)
        return
    if answer.status_code == 200:
        station.rows.took("HTTP", path, (time.perf_counter() - began) * 1000, len(answer.content))
    else:
        station.rows.failed("HTTP", path, began, f"answered {answer.status_code}")


def _http(socket_url: str) -> str:
    parts = urlsplit(socket_url)
    return urlunsplit(("https" if parts.scheme == "wss" else "http", parts.netloc, parts.path, "", ""))


def cast(environment: Environment, *, admins: int, transcoders: int) -> None:
    """Leave out those of whom there shall be none; the others' number is fixed, and the rest are browsers."""
    wanted: dict[str, Any] = {Admin.__name__: admins, Transcoder.__name__: transcoders}
    Admin.fixed_count, Transcoder.fixed_count = admins, transcoders
    environment.user_classes[:] = [kind for kind in environment.user_classes if wanted.get(kind.__name__, 1)]
