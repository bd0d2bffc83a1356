"""Merges and consents at the bridge: the doctor sees one person, each record under its own name, and what was agreed to."""

import pytest

from appliance.contract import events as ev
from appliance.contract.ids import spell
from cloud_bridge import intake
from cloud_bridge.store import consents, patients
from cloud_bridge.store.engine import reading as looking
from cloud_bridge.store.engine import writing
from tests.bridge import story
from tests.bridge.story import GONE, OTHER, PATIENT, STATION, asked, event, oxygen, place, recorded, who


def take(engine, *events):
    """The bridge hears these."""
    with writing(engine) as tx:
        for number, each in enumerate(events):
            intake.apply(tx, STATION, each, story.T0 + 5000, place(number, each))


MERGED = (
    event(ev.PatientRegistered(who(allergies=ev.Allergies.UNKNOWN, allergy_text=""))),
    event(ev.PatientRegistered(who(OTHER, name="Trần Thử Nghiệm Hai", cccd="", allergies=ev.Allergies.KNOWN, allergy_text="Tôm"))),
    recorded(oxygen(1, 98)),
    recorded(oxygen(2, 91), OTHER),
    event(ev.PatientMerged(PATIENT, OTHER, "cùng CCCD"), 10),
)


def test_a_merged_person_is_shown_whole(offices, engine):
    """Both records' readings on one page, each under its own name, and the allergy that only one of them knows; on both pages."""
    take(engine, *MERGED)
    doctor = offices.doctor()
    for patient in (PATIENT, OTHER):
        page = doctor.get(f"/patients/{STATION}/{spell(patient)}").text
        for words in ("cùng một người", "Tôm", "98", "91", "Trần Thử Nghiệm Hai"):
            assert words in page


def test_taken_apart_each_is_alone_again(offices, engine):
    """The later word counts; nothing of the other record is left on the page."""
    take(engine, *MERGED, event(ev.PatientUnmerged(PATIENT, OTHER, "hai người"), 20))
    page = offices.doctor().get(f"/patients/{STATION}/{spell(PATIENT)}").text
    assert "cùng một người" not in page
    assert "Tôm" not in page


def test_a_request_of_a_merged_person_warns_of_every_allergy(offices, engine):
    """On the request's page too, with the way to the other record's readings."""
    take(engine, *MERGED, asked(900, (oxygen(1, 98),), identity=who(allergies=ev.Allergies.UNKNOWN, allergy_text="")))
    page = offices.doctor().get(f"/consults/{STATION}/{spell(900)}").text
    assert "Tôm" in page
    assert f"/patients/{STATION}/{spell(OTHER)}" in page


def test_the_latest_word_of_a_patient_counts(offices, engine):
    """Given, taken back, by the box's time and over all records of one person; another purpose stands by itself."""
    take(
        engine,
        event(ev.PatientRegistered(who())),
        event(ev.ConsentWithdrawn(PATIENT, "TREAT"), 30),
        event(ev.ConsentGiven(PATIENT, "TREAT", "2026-1"), 20),
        event(ev.ConsentGiven(PATIENT, "ERESRCH", "2026-1"), 25),
    )
    with looking(engine) as tx:
        assert [(one.purpose, one.given) for one in consents.latest(tx, STATION, [PATIENT])] == [("ERESRCH", True), ("TREAT", False)]
    page = offices.doctor().get(f"/patients/{STATION}/{spell(PATIENT)}").text
    assert "Nghiên cứu y học</b>: đồng ý" in page
    assert "hỏi bác sĩ từ xa</b>: không đồng ý" in page


@pytest.mark.parametrize(
    ("basis", "words"),
    [(ev.Basis.CONSENT, "đã đồng ý gửi bác sĩ"), (ev.Basis.EMERGENCY, "chưa hỏi được người bệnh"), (ev.Basis.UNSAID, "")],
)
def test_on_what_ground_a_request_was_sent_stands_beside_it(offices, engine, basis, words):
    """Consent or emergency; a station of before says neither, and nothing is made up."""
    take(engine, asked(900, basis=basis))
    with looking(engine) as tx:
        assert consents.basis(tx, STATION, 900) is basis
    page = offices.doctor().get(f"/consults/{STATION}/{spell(900)}").text
    assert (words in page) if words else ("đồng ý gửi" not in page and "chưa hỏi được" not in page)


@pytest.mark.parametrize("late", [True, False])
def test_an_erased_patient_leaves_no_consent(engine, late):
    """Before or after the tombstone."""
    given, gone = event(ev.ConsentGiven(GONE, "TREAT", "2026-1"), 5), event(ev.Tombstone(GONE, "theo yêu cầu"), 9)
    take(engine, *((gone, given) if late else (given, gone)))
    with looking(engine) as tx:
        assert consents.latest(tx, STATION, [GONE]) == []


def test_an_erased_record_is_no_part_of_a_person(engine):
    """Nobody sees a merged record that was erased."""
    take(engine, *MERGED, event(ev.Tombstone(OTHER, "theo yêu cầu"), 30))
    with looking(engine) as tx:
        assert patients.records(tx, STATION, PATIENT) == [PATIENT]
