"""The bridge's schema, step by step, for both databases. `tram-bridge init` alone takes the steps."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from cloud_bridge.store.engine import reading, writing

_LOCK = 0x7472616D
"""PostgreSQL's advisory lock for a migration ("tram"): two `init` at once take turns. SQLite's write lock does it by itself."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "cloud_bridge.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The revision that this code needs."""
    found = ScriptDirectory.from_config(_config()).get_current_head()
    assert found is not None
    return found


def current(engine: Engine) -> str | None:
    """The revision of a database; None for an empty one."""
    with reading(engine) as tx:
        return MigrationContext.configure(tx).get_current_revision()


def migrate(engine: Engine, to: str = "head") -> None:
    """Bring a database to `head` (or to an older revision, for a backup of that time), in one transaction; harmless when it is there."""
    with writing(engine) as tx:
        _take_steps(tx, to)


def _take_steps(tx: Connection, to: str) -> None:
    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = _config()
    config.attributes["connection"] = tx
    command.upgrade(config, to)
