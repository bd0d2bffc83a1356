from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kiosk.room import Room
from tests.kiosk.station import Station, make


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """A station with one nurse, two patients, an oximeter and a cuff; no collector runs."""
    with make(tmp_path) as made:
        yield made


@pytest.fixture
def oximeter(station: Station) -> Iterator[Room]:
    """A real collector with a simulated oximeter, no finger in it."""
    room = Room(station, "oxi", finger="out")
    yield room.ready()
    room.close()


@pytest.fixture
def cuff(station: Station) -> Iterator[Room]:
    """A real collector with a simulated cuff whose cycles last 6 seconds."""
    room = Room(station, "cuff", cycle="6")
    yield room.ready()
    room.close()
