"""Merging at the kiosk: both records are identified, nothing moves, a page left open on the duplicate writes to nobody else."""

from appliance.store import measuring, patients
from tests.kiosk.station import FIRST, Station, Window, add_patient

TICKS = {"one_name": "1", "one_birth": "1", "two_name": "1", "two_birth": "1"}


def twin(station: Station) -> int:
    """A second record of the first patient."""
    return add_patient(station, 1003, "Dang Thu Nghiem Mot", "1961", "")


def merged(window: Window, station: Station, duplicate: int) -> Window:
    """A person merges the two."""
    return window.post(f"/patients/{station.first}/merge/{duplicate}", reason="twice", **TICKS)


def test_two_records_are_merged_after_two_identifiers_of_each(station: Station) -> None:
    """The one that looks alike is offered; one record unidentified, or no reason, is a sentence; nothing is written before."""
    duplicate, window = twin(station), station.window()
    assert f'href="/patients/{station.first}/merge/{duplicate}"' in window.get(f"/patients/{station.first}/merge").text
    window.get(f"/patients/{station.first}/merge/{duplicate}")
    assert "Hồ sơ được giữ lại" in window.text
    for missing in ("one_birth", "two_name", "reason"):
        fields = {name: value for name, value in ({"reason": "twice"} | TICKS).items() if name != missing}
        assert window.post(f"/patients/{station.first}/merge/{duplicate}", **fields).status == 422
        assert patients.root(station.conn, duplicate) == duplicate
    merged(window, station, duplicate)
    assert window.path == f"/patients/{station.first}"
    assert "Đã gộp hai hồ sơ" in window.text
    assert patients.root(station.conn, duplicate) == station.first
    assert station.count("SELECT count(*) FROM outbox WHERE kind = 3") == 1


def test_the_merged_view_shows_both_histories_and_the_search_finds_one(station: Station) -> None:
    """A reading of the duplicate stands on the page of the record that stands, under its own address; taking apart takes it along."""
    duplicate, window = twin(station), station.window()
    for patient, spo2 in ((station.first, 97), (duplicate, 91)):
        session = window.open(patient)
        measurement = station.measure("oxi", session, SPO2=spo2, PULSE_RATE=60)
        window.post(f"/sessions/{session}/save", measurement=measurement, patient=patient)
    merged(window, station, duplicate)
    window.get(f"/patients/{station.first}")
    assert "SpO₂ 97%" in window.text
    assert "SpO₂ 91%" in window.text
    assert f'href="/patients/{duplicate}/readings/' in window.text
    assert window.get(f"/patients/{duplicate}").path == f"/patients/{station.first}"
    listed = window.post("/find", q="nghiem mot").text
    assert listed.count('class="button row"') == 1
    assert FIRST in listed
    window.get(f"/patients/{station.first}/unmerge/{duplicate}")
    window.post(f"/patients/{station.first}/unmerge/{duplicate}", reason="two")
    assert "SpO₂ 91%" not in window.get(f"/patients/{station.first}").text
    assert "SpO₂ 91%" in window.get(f"/patients/{duplicate}").text


def test_what_is_opened_on_the_duplicate_goes_to_the_record_that_stands_and_says_so(station: Station) -> None:
    """A page of the duplicate goes on with a notice; a form that was still open is refused with the way."""
    duplicate, window, other = twin(station), station.window(), station.window("bs2")
    other.confirm(duplicate)
    merged(window, station, duplicate)
    assert other.get(f"/patients/{duplicate}/measure").path == f"/patients/{station.first}/measure"
    assert "đã gộp vào hồ sơ này" in other.text
    assert other.post(f"/patients/{duplicate}/measure", device="oxi").status == 409
    assert station.count("SELECT count(*) FROM session") == 0


def test_a_session_open_on_the_duplicate_during_the_merge_saves_for_nobody_else(station: Station) -> None:
    """The page left open is refused; the reading waits on the one page of the person and, identified, is saved in its own record."""
    duplicate, window, other = twin(station), station.window(), station.window("bs2")
    session = other.open(duplicate)
    measurement = station.measure("oxi", session)
    merged(window, station, duplicate)
    other.post(f"/sessions/{session}/save", measurement=measurement, patient=duplicate)
    assert station.count("SELECT count(*) FROM observation") == 0
    other.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    assert station.count("SELECT count(*) FROM observation") == 0
    link = f"/patients/{duplicate}/undecided/{measurement}"
    assert link in other.get(f"/patients/{station.first}").text
    other.get(link)
    other.post(link, id_name="1", id_birth="1")
    assert [one.patient for one in measuring.observations(station.conn, duplicate)] == [duplicate]
    assert measuring.observations(station.conn, station.first) == []


def test_after_a_merge_everybody_is_confirmed_anew(station: Station) -> None:
    """At every window: who is who has changed."""
    duplicate, window, other = twin(station), station.window(), station.window("bs2")
    other.confirm(station.first)
    merged(window, station, duplicate)
    assert other.post(f"/patients/{station.first}/measure", device="oxi").path == f"/patients/{station.first}/confirm"


def test_what_cannot_be_merged_or_taken_apart_is_a_sentence(station: Station) -> None:
    """A record that joined already, two that are not merged, nobody."""
    duplicate, window = twin(station), station.window()
    assert window.post(f"/patients/{station.first}/unmerge/{duplicate}", reason="two").status == 409
    merged(window, station, duplicate)
    assert window.get(f"/patients/{station.second}/merge/{duplicate}").status == 409
    assert window.get(f"/patients/{station.second}/merge/424242").status == 404
    assert window.post(f"/patients/{station.first}/unmerge/{duplicate}", reason="").status == 422
