"""A doctor says that they have seen a station's correction."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Two columns beside each correction."""
    op.add_column("correction", sa.Column("looked", sa.BigInteger(), nullable=True))
    op.add_column("correction", sa.Column("looked_by", sa.String(length=64), nullable=True))
