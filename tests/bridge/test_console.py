import json
import re

import pytest

from appliance.contract import events as ev
from appliance.contract.identifiers import station_text
from appliance.contract.ids import spell
from appliance.contract.metrics import Status
from appliance.contract.readings import ClockQuality
from cloud_bridge.console.app import create_app
from cloud_bridge.console.guard import HEADERS, IDLE
from cloud_bridge.store import accounts, consults
from cloud_bridge.store import answers as kept
from cloud_bridge.store.engine import reading, writing
from tests.bridge import story
from tests.bridge.conftest import HASHER, PASSWORD, Office
from tests.bridge.story import OTHER, PATIENT, STATION, asked, event, oxygen, pressure, recorded, who

BP, CLIP = pressure(), oxygen(5)
URL = f"/consults/{STATION}/{spell(900)}"


@pytest.fixture
def request_900(office: Office) -> Office:
    """An office with one emergency request."""
    office.hear(asked(900, (BP, CLIP), urgency=ev.Urgency.EMERGENCY, complaint="Đau ngực & khó thở <từ sáng>"))
    return office


def steps(office: Office) -> list[dict]:
    """The journal's lines so far."""
    return [json.loads(line) for line in office.journal.getvalue().splitlines()]


# --- who may see what -----------------------------------------------------------------------------------------------------------------


def test_without_login_nothing_is_shown(request_900):
    """Every address the console has, asked by a stranger: no page, no data, no name, and nothing is opened."""
    stranger = request_900.visitor()
    addresses = 0
    for rule in request_900.app.url_map.iter_rules():
        if rule.endpoint in ("static", "sessions.login", "sessions.enter", "sessions.leave", "sessions.language"):
            continue
        values = {"station": STATION, "number": 900, "patient": PATIENT, "kind": "consult", "shift": 1, "digest": "ab" * 32}
        url = request_900.app.url_map.bind("localhost").build(rule.endpoint, {name: values[name] for name in rule.arguments})
        for method in sorted(rule.methods - {"OPTIONS"}):
            addresses += 1
            answer = stranger.client.open(url, method=method, data={"csrf": stranger.token()} if method == "POST" else None)
            assert answer.status_code in (302, 401), (method, url)
            assert "Nguyễn" not in answer.text, url
            assert answer.headers.get("Location", "/login").startswith("/login"), url
    assert addresses > 20
    with reading(request_900.engine) as tx:
        found = consults.get(tx, STATION, 900)
    assert found is not None
    assert found.opened is None


def test_a_wrong_password_says_one_sentence_whoever_it_is(office):
    """Nobody learns whether a login exists."""
    said = [office.visitor().log_in(login, "wrong-password-here") for login in ("bs.thu", "nobody")]
    assert [answer.status_code for answer in said] == [403, 403]
    assert all("Tên đăng nhập hoặc mật khẩu không đúng." in answer.text for answer in said)


def test_guessing_is_paused_and_the_pause_outlives_the_process(office):
    """After five wrong passwords even the right one waits a minute; each further wrong one doubles it; a new process knows."""
    for _ in range(5):
        office.visitor().log_in("bs.thu", "wrong-password-here")
    office.app = create_app(office.desk, b"s" * 32)
    answer = office.visitor().log_in("bs.thu", PASSWORD)
    assert answer.status_code == 403
    assert "Thử lại sau 1:00" in answer.text
    office.time.turn(61)
    assert "Thử lại sau 2:00" in office.visitor().log_in("bs.thu", "wrong-password-here").text
    office.time.turn(121)
    assert office.visitor().log_in("bs.thu", PASSWORD).status_code == 302
    assert office.visitor().log_in("bs.hai", PASSWORD).status_code == 302


@pytest.mark.parametrize("how", ["locked", "password", "idle"])
def test_a_session_ends_with_its_account_its_password_and_its_patience(office, how):
    """Locking, a new password and 15 minutes without a person's action each end open sessions."""
    doctor = office.doctor()
    assert doctor.get("/").status_code == 200
    with writing(office.engine) as tx:
        if how == "locked":
            accounts.set_locked(tx, "bs.thu", True)
        elif how == "password":
            accounts.set_password(tx, HASHER, "bs.thu", "mot-mat-khau-khac")
    if how == "idle":
        office.time.turn(IDLE / 10 + 1)
    assert doctor.get("/").status_code == 302
    assert doctor.get("/consults.json").status_code == 401


def test_what_a_page_asks_for_by_itself_does_not_keep_a_session_alive(office):
    """Polling is not a person: after 15 minutes of nothing else the session is over."""
    doctor = office.doctor()
    answers = []
    for _ in range(6):
        office.time.turn(IDLE / 10 / 4)
        answers.append(doctor.get("/queue/live").status_code)
    assert answers == [200, 200, 200, 200, 401, 401]


def test_every_write_needs_the_session_s_token(request_900):
    """Without the token, with another session's or with an empty one, no form does anything."""
    doctor, other = request_900.doctor(), request_900.doctor("bs.hai")
    foreign = other.token()
    written = 0
    for rule in request_900.app.url_map.iter_rules():
        if "POST" not in rule.methods:
            continue
        values = {"station": STATION, "number": 900, "patient": PATIENT, "kind": "consult", "shift": 1, "digest": "ab" * 32}
        url = request_900.app.url_map.bind("localhost").build(rule.endpoint, {name: values[name] for name in rule.arguments})
        for fields in ({}, {"csrf": ""}, {"csrf": foreign}):
            answer = doctor.client.post(url, data=fields | {"text": "?", "advice": "x", "login": "bs.thu", "password": PASSWORD})
            assert answer.status_code == 400, url
        written += 1
    assert written >= 8
    with reading(request_900.engine) as tx:
        assert consults.messages(tx, STATION, 900) == []
        assert kept.get_draft(tx, STATION, 900, "bs.thu") is None
    assert doctor.get("/").status_code == 200


def test_pages_carry_the_security_headers_and_nothing_inline(request_900):
    """CSP without inline script or style, no sniffing, no frames, no cache; no page uses what the policy forbids."""
    doctor = request_900.doctor()
    for url in ("/login", "/", URL, f"{URL}/sign", f"/patients/{STATION}/{PATIENT}", "/review/", "/nowhere"):
        answer = doctor.get(url)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert answer.headers["Cache-Control"] == "no-store"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert re.search(r"\son\w+=|\sstyle=|<style|javascript:", answer.text) is None, url
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", answer.text)), url


def test_cookies_are_for_http_alone_and_for_tls_where_there_is_tls(office):
    """HttpOnly and SameSite=Lax always; behind TLS a __Host- name and Secure."""
    plain = office.visitor().get("/login").headers["Set-Cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    behind = create_app(office.desk, b"s" * 32, behind_tls=True).test_client().get("/login", headers={"X-Forwarded-Proto": "https"})
    assert behind.headers["Set-Cookie"].startswith("__Host-tram=")
    assert "Secure" in behind.headers["Set-Cookie"]
    assert "Strict-Transport-Security" in behind.headers


@pytest.mark.parametrize("onward", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "javascript:alert(1)"])
def test_the_login_leads_nowhere_else(office, onward):
    """`next` is a path of the console or nothing."""
    visitor = office.visitor()
    assert visitor.send("/login", login="bs.thu", password=PASSWORD, next=onward).headers["Location"] == "/"


def test_a_viewer_looks_and_nothing_more(request_900):
    """No form to answer with, no way to sign, and their look is not *a doctor has opened it*."""
    viewer = request_900.doctor("xem")
    page = viewer.get(URL)
    assert "<textarea" not in page.text
    assert viewer.get(f"{URL}/sign").status_code == 403
    for what in ("draft", "sign", "claim", "release", "question"):
        assert viewer.send(f"{URL}/{what}", advice="x", text="x", password=PASSWORD).status_code == 403
    with reading(request_900.engine) as tx:
        found = consults.get(tx, STATION, 900)
    assert found is not None
    assert (found.opened, found.claimed_by) == (None, "")
    assert steps(request_900) == []


# --- the queue ------------------------------------------------------------------------------------------------------------------------


def test_the_queue_shows_the_most_urgent_first_with_all_a_doctor_needs(office):
    """Order, patient, reason, station, waiting time, state, test data; text of a station is text, not markup."""
    office.hear(asked(901, urgency=ev.Urgency.ROUTINE, identity=who(OTHER, name="Trần Thử Nghiệm"), complaint="Ho"))
    office.time.turn(60)
    office.hear(asked(900, (BP,), urgency=ev.Urgency.EMERGENCY, complaint="Đau <b>ngực</b>"))
    office.time.turn(65)
    text = office.doctor().get("/").text
    assert text.index("Nguyễn Thử Nghiệm Một") < text.index("Trần Thử Nghiệm")
    assert "Đau &lt;b&gt;ngực&lt;/b&gt;" in text
    assert "<b>ngực</b>" not in text
    for word in ("Cấp cứu", "1:05", "2:05", "Trạm Y tế xã Thử", "đã lên máy chủ", "DỮ LIỆU THỬ", "65 tuổi"):
        assert word in text


def test_the_queue_for_programs(request_900):
    """/consults.json: words of the contract, times in tenths, the page's address."""
    (one,) = request_900.doctor().get("/consults.json").json["consults"]
    assert (one["station"], one["consult"], one["id"], one["url"]) == (STATION, 900, spell(900), URL)
    assert (one["urgency"], one["department"], one["test_data"], one["opened"]) == ("emergency", "internal", True, None)


def test_lists_of_what_was_answered_and_read(request_900):
    """Waiting, then answered but not read, then closed when the station's practitioner has confirmed."""
    doctor = request_900.doctor()
    sign(doctor)
    lists = lambda: {name: len(doctor.get(f"/consults.json?list={name}").json["consults"]) for name in ("waiting", "sent", "closed")}  # noqa: E731 - a question asked twice
    assert lists() == {"waiting": 0, "sent": 1, "closed": 0}
    with reading(request_900.engine) as tx:
        (row,) = kept.of_consult(tx, STATION, 900)
    request_900.hear(event(ev.AnswerRead(900, row.answer, "YS Mẫu", False), 400))
    assert lists() == {"waiting": 0, "sent": 1, "closed": 0}
    assert "đã hiện ở trạm" in doctor.get(URL).text
    request_900.hear(event(ev.AnswerRead(900, row.answer, "YS Mẫu", True), 500))
    assert lists() == {"waiting": 0, "sent": 0, "closed": 1}
    assert "YS Mẫu" in doctor.get(URL).text


def test_an_emergency_is_heard_until_somebody_opens_it(request_900):
    """What every page asks for: the emergencies nobody has opened."""
    doctor = request_900.doctor()
    assert doctor.get("/emergencies.json").json["unopened"] == [f"{STATION}/{spell(900)}"]
    doctor.get(URL)
    assert doctor.get("/emergencies.json").json == {"unopened": [], "sounding": [], "corrected": 0}


def test_a_page_that_has_everything_is_told_so_in_few_bytes(request_900):
    """304 while nothing has changed, the fragment when something has."""
    doctor = request_900.doctor()
    for url in ("/queue/live", f"{URL}/live", f"/patients/{STATION}/{PATIENT}/live"):
        first = doctor.get(url)
        assert first.status_code == 200
        again = doctor.get(url, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        request_900.hear(recorded(oxygen(sum(map(ord, url)))), asked(sum(map(ord, url))))
        assert doctor.get(url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


# --- the request ----------------------------------------------------------------------------------------------------------------------


def test_the_page_of_a_request_says_everything(request_900):
    """Banner, allergies, reason, values with device, time, clock, source; what was not measured; the receipt line; test data."""
    text = request_900.doctor().get(URL).text
    for word in (
        "Nguyễn Thử Nghiệm Một", "30-Thg4-1961", "65 tuổi", "Nữ", "001 161 000 001", "Penicillin", "Đau ngực &amp; khó thở &lt;từ sáng&gt;",
        "115/74", "mmHg", "Máy đo huyết áp", "giờ đã đồng bộ", "máy đo", "Không có trong yêu cầu:", "Nhiệt độ, Nhịp thở", "trạm đã đọc",
    ):  # fmt: skip
        assert word in text, word
    assert 'class="ribbon"' in text
    assert text.count('<span class="chip test">DỮ LIỆU THỬ</span>') == 2


def test_real_readings_carry_no_test_ribbon(office):
    """The ribbon means something: without test data it is not there."""
    office.hear(asked(900, (pressure(status=Status(0)),)))
    text = office.doctor().get(URL).text
    assert "DỮ LIỆU THỬ" not in text
    assert "115/74" in text


@pytest.mark.parametrize(
    ("readings", "identity", "words"),
    [
        ((pressure(0, None, None),), who(), ["Huyết áp", "không có giá trị"]),
        ((pressure(0, 115, None),), who(), ["tâm trương: không có giá trị"]),
        ((), who(), ["Yêu cầu này không kèm số đo nào."]),
        ((BP,), ev.Identity(PATIENT, 1, ""), ["Thông tin người bệnh đang trên đường", "Không rõ"]),
        ((BP,), who(birth="??-1961", cccd="x" * 40, bhyt="", phone="<script>"), ["??-1961", "&lt;script&gt;"]),
        ((pressure(stamp=story.stamp(quality=ClockQuality.UNKNOWN)),), who(), ["giờ của máy trạm chưa chắc"]),
        ((pressure(9e10),), who(), ["115/74"]),
        ((oxygen(status=Status.EARLY_INDICATION),), who(), ["đo ngắn"]),
    ],
)
def test_bad_and_missing_data_still_make_a_page(office, readings, identity, words):
    """Whatever a station sends, the doctor sees a page that names what is missing; there is no 0 and no error."""
    office.hear(asked(900, readings, identity=identity))
    doctor = office.doctor()
    answer = doctor.get(URL)
    assert answer.status_code == 200
    for word in words:
        assert word in answer.text, word
    assert not re.search(r"<b>0</b>|<b>None</b>|>None<", answer.text)
    assert doctor.get(f"{URL}.json").status_code == 200
    assert doctor.get(f"/patients/{STATION}/{PATIENT}").status_code == 200


def test_a_patient_of_whom_only_readings_have_come(office):
    """The page says that the details are on the way, and shows the readings; a stranger's page does not exist."""
    office.hear(recorded(BP))
    doctor = office.doctor()
    text = doctor.get(f"/patients/{STATION}/{PATIENT}").text
    assert "Thông tin người bệnh đang trên đường" in text
    assert "115/74" in text
    assert doctor.get(f"/patients/{STATION}/{OTHER}").status_code == 404


def test_a_disputed_reading_is_shown_to_a_person_on_both_pages_and_on_the_list(office):
    """Two patients, one reading: struck through on both pages, listed with both records."""
    office.hear(recorded(BP), recorded(BP, OTHER), event(ev.MeasurementUnassigned(CLIP, "session-ended")))
    doctor = office.doctor()
    for patient in (PATIENT, OTHER):
        assert "gán cho hai người" in doctor.get(f"/patients/{STATION}/{patient}").text
    listed = doctor.get("/review/").text
    assert station_text(PATIENT) in listed
    assert station_text(OTHER) in listed
    assert "session-ended" in listed


def test_an_attempt_that_was_measured_again_is_listed_beside_the_record(office):
    """It is on the patient's page with its reason, is no observation, and an erased patient's is gone."""
    office.hear(recorded(CLIP), event(ev.MeasurementDiscarded(BP, "cử động", PATIENT)))
    doctor = office.doctor()
    text = doctor.get(f"/patients/{STATION}/{PATIENT}").text
    assert "Lần đo không dùng" in text
    assert "cử động" in text
    seen = doctor.get(f"/patients/{STATION}/{PATIENT}/observations.json").json["observations"]
    assert [one["key"] for one in seen] == [CLIP.key.hex()]
    office.hear(event(ev.Tombstone(PATIENT, "theo yêu cầu")))
    assert "cử động" not in doctor.get(f"/patients/{STATION}/{PATIENT}").text


def test_opening_is_told_and_shown_is_noted_once(request_900):
    """The journal has one `shown` for the request and one for each reading, by ids alone; a second look adds nothing."""
    doctor = request_900.doctor()
    doctor.get(URL)
    first = steps(request_900)
    assert [line["step"] for line in first] == ["shown"] * 3
    assert {line.get("reading_key") for line in first} == {None, BP.key.hex(), CLIP.key.hex()}
    assert all(line["consult"] == 900 for line in first)
    assert "Nguyễn" not in request_900.journal.getvalue()
    doctor.get(URL)
    request_900.doctor("bs.hai").get(URL)
    assert steps(request_900) == first
    request_900.hear(recorded(oxygen(77)))
    doctor.get(f"{URL}/live")
    assert steps(request_900)[-1]["reading_key"] == oxygen(77).key.hex()


def test_a_new_reading_can_be_asked_for_by_programs(request_900):
    """Its key, values, status words and time appear in the patient's readings and in the request's."""
    doctor = request_900.doctor()
    request_900.hear(recorded(oxygen(77, 97)))
    (mine,) = [
        one for one in doctor.get(f"/patients/{STATION}/{PATIENT}/observations.json").json["observations"] if one["at"] == story.T0 + 770
    ]
    assert mine["key"] == oxygen(77, 97).key.hex()
    assert mine["numerics"][0] == {"metric": "SPO2", "value": 97.0, "unit": "%", "status": ["test-data"]}
    assert mine["status"] == ["test-data"]
    assert mine["key"] in {one["key"] for one in doctor.get(f"{URL}.json").json["other_readings"]}
    assert doctor.get(f"/consults/{STATION}/900.json").json["id"] == spell(900)


HOSTILE = ["", "²", "-1", "9" * 40, "\0", "\ud7ff", "<script>", "a" * 5000, "%00", "../../etc", "Đ" * 300]


def test_hostile_words_make_no_error(offices):
    """Whatever stands in an address or a form: a page, a refusal, no such page; never a failure of the server, on both databases."""
    offices.hear(asked(900, (BP,)))
    doctor = offices.doctor()
    for word in HOSTILE:
        asked_for = [
            doctor.get("/", query_string={"list": word, "department": word}), doctor.get(URL, query_string={"correct": word}),
            doctor.get(f"{URL}/sign", query_string={"replaces": word}), doctor.get("/login", query_string={"next": word}),
            doctor.send(f"{URL}/draft", advice=word, diagnosis=word, then=word, replaces=word),
            doctor.send(f"{URL}/question", text=word), doctor.send("/language", language=word, next=word),
            doctor.send(f"{URL}/sign", password=PASSWORD, digest=word, seen=[word], replaces=word),
            offices.visitor().log_in(word, word), doctor.get(f"/consults/{STATION}/{word}"), doctor.get(f"/patients/{word}/1"),
            doctor.get("/queue/live", headers={"If-None-Match": repr(word.encode())[:200]}),
        ]  # fmt: skip
        assert all(answer.status_code < 500 for answer in asked_for), (word, [answer.status_code for answer in asked_for])
    for number in ("9223372036854775807", "9223372036854775808", "0"):
        assert doctor.get(f"/consults/{STATION}/{number}").status_code == 404


def test_a_station_s_number_that_is_too_long_still_has_a_page(office):
    """A request whose number is longer than forty bits is listed with an address that leads to it."""
    office.hear(asked(1 << 50))
    doctor = office.doctor()
    (one,) = doctor.get("/consults.json").json["consults"]
    assert doctor.get(one["url"]).status_code == 200


def test_numbers_in_addresses_are_read_as_people_write_them(request_900):
    """Decimal and spelled; nonsense is no page."""
    doctor = request_900.doctor()
    assert doctor.get(f"/consults/{STATION}/900").status_code == 200
    for url in (
        f"/consults/{STATION}/uuuu-uuuu",
        f"/consults/{STATION}/1",
        "/consults/NOT-A-STATION/900",
        f"/consults/{STATION}/{'9' * 30}",
    ):
        assert doctor.get(url).status_code == 404, url


# --- the answer -----------------------------------------------------------------------------------------------------------------------


def hidden(text: str) -> dict[str, list[str]]:
    """The hidden fields of a page's forms."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text):
        found.setdefault(name, []).append(value)
    return found


def sign(doctor, advice: str = "Nghỉ ngơi, đo lại sau 30 phút", password: str = PASSWORD, **more: str):
    """Draft, look again, sign; the last response."""
    moved = doctor.send(f"{URL}/draft", advice=advice, then="sign", **more)
    fields = hidden(doctor.get(moved.headers["Location"]).text)
    values = {
        name: fields[name] if name in ("seen", "struck") else fields[name][-1]
        for name in ("digest", "seen", "struck", "replaces")
        if name in fields
    }
    return doctor.send(f"{URL}/sign", password=password, **values)


def test_draft_review_password_signed(request_900):
    """The whole way of an answer through the pages; the page then shows it with its state, and the request leaves the queue."""
    doctor = request_900.doctor()
    moved = doctor.send(f"{URL}/draft", advice="Chuyển viện <ngay>", diagnosis="Nghi NMCT", then="sign")
    review = doctor.get(moved.headers["Location"]).text
    for word in ("Chuyển viện &lt;ngay&gt;", "Nghi NMCT", "Penicillin", "115/74", "để trống", 'type="password"'):
        assert word in review, word
    assert sign(doctor, "Chuyển viện <ngay>").status_code == 302
    page = doctor.get(URL).text
    assert "Đã ký. Trả lời đang được gửi về trạm." in page
    assert "Chuyển viện &lt;ngay&gt;" in page
    assert "đang gửi về trạm" in page
    assert doctor.get("/consults.json").json["consults"] == []
    with reading(request_900.engine) as tx:
        (row,) = kept.of_consult(tx, STATION, 900)
    assert [line["answer"] for line in steps(request_900) if line["step"] == "signed"] == [row.answer]


def test_without_the_password_nothing_is_signed(request_900):
    """A wrong password, none, or too many wrong ones: nothing leaves, the draft stays, the page says so."""
    doctor = request_900.doctor()
    for password in ("", *["wrong-password-here"] * 4):
        answer = sign(doctor, password=password)
        assert answer.status_code == 403
        assert "Nghỉ ngơi" in answer.text
    assert "Thử lại sau" in sign(doctor).text
    with reading(request_900.engine) as tx:
        assert kept.of_consult(tx, STATION, 900) == []
        assert kept.get_draft(tx, STATION, 900, "bs.thu") is not None


def test_what_is_signed_is_what_was_reviewed(request_900):
    """A draft that was changed in another window after the review is not signed unseen."""
    doctor = request_900.doctor()
    moved = doctor.send(f"{URL}/draft", advice="Một", then="sign")
    fields = hidden(doctor.get(moved.headers["Location"]).text)
    doctor.send(f"{URL}/draft", advice="Hai")
    answer = doctor.send(f"{URL}/sign", password=PASSWORD, digest=fields["digest"][0], seen=fields["seen"])
    assert answer.status_code == 302
    assert "đã thay đổi ở nơi khác" in doctor.get(URL).text
    for seen in (["zz"], ["00" * 16]):
        doctor.send(f"{URL}/sign", password=PASSWORD, digest="", seen=seen)
    with reading(request_900.engine) as tx:
        assert kept.of_consult(tx, STATION, 900) == []


def test_an_empty_answer_does_not_reach_the_review(request_900):
    """The page says what is missing and how to mend it."""
    doctor = request_900.doctor()
    moved = doctor.send(f"{URL}/draft", advice="", diagnosis="x", then="sign")
    back = doctor.get(moved.headers["Location"])
    assert back.status_code == 302
    assert "Chưa có lời khuyên" in doctor.get(back.headers["Location"]).text


def test_readings_after_signing_are_flagged(request_900):
    """What was measured after the signature says so; what was seen does not; the journal of the signed bytes tells which."""
    doctor = request_900.doctor()
    request_900.time.turn(300)
    sign(doctor)
    after = (request_900.time.wall - story.T0) / 10 + 60
    request_900.time.turn(120)
    request_900.hear(recorded(oxygen(after, 91)))
    text = doctor.get(URL).text
    assert text.count("đo sau khi ký") == 1
    assert "Có số đo mới sau khi ký" in text


def test_a_correction_of_a_seen_reading_alerts_the_doctor(request_900):
    """The station takes back a reading that the answer rests on: the page says so in red."""
    doctor = request_900.doctor()
    sign(doctor)
    assert "Trạm đã sửa số đo" not in doctor.get(URL).text
    request_900.hear(event(ev.ObservationEnteredInError(PATIENT, BP.key, "đo nhầm người"), 400))
    text = doctor.get(URL).text
    assert "Trạm đã sửa số đo mà bác sĩ đã dựa vào khi ký" in text
    assert "Trạm báo ghi nhầm: đo nhầm người" in text


def test_a_correction_after_the_answer_waits_on_every_page_until_a_doctor_has_looked(offices):
    """Counted on every page and listed with its reason; looked at, or answered again, it is settled; before an answer it is no alarm."""
    offices.hear(asked(900, (BP, CLIP)), event(ev.ObservationEnteredInError(PATIENT, CLIP.key, "trước khi ký"), 90))
    doctor, count = offices.doctor(), lambda: doctor.get("/emergencies.json").json["corrected"]
    offices.time.turn(10)
    sign(doctor)
    assert count() == 0
    offices.time.turn(10)
    offices.hear(event(ev.ObservationReassigned(PATIENT, BP.key, OTHER, "nhầm người"), 400))
    assert count() == 1
    listed = doctor.get("/review/").text
    assert "nhầm người" in listed
    assert "BS. Trần Thử" in listed
    assert offices.doctor("xem").send(f"/review/{STATION}/900/looked").status_code == 403
    assert doctor.send(f"/review/{STATION}/900/looked").status_code == 302
    assert doctor.send(f"/review/{STATION}/900/looked").status_code == 404
    assert count() == 0
    offices.time.turn(10)
    offices.hear(event(ev.ObservationEnteredInError(OTHER, BP.key, "ghi nhầm"), 500))
    assert count() == 1
    offices.time.turn(10)
    with reading(offices.engine) as tx:
        first = kept.of_consult(tx, STATION, 900)[0].answer
    sign(doctor, "Lời khuyên mới", replaces=spell(first))
    assert count() == 0


def test_a_signed_answer_is_corrected_by_another_signed_one(request_900):
    """The form starts with the old text; both stay on the page, the old one marked as replaced."""
    doctor = request_900.doctor()
    sign(doctor, "Uống thuốc A")
    assert "data-draft" not in doctor.get(URL).text
    with reading(request_900.engine) as tx:
        first = kept.of_consult(tx, STATION, 900)[0].answer
    form = doctor.get(f"{URL}?correct={spell(first)}").text
    assert "Uống thuốc A</textarea>" in form
    assert sign(doctor, "Không uống thuốc A", replaces=spell(first)).status_code == 302
    page = doctor.get(URL).text
    assert page.index("Không uống thuốc A") < page.index("đã được thay")
    assert [one["replaces"] for one in doctor.get(f"{URL}.json").json["answers"]] == [None, first]


def test_a_question_goes_out_and_its_reply_comes_back(request_900):
    """Asked on the page, answered by the station with a new reading, both on the page; the queue says that it waits."""
    doctor = request_900.doctor()
    doctor.get(URL)
    doctor.send(f"{URL}/question", text="Đau từ bao giờ?")
    assert doctor.get("/consults.json").json["consults"][0]["asking"] is True
    asked_for = doctor.get(f"{URL}.json").json["messages"][0]["question"]
    request_900.hear(event(ev.ConsultReply(900, asked_for, "Từ 6 giờ sáng", (oxygen(88, 96),)), 90))
    data = doctor.get(f"{URL}.json").json
    assert [(one["text"], one["reply"]) for one in data["messages"]] == [("Đau từ bao giờ?", False), ("Từ 6 giờ sáng", True)]
    assert oxygen(88, 96).key.hex() in {one["key"] for one in data["readings"]}
    assert data["asking"] is False
    assert "Từ 6 giờ sáng" in doctor.get(URL).text


def test_a_second_doctor_sees_who_holds_the_request(request_900):
    """They may read, not answer; given back, it is free."""
    first, second = request_900.doctor(), request_900.doctor("bs.hai")
    first.get(URL)
    text = second.get(URL).text
    assert "Đang giữ:" in text
    assert "BS. Trần Thử" in text
    assert "data-draft" not in text
    second.send(f"{URL}/claim")
    assert "Bác sĩ khác đang giữ yêu cầu này: BS. Trần Thử, đến " in second.get(URL).text
    first.send(f"{URL}/release")
    assert "data-draft" in second.get(URL).text


def test_a_draft_is_there_when_the_doctor_comes_back(request_900):
    """Saved by itself (JSON) and shown again; another doctor does not see it."""
    doctor = request_900.doctor()
    answer = doctor.client.post(f"{URL}/draft", data={"advice": "Đang nghĩ"}, headers={"X-CSRF-Token": doctor.token(), "X-Tram-Page": "1"})
    assert re.fullmatch(r"\d\d:\d\d:\d\d", answer.json["saved"])
    assert "Đang nghĩ</textarea>" in doctor.get(URL).text
    request_900.time.turn(700)
    assert "Đang nghĩ" not in request_900.doctor("bs.hai").get(URL).text


def test_the_pages_speak_english_on_request(request_900):
    """The language is the session's; the patient's and the station's words stay as they are."""
    doctor = request_900.doctor()
    doctor.send("/language", language="en", next=URL)
    text = doctor.get(URL).text
    for word in ('lang="en"', "TEST DATA", "Allergies", "Blood pressure", "65 years", "30-Apr-1961", "Đau ngực"):
        assert word in text, word
    assert doctor.send("/language", language="xx").status_code == 400


def test_a_database_that_is_away_makes_a_page_that_says_so(office, monkeypatch):
    """An OSError of the store is told in a sentence, with 503, and nothing else leaks."""
    doctor = office.doctor()

    def away(*_args: object) -> object:
        raise OSError("PostgreSQL is away: secret detail")

    monkeypatch.setattr(consults, "unanswered", away)
    answer = doctor.get("/")
    assert answer.status_code == 503
    assert "tạm thời không truy cập được" in answer.text
    assert "secret detail" not in answer.text
    assert doctor.get("/consults.json").status_code == 503


def test_a_bug_says_nothing_to_the_browser_and_everything_to_the_journal(office, monkeypatch):
    """500 in a sentence; the journal has the place of the error and no words of a patient."""
    doctor = office.doctor()

    def broken(*_args: object) -> object:
        raise KeyError("Nguyễn Thử Nghiệm Một")

    monkeypatch.setattr(consults, "unanswered", broken)
    answer = doctor.get("/")
    assert answer.status_code == 500
    assert "Nguyễn" not in answer.text
    (line,) = steps(office)
    assert line["error"] == "KeyError"
    assert line["trace"]
    assert "Nguyễn" not in office.journal.getvalue()
