"""A doctor asks back: heard on any page, replied to with readings and pictures, and every step said when it is proved."""

import re

from appliance.contract.events import AnswerRead, ConsultQuestion, ConsultReply, QuestionShown, ReplySeen
from appliance.store import consults
from tests.kiosk.station import FIRST, NURSE, Station
from tests.kiosk.test_consult import events, saved, send
from tests.kiosk.test_pictures import add, photo


def asked(station: Station, consult: int, question: int = 7) -> None:
    """The question arrives."""
    station.down(ConsultQuestion(consult, question, "BS Thử Một", "Có sốt không?"))


def test_a_question_is_said_on_any_page(station: Station) -> None:
    """On every page and to pages that are open already; also on the page of a station where nobody has signed in, without a patient."""
    window = station.window()
    consult = send(station, window)
    assert window.data("/status.json")["questions"] == []
    asked(station, consult)
    (one,) = window.data("/status.json")["questions"]
    assert one["href"] == f"/consults/{consult}"
    assert one["mark"].endswith("!"), "it chimes until somebody has opened it"
    for path in ("/home", f"/patients/{station.first}", "/tray"):
        assert "Bác sĩ hỏi lại" in window.get(path).text
    opened = window.get(f"/consults/{consult}").text
    assert "askstrip" not in opened, "its own page has the question itself, and needs the room for the reply"
    nobody = station.window("")
    assert "Bác sĩ hỏi lại" in nobody.get("/").text
    assert FIRST not in nobody.text
    assert FIRST not in str(nobody.data("/status.json"))


def test_opening_it_is_told_to_the_bridge_once(station: Station) -> None:
    """By whom; then it no longer chimes, and stays said until there is a reply."""
    window = station.window()
    consult = send(station, window)
    asked(station, consult)
    assert not events(station, QuestionShown)
    window.get(f"/consults/{consult}")
    window.get(f"/consults/{consult}")
    (told,) = events(station, QuestionShown)
    assert told.actor == NURSE
    assert told.body == QuestionShown(consult, 7)
    (one,) = window.data("/status.json")["questions"]
    assert not one["mark"].endswith("!")
    window.post(f"/consults/{consult}/reply", question=7, text="Không sốt")
    assert window.data("/status.json")["questions"] == []


def test_a_reply_takes_new_readings_and_pictures_along(station: Station) -> None:
    """What was measured since the question is offered, ticked; a picture goes to the open request."""
    window = station.window()
    consult = send(station, window)
    before = saved(station, window)
    station.hand.turn(60)
    asked(station, consult)
    station.hand.turn(60)
    after = saved(station, window)
    window.get(f"/consults/{consult}")
    assert f"reading_{after}" in window.text
    assert f"reading_{before}" not in window.text
    window.post(f"/consults/{consult}/reply", **{"question": "7", "text": "", f"reading_{after}": "1"})
    (reply,) = events(station, ConsultReply)
    assert isinstance(reply.body, ConsultReply)
    assert len(reply.body.readings) == 1
    add(window, consult, photo())
    assert "chờ gửi" in window.text


def test_a_reply_says_how_far_it_has_come(station: Station) -> None:
    """Saved, received by the bridge, seen by a doctor: each only when it is proved."""
    window = station.window()
    consult = send(station, window)
    asked(station, consult)
    window.post(f"/consults/{consult}/reply", question=7, text="Không sốt")
    assert "đã lưu, chờ gửi" in window.text
    mark = window.data(f"/consults/{consult}.json")["page"]
    station.received()
    assert "đã lên máy chủ" in window.get(f"/consults/{consult}").text
    assert window.data(f"/consults/{consult}.json")["page"] != mark
    station.down(ReplySeen(consult, 7, "BS Thử Một"))
    assert "bác sĩ đã xem" in window.get(f"/consults/{consult}").text


def test_a_withdrawn_or_answered_request_asks_nothing(station: Station) -> None:
    """Its question is not brought before anybody any more."""
    window = station.window()
    first, second = send(station, window), send(station, window, complaint="Việc khác")
    asked(station, first)
    asked(station, second, 8)
    station.hand.turn(1)
    station.answer(first)
    consults.withdraw(station.conn, second, reason="patient-left", staff=NURSE, now=station.now)
    assert window.data("/status.json")["questions"] == []


def test_a_corrected_answer_is_confirmed_again_and_the_old_one_stays(station: Station) -> None:
    """Shown is one thing, confirmed by name another; the correction asks for its own confirmation."""
    window = station.window()
    consult = send(station, window)
    station.answer(consult, 1, "Uống đủ nước.")
    window.get(f"/consults/{consult}")
    assert [one.body.confirmed for one in events(station, AnswerRead) if isinstance(one.body, AnswerRead)] == [False]
    window.post(f"/consults/{consult}/read", answer=1)
    assert "Đã đọc và xác nhận</button>" not in window.text
    station.hand.turn(60)
    station.answer(consult, 2, "Uống ít nước.", replaces=1)
    window.get(f"/consults/{consult}")
    assert re.search(r'name="answer" value="2"', window.text)
    assert "Uống đủ nước." in window.text
    assert "Đã được thay" in window.text
    window.post(f"/consults/{consult}/read", answer=2)
    said = [(one.body.answer, one.body.confirmed, one.body.who) for one in events(station, AnswerRead) if isinstance(one.body, AnswerRead)]
    assert said == [(1, False, ""), (1, True, "Y tá Thử"), (2, False, ""), (2, True, "Y tá Thử")]
