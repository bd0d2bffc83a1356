"""Patients: found whatever marks are typed, checked with a sentence that says what to do, versioned by the station."""

import re
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from appliance.contract.events import Allergies, PatientChanged, PatientRegistered, Sex, Tombstone
from appliance.contract.identifiers import station_number, station_text
from appliance.contract.ids import spell
from appliance.contract.readings import ClockQuality
from appliance.store import merging, migrations, patients
from appliance.store.errors import Refused, Taken
from appliance.store.patients import PatientDraft, fold
from tests.store.station import Station, station_at

NAMES = ("Đặng Thử Hường", "Nguyễn Thử Dũng", "Trần Thử Huy", "Hường Thử Đặng", "Lê Thử Ánh")


@pytest.fixture
def people(station: Station) -> Station:
    """A station with a few invented people."""
    for name in NAMES:
        station.patient(name)
    return station


def names(station: Station, text: str) -> list[str]:
    """The names `find` gives."""
    return [who.name for who in patients.find(station.conn, text)]


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKD"])
@pytest.mark.parametrize("typed", ["Đặng", "đặng", "dang", "DANG", "ĐẶNG", "Đang", "  dang "])
def test_dang_finds_dang(people: Station, typed: str, form: str) -> None:
    """However it is typed, composed or decomposed, with or without marks: both people named Đặng, the given name first."""
    assert names(people, unicodedata.normalize(form, typed)) == ["Hường Thử Đặng", "Đặng Thử Hường"]


def test_a_name_given_decomposed_is_kept_composed(station: Station) -> None:
    """NFC at the door: 20 code points in, 14 out, and the event carries the composed name."""
    number = station.patient(unicodedata.normalize("NFD", "Đặng Thị Hường"))
    known = patients.get(station.conn, number)
    assert known is not None
    assert (known.name, len(known.name)) == ("Đặng Thị Hường", 14)
    (event,) = station.events(PatientRegistered.KIND)
    assert event.body == PatientRegistered(known)


def test_d_search(station: Station) -> None:
    """đ-search: "dang" finds Đặng, "huong" finds Hường; the given name leads; typed with its marks, the same marks come first."""
    for name in ("Lý Thử Hương", "Đặng Thử Hường", "Bùi Thử Hưởng", "Hường Thử Ánh"):
        station.patient(name)
    assert names(station, "dang") == ["Đặng Thử Hường"]
    assert names(station, "huong") == ["Bùi Thử Hưởng", "Đặng Thử Hường", "Lý Thử Hương", "Hường Thử Ánh"]
    assert names(station, "Hường") == ["Đặng Thử Hường", "Bùi Thử Hưởng", "Lý Thử Hương", "Hường Thử Ánh"]
    assert names(station, unicodedata.normalize("NFD", "hương")) == [
        "Lý Thử Hương", "Bùi Thử Hưởng", "Đặng Thử Hường", "Hường Thử Ánh",
    ]  # fmt: skip
    assert names(station, "đặng thu huo") == ["Đặng Thử Hường"]


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 4), st.sampled_from(["Đặng Thử Hường", "Y H'Thử", "An", "Thử Thử", "Lê Văn Thử"]), st.sampled_from(["", "1961"])
        ),
        max_size=8,
    )
)
def test_every_written_name_is_found_and_no_old_one(told: list[tuple[int, str, str]]) -> None:
    """Whatever is registered and changed in whatever order: the words that are kept are exactly those of the names that are kept."""
    with TemporaryDirectory() as folder:
        station = station_at(Path(folder))
        for number, name, birth in told:
            draft = PatientDraft(name, birth)
            if patients.get(station.conn, number) is None:
                patients.register(station.conn, draft, patient=number, staff="an", now=station.now)
            else:
                patients.change(station.conn, draft, patient=number, reason="thử", staff="an", now=station.now)
        kept = [tuple(row) for row in station.conn.execute("SELECT * FROM patient_word").fetchall()]
        people = station.conn.execute("SELECT id, name, birth, folded FROM patient").fetchall()
        assert sorted(kept) == sorted({row for who in people for row in patients.entries(who[0], who[1], who[2])})
        assert all(who[3] == fold(who[1]) for who in people)
        station.conn.close()


def test_one_function_alone_writes_a_name() -> None:
    """No other statement of the program puts a patient in or changes a name: none can be there without the words it is found by."""
    found = [
        (file.name, line.strip())
        for file in Path(patients.__file__).parents[1].rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"INSERT\b.*INTO patient\s|UPDATE patient SET (?!merged_into)", line)
    ]
    assert sorted(name for name, _line in found) == ["downlink.py", "patients.py"]  # downlink empties an erased one
    assert all("SET name = ''" in line for name, line in found if name == "downlink.py")


def test_an_erased_patient_leaves_no_word(station: Station) -> None:
    """The trigger takes the words, whichever statement erases."""
    number = station.patient("Đặng Thử Hường")
    station.conn.execute("UPDATE patient SET name = '', erased = 1 WHERE id = ?", (number,))
    assert station.count("patient_word") == 0


def test_patients_of_an_older_store_are_found(station: Station) -> None:
    """A migrated store has the words of the names it had before."""
    station.patient("Đặng Thử Hường", birth="1961")
    before = [tuple(row) for row in station.conn.execute("SELECT * FROM patient_word").fetchall()]
    for name in ("merge", "consent", "patient_word"):
        station.conn.execute(f"DROP TABLE {name}")
    station.conn.execute("DROP TRIGGER patient_forgotten")
    for name in ("phone", "register", "social", "birth", "merged"):
        station.conn.execute(f"DROP INDEX patient_{name}")
    station.conn.execute("CREATE INDEX patient_given ON patient (given)")
    migrations.s003_patients(Database(station.conn))
    assert [tuple(row) for row in station.conn.execute("SELECT * FROM patient_word").fetchall()] == before


def test_the_given_name_comes_first(people: Station) -> None:
    """A beginning of a given name finds, and whoever has it whole as given name leads."""
    assert names(people, "hu") == ["Đặng Thử Hường", "Trần Thử Huy", "Hường Thử Đặng"]
    assert names(people, "thu huong") == ["Đặng Thử Hường", "Hường Thử Đặng"]
    assert names(people, "huong thu") == ["Hường Thử Đặng", "Đặng Thử Hường"]  # nobody is called Thử: by given name
    assert names(people, "u") == []


@pytest.mark.parametrize("typed", ["%", "_", "\\", "' OR 1=1 --", "", "   ", "\x00"])
def test_odd_signs_are_only_signs(people: Station, typed: str) -> None:
    """No wildcard and no quote reaches the database as anything but itself."""
    assert names(people, typed) == []


def test_numbers_find_too(station: Station) -> None:
    """CCCD, BHYT in each form, telephone, the spelt number, with and without spaces; a birth year narrows a name."""
    number = station.patient("Đặng Thử An", cccd="001 061 000 001", bhyt="DN4010123456789", phone="0900 000 001", birth="1961-04-30")
    station.patient("Đặng Thử An", birth="1999")
    for typed in ("001061000001", "001 061 000 001", "00106", "dn 4 01 0123456789", "0900000001", spell(number), spell(number).lower()):
        assert [who.patient for who in patients.find(station.conn, typed)] == [number], typed
    for typed in (station_number(number), station_text(number), "1961", "001061000001".replace("0", "\uff10"), "0123456789"):
        assert [who.patient for who in patients.find(station.conn, typed)] == [number], typed
    assert [who.birth for who in patients.find(station.conn, "an 1961")] == ["1961-04-30"]
    assert patients.find(station.conn, station_number(number)[::-1]) == []
    assert len(patients.find(station.conn, "dang an")) == 2


@given(st.text(max_size=30))
def test_folding_is_the_same_for_every_form_of_a_text(text: str) -> None:
    """Composed or decomposed, folded once or twice, upper case where that can be undone: one folded text."""
    once = fold(text)
    assert fold(unicodedata.normalize("NFD", text)) == once
    assert fold(unicodedata.normalize("NFC", text)) == once


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"name": ""}, "name"),
        ({"name": "  \u200b "}, "name"),
        ({"name": "012345678901"}, "name"),
        ({"name": "An 2"}, "letters only"),
        ({"name": "A" * 81}, "80"),
        ({"cccd": "12345"}, "12 digits"),
        ({"cccd": "00106100000x"}, "digits only"),
        ({"bhyt": "XX9010123456789"}, "benefit level, 1 to 5"),
        ({"bhyt": "12345678901"}, "10 digits"),
        ({"birth": "30/04/1961"}, "1961-04-30"),
        ({"birth": "1961-02-30"}, "1961-04-30"),
        ({"birth": "1700"}, "too long ago"),
        ({"birth": "2999"}, "future"),
        ({"allergies": Allergies.KNOWN}, "allergy"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_what_to_do(station: Station, facts: dict[str, object], word: str) -> None:
    """The English and a Vietnamese sentence; nothing is written."""
    with pytest.raises(Refused, match=word) as caught:
        patients.register(station.conn, PatientDraft(**({"name": "Thử Nghiệm"} | facts)), patient=9, staff="an", now=station.now)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.vi
    assert station.count("patient") == 0


def test_a_clock_that_knows_nothing_refuses_no_birth(station: Station) -> None:
    """A box that believes to live in 1970 still registers a newborn."""
    station.hand.quality, station.hand.wall = ClockQuality.UNKNOWN, 0
    assert station.patient(birth="2026-10-01") == 1


@pytest.mark.parametrize("number", ["001061000001", "0123456789", "DN4010123456789", "dn 4 01 012 345 6789", "TE1010123456789"])
def test_every_form_of_an_insurance_number_is_taken(station: Station, number: str) -> None:
    """12 digits, 10 digits, the legacy card, a newborn's temporary one."""
    known = patients.get(station.conn, station.patient(bhyt=number))
    assert known is not None
    assert known.bhyt == number.replace(" ", "").upper()


def test_registering_twice_is_registering_once(station: Station) -> None:
    """The same form sent twice is one patient and one event; the same number for somebody else is taken."""
    draft = PatientDraft("Thử Nghiệm Một", "1961")
    first = patients.register(station.conn, draft, patient=5, staff="an", now=station.now)
    assert patients.register(station.conn, draft, patient=5, staff="an", now=station.later(1)) == first
    assert len(station.events(PatientRegistered.KIND)) == 1
    with pytest.raises(Taken):
        patients.register(station.conn, PatientDraft("Thử Nghiệm Hai"), patient=5, staff="an", now=station.now)


def test_changes_are_counted_by_the_station(station: Station) -> None:
    """Each change is the next version and one event with its reason; no change is no event; the new name is found."""
    number = station.patient("Thử Nghiệm Một", sex=Sex.FEMALE)
    draft = PatientDraft("Đặng Thử Mới", sex=Sex.FEMALE)
    assert patients.change(station.conn, draft, patient=number, reason="sai tên", staff="an", now=station.now).version == 2
    assert patients.change(station.conn, draft, patient=number, reason="", staff="an", now=station.now).version == 2
    (event,) = station.events(PatientChanged.KIND)
    assert isinstance(event.body, PatientChanged)
    assert (event.body.identity.version, event.body.identity.name, event.body.reason) == (2, "Đặng Thử Mới", "sai tên")
    assert names(station, "dang") == ["Đặng Thử Mới"]
    assert names(station, "mot") == []
    with pytest.raises(Refused):
        patients.change(station.conn, draft, patient=404, reason="", staff="an", now=station.now)


def test_namesakes_are_others_with_the_same_name_but_for_its_marks(station: Station) -> None:
    """Whatever their birth; not the person themself, nor a record merged into theirs, nor somebody erased."""
    one, two = station.patient("Lê Thử Nghiệm", birth="1961"), station.patient("Lê Thư Nghiêm", birth="1962")
    three, gone = station.patient("Lê Thử Nghiệm", birth="1961"), station.patient("Lê Thử Nghiệm", birth="1970")
    station.patient("Lê Thử Nghiệm Hai")
    merging.merge(station.conn, patient=one, duplicate=three, reason="một người", staff="an", now=station.now)
    station.arrive(Tombstone(gone, ""))
    assert [who.patient for who in patients.namesakes(station.conn, patients.present(station.conn, one))] == [two]
    assert [who.patient for who in patients.namesakes(station.conn, patients.present(station.conn, two))] == [one]


def test_possible_duplicates_are_shown_before_registering(station: Station) -> None:
    """The same number on either card, or the same name without marks and a birth that may agree; never a machine's merge."""
    one = station.patient("Đặng Thử An", birth="1961", cccd="001061000001")
    two = station.patient("Lê Thử Bình", birth="1970-01-01", bhyt="0123456789", phone="0900 000 002")

    def alike(**facts: str) -> set[int]:
        return {who.patient for who in patients.same(station.conn, PatientDraft(**facts))}

    assert alike(name="Dang Thu An", birth="1961-04-30") == {one}
    assert alike(name="Đặng Thử An", birth="1962") == set()
    assert alike(name="Ai Khác", bhyt="001 061 000 001") == {one}
    assert alike(name="Ai Khác", bhyt="0123456789") == {two}
    assert alike(name="Ai Khác", bhyt="DN4010123456789") == {two}
    assert alike(name="Ai Khác", phone="+84 900000002") == {two}
    assert alike(name="Ai Khác") == set()
