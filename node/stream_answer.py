"""The answer to a request for an event stream.

A browser's ``EventSource`` gives up for good at any status but 200, so only what does not pass by itself is a status:

    let in ...................................... 200, ``connected``, what was missed, then live
    4401 ........................................ 401
    4403 ........................................ 403
    1012, 1013, 4429 ............................ 200: ``reconnect``, when to come back, ``close``, and the end
"""

from __future__ import annotations

import random
from typing import Final

from fastapi.responses import JSONResponse, Response

from node.event_stream import EventStream, close_event, end_when_unacknowledged, reconnect_event
from node.gate import Gate, Refused, Welcome
from node.hub import Hub
from node.session import Phase
from node.wire import StreamExit, stream_exit
from shared.asgi import Receive, Scope, Send
from shared.close_codes import CloseCode

MEDIA_TYPE: Final = "text/event-stream"
# These keep nginx from buffering (X-Accel-Buffering) and proxies from compressing (no-transform): an event must not
# wait in a buffer for the next one.
_HEADERS: Final = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
_STATUS: Final = {CloseCode.UNAUTHENTICATED: 401, CloseCode.FORBIDDEN: 403}
_RETRY_AFTER_MS: Final = (1000, 5000)


class StreamAnswer(Response):
    """An answer that becomes an :class:`~node.event_stream.EventStream`, which outlives the request's task."""

    def __init__(
        self, gate: Gate, hub: Hub, token: str, since: str | None, *, is_admin: bool, unacknowledged: float
    ) -> None:
        super().__init__()
        self._gate, self._hub, self._token, self._since = gate, hub, token, since
        self._is_admin, self._unacknowledged = is_admin, unacknowledged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way_out = stream_exit(scope)
        session = way_out.take_over(
            lambda transport, fd: EventStream(self._hub, transport, is_admin=self._is_admin, descriptor=fd)
        )
        end_when_unacknowledged(session.transport, self._unacknowledged)
        try:
            welcome = await self._gate.admit(session, self._token, self._since)
            if welcome is not None:
                await self._begin(session, welcome, way_out, send)
                return
        except Refused as refused:
            self._gate.refuse(session, refused)
        except BaseException:
            session.abort(CloseCode.TRY_AGAIN_LATER)
            raise
        if session.phase is Phase.CLOSED:
            way_out.let_go()  # it is gone: nobody is answered
        else:
            await _refusal(session)(scope, receive, send)

    async def _begin(self, session: EventStream, welcome: Welcome, way_out: StreamExit, send: Send) -> None:
        head = Response(media_type=MEDIA_TYPE, headers=_HEADERS)
        del head.headers["content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": head.raw_headers})
        way_out.let_go()
        if session.phase is Phase.OPENING:
            self._hub.counters.streams += 1
            self._gate.welcome(session, welcome)
        else:
            session.transport.close()


def _refusal(session: EventStream) -> Response:
    code, reason = session.close_code, session.reason
    status = _STATUS.get(CloseCode(code))
    if status is not None:
        challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return JSONResponse({"detail": reason}, status, challenge)
    wait = session.retry_after_ms or random.randint(*_RETRY_AFTER_MS)  # noqa: S311  # spreads clients, hides nothing
    return Response(reconnect_event(wait) + close_event(code, reason), media_type=MEDIA_TYPE, headers=_HEADERS)
