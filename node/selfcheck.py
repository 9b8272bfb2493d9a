"""``python -m node.selfcheck``: one message through a running cluster, from a router to a WebSocket and once more.

For `helm test`, and for whoever wants to know whether a cluster works: it connects to a node as a user of its own,
publishes to that user by a router, waits for the message, and comes back with the message's position to be told that
it missed nothing. The last line on stderr says how it went, the exit status too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
import time
from typing import Any, Final, Self

import httpx
from jose import jwt
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from shared.errors import RealtimeError, SettingsError
from shared.settings import read_settings

_TOKEN_LIFETIME: Final = 120  # s


class SelfcheckFailed(RealtimeError):
    def __init__(self, step: str, what: str) -> None:
        self.step, self.what = step, what
        super().__init__(step, what)

    def __str__(self) -> str:
        return f"{self.step}: {self.what}"


class SelfcheckSettings(BaseSettings):
    """Settings with the services' names, so that they can be read from the same Secret."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    node_url: str = Field("http://127.0.0.1:8000", pattern=r"^https?://")
    router_url: str = Field("http://127.0.0.1:8001", pattern=r"^https?://")
    router_api_keys: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    jwt_algorithm: str = "HS256"
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    selfcheck_token: SecretStr | None = None
    selfcheck_user: str = Field(default_factory=lambda: f"selfcheck-{secrets.token_hex(6)}")
    selfcheck_timeout: float = Field(20, gt=0)

    @model_validator(mode="after")
    def _has_a_token(self) -> Self:
        if self.jwt_secret is None and self.selfcheck_token is None:
            raise ValueError("JWT_SECRET or SELFCHECK_TOKEN must be set: the check needs a token to connect with")
        return self

    def user_token(self) -> str:
        """Return the token that was given, or one for a made-up user."""
        if self.selfcheck_token is not None:
            return self.selfcheck_token.get_secret_value()
        return self._mint(sub=self.selfcheck_user)

    def user(self) -> str:
        if self.selfcheck_token is None:
            return self.selfcheck_user
        return str(jwt.get_unverified_claims(self.user_token())["sub"])

    def caller_token(self) -> str:
        """Return the credential for the router: the first service key, else a token with the scope ``publish``."""
        keys = self.router_api_keys.get_secret_value().split(",") if self.router_api_keys is not None else []
        if keys:
            return keys[0].strip()
        if self.jwt_secret is None:
            raise SettingsError("ROUTER_API_KEYS must be set: no token can be made for the router without JWT_SECRET")
        return self._mint(sub="selfcheck", scope="publish")

    def _mint(self, **claims: Any) -> str:
        assert self.jwt_secret is not None
        claims["exp"] = int(time.time()) + _TOKEN_LIFETIME
        if self.jwt_issuer is not None:
            claims["iss"] = self.jwt_issuer
        if self.jwt_audience is not None:
            claims["aud"] = self.jwt_audience
        return str(jwt.encode(claims, self.jwt_secret.get_secret_value(), algorithm=self.jwt_algorithm))


async def check(settings: SelfcheckSettings) -> str:
    """Return what was found.

    Raises:
        SelfcheckFailed: names the step and what happened instead.
        SettingsError: the settings do not allow the check.
    """
    started = time.monotonic()
    caller = settings.caller_token()
    nonce = secrets.token_hex(8)
    async with await _connected(settings) as socket:
        position = (await _first(socket, "connected"))["cursor"]
        event_id = await _publish(settings, caller, nonce)
        event = await _first(socket, "selfcheck")
        if (event["nonce"], event["id"]) != (nonce, event_id):
            raise SelfcheckFailed("receive", f"another message than the one that was published: {event}")
    took = time.monotonic() - started
    async with await _connected(settings, since=_moved(position, event_id)) as socket:
        welcome = await _first(socket, "connected")
        if welcome["recovered"] is not True:
            raise SelfcheckFailed("return", f"recovered is {welcome['recovered']}, and nothing was missed")
    return f"a message to user {settings.user()} arrived, {took * 1000:.0f} ms from connecting on"


async def _connected(settings: SelfcheckSettings, **query: str) -> ClientConnection:
    url = httpx.URL(f"ws{settings.node_url.removeprefix('http').rstrip('/')}/api/v1/ws", params=query)
    # As a subprotocol: a token in the URL would end up in the logs of proxies.
    offered = [Subprotocol("bearer"), Subprotocol(settings.user_token())]
    try:
        return await connect(str(url), subprotocols=offered, proxy=None, compression=None)
    except (OSError, WebSocketException) as exc:
        raise SelfcheckFailed("connect", f"{settings.node_url}: {exc}") from exc


async def _first(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """Return the next message of a type, past what others send to everybody."""
    with contextlib.suppress(ConnectionClosed):
        async for text in socket:
            message: dict[str, Any] = json.loads(text)
            if message["type"] == kind:
                return message
    raise SelfcheckFailed("receive", f"closed with {socket.close_code} {socket.close_reason} before {kind} came")


def _moved(position: str, event_id: str) -> str:
    """Return a position in all streams with one of them moved on to an event."""
    stream = event_id.rpartition(".")[0]
    others = (top for top in position.split(",") if top.rpartition(".")[0] != stream)
    return ",".join((event_id, *others))


async def _publish(settings: SelfcheckSettings, caller: str, nonce: str) -> str:
    body = {"audience": {"users": [settings.user()]}, "message": {"type": "selfcheck", "nonce": nonce}}
    headers = {"Authorization": f"Bearer {caller}"}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=settings.selfcheck_timeout) as http:
            answer = await http.post(f"{settings.router_url.rstrip('/')}/api/v1/messages", json=body, headers=headers)
    except httpx.TransportError as exc:
        raise SelfcheckFailed("publish", f"{settings.router_url}: {exc}") from exc
    if answer.status_code != 202:
        raise SelfcheckFailed("publish", f"{answer.status_code} {answer.text}")
    return str(answer.json()["id"])


async def _within(settings: SelfcheckSettings) -> str:
    try:
        async with asyncio.timeout(settings.selfcheck_timeout):
            return await check(settings)
    except TimeoutError as exc:
        raise SelfcheckFailed("receive", f"nothing within {settings.selfcheck_timeout:g} s") from exc


def main() -> int:
    try:
        found = asyncio.run(_within(read_settings(SelfcheckSettings)))
    except RealtimeError as exc:
        print(f"selfcheck: {exc}", file=sys.stderr)
        return 1
    print(f"selfcheck: {found}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
