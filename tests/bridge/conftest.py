"""Fixtures of the bridge's tests: a migrated database of each kind."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from cloud_bridge.store import migrations
from cloud_bridge.store.engine import open_engine


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated, empty database: SQLite, then PostgreSQL."""
    engine = open_engine(database_url)
    migrations.migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def lite(tmp_path) -> Iterator[Engine]:
    """A migrated, empty SQLite database."""
    engine = open_engine(f"sqlite:///{tmp_path / 'bridge.sqlite'}")
    migrations.migrate(engine)
    yield engine
    engine.dispose()
