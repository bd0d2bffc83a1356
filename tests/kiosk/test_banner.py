"""The patient's banner stands on every page about a patient: one walk over the table of endpoints, so that no new page forgets it."""

import re
from datetime import date

import pytest
from flask import Flask

from appliance.contract.events import Allergies, Department, Identity, Sex, Urgency
from appliance.kiosk import present
from appliance.kiosk.access import TABLE, Rule
from appliance.kiosk.speech import say
from appliance.store import consults, guided, measuring, merging, patients
from appliance.store.consults import ConsultDraft
from appliance.store.patients import PatientDraft
from tests.kiosk.station import FIRST, NURSE, SECOND, Station, add_patient

NOT_ABOUT_ONE = {
    "home.find", "home.found", "home.recent", "people.form", "tray.tray", "tray.search", "tray.found", "consult.listing", "correct.found",
}  # fmt: skip
"""Clinical pages that are about nobody yet, or about many."""
OTHER_THINGS = {
    "measure.live",
    "consult.follow",
    "pictures.follow",
    "pictures.image",
    "pictures.phone",
    "pictures.camera",
    "paper.slip",
    "paper.summary",
}
"""Answers that are no pages: numbers for a script, pictures, sheets of paper (which carry the patient's facts themselves)."""


def paths(app: Flask) -> list[tuple[str, str]]:
    """(endpoint, rule) of every clinical page that is read."""
    return sorted(
        (rule.endpoint, rule.rule)
        for rule in app.url_map.iter_rules()
        if TABLE[rule.endpoint].rule is Rule.CLINICAL and "GET" in (rule.methods or ()) and "<" in rule.rule
    )


def test_every_page_about_a_patient_has_the_banner(station: Station) -> None:
    """Name first and bold, birth as dd-Mmm-yyyy with the age, sex, number in groups, allergies: on each page, whoever wrote it."""
    patient, window = station.first, station.window()
    twin = add_patient(station, 1003, "Dang Thu Nghiem Mot", "1961")
    merging.merge(station.conn, patient=patient, duplicate=twin, reason="thử", staff=NURSE, now=station.now)
    session = window.open(patient)
    saved = station.measure("oxi", session)
    measuring.record(station.conn, saved, staff=NURSE, now=station.now)
    station.hand.turn(5)
    waiting = station.measure("oxi", session)
    station.hand.turn(5)
    stray = station.measure("cuff", None, SYSTOLIC=115, DIASTOLIC=74)
    consults.request(
        station.conn, ConsultDraft(patient, Urgency.URGENT, Department.GENERAL, "đau", (saved,)), consult=7001, staff=NURSE, now=station.now
    )
    observation = station.count("SELECT id FROM observation")
    window.post(f"/patients/{patient}/ask", complaint="đau", department="general", urgency="urgent")
    series = guided.begin(station.conn, patient=patient, staff=NURSE, device="cuff", now=station.now).id
    found = {
        "series": series, "form": "pressure",
        "patient": patient, "session": session, "consult": 7001, "observation": observation, "other": station.second, "purpose": "TREAT",
    }  # fmt: skip
    typing = station.window()
    typing.confirm(patient, "manual")
    typing_session = typing.path.split("/")[2]
    walked = set()
    for endpoint, rule in paths(station.app):
        if endpoint in NOT_ABOUT_ONE | OTHER_THINGS or "<device>" in rule:
            continue
        numbers = found | {
            "measurement": stray if endpoint.startswith("tray.") and "undecided" not in endpoint else waiting,
            "duplicate": twin if endpoint.startswith("merge.why") else station.second,
        }
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda one: str(numbers[one[1]]), rule)  # noqa: B023 - used at once
        seen = window
        if endpoint.startswith("manual."):
            seen, path = typing, re.sub(r"/sessions/\d+/", f"/sessions/{typing_session}/", path)
        seen.get(path)
        if seen.page is None or seen.page.mimetype != "text/html":
            continue
        assert seen.status == 200, f"{endpoint} {path}: {seen.text[-600:]}"
        _has_banner(seen.text, f"{endpoint} {path}", other=endpoint == "correct.ask")
        walked.add(endpoint)
    assert {"people.show", "confirm.ask", "choose.devices", "measure.show", "consult.review", "consult.show", "merge.ask"} <= walked
    assert len(walked) >= 20


def _has_banner(text: str, where: str, *, other: bool) -> None:
    """`other`: the page asks who somebody else is, to whom a reading is to be given."""
    banner = re.search(r'<section class="banner".*?</section>', text, re.DOTALL)
    assert banner is not None, f"{where} has no banner"
    mine = (f'<span class="name">{FIRST}</span>', "30-Thg4-1961</b> (64 tuổi)", "001 061 012 345", "Không rõ", "Dị ứng")
    theirs = (f'<span class="name">{SECOND}</span>', "1985</b> (khoảng 41 tuổi)", "Mã tại trạm", "Không rõ", "Dị ứng")
    for fact in theirs if other else mine:
        assert fact in banner[0], f"{where}: no {fact}"


def test_the_tray_names_whose_the_reading_is_to_be(station: Station) -> None:
    """A page with two patients on it shows the banner of the one it writes to."""
    stray = station.measure("oxi", None)
    assert FIRST in station.window().get(f"/tray/{stray}/to/{station.first}").text


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        (Identity(5, 1, "Thử Nghiệm Một"), ("Không rõ", "Không rõ", "000 000 0000 0059", "Chưa hỏi / không rõ")),
        (
            Identity(5, 1, "Thử", "1961", Sex.FEMALE, allergies=Allergies.NONE_KNOWN),
            ("1961", "Nữ", "000 000 0000 0059", "Đã hỏi: không có"),
        ),
        (Identity(5, 1, "Thử", "1961-04-30", Sex.MALE, "", "0123456789"), ("30-Thg4-1961", "Nam", "012 345 6789", "Chưa hỏi / không rõ")),
    ],
)
def test_what_nobody_knows_is_said(identity: Identity, shown: tuple[str, str, str, str]) -> None:
    """*Không rõ*, never an empty place and never a question mark; a number of ten digits stands 3-3-4."""
    banner = present.banner(identity, date(2026, 3, 1), say("vi"))
    assert (banner.birth, banner.sex, banner.id_text, banner.allergies) == shown


def test_a_changed_record_changes_the_banner_at_once(station: Station) -> None:
    """What was written a moment ago stands on the next page."""
    draft = PatientDraft(FIRST, "1961-04-30", allergies=Allergies.KNOWN, allergy_text="penicillin", cccd="001061012345")
    patients.change(station.conn, draft, patient=station.first, reason="thử", staff=NURSE, now=station.now)
    assert "penicillin" in station.window().get(f"/patients/{station.first}/measure").text
