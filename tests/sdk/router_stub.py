"""A small real HTTP server in the router's place: it keeps what it was asked, and answers as a test scripts it."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from videosite_realtime import RetryPolicy

KEY = "a-service-key-of-tests"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
RECEIPT = {"id": "admin.17-1", "ids": {"admin": "admin.17-1"}, "nodes": 2, "online": True, "trace_id": TRACE_ID}
STATS = {"total_users": 50, "total_user_connections": 65, "total_admin_connections": 5, "total_connections": 70}


@dataclass(frozen=True)
class Asked:
    """A request as the server saw it; ``connection`` numbers the TCP connection it came on."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    text: str
    connection: int

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]


@dataclass(frozen=True)
class Reply:
    """What to answer. ``hold``: not before this event, and then with nothing, for the caller is gone."""

    status: int = 202
    body: Any = field(default_factory=lambda: RECEIPT)
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None


# Gives up after an attempt that failed, instead of waiting; the attempt itself has its usual time.
ONE_ATTEMPT = RetryPolicy(first_delay=100, longest_delay=100)
KEY_REUSED = Reply(409, {"detail": "this idempotency key was used with another body"})


class Router(ThreadingHTTPServer):
    """Bound from the start, so that its port is its own; it refuses connections until ``start``.

    Attributes:
        trouble: answered to everything, as long as it is set.
        stumbles_on: a message type; the first attempt of each such message gets a 503.
    """

    daemon_threads = False
    block_on_close = True
    request_queue_size = 256  # whoever did not fit in would try again after a second

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.server_bind()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[Asked] = []
        self.script: deque[Reply] = deque()
        self.trouble: Reply | None = None
        self.stumbles_on: str | None = None
        self._bodies: dict[str, str] = {}
        self.connections = 0
        self.open_connections = 0
        self.news = threading.Condition()
        self._released = threading.Event()
        self._thread: threading.Thread | None = None

    def answers(self, *replies: Reply) -> None:
        """Answer with these, in order; then as a healthy router."""
        self.script.extend(replies)

    def hang(self) -> Reply:
        """Return a reply that never comes: it is given up when the test ends."""
        return Reply(hold=self._released)

    def start(self) -> Router:
        self.server_activate()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def stop(self) -> None:
        self._released.set()
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()

    def wait_until_all_connections_are_closed(self) -> None:
        self.wait_until_connections_are_closed(but=0)

    def wait_until_connections_are_closed(self, *, but: int) -> None:
        with self.news:
            assert self.news.wait_for(lambda: self.open_connections <= but, timeout=10), "a connection stayed open"

    def wait_until_asked(self, matches: Callable[[Asked], bool]) -> None:
        with self.news:
            assert self.news.wait_for(lambda: any(map(matches, self.asked)), timeout=30), "was never asked that"

    def reply_to(self, asked: Asked, healthy: Reply) -> Reply:
        if self.trouble is not None:
            return self.trouble
        if self.script:
            return self.script.popleft()
        key = asked.headers.get("idempotency-key", "")
        known = self._bodies.setdefault(key, asked.text) if key else asked.text
        if known != asked.text:
            return KEY_REUSED
        attempts = sum(each.text == asked.text for each in self.asked)
        if self.stumbles_on and asked.body.get("type") == self.stumbles_on and attempts == 1:
            return Reply(503, {"detail": "no Redis"})
        return healthy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: callers that hang up are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Router

    def setup(self) -> None:
        super().setup()
        with self.server.news:
            self.server.connections += 1
            self.server.open_connections += 1
            self.connection_number = self.server.connections

    def finish(self) -> None:
        super().finish()
        with self.server.news:
            self.server.open_connections -= 1
            self.server.news.notify_all()

    def do_GET(self) -> None:
        self._answer(Reply(200, STATS))

    def do_POST(self) -> None:
        self._answer(Reply())

    def _answer(self, healthy: Reply) -> None:
        text = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(text) if text else None
        with self.server.news:
            self.server.asked.append(Asked(self.command, self.path, headers, body, text, self.connection_number))
            self.server.news.notify_all()
            reply = self.server.reply_to(self.server.asked[-1], healthy)
        if reply.hold is not None:
            reply.hold.wait()
            self.close_connection = True
            return
        answer = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(answer)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass
