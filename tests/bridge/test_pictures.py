"""Pictures at the bridge: in any order, each once, shown to nobody who may not see them, and gone when erased."""

import hashlib
import os
import random

import pytest
from sqlalchemy import Engine, select

from appliance.contract.codec import read_event
from appliance.contract.events import AttachmentChunk, AttachmentHeld, AttachmentOffered, Event, Tombstone
from appliance.relay.marks import Marks
from appliance.relay.storage import Stream
from cloud_bridge import intake
from cloud_bridge.store import consults, pictures, relay_tables
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.inbox import BridgeStore
from cloud_bridge.store.tables import content, content_part
from tests.bridge import story
from tests.bridge.conftest import Office

FULL = b"\xff\xd8\xff\xe0full" + random.Random(3).randbytes(9_000)
SMALL = b"\xff\xd8\xff\xe0small" + random.Random(4).randbytes(2_500)


def digest(data: bytes) -> bytes:
    """Its SHA-256."""
    return hashlib.sha256(data).digest()


def offered(data: bytes = FULL, of: bytes | None = None, consult: int = 900, **more: object) -> Event:
    """The station says that a content will come."""
    said = {"digest": digest(data), "size": len(data), "caption": "Tay trái"} | more
    return story.event(AttachmentOffered(consult, media_type="image/jpeg", preview_of=of, **said), 61)  # type: ignore[arg-type]  # as given


def parts(data: bytes = FULL, size: int = 1120, name: bytes | None = None) -> list[Event]:
    """The content as it travels."""
    count = -(-len(data) // size)
    called = name or digest(data)[:8]
    return [story.event(AttachmentChunk(called, part, count, data[part * size :][:size]), 62) for part in range(count)]


def everything() -> list[Event]:
    """A request with one picture: the preview, then the full one."""
    return [story.asked(attachments=1), offered(SMALL, digest(FULL)), offered(), *parts(SMALL), *parts()]


def hear(engine: Engine, events: list[Event], at: int = story.T0) -> None:
    """They arrive."""
    with writing(engine) as tx:
        for number, each in enumerate(events):
            intake.apply(tx, story.STATION, each, at, (story.EPOCH, 4, at * 10_000 + number))


def seen(engine: Engine, consult: int = 900) -> list[pictures.Picture]:
    """What the page would show."""
    with reading(engine) as tx:
        return pictures.of_consult(tx, story.STATION, consult)


def served(engine: Engine, data: bytes, consult: int = 900) -> bytes | None:
    """What the bridge would give out."""
    with reading(engine) as tx:
        return pictures.read(tx, story.STATION, consult, digest(data))


def test_a_picture_comes_whole(engine: Engine) -> None:
    """Preview and full, byte for byte, with caption and who took it."""
    hear(engine, everything())
    (one,) = seen(engine)
    assert (one.full_here, one.preview_here, one.share, one.caption, one.actor) == (True, True, 100, "Tay trái", "ys01")
    assert served(engine, FULL) == FULL
    assert served(engine, SMALL) == SMALL


@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_the_same_is_there(engine: Engine, seed: int) -> None:
    """Lanes overtake each other: offers, parts and the request in any order, some of them twice."""
    events = everything()
    dice = random.Random(seed)
    events += dice.sample(events, 5)
    dice.shuffle(events)
    hear(engine, events)
    (one,) = seen(engine)
    assert (one.full_here, one.preview_here) == (True, True)
    assert served(engine, FULL) == FULL
    with reading(engine) as tx:
        found = consults.get(tx, story.STATION, 900)
        assert found is not None
        assert (found.offered, found.attachments) == (1, 1)


def test_the_preview_is_there_while_the_full_one_is_on_its_way(engine: Engine) -> None:
    """With how much of it has come."""
    hear(engine, [story.asked(attachments=1), offered(SMALL, digest(FULL)), offered(), *parts(SMALL), *parts()[:4]])
    (one,) = seen(engine)
    assert (one.preview_here, one.full_here) == (True, False)
    assert one.share == 4 * 1120 * 100 // len(FULL)
    assert served(engine, FULL) is None
    assert served(engine, SMALL) == SMALL


def test_the_preview_alone_is_a_picture(engine: Engine) -> None:
    """Its offer has overtaken the full one's."""
    hear(engine, [story.asked(attachments=1), offered(SMALL, digest(FULL)), *parts(SMALL)])
    (one,) = seen(engine)
    assert (one.full, one.preview_here, one.share) == (digest(FULL), True, 0)


def test_a_picture_before_its_request_waits_for_it(engine: Engine) -> None:
    """Nothing is shown of a consult nobody knows, and everything once it is known."""
    hear(engine, everything()[1:])
    with reading(engine) as tx:
        assert consults.get(tx, story.STATION, 900) is None
    hear(engine, [story.asked(attachments=1)], story.T0 + 10)
    assert seen(engine)[0].full_here


def test_a_part_twice_is_one_part(engine: Engine) -> None:
    """Whatever the second one says."""
    first, *rest = parts()
    body = first.body
    assert isinstance(body, AttachmentChunk)
    other = story.event(AttachmentChunk(body.name, body.part, body.parts, bytes(1120)), 63)
    hear(engine, [story.asked(), offered(), first, first, other, *rest])
    assert served(engine, FULL) == FULL


def told(engine: Engine) -> list[AttachmentHeld]:
    """What the station was told of its pictures, the first word first."""
    with reading(engine) as tx:
        rows = tx.execute(select(relay_tables.outbox.c.body).where(relay_tables.outbox.c.kind == 42).order_by(relay_tables.outbox.c.id))
        return [read_event(bytes(row[0])).body for row in rows]  # type: ignore[misc]  # of kind 42


WRONG = FULL[:-1] + b"x"


def test_a_wrong_digest_is_asked_for_again_and_never_shown(engine: Engine) -> None:
    """The parts made something else than was offered: the station is asked for all of them; good parts mend it."""
    hear(engine, [story.asked(), offered(), *parts(WRONG, name=digest(FULL)[:8])])
    (one,) = seen(engine)
    assert (one.broken, one.asked, one.share) == (False, 1, 0)
    assert served(engine, FULL) is None
    assert told(engine) == [AttachmentHeld(digest(FULL), 9, bytes(2), 1, "digest")]
    with reading(engine) as tx:
        assert not tx.execute(select(content_part)).all()
    hear(engine, parts(), story.T0 + 10)
    assert served(engine, FULL) == FULL
    assert not seen(engine)[0].broken


def test_it_is_not_asked_for_for_ever(engine: Engine) -> None:
    """After three requests the picture says so, and the station is told why; nothing more is asked."""
    hear(engine, [story.asked(), offered()])
    for number in range(6):
        hear(engine, parts(WRONG, name=digest(FULL)[:8]), story.T0 + 10 * (number + 1))
    (one,) = seen(engine)
    assert (one.broken, one.asked) == (True, 3)
    assert [(word.again, word.reason) for word in told(engine)][:4] == [(1, "digest"), (2, "digest"), (3, "digest"), (0, "digest")]
    assert not any(word.again for word in told(engine)[3:])
    hear(engine, parts(), story.T0 + 100)
    assert served(engine, FULL) == FULL


def test_what_is_here_already_need_not_come_again(engine: Engine) -> None:
    """The same picture for another request, or offered anew under another epoch: the station hears what is held."""
    hear(engine, [story.asked(), story.asked(901), offered(), *parts()[:4]])
    assert told(engine) == []
    with writing(engine) as tx:
        again = offered()
        assert isinstance(again.body, AttachmentOffered)
        pictures.offer(tx, story.STATION, again, again.body, story.T0, erased=False, epoch=b"epoch--2")
    assert told(engine)[-1] == AttachmentHeld(digest(FULL), 9, b"\x0f\x00")
    hear(engine, parts()[4:], story.T0 + 10)
    hear(engine, [offered(consult=901)], story.T0 + 20)
    assert told(engine)[-1] == AttachmentHeld(digest(FULL), 9, b"\xff\x01")
    assert served(engine, FULL, 901) == FULL


def test_a_part_that_was_set_aside_is_asked_for(engine: Engine) -> None:
    """Everything of the lane is in, the last part has come, and one is not there: nobody but the bridge can know."""
    one, *rest = parts()
    hear(engine, [story.asked(), offered()])
    with writing(engine) as tx:
        BridgeStore(engine, [0]).keep_marks(tx, {(Stream(story.STATION, story.EPOCH), 4): Marks(1 << 60)})
    hear(engine, rest, story.T0 + 10)
    assert told(engine) == [AttachmentHeld(digest(FULL), 9, b"\xfe\x01", 1, "parts")]
    hear(engine, [one], story.T0 + 20)
    assert served(engine, FULL) == FULL


def test_while_parts_are_on_their_way_nothing_is_asked(engine: Engine) -> None:
    """The last part has overtaken others: they will come by themselves."""
    one, *rest = parts()
    hear(engine, [story.asked(), offered(), *rest])
    assert told(engine) == []
    hear(engine, [one], story.T0 + 20)
    assert served(engine, FULL) == FULL


@pytest.mark.parametrize("data", [b"<svg onload=alert(1)>" + bytes(3000), b"GIF89a" + bytes(2000), b"%PDF-1.7"])
def test_what_is_no_jpeg_is_never_given_out(engine: Engine, data: bytes) -> None:
    """Whatever its digest and its media type say."""
    hear(engine, [story.asked(), offered(data), *parts(data)])
    assert served(engine, data) is None
    assert seen(engine)[0].broken


@pytest.mark.parametrize(
    "chunk",
    [
        AttachmentChunk(b"short", 0, 1, b"x"), AttachmentChunk(bytes(8), 5, 5, b"x"), AttachmentChunk(bytes(8), 0, 1 << 40, b"x"),
        AttachmentChunk(bytes(8), 0, 1, b""), AttachmentChunk(bytes(8), 0, 1, bytes(5000)), AttachmentChunk(b"", 0, 0, b"x"),
    ],
)  # fmt: skip
def test_impossible_parts_are_passed_over(engine: Engine, chunk: AttachmentChunk) -> None:
    """A hostile or broken station fills nothing."""
    hear(engine, [story.event(chunk)])
    with reading(engine) as tx:
        assert not tx.execute(select(content_part)).all()


def test_an_offer_that_is_too_large_is_broken(engine: Engine) -> None:
    """More than a mebibyte is no picture of ours."""
    hear(engine, [story.asked(), offered(size=5 << 20)])
    assert seen(engine)[0].broken


def test_a_picture_of_a_withdrawn_request_stays(engine: Engine) -> None:
    """What was sent before stays readable beside the withdrawal."""
    from appliance.contract.events import ConsultWithdrawn

    hear(engine, [*everything()[:-3], story.event(ConsultWithdrawn(900, "người bệnh về"), 70), *everything()[-3:]])
    assert seen(engine)[0].full_here
    with reading(engine) as tx:
        found = consults.get(tx, story.STATION, 900)
        assert found is not None
        assert found.withdrawn is not None


def holds(engine: Engine, piece: bytes) -> bool:
    """Whether any table still has a piece of the picture."""
    with reading(engine) as tx:
        columns = (content.c.data, content_part.c.data, relay_tables.event.c.body)
        return any(piece in bytes(row[0]) for column in columns for row in tx.execute(select(column).where(column.is_not(None))))


def kept(engine: Engine, events: list[Event], at: int = story.T0) -> None:
    """As the relay does: the event is kept, then it is taken."""
    from appliance.contract.codec import write_event

    with writing(engine) as tx:
        for number, each in enumerate(events):
            key = (story.EPOCH, 4, at % 100_000 * 10_000 + number)
            row = {"station": story.STATION, "epoch": key[0], "lane": key[1], "seq": key[2], "kind": each.kind, "at": at}
            tx.execute(relay_tables.event.insert().values(**row, body=write_event(each)))
            intake.apply(tx, story.STATION, each, at, key)


def test_an_erased_patients_picture_is_nowhere(engine: Engine) -> None:
    """Not in the contents, not in the parts, not in what the relay keeps; what still comes is not kept either."""
    kept(engine, everything()[:-3])
    assert holds(engine, FULL[40:70])
    kept(engine, [story.event(Tombstone(story.PATIENT, "yêu cầu"), 90)], story.T0 + 1)
    assert not holds(engine, FULL[40:70])
    assert not holds(engine, SMALL[40:70])
    kept(engine, parts(), story.T0 + 2)
    kept(engine, [offered(), offered(SMALL, digest(FULL))], story.T0 + 3)
    kept(engine, parts(), story.T0 + 4)
    assert not holds(engine, FULL[40:70])
    assert served(engine, FULL) is None


def test_a_tombstone_before_everything_else_keeps_it_out(engine: Engine) -> None:
    """A restored bridge hears the tombstone first: nothing of the picture comes to stay."""
    kept(engine, [story.event(Tombstone(story.PATIENT, "yêu cầu"), 90)])
    kept(engine, [*parts(SMALL), *everything()], story.T0 + 1)
    assert not holds(engine, FULL[40:70])
    assert not holds(engine, SMALL[40:70])


def test_the_same_picture_of_somebody_else_stays(engine: Engine) -> None:
    """A content goes with its last consult."""
    other = story.asked(901, identity=story.who(story.OTHER))
    hear(engine, [*everything(), other, offered(consult=901)])
    hear(engine, [story.event(Tombstone(story.PATIENT, ""), 90)], story.T0 + 1)
    assert served(engine, FULL, 901) == FULL
    assert served(engine, FULL) is None


def test_one_consults_picture_is_not_given_out_under_another(engine: Engine) -> None:
    """The address names both."""
    hear(engine, [*everything(), story.asked(901, identity=story.who(story.OTHER))])
    assert served(engine, FULL, 901) is None


# --- on the console ---------------------------------------------------------------------------------------------------------------------

PAGE = f"/consults/{story.STATION}/900"


def test_the_page_shows_the_preview_then_the_full_one_by_itself(office: Office) -> None:
    """While the full one is pulled the preview can be seen, with how much has come; the live part then changes without a reload."""
    doctor = office.doctor()
    office.hear(story.asked(attachments=1), offered(SMALL, digest(FULL)), offered(), *parts(SMALL), *parts()[:4])
    page = doctor.get(PAGE).text
    assert f"/pictures/{digest(SMALL).hex()}" in page
    assert f"ảnh đầy đủ đang về {4 * 1120 * 100 // len(FULL)} %" in page
    assert f"/pictures/{digest(FULL).hex()}" not in page
    before = doctor.get(PAGE + "/live")
    office.hear(*parts()[4:])
    after = doctor.get(PAGE + "/live", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert f"/pictures/{digest(FULL).hex()}" in after.text
    assert "đang về" not in after.text


def test_a_picture_is_served_as_a_jpeg_and_nothing_else(office: Office) -> None:
    """Type fixed, not guessed at, kept by no cache."""
    doctor = office.doctor()
    office.hear(*everything())
    doctor.get(PAGE)
    answer = doctor.get(f"{PAGE}/pictures/{digest(FULL).hex()}")
    assert answer.data == FULL
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert doctor.get(f"{PAGE}/pictures/{os.urandom(32).hex()}").status_code == 404
    assert doctor.get(f"{PAGE}/pictures/nothex").status_code == 404


def test_a_stranger_gets_no_picture(office: Office) -> None:
    """Without a login there is none, also for whoever knows its digest."""
    office.hear(*everything())
    answer = office.visitor().get(f"{PAGE}/pictures/{digest(FULL).hex()}")
    assert answer.status_code in (302, 401, 403)
    assert FULL not in answer.data


def test_a_broken_picture_is_said(office: Office) -> None:
    """In words that say what to do."""
    office.hear(story.asked(attachments=1), offered(), *parts(WRONG, name=digest(FULL)[:8]))
    assert "đã xin trạm gửi lại (lần 1)" in office.doctor().get(PAGE).text
    for _ in range(3):
        office.hear(*parts(WRONG, name=digest(FULL)[:8]))
    assert "Ảnh bị hỏng trên đường" in office.doctor().get(PAGE).text
