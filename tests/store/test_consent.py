"""Consent: every word stays, the latest counts, each change travels once; an emergency waits for none."""

import hashlib

import pytest

from appliance.contract.events import Basis, ConsentGiven, ConsentWithdrawn, Urgency
from appliance.store import consent, merging
from appliance.store.consent import ERESRCH, PURPOSES, TEXT_VERSION, TEXTS, TREAT
from appliance.store.errors import Refused
from tests.store.station import Station


def say(station: Station, patient: int, *, given: bool, purpose: str = TREAT) -> bool:
    """The patient says yes or no."""
    return consent.say(station.conn, patient=patient, purpose=purpose, given=given, staff="an", now=station.later(1))


def test_nobody_has_agreed_beforehand(station: Station) -> None:
    """A new patient has said nothing about any purpose."""
    patient = station.patient()
    assert consent.words(station.conn, patient) == {}
    assert not any(consent.given(station.conn, patient, one) for one in PURPOSES)


def test_a_consent_is_given_for_its_purpose_and_taken_back(station: Station) -> None:
    """One event a change with the version of the text; the other purposes stay as they were; every word is kept."""
    patient = station.patient()
    assert say(station, patient, given=True)
    assert not say(station, patient, given=True)
    assert consent.given(station.conn, patient)
    assert not consent.given(station.conn, patient, ERESRCH)
    assert say(station, patient, given=False)
    assert not consent.given(station.conn, patient)
    assert say(station, patient, given=True)
    bodies = [event.body for event in station.events() if event.kind in (5, 6)]
    yes = ConsentGiven(patient, TREAT, TEXT_VERSION)
    assert bodies == [yes, ConsentWithdrawn(patient, TREAT), yes]
    assert station.count("consent") == 3


def test_a_no_is_an_answer_too(station: Station) -> None:
    """Who refuses before ever agreeing is not asked as one who was never asked."""
    patient = station.patient()
    assert say(station, patient, given=False)
    assert consent.words(station.conn, patient)[TREAT].given is False


def test_what_somebody_agreed_to_is_never_rewritten() -> None:
    """A changed text needs a new version: this test names the text of each."""
    digest = hashlib.sha256("".join(vi + en for vi, en in TEXTS.values()).encode()).hexdigest()[:16]
    assert {TEXT_VERSION: digest} == {"2026-1": "3d6eba162855085b"}
    assert set(TEXTS) == set(PURPOSES)


@pytest.mark.parametrize(("purpose", "staff", "patient"), [("ADS", "an", 1), (TREAT, "", 1), (TREAT, "an", 404)])
def test_what_cannot_be_a_consent_is_refused(station: Station, purpose: str, staff: str, patient: int) -> None:
    """Another purpose, nobody who asked, nobody who answered."""
    station.patient()
    with pytest.raises(Refused):
        consent.say(station.conn, patient=patient, purpose=purpose, given=True, staff=staff, now=station.now)
    assert station.count("consent") == 0


def test_the_person_agrees_not_the_record(station: Station) -> None:
    """After a merge the latest word of either record counts; taken apart, each has its own again."""
    one, two = station.patient("Thử Nghiệm Một"), station.patient("Thử Nghiệm Một")
    say(station, two, given=True)
    merging.merge(station.conn, patient=one, duplicate=two, reason="thử", staff="an", now=station.now)
    assert consent.given(station.conn, one)
    say(station, one, given=False)
    assert not consent.given(station.conn, two)
    merging.unmerge(station.conn, duplicate=two, reason="thử", staff="an", now=station.now)
    assert (consent.given(station.conn, one), consent.given(station.conn, two)) == (False, True)


def test_an_emergency_never_waits(station: Station) -> None:
    """Routine and urgent requests need a consent or a person's word that nobody could be asked; an emergency needs neither."""
    patient = station.patient()
    assert consent.basis(station.conn, patient, Urgency.ROUTINE) is Basis.UNSAID
    assert consent.basis(station.conn, patient, Urgency.URGENT) is Basis.UNSAID
    assert consent.basis(station.conn, patient, Urgency.URGENT, Basis.EMERGENCY) is Basis.EMERGENCY
    assert consent.basis(station.conn, patient, Urgency.EMERGENCY) is Basis.EMERGENCY
    say(station, patient, given=True)
    assert {consent.basis(station.conn, patient, one) for one in Urgency} == {Basis.CONSENT}
    say(station, patient, given=False)
    assert consent.basis(station.conn, patient, Urgency.ROUTINE, Basis.CONSENT) is Basis.UNSAID


def test_an_erased_patient_leaves_no_consent(station: Station) -> None:
    """The words go with the patient."""
    patient = station.patient()
    say(station, patient, given=True)
    station.conn.execute("UPDATE patient SET name = '', erased = 1 WHERE id = ?", (patient,))
    assert station.count("consent") == 0
