"""Settings of the inbox: where it is kept, for how long, and what waits for it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

OFF: Final = "off"
_SCHEMES: Final = ("sqlite", "postgresql", "postgres")
_CENTURY: Final = 36_525  # days; endless ones cannot be reckoned with
_MEBIBYTE: Final = 1024 * 1024


def _known_database(url: SecretStr) -> SecretStr:
    """Refuse unknown databases; the error does not quote the address, which may contain a password."""
    text = url.get_secret_value()
    scheme, separator, rest = text.partition("://")
    named = rest.strip("/") and (scheme != "sqlite" or rest.startswith("/"))  # sqlite://file would name a host
    if text != OFF and (scheme not in _SCHEMES or not separator or not named):
        raise ValueError("is none of postgresql://user:password@host:port/database, sqlite:///file and off")
    return url


class InboxSettings(BaseSettings):
    database_url: Annotated[SecretStr, AfterValidator(_known_database)] = Field(
        SecretStr("sqlite:///videosite-realtime.db"),
        description="The inbox's database: `postgresql://user:password@host:port/database`, `sqlite:///file` for "
        "processes of one host, or `off`. Default: `sqlite:///videosite-realtime.db` in the working directory.",
    )
    database_pool_size: int = Field(5, ge=1, le=100, description="Connections to the database, per process.")
    database_timeout: float = Field(
        5.0, gt=0, le=60, description="Seconds after which a call of the database is given up."
    )
    inbox_retention_days: float = Field(
        30, gt=0, le=_CENTURY, description="Days for which notifications are kept in the inbox."
    )
    archive_max_bytes: int = Field(
        256 * _MEBIBYTE,
        ge=64 * 1024,
        description="Bytes of events that wait in Redis for the database, in each of five streams; beyond it the "
        "oldest are given up and counted.",
    )

    @property
    def has_inbox(self) -> bool:
        return self.database_url.get_secret_value() != OFF
