"""Merging: one link, nothing moved; taken apart, both are what they were; the bridge sees the same persons as the station."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract.events import Allergies, PatientChanged, PatientMerged, PatientUnmerged
from appliance.store import measuring, merging, patients
from appliance.store.errors import Refused
from appliance.store.measuring import State
from appliance.store.patients import PatientDraft
from cloud_bridge.store.patients import together
from tests.store.station import Station, station_at


def merge(station: Station, patient: int, duplicate: int) -> None:
    """A person says that these two are one."""
    merging.merge(station.conn, patient=patient, duplicate=duplicate, reason="cùng một người", staff="an", now=station.later(1))


def unmerge(station: Station, duplicate: int) -> int:
    """A person says that it was somebody else."""
    return merging.unmerge(station.conn, duplicate=duplicate, reason="hai người", staff="an", now=station.later(1))


def owners(station: Station) -> list[tuple[int, int]]:
    """(measurement, patient) of everything saved."""
    return [tuple(row) for row in station.conn.execute("SELECT measurement, patient FROM observation ORDER BY id").fetchall()]


@pytest.fixture
def pair(station: Station) -> tuple[int, int]:
    """Two records of one invented person."""
    return station.patient("Đặng Thử Hường", birth="1961"), station.patient("Dang Thu Huong", birth="1961-04-30", cccd="001061000001")


def test_a_merge_shows_both_and_moves_nothing(station: Station, pair: tuple[int, int]) -> None:
    """Readings stay with their record; the person is both; search finds the one that stands, also by what the other knows."""
    one, two = pair
    first, second = station.saved(one), station.saved(two)
    before = owners(station)
    merge(station, one, two)
    assert owners(station) == before == [(first, one), (second, two)]
    assert patients.group(station.conn, two) == patients.group(station.conn, one) == [one, two]
    assert patients.root(station.conn, two) == one
    for text in ("huong", "001061000001", "Dang Thu Huong"):
        assert [who.patient for who in patients.find(station.conn, text)] == [one], text
    assert [who.patient for who in patients.same(station.conn, PatientDraft("Ai Khác", cccd="001061000001"))] == [one]
    (event,) = station.events(PatientMerged.KIND)
    assert event.body == PatientMerged(one, two, "cùng một người")
    assert [(row.duplicate.patient, row.reason, row.staff) for row in merging.merged(station.conn, one)] == [(two, "cùng một người", "an")]


def test_taking_apart_restores_both(station: Station, pair: tuple[int, int]) -> None:
    """Each is found again, has its own readings, and the bridge hears of it."""
    one, two = pair
    station.saved(two)
    merge(station, one, two)
    assert unmerge(station, two) == one
    assert patients.group(station.conn, one) == [one]
    assert patients.group(station.conn, two) == [two]
    assert {who.patient for who in patients.find(station.conn, "huong")} == {one, two}
    (event,) = station.events(PatientUnmerged.KIND)
    assert event.body == PatientUnmerged(one, two, "hai người")
    assert merging.merged(station.conn, one) == []


def test_nothing_new_begins_on_a_duplicate(station: Station, pair: tuple[int, int]) -> None:
    """No session, no assignment: the sentence says which way; the record that stands takes them."""
    one, two = pair
    merge(station, one, two)
    with pytest.raises(Refused, match="open that one"):
        station.session(two)
    stray = station.observe(None).measurement
    with pytest.raises(Refused, match="open that one"):
        measuring.assign(station.conn, stray, patient=two, staff="an", now=station.now)
    assert measuring.assign(station.conn, stray, patient=one, staff="an", now=station.now).patient == one


def test_a_session_that_is_open_on_the_duplicate_ends_and_changes_no_patient(station: Station, pair: tuple[int, int]) -> None:
    """What had settled stays the duplicate's and is saved for it alone; what settles afterwards is nobody's."""
    one, two = pair
    session = station.session(two)
    settled = station.observe(session).measurement
    merge(station, one, two)
    ended = measuring.session(station.conn, session)
    assert ended is not None
    assert (ended.patient, ended.why) == (two, merging.MERGED)
    late = station.observe(session, station.reading(120))
    assert (late.state, late.why) == ("unassigned", "session-ended")
    assert measuring.record(station.conn, settled, staff="an", now=station.later(1)).patient == two
    unmerge(station, two)
    assert owners(station) == [(settled, two)]


def test_taking_apart_ends_the_sessions_of_the_record_that_stood(station: Station, pair: tuple[int, int]) -> None:
    """Whose arm it is must be asked anew."""
    one, two = pair
    merge(station, one, two)
    session = station.session(one)
    unmerge(station, two)
    ended = measuring.session(station.conn, session)
    assert ended is not None
    assert ended.why == merging.MERGED
    row = measuring.measurement(station.conn, station.observe(session).measurement)
    assert row is not None
    assert row.state is State.UNASSIGNED


@pytest.mark.parametrize(
    ("mine", "theirs", "after"),
    [
        ((Allergies.UNKNOWN, ""), (Allergies.KNOWN, "penicillin"), (Allergies.KNOWN, "penicillin")),
        ((Allergies.NONE_KNOWN, ""), (Allergies.KNOWN, "tôm"), (Allergies.KNOWN, "tôm")),
        ((Allergies.KNOWN, "tôm"), (Allergies.KNOWN, "penicillin"), (Allergies.KNOWN, "tôm; penicillin")),
        ((Allergies.KNOWN, "tôm"), (Allergies.NONE_KNOWN, ""), (Allergies.KNOWN, "tôm")),
        ((Allergies.UNKNOWN, ""), (Allergies.NONE_KNOWN, ""), (Allergies.NONE_KNOWN, "")),
    ],
)
def test_no_allergy_is_forgotten_by_a_merge(
    station: Station, mine: tuple[Allergies, str], theirs: tuple[Allergies, str], after: tuple[Allergies, str]
) -> None:
    """What either record knows stands on the banner and travels as a version of its own; taken apart, it goes again."""
    one = station.patient("Thử Một", allergies=mine[0], allergy_text=mine[1])
    two = station.patient("Thử Một", allergies=theirs[0], allergy_text=theirs[1])
    merge(station, one, two)
    known = patients.present(station.conn, one)
    assert (known.allergies, known.allergy_text) == after
    told = station.events(PatientChanged.KIND)
    assert [event.body.identity for event in told if isinstance(event.body, PatientChanged)] == ([known] if after != mine else [])
    unmerge(station, two)
    known = patients.present(station.conn, one)
    assert (known.allergies, known.allergy_text) == mine
    other = patients.present(station.conn, two)
    assert (other.allergies, other.allergy_text) == theirs


def test_an_allergy_somebody_has_confirmed_since_stays(station: Station) -> None:
    """Who asked after the merge knows better than the record before it."""
    one = station.patient("Thử Một")
    two = station.patient("Thử Một", allergies=Allergies.KNOWN, allergy_text="penicillin")
    merge(station, one, two)
    draft = PatientDraft("Thử Một", allergies=Allergies.KNOWN, allergy_text="penicillin, tôm")
    patients.change(station.conn, draft, patient=one, reason="hỏi lại", staff="an", now=station.now)
    unmerge(station, two)
    assert patients.present(station.conn, one).allergy_text == "penicillin, tôm"


def test_what_cannot_be_merged_is_refused(station: Station, pair: tuple[int, int]) -> None:
    """Itself, nobody, one that stands under another, without a reason or a person; twice is once."""
    one, two = pair
    three = station.patient("Thử Ba")
    with pytest.raises(Refused, match="one and the same"):
        merge(station, one, one)
    with pytest.raises(Refused):
        merge(station, one, 404)
    with pytest.raises(Refused, match="is merged into none"):
        unmerge(station, two)
    for said in ({"reason": " "}, {"staff": ""}, {"reason": "x" * 201}):
        with pytest.raises(Refused):
            merging.merge(station.conn, patient=one, duplicate=two, now=station.now, **({"reason": "x", "staff": "an"} | said))
    merge(station, one, two)
    merge(station, one, two)
    with pytest.raises(Refused, match="merged already"):
        merge(station, three, two)
    with pytest.raises(Refused, match="merged already"):
        merge(station, two, three)
    assert len(station.events(PatientMerged.KIND)) == 1


def test_an_erased_record_holds_nobody_under_it(station: Station, pair: tuple[int, int]) -> None:
    """When the record that stood is erased, the one under it stands for itself again."""
    one, two = pair
    merge(station, one, two)
    station.conn.execute("UPDATE patient SET name = '', erased = 1 WHERE id = ?", (one,))
    assert patients.root(station.conn, two) == two
    assert patients.group(station.conn, two) == [two]
    assert [who.patient for who in patients.find(station.conn, "huong")] == [two]


@dataclass(frozen=True)
class Link:
    """A row of the bridge's `patient_link`."""

    patient: int
    duplicate: int
    merged: bool
    wall: int
    seq: int


MOVES = st.lists(st.tuples(st.sampled_from(["merge", "unmerge", "measure"]), st.integers(1, 5), st.integers(1, 5)), max_size=20)


@settings(max_examples=40)
@given(MOVES)
def test_any_sequence_keeps_every_reading_and_ends_in_the_right_persons(moves: list[tuple[str, int, int]]) -> None:
    """After any merges and separations each reading has the patient it was saved for, and station, model and bridge agree on who is who."""
    with TemporaryDirectory() as folder:
        station = station_at(Path(folder))
        for at in range(1, 6):
            station.patient(f"Thử Người {'Abcde'[at - 1]}")
        parent: dict[int, int] = {}
        saved: list[tuple[int, int]] = []
        for what, one, other in moves:
            if what == "measure":
                top = patients.root(station.conn, one)
                saved.append((station.saved(top), top))
            elif what == "merge" and one != other and one not in parent and other not in parent:
                merge(station, one, other)
                parent[other] = one
            elif what == "unmerge" and one in parent:
                unmerge(station, one)
                del parent[one]
        assert owners(station) == saved
        links = [
            Link(event.body.patient, event.body.duplicate, isinstance(event.body, PatientMerged), event.stamp.wall, at)
            for at, event in enumerate(station.events())
            if isinstance(event.body, PatientMerged | PatientUnmerged)
        ]
        for one in range(1, 6):
            expected = {other for other in range(1, 6) if _top(parent, other) == _top(parent, one)}
            assert set(patients.group(station.conn, one)) == expected
            assert together(links, one) == expected  # type: ignore[arg-type]  # rows by their names
        station.conn.close()


def _top(parent: dict[int, int], one: int) -> int:
    while one in parent:
        one = parent[one]
    return one
