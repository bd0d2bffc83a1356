"""A guided series belongs to one patient, one person, one device; its readings are saved with how they were taken."""

import pytest

from appliance.contract.guided import PROTOCOLS, STATION, Arm, Cuff, Posture, Unrested, mean, wanted
from appliance.store import guided, measuring
from appliance.store.errors import Refused
from appliance.store.guided import Series, State
from tests.store.station import Station


def begin(station: Station, patient: int, device: str = "cuff", staff: str = "an") -> Series:
    """A series at its first step."""
    return guided.begin(station.conn, patient=patient, staff=staff, device=device, now=station.now)


def again(station: Station, series: Series) -> Series:
    """The series as it is now."""
    found = guided.get(station.conn, series.id)
    assert found is not None
    return found


def rested(station: Station, series: Series) -> Series:
    """Prepared and rested."""
    guided.prepare(station.conn, series, arm=Arm.RIGHT, cuff=Cuff.LARGE_ADULT, posture=Posture.LYING, now=station.now)
    guided.end_rest(station.conn, again(station, series), unrested=Unrested.NO, now=station.later(300))
    return again(station, series)


def test_a_series_is_gone_on_with_by_the_same_person_only(station: Station) -> None:
    """The same three: the same series. Another patient, person or device: a new one, and the old one is left."""
    one, two = station.patient(), station.patient("Thử Nghiệm Hai")
    first = begin(station, one)
    assert begin(station, one).id == first.id
    for series in (
        begin(station, two),
        begin(station, two, "cuff2"),
        begin(station, two, "cuff2", "binh"),
        begin(station, one, "cuff2", "an"),
    ):
        assert series.id != first.id
    rows = station.conn.execute("SELECT state FROM guided ORDER BY id").fetchall()
    assert [row[0] for row in rows] == [State.LEFT] * 4 + [State.OPEN]


def test_a_series_is_left_after_an_hour_and_after_a_restart(station: Station) -> None:
    """It is not the same occasion any more; nothing can be added to it."""
    patient = station.patient()
    late = begin(station, patient)
    station.later(3600)
    assert guided.going_on(station.conn, patient=patient, staff="an", now=station.now) is None
    with pytest.raises(Refused):
        guided.prepare(station.conn, late, arm=Arm.LEFT, cuff=Cuff.ADULT, posture=Posture.SITTING, now=station.now)
    cut = begin(station, patient)
    station.power_cut()
    assert not again(station, cut).open_at(station.now) and begin(station, patient).id != cut.id


def test_the_rest_runs_once_and_is_told_as_it_was(station: Station) -> None:
    """Preparing twice does not begin it anew; a full rest has no reason, whatever was sent along."""
    series = begin(station, station.patient())
    guided.prepare(station.conn, series, arm=Arm.LEFT, cuff=Cuff.ADULT, posture=Posture.SITTING, now=station.now)
    station.later(100)
    guided.prepare(station.conn, again(station, series), arm=Arm.RIGHT, cuff=Cuff.ADULT, posture=Posture.SITTING, now=station.now)
    assert (again(station, series).rest_left(station.now), again(station, series).arm) == (200, Arm.RIGHT)
    with pytest.raises(Refused):
        guided.end_rest(station.conn, again(station, series), unrested=Unrested.NO, now=station.now)
    guided.end_rest(station.conn, again(station, series), unrested=Unrested.URGENT, now=station.later(250))
    assert (again(station, series).rested, again(station, series).unrested) == (300, Unrested.NO)


def test_only_a_session_of_the_same_patient_person_and_device_belongs_to_it(station: Station) -> None:
    """Anything else is refused: no reading of somebody else can get into the mean."""
    one, two = station.patient(), station.patient("Thử Nghiệm Hai")
    series = rested(station, begin(station, one))
    for session in (station.session(two), station.session(one, "cuff2"), 999):
        with pytest.raises(Refused):
            guided.attach(station.conn, series, session, station.now)
    guided.attach(station.conn, series, station.session(one), station.now)


def test_nothing_of_an_erased_patients_series_stays(station: Station) -> None:
    """The rows go with the patient."""
    patient = station.patient()
    series = rested(station, begin(station, patient))
    guided.attach(station.conn, series, station.session(patient), station.now)
    station.conn.execute("UPDATE patient SET erased = 1 WHERE id = ?", (patient,))
    assert (station.count("guided"), station.count("guided_session")) == (0, 0)


def test_both_rules_agree_on_three_readings_and_differ_on_two() -> None:
    """Why the rule's number stands beside every mean."""
    three, two = [(150, 90, 80), (140, 86, 75), (138, 84, None)], [(150, 90, 80), (140, 86, 75)]
    last, dropped = mean(PROTOCOLS[1], three), mean(PROTOCOLS[2], three)
    assert last is not None and dropped is not None and (last.systolic, last.diastolic, last.pulse) == (1390, 850, None)
    assert (dropped.systolic, dropped.used) == (last.systolic, last.used)
    last, dropped = mean(PROTOCOLS[1], two), mean(PROTOCOLS[2], two)
    assert last is not None and dropped is not None and (last.systolic, dropped.systolic, dropped.used) == (1450, 1400, (1,))


def test_a_third_reading_is_wanted_for_eleven_not_for_ten() -> None:
    """By systolic or by diastolic, and at a first visit in any case; before there are two, two."""
    first = (140, 80, None)
    assert [wanted(STATION, [first, second], first_visit=False) for second in ((130, 90, None), (129, 80, None), (140, 91, None))] == [
        2,
        3,
        3,
    ]
    assert (wanted(STATION, [], first_visit=False), wanted(STATION, [first], first_visit=True)) == (2, 3)
    assert mean(STATION, [first]) is None


def test_measuring_still_saves_what_is_in_no_series(station: Station) -> None:
    """`record` of this module is that of `measuring` for everything else."""
    seen = station.observe(station.session(station.patient()))
    guided.record(station.conn, seen.measurement, staff="an", now=station.later(1))
    guided.record(station.conn, seen.measurement, staff="an", now=station.later(1))
    assert (len(station.events(10)), station.events(70)) == (1, [])
    row = measuring.measurement(station.conn, seen.measurement)
    assert row is not None and row.state is measuring.State.RECORDED
