"""Who is on duty; where a request has gone on to."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    """Tiers, shifts as they are being written, what was published and sent of them, and each step of a request upwards."""
    op.create_table(
        "tier",
        sa.Column("organisation", sa.String(length=120), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("above", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("organisation", name=op.f("pk_tier")),
    )
    op.create_table(
        "shift",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("organisation", sa.String(length=120), nullable=False),
        sa.Column("department", sa.SmallInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shift")),
        sa.UniqueConstraint("organisation", "department", "start", "end", "name", name="uq_shift_organisation_department_start_end_name"),
    )
    op.create_table(
        "rota",
        sa.Column("organisation", sa.String(length=120), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("shifts", sa.LargeBinary(), nullable=False),
        sa.Column("gaps", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "version", name=op.f("pk_rota")),
    )
    op.create_table(
        "rota_sent",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("station", name=op.f("pk_rota_sent")),
    )
    op.create_table(
        "consult_tier",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("consult", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("tier", sa.SmallInteger(), nullable=False),
        sa.Column("organisation", sa.String(length=120), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "consult", "step", name=op.f("pk_consult_tier")),
    )
    op.create_index("ix_consult_tier_organisation", "consult_tier", ["organisation"])
