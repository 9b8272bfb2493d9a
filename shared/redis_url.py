"""The address of the server for Redis, as settings write it."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

import redis.asyncio as redis
from pydantic import AfterValidator

_DATABASE: Final = re.compile(r"(/[0-9]*)?")


def _usable(url: str) -> str:
    """Refuse an address that redis-py cannot use, at start instead of at every connection.

    What is wrong is not quoted, nor redis-py's own message: either may hold the password.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme != "unix" and not _DATABASE.fullmatch(parts.path):
            raise ValueError  # redis-py would take it for database 0, where another cluster may live
        redis.ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]  # it does not connect yet
    except ValueError:
        raise ValueError("is not an address that can be read (redis://[user:password@]host:port/database)") from None
    except TypeError:
        raise ValueError("has a parameter (?name=value) that redis-py does not know") from None
    return url


RedisUrl = Annotated[str, AfterValidator(_usable)]
