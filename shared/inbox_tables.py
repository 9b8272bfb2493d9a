"""The inbox's tables, as SQLAlchemy and Alembic see them.

An event's place in its audience's stream, ``<epoch>-<n>``, is its key here too: it orders the inbox, it makes writing
an event twice harmless, and whoever heard it on the socket can name it before it is in the database.

| table | what |
| --- | --- |
| ``inbox_notification`` | an event of an audience: the user's, the admins', everybody's |
| ``inbox_mark`` | what one user has read or deleted of a shared audience, notification by notification |
| ``inbox_reader`` | up to where a user has read everything, per audience; how often its read state has changed |
| ``inbox_span`` | how many unread rows a stretch of a long audience holds, so that nobody counts a million |
| ``inbox_stream`` | up to where nothing is added to an audience any more: what has been removed does not come back |

Times of events are as envelopes bear them: ``published_at`` µs, ``expires_at`` ms since the Unix epoch.
"""

from __future__ import annotations

from typing import Annotated, Final

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, MetaData, String, Text, false
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.ids import ADMIN, ALL, user_of, user_stream

_USER_PREFIX: Final = "user:"
TYPE_LENGTH: Final = 128  # characters of a type that are kept to filter by; the content has it whole


def kept_type(kind: str) -> str:
    r"""Return a message's type as it is kept: PostgreSQL keeps no NUL in text (in the content it is ``\u0000``)."""
    return kind[:TYPE_LENGTH].replace("\0", "\N{REPLACEMENT CHARACTER}")


# Compared byte by byte: a linguistic order would be slower, and nothing needs it.
def _bytes(length: int) -> String:
    return String(length, collation="C").with_variant(String(length), "sqlite")


_Audience = Annotated[str, mapped_column(_bytes(160), primary_key=True)]
_Key = Annotated[int, mapped_column(BigInteger, primary_key=True, autoincrement=False)]
_Number = Annotated[int, mapped_column(BigInteger)]


def audience_of(stream: str) -> str:
    """Return the audience behind a stream's name: ``admin``, ``all`` or ``user:<id>``."""
    return stream if stream in (ADMIN, ALL) else _USER_PREFIX + user_of(stream)


def audience_of_user(user: str) -> str:
    return _USER_PREFIX + user


def stream_of(audience: str) -> str:
    """Return the name of an audience's stream."""
    return user_stream(audience.removeprefix(_USER_PREFIX)) if audience.startswith(_USER_PREFIX) else audience


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "fk": "%(table_name)s_fkey",
        }
    )


class Notification(Base):
    """An event in the inbox of its audience.

    Attributes:
        content: the JSON object as browsers got it, its id included.
        is_read: a personal one that its user has read by itself; of a shared audience everybody has marks.
    """

    __tablename__ = "inbox_notification"

    audience: Mapped[_Audience]
    epoch: Mapped[_Key]
    n: Mapped[_Key]
    type: Mapped[str] = mapped_column(_bytes(TYPE_LENGTH))
    content: Mapped[str] = mapped_column(Text)
    published_at: Mapped[_Number]
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    is_read: Mapped[bool] = mapped_column(server_default=false())


_N: Final = Notification
UNREAD: Final = ~_N.is_read  # in a query as in the partial indexes: databases compare the words
_EXPIRES: Final = _N.expires_at.is_not(None)
Index("inbox_notification_unread", _N.audience, _N.epoch, _N.n, postgresql_where=UNREAD, sqlite_where=UNREAD)
Index("inbox_notification_type", _N.audience, _N.type, _N.epoch, _N.n)
Index(
    "inbox_notification_type_unread",
    _N.audience,
    _N.type,
    _N.epoch,
    _N.n,
    postgresql_where=UNREAD,
    sqlite_where=UNREAD,
)
Index("inbox_notification_age", _N.published_at)
Index("inbox_notification_expiry", _N.expires_at, postgresql_where=_EXPIRES, sqlite_where=_EXPIRES)
EXPIRY_INDEX: Final = "inbox_notification_audience_expiry"
Index(EXPIRY_INDEX, _N.audience, _N.expires_at, postgresql_where=_EXPIRES, sqlite_where=_EXPIRES)


class Mark(Base):
    """What a user has read, or deleted for itself, of a shared audience. It goes with its notification."""

    __tablename__ = "inbox_mark"

    user_id: Mapped[_Audience]
    audience: Mapped[_Audience]
    epoch: Mapped[_Key]
    n: Mapped[_Key]
    deleted: Mapped[bool] = mapped_column(server_default=false())

    __table_args__ = (
        ForeignKeyConstraint(
            ["audience", "epoch", "n"],
            ["inbox_notification.audience", "inbox_notification.epoch", "inbox_notification.n"],
            ondelete="CASCADE",
        ),
        Index("inbox_mark_notification", "audience", "epoch", "n"),
    )


class Reader(Base):
    """A user who has marked something.

    Attributes:
        revision: rises with every change of what the user has read, so that of two counts the newer is known.
        read_user, read_admin, read_all: the place up to which everything of the audience is read, ``<epoch>-<n>``.
    """

    __tablename__ = "inbox_reader"

    user_id: Mapped[_Audience]
    revision: Mapped[_Number]
    read_user: Mapped[str] = mapped_column(String(40))
    read_admin: Mapped[str] = mapped_column(String(40))
    read_all: Mapped[str] = mapped_column(String(40))


class Span(Base):
    """A stretch of an audience, from after the span before it up to a place, and how many of its rows are not read."""

    __tablename__ = "inbox_span"

    audience: Mapped[_Audience]
    epoch: Mapped[_Key]
    n: Mapped[_Key]
    unread: Mapped[_Number]


class Stream(Base):
    """An audience of which something has been removed, or that is long enough for spans; whoever changes it locks it.

    Attributes:
        closed_epoch, closed_n: up to here nothing is added, for it has been here; 0-0 where that is not needed.
    """

    __tablename__ = "inbox_stream"

    audience: Mapped[_Audience]
    closed_epoch: Mapped[_Number]
    closed_n: Mapped[_Number]
