"""Ten thousand requests nobody would send to the kiosk: it never fails, and tells nobody anything who has not signed in."""

from pathlib import Path

import pytest

from appliance.contract.events import Department, Urgency
from appliance.kiosk import app as kiosk_app
from appliance.store import consults, measuring
from appliance.store.consults import ConsultDraft
from tests import hostile
from tests.kiosk import station as stations
from tests.kiosk.station import DOCTOR, LEAD, NURSE, TECHNICIAN, Station

SEEDS, EACH = range(8), 1_300
STRETCH = 45
"""Requests of one window before somebody else comes to it."""
SECRETS = ("Thử Nghiệm Một", "Thử Nghiệm Hai", "001061012345", "Đau đầu thử", "Uống đủ nước", "30-Apr-1961", "1961-04-30")
"""What a page that anybody can open must not hold."""
FIELDS = hostile.fields_of(Path(kiosk_app.__file__).parent)


def lived_in(folder: Path) -> Station:
    """A station after a morning: readings saved, set aside and waiting, a request answered, another one open."""
    station = stations.make(folder)
    for patient in (station.first, station.second):
        session = measuring.open_session(station.conn, patient=patient, staff=NURSE, device="oxi", now=station.now)
        saved = station.measure("oxi", session.id, SPO2=97, PULSE_RATE=71)
        measuring.record(station.conn, saved, staff=NURSE, now=station.now)
        station.hand.turn(20)
        station.measure("oxi", session.id, SPO2=96, PULSE_RATE=70)
        station.measure("cuff", None, SYSTOLIC=115, DIASTOLIC=74)
        draft = ConsultDraft(patient, Urgency.URGENT, Department.INTERNAL, "Đau đầu thử", (saved,))
        consults.request(station.conn, draft, consult=5000 + patient, staff=NURSE, now=station.now)
    station.answer(5000 + station.first)
    return station


def numbers(station: Station) -> list[int]:
    """Numbers that exist in the store."""
    found = {station.first, station.second}
    for table in ("session", "measurement", "consult", "observation", "held"):
        found |= {int(row[0]) for row in station.conn.execute(f"SELECT id FROM {table}").fetchall()}
    return sorted(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_brings_the_kiosk_down_or_makes_it_talk(seed: int, tmp_path: Path) -> None:
    """No answer is a server error; neither a stranger nor a technician sees a byte of a patient, whatever they ask."""
    with lived_in(tmp_path) as station:
        stranger = hostile.Stranger(station.app, FIELDS, seed, numbers(station), ("oxi", "cuff", NURSE, "kiosk.css"))
        window, blind, token = station.window(""), True, ""
        for number, request in enumerate(stranger.requests(EACH)):
            if number % STRETCH == 0:
                who = stranger.dice.choice(("", "", NURSE, DOCTOR, LEAD, TECHNICIAN))
                blind = who in ("", TECHNICIAN)
                window = station.window(who)
                token = window.token()
            if blind and request.endpoint == "staff.enter":
                continue
            form = {**request.form, "csrf": token if stranger.dice.random() < 0.85 else "0" * 48} if request.method != "GET" else None
            answer = window.client.open(request.path, method=request.method, data=form, headers=request.headers)
            said = f"seed {seed}, request {number}: {request.method} {request.path} {form}"
            assert answer.status_code < 500, f"{said}: {answer.status_code} {station.journal.getvalue()[-600:]}"
            if blind and answer.mimetype != "text/css":
                assert not hostile.held(answer.text, SECRETS), said
            answer.close()
            station.hand.turn(stranger.dice.choice((0, 0, 1, 5)))
        assert station.count("SELECT count(*) FROM observation") >= 2
