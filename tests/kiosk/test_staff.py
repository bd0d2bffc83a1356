"""Signing in with a PIN, changing it, the team, the emergency button."""

import re

import pytest

from appliance.contract.events import EmergencyPressed, StaffChanged
from appliance.database import StoreError
from appliance.store import audit, pins, staff
from appliance.store.opening import secret_file
from tests.kiosk.station import DOCTOR, FIRST, LEAD, NURSE, PINS, TECHNICIAN, Station

NEW = "746281"
WRONG = "111222"


def test_a_name_and_its_pin_sign_in_and_every_event_carries_the_code(station: Station) -> None:
    """Six digits, then the first page."""
    window = station.window("")
    assert window.post("/staff", staff=DOCTOR).path == "/pin"
    assert "Bác sĩ Trạm Thử" in window.text
    assert window.post("/pin", pin=PINS[DOCTOR]).path == "/home"
    session = window.open(station.first)
    assert station.conn.execute("SELECT staff FROM session WHERE id = ?", (session,)).fetchone()[0] == DOCTOR


def test_without_a_script_each_key_is_sent_by_itself(station: Station) -> None:
    """Dots grow, one can take a digit back, the sixth signs in; no digit stands on the page."""
    window = station.window("")
    window.post("/staff", staff=NURSE)
    for count, digit in enumerate("4809", 1):
        window.post("/pin", staff=NURSE, pin="", key=digit)
        assert window.text.count('<i class="on">') == count
        assert count == 1 or "4809"[:count] not in re.sub(r"[0-9a-f]{12,}", "", window.text)  # the form's token is chance
    window.post("/pin", staff=NURSE, pin="", key="back")
    assert window.text.count('<i class="on">') == 3
    for digit in "71":
        window.post("/pin", staff=NURSE, pin="", key=digit)
    assert window.post("/pin", staff=NURSE, pin="", key="3").path == "/home"


@pytest.mark.parametrize(("typed", "words"), [("48071", "6 chữ số"), ("abcdef", "6 chữ số"), ("", "6 chữ số"), (WRONG, "Còn 4 lần thử")])
def test_what_is_no_pin_of_theirs_is_a_sentence(station: Station, typed: str, words: str) -> None:
    """Five digits, letters, nothing, a wrong one: what to do next, and nobody is signed in."""
    window = station.window("")
    window.post("/staff", staff=NURSE)
    window.post("/pin", pin=typed)
    assert window.status == 403
    assert words in window.text
    assert window.get("/home").path == "/"


def test_a_wrong_pin_eleven_times_locks_and_the_lead_opens(station: Station) -> None:
    """The page says how long and whom to ask, and has no keys; another person signs in meanwhile; unlocking is one tap."""
    window = station.window("")
    window.post("/staff", staff=NURSE)
    for _ in range(11):
        window.post("/pin", pin=WRONG)
    assert "phải chờ 1 phút" in window.text
    assert "trưởng trạm mở khóa" in window.text
    assert 'name="key"' not in window.text
    assert "phải chờ 1 phút" in window.post("/pin", pin=PINS[NURSE]).text
    assert station.window(DOCTOR).get("/home").path == "/home"
    lead = station.window(LEAD).get("/team")
    assert "đang khóa 1 phút" in lead.text
    assert "Mở khóa" in lead.get(f"/team/{NURSE}").text
    assert lead.post(f"/team/{NURSE}/unlock").path == "/team"
    assert window.post("/pin", pin=PINS[NURSE]).path == "/home"


def test_switching_by_the_name_in_the_strip_is_one_tap(station: Station) -> None:
    """The own name is a button on every page; the next person starts with nobody confirmed."""
    window = station.window()
    window.confirm(station.first)
    window.get(f"/patients/{station.first}")
    assert 'action="/staff/leave"' in window.text
    assert "Y tá Thử" in window.text
    window.post("/staff/leave")
    assert FIRST not in window.text
    window.sign_in(DOCTOR)
    window.get(f"/patients/{station.first}/ask")
    window.client.post("/staff/leave", data={"csrf": window.token()})
    assert station.kiosk.desks.get(window.client.get_cookie("tram").value).ask is None  # type: ignore[union-attr]


def test_somebody_elses_tap_on_a_name_signs_out_who_was_there(station: Station) -> None:
    """Between the tap and the PIN nobody is at the window."""
    window = station.window()
    window.post("/staff", staff=DOCTOR)
    assert window.get("/home").path == "/"


def test_who_has_no_pin_is_told_whom_to_ask(station: Station) -> None:
    """A name without a PIN opens nothing."""
    staff.add(station.conn, code="moi", name="Người Mới Thử", now=station.now)
    window = station.window("")
    window.post("/staff", staff="moi")
    assert "Chưa có mã PIN" in window.text
    assert "trưởng trạm" in window.text


def test_one_changes_ones_own_pin_with_the_old_one(station: Station) -> None:
    """A wrong old one, two that differ, an easy one: sentences; then the new one works and the old one does not."""
    window = station.window()
    for old, pin, again, words in (
        (WRONG, NEW, NEW, "không đúng"),
        (PINS[NURSE], NEW, "746282", "không giống nhau"),
        (PINS[NURSE], "123456", "123456", "dễ đoán"),
        (PINS[NURSE], "12345", "12345", "6 chữ số"),
    ):
        assert words in window.post("/my-pin", old=old, pin=pin, again=again).text
    assert window.post("/my-pin", old=PINS[NURSE], pin=NEW, again=NEW).path == "/home"
    assert "Đã đổi mã PIN" in window.text
    other = station.window("")
    assert "không đúng" in other.sign_in(NURSE).text
    assert other.sign_in(NURSE, NEW).path == "/home"


def test_the_lead_adds_somebody_who_then_signs_in(station: Station) -> None:
    """Name, code, role, PIN; what is wrong is said; the bridge hears of it."""
    lead = station.window(LEAD)
    for fields, words in (
        ({"code": "đ", "name": "A", "role": "nurse", "pin": NEW, "again": NEW}, "không dấu"),
        ({"code": "an", "name": " ", "role": "nurse", "pin": NEW, "again": NEW}, "họ và tên"),
        ({"code": "an", "name": "Thử An", "role": "x", "pin": NEW, "again": NEW}, "Vai trò"),
        ({"code": "an", "name": "Thử An", "role": "nurse", "pin": "", "again": ""}, "6 chữ số"),
        ({"code": LEAD, "name": "Trưởng", "role": "nurse", "pin": "", "again": ""}, "của mình"),
    ):
        assert words in lead.post("/team/new", **fields).text
    assert lead.post("/team/new", code="an", name="Thử An", role="doctor", pin=NEW, again=NEW).path == "/team"
    assert "Thử An" in lead.text
    assert station.count(f"SELECT count(*) FROM outbox WHERE kind = {StaffChanged.KIND}") == 5
    window = station.window("")
    window.post("/staff", staff="an")
    assert window.post("/pin", pin=NEW).path == "/home"


def test_the_lead_sets_a_pin_and_lets_somebody_go(station: Station) -> None:
    """Never themselves: the station would be left without a lead."""
    lead = station.window(LEAD)
    assert "không giống" in lead.post(f"/team/{NURSE}/pin", pin=NEW, again="1").text
    lead.post(f"/team/{NURSE}/pin", pin=NEW, again=NEW)
    assert "mã PIN mới" in lead.text
    assert station.window("").sign_in(NURSE, NEW).path == "/home"
    lead.post(f"/team/{NURSE}/retire")
    assert "không còn làm" in lead.text
    assert lead.get(f"/team/{NURSE}").status == 404
    assert lead.post(f"/team/{LEAD}/retire").status == 400
    assert 'value="y1"' not in station.window("").get("/").text
    assert (LEAD, "staff.retire", f"staff:{NURSE}") in [(one.actor, one.action, one.subject) for one in audit.entries(station.conn)]


def test_a_technician_has_a_page_of_their_own(station: Station) -> None:
    """Work on the box, and nothing of patients."""
    window = station.window(TECHNICIAN)
    assert "Việc kỹ thuật" in window.get("/home").text
    assert "Tìm người bệnh" not in window.text
    window.get("/patients")
    assert window.status == 403
    assert "Nhờ một người" in window.text


def test_without_the_devices_secret_the_page_says_so(station: Station) -> None:
    """503 and what to do, not a wrong PIN; nothing is counted."""
    file = secret_file(station.settings)
    kept = file.read_bytes()
    file.unlink()
    window = station.window("")
    window.post("/staff", staff=NURSE)
    window.post("/pin", pin=PINS[NURSE])
    assert window.status == 503
    assert "khóa bí mật" in window.text
    file.write_bytes(kept)
    file.chmod(0o640)
    assert window.sign_in(NURSE).path == "/home"
    with pytest.raises(StoreError):
        pins.read_secret(file.with_name("nowhere"))


# --- the emergency button ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["", NURSE, TECHNICIAN])
def test_the_emergency_button_works_on_every_page_for_anybody(station: Station, who: str) -> None:
    """One tap: 115 and the number on duty; a second one tells the doctor on duty, written down with who it was, or nobody."""
    window = station.window(who)
    assert 'href="/emergency?back=' in window.get("/").text
    window.get("/emergency")
    assert "115" in window.text
    assert "0900 000 000" in window.text
    assert station.count(f"SELECT count(*) FROM outbox WHERE kind = {EmergencyPressed.KIND}") == 0
    window.post("/emergency")
    assert "đã lưu, chưa tới máy chủ" in window.text
    window.post("/emergency")
    assert station.count(f"SELECT count(*) FROM outbox WHERE kind = {EmergencyPressed.KIND}") == 1
    said = [(one.actor, one.action) for one in audit.entries(station.conn) if one.action.startswith("emergency")]
    assert {(who, "emergency.call"), (who, "emergency.again"), (who, "emergency.open")} == set(said)


def test_the_emergency_page_says_success_only_with_a_receipt(station: Station) -> None:
    """*Máy chủ đã nhận* appears when the bridge has it, and the page learns it by itself."""
    window = station.window("")
    window.post("/emergency")
    before = window.data("/emergency.json")["page"]
    assert before.endswith("saved-")  # and no text message
    station.received()
    assert window.data("/emergency.json")["page"] == before.replace("saved", "received")
    assert "máy chủ đã nhận" in window.get("/emergency").text


def test_the_emergency_page_leads_back_to_where_one_was(station: Station) -> None:
    """With nobody signed in to the first page, whatever the address says."""
    window = station.window()
    assert f'href="/patients/{station.first}"' in window.get(f"/emergency?back=/patients/{station.first}").text
    assert "evil" not in window.get("/emergency?back=//evil").text
    assert f"/patients/{station.first}" not in station.window("").get(f"/emergency?back=/patients/{station.first}").text.split("<main")[1]


def test_yesterdays_call_is_not_shown_as_todays(station: Station) -> None:
    """After some minutes the page offers the button afresh."""
    window = station.window("")
    window.post("/emergency")
    station.hand.turn(400)
    assert "Lời báo" not in window.get("/emergency").text
