"""A live and a memory copy of one measurement: linked, shown as one, both kept."""

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.duplicates import DEAD_CLOCK, FUTURE, NEAR, NO_DATE, ZONE, device_wall, doubt, measured_at, offset_of, twins
from appliance.contract.events import DeviceClockRead, MeasurementUnassigned
from appliance.contract.metrics import Metric
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Source, Stamp
from appliance.database import transaction
from appliance.store import measuring, memory
from appliance.store.measuring import State
from tests.store.station import CUFF, Station


def text(wall: int) -> str:
    """A time as a device would say it, whole seconds."""
    return datetime.fromtimestamp(wall // 10, ZONE).replace(tzinfo=None).isoformat()


def from_memory(station: Station, live: Reading, *, off: float = 0.0, said: str | None = None) -> Reading:
    """The memory's copy of `live`, as the device says it `off` seconds from the true time; without the mean, as most cuffs store it."""
    stored = tuple(each for each in live.numerics if each.metric is not Metric.MEAN)
    time = text(live.stamp.wall + int(off * 10)) if said is None else said
    return replace(live, numerics=stored, stamp=station.now, source=Source.MEMORY, device_time=time, ordinal=3)


def test_the_copy_is_linked_and_the_tray_shows_one(station: Station) -> None:
    """Both rows are there; only the live one is anybody's business."""
    patient = station.patient()
    live = station.reading()
    first = station.observe(station.session(patient), live)
    measuring.record(station.conn, first.measurement, staff="an", now=station.later(2))
    station.later(300)
    copy = station.observe(None, from_memory(station, live))
    row = measuring.measurement(station.conn, copy.measurement)
    assert row is not None
    assert (copy.state, row.state, row.twin) == ("unassigned", State.UNASSIGNED, first.measurement)
    assert measuring.unassigned(station.conn) == []
    assert memory.copies(station.conn, first.measurement) == 1
    assert len(measuring.observations(station.conn, patient)) == 1


def test_a_second_download_adds_no_second_copy(station: Station) -> None:
    """The reading key does that: device, memory place, device time and values are the same again."""
    live = station.reading()
    station.observe(station.session(station.patient()), live)
    stored = from_memory(station, live)
    assert station.observe(None, stored).state == "unassigned"
    station.later(60)
    assert station.observe(None, replace(stored, stamp=station.now)).state == "repeat"


@pytest.mark.parametrize(("off", "linked"), [(0, True), (89, True), (-89, True), (92, False), (-92, False)])
def test_copies_lie_at_most_ninety_seconds_apart(station: Station, off: int, linked: bool) -> None:
    """By the device's own time, where its clock was not read."""
    live = station.reading()
    first = station.observe(None, live)
    copy = station.observe(None, from_memory(station, live, off=off))
    row = measuring.measurement(station.conn, copy.measurement)
    assert row is not None
    assert row.twin == (first.measurement if linked else None)
    assert len(measuring.unassigned(station.conn)) == (1 if linked else 2)


def test_a_clock_that_is_off_by_a_year_still_finds_its_copy(station: Station) -> None:
    """Its offset was measured when the memory was read: the raw time is kept, the distance is taken into account."""
    year = 365 * 24 * 3600.0
    live = station.reading()
    first = station.observe(None, live)
    station.later(60)
    with transaction(station.conn):
        memory.keep_clock(station.conn, CUFF, text(station.now.wall - int(year * 10)), station.now)
    copy = station.observe(None, from_memory(station, live, off=-year))
    row = measuring.measurement(station.conn, copy.measurement)
    assert row is not None
    assert row.twin == first.measurement
    assert row.reading.device_time == text(live.stamp.wall - int(year * 10))
    assert memory.offset(station.conn, row.reading) == pytest.approx(-year, abs=1)
    (said,) = station.events(DeviceClockRead.KIND)
    assert said.body.ahead == memory.offset(station.conn, row.reading)


def test_other_values_are_another_measurement(station: Station) -> None:
    """Two readings in the same minute are legal (decision 3)."""
    station.observe(None, station.reading(115))
    station.observe(None, from_memory(station, station.reading(116)))
    assert len(measuring.unassigned(station.conn)) == 2


def test_another_device_is_another_measurement(station: Station) -> None:
    """The same numbers from the cuff beside it."""
    live = station.reading()
    station.observe(None, live)
    station.observe(None, replace(from_memory(station, live), device=CUFF + 1), device="cuff-2")
    assert len(measuring.unassigned(station.conn)) == 2


def test_the_copy_travels_with_its_link(station: Station) -> None:
    """Sent without a patient after a quarter of an hour; the reading key of the live one stands beside it."""
    live = station.reading()
    station.saved(station.patient())
    first = station.observe(station.session(station.patient("Thử Nghiệm Hai")), live)
    station.observe(None, from_memory(station, live))
    station.later(20 * 60)
    assert measuring.send_unassigned(station.conn, station.now) == 1
    (event,) = station.events(MeasurementUnassigned.KIND)
    assert event.body.twin == first.key == live.key


@given(st.integers(-2000, 2000), st.integers(-(10**9), 10**9))
def test_the_rule_is_the_same_from_both_sides(apart: int, wall: int) -> None:
    """Which of the two is looked at first changes nothing; two live or two memory rows are never copies."""
    live = Reading(*_SAMPLE, source=Source.LIVE)
    stored = Reading(*_SAMPLE, source=Source.MEMORY, device_time="2026-11-22T08:00:00")
    assert twins(live, stored, apart) == twins(stored, live, -apart) == (abs(apart) <= NEAR)
    assert not twins(live, live, 0)
    assert not twins(stored, stored, 0)
    assert measured_at(live, wall) == wall


_NOW = 17_953_092_000


def _sample() -> tuple:
    numerics = (Numeric(Metric.SYSTOLIC, 115), Numeric(Metric.DIASTOLIC, 74), Numeric(Metric.PULSE_RATE, 85))
    return ReadingKind.BLOOD_PRESSURE, 4711, numerics, Stamp(1, 1, 1, _NOW, ClockQuality.SYNCED)


_SAMPLE = _sample()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("2026-11-22T07:58:00", ""), ("2025-01-03T10:00:00", ""), ("2004-01-07T11:24:52", DEAD_CLOCK), ("2044-06-01T13:19:00", DEAD_CLOCK),
        ("2007-12-06T12:10:00", DEAD_CLOCK), ("2010-01-01T14:00:00", DEAD_CLOCK), ("2027-03-01T08:00:00", FUTURE), (None, NO_DATE),
        ("08:15", NO_DATE), ("07-Jan-04", NO_DATE), ("", NO_DATE),
    ],
)  # fmt: skip
def test_a_date_that_cannot_be_is_flagged_and_left_alone(said: str | None, why: str) -> None:
    """2004, 2007, 2010, 2044: seen on devices whose battery had been dead. What it said stays as it was said."""
    reading = Reading(*_SAMPLE, source=Source.MEMORY, device_time=said, ordinal=1)
    assert doubt(reading) == why
    assert reading.device_time == said


def test_a_box_without_time_does_not_judge_the_future() -> None:
    """Where nothing keeps the box's clock it may be the box that is wrong."""
    kind, device, numerics, stamp = _SAMPLE
    reading = Reading(kind, device, numerics, replace(stamp, quality=ClockQuality.UNKNOWN), Source.MEMORY, "2027-03-01T08:00:00", 1)
    assert doubt(reading) == ""


@given(st.integers(0, 2**33), st.integers(-(10**7), 10**7))
def test_an_offset_is_what_was_measured(seconds: int, ahead: int) -> None:
    """Seconds; positive for a clock that is ahead of the box's."""
    said = text((seconds + 10**8 + ahead) * 10)
    assert offset_of(said, (seconds + 10**8) * 10) == ahead
    assert device_wall(said) == (seconds + 10**8 + ahead) * 10
