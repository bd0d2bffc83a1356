"""Who answers a request: one doctor at a time, one answer in the end, and nothing leaves that nobody has signed."""

import re
import threading
from pathlib import Path

import pytest
from sqlalchemy import select, update

from appliance.contract import events as ev
from appliance.contract.codec import read_event
from appliance.contract.events import AnswerSigned, ConsultClaimed, Event
from appliance.contract.ids import spell
from appliance.contract.parcels import PARCEL, read_parcel
from cloud_bridge.store import answers as kept
from cloud_bridge.store import consults, relay_tables, tables
from cloud_bridge.store.engine import reading, writing
from tests.bridge import story
from tests.bridge.conftest import PASSWORD, Office, Visitor, make_office
from tests.bridge.story import OTHER, PATIENT, STATION, asked, event, oxygen, pressure
from tests.world import SHARD, World

BP, CLIP = pressure(), oxygen(5)


@pytest.fixture
def desk(offices: Office) -> Office:
    """An office with one request, on both databases."""
    offices.hear(asked(900, (BP, CLIP)))
    return offices


def url(number: int = 900) -> str:
    """The page of a request."""
    return f"/consults/{STATION}/{spell(number)}"


def review(doctor: Visitor, advice: str, number: int = 900, **more: str) -> dict[str, list[str]]:
    """Draft and look once more; what the confirmation sends back."""
    moved = doctor.send(f"{url(number)}/draft", advice=advice, then="sign", **more)
    text = doctor.get(moved.headers["Location"]).text
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text[text.index('id="signing"') :]):
        fields.setdefault(name, []).append(value)
    return {name: values for name, values in fields.items() if name in ("digest", "seen", "struck", "replaces")}


def told(office: Office, number: int = 900) -> list[Event]:
    """What the station is going to be told about a request."""
    with reading(office.engine) as tx:
        every = [
            read_event(bytes(body)) for body in tx.execute(select(relay_tables.outbox.c.body).order_by(relay_tables.outbox.c.id)).scalars()
        ]
    return [one for one in every if one.body.consult == number]


def test_two_doctors_signing_at_once_make_one_answer(desk):
    """Both have read, drafted and confirmed, nobody holds it, both press at the same moment: one answer leaves, one draft stays."""
    for number in range(910, 916):
        desk.hear(asked(number, (BP,)))
        doctors = {login: desk.doctor(login) for login in ("bs.thu", "bs.hai")}
        forms = {}
        for login, doctor in doctors.items():
            forms[login] = review(doctor, f"Lời khuyên của {login}", number)
            forms[login]["csrf"] = [doctor.token()]
        gate, said = threading.Barrier(2), {}

        def press(login: str, number=number, doctors=doctors, forms=forms, gate=gate, said=said) -> None:
            gate.wait()
            said[login] = doctors[login].client.post(f"{url(number)}/sign", data={**forms[login], "password": PASSWORD})

        threads = [threading.Thread(target=press, args=(login,)) for login in doctors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [said[login].status_code for login in doctors] == [302, 302]
        with reading(desk.engine) as tx:
            (row,) = kept.of_consult(tx, STATION, number)
            loser = "bs.hai" if row.login == "bs.thu" else "bs.thu"
            assert kept.get_draft(tx, STATION, number, loser) is not None
            assert kept.get_draft(tx, STATION, number, row.login) is None
        assert sum(isinstance(one.body, AnswerSigned) for one in told(desk, number)) == 1
        text = doctors[loser].get(url(number)).text
        assert f"vừa có trả lời đã ký của {row.name}" in text
        assert "Nháp của bạn, chưa gửi đi" in text
        assert f"Lời khuyên của {loser}" in text
        assert "Đã ký. Trả lời đang" in doctors[row.login].get(url(number)).text


def test_two_doctors_claiming_at_once_leave_one_holder(desk):
    """Both press *take* at the same moment: one holds it, the other is told who and until when, the station hears of one."""
    first, second = desk.doctor(), desk.doctor("bs.hai")
    gate = threading.Barrier(2)
    forms = [(one, {"csrf": one.token()}) for one in (first, second)]

    def press(who: Visitor, data: dict[str, str]) -> None:
        gate.wait()
        who.client.post(f"{url()}/claim", data=data)

    threads = [threading.Thread(target=press, args=form) for form in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(isinstance(one.body, ConsultClaimed) for one in told(desk)) == 1
    with reading(desk.engine) as tx:
        found = consults.get(tx, STATION, 900)
    assert found is not None
    holder = found.held_by(desk.time.wall)
    other = second if holder == "bs.thu" else first
    name = "BS. Trần Thử" if holder == "bs.thu" else "BS. Lê Hai"
    assert re.search(rf"Bác sĩ khác đang giữ yêu cầu này: {name}, đến \d\d:\d\d", other.get(url()).text)


def test_the_second_doctor_sees_who_holds_it_and_until_when_and_cannot_sign(desk):
    """The page says it, the live part says it; what they try to sign stays with them, and nothing leaves."""
    holder, second = desk.doctor(), desk.doctor("bs.hai")
    holder.get(url())
    for path in (url(), f"{url()}/live"):
        assert re.search(r"Đang giữ: <b>BS\. Trần Thử</b> đến \d\d:\d\d", second.get(path).text), path
    fields = review(second, "Tôi muốn trả lời")
    assert second.send(f"{url()}/sign", password=PASSWORD, **fields).status_code == 302
    text = second.get(url()).text
    assert "Chưa có gì được gửi; nháp của bạn vẫn còn." in text
    assert "Tôi muốn trả lời" in text
    with reading(desk.engine) as tx:
        assert kept.of_consult(tx, STATION, 900) == []


def test_a_claim_left_open_ends_by_itself_and_anybody_takes_over(desk):
    """The doctor closes the laptop: after fifteen minutes the page is free, the next one who opens holds it, the first cannot sign."""
    first, second = desk.doctor(), desk.doctor("bs.hai")
    fields = review(first, "Bỏ dở")
    first.get(url())
    desk.time.turn(desk.desk.claim_s - 60)
    first.send(f"{url()}/draft", advice="Bỏ dở")
    fields = review(first, "Bỏ dở")
    desk.time.turn(desk.desk.claim_s - 60)
    assert "data-draft" not in second.get(url()).text
    desk.time.turn(61)
    second = desk.doctor("bs.hai")
    assert "data-draft" in second.get(url()).text
    assert [one.body.who for one in told(desk) if isinstance(one.body, ConsultClaimed)] == ["BS. Trần Thử", "BS. Lê Hai"]
    first = desk.doctor()
    assert "Bỏ dở" in first.get(url()).text
    first.send(f"{url()}/sign", password=PASSWORD, **fields)
    assert "Bác sĩ khác đang giữ yêu cầu này: BS. Lê Hai" in first.get(url()).text
    with reading(desk.engine) as tx:
        assert kept.of_consult(tx, STATION, 900) == []


def test_giving_back_is_told_to_the_station(desk):
    """`until` is 0 on release, so that the station does not show a doctor who has left; giving back twice says nothing new."""
    doctor = desk.doctor()
    doctor.get(url())
    for _ in range(2):
        doctor.send(f"{url()}/release")
    claims = [one.body for one in told(desk) if isinstance(one.body, ConsultClaimed)]
    assert [(one.who, one.until > 0) for one in claims] == [("BS. Trần Thử", True), ("BS. Trần Thử", False)]


def test_a_reading_corrected_between_the_look_and_the_signature_stops_it(desk):
    """The station takes a reading back while the password is being typed: a sentence, no answer; after another look it can be signed."""
    doctor = desk.doctor()
    doctor.get(url())
    fields = review(doctor, "Theo số đo này")
    desk.hear(event(ev.ObservationReassigned(PATIENT, BP.key, OTHER, "nhầm người"), 300))
    doctor.send(f"{url()}/sign", password=PASSWORD, **fields)
    text = doctor.get(url()).text
    assert "Trạm vừa sửa một số đo mà bạn đang dựa vào" in text
    assert "Trạm đã sửa:" in text
    assert "nhầm người" in text
    with reading(desk.engine) as tx:
        assert kept.of_consult(tx, STATION, 900) == []
    fields = review(doctor, "Đã xem lại")
    assert fields["struck"] == [BP.key.hex()]
    doctor.send(f"{url()}/sign", password=PASSWORD, **fields)
    with reading(desk.engine) as tx:
        assert len(kept.of_consult(tx, STATION, 900)) == 1


def test_a_correction_reaches_the_open_page_and_stays_until_the_doctor_has_seen_it(desk):
    """It is in the next live part, for each doctor until that doctor has said so; the original stays beside it, struck out."""
    first, second = desk.doctor(), desk.doctor("bs.hai")
    first.get(url())
    second.get(url())
    before = first.get(f"{url()}/live")
    assert "Trạm đã sửa:" not in before.text
    desk.time.turn(5)
    desk.hear(event(ev.ObservationEnteredInError(PATIENT, BP.key, "quấn sai vòng bít"), 300))
    live = first.get(f"{url()}/live", headers={"If-None-Match": before.headers["ETag"]})
    assert live.status_code == 200
    for word in ("Trạm đã sửa:", "quấn sai vòng bít", "115/74", "Tôi đã xem"):
        assert word in live.text, word
    first.send(f"{url()}/corrections")
    assert "Trạm đã sửa:" not in first.get(f"{url()}/live").text
    assert "Trạm báo ghi nhầm: quấn sai vòng bít" in first.get(f"{url()}/live").text
    assert "Trạm đã sửa:" in second.get(f"{url()}/live").text


def test_unsigned_answer_leaks(tmp_path: Path):
    """Drafts of two doctors, reviews, refused signatures, then the real carrier until nothing is owed: of every byte that left, whole and
    decoded, none is the draft's. Once signed, the text is in the bytes: the look can see it.
    """
    world = World(tmp_path)
    office = make_office(world.engine)
    with writing(world.engine) as tx:
        tx.execute(update(tables.station).where(tables.station.c.id == STATION).values(shard=SHARD))
    office.hear(asked(900, (BP, CLIP)))
    secret, signed = "Nháp-Bí-Mật-Chưa-Ký", "Lời-Khuyên-Đã-Ký"
    doctor, second = office.doctor(), office.doctor("bs.hai")
    doctor.get(url())
    every = {"advice": secret, "diagnosis": secret, "medicine": secret, "refer": secret, "follow_up": secret}
    doctor.send(f"{url()}/draft", **every)
    second.send(f"{url()}/draft", **every)
    fields = review(doctor, secret, diagnosis=secret)
    assert doctor.send(f"{url()}/sign", password="wrong-password-here", **fields).status_code == 403
    doctor.send(f"{url()}/sign", password=PASSWORD, **fields | {"digest": ["0"]})
    second.send(f"{url()}/sign", password=PASSWORD, **review(second, secret))
    doctor.send(f"{url()}/question", text="Đau từ bao giờ?")
    doctor.send(f"{url()}/release")
    world.record()
    world.settle()
    assert "Đau từ bao giờ?" in left(world)
    assert secret not in left(world)
    doctor.get(url())
    doctor.send(f"{url()}/sign", password=PASSWORD, **review(doctor, signed))
    world.settle()
    assert signed in left(world)
    assert secret not in left(world)
    world.close()


def left(world: World) -> str:
    """Everything the bridge has sent, as bytes and as what they mean, in one text."""
    found = []
    for topic, payload in world.net.carried:
        if "/down/" in topic:
            found.append(payload.decode("utf-8", "replace"))
            if payload[0] == PARCEL:
                found += [repr(one) for one in read_parcel(payload)[1]]
                found += [
                    one.body.content.decode("utf-8", "replace") for one in read_parcel(payload)[1] if isinstance(one.body, AnswerSigned)
                ]
    return "\n".join(found)


def test_the_request_says_who_asks(desk):
    """The name that the station sent along stands on the page beside the code."""
    desk.hear(asked(905, (), identity=story.who(OTHER), staff_name="YS. Thử Nghiệm Viên"))
    assert "YS. Thử Nghiệm Viên (ys01)" in desk.doctor().get(url(905)).text
