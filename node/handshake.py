"""From an upgrade request to a session that hears its streams.

A browser cannot see why a handshake was refused, so almost everything is accepted first and then closed with a code:

    Origin not ours, no such path ............... HTTP 403, before the upgrade
    refused at the gate (node/gate.py) .......... ``reconnect`` if it may come back soon, then the close code
    else ........................................ ``connected``, then what was missed, then live
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from node.acks import Acks
from node.connect_span import Admission, connecting
from node.gate import Gate, Refused
from node.hub import Hub
from node.session import Session
from node.wire import take_over
from shared import trace_context
from shared.asgi import Receive, Scope, Send
from shared.close_codes import CloseCode
from shared.headers import by_name
from shared.tracing import Tracing

USER_PATH: Final = "/api/v1/ws"
ADMIN_PATH: Final = "/api/v1/ws/admin"
_PARAMETERS: Final = frozenset({"token", "since", "acks"})
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class _Request:
    """What an upgrade request says. The token appears in no log, trace or metric."""

    token: str
    since: str | None
    subprotocol: str | None
    acks: bool = False

    @classmethod
    def of(cls, scope: Scope) -> _Request:
        query = _parameters(scope["query_string"].decode("latin-1"))
        token = query.get("token", "")
        offered = scope["subprotocols"]
        subprotocol = "bearer" if "bearer" in offered else None
        if not token and subprotocol is not None:
            others = [name for name in offered if name != "bearer"]
            token = others[0] if others else ""
        return cls(token, query.get("since"), subprotocol, query.get("acks") == "1")


def _parameters(query: str) -> dict[str, str]:
    """Return our parameters, the first of each name. Any number of other parameters costs next to nothing."""
    found: dict[str, str] = {}
    for field in query.split("&"):
        name, _, value = field.partition("=")
        if name in _PARAMETERS and name not in found:
            found[name] = unquote_plus(value)
    return found


class Handshake:
    """Serves both WebSocket paths; an ASGI application."""

    def __init__(self, gate: Gate, hub: Hub, origins: Iterable[str], tracing: Tracing | None = None) -> None:
        self._gate, self._hub, self._origins, self._tracing = gate, hub, frozenset(origins), tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one upgrade request; return once the session runs on its own, or was refused."""
        if self._tracing is None:
            await self._serve(scope, receive, send)
        else:
            await connecting(self._tracing, scope, self._serve(scope, receive, send))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> Admission:
        await receive()
        admin = scope["path"] == ADMIN_PATH
        headers = by_name(scope["headers"])
        trace_context.continued(headers.get(b"traceparent", b"").decode("latin-1"))
        known = admin or scope["path"] == USER_PATH
        if not known or not self._origin_is_ours(headers):
            reason, origin = ("origin not allowed" if known else "no such path"), headers.get(b"origin", b"")
            self._hub.log.turned_away(reason, origin.decode("latin-1"))
            await send({"type": "websocket.close", "reason": reason})
            return Admission("forbidden", 403, reason)
        request = _Request.of(scope)
        await send({"type": "websocket.accept", "subprotocol": request.subprotocol})
        session = take_over(scope, lambda transport, fd: Session(self._hub, transport, is_admin=admin, descriptor=fd))
        try:
            welcome = await self._gate.admit(session, request.token, request.since)
            if welcome is None:
                return Admission("gone", session.close_code)
            session.acks = Acks() if request.acks and self._hub.acks is not None else None
            self._gate.welcome(session, welcome)
            return Admission("welcomed", recovered=welcome.recovered)
        except Refused as refused:
            self._gate.refuse(session, refused)
            return Admission("refused", int(refused.code), refused.reason)
        except BaseException:
            session.abort(CloseCode.TRY_AGAIN_LATER)
            raise

    def _origin_is_ours(self, headers: dict[bytes, bytes]) -> bool:
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin or "*" in self._origins or origin in self._origins:
            return True
        scheme, _, authority = origin.partition("://")
        host = headers.get(b"host", b"").decode("latin-1")
        # A browser leaves the default port out of both; a proxy may put it into `Host` (`$host:$server_port`).
        return authority != "" and authority in (host, host.removesuffix(_DEFAULT_PORTS.get(scheme, "")))
