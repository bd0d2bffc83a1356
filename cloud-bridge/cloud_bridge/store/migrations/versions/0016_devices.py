"""The stations' devices, their calibration and series."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision: str | None = "0015"


def upgrade() -> None:
    """Inventory number and calibration of a device; how well it is heard; its clock; waves that were sent along; linked copies."""
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
    op.add_column("unassigned", sa.Column("twin", sa.LargeBinary(), nullable=True))
    op.create_table(
        "device_clock",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("device", sa.BigInteger(), nullable=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("ahead", sa.BigInteger(), nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "device", "wall", name=op.f("pk_device_clock")),
    )
    op.create_table(
        "consult_strip",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("consult", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("wave", sa.LargeBinary(), nullable=False),
        sa.Column("spo2", sa.LargeBinary(), nullable=False),
        sa.Column("pulse", sa.LargeBinary(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "consult", "key", name=op.f("pk_consult_strip")),
    )
    op.create_table(
        "pressure_taken",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("series", sa.BigInteger(), nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("cuff", sa.SmallInteger(), nullable=False),
        sa.Column("posture", sa.SmallInteger(), nullable=False),
        sa.Column("rested", sa.Integer(), nullable=False),
        sa.Column("unrested", sa.SmallInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "key", name=op.f("pk_pressure_taken")),
    )
    op.create_table(
        "pressure_mean",
        sa.Column("station", sa.String(length=16), nullable=False),
        sa.Column("series", sa.BigInteger(), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Integer(), nullable=False),
        sa.Column("readings", sa.LargeBinary(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("systolic", sa.Integer(), nullable=False),
        sa.Column("diastolic", sa.Integer(), nullable=False),
        sa.Column("pulse", sa.Integer(), nullable=True),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "series", name=op.f("pk_pressure_mean")),
    )
    for table in ("pressure_taken", "pressure_mean"):
        op.create_index(op.f(f"ix_{table}_patient"), table, ["patient"])
