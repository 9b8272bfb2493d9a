"""Where the server for Redis is and as whom we speak to it: one address, or Sentinels that know where it is now.

For a Redis Cluster see :mod:`shared.cluster_address`.

redis-py finds, secures and authenticates a connection; what it does not do for us, because each of our connections is
supervised by its :class:`~shared.redis_link.RedisLink`, is pools and retries.
"""

from __future__ import annotations

from typing import Any, Final, Self

import redis.asyncio as redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.errors import RedisUnavailable
from shared.settings import CommonSettings

_SENTINEL_PATIENCE: Final = 1 / 3  # of the timeout: of three Sentinels two may hang

HostAndPort = tuple[str, int]


class RedisAddress:
    """Knows how to reach the server; with Sentinels, whichever is the master when asked.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://`` address, as redis-py takes it.
        options: more of what redis-py's connection takes: ``username``, ``password``, ``ssl_ca_certs``, …
        sentinels: if given, they are asked for the master's address, and the URL's is not used.
        master: the name under which the Sentinels watch it.
        sentinel_password: what the Sentinels want to hear, if anything.

    Attributes:
        proof: a command that only the right server answers; asked again now and then. None: there is but one.
        elsewhere: whether the last connection went to a second choice, for the first was not there.
    """

    proof: tuple[str, ...] | None = None
    elsewhere: bool = False

    def __init__(
        self,
        url: str,
        *,
        options: dict[str, Any] | None = None,
        sentinels: tuple[HostAndPort, ...] = (),
        master: str = "",
        sentinel_password: str | None = None,
    ) -> None:
        self._url, self._options = url, options or {}
        self._sentinels, self._master = list(sentinels), master
        self._sentinel_password = sentinel_password

    @classmethod
    def from_settings(cls, settings: CommonSettings) -> Self:
        secret = settings.redis_sentinel_password
        return cls(
            settings.redis_url,
            options=connection_options(settings),
            sentinels=tuple(settings.sentinels),
            master=settings.redis_sentinel_master,
            sentinel_password=secret.get_secret_value() if secret is not None else None,
        )

    async def connect(self, *, name: str, timeout: float) -> AbstractConnection:
        """Return a new connection to the server, authenticated and in RESP3.

        Args:
            name: shown by ``CLIENT LIST``.
            timeout: seconds for each step.

        Raises:
            redis.RedisError, OSError, RedisUnavailable: it cannot be reached, or no Sentinel knows where it is.
        """
        if not self._sentinels:
            return await self._open(None, timeout, client_name=name)
        where = await self._ask_sentinels(timeout * _SENTINEL_PATIENCE)
        connection = await self._open(where, timeout, client_name=name)
        role = (await answer(connection, "ROLE"))[0]
        if role not in (b"master", "master"):  # it was demoted a moment ago, or is about to be promoted
            await connection.disconnect(nowait=True)
            raise RedisUnavailable(f"the Sentinels name {written(where)}, which is no master now")
        return connection

    async def _open(self, where: HostAndPort | None, timeout: float, **more: Any) -> AbstractConnection:
        pool = redis.ConnectionPool.from_url(
            self._url,
            **self._options,
            protocol=3,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
        )
        if where is not None:
            pool.connection_kwargs.update(host=where[0], port=where[1])
        pool.connection_kwargs.update(more)
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except RuntimeError as exc:
            # What uvloop raises when redis-py writes its HELLO to a socket that was reset a moment ago.
            raise RedisUnavailable(str(exc)) from exc
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _ask_sentinels(self, timeout: float) -> HostAndPort:
        """Return where the master is, by the first Sentinel that knows; it is asked first the next time."""
        problems = []
        for sentinel in list(self._sentinels):
            try:
                where = await self._ask(sentinel, timeout)
            except (redis.RedisError, RedisUnavailable, OSError) as exc:
                problems.append(f"{written(sentinel)}: {exc}")
                continue
            if where is not None:
                self._sentinels.remove(sentinel)
                self._sentinels.insert(0, sentinel)
                return where
            problems.append(f"{written(sentinel)}: knows no master {self._master!r}")
        raise RedisUnavailable(f"no Sentinel tells where the master is ({'; '.join(problems)})")

    async def _ask(self, sentinel: HostAndPort, timeout: float) -> HostAndPort | None:
        connection = await self._open(sentinel, timeout, username=None, password=self._sentinel_password, db=0)
        try:
            found = await answer(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master)
        finally:
            await connection.disconnect(nowait=True)
        return (text(found[0]), int(found[1])) if found else None


def connection_options(settings: CommonSettings) -> dict[str, Any]:
    """Return credentials and TLS options, by redis-py's names."""
    files = {
        "ssl_ca_certs": settings.redis_ca_file,
        "ssl_certfile": settings.redis_cert_file,
        "ssl_keyfile": settings.redis_key_file,
    }
    options = {name: str(path) for name, path in files.items() if path is not None}
    if settings.redis_username is not None:
        options["username"] = settings.redis_username
    if settings.redis_password is not None:
        options["password"] = settings.redis_password.get_secret_value()
    return options


async def answer(connection: AbstractConnection, *command: str) -> Any:
    """Ask something over a connection that nothing else uses; one that fails is closed."""
    try:
        await connection.send_command(*command)
        return await connection.read_response()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise


def written(where: HostAndPort) -> str:
    """Return an address as settings write it: an IPv6 one in brackets."""
    host, port = where
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
