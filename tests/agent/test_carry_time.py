"""How `tram carry` comes to the time: from the settings, the pinned key and the bridge's real door."""

import io
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import journal
from appliance.agent.asking import NO_CHECK_TIME
from appliance.agent.carry import door_of, timekeeper
from appliance.agent.clock import Clock, read_learnt
from appliance.contract.events import ClockAnchor
from appliance.contract.readings import TICK_NS, ClockQuality
from appliance.database import transaction
from appliance.settings import Settings, load
from appliance.store import keys
from tests.bridge.test_door import KEY, WALL, Standing
from tests.store.station import Station, settings_at


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Standing]:
    """The bridge's door."""
    (tmp_path / "door").mkdir()
    standing = Standing(tmp_path / "door")
    yield standing
    standing.close()


def settings_of(folder: Path, door: Standing) -> Settings:
    """Settings that name the door and its authority."""
    settings_at(folder, f'[door]\nhost = "127.0.0.1"\nport = {door.port}\nca = "{door.ca}"\n')
    return load([folder / "tram.toml"])


def test_a_box_of_1970_learns_the_time_and_judges_certificates_by_it(station: Station, door: Standing, tmp_path: Path) -> None:
    """One turn: an anchor, a file for the other processes, stamps that are right, and a TLS that no longer asks the system's clock."""
    with transaction(station.conn):
        keys.pin(station.conn, "time", 3, KEY.public_key().public_bytes_raw())
    settings = settings_of(tmp_path, door)
    run = settings.paths.run
    clock = Clock(
        1, boot=5, boottime=lambda: 100 * 10**9, wall=lambda: 100 * 10**9, quality=lambda: ClockQuality.UNKNOWN,
        learnt=lambda: read_learnt(run, 5), zero=WALL - 10**9,
    )  # fmt: skip
    context = ssl.create_default_context()
    keeper = timekeeper(station.conn, settings, clock, journal.open("carry", io.StringIO()), context)
    assert keeper.turn(0.0)
    (said,) = station.events(ClockAnchor.KIND)
    assert isinstance(said.body, ClockAnchor)
    assert (said.body.boot, said.body.ticks, said.body.wall, said.body.source) == (5, 1000, WALL, "bridge")
    assert (clock.stamp().wall, clock.stamp().quality) == (WALL, ClockQuality.SYNCED)
    assert clock.system() == 100 * 10**9 // TICK_NS
    assert int(context.verify_flags) & NO_CHECK_TIME


def test_without_a_pinned_key_or_a_door_nobody_is_asked(station: Station, door: Standing, tmp_path: Path) -> None:
    """A time that nothing vouches for is not learnt."""
    assert door_of(station.conn, settings_of(tmp_path, door), station.clock) is None
    with transaction(station.conn):
        keys.pin(station.conn, "time", 3, KEY.public_key().public_bytes_raw())
    assert door_of(station.conn, settings_of(tmp_path, door), station.clock) is not None
    assert door_of(station.conn, station.settings, station.clock) is None
