"""Where the cluster is and what opens it.

Each value is looked for in three places: the option, the environment (Typer reads both: ``given``), the file of the
local cluster. The file's secrets go only to the file's own addresses, so that a key of the playground is never sent to
another place, and a token of the playground is never held against another place's secret.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from videosite_realtime_cli.errors import BadInput, NotConfigured
from videosite_realtime_cli.identity import Signer
from videosite_realtime_cli.local_file import LocalCluster


@dataclass(frozen=True, slots=True)
class RouterAccess:
    url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningOptions:
    """What options and environment say about tokens; None where they say nothing."""

    secret: str | None = field(default=None, repr=False)
    algorithm: str | None = None
    issuer: str | None = None
    audience: str | None = None


def node_url(given: str | None, local: LocalCluster | None) -> str:
    url = given or (local and local.node_url)
    if not url:
        raise NotConfigured("node", "NODE_URL", "--node-url")
    return _base_url(url, "node", ("http", "https", "ws", "wss"))


def router_access(url: str | None, api_key: str | None, local: LocalCluster | None) -> RouterAccess:
    """Return where the router is and the key it takes.

    Raises:
        NotConfigured: one of them is nowhere to be found.
        BadInput: the address is not a URL, or no header can bear the key.
    """
    found = url or (local and local.router_url)
    if not found:
        raise NotConfigured("router", "ROUTER_URL", "--router-url")
    found = _base_url(found, "router", ("http", "https"))
    key = api_key or (local and _same(found, local.router_url) and local.router_api_key)
    if not key:
        raise NotConfigured("key for the router", "ROUTER_API_KEY", "--api-key")
    if not key.isascii() or not key.isprintable():
        raise BadInput("ROUTER_API_KEY or --api-key holds what no header can bear: a line break, or other than ASCII")
    return RouterAccess(found, key)


def signer(options: SigningOptions, local: LocalCluster | None, *, for_node: str | None = None) -> Signer:
    """Return what mints tokens.

    Args:
        options: what options and environment say.
        local: the local cluster, whose secret is the last resort.
        for_node: the node the tokens are for; None when they are for whoever holds the secret.

    Raises:
        NotConfigured: there is no secret.
    """
    if options.secret:
        return Signer(options.secret, options.algorithm or "HS256", options.issuer, options.audience)
    if local is None or (for_node is not None and not _same(for_node, local.node_url)):
        raise NotConfigured("secret to sign tokens with", "JWT_SECRET", "--jwt-secret")
    return Signer(local.jwt_secret, local.jwt_algorithm, options.issuer, options.audience)


def is_loopback(url: str) -> bool:
    """Tell whether a URL stays on this machine: then no proxy of the environment has a part in it."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _base_url(url: str, what: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise BadInput(f"the {what}'s address is not a URL like {schemes[0]}://host:port: {url!r}")
    return url.rstrip("/")


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")
