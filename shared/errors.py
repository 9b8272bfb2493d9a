"""The exceptions of the services, under one root.

RealtimeError
├── SettingsError          a setting is missing or wrong: the process must not start
├── InvalidUserId          not a user id as the specification defines it
├── InvalidMessage         a message that may not be published; names the field
├── InvalidToken           a token that proves nothing
├── KeysUnavailable        the keys that would judge a token cannot be fetched just now
├── RedisError
│   ├── RedisUnavailable   nothing was done: Redis is away, or this server is not the one that would do it
│   ├── OutcomeUnknown     sent, but the answer never came: it may or may not have been done
│   └── RedisRefused       Redis answered with an error
└── DatabaseError
    ├── DatabaseUnavailable  the inbox's database is away, hangs, or is not as we need it
    └── DataRefused          it will not have this data
"""

from __future__ import annotations


class RealtimeError(Exception):
    """Root of everything the services raise on purpose."""


class SettingsError(RealtimeError):
    """A setting is missing or wrong. ``str()`` is the one line an operator needs."""


class InvalidUserId(RealtimeError, ValueError):  # for pydantic, which calls shared.ids.user_id as a validator
    def __init__(self, value: object) -> None:
        self.value = value
        super().__init__(value)

    def __str__(self) -> str:
        return f"not a user id (1 to 128 characters of A-Z a-z 0-9 _ : @ -, or an integer): {str(self.value)[:40]!r}"


class InvalidMessage(RealtimeError):
    """A message that may not be published.

    Attributes:
        field: dotted path of the offending field, as the caller wrote it, for example ``message.progress``.
        reason: what is wrong with it.
        part: ``body``, or ``header`` if it is one; of an entry of the queue also ``entry``.
    """

    def __init__(self, field: str, reason: str, part: str = "body") -> None:
        self.field, self.reason, self.part = field, reason, part
        super().__init__(field, reason)

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class InvalidToken(RealtimeError):
    """A token that proves nothing. Never carries the token itself.

    Attributes:
        reason: one of a few fixed words, fit for a metric's label and a close frame.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"token {self.reason}"


class KeysUnavailable(RealtimeError):
    """The keys to verify a token cannot be fetched just now; the token may be valid."""


class RedisError(RealtimeError):
    """A command to Redis failed."""


class RedisUnavailable(RedisError):
    """Redis is away, or what the command concerns is elsewhere in a Redis Cluster; nothing was done."""


class OutcomeUnknown(RedisError):
    """The command was sent, but no answer came: it may or may not have been carried out."""


class RedisRefused(RedisError):
    """Redis answered with an error."""


class DatabaseError(RealtimeError):
    """A statement to the inbox's database failed."""


class DatabaseUnavailable(DatabaseError):
    """The database is away, hangs, or is not as we need it; asking again later helps."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"the database does not answer just now: {self.reason}"


class DataRefused(DatabaseError):
    """The database will not have this data, however often it is asked."""
