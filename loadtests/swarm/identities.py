"""Who the users are and what opens the doors for them: minted tokens, a file of them, or a command that prints one.

Users are ``<prefix>0`` to ``<prefix>N-1``; with a file, those that it lists. Every process of a distributed test
knows all of them, so any producer can write to any user, whichever process plays it.
"""

from __future__ import annotations

import itertools
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from jose import jwt


class BadOption(Exception):
    """An option cannot be used; says which and why."""


class Issuer(Protocol):
    def token(self, user_id: str, *, admin: bool) -> str:
        """Return a token that speaks for a user or an admin."""
        ...


@dataclass(frozen=True, slots=True)
class Minting:
    """Signs as the site's login would, with the secret that the nodes verify by.

    Attributes:
        lifetime: s that a token is good.
    """

    secret: str = field(repr=False)
    algorithm: str = "HS256"
    issuer: str | None = None
    audience: str | None = None
    lifetime: float = 3600

    def token(self, user_id: str, *, admin: bool) -> str:
        return self._sign({"sub": user_id} | ({"is_admin": True} if admin else {}))

    def service(self) -> str:
        """Return a token with which a producer may publish and read counters."""
        return self._sign({"sub": "loadtest", "scope": "publish read"})

    def _sign(self, claims: Mapping[str, object]) -> str:
        whole = {**claims, "exp": int(time.time() + self.lifetime)}
        whole |= {name: value for name, value in (("iss", self.issuer), ("aud", self.audience)) if value}
        return str(jwt.encode(whole, self.secret, algorithm=self.algorithm))


@dataclass(frozen=True, slots=True)
class FromCommand:
    """Runs a command for each token: ``{role}`` (``user``, ``admin``) and ``{id}`` are filled in; prints a token."""

    command: str

    def token(self, user_id: str, *, admin: bool) -> str:
        words = [word.format(role="admin" if admin else "user", id=user_id) for word in shlex.split(self.command)]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
        token = ended.stdout.strip()
        if ended.returncode or not token:
            said = ended.stderr.strip() or "it printed nothing"
            raise BadOption(f"--token-command ended with exit status {ended.returncode} for {user_id}: {said}")
        return token


class FromFile:
    """Tokens that somebody has made: lines of ``<user id> <token>``, admins with a third word ``admin``."""

    def __init__(self, path: Path) -> None:
        self._tokens: dict[tuple[str, bool], str] = {}
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            match line.split():
                case []:
                    continue
                case [user_id, token]:
                    self._tokens[user_id, False] = token
                case [user_id, token, "admin"]:
                    self._tokens[user_id, True] = token
                case _:
                    raise BadOption(f"--token-file: line {number} of {path} is not `<user id> <token> [admin]`")

    def ids(self, *, admin: bool) -> list[str]:
        return [user_id for user_id, is_admin in self._tokens if is_admin == admin]

    def token(self, user_id: str, *, admin: bool) -> str:
        return self._tokens[user_id, admin]


class Cast:
    """Hands out roles: which user the next browser of this process is, which admin.

    Args:
        worker, workers: which of how many processes this is. Each takes every ``workers``-th user, so that all of
            them are on stage when there are as many browsers as users, and none twice as often as another.
    """

    def __init__(self, users: Sequence[str], admins: Sequence[str], *, worker: int = 0, workers: int = 1) -> None:
        self.users, self.admins = users, admins
        self._user_numbers = itertools.count(worker, workers)
        self._admin_numbers = itertools.count(worker, workers)

    def next_user(self) -> str:
        return self.users[next(self._user_numbers) % len(self.users)]

    def next_admin(self) -> str:
        return self.admins[next(self._admin_numbers) % len(self.admins)]
