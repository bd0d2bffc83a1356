"""Second factors, sessions, organisation walls, the access log, who has taken note of an emergency."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_SQLITE_KEEPS = (
    "CREATE TRIGGER access_log_stays BEFORE UPDATE ON access_log BEGIN SELECT RAISE(ABORT, 'the access log is only added to'); END",
    "CREATE TRIGGER access_log_keeps BEFORE DELETE ON access_log BEGIN SELECT RAISE(ABORT, 'the access log is only added to'); END",
)
_POSTGRESQL_KEEPS = (
    """CREATE FUNCTION access_log_keep() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the access log is only added to'; END $$""",
    """CREATE TRIGGER access_log_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON access_log
    FOR EACH STATEMENT EXECUTE FUNCTION access_log_keep()""",
)


def upgrade() -> None:
    """The tables of the console; the access log can only be added to, in either database."""
    op.add_column("account", sa.Column("second_needed", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("consult", sa.Column("staff_name", sa.Text(), nullable=False, server_default=""))
    _factors()
    _seen()
    for statement in _POSTGRESQL_KEEPS if op.get_bind().dialect.name == "postgresql" else _SQLITE_KEEPS:
        op.execute(statement)


def _factors() -> None:
    op.create_table(
        "second_factor",
        sa.Column("login", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("confirmed", sa.BigInteger(), nullable=True),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("login", name="pk_second_factor"),
    )
    op.create_table(
        "recovery_code",
        sa.Column("login", sa.String(64), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("login", "digest", name="pk_recovery_code"),
    )
    op.create_table(
        "console_session",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("login", sa.String(64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("began", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_console_session"),
    )


def _seen() -> None:
    op.create_table(
        "access_log",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("login", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("station", sa.String(16), nullable=False),
        sa.Column("patient", sa.BigInteger(), nullable=True),
        sa.Column("consult", sa.BigInteger(), nullable=True),
        sa.Column("what", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_log"),
    )
    op.create_index("ix_access_log_station_patient_at", "access_log", ["station", "patient", "at"])
    op.create_table(
        "noticed",
        sa.Column("station", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("login", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "kind", "number", name="pk_noticed"),
    )
