"""The inbox: notifications, what has been read of them, and what makes counting cheap."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_UNREAD = {"postgresql_where": sa.text("NOT is_read"), "sqlite_where": sa.text("is_read = 0")}
_EXPIRES = dict.fromkeys(("postgresql_where", "sqlite_where"), sa.text("expires_at IS NOT NULL"))


def _bytes(length: int) -> sa.String:
    return sa.String(length, collation="C").with_variant(sa.String(length), "sqlite")


def _place() -> list[sa.Column[int] | sa.Column[str]]:
    return [
        sa.Column("audience", _bytes(160), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "inbox_notification",
        *_place(),
        sa.Column("type", _bytes(128), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("is_read", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("audience", "epoch", "n", name="inbox_notification_pkey"),
    )
    _create_indexes()
    op.create_table(
        "inbox_mark",
        sa.Column("user_id", _bytes(160), nullable=False),
        *_place(),
        sa.Column("deleted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(
            ["audience", "epoch", "n"],
            ["inbox_notification.audience", "inbox_notification.epoch", "inbox_notification.n"],
            name="inbox_mark_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "audience", "epoch", "n", name="inbox_mark_pkey"),
    )
    op.create_index("inbox_mark_notification", "inbox_mark", ["audience", "epoch", "n"])
    op.create_table(
        "inbox_reader",
        sa.Column("user_id", _bytes(160), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("read_user", sa.String(40), nullable=False),
        sa.Column("read_admin", sa.String(40), nullable=False),
        sa.Column("read_all", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="inbox_reader_pkey"),
    )
    op.create_table(
        "inbox_span",
        *_place(),
        sa.Column("unread", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("audience", "epoch", "n", name="inbox_span_pkey"),
    )
    op.create_table(
        "inbox_stream",
        sa.Column("audience", _bytes(160), nullable=False),
        sa.Column("closed_epoch", sa.BigInteger(), nullable=False),
        sa.Column("closed_n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("audience", name="inbox_stream_pkey"),
    )


def _create_indexes() -> None:
    table, place, of_type = "inbox_notification", ["audience", "epoch", "n"], ["audience", "type", "epoch", "n"]
    op.create_index("inbox_notification_unread", table, place, **_UNREAD)  # type: ignore[arg-type]
    op.create_index("inbox_notification_type", table, of_type)
    op.create_index("inbox_notification_type_unread", table, of_type, **_UNREAD)  # type: ignore[arg-type]
    op.create_index("inbox_notification_age", table, ["published_at"])
    op.create_index("inbox_notification_expiry", table, ["expires_at"], **_EXPIRES)  # type: ignore[arg-type]
    op.create_index(
        "inbox_notification_audience_expiry",
        table,
        ["audience", "expires_at"],
        **_EXPIRES,  # type: ignore[arg-type]
    )


def downgrade() -> None:
    for table in ("inbox_mark", "inbox_stream", "inbox_span", "inbox_reader", "inbox_notification"):
        op.drop_table(table)
