"""Whose reading it is: the wrong-patient race, the tray, and what is said about a reading on its way into a record."""

import pytest

from appliance.contract.events import Marks, MeasurementDiscarded, MeasurementUnassigned, ObservationRecorded
from appliance.contract.lanes import Lane
from appliance.contract.metrics import Status
from appliance.contract.readings import ClockQuality
from appliance.database import transaction
from appliance.store import measuring
from appliance.store.errors import Damaged, Refused
from appliance.store.measuring import State
from tests.store.station import Station

# --- the wrong-patient race -------------------------------------------------------------------------------------------


def test_a_reading_that_began_and_settled_in_one_session_is_that_patients(station: Station) -> None:
    """The usual case: settled, saved, one observation and one event with the patient, the reading and its own time."""
    patient = station.patient()
    session = station.session(patient)
    reading = station.reading()
    seen = station.observe(session, reading)
    assert (seen.state, seen.key, seen.why) == ("settled", reading.key, "")
    station.later(7)
    recorded = measuring.record(station.conn, seen.measurement, staff="an", now=station.now)
    assert (recorded.patient, recorded.key, recorded.lane) == (patient, reading.key, Lane.READINGS)
    (event,) = station.events(ObservationRecorded.KIND)
    assert event.body == ObservationRecorded(patient, reading, saved_after=7)
    assert (event.stamp, event.actor) == (reading.stamp, "an")


def test_another_patient_opened_in_mid_measurement(station: Station) -> None:
    """The cuff was filled for one, then another was opened: the result is nobody's, and saving it is refused."""
    first, second = station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Hai")
    began = station.session(first)
    station.later(20)
    other = station.session(second)
    station.later(20)
    seen = station.observe(began)
    assert (seen.state, seen.why) == ("unassigned", measuring.SESSION_CHANGED)
    with pytest.raises(Refused, match="not waiting to be saved"):
        measuring.record(station.conn, seen.measurement, staff="an", now=station.now)
    assert measuring.latest(station.conn, other) == []
    assert station.events(ObservationRecorded.KIND) == []


@pytest.mark.parametrize("why", ["screen-closed", "blanked", "finished"])
def test_the_screen_was_closed_in_mid_measurement(station: Station, why: str) -> None:
    """The session ended before the result came: the result lies in the tray and says so."""
    began = station.session(station.patient())
    measuring.end_session(station.conn, began, why, station.later(5))
    seen = station.observe(began, station.reading())
    assert (seen.state, seen.why) == ("unassigned", measuring.SESSION_ENDED)


def test_the_device_reconnected_in_mid_measurement(station: Station) -> None:
    """The collector says why it cannot vouch for the placement: the tray, although the session stands."""
    began = station.session(station.patient())
    seen = station.observe(began, reason=measuring.RECONNECTED)
    assert (seen.state, seen.why) == ("unassigned", "reconnected")


def test_two_kiosks_open_the_same_device(station: Station) -> None:
    """Two screens, one cuff: the later one has it, the earlier one's result is nobody's, and each can only save its own."""
    one, two = station.conn, station.second()
    first, second = station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Hai")
    a = measuring.open_session(one, patient=first, staff="an", device="cuff", now=station.now)
    b = measuring.open_session(two, patient=second, staff="binh", device="cuff", now=station.later(1))
    assert measuring.session(two, a.id) is not None
    standing = [each for each in (a.id, b.id) if (row := measuring.session(one, each)) is not None and row.ended is None]
    assert standing == [b.id]
    lost, kept = station.observe(a.id, station.reading(120)), station.observe(b.id, station.reading(121))
    assert (lost.state, kept.state) == ("unassigned", "settled")
    assert measuring.record(two, kept.measurement, staff="binh", now=station.now).patient == second
    two.close()


def test_two_kiosks_measure_with_two_devices(station: Station) -> None:
    """Another device is another matter: both sessions stand side by side, and each reading goes to its own."""
    first, second = station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Hai")
    a, b = station.session(first, "cuff"), station.session(second, "oximeter")
    assert station.observe(a, station.reading(120)).state == "settled"
    assert station.observe(b, station.reading(121), device="oximeter").state == "settled"
    crossed = station.observe(a, station.reading(122), device="oximeter")
    assert (crossed.state, crossed.why) == ("unassigned", measuring.OTHER_DEVICE)


def test_the_same_patient_opened_again_still_breaks_the_measurement(station: Station) -> None:
    """Nobody knows what happened between the two sessions: what began in the first is not the second's."""
    patient = station.patient()
    began = station.session(patient)
    station.later(1)
    station.session(patient)
    assert station.observe(began).state == "unassigned"


def test_a_session_ends_by_itself_after_ten_minutes(station: Station) -> None:
    """One tick before its end a reading settles in it, at its end no more; nobody can open a longer one."""
    patient = station.patient()
    began = station.session(patient)
    station.later(599.9)
    assert station.observe(began, station.reading(120)).state == "settled"
    station.later(0.1)
    late = station.observe(began, station.reading(121))
    assert (late.state, late.why) == ("unassigned", measuring.SESSION_EXPIRED)
    with pytest.raises(ValueError, match="10 minutes"):
        measuring.open_session(station.conn, patient=patient, staff="an", device="cuff", now=station.now, minutes=11)


def test_no_session_no_patient(station: Station) -> None:
    """Somebody measured with nothing open: the tray."""
    seen = station.observe(None)
    assert (seen.state, seen.why) == ("unassigned", measuring.NO_SESSION)


def test_a_session_does_not_outlive_a_power_cut(station: Station) -> None:
    """After a restart the ticks begin again: an old session never stands by chance, whatever its numbers say."""
    began = station.session(station.patient())
    station.power_cut()
    station.hand.seconds = 1001.0
    assert measuring.session_for(station.conn, "cuff", station.now) is None
    seen = station.observe(began)
    assert (seen.state, seen.why) == ("unassigned", measuring.RESTARTED)


def test_the_first_sample_finds_the_session_of_its_own_moment(station: Station) -> None:
    """`session_for` answers for the moment asked: before, within, after, and for that device alone."""
    before = station.now
    station.later(1)
    session = station.session(station.patient())
    within = station.later(10)
    measuring.end_session(station.conn, session, "finished", station.later(1))
    after = station.later(1)
    found = [measuring.session_for(station.conn, "cuff", moment) for moment in (before, within, after)]
    assert [None if one is None else one.id for one in found] == [None, session, None]
    assert measuring.session_for(station.conn, "oximeter", within) is None


def test_the_tenth_of_a_second_in_which_the_patient_changed_is_nobodys(station: Station) -> None:
    """A first sample in the very tick in which one session ended and the next began belongs to neither."""
    station.session(station.patient("Thử Nghiệm Một"))
    change = station.later(5)
    second = station.session(station.patient("Thử Nghiệm Hai"))
    assert measuring.session_for(station.conn, "cuff", change) is None
    found = measuring.session_for(station.conn, "cuff", station.later(0.1))
    assert found is not None
    assert found.id == second


def test_a_session_needs_a_patient_and_a_person(station: Station) -> None:
    """Nobody can be measured who is not here, and nobody measures without a name."""
    with pytest.raises(Refused):
        station.session(99)
    with pytest.raises(Refused):
        measuring.open_session(station.conn, patient=station.patient(), staff="", device="cuff", now=station.now)
    assert station.count("session") == 0


# --- once -------------------------------------------------------------------------------------------------------------


def test_the_same_reading_again_is_once(station: Station) -> None:
    """A memory read twice in one patient's sessions: one row, and the answer says that it is a repeat."""
    patient = station.patient()
    reading = station.reading(device_time="2026-01-01T08:00:00")
    first = station.observe(station.session(patient), reading)
    again = station.observe(station.session(patient), reading)
    assert (again.state, again.measurement, again.why) == ("repeat", first.measurement, "")
    assert station.count("measurement") == 1
    assert measuring.held(station.conn) == []


@pytest.mark.parametrize("saved", [False, True])
def test_the_same_reading_in_another_patients_session_is_held(station: Station, saved: bool) -> None:
    """It stays with the first patient, is listed once for a person, and goes away only when somebody has looked."""
    first, second = station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Hai")
    reading = station.reading(device_time="2026-01-01T08:00:00")
    one = station.observe(station.session(first), reading)
    if saved:
        measuring.record(station.conn, one.measurement, staff="an", now=station.now)
    session = station.session(second)
    for _ in range(2):
        again = station.observe(session, reading)
        assert (again.state, again.measurement, again.why) == ("repeat", one.measurement, "other-patient")
    (held,) = measuring.held(station.conn)
    assert (held.measurement.patient, held.session.patient) == (first, second)
    assert measuring.undecided(station.conn, second) == []
    measuring.close_held(station.conn, held.id, staff="an", now=station.now)
    assert measuring.held(station.conn) == []


def test_a_reading_from_the_tray_is_not_moved_by_its_repeat(station: Station) -> None:
    """What lies in the tray stays there when the device tells it again in somebody's session: a person decides."""
    reading = station.reading(device_time="2026-01-01T08:00:00")
    lost = station.observe(None, reading)
    again = station.observe(station.session(station.patient()), reading)
    assert (again.state, again.measurement) == ("repeat", lost.measurement)
    assert [row.id for row in measuring.unassigned(station.conn)] == [lost.measurement]
    assert len(measuring.held(station.conn)) == 1


def test_saving_twice_is_saving_once(station: Station) -> None:
    """Lưu pressed twice, on two screens: one observation, one event, the same answer."""
    seen = station.observe(station.session(station.patient()))
    other = station.second()
    first = measuring.record(station.conn, seen.measurement, staff="an", now=station.now)
    second = measuring.record(other, seen.measurement, staff="binh", now=station.later(3), kept=True)
    assert first == second
    assert station.count("observation") == 1
    assert len(station.events(ObservationRecorded.KIND)) == 1
    other.close()


# --- what is kept, refused, discarded -----------------------------------------------------------------------------------


def test_a_settled_measurement_is_on_the_card_before_anybody_presses(station: Station) -> None:
    """Another process sees it at once, byte for byte, with its frame and its status; nothing is queued for the bridge."""
    reading = station.reading(status=Status.TEST_DATA)
    queued = station.count("outbox")
    seen = station.observe(station.session(station.patient()), reading)
    other = station.second()
    row = measuring.measurement(other, seen.measurement)
    assert row is not None
    assert (row.reading, row.raw, row.state, row.key) == (reading, b"\x01\x02", State.SETTLED, reading.key)
    assert station.count("outbox") == queued + 1  # the patient, not the measurement
    other.close()


def test_an_impossible_value_is_refused_with_its_reason_and_counted(station: Station) -> None:
    """A reading that cannot be true: no measurement, a refusal with its reason, one more on the count of that device."""
    session = station.session(station.patient())
    seen = station.observe(session, station.reading(60))
    assert (seen.state, seen.measurement, seen.why) == ("refused", 0, "SYSTOLIC not above DIASTOLIC")
    assert station.observe(session, station.reading(301)).why == "SYSTOLIC 301 outside 30..300"
    assert (measuring.refused(station.conn), measuring.refused(station.conn, "cuff"), measuring.refused(station.conn, "x")) == (2, 2, 0)
    assert [row.why for row in measuring.refusals(station.conn)] == ["SYSTOLIC 301 outside 30..300", "SYSTOLIC not above DIASTOLIC"]
    assert station.count("measurement") == 0


@pytest.mark.parametrize("systolic", [75, 240, 300])
def test_no_value_is_refused_for_being_low_or_high(station: Station, systolic: int) -> None:
    """A clinically extreme value settles like any other."""
    assert station.observe(station.session(station.patient()), station.reading(systolic)).state == "settled"


def test_measure_again_keeps_the_attempt(station: Station) -> None:
    """Đo lại: the row stays with its reason and actor, and cannot be saved any more."""
    session = station.session(station.patient())
    seen = station.observe(session)
    measuring.discard(station.conn, seen.measurement, reason="moved", staff="an", now=station.later(1))
    (row,) = measuring.latest(station.conn, session)
    assert (row.state, row.why, row.decided_by) == (State.DISCARDED, "moved", "an")
    with pytest.raises(Refused):
        measuring.record(station.conn, seen.measurement, staff="an", now=station.now)


def test_a_discarded_attempt_is_sent_with_its_reason_once(station: Station) -> None:
    """Nothing that was measured is hidden: the attempt goes up with its patient and its reason, and goes into no record."""
    patient = station.patient()
    reading = station.reading()
    seen = station.observe(station.session(patient), reading)
    for _ in range(2):
        measuring.discard(station.conn, seen.measurement, reason="cử động", staff="an", now=station.later(1))
    (event,) = station.events(MeasurementDiscarded.KIND)
    assert event.body == MeasurementDiscarded(reading, "cử động", patient)
    assert event.actor == "an"
    assert station.events(ObservationRecorded.KIND) == []


def test_what_is_saved_cannot_be_discarded(station: Station) -> None:
    """A saved observation is corrected by addition, never thrown away."""
    measurement = station.saved(station.patient())
    with pytest.raises(Refused):
        measuring.discard(station.conn, measurement, reason="doubt", staff="an", now=station.now)
    row = measuring.measurement(station.conn, measurement)
    assert row is not None
    assert row.state is State.RECORDED


def test_kept_although_the_box_asked_again_is_said(station: Station) -> None:
    """The mark travels with the observation."""
    seen = station.observe(station.session(station.patient()))
    measuring.record(station.conn, seen.measurement, staff="an", now=station.now, kept=True)
    (event,) = station.events(ObservationRecorded.KIND)
    assert isinstance(event.body, ObservationRecorded)
    assert event.body.marks == Marks.KEPT


def test_nobody_saves_without_a_name(station: Station) -> None:
    """No actor, no record."""
    seen = station.observe(station.session(station.patient()))
    with pytest.raises(Refused):
        measuring.record(station.conn, seen.measurement, staff="", now=station.now)
    assert station.count("observation") == 0


def test_a_row_the_card_has_changed_is_not_saved_and_not_shown(station: Station) -> None:
    """Its checksum does not fit: Damaged, listed as such, absent from the lists; the others are there."""
    session = station.session(station.patient())
    bad, good = station.observe(session, station.reading(120)), station.observe(session, station.reading(121))
    with transaction(station.conn):
        station.conn.execute("UPDATE measurement SET reading = CAST(reading || x'00' AS BLOB) WHERE id = ?", (bad.measurement,))
    with pytest.raises(Damaged):
        measuring.record(station.conn, bad.measurement, staff="an", now=station.now)
    assert [row.id for row in measuring.latest(station.conn, session)] == [good.measurement]
    assert measuring.damaged(station.conn) == [bad.measurement]


def test_the_time_until_it_was_saved_is_never_negative(station: Station) -> None:
    """Saved after a power cut on a box whose wall clock fell back: zero, not a nonsense number."""
    seen = station.observe(station.session(station.patient()))
    station.power_cut(off=-86400)
    measuring.record(station.conn, seen.measurement, staff="an", now=station.now)
    (event,) = station.events(ObservationRecorded.KIND)
    assert isinstance(event.body, ObservationRecorded)
    assert event.body.saved_after == 0


# --- the tray ---------------------------------------------------------------------------------------------------------


def test_a_person_may_assign_within_fifteen_minutes(station: Station) -> None:
    """gán sau: the observation is marked, the actor kept, and it goes up like any other."""
    lost = station.observe(None)
    patient = station.patient()
    station.later(15 * 60)
    recorded = measuring.assign(station.conn, lost.measurement, patient=patient, staff="binh", now=station.now)
    assert recorded.patient == patient
    (event,) = station.events(ObservationRecorded.KIND)
    assert isinstance(event.body, ObservationRecorded)
    assert (event.body.marks, event.body.patient, event.actor, event.body.saved_after) == (Marks.LATE, patient, "binh", 900)
    assert measuring.unassigned(station.conn) == []
    assert measuring.assign(station.conn, lost.measurement, patient=patient, staff="binh", now=station.now) == recorded
    assert measuring.send_unassigned(station.conn, station.later(3600)) == 0


def test_after_fifteen_minutes_it_is_sent_as_nobodys_once(station: Station) -> None:
    """Then nobody can claim it any more, and it goes up once, in lane 2, with its reason and without a patient."""
    reading = station.reading()
    lost = station.observe(None, reading)
    patient = station.patient()
    assert measuring.send_unassigned(station.conn, station.later(15 * 60)) == 0
    station.later(0.1)
    with pytest.raises(Refused, match="15 minutes"):
        measuring.assign(station.conn, lost.measurement, patient=patient, staff="binh", now=station.now)
    assert measuring.send_unassigned(station.conn, station.now) == 1
    assert measuring.send_unassigned(station.conn, station.later(3600)) == 0
    (event,) = station.events(MeasurementUnassigned.KIND)
    assert event.body == MeasurementUnassigned(reading, measuring.NO_SESSION)
    assert station.conn.execute("SELECT lane FROM outbox WHERE kind = ?", (MeasurementUnassigned.KIND,)).fetchone()[0] == Lane.READINGS
    with pytest.raises(Refused):
        measuring.assign(station.conn, lost.measurement, patient=patient, staff="binh", now=station.now)


@pytest.mark.parametrize(
    ("quality", "off", "may"), [(ClockQuality.RTC, 0, True), (ClockQuality.UNKNOWN, 0, False), (ClockQuality.RTC, -3600, False)]
)
def test_after_a_power_cut_only_a_kept_clock_can_say_fifteen_minutes(station: Station, quality: ClockQuality, off: int, may: bool) -> None:
    """Without a battery clock, or with one that went backwards, the time since the measurement is not known: no assigning."""
    station.hand.quality = quality
    lost = station.observe(None)
    patient = station.patient()
    station.power_cut(off=off)
    if may:
        measuring.assign(station.conn, lost.measurement, patient=patient, staff="an", now=station.now)
    else:
        with pytest.raises(Refused):
            measuring.assign(station.conn, lost.measurement, patient=patient, staff="an", now=station.now)
        assert measuring.send_unassigned(station.conn, station.now) == 1


def test_a_session_measurement_cannot_be_given_to_somebody_else(station: Station) -> None:
    """`assign` is for the tray alone."""
    seen = station.observe(station.session(station.patient("Thử Nghiệm Một")))
    other = station.patient("Thử Nghiệm Hai")
    with pytest.raises(Refused):
        measuring.assign(station.conn, seen.measurement, patient=other, staff="an", now=station.now)


def test_a_damaged_row_does_not_stop_the_tray(station: Station) -> None:
    """The one the card has changed is set aside; the one behind it is sent."""
    bad, good = station.observe(None, station.reading(120)), station.observe(None, station.reading(121))
    with transaction(station.conn):
        station.conn.execute("UPDATE measurement SET crc = crc + 1 WHERE id = ?", (bad.measurement,))
    assert measuring.send_unassigned(station.conn, station.later(1000)) == 1
    states = dict(station.conn.execute("SELECT id, state FROM measurement").fetchall())
    assert states == {bad.measurement: State.DAMAGED, good.measurement: State.SENT_UNASSIGNED}


# --- what the screens ask -------------------------------------------------------------------------------------------------


def test_a_patients_readings_say_when_the_bridge_had_them(station: Station) -> None:
    """Newest first; `received` stays empty until the bridge's receipt, and a quarantined one is not received."""
    patient = station.patient()
    station.saved(patient, 120)
    station.saved(patient, 121)
    rows = measuring.observations(station.conn, patient)
    assert [row.reading.numerics[0].value for row in rows] == [121, 120]
    assert [row.received for row in rows] == [None, None]
    numbers = [(lane, seq) for lane, seq in station.conn.execute("SELECT lane, seq FROM observation ORDER BY id").fetchall()]
    station.receipt(*numbers[0])
    station.receipt(*numbers[1], state=3)
    assert [row.received is None for row in measuring.observations(station.conn, patient)] == [True, False]


def test_what_nobody_decided_stays_on_the_patients_page(station: Station) -> None:
    """Settled, neither saved nor discarded, the session over: it can still be saved for the patient it was measured for."""
    patient = station.patient()
    seen = station.observe(station.session(patient))
    station.later(3600)
    assert [row.id for row in measuring.undecided(station.conn, patient)] == [seen.measurement]
    assert measuring.record(station.conn, seen.measurement, staff="an", now=station.now).patient == patient
    assert measuring.undecided(station.conn, patient) == []
