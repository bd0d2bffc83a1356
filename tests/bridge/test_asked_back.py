"""A question to the station and its replies: each side is told when the other has had it on the screen, once."""

import re

from sqlalchemy import select

from appliance.contract.codec import read_event
from appliance.contract.events import AnswerRead, ConsultQuestion, ConsultReply, QuestionShown, ReplySeen
from cloud_bridge.store import relay_tables
from cloud_bridge.store.engine import reading
from tests.bridge import story
from tests.bridge.conftest import Office

PAGE = f"/consults/{story.STATION}/900"


def told(office: Office, kind: type) -> list[object]:
    """What the station will hear of one kind."""
    with reading(office.engine) as tx:
        rows = tx.execute(select(relay_tables.outbox.c.body).order_by(relay_tables.outbox.c.id)).all()
    bodies = [read_event(bytes(row[0])).body for row in rows]
    return [one for one in bodies if isinstance(one, kind)]


def ask(office: Office) -> int:
    """A doctor opens the request and asks; the question's number."""
    office.hear(story.asked())
    doctor = office.doctor()
    doctor.get(PAGE)
    doctor.send(PAGE + "/question", text="Có sốt không?")
    (question,) = told(office, ConsultQuestion)
    assert isinstance(question, ConsultQuestion)
    return question.question


def test_a_question_says_when_the_station_has_it_on_its_screen(office: Office) -> None:
    """On its way, then shown: nothing before it is proved."""
    number = ask(office)
    doctor = office.doctor()
    assert "đang gửi về trạm" in doctor.get(PAGE).text
    office.hear(story.event(QuestionShown(900, number), 70, actor="y1"))
    page = doctor.get(PAGE).text
    assert "đã hiện ở trạm" in page
    assert "đang gửi về trạm" not in page


def test_a_reply_that_a_doctor_sees_is_told_to_the_station_once(office: Office) -> None:
    """By opening the page, or when it comes up on the open page by itself; a viewer's look does not count."""
    number = ask(office)
    office.hear(story.event(ConsultReply(900, number, "Không sốt"), 80))
    office.doctor("xem").get(PAGE)
    assert not told(office, ReplySeen)
    doctor = office.doctor()
    doctor.get(PAGE + "/live")
    doctor.get(PAGE)
    assert told(office, ReplySeen) == [ReplySeen(900, number, "BS. Trần Thử", 1)]
    office.hear(story.event(ConsultReply(900, number, "Vừa đo 37,2"), 90))
    doctor.get(PAGE)
    assert told(office, ReplySeen)[1:] == [ReplySeen(900, number, "BS. Trần Thử", 2)]
    assert "đã xem" in doctor.get(PAGE).text


def test_shown_and_confirmed_are_told_apart(office: Office) -> None:
    """Somebody's screen had the answer; later a named person confirmed having read it."""
    office.hear(story.asked())
    doctor = office.doctor()
    doctor.get(PAGE)
    doctor.send(PAGE + "/draft", advice="Nghỉ ngơi", then="sign")
    page = doctor.get(PAGE + "/sign").text
    fields = dict(re.findall(r'name="(digest|password)" value="([^"]*)"', page))
    doctor.send(PAGE + "/sign", **(fields | {"password": "mat-khau-thu-nghiem"}))
    with reading(office.engine) as tx:
        from cloud_bridge.store import answers

        (row,) = answers.of_consult(tx, story.STATION, 900)
    office.hear(story.event(AnswerRead(900, row.answer, "", confirmed=False), 100))
    assert "chưa ai xác nhận" in doctor.get(PAGE).text
    office.hear(story.event(AnswerRead(900, row.answer, "Y tá Thử"), 110))
    page = doctor.get(PAGE).text
    assert re.search(r"đã đọc và xác nhận: <b>Y tá Thử</b> \d\d:\d\d", page)
    assert "chưa ai xác nhận" not in page
