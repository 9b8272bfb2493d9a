"""Where the queue is, and how long it may grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from redis.connection import parse_url

from videosite_realtime.errors import ConfigurationError

URL_VARIABLE: Final = "QUEUE_URL"
PREFIX_VARIABLE: Final = "QUEUE_PREFIX"
LENGTH_VARIABLE: Final = "QUEUE_MAX_LENGTH"
SENTINELS_VARIABLE: Final = "QUEUE_SENTINELS"
MASTER_VARIABLE: Final = "QUEUE_SENTINEL_MASTER"
PASSWORD_VARIABLE: Final = "QUEUE_SENTINEL_PASSWORD"  # noqa: S105 - a name
NODES_VARIABLE: Final = "QUEUE_CLUSTER_NODES"
_PREFIX: Final = "vsrt"
_MAX_LENGTH: Final = 100_000
_MASTER: Final = "mymaster"
_PLAIN: Final = "redis://"  # no TLS, no user: what an address says beside host and port
_SCHEMES: Final = (_PLAIN, "rediss://", "unix://")
_PORT, _SENTINEL_PORT = 6379, 26379

HostAndPort = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Given:
    """What a queue was told when it was made; None is left to the environment.

    ``url``, ``sentinels`` and ``cluster_nodes`` say where Redis is. Once one of them is given, the environment's
    Sentinels and nodes are another Redis's, and do not count.
    """

    url: str | None = field(default=None, repr=False)
    prefix: str | None = None
    max_length: int | None = None
    sentinels: Sequence[str] | None = None
    sentinel_master: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    cluster_nodes: Sequence[str] | None = None

    @property
    def says_where(self) -> bool:
        return any(place is not None for place in (self.url, self.sentinels, self.cluster_nodes))


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Who knows where the master is.

    Attributes:
        master: the name under which they watch it.
        password: their own.
    """

    hosts: tuple[HostAndPort, ...]
    master: str = _MASTER
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class QueueAccess:
    """Where entries are appended.

    Attributes:
        url: of the cluster's Redis; a password may be in it. With Sentinels or a Redis Cluster its host and port do not
            count.
        key: the stream's.
        max_length: entries with which the queue is full.
        sentinels: if Redis is watched by some.
        cluster_nodes: some servers of a Redis Cluster, if it is one.
    """

    url: str = field(repr=False)
    key: str
    max_length: int
    sentinels: Sentinels | None = None
    cluster_nodes: tuple[HostAndPort, ...] = ()

    @classmethod
    def find(cls, given: Given, environ: Mapping[str, str]) -> QueueAccess:
        """Take what was given, and the rest from the environment.

        Raises:
            ConfigurationError: names the variable.
        """
        where = {} if given.says_where else environ
        sentinels, nodes = _sentinels(given, where), _hosts(NODES_VARIABLE, given.cluster_nodes, where, _PORT)
        url = (given.url if given.url is not None else environ.get(URL_VARIABLE, "")).strip()
        url = _checked_url(url or (_PLAIN if sentinels or nodes else ""))
        _check_together(url, sentinels, nodes)
        prefix = given.prefix if given.prefix is not None else environ.get(PREFIX_VARIABLE, "").strip() or _PREFIX
        length = str(given.max_length) if given.max_length is not None else environ.get(LENGTH_VARIABLE, "").strip()
        return cls(url, f"{prefix}:queue:{{c}}", _checked_length(length or str(_MAX_LENGTH)), sentinels, nodes)

    @property
    def asked(self) -> tuple[HostAndPort, ...]:
        """Who tells where the server is; nobody if the address does."""
        return self.sentinels.hosts if self.sentinels else self.cluster_nodes

    @property
    def options(self) -> dict[str, Any]:
        """With what redis-py connects to a server that others name: all that the address says but host and port."""
        where = ("host", "port", "connection_class")
        options = {name: value for name, value in _read(self.url).items() if name not in where}
        return {**options, "ssl": self.url.startswith("rediss://")}

    @property
    def options_of_asked(self) -> dict[str, Any]:
        """With what it connects to those who are asked. Sentinels have a password of their own, and no databases."""
        if self.sentinels is None:
            return self.options
        tls = {name: value for name, value in self.options.items() if name.startswith("ssl")}
        return {**tls, "password": self.sentinels.password}


def _sentinels(given: Given, environ: Mapping[str, str]) -> Sentinels | None:
    hosts = _hosts(SENTINELS_VARIABLE, given.sentinels, environ, _SENTINEL_PORT)
    master = given.sentinel_master or environ.get(MASTER_VARIABLE, "").strip()
    password = given.sentinel_password or environ.get(PASSWORD_VARIABLE) or None
    if not hosts:
        for variable, value in ((MASTER_VARIABLE, master), (PASSWORD_VARIABLE, password)):
            if value:
                raise ConfigurationError(variable, f"is set without {SENTINELS_VARIABLE}")
        return None
    return Sentinels(hosts, master or _MASTER, password)


def _hosts(
    variable: str, given: Sequence[str] | None, environ: Mapping[str, str], port: int
) -> tuple[HostAndPort, ...]:
    """Read ``host``, ``host:port`` and ``[::1]:port``, comma-separated in the environment."""
    texts = given if given is not None else environ.get(variable, "").split(",")
    if isinstance(texts, str):
        raise ConfigurationError(variable, f"is a list of host:port, not one text: {texts!r}")
    return tuple(_host_and_port(variable, text.strip(), port) for text in texts if text.strip())


def _host_and_port(variable: str, text: str, port: int) -> HostAndPort:
    parts = urlsplit(f"//{text}")
    try:
        number = parts.port or port
    except ValueError:
        number = 0
    if not number or not parts.hostname or parts.netloc != text or "@" in text:
        raise ConfigurationError(variable, f"has something that is not host:port: {text.rpartition('@')[2]!r}")
    return parts.hostname, number


def _checked_url(text: str) -> str:
    if not text:
        raise ConfigurationError(URL_VARIABLE, "is not set: export it, or use NotificationQueue(url)")
    if not text.startswith(_SCHEMES):
        raise ConfigurationError(URL_VARIABLE, "is not like redis://redis:6379/0")  # not shown: it may hold a password
    return text


def _check_together(url: str, sentinels: Sentinels | None, nodes: tuple[HostAndPort, ...]) -> None:
    if sentinels and nodes:
        raise ConfigurationError(NODES_VARIABLE, f"and {SENTINELS_VARIABLE} are both set: choose one")
    if not sentinels and not nodes:
        return
    variable = SENTINELS_VARIABLE if sentinels else NODES_VARIABLE
    if url.startswith("unix://"):
        raise ConfigurationError(variable, f"tells host and port: {URL_VARIABLE} cannot be unix://")
    try:
        database = _read(url).get("db")
    except ValueError:
        raise ConfigurationError(URL_VARIABLE, "cannot be read") from None  # redis-py's words may quote the password
    if nodes and database:
        raise ConfigurationError(URL_VARIABLE, "names another database than 0, the only one of a Redis Cluster")


def _read(url: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
    return options


def _checked_length(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ConfigurationError(LENGTH_VARIABLE, f"is not a number of entries: {text!r}")
    return int(text)
