"""The caller's trace goes on."""

from __future__ import annotations

import importlib
import sys

import pytest
from opentelemetry import trace
from videosite_realtime import NotificationService, SyncNotificationService, _tracing

from tests.sdk.router_stub import TRACE_ID, Reply, Router

SPAN = trace.NonRecordingSpan(
    trace.SpanContext(int(TRACE_ID, 16), 0x00F067AA0BA902B7, is_remote=False, trace_flags=trace.TraceFlags(1))
)
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


async def test_all_attempts_carry_the_callers_span(router: Router) -> None:
    router.answers(Reply(503, {"detail": "no Redis"}))
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


def test_without_opentelemetry_messages_go_out_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "opentelemetry.trace.propagation.tracecontext", None)
        assert importlib.reload(_tracing).trace_headers() == {}
    assert importlib.reload(_tracing).trace_headers() == {}
