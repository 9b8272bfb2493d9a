"""The client's rules on a real socket: connect, heartbeat, show, reconnect, until the node says stop."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from urllib.parse import urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from videosite_realtime_cli.client import Client, Frame, Then, Verdict
from videosite_realtime_cli.errors import BadInput, StoppedByNode, reason
from videosite_realtime_cli.identity import Claims, Signer
from videosite_realtime_cli.settings import is_loopback

# A token we mint is renewed whenever the node asks, so its life need not be long.
_TOKEN_LIFETIME = timedelta(hours=1)


class View(Protocol):
    """Who is shown what comes."""

    def frame(self, frame: Frame) -> None: ...
    def notice(self, text: str) -> None: ...


class Credential(Protocol):
    """Where the token comes from."""

    @property
    def renewable(self) -> bool: ...
    def token(self) -> str: ...


@dataclass(frozen=True, slots=True)
class GivenToken:
    """A token from outside; when the node refuses it, there is no other."""

    value: str
    renewable: bool = False

    def token(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A token of our own making, new for every connection."""

    signer: Signer
    claims: Claims
    renewable: bool = True

    def token(self) -> str:
        return self.signer.mint(self.claims, _TOKEN_LIFETIME)


def endpoint(node_url: str, *, admin: bool) -> str:
    """Return the WebSocket URL of a node given by its HTTP or WebSocket address."""
    parts = urlsplit(node_url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path.rstrip("/") + "/api/v1/ws" + ("/admin" if admin else "")
    return urlunsplit((scheme, parts.netloc, path, "", ""))


async def listen(url: str, client: Client, credential: Credential, view: View) -> None:
    """Show what comes, for ever.

    Raises:
        StoppedByNode: the node ended it for good.
    """
    while True:
        verdict = await _one_connection(url, client, credential, view)
        if verdict.then is Then.STOP:
            raise StoppedByNode(f"{url}: {verdict.why}")
        renewed = ", with a new token" if verdict.then is Then.RETRY_WITH_NEW_TOKEN else ""
        view.notice(f"{verdict.why}; trying again in {verdict.after:.1f} s{renewed}")
        await asyncio.sleep(verdict.after)


async def _one_connection(url: str, client: Client, credential: Credential, view: View) -> Verdict:
    # Only what connecting raises is the network's: an OSError of the view is its reader's farewell.
    try:
        socket = await _connect(url, client.since, credential.token())
    except InvalidStatus as refusal:
        return client.refused(refusal.response.status_code)
    except InvalidURI as error:
        raise BadInput(str(error)) from error
    except (TimeoutError, OSError, InvalidHandshake) as error:
        return client.unreachable(f"cannot reach {url}: {reason(error)}")
    async with socket:
        client.opened()
        await _converse(socket, client, view)
    return client.closed(socket.close_code or 1006, socket.close_reason or "", renewable=credential.renewable)


def _connect(url: str, since: str | None, token: str) -> connect:
    # The token travels as a subprotocol: URLs end up in the logs of everything between us and the node.
    return connect(
        f"{url}?{urlencode({'since': since}, safe=',')}" if since else url,
        subprotocols=[Subprotocol("bearer"), Subprotocol(token)],
        compression=None,
        proxy=None if is_loopback(url) else True,
        ping_interval=None,  # the heartbeat is the client's own, in text
        close_timeout=2,
    )


async def _converse(socket: ClientConnection, client: Client, view: View) -> None:
    """Show frames and keep the heartbeat until the connection ends."""
    clock = asyncio.get_running_loop().time
    last_beat = clock()
    with contextlib.suppress(ConnectionClosed):
        while True:
            if clock() >= last_beat + client.heartbeat_interval:
                last_beat = clock()
                await _beat(socket, client)
            try:
                async with asyncio.timeout_at(last_beat + client.heartbeat_interval):
                    # Cancelling it loses no frame; a node sends only text, so bytes can be shown as what they may be.
                    data = await socket.recv()
            except TimeoutError:
                continue
            frame = client.received(data if isinstance(data, str) else data.decode(errors="replace"))
            if frame is not None:
                view.frame(frame)


async def _beat(socket: ClientConnection, client: Client) -> None:
    if client.beat():
        await socket.send("ping")
    else:
        await socket.close(1000, "no heartbeat")
