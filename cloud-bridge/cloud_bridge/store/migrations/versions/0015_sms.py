"""Emergency messages that came by telephone network."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision: str | None = "0014"


def upgrade() -> None:
    """One table."""
    op.create_table(
        "sms_message",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("call", sa.BigInteger(), nullable=False),
        sa.Column("consult", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "digest", name=op.f("pk_sms_message")),
    )
