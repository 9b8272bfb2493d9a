"""A receiver of traces as `up` runs it, and spans for it."""

import time
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from videosite_realtime_cli import local_file
from videosite_realtime_cli.local_file import LocalCluster

from tests.support.collector import Collector

MS = 1_000_000


LONG_AGO = time.time_ns() - 60_000 * MS  # everything has come that will


PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().running() as collector:
        yield collector


@pytest.fixture
def url(collector: Collector) -> str:
    return collector.url


class Producer:
    """Processes that make spans and export each at once."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/traces"
        self._providers: dict[str, TracerProvider] = {}

    def __call__(
        self,
        process: str,
        name: str,
        begins: float,
        takes: float,
        *,
        parent=None,
        kind="INTERNAL",
        links=(),
        failed=False,
        **attributes,
    ):
        """Export a span; times in ms."""
        tracer = self._provider(process).get_tracer("tests")
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent.get_span_context())) if parent else None
        start = LONG_AGO + int(begins * MS)
        named = {key.replace("__", "."): value for key, value in attributes.items()}
        span = tracer.start_span(
            name, context, trace.SpanKind[kind], named, [trace.Link(each.get_span_context()) for each in links], start
        )
        if failed:
            span.set_status(trace.StatusCode.ERROR)
        span.end(start + int(takes * MS))
        return span

    def _provider(self, process: str) -> TracerProvider:
        if process not in self._providers:
            resource = Resource({"service.name": "service", "service.instance.id": process})
            provider = self._providers[process] = TracerProvider(resource=resource, shutdown_on_exit=False)
            exporter = OTLPSpanExporter(self._url, compression=Compression.Gzip)
            provider.add_span_processor(SimpleSpanProcessor(exporter))
        return self._providers[process]

    def close(self) -> None:
        for provider in self._providers.values():
            provider.shutdown()


@pytest.fixture
def span(url: str) -> Iterator[Producer]:
    producer = Producer(url)
    yield producer
    producer.close()


@pytest.fixture
def local(home, url: str) -> Iterator[None]:
    """A local cluster as `up` tells of it."""
    cluster = LocalCluster("http://n", "http://r", "s", "HS256", "k", "redis://", {}, traces_url=url)
    with local_file.published(cluster, home / "local.json"):
        yield


def trace_id(span) -> str:
    return f"{span.get_span_context().trace_id:032x}"


def message(span: Producer, begins: float = 0.0, **of_nodes: str) -> str:
    """Export the spans of one message that came to two nodes; return the trace's id."""
    ours = {"vsrt__sockets__failed": 0, "vsrt__sockets__behind": 0, **of_nodes}
    call = span("demo", "send notifications", begins, 9, kind="PRODUCER")
    post = span(
        "router-1",
        "POST /api/v1/notifications",
        begins + 1,
        7,
        parent=call,
        kind="SERVER",
        http__response__status_code=202,
    )
    send = span(
        "router-1",
        "send admin",
        begins + 2,
        5,
        parent=post,
        kind="PRODUCER",
        vsrt__message__type="transcode_complete",
        vsrt__video_id=123,
    )
    for node, at in (("node-1", 4), ("node-2", 5)):
        span(
            node,
            "process admin",
            begins + at,
            0.5,
            parent=send,
            kind="CONSUMER",
            links=[send],
            vsrt__sockets__written=2,
            **ours,
        )
    return trace_id(call)
