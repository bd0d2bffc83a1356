"""The stations' devices, their calibration and series."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision: str | None = "0015"


def upgrade() -> None:
    """Inventory number and calibration of a device; how well it is heard."""
    for name in ("inventory", "calibrated", "next_calibration"):
        op.add_column("device", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "device_health",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("device", sa.BigInteger(), nullable=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("alarm", sa.Boolean(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.Column("silence", sa.BigInteger(), nullable=False),
        sa.Column("reopenings", sa.Integer(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "device", name=op.f("pk_device_health")),
    )
