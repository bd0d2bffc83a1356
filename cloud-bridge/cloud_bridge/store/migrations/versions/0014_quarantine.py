"""Quarantined messages that were read again."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision: str | None = "0013"


def upgrade() -> None:
    """When a message was last read again and what came of it; the events that wait for an update are found without reading all."""
    op.add_column("relay_quarantine", sa.Column("tried", sa.BigInteger(), nullable=True))
    op.add_column("relay_quarantine", sa.Column("outcome", sa.Text(), nullable=False, server_default=""))
    unread = sa.text("why IS NOT NULL")
    op.create_index("ix_relay_event_why", "relay_event", ["station"], sqlite_where=unread, postgresql_where=unread)
