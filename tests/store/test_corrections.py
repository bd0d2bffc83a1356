"""Corrections at the station: what was said stands beside the reading, travels once, and can be taken back by saying more."""

import pytest

from appliance.contract.events import Department, ObservationEnteredInError, ObservationReassigned, Tombstone, Urgency
from appliance.contract.lanes import Lane
from appliance.store import consults, corrections, history, measuring
from appliance.store.consults import ConsultDraft
from appliance.store.errors import Refused
from tests.store.station import Station

REASON = "Đo nhầm người"
EVER = (0, 1 << 40)


@pytest.fixture
def people(station: Station) -> tuple[int, int, int]:
    """Three patients nobody has ever met."""
    return station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Hai"), station.patient("Thử Nghiệm Ba")


def saved(station: Station, patient: int, systolic: int = 115) -> int:
    """A saved reading; the number of its observation."""
    measurement = station.saved(patient, systolic)
    return int(station.conn.execute("SELECT id FROM observation WHERE measurement = ?", (measurement,)).fetchone()[0])


def standing(station: Station, patient: int) -> list[int]:
    """The observations that a patient's record counts."""
    return [one.row.id for one in corrections.listing(station.conn, patient, 50) if one.struck is None]


def drawn(station: Station, patient: int) -> list[int]:
    """The observations that a patient's trend draws."""
    return [one.observation for one in history.vitals(station.conn, patient, *EVER)]


def test_a_reading_entered_in_error_stays_struck_out_with_its_reason(station: Station, people: tuple[int, int, int]) -> None:
    """The row is as it was; the record shows it with the reason; the trend does not count it; the event says it once."""
    first, *_ = people
    wrong = saved(station, first)
    before = dict(station.conn.execute("SELECT * FROM observation WHERE id = ?", (wrong,)).fetchone())
    said = corrections.enter_in_error(station.conn, wrong, "Gõ nhầm số", "an", station.later(60))
    after = dict(station.conn.execute("SELECT * FROM observation WHERE id = ?", (wrong,)).fetchone())
    assert {**before, "state": 1} == after
    (shown,) = corrections.listing(station.conn, first, 50)
    assert shown.struck == said and said.reason == "Gõ nhầm số" and said.staff == "an" and said.to_patient is None
    assert drawn(station, first) == []
    (event,) = station.events(ObservationEnteredInError.KIND)
    assert event.body == ObservationEnteredInError(first, shown.row.key, "Gõ nhầm số") and event.actor == "an"


def test_said_twice_it_is_said_once(station: Station, people: tuple[int, int, int]) -> None:
    """A second tap on the same button, of either correction, changes nothing and sends nothing."""
    first, second, _ = people
    wrong, moved = saved(station, first), saved(station, first, 120)
    one = corrections.enter_in_error(station.conn, wrong, REASON, "an", station.now)
    assert corrections.enter_in_error(station.conn, wrong, "anders", "an", station.later(5)) == one
    other = corrections.reassign(station.conn, moved, second, REASON, "an", station.now, patient=first)
    assert corrections.reassign(station.conn, moved, second, REASON, "an", station.later(5), patient=first) == other
    assert len(station.events(ObservationEnteredInError.KIND)) == len(station.events(ObservationReassigned.KIND)) == 1


def test_a_reassigned_reading_stands_for_its_new_owner_alone(station: Station, people: tuple[int, int, int]) -> None:
    """Struck in A with the reason, standing in B as come from elsewhere, drawn in B's trend; the event goes ahead of the readings."""
    first, second, _ = people
    moved = saved(station, first)
    said = corrections.reassign(station.conn, moved, second, REASON, "an", station.later(60))
    (in_a,) = corrections.listing(station.conn, first, 50)
    (in_b,) = corrections.listing(station.conn, second, 50)
    assert (in_a.struck, in_a.came) == (said, None) and (in_b.struck, in_b.came) == (None, said)
    assert (drawn(station, first), drawn(station, second)) == ([], [moved])
    assert in_b.row.patient == first and in_b.row.owner == second
    row = station.conn.execute("SELECT lane, kind FROM outbox ORDER BY id DESC LIMIT 1").fetchone()
    assert tuple(row) == (int(Lane.CONSULT), ObservationReassigned.KIND)


def test_a_reading_can_be_given_on_and_given_back(station: Station, people: tuple[int, int, int]) -> None:
    """A to B to C to A: each word is an event; in the end A's record has it, and B's and C's say where it went."""
    first, second, third = people
    moved = saved(station, first)
    for to in (second, third, first):
        corrections.reassign(station.conn, moved, to, REASON, "an", station.later(10))
    assert [standing(station, who) for who in people] == [[moved], [], []]
    assert [drawn(station, who) for who in people] == [[moved], [], []]
    (in_b,), (in_c,) = (corrections.listing(station.conn, who, 50) for who in (second, third))
    assert in_b.struck is not None and in_b.struck.to_patient == third
    assert in_c.struck is not None and in_c.struck.to_patient == first
    bodies = [event.body for event in station.events(ObservationReassigned.KIND)]
    assert [(one.patient, one.to_patient) for one in bodies] == [(first, second), (second, third), (third, first)]


def test_a_reading_in_error_cannot_be_given_to_anybody(station: Station, people: tuple[int, int, int]) -> None:
    """What was never true of anybody belongs to nobody."""
    first, second, _ = people
    wrong = saved(station, first)
    corrections.enter_in_error(station.conn, wrong, REASON, "an", station.now)
    with pytest.raises(Refused) as no:
        corrections.reassign(station.conn, wrong, second, REASON, "an", station.now)
    assert "đo lại" in no.value.vi
    assert station.events(ObservationReassigned.KIND) == []


def test_a_moved_reading_can_be_entered_in_error_where_it_is(station: Station, people: tuple[int, int, int]) -> None:
    """The error is said about its new owner; the old record goes on saying that it was moved."""
    first, second, _ = people
    moved = saved(station, first)
    corrections.reassign(station.conn, moved, second, REASON, "an", station.now)
    corrections.enter_in_error(station.conn, moved, "Máy hỏng", "an", station.later(5), patient=second)
    (in_a,), (in_b,) = (corrections.listing(station.conn, who, 50) for who in (first, second))
    assert in_a.struck is not None and in_a.struck.to_patient == second
    assert in_b.struck is not None and in_b.struck.reason == "Máy hỏng"
    assert station.events(ObservationEnteredInError.KIND)[0].body.patient == second  # type: ignore[union-attr]


def test_a_page_that_is_out_of_date_corrects_nothing(station: Station, people: tuple[int, int, int]) -> None:
    """Somebody gave it to B meanwhile: a page of A neither moves it on nor strikes it out."""
    first, second, third = people
    moved = saved(station, first)
    corrections.reassign(station.conn, moved, second, REASON, "an", station.now)
    for late in (
        lambda: corrections.reassign(station.conn, moved, third, REASON, "binh", station.now, patient=first),
        lambda: corrections.enter_in_error(station.conn, moved, REASON, "binh", station.now, patient=first),
    ):
        with pytest.raises(Refused):
            late()
    assert standing(station, second) == [moved]


@pytest.mark.parametrize(("reason", "staff"), [("", "an"), ("  ", "an"), (REASON, ""), ("x" * 201, "an")])
def test_a_correction_has_a_reason_and_a_person(station: Station, people: tuple[int, int, int], reason: str, staff: str) -> None:
    """Without one of them nothing is written."""
    first, second, _ = people
    wrong = saved(station, first)
    with pytest.raises(Refused):
        corrections.enter_in_error(station.conn, wrong, reason, staff, station.now)
    with pytest.raises(Refused):
        corrections.reassign(station.conn, wrong, second, reason, staff, station.now)
    assert standing(station, first) == [wrong] and station.count("correction") == 0


def test_nobody_who_is_not_here_gets_a_reading(station: Station, people: tuple[int, int, int]) -> None:
    """Not an unknown number, not an erased person, not a merged record; and nothing that is not here can be corrected."""
    first, second, third = people
    wrong = saved(station, first)
    station.arrive(Tombstone(second, "yêu cầu"))
    for number in (second, 999):
        with pytest.raises(Refused):
            corrections.reassign(station.conn, wrong, number, REASON, "an", station.now)
    station.conn.execute("UPDATE patient SET merged_into = ? WHERE id = ?", (first, third))
    with pytest.raises(Refused) as merged:
        corrections.reassign(station.conn, wrong, third, REASON, "an", station.now)
    assert "đã gộp" in merged.value.vi
    with pytest.raises(Refused):
        corrections.enter_in_error(station.conn, 4242, REASON, "an", station.now)
    with pytest.raises(Refused):
        corrections.reassign(station.conn, wrong, first, REASON, "an", station.now)
    assert station.events(ObservationReassigned.KIND) == []


def test_what_does_not_stand_is_not_cited_in_a_new_request(station: Station, people: tuple[int, int, int]) -> None:
    """A struck reading goes into no request of A; B's request takes what was moved to B."""
    first, second, _ = people
    wrong, moved = station.saved(first), station.saved(first, 120)
    by_measurement = {row[1]: row[0] for row in station.conn.execute("SELECT id, measurement FROM observation").fetchall()}
    corrections.enter_in_error(station.conn, by_measurement[wrong], REASON, "an", station.now)
    corrections.reassign(station.conn, by_measurement[moved], second, REASON, "an", station.now)
    for number, chosen in ((1, wrong), (2, moved)):
        with pytest.raises(Refused):
            consults.request(station.conn, _draft(first, chosen), consult=number, staff="an", now=station.now)
    consults.request(station.conn, _draft(second, moved), consult=3, staff="an", now=station.now)
    asked = consults.get(station.conn, 3)
    assert asked is not None and len(asked.requested.readings) == 1


def _draft(patient: int, measurement: int) -> ConsultDraft:
    return ConsultDraft(patient, Urgency.URGENT, Department.INTERNAL, "Đau ngực", (measurement,))


def test_the_requests_that_cited_it_are_found(station: Station, people: tuple[int, int, int]) -> None:
    """Of whomever it was, waiting or answered; a request that was withdrawn waits for nobody."""
    first, second, _ = people
    measurement = station.saved(first)
    observation = int(station.conn.execute("SELECT id FROM observation").fetchone()[0])
    other = station.saved(first, 121)
    for number, chosen in ((1, measurement), (2, measurement), (3, other)):
        consults.request(station.conn, _draft(first, chosen), consult=number, staff="an", now=station.later(1))
    consults.withdraw(station.conn, 2, reason="mistake", staff="an", now=station.now)
    corrections.reassign(station.conn, observation, second, REASON, "an", station.now)
    consults.request(station.conn, _draft(second, measurement), consult=4, staff="an", now=station.later(1))
    assert [one.consult for one in corrections.citing(station.conn, observation)] == [4, 1]
    key = measuring.observation(station.conn, observation).key  # type: ignore[union-attr]
    assert corrections.of_keys(station.conn, [key], first)[key].to_patient == second
    assert corrections.of_keys(station.conn, [key], second) == {}


def test_the_same_reading_read_again_belongs_to_its_new_owner(station: Station, people: tuple[int, int, int]) -> None:
    """A device's memory read once more in A's session does not give the reading back to A: a person looks."""
    first, second, _ = people
    session = station.session(first)
    reading = station.reading(device_time="2026-05-28T10:00:00")
    seen = station.observe(session, reading)
    measuring.record(station.conn, seen.measurement, staff="an", now=station.now)
    corrections.reassign(station.conn, 1, second, REASON, "an", station.now)
    again = station.observe(session, reading)
    assert (again.state, again.why) == ("repeat", "other-patient")
    assert standing(station, second) == [1]


def test_erasing_takes_what_is_theirs_and_leaves_what_was_given_away(station: Station, people: tuple[int, int, int]) -> None:
    """B's reading that was saved under A by mistake outlives A; what was given to B goes with B."""
    first, second, third = people
    given, taken = saved(station, first), saved(station, second, 130)
    corrections.reassign(station.conn, given, third, "tên thật của một người", "an", station.now)
    corrections.reassign(station.conn, taken, first, REASON, "an", station.now)
    station.arrive(Tombstone(first, "yêu cầu"))
    assert standing(station, third) == [given] and drawn(station, third) == [given]
    assert corrections.listing(station.conn, first, 50) == [] and drawn(station, first) == []
    assert measuring.observation(station.conn, taken) is None
    assert [one.reason for one in corrections.of_observation(station.conn, given)] == [""]
