"""Pictures as they come: offers and parts in any order, each once; whole when the bytes have the digest that was offered.

Only what is whole, of the right digest, not too large and a JPEG is ever given out. Parts that do not make the offered
content are thrown away and the station is asked for them anew, a few times; then the picture says so at both ends.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from appliance import __version__
from appliance.contract.bitmaps import write_bits
from appliance.contract.events import AttachmentChunk, AttachmentHeld, AttachmentOffered, Event
from appliance.contract.readings import ClockQuality, Stamp
from cloud_bridge.store import outbox, relay_tables
from cloud_bridge.store.tables import attachment, content, content_part
from cloud_bridge.store.writing import once

COMING, WHOLE, WRONG, ERASED = 0, 1, 2, 3
"""`content.state`. *Wrong*: the parts did not make what was offered, or it is nothing to show. *Erased* outranks every part."""
NAME_BYTES = 8
PART_BYTES = 1120
"""Of a part as stations cut them; it only counts where none of a content is here."""
MOST_BYTES = 1 << 20
"""Of one content; a full picture has 400 kB, a preview 30."""
MOST_PARTS, MOST_PART = 1024, 4096
MOST_AGAIN = 3
"""How often a station is asked for one content anew. Then the picture says that it could not be put together, at both ends."""
JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a consult. `preview` and `full` are digests; `share` is how much of the full one is here, in per cent.

    `preview_here` and `full_here` say what can be shown now; `asked` how often the station was asked for it anew; `broken` that
    it could not be put together all the same.
    """

    full: bytes
    preview: bytes | None
    caption: str
    actor: str
    wall: int
    share: int
    preview_here: bool
    full_here: bool
    broken: bool
    asked: int = 0


def offer(tx: Connection, station: str, event: Event, body: AttachmentOffered, at: int, *, erased: bool, epoch: bytes = b"") -> None:
    """A station says that a content will come for a consult. Of an erased patient only the digest is kept, to know its parts by.

    What is here already of it (it is another consult's too, or came under another `epoch`) need not come again: the station is told.
    """
    known = not erased and _known(tx, station, body, epoch)
    if not erased:
        once(
            tx, attachment, station=station, consult=body.consult, digest=body.digest, media_type=body.media_type, size=body.size,
            received=at, preview_of=body.preview_of, caption=body.caption, actor=event.actor, wall=event.stamp.wall,
        )  # fmt: skip
    state = ERASED if erased else COMING if 0 < body.size <= MOST_BYTES and len(body.digest) == 32 else WRONG
    name = body.digest[:NAME_BYTES]
    once(tx, content, station=station, digest=body.digest, name=name, size=body.size, state=state)
    if not erased:  # the same picture may have been an erased patient's, too
        revived = (content.c.station == station, content.c.digest == body.digest, content.c.state == ERASED)
        tx.execute(update(content).where(*revived).values(state=COMING))
    _settle(tx, station, name, at)
    if known:
        _tell(tx, station, body.digest, at)


def _known(tx: Connection, station: str, body: AttachmentOffered, epoch: bytes) -> bool:
    """Whether something of a content that is offered is here, and the station may not know it."""
    c, name = content_part.c, body.digest[:NAME_BYTES]
    if any(bytes(row.digest) == body.digest and row.state == WHOLE for row in _named(tx, station, name)):
        return True
    return tx.execute(select(c.part).where(*_of(station, name), c.epoch != epoch).limit(1)).first() is not None


def take(tx: Connection, station: str, chunk: AttachmentChunk, key: tuple[bytes, int, int], at: int) -> None:
    """A part has come. One that no content can have is passed over (the relay has kept it).

    When the last one has come and nothing before it is on its way any more, what is missing is asked for.
    """
    possible = 0 <= chunk.part < chunk.parts <= MOST_PARTS and len(chunk.data) <= MOST_PART and len(chunk.name) == NAME_BYTES
    if not possible:
        return
    states = [row.state for row in _named(tx, station, chunk.name)]
    if states and all(state in (WHOLE, ERASED) for state in states):
        if ERASED in states:
            _blank(tx, station, [key])
        return
    if chunk.data:  # without bytes: the station knows that this part is here, or the content was erased there
        once(
            tx, content_part, station=station, name=chunk.name, part=chunk.part, parts=chunk.parts, data=chunk.data, epoch=key[0],
            lane=int(key[1]), seq=key[2], received=at,
        )  # fmt: skip
    if states and not _settle(tx, station, chunk.name, at) and chunk.part == chunk.parts - 1 and _unbroken(tx, station, key):
        _ask(tx, station, chunk.name, "parts", at)


def _unbroken(tx: Connection, station: str, key: tuple[bytes, int, int]) -> bool:
    """Whether everything before an event of its lane is in (or set aside for good)."""
    c = relay_tables.inbox.c
    row = tx.execute(select(c.contiguous).where(c.station == station, c.epoch == key[0], c.lane == int(key[1]))).first()
    return row is not None and bool(row.contiguous >= key[2])


def _named(tx: Connection, station: str, name: bytes) -> list[Any]:
    """The contents whose parts have this name: one, unless somebody made two on purpose."""
    c = content.c
    return list(tx.execute(select(c.digest, c.size, c.state).where(c.station == station, c.name == name)))


def _of(station: str, name: bytes) -> tuple[Any, Any]:
    return content_part.c.station == station, content_part.c.name == name


def _settle(tx: Connection, station: str, name: bytes, at: int) -> bool:
    """Put a content together when all its parts are here; False while some are missing."""
    waiting = [row for row in _named(tx, station, name) if row.state not in (WHOLE, ERASED)]
    if not waiting:
        if ERASED in [row.state for row in _named(tx, station, name)]:
            _forget_parts(tx, station, name)
        return True
    c = content_part.c
    count, parts = tx.execute(select(func.count(), func.max(c.parts)).where(*_of(station, name))).one()
    if not count or count < parts:
        return False
    data = b"".join(bytes(row.data) for row in tx.execute(select(c.data).where(*_of(station, name)).order_by(c.part)))
    good = next((row for row in waiting if hashlib.sha256(data).digest() == bytes(row.digest) and len(data) == row.size), None)
    if good is None or not data.startswith(JPEG) or len(data) > MOST_BYTES:
        wrong = (content.c.station == station, content.c.name == name, content.c.state == COMING)
        tx.execute(update(content).where(*wrong).values(state=WRONG))
        tx.execute(delete(content_part).where(*_of(station, name)))
        _ask(tx, station, name, "digest" if good is None else "jpeg" if len(data) <= MOST_BYTES else "size", at)
        return True
    here = (content.c.station == station, content.c.digest == good.digest)
    tx.execute(update(content).where(*here).values(state=WHOLE, data=data, completed=at, why=None))
    tx.execute(update(content_part).where(*_of(station, name)).values(data=b""))
    return True


# --- asking -----------------------------------------------------------------------------------------------------------------------------


def _ask(tx: Connection, station: str, name: bytes, why: str, at: int) -> None:
    """Ask the station for what is missing of a content, `MOST_AGAIN` times; what is whole and no picture does not get better by it."""
    c = content.c
    mine = (c.station == station, c.name == name, c.state.in_([COMING, WRONG]))
    for row in tx.execute(select(c.digest, c.asked).where(*mine)).all():
        again = (row.asked or 0) + 1
        final = why in ("jpeg", "size") or again > MOST_AGAIN
        here = (c.station == station, c.digest == row.digest)
        tx.execute(update(content).where(*here).values(asked=row.asked or 0 if final else again, why=why, state=WRONG if final else COMING))
        _tell(tx, station, bytes(row.digest), at, 0 if final else again, why)


def _tell(tx: Connection, station: str, digest: bytes, at: int, again: int = 0, why: str = "") -> None:
    """Tell a station what is here of a content, and what is asked of it."""
    c, p = content.c, content_part.c
    row = tx.execute(select(c.state, c.size).where(c.station == station, c.digest == digest)).one()
    name = digest[:NAME_BYTES]
    found = tx.execute(select(func.max(p.parts)).where(*_of(station, name))).scalar() or -(-row.size // PART_BYTES)
    parts = min(int(found), MOST_PARTS)
    if row.state == WHOLE:
        here: Iterable[int] = range(parts)
    else:
        here = [one.part for one in tx.execute(select(p.part).where(*_of(station, name))) if one.part < parts]
    body = AttachmentHeld(digest, parts, write_bits(here, parts), again, why)
    outbox.append(tx, station, Event(Stamp(0, 0, 0, at, ClockQuality.SYNCED), "", __version__, body))


# --- reading ----------------------------------------------------------------------------------------------------------------------------


def of_consult(tx: Connection, station: str, consult: int) -> list[Picture]:
    """The pictures of a consult in the order they were taken, with what of each is here."""
    a, c = attachment.c, content.c
    query = (
        select(attachment, c.state, c.name, c.size.label("length"), c.asked)
        .join(content, (c.station == a.station) & (c.digest == a.digest))
        .where(a.station == station, a.consult == consult)
        .order_by(a.wall, a.received, a.digest)
    )
    rows = list(tx.execute(query))
    previews = {bytes(row.preview_of): row for row in rows if row.preview_of is not None}
    fulls = [row for row in rows if row.preview_of is None]
    known = {bytes(row.digest) for row in fulls}
    early = [row for digest, row in previews.items() if digest not in known]  # the preview's offer has overtaken the other one
    return [_picture(tx, row, previews.get(bytes(row.digest))) for row in fulls] + [_early(row) for row in early]


def _picture(tx: Connection, row: Any, small: Any) -> Picture:
    return Picture(
        bytes(row.digest), None if small is None else bytes(small.digest), row.caption or "", row.actor or "", row.wall or 0,
        _share(tx, row), small is not None and small.state == WHOLE, row.state == WHOLE, row.state == WRONG, row.asked or 0,
    )  # fmt: skip


def _early(row: Any) -> Picture:
    return Picture(
        bytes(row.preview_of), bytes(row.digest), row.caption or "", row.actor or "", row.wall or 0, 0, row.state == WHOLE, False,
        False,
    )  # fmt: skip


def _share(tx: Connection, row: Any) -> int:
    if row.state == WHOLE:
        return 100
    got = tx.scalar(select(func.sum(func.length(content_part.c.data))).where(*_of(row.station, bytes(row.name)))) or 0
    share: int = min(99, int(got) * 100 // max(1, row.length))
    return share


def read(tx: Connection, station: str, consult: int, digest: bytes) -> bytes | None:
    """The bytes of a picture or preview of this consult; None when it is not whole, not its own, or nothing to show."""
    mine = select(attachment.c.digest).where(
        attachment.c.station == station, attachment.c.consult == consult, attachment.c.digest == digest
    )
    row = tx.execute(
        select(content.c.data).where(
            content.c.station == station, content.c.digest == digest, content.c.state == WHOLE, content.c.digest.in_(mine)
        )
    ).first()
    data = None if row is None or row.data is None else bytes(row.data)
    return data if data is not None and data.startswith(JPEG) and len(data) <= MOST_BYTES else None


# --- going ------------------------------------------------------------------------------------------------------------------------------


def forget(tx: Connection, station: str, consults: Iterable[int]) -> None:
    """Erase the content of these consults' pictures, whatever of it is here, and know its parts when they still come.

    What another consult shows too stays there.
    """
    gone = set(consults)
    a = attachment.c
    rows = list(tx.execute(select(a.consult, a.digest).where(a.station == station)))
    mine = {bytes(row.digest) for row in rows if row.consult in gone}
    mine -= {bytes(row.digest) for row in rows if row.consult not in gone}
    for digest in mine:
        here = (content.c.station == station, content.c.digest == digest)
        tx.execute(update(content).where(*here).values(state=ERASED, data=None))
        _forget_parts(tx, station, digest[:NAME_BYTES])


def _forget_parts(tx: Connection, station: str, name: bytes) -> None:
    c = content_part.c
    places = [(bytes(row.epoch), row.lane, row.seq) for row in tx.execute(select(c.epoch, c.lane, c.seq).where(*_of(station, name)))]
    _blank(tx, station, places)
    tx.execute(delete(content_part).where(*_of(station, name)))


def _blank(tx: Connection, station: str, places: Iterable[tuple[bytes, int, int]]) -> None:
    """The relay keeps that these events came, not what they said."""
    e = relay_tables.event.c
    for epoch, lane, seq in places:
        place = (e.station == station, e.epoch == epoch, e.lane == int(lane), e.seq == seq)
        tx.execute(update(relay_tables.event).where(*place).values(body=b""))
