"""A collector of the tests' own: takes metrics over OTLP/HTTP and keeps them."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.ports import LOOPBACK, free_port


class Collector:
    """A context manager.

    Attributes:
        requests: what came, first to last.
        headers: with which the last one came.
    """

    def __init__(self) -> None:
        self.url = f"http://{LOOPBACK}:{(port := free_port())}"
        self.requests: list[ExportMetricsServiceRequest] = []
        self.headers: dict[str, str] = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/metrics", self.path
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.headers = {name.lower(): value for name, value in self.headers.items()}
                collector.requests.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def resource_of(self, service: str) -> dict[str, str]:
        """Return the last resource with this ``service.name``."""
        return next(found for found in map(_resource, reversed(self.requests)) if found["service.name"] == service)

    def metrics_of(self, service: str) -> dict[str, Any]:
        """Return the last metrics of a service by name; none if there were none yet."""
        for request in reversed(self.requests):
            if _resource(request)["service.name"] == service:
                scope = request.resource_metrics[0].scope_metrics[0]
                return {metric.name: metric for metric in scope.metrics}
        return {}


def _resource(request: ExportMetricsServiceRequest) -> dict[str, str]:
    return attributes(request.resource_metrics[0].resource)


def attributes(of: Any) -> dict[str, str]:
    return {attribute.key: attribute.value.string_value for attribute in of.attributes}
