"""How shapes of the contract lie in a row: canonical CBOR beside its CRC-32, checked whenever it is read back."""

import zlib
from typing import Any, TypeVar

from appliance.contract import spelling
from appliance.contract.cbor import dump_given, load
from appliance.contract.errors import WireError
from appliance.contract.readings import Reading
from appliance.contract.wiring import give, take
from appliance.database import Connection
from appliance.store.errors import Damaged

T = TypeVar("T")


def pack(shape: Any) -> tuple[bytes, int]:
    """The bytes of a wire dataclass and their checksum. A reading is spelt by hand: each is packed once, and it is the same bytes."""
    content = spelling.reading(shape) if type(shape) is Reading else dump_given(give(shape))
    return content, zlib.crc32(content)


def unpack(kind: type[T], content: bytes, crc: int, table: str, row: int) -> T:
    """The wire dataclass in a row; Damaged when the bytes are not those that were written."""
    if zlib.crc32(content) != crc:
        raise Damaged(table, row)
    try:
        shape: T = take(kind, load(bytes(content)))[0]
    except WireError as error:
        raise Damaged(table, row) from error
    return shape


def outbox_row(conn: Connection, lane: int, seq: int) -> tuple[int, int]:
    """(epoch id, outbox row id) of an event appended a moment ago in the caller's transaction.

    The row id is kept beside what it speaks of, so that its receipt is found without an index over everything ever sent.
    """
    row = conn.execute(
        "SELECT epoch, id FROM outbox WHERE epoch = (SELECT max(id) FROM epoch) AND lane = ? AND seq = ? AND state < 2", (lane, seq)
    ).fetchone()
    return int(row[0]), int(row[1])
