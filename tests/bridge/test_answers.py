import hashlib
import unicodedata

import pytest
from sqlalchemy import select

from appliance.contract.answers import DOMAIN, read_answer
from appliance.contract.codec import read_event
from appliance.contract.events import AnswerCorrected, AnswerSigned, ConsultClaimed, ConsultOpened, ConsultQuestion, Event, Tombstone
from appliance.contract.metrics import Status
from appliance.contract.readings import ReadingKind
from cloud_bridge import answers
from cloud_bridge.answers import Advice, Refused
from cloud_bridge.store import accounts, consults, relay_tables, tables
from cloud_bridge.store import answers as kept
from cloud_bridge.store.engine import reading, writing
from tests.bridge import story
from tests.bridge.conftest import Office
from tests.bridge.story import STATION, asked, event, oxygen, pressure, recorded

BP, CLIP = pressure(), oxygen(5)
ADVICE = Advice("Nghỉ ngơi, đo lại sau 30 phút", diagnosis="Theo dõi huyết áp")


@pytest.fixture
def desk(offices: Office) -> "Doing":
    """An office with one request."""
    offices.hear(asked(900, (BP, CLIP)))
    return Doing(offices)


class Doing:
    """What doctors do, each in a transaction of its own."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def by(self, login: str, act, *more, **named):
        """One act of `cloud_bridge.answers` by a doctor."""
        with writing(self.office.engine) as tx:
            doctor = accounts.get(tx, login)
            return act(tx, doctor, STATION, 900, *more, now=self.office.time.stamp(), **named)

    def open(self, login="bs.thu"):
        """The doctor has the page in front of them."""
        return self.by(login, answers.open_request, software="t")

    def sign(self, login="bs.thu", advice=ADVICE, seen=(BP.key, CLIP.key), **more):
        """The doctor signs."""
        number = more.pop("answer", 4711)
        return self.by(login, answers.sign, advice, seen=seen, answer=number, seal=self.office.desk.seal, software="t", **more)

    def sent(self) -> list[Event]:
        """What the station is going to be told, in order."""
        with reading(self.office.engine) as tx:
            return [
                read_event(bytes(body)) for (body,) in tx.execute(select(relay_tables.outbox.c.body).order_by(relay_tables.outbox.c.id))
            ]

    def consult(self):
        """The request as it stands."""
        with reading(self.office.engine) as tx:
            return consults.get(tx, STATION, 900)


def test_a_signed_answer_verifies_with_the_bridge_s_public_key(desk):
    """The station gets the exact bytes with a signature over them; they say who, when, what was seen, and that it is test data."""
    desk.open()
    desk.sign()
    body = desk.sent()[-1].body
    assert isinstance(body, AnswerSigned)
    desk.office.key.public_key().verify(body.signature, DOMAIN + body.content)
    said = read_answer(body.content)
    assert (said.station, said.consult, said.answer, body.key_id) == (STATION, 900, 4711, 3)
    assert (said.practitioner, said.practitioner_name, said.at) == ("bs.thu", "BS. Trần Thử", desk.office.time.wall)
    assert (said.advice, said.diagnosis, said.test_data) == (ADVICE.advice, ADVICE.diagnosis, True)
    assert set(said.seen) == {BP.key, CLIP.key}


def test_the_kept_row_and_the_sent_bytes_are_the_same(desk):
    """What is kept is what was sent, with its SHA-256."""
    desk.sign()
    with reading(desk.office.engine) as tx:
        (row,) = kept.of_consult(tx, STATION, 900)
    body = desk.sent()[-1].body
    assert bytes(row.content) == body.content
    assert bytes(row.sha256) == hashlib.sha256(body.content).digest()
    assert (row.login, row.name, row.signed) == ("bs.thu", "BS. Trần Thử", desk.office.time.wall)


def test_an_unsigned_answer_never_leaves(desk):
    """Opening, holding, drafting, asking, a refused signature: no byte of the draft reaches the way down."""
    secret = "Chuẩn đoán chưa chắc, đừng gửi"
    desk.open()
    desk.by("bs.thu", answers.claim, software="t")
    desk.by("bs.thu", answers.draft, Advice(secret, diagnosis=secret, medicine=secret))
    desk.by("bs.thu", answers.ask, "Đau từ bao giờ?", question=5, software="t")
    with pytest.raises(Refused, match="held"):
        desk.sign("bs.hai", Advice(secret))
    with pytest.raises(Refused, match="unseen"):
        desk.sign("bs.thu", Advice(secret), seen=[b"x" * 16])
    desk.by("bs.thu", answers.release)
    kinds = {type(one.body) for one in desk.sent()}
    assert kinds == {ConsultOpened, ConsultClaimed, ConsultQuestion}
    with reading(desk.office.engine) as tx:
        for table in (relay_tables.outbox, relay_tables.parcel):
            for row in tx.execute(select(table)):
                assert secret.encode() not in b"".join(bytes(value) for value in row if isinstance(value, bytes | memoryview))
        assert tx.execute(select(tables.answer)).all() == []


def test_a_signature_and_its_way_to_the_station_are_one_transaction(desk):
    """When the transaction fails after signing, there is neither an answer nor anything on the way down, and the draft is there."""
    desk.by("bs.thu", answers.draft, ADVICE)
    before = desk.sent()

    def sign_and_fail(tx, doctor, station, consult, *, now):
        answers.sign(tx, doctor, station, consult, ADVICE, seen=[BP.key], answer=1, seal=desk.office.desk.seal, software="t", now=now)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        desk.by("bs.thu", sign_and_fail)
    assert desk.sent() == before
    assert desk.consult().answered is None
    with reading(desk.office.engine) as tx:
        assert kept.of_consult(tx, STATION, 900) == []
        assert kept.get_draft(tx, STATION, 900, "bs.thu") is not None


def test_signing_ends_the_draft_and_the_hold(desk):
    """After signing nobody holds the request and nothing is left in the form."""
    desk.open()
    desk.by("bs.thu", answers.draft, ADVICE)
    desk.sign()
    found = desk.consult()
    assert (found.answered, found.held_by(desk.office.time.wall)) == (desk.office.time.wall, "")
    with reading(desk.office.engine) as tx:
        assert kept.get_draft(tx, STATION, 900, "bs.thu") is None


def test_the_station_is_told_once_that_the_request_was_opened(desk):
    """The first doctor's opening is told with the doctor's name; the second doctor's is not told again."""
    assert desk.open() is True
    desk.office.time.turn(30)
    assert desk.open() is False
    assert desk.open("bs.hai") is False
    opened = [one.body for one in desk.sent() if isinstance(one.body, ConsultOpened)]
    assert opened == [ConsultOpened(900, "BS. Trần Thử")]
    assert [one.actor for one in desk.sent()] == ["bs.thu", "bs.thu"]


def test_a_viewer_opens_nothing_and_signs_nothing(desk):
    """Somebody who may only look does not count as a doctor who has opened it."""
    assert desk.open("xem") is False
    assert desk.sent() == []
    for act in (
        lambda: desk.sign("xem"),
        lambda: desk.by("xem", answers.claim, software="t"),
        lambda: desk.by("xem", answers.draft, ADVICE),
    ):
        with pytest.raises(Refused, match="role"):
            act()


def test_two_doctors_do_not_answer_the_same_request(desk):
    """Opening takes the request; another doctor can read it, but not sign, ask or give it back until the hold has ended."""
    desk.open()
    desk.open("bs.hai")
    assert desk.consult().held_by(desk.office.time.wall) == "bs.thu"
    for act in (
        lambda: desk.sign("bs.hai"),
        lambda: desk.by("bs.hai", answers.claim, software="t"),
        lambda: desk.by("bs.hai", answers.release),
        lambda: desk.by("bs.hai", answers.ask, "?", question=1, software="t"),
    ):
        with pytest.raises(Refused, match=r"held bs\.thu"):
            act()
    desk.office.time.turn(answers.HOLD / 10 + 1)
    desk.by("bs.hai", answers.claim, software="t")
    claims = [one.body for one in desk.sent() if isinstance(one.body, ConsultClaimed)]
    assert [one.who for one in claims] == ["BS. Trần Thử", "BS. Lê Hai"]
    assert claims[1].until == desk.office.time.wall + answers.HOLD


def test_typing_keeps_the_hold(desk):
    """A draft that is saved prolongs the hold of the doctor who types."""
    desk.open()
    for _ in range(3):
        desk.office.time.turn(500)
        desk.by("bs.thu", answers.draft, ADVICE)
    assert desk.consult().held_by(desk.office.time.wall) == "bs.thu"
    assert sum(isinstance(one.body, ConsultClaimed) for one in desk.sent()) == 1


def test_a_correction_replaces_and_leaves_the_first_readable(desk):
    """A second answer is only possible as a correction of the latest one; both stay."""
    desk.sign()
    with pytest.raises(Refused, match="answered"):
        desk.sign(answer=4712)
    desk.office.time.turn(60)
    desk.sign(answer=4712, advice=Advice("Chuyển viện ngay"), replaces=4711)
    body = desk.sent()[-1].body
    assert isinstance(body, AnswerCorrected)
    assert (body.answer, body.replaces, read_answer(body.content).advice) == (4712, 4711, "Chuyển viện ngay")
    desk.office.key.public_key().verify(body.signature, DOMAIN + body.content)
    with pytest.raises(Refused, match="replaced"):
        desk.sign(answer=4713, replaces=4711)
    with pytest.raises(Refused, match="gone"):
        desk.sign(answer=4713, replaces=99)
    with reading(desk.office.engine) as tx:
        assert [row.answer for row in kept.of_consult(tx, STATION, 900)] == [4711, 4712]


@pytest.mark.parametrize(
    ("advice", "reason"),
    [
        (Advice(""), "empty"),
        (Advice("", diagnosis="x"), "empty"),
        (Advice("x" * 2001), "long medicine|long advice"),
        (Advice("x", refer="y" * 2001), "long refer"),
    ],
)
def test_an_answer_without_advice_or_without_end_is_refused(desk, advice, reason):
    """The reason is named; nothing is kept or sent."""
    with pytest.raises(Refused, match=reason):
        desk.sign(advice=advice)
    assert desk.sent() == []


def test_a_withdrawn_request_is_not_answered(desk):
    """Once the station has withdrawn, a signature is refused."""
    from appliance.contract.events import ConsultWithdrawn

    desk.office.hear(event(ConsultWithdrawn(900, "đã chuyển viện"), 70))
    with pytest.raises(Refused, match="withdrawn"):
        desk.sign()
    assert desk.sent() == []


def test_a_request_of_an_erased_patient_is_gone(desk):
    """After a tombstone there is nothing to open, ask or sign."""
    desk.office.hear(event(Tombstone(story.PATIENT, "theo yêu cầu"), 70))
    for act in (desk.open, desk.sign):
        with pytest.raises(Refused, match="gone"):
            act()
    assert desk.sent() == []


def test_seen_real_readings_do_not_make_test_data(offices):
    """An answer that rests on a real device's readings alone does not say test data."""
    real = pressure(3, status=Status(0))
    offices.hear(asked(900, (real,)), recorded(real))
    desk = Doing(offices)
    assert desk.sign(seen=[real.key]).test_data is False
    assert real.kind is ReadingKind.BLOOD_PRESSURE


def test_what_is_typed_is_kept_in_one_form():
    """CRLF is one line end, white space at the ends and NULs are gone, letters are NFC whatever the keyboard made of them."""
    assert Advice.of({"advice": " Một\r\nHai\0 \r\n", "csrf": "x"}) == Advice("Một\nHai")
    assert Advice.of({"advice": unicodedata.normalize("NFD", "Đặng Thị Hường")}).advice == unicodedata.normalize("NFC", "Đặng Thị Hường")
