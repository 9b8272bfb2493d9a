"""A real OTLP/HTTP endpoint for the tests: the local view's own receiver for traces, and a memory for metrics."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

import uvicorn
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from starlette.requests import Request
from starlette.responses import Response
from videosite_realtime_cli.traces.receiver import create_app
from videosite_realtime_cli.traces.span import Span
from videosite_realtime_cli.traces.store import Store

from tests.support.ports import LOOPBACK, free_port
from tests.support.waiting import until


class Trace(list[Span]):
    """The spans of one trace, to be asked by name."""

    def named(self, *names: str) -> list[Span]:
        return sorted((span for span in self if span.name in names), key=lambda span: span.instance)

    def one(self, name: str) -> Span:
        (span,) = self.named(name)
        return span

    @property
    def names(self) -> Counter[str]:
        return Counter(span.name for span in self)


class Collector:
    """Attributes:
    bodies: every export of spans, byte for byte.
    metrics: every export of metrics, first to last.
    headers: with which the last of them came.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.store = Store()
        self.bodies: list[bytes] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.headers: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """What makes a process send all its traces here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{self.url}/v1/traces",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }

    @contextlib.contextmanager
    def running(self) -> Iterator[Collector]:
        """Serve from a thread: the loops of the tests come and go."""
        server = uvicorn.Server(uvicorn.Config(self._serve, log_config=None, lifespan="off", interface="asgi3"))
        # It listens before the thread has begun: who comes sooner than that waits, and is not refused.
        listening = socket.create_server((LOOPBACK, self.port), backlog=256)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join()

    async def _serve(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/v1/metrics":
            await self._take_metrics(Request(scope, receive))
            await Response()(scope, receive, send)
            return
        body = bytearray()

        async def heard() -> Any:
            event = await receive()
            body.extend(event.get("body", b""))
            if body and event["type"] == "http.request" and not event.get("more_body"):
                self.bodies.append(bytes(body))  # before its spans are there: who waits for those finds it
            return event

        await create_app(self.store)(scope, heard, send)

    async def _take_metrics(self, request: Request) -> None:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.headers = dict(request.headers)
        self.metrics.append(ExportMetricsServiceRequest.FromString(body))

    # --- metrics

    def resource_of(self, service: str) -> dict[str, str]:
        """Return the last resource of metrics with this ``service.name``."""
        return next(found for found in map(_resource, reversed(self.metrics)) if found["service.name"] == service)

    def metrics_of(self, service: str) -> dict[str, Any]:
        """Return the last metrics of a service by name; none if there were none yet."""
        for export in reversed(self.metrics):
            if _resource(export)["service.name"] == service:
                return {metric.name: metric for metric in export.resource_metrics[0].scope_metrics[0].metrics}
        return {}

    # --- traces

    def trace(self, trace_id: str) -> Trace:
        found = self.store.find(trace_id)
        return Trace(found[0] if found else [])

    def traces(self) -> list[Trace]:
        return [Trace(spans) for spans in self.store.newest()]

    def spans(self) -> list[Span]:
        return [span for trace in self.traces() for span in trace]

    async def complete(self, trace_id: str, names: Iterable[str]) -> Trace:
        """Return a trace once it has spans of just these names."""
        wanted = Counter(names)

        def seen() -> bool:
            names = self.trace(trace_id).names
            assert names == wanted, f"{trace_id} has {dict(names)}, not {dict(wanted)}"
            return True

        await until(seen)
        return self.trace(trace_id)

    async def found(self, name: str, **attributes: Any) -> Span:
        """Return the first span of a name with such attributes (``vsrt.`` left out), once it is there."""
        wanted = {f"vsrt.{key}": value for key, value in attributes.items()}

        def look() -> Span | None:
            return next((s for s in self.spans() if s.name == name and wanted.items() <= s.attributes.items()), None)

        return await until(look)  # type: ignore[return-value]  # until gives no None


def is_child(child: Span, parent: Span) -> bool:
    return (child.trace_id, child.parent_id) == (parent.trace_id, parent.span_id)


def is_linked(span: Span, to: Span) -> bool:
    return [(link.trace_id, link.span_id) for link in span.links] == [(to.trace_id, to.span_id)]


def _resource(export: ExportMetricsServiceRequest) -> dict[str, str]:
    return attributes(export.resource_metrics[0].resource)


def attributes(of: Any) -> dict[str, str]:
    return {attribute.key: attribute.value.string_value for attribute in of.attributes}
