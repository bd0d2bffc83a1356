"""Tokens, certificates, waves and what the fleet says of itself."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision: str | None = "0016"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_SQLITE_KEEPS = (
    "CREATE TRIGGER enrolment_log_stays BEFORE UPDATE ON enrolment_log BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END",
    "CREATE TRIGGER enrolment_log_keeps BEFORE DELETE ON enrolment_log BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END",
)
_POSTGRESQL_KEEPS = (
    """CREATE FUNCTION enrolment_log_keep() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the log is only added to'; END $$""",
    """CREATE TRIGGER enrolment_log_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON enrolment_log
    FOR EACH STATEMENT EXECUTE FUNCTION enrolment_log_keep()""",
)


def upgrade() -> None:
    """What enrolment keeps; its log can only be added to, in either database."""
    _tokens()
    _certificates()
    op.create_table(
        "station_wave",
        sa.Column("station", sa.String(16), nullable=False),
        sa.Column("wave", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("station", name="pk_station_wave"),
    )
    op.create_table(
        "enrolment_log",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("station", sa.String(16), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrolment_log"),
    )
    op.create_index("ix_enrolment_log_station", "enrolment_log", ["station", "at"])
    op.create_table(
        "acceptance",
        sa.Column("station", sa.String(16), nullable=False),
        sa.Column("epoch", sa.LargeBinary(8), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("technician", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("passed", sa.Text(), nullable=False),
        sa.Column("absent", sa.Text(), nullable=False),
        sa.Column("waived", sa.Text(), nullable=False),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "epoch", "lane", "seq", name="pk_acceptance"),
    )
    op.create_table(
        "card_room",
        sa.Column("station", sa.String(16), nullable=False),
        sa.Column("wall", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", name="pk_card_room"),
    )
    for statement in _POSTGRESQL_KEEPS if op.get_bind().dialect.name == "postgresql" else _SQLITE_KEEPS:
        op.execute(statement)


def _tokens() -> None:
    op.create_table(
        "enrolment_token",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("station", sa.String(16), nullable=False),
        sa.Column("technician", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("tier", sa.SmallInteger(), nullable=False),
        sa.Column("long_id", sa.LargeBinary(), nullable=False),
        sa.Column("long_lock", sa.LargeBinary(), nullable=False),
        sa.Column("short_id", sa.LargeBinary(), nullable=False),
        sa.Column("short_lock", sa.LargeBinary(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.Column("used_for", sa.LargeBinary(), nullable=True),
        sa.Column("cancelled", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_enrolment_token"),
    )
    op.create_index("uq_enrolment_token_long_id", "enrolment_token", ["long_id"], unique=True)
    op.create_index("uq_enrolment_token_short_id", "enrolment_token", ["short_id"], unique=True)
    op.create_index("ix_enrolment_token_station", "enrolment_token", ["station"])


def _certificates() -> None:
    op.create_table(
        "certificate",
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("station", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.Column("instead_of", sa.String(40), nullable=False),
        sa.Column("asked", sa.LargeBinary(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("serial", name="pk_certificate"),
    )
    op.create_index("ix_certificate_station", "certificate", ["station"])
