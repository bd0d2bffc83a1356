"""The two ends of the relay: what came up, what goes down."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """The two ends of the relay: what came up, what goes down."""
    op.create_table(
        "relay_event",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("station", "epoch", "lane", "seq", name=op.f("pk_relay_event")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "relay_fragment",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "digest", "part", name=op.f("pk_relay_fragment")),
    )
    op.create_table(
        "relay_inbox",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("contiguous", sa.BigInteger(), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=False),
        sa.Column("holes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("station", "epoch", "lane", name=op.f("pk_relay_inbox")),
    )
    op.create_table(
        "relay_lane",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.Column("frozen", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("top", sa.BigInteger(), nullable=False),
        sa.Column("holes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("station", "origin", "epoch", "lane", name=op.f("pk_relay_lane")),
    )
    op.create_index(
        "ix_relay_lane_waiting",
        "relay_lane",
        ["station"],
        unique=False,
        postgresql_where=sa.text("frozen < next - 1"),
        sqlite_where=sa.text("frozen < next - 1"),
    )
    op.create_table(
        "relay_outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=True),
        sa.Column("crc", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relay_outbox")),
    )
    op.create_index("uq_relay_outbox_place", "relay_outbox", ["station", "origin", "epoch", "lane", "seq"], unique=True)
    op.create_table(
        "relay_parcel",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_relay_parcel")),
    )
    op.create_index(
        "ix_relay_parcel_open",
        "relay_parcel",
        ["station", "number"],
        unique=False,
        postgresql_where=sa.text("state = 0"),
        sqlite_where=sa.text("state = 0"),
    )
    op.create_table(
        "relay_peer",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("said", sa.BigInteger(), nullable=False),
        sa.Column("heard", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_relay_peer")),
    )
    op.create_table(
        "relay_quarantine",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("origin", sa.LargeBinary(), nullable=True),
        sa.Column("lane", sa.SmallInteger(), nullable=True),
        sa.Column("first_seq", sa.BigInteger(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_relay_quarantine")),
    )
    op.create_index("ix_relay_quarantine_place", "relay_quarantine", ["station", "origin", "lane"], unique=False)
    op.create_index("uq_relay_quarantine_message", "relay_quarantine", ["station", "digest"], unique=True)
