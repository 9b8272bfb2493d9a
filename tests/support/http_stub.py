"""A small HTTP server of the tests' own, in place of the platform's: user endpoint, JWKS."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.certificates import Pair
from tests.support.ports import LOOPBACK, free_port


class _Server(ThreadingHTTPServer):
    request_queue_size = 256  # a crowd is what some tests are about

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: who does not believe our certificate hangs up."""


class HttpStub:
    """Answers ``GET`` as ``answers`` says: path → status, or status and JSON. A context manager.

    Args:
        certificate: with which it speaks TLS.
    """

    def __init__(self, certificate: Pair | None = None) -> None:
        self.port = free_port()
        self._certificate = certificate
        self.url = f"{'https' if certificate else 'http'}://{LOOPBACK}:{self.port}"
        self.answers: dict[str, int | tuple[int, Any]] = {}
        self.otherwise: int | tuple[int, Any] = 404
        self.asked: list[str] = []
        self.open = threading.Event()  # while it is not set, questions wait for their answer
        self.open.set()
        self.delay = 0.0  # s that an answer takes
        self.under_way = self.most_at_once = 0
        self._counting = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with stub.counted():  # until it answers: who has the answer may ask the next question
                    stub.asked.append(self.path)
                    stub.open.wait()
                    time.sleep(stub.delay)
                answer = stub.answers.get(self.path, stub.otherwise)
                status, content = answer if isinstance(answer, tuple) else (answer, {})
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = _Server((LOOPBACK, self.port), Handler)
        if self._certificate is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(self._certificate.cert, self._certificate.key)
            # A handshake that fails is the business of the thread that answers, not of the one that accepts.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with self._counting:
            self.under_way += 1
            self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            yield
        finally:
            with self._counting:
                self.under_way -= 1

    def stop(self) -> None:
        """Refuse connections from now on."""
        self.open.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None
