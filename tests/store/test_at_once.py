"""A reading that is saved the moment it settles: the rows of the two steps, and none where one of the checks does not hold."""

from collections.abc import Callable

import pytest

from appliance.contract.lanes import Lane
from appliance.contract.readings import Reading
from appliance.database import transaction
from appliance.store import measuring
from tests.store.station import Station

TABLES = {
    "measurement": "key, device, session, reading, raw, boot, ticks, wall, state, why, decided_by, decided, crc",
    "observation": "key, patient, measurement, reading, lane, seq, epoch, marks, staff, wall, state, crc",
    "vital": "patient, wall, device, source, status, systolic, diastolic, spo2, pulse, temperature",
    "outbox": "epoch, lane, kind, body, at, state, crc",
}


def at_once(station: Station, session: int, reading: Reading) -> tuple[measuring.Observed, measuring.Recorded] | None:
    """Save a reading of this moment in one breath."""
    with transaction(station.conn):
        return measuring.save_at_once(station.conn, reading, device="cuff", session=session, now=station.now, raw=b"\x01\x02")


def rows(station: Station) -> dict[str, list[tuple[object, ...]]]:
    """Everything that stands in the tables a reading goes to."""
    return {name: [tuple(row) for row in station.conn.execute(f"SELECT {columns} FROM {name}")] for name, columns in TABLES.items()}


def test_one_breath_writes_what_the_two_steps_write(station: Station) -> None:
    """The same reading by either way leaves the same rows, down to the bytes of the event, and the same answer."""
    session, reading = station.session(station.patient()), station.reading()
    station.conn.execute("SAVEPOINT both")
    seen = measuring.observe_within(station.conn, reading, device="cuff", began=session, now=station.now, raw=b"\x01\x02")
    recorded = measuring.record_within(station.conn, seen.measurement, staff="an", now=station.now)
    two_steps = rows(station)
    station.conn.execute("ROLLBACK TO both")
    station.conn.execute("RELEASE both")
    assert at_once(station, session, reading) == (seen, recorded)
    assert rows(station) == two_steps
    assert len(two_steps["observation"]) == len(two_steps["measurement"]) == 1
    assert measuring.record(station.conn, seen.measurement, staff="an", now=station.now) == recorded


def test_a_reading_of_a_patient_who_waits_for_an_answer_takes_the_fast_lane(station: Station) -> None:
    """With a request open the reading goes in lane CONSULT, as by the two steps."""
    patient = station.patient()
    station.conn.execute(
        "INSERT INTO consult (patient, urgency, department, complaint, staff, epoch, lane, seq, boot, ticks, saved, outbox, body, crc)"
        " VALUES (?, 1, 1, '', 'an', 1, 0, 1, 1, 1, 1, 1, x'', 0)",
        (patient,),
    )
    done = at_once(station, station.session(patient), station.reading())
    assert done is not None and done[1].lane == Lane.CONSULT


def ended(station: Station, session: int) -> Reading:
    """The session is over."""
    measuring.end_session(station.conn, session, "finished", station.later(1))
    return station.reading()


def expired(station: Station, _session: int) -> Reading:
    """Its time has run out."""
    station.later(601)
    return station.reading()


def erased(station: Station, _session: int) -> Reading:
    """The patient is nobody any more."""
    station.conn.execute("UPDATE patient SET erased = 1")
    return station.reading()


def impossible(station: Station, _session: int) -> Reading:
    """The numbers cannot be true."""
    return station.reading(systolic=40)


def repeated(station: Station, session: int) -> Reading:
    """The reading is here already."""
    reading = station.reading()
    station.observe(session, reading)
    return reading


def anothers(station: Station, _session: int) -> Reading:
    """Somebody else was opened on the device meanwhile."""
    station.session(station.patient("Thử Nghiệm Hai"))
    return station.reading()


@pytest.mark.parametrize("what", [ended, expired, erased, impossible, repeated, anothers])
def test_where_a_check_does_not_hold_nothing_is_written(station: Station, what: Callable[[Station, int], Reading]) -> None:
    """None says that the two steps have to decide; no row was made before it was said."""
    session = station.session(station.patient())
    reading = what(station, session)
    before = rows(station)
    assert at_once(station, session, reading) is None
    assert rows(station) == before


def test_another_device_or_an_unknown_session_is_not_saved_at_once(station: Station) -> None:
    """A session is one device's; a number nobody opened is no session."""
    other = station.session(station.patient(), device="oximeter")
    assert at_once(station, other, station.reading()) is None
    assert at_once(station, other + 1, station.reading()) is None
