"""Staff of a station, its calls for help, and the heads of its audit chain."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"


def _place() -> tuple["sa.Column[str]", "sa.Column[bytes]", "sa.Column[int]", "sa.Column[int]"]:
    return (
        sa.Column("station", sa.String(length=16), primary_key=True),
        sa.Column("epoch", sa.LargeBinary(), primary_key=True),
        sa.Column("lane", sa.SmallInteger(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), primary_key=True),
    )


def upgrade() -> None:
    """Four tables: who works where, calls for help, audit heads, and what did not agree about them."""
    op.create_table(
        "emergency_call",
        sa.Column("station", sa.String(length=16), primary_key=True),
        sa.Column("call", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=64), nullable=True),
    )
    op.create_table(
        "staff",
        *_place(),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_staff_station_code", "staff", ["station", "code"])
    op.create_table(
        "audit_head",
        *_place(),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("before_count", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_audit_head_station_count", "audit_head", ["station", "count"])
    op.create_index("ix_audit_head_station_before_count", "audit_head", ["station", "before_count"])
    op.create_table(
        "audit_alarm",
        sa.Column("station", sa.String(length=16), primary_key=True),
        sa.Column("entry", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("why", sa.String(length=16), primary_key=True),
        sa.Column("noticed", sa.BigInteger(), nullable=False),
        sa.Column("looked", sa.BigInteger(), nullable=True),
        sa.Column("looked_by", sa.String(length=64), nullable=True),
    )
