"""What corrected times are worked out from."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision: str | None = "0012"


def upgrade() -> None:
    """The boots a station has spoken of, readings whose stamps are far off, and a way to find the unsure ones of a boot."""
    op.create_table(
        "boot_seen",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("boot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("ticks", sa.BigInteger(), nullable=False),
        sa.Column("most", sa.BigInteger(), nullable=False),
        sa.Column("guess", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "epoch", "boot", name=op.f("pk_boot_seen")),
    )
    op.create_table(
        "retimed",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "key", name=op.f("pk_retimed")),
    )
    unsure = sa.text("quality < 2")
    op.create_index("ix_observation_unsure", "observation", ["station", "boot"], sqlite_where=unsure, postgresql_where=unsure)
