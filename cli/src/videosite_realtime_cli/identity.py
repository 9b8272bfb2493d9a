"""Who a token speaks for: the claims of the specification's section "Identity", and development tokens that carry them.

======== ==================================================================================
sub      the user's id, or the service's name: 1 to 128 characters of ``A-Z a-z 0-9 _ : @ -``
exp      seconds since the Unix epoch
is_admin JSON ``true`` for an admin; absent otherwise
username shown to people; the node takes ``sub`` without it
scope    space-separated: ``publish``, ``read``, ``admin``; what the router permits
======== ==================================================================================
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from jose import jwt
from jose.exceptions import JOSEError

from videosite_realtime_cli.errors import BadInput

SECRET_MIN_BYTES = 32
SCOPES = ("publish", "read", "admin")
USER_ID = re.compile(r"[A-Za-z0-9_:@-]{1,128}")

_COMPACT_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_DURATION = re.compile(r"(\d{1,9})([smhd]?)")
_LONGEST = timedelta(days=36500)  # what ends after the year 9999 no node takes
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Signer:
    """Mints tokens as the site's own login would, with the secret that the nodes verify by."""

    secret: str = field(repr=False)
    algorithm: str = "HS256"
    issuer: str | None = None
    audience: str | None = None

    def mint(self, claims: Claims, lifetime: timedelta) -> str:
        """Return the JWT of these claims, valid from now for ``lifetime``.

        Raises:
            BadInput: this secret cannot sign by this algorithm, or is one that no node starts with.
        """
        if self.algorithm.startswith("HS") and len(self.secret.encode()) < SECRET_MIN_BYTES:
            raise BadInput(f"JWT_SECRET is shorter than {SECRET_MIN_BYTES} bytes: no node takes tokens signed with it")
        now = int(time.time())
        whole = dict(claims, iat=now, exp=now + int(lifetime.total_seconds()))
        whole |= {name: value for name, value in (("iss", self.issuer), ("aud", self.audience)) if value}
        try:
            return cast(str, jwt.encode(whole, self.secret, algorithm=self.algorithm))
        except JOSEError as error:
            raise BadInput(f"JWT_SECRET cannot sign by {self.algorithm}: {error}") from error


def user(user_id: str, *, username: str | None = None, scope: str | None = None) -> Claims:
    return {"sub": checked_id(user_id)} | _optional(username, scope)


def admin(user_id: str, *, username: str | None = None, scope: str | None = None) -> Claims:
    return {"sub": checked_id(user_id), "is_admin": True} | _optional(username, scope)


def service(name: str, *, scope: str) -> Claims:
    return {"sub": checked_id(name)} | _optional(None, scope)


def claims_of(token: str) -> Mapping[str, Any]:
    """Return what a token claims, unverified: the node is the one to judge it.

    Raises:
        BadInput: it is not a JWT.
    """
    if not _COMPACT_JWS.fullmatch(token):
        raise BadInput("that is not a JWT: a JWT is three parts of A-Z a-z 0-9 _ - joined by dots")
    try:
        return cast("dict[str, Any]", jwt.get_unverified_claims(token))
    except JOSEError as error:
        raise BadInput(f"that is not a JWT: {error}") from error


def checked_id(value: str) -> str:
    if not USER_ID.fullmatch(value):
        raise BadInput(f"not a user id (1 to 128 characters of A-Z a-z 0-9 _ : @ -): {value[:40]!r}")
    return value


def duration(text: str) -> timedelta:
    """Read ``90``, ``90s``, ``30m``, ``1h`` or ``7d``; raises ``ValueError`` for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{text!r} is not a duration; write 90s, 30m, 1h or 7d")
    lifetime = timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    if lifetime > _LONGEST:
        raise ValueError(f"{text!r} is too long: {_LONGEST.days}d at most")
    return lifetime


def _optional(username: str | None, scope: str | None) -> dict[str, object]:
    scopes = (scope or "").split()
    if scope is not None and not scopes:
        raise BadInput(f"a scope is empty: name some of {', '.join(SCOPES)}")
    unknown = [each for each in scopes if each not in SCOPES]
    if unknown:
        raise BadInput(f"unknown scope {unknown[0]!r}: there are {', '.join(SCOPES)}")
    claims = {"username": username, "scope": " ".join(scopes)}
    return {name: value for name, value in claims.items() if value}
