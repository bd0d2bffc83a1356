"""The bytes of pictures, by their digest: each content once, cut into the parts that travel.

A part is a row of its own, so that sending one reads one. The outbox row of a part holds no bytes of the picture but its
place in here (`fill` puts them in when the parcel is made): a picture is written to the card once here and once in its parcels.
"""

import hashlib
from dataclasses import replace

from appliance.contract.bitmaps import read_bits
from appliance.contract.codec import read_event, write_event
from appliance.contract.events import AttachmentChunk
from appliance.database import Connection
from appliance.store.errors import Damaged

PART_BYTES = 1120
"""Of one part: with chunk, parcel and the largest header it fits into one message of `lanes.CHUNK_BYTES` (measured: 68-80 bytes)."""
NAME_BYTES = 8
"""How much of the digest a chunk carries (as `parcels.Fragment`); the offer has all of it, and the whole is checked against that."""
MOST_PARTS = 1024
"""Of one content: a mebibyte, more than the largest picture that is kept."""


def keep(conn: Connection, data: bytes, media_type: str, at: int) -> tuple[int, bytes]:
    """Keep a content in the caller's transaction: its row and its SHA-256. The same bytes are kept once.

    ValueError when it is empty or longer than `MOST_PARTS` parts.
    """
    if not 0 < len(data) <= MOST_PARTS * PART_BYTES:
        raise ValueError(f"a content of {len(data)} bytes")
    digest = hashlib.sha256(data).digest()
    known = conn.execute("SELECT id FROM content WHERE digest = ?", (digest,)).fetchone()
    if known is not None:
        return int(known[0]), digest
    done = conn.execute("INSERT INTO content (digest, media_type, size, at) VALUES (?, ?, ?, ?)", (digest, media_type, len(data), at))
    row = int(done.lastrowid)
    conn.executemany(
        "INSERT INTO content_part (id, data) VALUES (?, ?)",
        [(row * MOST_PARTS + part, data[part * PART_BYTES :][:PART_BYTES]) for part in range(parts_of(len(data)))],
    )
    return row, digest


def parts_of(size: int) -> int:
    """How many parts a content of `size` bytes has."""
    return -(-size // PART_BYTES)


def read(conn: Connection, digest: bytes) -> bytes | None:
    """The whole content, None when it is not (or no longer) here; Damaged when its bytes are not those that were kept."""
    row = conn.execute("SELECT id FROM content WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        return None
    parts = conn.execute("SELECT data FROM content_part WHERE id BETWEEN ? AND ? ORDER BY id", _range(row[0])).fetchall()
    if not parts:
        return None  # it has left the card (`retention`)
    data = b"".join(bytes(one[0]) for one in parts)
    if hashlib.sha256(data).digest() != digest:
        raise Damaged("content", int(row[0]))
    return data


def drop(conn: Connection, row: int) -> None:
    """Remove a content and its parts in the caller's transaction."""
    conn.execute("DELETE FROM content_part WHERE id BETWEEN ? AND ?", _range(row))
    conn.execute("DELETE FROM content_run WHERE content = ?", (row,))
    conn.execute("DELETE FROM content WHERE id = ?", (row,))


def fill(conn: Connection, body: bytes) -> bytes:
    """An outbox row of a chunk with its bytes in their place; without bytes when the content was erased, or when the bridge has
    said that it holds this part: then nothing is missing at the other end but what must not be there.
    """
    event = read_event(body)
    chunk = event.body
    if not isinstance(chunk, AttachmentChunk) or chunk.data:
        return body
    row = conn.execute(
        "SELECT part.data, content.held FROM content JOIN content_part AS part ON part.id = content.id * ? + ?"
        " WHERE content.digest BETWEEN ? AND ?",
        (MOST_PARTS, chunk.part, chunk.name, chunk.name + _REST),
    ).fetchone()
    if row is None or chunk.part in read_bits(bytes(row[1]), chunk.parts):
        return body
    return write_event(replace(event, body=replace(chunk, data=bytes(row[0]))))


_REST = b"\xff" * (32 - NAME_BYTES)
"""The highest digest with a name is the name and these."""


def _range(row: int) -> tuple[int, int]:
    return row * MOST_PARTS, row * MOST_PARTS + MOST_PARTS - 1
