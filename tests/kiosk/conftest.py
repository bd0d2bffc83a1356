from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kiosk.station import Station, make


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """A station with one nurse, two patients, an oximeter and a cuff; no collector runs."""
    with make(tmp_path) as made:
        yield made
