"""The wave of a measurement lies in memory only; a stream writes nothing to the card."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.contract.strips import read
from appliance.database import data_version
from appliance.store import strips
from tests.agent.collecting import Room
from tests.store.station import Station


@pytest.fixture(params=["contec-cms50", "nonin"])
def room(request: pytest.FixtureRequest, station: Station) -> Iterator[Room]:
    """An oximeter with the finger out."""
    made = Room(station, request.param, device="oximeter", finger="out").begin().run(2)
    yield made
    made.close()


def test_a_streaming_minute_writes_nothing_to_the_store(room: Room, station: Station) -> None:
    """One row for the measurement; then, however long the finger stays, not a page of the database changes."""
    station.session(station.patient(), "oximeter")
    room.finger("in").run(14)
    assert len(room.rows()) == 1
    rows, seen = room.conn.total_changes, data_version(station.conn)
    room.run(60)
    assert (room.conn.total_changes, data_version(station.conn)) == (rows, seen)


def test_the_wave_of_a_measurement_is_thirty_seconds_and_never_in_the_store(room: Room, station: Station) -> None:
    """In the run directory, under the reading's key: the wave as the device gave it, SpO2 and pulse of each second."""
    station.session(station.patient(), "oximeter")
    room.finger("in").run(40)
    room.finger("out").run(4)
    (row,) = room.rows()
    kept = strips.kept(station.settings.paths.run, row.key)
    assert kept is not None
    wave, spo2, pulse = read(kept.wave), read(kept.spo2), read(kept.pulse)
    assert 28 <= wave.seconds <= 31
    assert wave.rate in (60, 75)
    assert len(set(wave.samples)) > 10
    assert 29 <= len(spo2.samples) == len(pulse.samples) <= 30
    assert all(85 <= one <= 100 for one in spo2.samples[2:])
    assert len(kept.wave) < len(wave.samples)  # the simulated wave has steps, which no finger has


def test_another_finger_leaves_the_first_ones_wave_alone(room: Room, station: Station) -> None:
    """Each measurement has its own; the older ones go when there are many."""
    station.session(station.patient(), "oximeter")
    room.finger("in").run(14)
    room.finger("out").run(4)
    first = strips.kept(station.settings.paths.run, room.rows()[0].key)
    room.finger("in").run(14)
    room.finger("out").run(4)
    assert strips.kept(station.settings.paths.run, room.rows()[0].key) == first
    assert strips.kept(station.settings.paths.run, room.rows()[1].key) not in (first, None)


def test_a_damaged_or_missing_strip_is_none(tmp_path: Path) -> None:
    """Whatever lies there: nothing is sent that could not be drawn."""
    folder = tmp_path / strips.FOLDER
    folder.mkdir()
    for content in (b"", b"\x80", b"\x83\x41\x01\x41\x01\x41\x01", b"\xff" * 40):
        (folder / "ab").write_bytes(content)
        assert strips.kept(tmp_path, b"\xab") is None
    assert strips.kept(tmp_path, b"\xcd") is None
