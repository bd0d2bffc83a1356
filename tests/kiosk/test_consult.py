import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.contract.codec import read_event
from appliance.contract.events import (
    AnswerRead,
    Basis,
    ConsultClaimed,
    ConsultOpened,
    ConsultQuestion,
    ConsultReply,
    ConsultRequested,
    Event,
    Urgency,
)
from appliance.store import consults
from tests.kiosk.station import FIRST, NURSE, Station, Window, add_patient

ASK = {"complaint": "Đau đầu từ sáng", "department": "internal", "urgency": "urgent", "readings": "1"}


def send(station: Station, window: Window, **more: str) -> int:
    """Ask for the first patient and send it; the consult's number."""
    window.confirm(station.first)
    window.post(f"/patients/{station.first}/ask", **(ASK | more))
    assert window.path.endswith("/ask/review"), window.text
    number = window.text.split('name="consult" value="')[1].split('"')[0]
    window.post(f"/patients/{station.first}/ask/send", consult=number)
    return int(window.path.rsplit("/", 1)[1])


def done(window: Window) -> list[str]:
    """The steps of the receipt line that are done, in order."""
    items = re.findall(r'<li( class="done")?><span class="mark">([^<]+)</span>', window.text)
    return [text for mark, text in items if mark]


def events(station: Station, kind: type) -> list[Event]:
    """What waits for the bridge of one kind."""
    found = [read_event(bytes(row[0])) for row in station.conn.execute("SELECT body FROM outbox ORDER BY id").fetchall()]
    return [one for one in found if isinstance(one.body, kind)]


def saved(station: Station, window: Window) -> int:
    """A saved reading of the first patient."""
    session = window.open(station.first)
    measurement = station.measure("oxi", session)
    window.post(f"/sessions/{session}/save", measurement=measurement, patient=station.first)
    window.post(f"/sessions/{session}/end")
    return measurement


# --- asking -------------------------------------------------------------------------------------------------------------------------


def test_a_request_is_written_checked_and_sent(station: Station) -> None:
    """Readings of this visit are chosen beforehand; the review shows all; sent it is self-contained, with the nurse as actor."""
    window = station.window()
    measurement = saved(station, window)
    window.get(f"/patients/{station.first}/ask?part=readings")
    assert f'name="reading_{measurement}" value="1" checked' in window.text
    window.post(f"/patients/{station.first}/ask", **ASK, **{f"reading_{measurement}": "1"})
    assert window.path == f"/patients/{station.first}/ask/review"
    for words in ("Xem lại trước khi gửi", "Đau đầu từ sáng", "Nội", "Khẩn", "SpO₂ 98%", FIRST, 'class="banner"'):
        assert words in window.text
    assert events(station, ConsultRequested) == []
    number = window.text.split('name="consult" value="')[1].split('"')[0]
    window.post(f"/patients/{station.first}/ask/send", consult=number)
    assert window.path == f"/consults/{number}"
    (event,) = events(station, ConsultRequested)
    body = event.body
    assert isinstance(body, ConsultRequested)
    assert (event.actor, body.consult, body.identity.name, body.urgency) == (NURSE, int(number), FIRST, Urgency.URGENT)
    assert len(body.readings) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"complaint": ""}, "Ghi lý do hỏi bác sĩ"),
        ({"complaint": "x" * 700}, "Dài quá 600 chữ"),
        ({"department": ""}, "Chọn khoa nhận"),
        ({"department": "magic"}, "Chọn khoa nhận"),
        ({"urgency": ""}, "Chọn mức khẩn"),
    ],
)
def test_an_incomplete_request_says_what_is_missing(station: Station, change: dict[str, str], words: str) -> None:
    """The sentence at the field; what was written stays."""
    window = station.window()
    window.post(f"/patients/{station.first}/ask", **(ASK | change))
    assert window.status == 422
    assert words in window.text
    if "department" not in change:
        assert 'value="internal" checked' in window.get(f"/patients/{station.first}/ask?part=department").text


def test_the_urgency_that_is_tapped_counts_over_the_one_before(station: Station) -> None:
    """Back from the review the page still knows *Khẩn*; a tap on *Cấp cứu* is what is sent."""
    window = station.window()
    window.post(f"/patients/{station.first}/ask", complaint="Đau đầu", urgency="urgent")
    text = window.get(f"/patients/{station.first}/ask").text
    assert text.index('name="urgency" value="emergency"') < text.index('type="hidden" name="urgency" value="urgent"')
    window.post(f"/patients/{station.first}/ask", complaint="Đau đầu", urgency=["emergency", "urgent"])
    assert "Khám bệnh · Cấp cứu" in window.text


def test_one_page_and_one_word_of_urgency_are_enough(station: Station) -> None:
    """Without more it goes to the examination department with this visit's readings, as the review says before anything is sent."""
    window = station.window()
    measurement = saved(station, window)
    window.post(f"/patients/{station.first}/ask", complaint="Đau đầu", urgency="urgent")
    assert window.path == f"/patients/{station.first}/ask/review"
    assert "Khám bệnh" in window.text and "SpO₂ 98%" in window.text
    window.post(f"/patients/{station.first}/ask", readings="1")
    assert "Đau đầu" in window.text and "không kèm kết quả" in window.text
    window.post(f"/patients/{station.first}/ask", readings="1", **{f"reading_{measurement}": "1"})
    assert "SpO₂ 98%" in window.text


def test_an_emergency_may_be_sent_without_words(station: Station) -> None:
    """There may be no time to write."""
    window = station.window()
    consult = send(station, window, urgency="emergency", complaint="")
    assert consults.get(station.conn, consult) is not None


def test_a_second_tap_sends_nothing_twice(station: Station) -> None:
    """One request, one event; both presses end on its page."""
    window = station.window()
    consult = send(station, window)
    window.post(f"/patients/{station.first}/ask/send", consult=consult)
    assert window.path == f"/consults/{consult}"
    assert len(events(station, ConsultRequested)) == 1


def test_sending_after_two_idle_minutes_confirms_the_patient_again(station: Station) -> None:
    """Two identifiers, then back to the review; nothing is lost on the way."""
    window = station.window()
    window.confirm(station.first)
    window.post(f"/patients/{station.first}/ask", **ASK)
    number = window.text.split('name="consult" value="')[1].split('"')[0]
    station.hand.turn(130)
    window.post(f"/patients/{station.first}/ask/send", consult=number)
    assert window.path == f"/patients/{station.first}/confirm"
    assert events(station, ConsultRequested) == []
    window.confirm(station.first, send="1")
    assert window.path == f"/patients/{station.first}/ask/review"
    assert "Đau đầu từ sáng" in window.text
    window.post(f"/patients/{station.first}/ask/send", consult=number)
    assert len(events(station, ConsultRequested)) == 1


def test_a_draft_belongs_to_its_patient(station: Station) -> None:
    """What was written for one patient is never offered or sent for another."""
    window = station.window()
    window.post(f"/patients/{station.first}/ask", **ASK)
    number = window.text.split('name="consult" value="')[1].split('"')[0]
    assert "Đau đầu" not in window.get(f"/patients/{station.second}/ask").text
    window.confirm(station.second)
    assert window.post(f"/patients/{station.second}/ask/send", consult=number).status == 409
    assert events(station, ConsultRequested) == []


def test_a_reading_of_somebody_else_cannot_be_sent_along(station: Station) -> None:
    """A made-up choice on the form is refused by the store with a sentence."""
    window = station.window()
    measurement = saved(station, window)
    window.confirm(station.second)
    window.post(f"/patients/{station.second}/ask", **ASK, **{f"reading_{measurement}": "1"})
    number = window.text.split('name="consult" value="')[1].split('"')[0]
    window.post(f"/patients/{station.second}/ask/send", consult=number)
    assert window.status == 409
    assert "Chỉ gửi được kết quả đã lưu của người bệnh này" in window.text


# --- the receipt line ---------------------------------------------------------------------------------------------------------------


def test_the_receipt_line_walks_with_what_is_proved(station: Station) -> None:
    """Each step appears when its proof is there and not before; shown is not read."""
    window = station.window()
    consult = send(station, window)
    assert done(window) == ["đã lưu"]
    assert "chờ mạng để gửi" in window.text
    station.received()
    assert done(window.get(f"/consults/{consult}")) == ["đã lưu", "đã lên máy chủ"]
    station.down(ConsultOpened(consult, "BS Thử Một"))
    assert done(window.get(f"/consults/{consult}")) == ["đã lưu", "đã lên máy chủ", "bác sĩ đã mở"]
    assert "BS Thử Một đang xem" in window.text
    station.down(ConsultClaimed(consult, "BS Thử Hai", station.now.wall + 6000))
    assert "BS Thử Hai đang xem" in window.get(f"/consults/{consult}").text
    station.down(ConsultClaimed(consult, "BS Thử Hai", 0))
    assert "BS Thử Hai đã mở rồi trả lại; đang chờ bác sĩ." in window.get(f"/consults/{consult}").text
    station.answer(consult)
    for _ in range(2):  # shown, and shown again
        assert done(window.get(f"/consults/{consult}"))[-1] == "đã trả lời"
    window.post(f"/consults/{consult}/read", answer=1)
    assert done(window)[-1] == "đã đọc"
    assert len(done(window)) == 5


def test_an_opening_that_comes_before_the_receipt_proves_the_receipt(station: Station) -> None:
    """The way down may be faster than the receipt: the step is done, its time is not invented."""
    window = station.window()
    consult = send(station, window)
    station.down(ConsultOpened(consult, "BS Thử Một"))
    window.get(f"/consults/{consult}")
    assert done(window) == ["đã lưu", "đã lên máy chủ", "bác sĩ đã mở"]
    assert '<span class="mark">đã lên máy chủ</span><span class="at">–</span>' in window.text


def test_a_request_in_a_backup_says_so_and_no_other_does(station: Station) -> None:
    """*Received* is not *safe*: the line appears when the bridge has said that a verified backup holds it."""
    window = station.window()
    number = send(station, window)
    words = "đã có bản sao dự phòng"
    row = station.conn.execute("SELECT outbox FROM consult WHERE id = ?", (number,)).fetchone()[0]
    station.conn.execute("UPDATE outbox SET state = 2, received = 1 WHERE id = ?", (row,))
    window.get(f"/consults/{number}")
    assert words not in window.text
    station.conn.execute("UPDATE lane SET safe = (SELECT max(seq) FROM outbox WHERE lane = 0) WHERE lane = 0")
    window.get(f"/consults/{number}")
    assert words in window.text


def test_a_request_the_server_could_not_read_says_so(station: Station) -> None:
    """Set aside is not on the server's side of the receipt line: nobody has seen it, call."""
    window = station.window()
    consult = send(station, window)
    station.conn.execute("UPDATE outbox SET state = 3 WHERE kind = 20")
    window.get(f"/consults/{consult}")
    assert done(window) == ["đã lưu"]
    assert "Máy chủ không đọc được yêu cầu này" in window.text
    assert "0900 000 000" in window.text


def test_the_page_follows_by_its_mark(station: Station) -> None:
    """The script's question changes its answer with every step, and carries no patient."""
    window = station.window()
    consult = send(station, window)
    marks = [window.data(f"/consults/{consult}.json")["page"]]
    station.received()
    marks.append(window.data(f"/consults/{consult}.json")["page"])
    station.answer(consult)
    heard = window.data(f"/consults/{consult}.json")
    marks.append(heard["page"])
    assert len(set(marks)) == 3
    assert heard["answers"] == [1]
    assert FIRST not in window.text
    assert f'data-page="{heard["page"]}"' in window.get(f"/consults/{consult}").text


# --- the answer ---------------------------------------------------------------------------------------------------------------------


def test_a_signed_answer_is_shown_with_who_and_when_and_said_once(station: Station) -> None:
    """The first showing is an event and a journal line; the second is neither."""
    window = station.window()
    consult = send(station, window)
    station.answer(consult, diagnosis="Theo dõi", medicine="Không", follow_up="2026-03-08", test_data=True)
    assert "Có trả lời của bác sĩ" in window.get("/home").text
    for _ in range(2):
        text = window.get(f"/consults/{consult}").text
    for words in ("BS Thử Một", "17:00", "Uống đủ nước.", "Theo dõi", "2026-03-08", "dữ liệu thử", "Lời khuyên", "không phải chữ ký số"):
        assert words in text
    (event,) = events(station, AnswerRead)
    assert event.body == AnswerRead(consult, 1, "", confirmed=False)
    (line,) = station.steps("shown")
    assert (line["consult"], line["answer"]) == (consult, 1)


def test_reading_is_confirmed_by_name(station: Station) -> None:
    """*Đã đọc và xác nhận*: an event with the reader's name; the button is gone; a second tap says nothing more."""
    window = station.window("bs2")
    consult = send(station, window)
    station.answer(consult)
    assert "Đã đọc và xác nhận" in window.get(f"/consults/{consult}").text
    for _ in range(2):
        window.post(f"/consults/{consult}/read", answer=1)
        assert "Đã đọc và xác nhận" not in window.text
    confirmed = [event for event in events(station, AnswerRead) if event.body.confirmed]  # type: ignore[union-attr]
    assert [(event.actor, event.body.who) for event in confirmed] == [("bs2", "Bác sĩ Trạm Thử")]  # type: ignore[union-attr]
    assert "Bác sĩ Trạm Thử" in window.text
    assert "Có trả lời của bác sĩ" not in window.get("/home").text


def test_an_answer_that_is_not_verified_is_never_shown(station: Station) -> None:
    """Signed by an unknown key: its words are nowhere; the page says that something came and whom to call."""
    window = station.window()
    consult = send(station, window)
    station.answer(consult, advice="Uống thuốc lạ", key=Ed25519PrivateKey.generate())
    window.get(f"/consults/{consult}")
    assert "Uống thuốc lạ" not in window.text
    assert "không kiểm tra được chữ ký" in window.text
    assert done(window) == ["đã lưu"]
    assert events(station, AnswerRead) == []
    assert window.post(f"/consults/{consult}/read", answer=1).status == 409


def test_a_corrected_answer_stands_above_the_one_it_replaces(station: Station) -> None:
    """Both are readable, the old one says that it was replaced; the new one is to be read."""
    window = station.window()
    consult = send(station, window)
    station.answer(consult, 1, "Uống đủ nước.")
    window.post(f"/consults/{consult}/read", answer=1)
    station.hand.turn(60)
    station.answer(consult, 2, "Chuyển tuyến ngay.", replaces=1)
    text = window.get(f"/consults/{consult}").text
    assert text.index("Chuyển tuyến ngay.") < text.index("Uống đủ nước.")
    assert "Đã được thay bằng trả lời mới hơn" in text
    assert 'name="answer" value="2"' in text
    assert done(window)[-1] == "đã trả lời"


def test_a_doctors_question_is_answered(station: Station) -> None:
    """The question with who asked; an empty reply is refused with a sentence; the reply travels and stands on the page."""
    window = station.window()
    consult = send(station, window)
    station.down(ConsultQuestion(consult, 7, "BS Thử Một", "Có sốt không?"))
    assert "Có sốt không?" in window.get(f"/consults/{consult}").text
    assert window.post(f"/consults/{consult}/reply", question=7, text=" ").status == 422
    assert "Ghi câu trả lời" in window.text
    window.post(f"/consults/{consult}/reply", question=7, text="Không sốt")
    assert "Không sốt" in window.text
    assert "Y tá Thử" in window.text
    (event,) = events(station, ConsultReply)
    assert event.body == ConsultReply(consult, 7, "Không sốt")
    assert "Gửi trả lời" not in window.text


def test_a_request_may_be_withdrawn_with_a_reason(station: Station) -> None:
    """The reason is chosen; the page and the list say that it was withdrawn."""
    window = station.window()
    consult = send(station, window)
    assert window.post(f"/consults/{consult}/withdraw", reason="x").status == 400
    window.post(f"/consults/{consult}/withdraw", reason="mistake")
    assert "Đã rút lại" in window.text
    assert "Gửi nhầm" in window.text
    assert "đã rút lại" in window.get("/consults").text


def test_a_request_without_consent_asks_first_and_an_emergency_never_waits(station: Station) -> None:
    """Not asked: a sentence with two ways; the text read out and a yes send it as consented, the emergency box as one."""
    patient = add_patient(station, 1003, "Lê Thử Ba", "1970", agrees=False)
    window = station.window()
    window.confirm(patient)

    def asked(urgency: str) -> str:
        window.post(f"/patients/{patient}/ask", complaint="đau", department="general", urgency=urgency)
        return window.text.split('name="consult" value="')[1].split('"')[0]

    number = asked("urgent")
    assert "chưa hỏi người bệnh" in window.text
    assert window.post(f"/patients/{patient}/ask/send", consult=number).status == 422
    assert "Người bệnh chưa đồng ý" in window.text
    window.post(f"/patients/{patient}/ask/send", consult=number, emergency="1")
    number = asked("emergency")
    assert "cấp cứu: gửi ngay" in window.text
    window.post(f"/patients/{patient}/ask/send", consult=number)
    number = asked("routine")
    window.post(f"/patients/{patient}/consent/TREAT", answer="yes", back="ask")
    assert window.path == f"/patients/{patient}/ask/review"
    assert "người bệnh đã đồng ý" in window.text
    window.post(f"/patients/{patient}/ask/send", consult=number)
    sent = [one.requested.basis for one in consults.listing(station.conn, patient=patient)]
    assert sorted(sent) == [Basis.CONSENT, Basis.EMERGENCY, Basis.EMERGENCY]
