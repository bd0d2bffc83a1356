"""What a verified backup holds, and what the bridge has asked for again of each attachment."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision: str | None = "0009"


def upgrade() -> None:
    """Backups with their high-water marks; how often a content was asked for again, and why."""
    op.create_table(
        "backup",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backup")),
    )
    op.create_table(
        "relay_safe",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.LargeBinary(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=False),
        sa.Column("holes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("station", "epoch", "lane", name=op.f("pk_relay_safe")),
    )
    op.add_column("content", sa.Column("asked", sa.SmallInteger(), nullable=True))
    op.add_column("content", sa.Column("why", sa.String(length=16), nullable=True))
    coming = sa.text("state = 0")
    op.create_index("ix_content_coming", "content", ["station"], unique=False, postgresql_where=coming, sqlite_where=coming)
