"""Bugs planted in the device layer, each caught by what the honest program is tested with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.agent.collect import Collector
from appliance.contract import strips
from appliance.contract.errors import WireError
from appliance.devices.drivers.suntech_nibp import START, State, SuntechNibp
from tests.agent.collecting import TURN_S, Kiosk, Room
from tests.agent.test_cuff_safety import Deaf
from tests.contract.test_strips import pleth
from tests.store.station import Station, station_at


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """A cuff at rest."""
    station = station_at(tmp_path)
    made = Room(station, "suntech-nibp", cycle="60").begin().until_ready()
    yield made
    made.close()
    station.conn.close()


def inflated(room: Room) -> Kiosk:
    """A cycle under way."""
    station: Station = room.station
    kiosk = Kiosk(room)
    assert (kiosk.start(station.session(station.patient())) or {})["accepted"]
    room.run(1.5)
    return kiosk


def starts_when_deaf(room: Room) -> int:
    """How often a start went out for one press whose first replies were lost."""
    Deaf(room, 30)
    kiosk = Kiosk(room)
    kiosk.start(room.station.session(room.station.patient()))
    room.run(6)
    return room.cable.sent.count(START["adult"])


def emptied_on_the_way_out(room: Room) -> bool:
    """Whether a collector that is told to stop in mid-cycle leaves an empty cuff behind."""
    inflated(room)
    turn, collector = room.collector.turn, room.collector

    def turned() -> None:
        turn()
        room.station.hand.seconds += TURN_S

    collector.turn, collector.wait = turned, lambda: None
    collector.leave()
    pressure: int = room.cable.script.device.pressure(room.station.clock.boottime_ns())
    return pressure <= 10


def loses_nothing() -> bool:
    """Whether a wave comes back as it went."""
    try:
        return all(strips.read(strips.write(pleth(seed, seconds=5))) == pleth(seed, seconds=5) for seed in range(3))
    except WireError:
        return False


def test_the_honest_program(room: Room) -> None:
    """One start for one press, an empty cuff behind, every bit of a wave."""
    assert starts_when_deaf(room) == 1
    assert loses_nothing()


def test_an_honest_collector_leaves_an_empty_cuff(room: Room) -> None:
    """SIGTERM in mid-cycle."""
    assert emptied_on_the_way_out(room)


def test_a_start_sent_twice_is_caught(room: Room) -> None:
    """A driver that repeats its start when no reply comes, as every request-reply library does."""
    driver = room.collector._driver
    assert isinstance(driver, SuntechNibp)
    driver._ticks[State.STARTING] = lambda now: driver._send_start(now) if now - driver._sent_ns >= 10**9 else []
    assert starts_when_deaf(room) > 1


def test_an_abort_forgotten_on_sigterm_is_caught(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that just stops, as every program does that does not think of the arm."""
    monkeypatch.setattr(Collector, "leave", lambda _self: None)
    assert not emptied_on_the_way_out(room)


def test_a_coder_that_loses_a_bit_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lowest bit of what is written as it is."""
    honest = strips._Writer.put
    monkeypatch.setattr(strips._Writer, "put", lambda self, value, count: honest(self, value & ~1 if count == 3 else value, count))
    assert not loses_nothing()
