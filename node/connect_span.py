"""The ``connect`` span: one handshake, from the upgrade request to the first frame or the close. Never the connection.

It contains neither token nor user nor ``since``. A refusal that is due to the client is not an error of ours; a full
node or a cluster that is away is.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, Literal, NamedTuple

from opentelemetry.trace import SpanKind, use_span

from shared import spans
from shared.asgi import Scope
from shared.close_codes import CloseCode
from shared.headers import header
from shared.tracing import Attributes, Tracing, fail

_OUR_FAULT: Final = frozenset({CloseCode.TRY_AGAIN_LATER})


class Admission(NamedTuple):
    """How a handshake ended.

    Attributes:
        result: ``gone``: the client left, or was ended, before it was over; ``forbidden``: HTTP 403, no upgrade.
        code: of the close frame; 0 if there was none.
        reason: one of a few fixed texts.
    """

    result: Literal["welcomed", "refused", "forbidden", "gone"]
    code: int = 0
    reason: str = ""
    recovered: bool | None = None


async def connecting(tracing: Tracing, scope: Scope, handshake: Awaitable[Admission]) -> None:
    """Await a handshake, under a span if it is sampled."""
    span = tracing.begin(spans.CONNECT, SpanKind.SERVER, header(scope["headers"], b"traceparent"))
    if span is None:
        await handshake
        return
    try:
        # The span must not record exceptions itself: their text may quote the token.
        with use_span(span, record_exception=False, set_status_on_exception=False):
            admission = await handshake
        span.set_attributes(_attributes(scope, admission))
        if admission.code in _OUR_FAULT:
            fail(span, str(admission.code))
    except BaseException as exc:
        fail(span, type(exc).__name__)
        raise
    finally:
        span.end()


def _attributes(scope: Scope, admission: Admission) -> Attributes:
    attributes: dict[str, str | int | bool] = {
        spans.ENDPOINT: spans.ADMIN if scope["path"].endswith("/admin") else "user",
        spans.RESULT: admission.result,
    }
    if admission.code:
        attributes |= {spans.CLOSE_CODE: admission.code, spans.CLOSE_REASON: admission.reason}
    if admission.recovered is not None:
        attributes[spans.RECOVERED] = admission.recovered
    return attributes
