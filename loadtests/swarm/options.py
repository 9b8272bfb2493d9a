"""What a load test can be told: the options that Locust shows beside its own, and what they mean when read.

Addresses and secrets are also taken from the environment, by the names that the services and the command line use.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadtests.swarm import shapes
from loadtests.swarm.identities import BadOption, Cast, FromCommand, FromFile, Issuer, Minting
from loadtests.swarm.shapes import Shape

SHAPES = ("steady", "storm", "peak", "restart")
RATES = ("personal", "batch", "progress", "admin", "broadcast")

_WHERE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--ws-url", {"env_var": "NODE_URL", "help": "where browsers connect, comma-separated: http(s):// or ws(s)://"}),
    ("--router-url", {"env_var": "ROUTER_URL", "help": "where transcoders publish"}),
    ("--api-key", {"env_var": "ROUTER_API_KEY", "is_secret": True, "help": "for the router; minted without it"}),
    ("--jwt-secret", {"env_var": "JWT_SECRET", "is_secret": True, "help": "tokens are minted with it"}),
    ("--jwt-algorithm", {"env_var": "JWT_ALGORITHM", "default": "HS256"}),
    ("--jwt-issuer", {"env_var": "JWT_ISSUER"}),
    ("--jwt-audience", {"env_var": "JWT_AUDIENCE"}),
    ("--token-life", {"type": float, "default": 3600.0, "help": "s that a minted token is good"}),
    ("--token-file", {"help": "lines of `<user id> <token> [admin]`, instead of a secret"}),
    ("--token-command", {"help": "prints a token; {role} and {id} are filled in, e.g. 'issue --{role} {id}'"}),
    ("--insecure", {"action": "store_true", "help": "take any certificate"}),
)
_WHO: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--admins", {"type": int, "default": 2, "help": "of the users (-u), so many are admins"}),
    ("--transcoders", {"type": int, "default": 2, "help": "and so many transcoders; the rest are browsers"}),
    ("--population", {"type": int, "default": 0, "help": "distinct users; as many as browsers without it"}),
    ("--user-prefix", {"default": "load-", "help": "user ids are this and a number"}),
    ("--seed", {"type": int, "default": 1, "help": "for everything that is drawn by lot"}),
    ("--back-off", {"type": float, "default": 1.0, "help": "s, jittered, before a first reconnect; then doubled"}),
    ("--patience", {"type": float, "default": 60.0, "help": "s to get in, and at the end to get everything"}),
)
_WHAT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--shape", {"default": "steady", "choices": list(SHAPES), "help": "how the load goes over time"}),
    ("--personal-rate", {"type": float, "default": 10.0, "help": "messages to one user, per s of all transcoders"}),
    ("--batch-rate", {"type": float, "default": 0.5, "help": "batches per s of all transcoders"}),
    ("--batch-size", {"type": int, "default": 50, "help": "personal messages in a batch"}),
    ("--progress-rate", {"type": float, "default": 5.0, "help": "progress per s; every tenth ends a transcode"}),
    ("--admin-rate", {"type": float, "default": 0.5, "help": "messages to admins per s"}),
    ("--broadcast-rate", {"type": float, "default": 0.2, "help": "messages to everybody per s"}),
    ("--message-size", {"type": int, "default": 250, "help": "bytes of a custom message, about"}),
    ("--storm-rate", {"type": float, "default": 0.0, "help": "storm: users per s; without it all within a second"}),
    ("--peak-factor", {"type": float, "default": 20.0, "help": "peak: how many times the broadcasts"}),
    ("--restart-command", {"help": "restart: begins the rolling restart; without it, it is only watched for"}),
    ("--restart-timeout", {"type": float, "default": 600.0, "help": "restart: s until all nodes have been replaced"}),
)
GROUPS = {"The cluster to load": _WHERE, "Who loads it": _WHO, "The load": _WHAT}


def add_to(parser: argparse.ArgumentParser) -> None:
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        for name, how in options:
            action: Any = group.add_argument(name, **{key: value for key, value in how.items() if key != "is_secret"})
            # What Locust's own parser would note; an argument of a group passes it by. Its web page asks for these.
            action.include_in_web_ui, action.is_secret = True, how.get("is_secret", False)
            action.is_required = action.is_multiple = False


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, checked. Rates are per second over all transcoders."""

    ws_urls: tuple[str, ...]
    router_url: str
    api_key: str = field(repr=False)
    issuer: Issuer
    users: tuple[str, ...] = field(repr=False)
    admins: tuple[str, ...] = field(repr=False)
    transcoders: int
    verify: bool
    seed: int
    back_off: float
    patience: float
    rates: Mapping[str, float]
    batch_size: int
    message_size: int

    def cast(self, *, worker: int, workers: int) -> Cast:
        return Cast(self.users, self.admins, worker=worker, workers=workers)

    @classmethod
    def read(cls, parsed: argparse.Namespace) -> Options:
        """Read what was parsed; raises ``BadOption``."""
        issuer = _issuer(parsed)
        browsers = (parsed.num_users or 1) - parsed.admins - parsed.transcoders
        if browsers < 0 or parsed.admins < 0 or parsed.transcoders < 0:
            fixed = f"{parsed.admins} admins and {parsed.transcoders} transcoders"
            raise BadOption(f"-u {parsed.num_users}: {fixed} are more")
        if isinstance(issuer, FromFile):
            users, admins = issuer.ids(admin=False), issuer.ids(admin=True)
            if not users or (parsed.admins and not admins):
                raise BadOption(f"--token-file {parsed.token_file} has no {'users' if not users else 'admins'}")
        else:
            users = [f"{parsed.user_prefix}{number}" for number in range(parsed.population or max(browsers, 1))]
            admins = [f"{parsed.user_prefix}admin-{number}" for number in range(max(parsed.admins, 1))]
        return cls(
            ws_urls=tuple(_socket_url(url) for url in (parsed.ws_url or "").split(",")),
            router_url=_http_url(parsed.router_url or ""),
            api_key=_api_key(parsed, issuer),
            issuer=issuer,
            users=tuple(users),
            admins=tuple(admins),
            transcoders=parsed.transcoders,
            verify=not parsed.insecure,
            seed=parsed.seed,
            back_off=_positive(parsed, "back_off"),
            patience=_positive(parsed, "patience"),
            rates={name: _not_negative(parsed, f"{name}_rate") for name in RATES},
            batch_size=int(_positive(parsed, "batch_size")),
            message_size=int(_positive(parsed, "message_size")),
        )


def shape(parsed: argparse.Namespace) -> Shape:
    """Return the shape that was chosen; raises ``BadOption``."""
    users, rate = parsed.num_users or 1, parsed.spawn_rate or 1
    return shapes.shape(parsed.shape, users, rate, parsed.run_time, storm_rate=parsed.storm_rate)


def _issuer(parsed: argparse.Namespace) -> Issuer:
    if parsed.token_file:
        path = Path(parsed.token_file)
        if not path.is_file():
            raise BadOption(f"--token-file {path} is no file")
        return FromFile(path)
    if parsed.token_command:
        return FromCommand(parsed.token_command)
    if not parsed.jwt_secret:
        raise BadOption("no tokens: give --jwt-secret (or JWT_SECRET), --token-file or --token-command")
    return Minting(
        parsed.jwt_secret, parsed.jwt_algorithm, parsed.jwt_issuer, parsed.jwt_audience, _positive(parsed, "token_life")
    )


def _api_key(parsed: argparse.Namespace, issuer: Issuer) -> str:
    if parsed.api_key:
        return str(parsed.api_key)
    if isinstance(issuer, Minting):
        return issuer.service()
    if not parsed.transcoders:
        return ""
    raise BadOption("nothing opens the router: give --api-key (or ROUTER_API_KEY), or --transcoders 0")


def _socket_url(url: str) -> str:
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    parts = urlsplit(url.strip())
    if parts.scheme not in schemes or not parts.hostname:
        raise BadOption(f"--ws-url (or NODE_URL) is not a URL like http://host:port: {url!r}")
    return f"{schemes[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}"


def _http_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadOption(f"--router-url (or ROUTER_URL) is not a URL like http://host:port: {url!r}")
    return url.rstrip("/")


def _positive(parsed: argparse.Namespace, name: str) -> float:
    if (value := getattr(parsed, name)) <= 0:
        raise BadOption(f"--{name.replace('_', '-')} must be more than 0, and not {value}")
    return float(value)


def _not_negative(parsed: argparse.Namespace, name: str) -> float:
    if (value := getattr(parsed, name)) < 0:
        raise BadOption(f"--{name.replace('_', '-')} must not be negative: {value}")
    return float(value)
