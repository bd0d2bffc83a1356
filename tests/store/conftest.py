"""A station for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.station import Station, station_at


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """A new station; its store is closed with the test."""
    made = station_at(tmp_path)
    yield made
    made.conn.close()
