"""Who may open what: every address of the kiosk against every role, from the one table; and not a byte of a patient without a PIN."""

import re

import pytest
from werkzeug.routing import Rule as Route

from appliance.contract.events import Department, Urgency
from appliance.kiosk import here
from appliance.kiosk.access import DEEDS, ROLES, TABLE, WHOM, Rule, may
from appliance.store import audit, consults, staff
from appliance.store.consults import ConsultDraft
from tests.kiosk.station import DOCTOR, FIRST, LEAD, NURSE, SECOND, TECHNICIAN, Station, Window

ROLE_OF = {"": "", NURSE: "nurse", DOCTOR: "doctor", TECHNICIAN: "technician", LEAD: "lead"}
SECRETS = (
    FIRST,
    SECOND,
    "Thử Nghiệm Một",
    "001061012345",
    "001 061 012 345",
    "1961",
    "Bản Thử",
    "Lý do bí mật",
    "1001",
    "5001",
    "117/",
    "Thử Nghiệm Hai",
)
"""What is known of patients here: names, numbers, birth, village, complaint, row numbers, a value."""


def routes(station: Station, method: str) -> list[Route]:
    """The kiosk's addresses for one method."""
    return [one for one in station.app.url_map.iter_rules() if method in (one.methods or ())]


def path(station: Station, route: Route, number: int = 1001) -> str:
    """An address with numbers of this station in it."""
    given = {name: {"device": "oxi", "code": NURSE, "filename": "kiosk.css"}.get(name, number) for name in route.arguments}
    with station.app.test_request_context():
        return str(station.app.url_map.bind("localhost").build(route.endpoint, given))


@pytest.fixture
def full(station: Station) -> Station:
    """A station with readings, a session, an open emergency that nobody has seen, and something in the tray."""
    window = station.window()
    session = window.open(station.first, "cuff")
    measurement = station.measure("cuff", session, SYSTOLIC=117, DIASTOLIC=74, MEAN=88, PULSE_RATE=70)
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    window.open(station.second)
    station.measure("cuff", None, SYSTOLIC=117, DIASTOLIC=75, MEAN=89, PULSE_RATE=71)
    draft = ConsultDraft(station.first, Urgency.EMERGENCY, Department.INTERNAL, "Lý do bí mật", (measurement,))
    consults.request(station.conn, draft, consult=5001, staff=NURSE, now=station.now)
    station.answer(5001, advice="Lý do bí mật")
    unseen = ConsultDraft(station.second, Urgency.EMERGENCY, Department.INTERNAL, "Lý do bí mật")
    consults.request(station.conn, unseen, consult=5002, staff=NURSE, now=station.now)
    station.hand.turn(150)
    return station


def test_every_address_has_a_row_and_every_row_an_address(station: Station) -> None:
    """A page that nobody has thought about opens for nobody."""
    assert {one.endpoint for one in station.app.url_map.iter_rules()} == set(TABLE)
    assert set(WHOM) == set(ROLES)
    for name in here.POLLS:
        assert TABLE[name].audit == "", name


def test_every_word_of_the_log_has_a_sentence() -> None:
    """The lead reads what was done, not a word of the program."""
    words = {one.audit for one in TABLE.values() if one.audit}
    assert words <= set(DEEDS)


@pytest.mark.parametrize("who", ROLE_OF)
def test_each_role_opens_what_the_table_says_and_nothing_else(full: Station, who: str) -> None:
    """Every GET address: 403 with whom to ask, or the first page for nobody; what is not refused is no error of ours."""
    window, asked = full.window(who), 0
    for route in routes(full, "GET"):
        row = TABLE[route.endpoint]
        if row.rule is Rule.OPEN:
            continue
        answer = window.client.get(path(full, route))
        asked += 1
        if may(ROLE_OF[who], row.rule):
            assert answer.status_code != 403, route
        elif who:
            assert answer.status_code == 403, route
            assert WHOM[row.rule][0] in answer.text or WHOM[row.rule][0] in str(answer.get_json())
        else:
            assert (answer.status_code, answer.headers.get("Location")) == (303, "/") or answer.status_code == 403, route
    assert asked > 30


@pytest.mark.parametrize("who", ["", TECHNICIAN])
def test_no_write_goes_through_for_whoever_may_not(full: Station, who: str) -> None:
    """Every POST address that is not open to them, with a good token: nothing is queued and nothing changes."""
    window = full.window(who)
    before = full.count("SELECT count(*) FROM outbox"), full.count("SELECT count(*) FROM staff WHERE active = 1")
    token = window.token()
    for route in routes(full, "POST"):
        row = TABLE[route.endpoint]
        if may(ROLE_OF[who], row.rule):
            continue
        answer = window.client.post(path(full, route), data={"csrf": token, "staff": NURSE, "pin": "000000"})
        if who:
            assert answer.status_code == 403, route
        else:
            assert (answer.status_code, answer.headers["Location"]) == (303, "/"), route
    assert before == (full.count("SELECT count(*) FROM outbox"), full.count("SELECT count(*) FROM staff WHERE active = 1"))


def open_pages(full: Station, window: Window) -> list[tuple[str, str]]:
    """Everything that answers without a PIN, with what it says: every GET address, and every open POST address."""
    said = []
    for route in routes(full, "GET"):
        if route.endpoint == "static":
            continue
        for number in (1001, 5001, 5002, 1):
            at = path(full, route, number)
            said.append((at, window.client.get(at, follow_redirects=True).text))
    token = window.token()
    for route in routes(full, "POST"):
        if TABLE[route.endpoint].rule is Rule.OPEN:
            at = path(full, route)
            for fields in ({}, {"staff": NURSE}, {"staff": NURSE, "pin": "111111"}, {"back": "/patients/1"}):
                answer = window.client.post(at, data={"csrf": token, **fields}, follow_redirects=True)
                said.append((at, answer.text))
    return said


def forms_away(text: str) -> str:
    """A page without its own addresses and tokens."""
    return re.sub(r'(?:value|action|href|src|data-[a-z]+)="[^"]*"', "", text)


def test_without_a_pin_the_screen_holds_not_a_byte_of_a_patient(full: Station) -> None:
    """A store full of patients, an unseen emergency on the screen: names, numbers, values and complaints are nowhere."""
    window = full.window("")
    said = open_pages(full, window)
    assert len(said) > 200
    assert any("CHƯA AI XEM" in text for _, text in said)
    for at, text in said:
        for secret in SECRETS:
            assert secret not in forms_away(text), (at, secret)
        for secret in SECRETS[:5]:
            assert secret not in text, (at, secret)


def test_a_technician_sees_not_a_byte_of_a_patient(full: Station) -> None:
    """The same for whoever works on the box."""
    window = full.window(TECHNICIAN)
    for at, text in open_pages(full, window):
        for secret in SECRETS[:5]:
            assert secret not in text, (at, secret)


def test_a_window_that_went_blank_gives_nothing_more_even_to_its_own_page(full: Station) -> None:
    """The moving number and the news of a request need somebody who is there; whoever returns finds the choice of names."""
    window = full.window()
    session = window.open(full.first, "cuff")
    assert window.data(f"/live/cuff.json?session={session}") is not None
    assert window.status == 200
    full.hand.turn(full.settings.kiosk.blank_s + 1)
    for at in (f"/live/cuff.json?session={session}", "/consults/5001.json"):
        window.data(at, idle=full.settings.kiosk.blank_s + 1)
        assert window.status == 403, at
    assert window.get(f"/patients/{full.first}").path == "/"
    window.sign_in(NURSE)
    assert window.path == "/home"
    assert "/confirm" in window.get(f"/sessions/{session}").path or FIRST not in window.text


def test_whoever_is_retired_is_out_at_once(station: Station) -> None:
    """Also in the middle of their work; a changed role counts from the next page on."""
    window = station.window(DOCTOR)
    assert window.get("/consults").status == 200
    staff.add(station.conn, code=DOCTOR, name="Bác sĩ Trạm Thử", role=staff.TECHNICIAN, now=station.now)
    assert window.get("/consults").status == 403
    staff.retire(station.conn, DOCTOR, now=station.now)
    assert window.get("/home").path == "/"


# --- the log --------------------------------------------------------------------------------------------------------------------------


def deeds(station: Station) -> list[tuple[str, str, int]]:
    """Who did what about whom, in order."""
    return [(one.actor, one.action, one.patient) for one in reversed(audit.entries(station.conn, limit=1000))]


def test_what_is_seen_and_done_is_written_down_with_its_patient(station: Station) -> None:
    """Views, confirmations, sessions, readings; each time it is shown, by whoever had signed in; the log stands its own check."""
    began = station.count("SELECT count(*) FROM audit")
    window = station.window()
    window.post("/find", q="mot")
    session = window.open(station.first)
    measurement = station.measure("oxi", session)
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    window.get(f"/patients/{station.first}")
    new = deeds(station)[began:]
    for action, patient, times in (
        ("staff.login", 0, 1), ("patient.search", 0, 1), ("patient.confirm", station.first, 1), ("session.view", station.first, 2),
        ("observation.save", station.first, 1), ("patient.view", station.first, 1),
    ):  # fmt: skip
        assert new.count((NURSE, action, patient)) == times, (action, new)
    assert audit.verify(station.conn) == 0


def test_pages_that_ask_by_themselves_and_pages_that_were_not_shown_leave_no_entry(station: Station) -> None:
    """Polls, redirects to confirm, errors, what does not exist."""
    window = station.window()
    session = window.open(station.first)
    window.get("/home")
    before = deeds(station)
    for _ in range(3):
        window.data("/status.json")
        window.data(f"/live/oxi.json?session={session}")
    assert window.get("/patients/424242").status == 404
    window.get("/nowhere")
    window.client.get(f"/patients/{station.second}/measure")
    assert [one for one in deeds(station)[len(before) :] if one[2] == station.second or one[1] == "session.view"] == []


def test_a_page_whose_entry_cannot_be_written_is_not_sent(station: Station) -> None:
    """Nobody looks at a patient unseen: the store refuses the entry, the page is a sentence."""
    window = station.window()
    station.conn.execute("CREATE TRIGGER audit_shut BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END")
    window.get(f"/patients/{station.first}")
    assert window.status >= 500
    assert FIRST not in window.text


def test_trying_a_page_without_the_right_to_it_is_written_down(station: Station) -> None:
    """With the endpoint that was tried."""
    station.window(TECHNICIAN).get("/consults")
    last = audit.entries(station.conn, limit=1)[0]
    assert (last.actor, last.action, last.subject) == (TECHNICIAN, "access.denied", "consult.listing")


def test_the_lead_reads_who_saw_whom(station: Station) -> None:
    """Today's log and that of one patient; for nobody else."""
    nurse = station.window()
    nurse.get(f"/patients/{station.first}")
    lead = station.window(LEAD).get("/log")
    assert "Y tá Thử" in lead.text
    assert "xem người bệnh" in lead.text
    lead.get(f"/log?patient={station.first}")
    assert FIRST in lead.text
    assert deeds(station)[-1] == (LEAD, "audit.view", station.first)
    for number in range(130):
        audit.note(station.conn, actor=NURSE, action="patient.view", now=station.now, patient=number + 1)
    assert "Cũ hơn" in lead.get("/log").text
    assert lead.get("/log?before=40").status == 200
    assert station.window(DOCTOR).get("/log").status == 403
