"""On what ground a request was sent."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision: str | None = "0008"


def upgrade() -> None:
    """One row for each request that says so; the older ones have none."""
    op.create_table(
        "consult_basis",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("consult", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("basis", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "consult", name=op.f("pk_consult_basis")),
    )
