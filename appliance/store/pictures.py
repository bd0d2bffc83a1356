"""Pictures of a consult: taken before or after it is sent, each once, a small preview ahead of the full one.

A picture belongs to a consult's number from the first step of writing it. It is offered to the bridge in the transaction
that sends the request, or at once when the request has been sent: the previews in lane 1 behind what is there already, the
full ones in lane 4, one event for each part, so that after a cut only the missing parts are sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from appliance import __version__
from appliance.contract.bitmaps import read_bits
from appliance.contract.codec import read_event
from appliance.contract.events import AttachmentChunk, AttachmentHeld, AttachmentOffered, Event
from appliance.contract.lanes import Lane
from appliance.contract.readings import Stamp
from appliance.contract.receipts import digest as parcel_digest
from appliance.database import Connection, Row, transaction
from appliance.store import content, tickets
from appliance.store.content import NAME_BYTES
from appliance.store.errors import Refused
from appliance.store.outbox import append
from appliance.store.patients import clean
from appliance.store.sealing import opening_keys, seal_again

MEDIA_TYPE = "image/jpeg"
MOST_PICTURES = 6
"""Of one consult: a thin link brings six previews in half a minute, and a doctor asks for more when they want more."""
MOST_CAPTION = 120
MOST_AGAIN = 3
"""How often one content is sent anew because the bridge could not put it together."""
FORGOTTEN = 12 * 36_000
"""Tenths of a second after which pictures of a request that was never sent are removed."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a consult. `received` of its `parts` parts are at the bridge; `preview_received` says that the preview is.

    `offered` is when it was said to the bridge (tenths since 1970), None while the request has not been sent. `failed` says why
    the bridge could not put it together after it had asked for it anew `MOST_AGAIN` times (`AttachmentHeld.reason`).
    """

    consult: int
    patient: int
    digest: bytes
    preview: bytes
    caption: str
    source: str
    staff: str
    at: int
    size: int
    parts: int
    offered: int | None
    received: int
    preview_received: bool
    failed: str = ""

    @property
    def there(self) -> bool:
        """True when the bridge has vouched for every part."""
        return self.offered is not None and self.received == self.parts and not self.failed


def attach(
    conn: Connection, consult: int, *, patient: int, full: bytes, preview: bytes, caption: str = "", source: str, staff: str, now: Stamp,
    ticket: int | None = None,
) -> bytes:  # fmt: skip
    """Keep a picture under a consult's number; its digest. Offered at once when the request has been sent. Own transaction.

    `full` and `preview` are JPEG bytes without metadata (`kiosk.imaging`), `source` one of ``file``, ``browser``, ``camera``,
    ``phone``. The same picture again changes nothing. Refused for one too many, for another patient's consult and for a
    withdrawn one, and when `ticket` (the row of a telephone's ticket, used up by this) is no longer good.
    """
    with transaction(conn):
        if ticket is not None and not tickets.use(conn, ticket, now):
            raise Refused("Mã này đã dùng hoặc hết hạn. Tạo mã mới ở máy trạm.", "this code was used or has ended: make a new one")
        sent = _may(conn, consult, patient)
        _sweep(conn, now)
        row, digest = content.keep(conn, full, MEDIA_TYPE, now.wall)
        if conn.execute("SELECT 1 FROM picture WHERE consult = ? AND content = ?", (consult, row)).fetchone():
            return digest
        if conn.execute("SELECT count(*) FROM picture WHERE consult = ?", (consult,)).fetchone()[0] >= MOST_PICTURES:
            raise Refused(f"Mỗi yêu cầu nhiều nhất {MOST_PICTURES} ảnh.", f"at most {MOST_PICTURES} pictures for one request")
        small, _ = content.keep(conn, preview, MEDIA_TYPE, now.wall)
        conn.execute(
            "INSERT INTO picture (consult, patient, content, preview, caption, source, staff, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (consult, patient, row, small, _caption(caption), source, staff, now.wall),
        )
        if sent:
            offer(conn, consult, staff=staff, now=now)
    return digest


def _may(conn: Connection, consult: int, patient: int) -> bool:
    """Whether the request has been sent; Refused when no picture may come to it."""
    known = conn.execute("SELECT patient, withdrawn FROM consult WHERE id = ?", (consult,)).fetchone()
    if conn.execute("SELECT 1 FROM tombstone WHERE patient = ?", (patient,)).fetchone() or (known is not None and known[0] != patient):
        raise Refused("Yêu cầu này không phải của người bệnh này.", f"consult {consult} is not of patient {patient}")
    if known is not None and known[1] is not None:
        raise Refused("Yêu cầu đã được rút lại nên không thêm ảnh được.", "the request was withdrawn: no pictures can be added")
    return known is not None


def _caption(text: str) -> str:
    said = clean(text)
    if len(said) > MOST_CAPTION:
        raise Refused(f"Ghi chú ảnh dài quá {MOST_CAPTION} chữ. Hãy viết ngắn lại.", f"a caption has at most {MOST_CAPTION} letters")
    return said


def staged(conn: Connection, consult: int) -> int:
    """How many pictures a consult has."""
    return int(conn.execute("SELECT count(*) FROM picture WHERE consult = ?", (consult,)).fetchone()[0])


def move(conn: Connection, old: int, new: int) -> None:
    """The request that is being written got another number. Own transaction."""
    with transaction(conn):
        conn.execute("UPDATE picture SET consult = ? WHERE consult = ? AND offered IS NULL", (new, old))
        conn.execute("UPDATE ticket SET consult = ? WHERE consult = ? AND used IS NULL", (new, old))


def remove(conn: Connection, consult: int, digest: bytes) -> bool:
    """Take a picture away that has not been offered; False when there is none. Own transaction."""
    with transaction(conn):
        row = conn.execute(
            "SELECT picture.id FROM picture JOIN content ON content.id = content WHERE consult = ? AND digest = ? AND offered IS NULL",
            (consult, digest),
        ).fetchone()
        if row is None:
            return False
        conn.execute("DELETE FROM picture WHERE id = ?", (row[0],))
        _drop_unused(conn)
        return True


def describe(conn: Connection, consult: int, digest: bytes, caption: str) -> None:
    """Write what a picture shows, while it has not been offered. Own transaction."""
    with transaction(conn):
        conn.execute(
            "UPDATE picture SET caption = ? WHERE consult = ? AND offered IS NULL AND content = (SELECT id FROM content WHERE digest = ?)",
            (_caption(caption), consult, digest),
        )


# --- on the way up ----------------------------------------------------------------------------------------------------------------------


def offer(conn: Connection, consult: int, *, staff: str, now: Stamp) -> int:
    """Queue every picture of a sent consult that has not been offered, in the caller's transaction; how many they are."""
    rows = conn.execute("SELECT * FROM picture WHERE consult = ? AND offered IS NULL ORDER BY id", (consult,)).fetchall()
    for row in rows:
        _offer(conn, row, Event(now, staff, __version__, AttachmentOffered(consult, b"", MEDIA_TYPE, 0)))
        conn.execute("UPDATE picture SET offered = ? WHERE id = ?", (now.wall, row["id"]))
    return len(rows)


def _offer(conn: Connection, row: Row, like: Event) -> None:
    full, small = _content(conn, row["content"]), _content(conn, row["preview"])
    offers = [(full, None)] if full["id"] == small["id"] else [(small, full["digest"]), (full, None)]
    for one, of in offers:
        body = AttachmentOffered(row["consult"], one["digest"], one["media_type"], one["size"], of, row["caption"])
        append(conn, Event(like.stamp, like.actor, like.software, body))
    _queue(conn, small, Lane.CONSULT, like.stamp)
    if full["id"] != small["id"]:
        _queue(conn, full, Lane.ATTACHMENTS, like.stamp)


def _content(conn: Connection, row: int) -> Row:
    found: Row = conn.execute("SELECT * FROM content WHERE id = ?", (row,)).fetchone()
    return found


def _queue(conn: Connection, one: Row, lane: Lane, now: Stamp) -> None:
    """An outbox row for each part, unless the content is on its way already (another consult has the same picture)."""
    if one["first"] is not None:
        return
    _run(conn, one, range(content.parts_of(one["size"])), lane, now)


def _run(conn: Connection, one: Row, which: Sequence[int], lane: Lane, now: Stamp) -> None:
    """Queue some parts, one row after the other; the latest run is what the progress is reckoned by."""
    parts = content.parts_of(one["size"])
    for part in which:
        append(conn, Event(now, "", "", AttachmentChunk(bytes(one["digest"])[:NAME_BYTES], part, parts, b"")), lane)
    last = int(conn.execute("SELECT max(id) FROM outbox").fetchone()[0])
    first = last - len(which) + 1
    conn.execute("UPDATE content SET first = ?, last = ? WHERE id = ?", (first, last, one["id"]))
    conn.execute("INSERT INTO content_run (content, first, last) VALUES (?, ?, ?)", (one["id"], first, last))


def hear_held(conn: Connection, said: AttachmentHeld, now: Stamp) -> None:
    """The bridge says what it holds of a content and may ask for the rest anew; in the caller's transaction. Repeats are harmless.

    What still waits to be sent needs no second row. A content that is not here (any more) cannot be sent, and a request beyond
    `MOST_AGAIN` is not answered: nobody can make a station send one picture for ever.
    """
    one = conn.execute("SELECT * FROM content WHERE digest = ?", (said.digest,)).fetchone()
    if one is None or one["first"] is None or said.parts != content.parts_of(one["size"]):
        return
    conn.execute("UPDATE content SET held = ? WHERE id = ?", (said.held, one["id"]))
    if said.reason and not said.again:
        conn.execute("UPDATE content SET failed = ? WHERE id = ?", (said.reason, one["id"]))
    if not one["asked"] < said.again <= MOST_AGAIN:
        return
    coming = _coming(conn, one["id"])
    missing = [part for part in range(said.parts) if part not in read_bits(said.held, said.parts) | coming]
    conn.execute("UPDATE content SET asked = ? WHERE id = ?", (said.again, one["id"]))
    if missing and conn.execute("SELECT 1 FROM content_part WHERE id = ?", (one["id"] * content.MOST_PARTS,)).fetchone():
        lane = conn.execute("SELECT lane FROM outbox WHERE id = ?", (one["first"],)).fetchone()
        _run(conn, one, missing, Lane(lane[0]), now)


def _coming(conn: Connection, row: int) -> set[int]:
    """The parts of a content that are in no parcel yet: whatever has left may be what the bridge complains of."""
    found = conn.execute(
        "SELECT body FROM content_run AS run JOIN outbox ON outbox.id BETWEEN run.first AND run.last"
        " JOIN lane ON lane.epoch = outbox.epoch AND lane.lane = outbox.lane"
        " WHERE run.content = ? AND outbox.state < 2 AND outbox.seq > lane.frozen",
        (row,),
    ).fetchall()
    events = [read_event(bytes(one[0])).body for one in found]
    return {one.part for one in events if isinstance(one, AttachmentChunk)}


# --- reading ----------------------------------------------------------------------------------------------------------------------------


def listing(conn: Connection, consult: int) -> list[Picture]:
    """The pictures of a consult, in the order they were taken, with how far each has come."""
    rows = conn.execute(
        "SELECT picture.*, big.digest AS digest, big.size AS size, big.first AS first, big.failed AS failed,"
        " small.digest AS preview_digest, small.first AS small_first, small.size AS small_size FROM picture"
        " JOIN content AS big ON big.id = picture.content JOIN content AS small ON small.id = picture.preview"
        " WHERE picture.consult = ? ORDER BY picture.id",
        (consult,),
    ).fetchall()
    return [_picture(conn, row) for row in rows]


def _picture(conn: Connection, row: Row) -> Picture:
    parts, small_parts = content.parts_of(row["size"]), content.parts_of(row["small_size"])
    small = row["small_first"] is not None and _arrived(conn, row["preview"], small_parts) == small_parts
    came = 0 if row["first"] is None else _arrived(conn, row["content"], parts)
    return Picture(
        row["consult"], row["patient"], bytes(row["digest"]), bytes(row["preview_digest"]), row["caption"], row["source"], row["staff"],
        row["at"], row["size"], parts, row["offered"], came, small, row["failed"],
    )  # fmt: skip


def _arrived(conn: Connection, row: int, parts: int) -> int:
    """How many parts of a content the bridge has vouched for. A part that was sent more than once has come when its last row has."""
    runs = conn.execute("SELECT count(*) FROM content_run WHERE content = ?", (row,)).fetchone()[0]
    state = "= 2" if runs == 1 else "< 2"
    found = conn.execute(
        "SELECT count(*) FROM content_run AS run JOIN outbox ON outbox.id BETWEEN run.first AND run.last"  # noqa: S608 - one of two words
        f" WHERE run.content = ? AND outbox.state {state}",
        (row,),
    ).fetchone()
    return int(found[0]) if runs == 1 else parts - int(found[0])


def read(conn: Connection, consult: int, digest: bytes) -> bytes | None:
    """The bytes of a picture of this consult or of its preview; None when it has no such."""
    row = conn.execute(
        "SELECT 1 FROM picture JOIN content ON content.id IN (picture.content, picture.preview) WHERE consult = ? AND digest = ?",
        (consult, digest),
    ).fetchone()
    data = None if row is None else content.read(conn, digest)
    if data is None and row is not None:
        full = conn.execute(
            "SELECT big.digest FROM picture JOIN content AS big ON big.id = picture.content"
            " JOIN content AS small ON small.id = picture.preview"
            " WHERE consult = ? AND small.digest = ? AND small.id <> big.id", (consult, digest),
        ).fetchone()  # fmt: skip
        data = None if full is None else content.read(conn, bytes(full[0]))  # its preview has left the card
    return data


# --- going ------------------------------------------------------------------------------------------------------------------------------


def erase(conn: Connection, patient: int) -> None:
    """Remove a patient's pictures, also from parcels that are kept, in the caller's transaction (decision 24)."""
    contents = conn.execute("SELECT content, preview FROM picture WHERE patient = ?", (patient,)).fetchall()
    conn.execute("DELETE FROM picture WHERE patient = ?", (patient,))
    conn.execute("DELETE FROM ticket WHERE patient = ?", (patient,))
    for row in dict.fromkeys(one for pair in contents for one in tuple(pair)):
        if not conn.execute("SELECT 1 FROM picture WHERE content = ? OR preview = ?", (row, row)).fetchone():
            _empty_parcels(conn, _content(conn, row))
            content.drop(conn, row)


def _empty_parcels(conn: Connection, one: Row) -> None:
    """Parcels with parts of a content keep their numbers and lose its bytes."""
    from appliance.contract.parcels import peek, read_parcel, write_parcel

    if one["first"] is None:
        return
    rows = conn.execute(
        "SELECT DISTINCT parcel.number, parcel.payload FROM content_run AS run"
        " JOIN outbox ON outbox.id BETWEEN run.first AND run.last JOIN parcel ON parcel.epoch = outbox.epoch AND parcel.lane = outbox.lane"
        " AND outbox.seq BETWEEN parcel.first_seq AND parcel.first_seq + parcel.count - 1"
        " WHERE run.content = ?",
        (one["id"],),
    ).fetchall()
    for number, payload in rows:
        header, events = read_parcel(bytes(payload), opening_keys(conn, peek(bytes(payload))))
        bare = write_parcel(header, [_bare(event, bytes(one["digest"])[:NAME_BYTES]) for event in events], seal_again(conn, header))
        conn.execute("UPDATE parcel SET payload = ?, digest = ? WHERE number = ?", (bare, parcel_digest(bare), number))


def _bare(event: Event, name: bytes) -> Event:
    chunk = event.body
    if not isinstance(chunk, AttachmentChunk) or chunk.name != name:
        return event
    return Event(event.stamp, event.actor, event.software, AttachmentChunk(chunk.name, chunk.part, chunk.parts, b""))


def _sweep(conn: Connection, now: Stamp) -> None:
    """Pictures of requests that nobody sent do not stay on the card."""
    conn.execute(
        "DELETE FROM picture WHERE offered IS NULL AND at < ? AND NOT EXISTS (SELECT 1 FROM consult WHERE consult.id = picture.consult)",
        (now.wall - FORGOTTEN,),
    )
    _drop_unused(conn)


def _drop_unused(conn: Connection) -> None:
    rows = conn.execute(
        "SELECT id FROM content WHERE first IS NULL AND NOT EXISTS (SELECT 1 FROM picture WHERE picture.content = content.id)"
        " AND NOT EXISTS (SELECT 1 FROM picture WHERE picture.preview = content.id)"
    ).fetchall()
    for row in rows:
        content.drop(conn, row[0])
