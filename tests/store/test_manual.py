"""What a person types becomes a measurement of the device *manual*, once, in its own session."""

import pytest

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Numeric, ReadingKind, Source
from appliance.store import devices, manual, measuring
from appliance.store.errors import Refused
from tests.store.station import Station

PULSE = (Numeric(Metric.PULSE_RATE, 72),)
WARM = (Numeric(Metric.TEMPERATURE, 368, scale=1),)


def at(station: Station) -> measuring.Session:
    """A session of the nurse's place at the device, for a new patient."""
    opened = station.session(station.patient(), manual.slot("an"))
    found = measuring.session(station.conn, opened)
    assert found is not None
    return found


def test_what_is_typed_says_so_for_ever(station: Station) -> None:
    """Source, device and rule are in the reading; the device is announced to the bridge once."""
    it = at(station)
    number = manual.enter(station.conn, it, ReadingKind.VITAL_SIGNS, PULSE, now=station.now, rule=102, test=True)
    row = measuring.measurement(station.conn, number)
    assert row is not None and (row.reading.source, row.reading.rule, row.patient) == (Source.MANUAL, 102, it.patient)
    assert row.reading.status == Status.TEST_DATA
    known = devices.get(station.conn, row.reading.device)
    assert known is not None and (known.name, known.driver) == ("Nhập tay", "manual")
    measuring.record(station.conn, number, staff="an", now=station.later(1))
    manual.enter(station.conn, it, ReadingKind.TEMPERATURE, WARM, now=station.later(1))
    assert len(station.events(50)) == 1


def test_the_same_again_is_the_same_and_something_else_waits(station: Station) -> None:
    """A second press of the same form meets its own measurement, also seconds later; another value is refused meanwhile."""
    it = at(station)
    first = manual.enter(station.conn, it, ReadingKind.VITAL_SIGNS, PULSE, now=station.now)
    assert manual.enter(station.conn, it, ReadingKind.VITAL_SIGNS, PULSE, now=station.later(3)) == first
    with pytest.raises(Refused):
        manual.enter(station.conn, it, ReadingKind.TEMPERATURE, WARM, now=station.now)
    measuring.discard(station.conn, first, reason="other", staff="an", now=station.now)
    assert manual.enter(station.conn, it, ReadingKind.VITAL_SIGNS, PULSE, now=station.later(3)) != first


def test_nothing_is_typed_into_a_session_that_is_over_or_another_devices(station: Station) -> None:
    """After ten minutes, after its end, and in a session of the cuff."""
    it = at(station)
    measuring.end_session(station.conn, it.id, "finished", station.later(1))
    ended = measuring.session(station.conn, it.id)
    cuff = measuring.session(station.conn, station.session(it.patient))
    late = at(station)
    station.later(601)
    assert ended is not None and cuff is not None
    for session in (ended, cuff, late):
        with pytest.raises(Refused):
            manual.enter(station.conn, session, ReadingKind.VITAL_SIGNS, PULSE, now=station.now)
    assert station.count("measurement") == 0


def test_what_cannot_be_true_is_not_taken(station: Station) -> None:
    """Whatever a form let through."""
    with pytest.raises(Refused):
        manual.enter(station.conn, at(station), ReadingKind.SPO2, (Numeric(Metric.SPO2, 101),), now=station.now)
    assert station.count("measurement") == 0


def test_two_in_the_same_tenth_of_a_second_are_not_mixed(station: Station) -> None:
    """The same value for two patients at one moment: the second is asked for again, nobody gets the other's."""
    one = at(station)
    other = measuring.session(station.conn, station.session(station.patient("Thử Nghiệm Hai"), manual.slot("an2")))
    assert other is not None
    first = manual.enter(station.conn, one, ReadingKind.VITAL_SIGNS, PULSE, now=station.now)
    theirs = measuring.Session(**{name: getattr(other, name) for name in other.__slots__} | {"staff": "an2"})
    with pytest.raises(Refused):
        manual.enter(station.conn, theirs, ReadingKind.VITAL_SIGNS, PULSE, now=station.now)
    row = measuring.measurement(station.conn, first)
    assert row is not None and row.patient == one.patient
    assert manual.enter(station.conn, theirs, ReadingKind.VITAL_SIGNS, PULSE, now=station.later(0.1)) != first
