"""The caller's trace goes on, under a span of the call's own where the application exports any."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from videosite_realtime import InvalidMessage, NotificationService, RetryPolicy, SyncNotificationService, Undelivered
from videosite_realtime import _tracing as tracing

from tests.sdk.router_stub import RECEIPT, TRACE_ID, Reply, Router

SPAN = trace.NonRecordingSpan(
    trace.SpanContext(int(TRACE_ID, 16), 0x00F067AA0BA902B7, is_remote=False, trace_flags=trace.TraceFlags(1))
)
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
NO_REDIS = Reply(503, {"detail": "no Redis"})


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What an application with a provider of its own exports."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def only(exported: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exported.get_finished_spans()
    return span


def header_of(span: ReadableSpan) -> str:
    assert span.context is not None
    context = span.context
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


# --- with the API alone


async def test_all_attempts_carry_the_callers_span(router: Router) -> None:
    router.answers(NO_REDIS)
    with trace.use_span(SPAN):
        async with NotificationService() as service:
            await service.broadcast({"type": "tick"})
    assert [asked.headers["traceparent"] for asked in router.asked] == [TRACEPARENT] * 2


def test_the_twin_carries_it_too(router: Router) -> None:
    with trace.use_span(SPAN), SyncNotificationService() as service:
        service.broadcast({"type": "tick"})
    assert router.asked[0].headers["traceparent"] == TRACEPARENT


def test_without_a_span_no_header_is_made_up(router: Router) -> None:
    with SyncNotificationService() as service:
        service.broadcast({"type": "tick"})
    assert "traceparent" not in router.asked[0].headers


def test_without_opentelemetry_messages_go_out_all_the_same(router: Router, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "opentelemetry.trace.propagation.tracecontext", None)
            bare = importlib.reload(tracing)
            without.setattr("videosite_realtime.sync_service.calling", bare.calling)
            router.answers(NO_REDIS)
            with trace.use_span(SPAN), SyncNotificationService() as service:
                assert service.broadcast({"type": "tick"}).nodes == RECEIPT["nodes"]
    finally:
        importlib.reload(tracing)
    assert "traceparent" not in router.asked[-1].headers


# --- with a provider


async def test_a_call_is_a_span_below_the_callers(router: Router, exported: InMemorySpanExporter) -> None:
    with trace.use_span(SPAN):
        async with NotificationService() as service:
            receipt = await service.notify_transcode_complete(123, "示例视频", "av1", 1, user_id="alice")
    span = only(exported)
    assert (span.name, span.kind) == ("send notifications", trace.SpanKind.PRODUCER)
    assert span.parent is not None
    assert span.parent.span_id == SPAN.get_span_context().span_id
    assert router.asked[0].headers["traceparent"] == header_of(span)
    assert span.attributes == {
        "messaging.system": "vsrt",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "notifications",
        "messaging.message.id": receipt.id,
        "vsrt.nodes": 2,
        "vsrt.online": True,
    }
    assert span.status.is_unset


def test_the_twins_is_the_same(router: Router, exported: InMemorySpanExporter) -> None:
    with SyncNotificationService() as service:
        service.send_admin_message({"type": "tick"})
    assert only(exported).name == "send messages"
    assert router.asked[0].headers["traceparent"] == header_of(only(exported))


def test_of_a_users_message_no_id_is_told_that_names_the_user(router: Router, exported: InMemorySpanExporter) -> None:
    router.answers(Reply(body={**RECEIPT, "id": "u.YWxpY2U.17-4", "ids": {"user:alice": "u.YWxpY2U.17-4"}}))
    with SyncNotificationService() as service:
        service.send_personal_message({"type": "secret"}, "alice")
    told = only(exported).to_json()
    assert '"messaging.message.id": "17-4"' in told
    assert "alice" not in told
    assert "YWxpY2U" not in told


def test_retries_are_events(router: Router, exported: InMemorySpanExporter) -> None:
    router.answers(NO_REDIS, NO_REDIS)
    with SyncNotificationService() as service:
        service.broadcast({"type": "tick"})
    span = only(exported)
    assert [(event.name, event.attributes and event.attributes["error.type"]) for event in span.events] == [
        ("retry", "503"),
        ("retry", "503"),
    ]
    assert span.attributes is not None
    assert span.attributes["http.request.resend_count"] == 2
    assert {asked.headers["traceparent"] for asked in router.asked} == {header_of(span)}


def test_what_is_given_up_and_what_is_refused_are_errors_without_their_words(
    router: Router, exported: InMemorySpanExporter
) -> None:
    router.trouble = Reply(503, {"detail": "about alice"})
    with SyncNotificationService(retry=RetryPolicy(deadline=0.05)) as service, pytest.raises(Undelivered):
        service.broadcast({"type": "tick"})
    router.trouble = Reply(422, {"detail": [{"loc": ["body"], "msg": "about alice"}]})
    with SyncNotificationService() as service, pytest.raises(InvalidMessage):
        service.broadcast({"type": "tick"})
    given_up, refused = exported.get_finished_spans()
    assert given_up.status.status_code is refused.status.status_code is trace.StatusCode.ERROR
    assert given_up.attributes is not None
    assert given_up.attributes["error.type"] == "Undelivered"
    assert refused.attributes is not None
    assert refused.attributes["error.type"] == "InvalidMessage"
    assert refused.attributes["http.response.status_code"] == 422
    assert "alice" not in given_up.to_json() + refused.to_json()


def test_a_batch_is_one_span_and_a_read_a_clients(router: Router, exported: InMemorySpanExporter) -> None:
    router.answers(Reply(200, {"results": [{"status": 202, **RECEIPT}, {"status": 413, "detail": "too large"}]}))
    with SyncNotificationService() as service:
        service.send_batch([{"audience": "all", "message": {"type": "tick"}}] * 2)
        service.get_connection_count()
    batch, read = exported.get_finished_spans()
    assert batch.attributes is not None
    assert batch.attributes["messaging.batch.message_count"] == 2
    assert batch.attributes["vsrt.refused"] == 1
    assert (read.name, read.kind) == ("GET /api/v1/stats", trace.SpanKind.CLIENT)
