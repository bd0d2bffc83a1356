"""The post bag: the line's own messages as one file, for a road without a line.

A bag is what one end had to say to the other at one moment: its hello, its receipts, its frozen parcels, byte for byte as
they would have travelled. Layout (numbers big-endian)::

    "TRAMBAG", version (1 byte)
    length of the header (4), header (canonical CBOR), CRC-32 of the header (4)
    per message: length (4), lane (1), CRC-32 of length, lane and message (4), message
    SHA-256 of everything before (32), Ed25519 signature over `DOMAIN` and that digest (64)

Nothing in it is younger than its signature: a bag that was cut, edited or packed by somebody else is refused whole.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.contract import cbor
from appliance.contract.errors import WireError
from appliance.contract.ids import is_station
from appliance.contract.parcels import PAYLOAD_BYTES
from appliance.contract.topics import DOWN, UP
from appliance.contract.wiring import give, take, wire

MAGIC = b"TRAMBAG"
VERSION = 1
DOMAIN = b"tram-bag-v1"
DIGEST_BYTES, SIGNATURE_BYTES = 32, 64
TAIL_BYTES = DIGEST_BYTES + SIGNATURE_BYTES
MOST_BYTES = 256 << 20
"""The largest bag: a month without a line, with its photos, is some 60 MB."""
MOST_HEADER = 4096
MOST_MESSAGES = 1_000_000
MOST_BEFORE = 32
"""Earlier incarnations a header names."""
START_BYTES = len(MAGIC) + 1 + 4

_LENGTH = struct.Struct(">I")
_RECORD = struct.Struct(">IBI")
RECORD_BYTES = _RECORD.size


class BagRefused(ValueError):  # noqa: N818 - the word of the house for what a person hears
    """The bag is not taken. `reason` is a key of `REASONS`; `detail` is for who looks closer."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(REASONS[reason] + (f" ({detail})" if detail else ""))
        self.reason = reason
        self.detail = detail


REASONS: dict[str, str] = {
    "foreign": "this file is no post bag",
    "newer": "this bag was packed by a newer version: update this program, then import it again",
    "torn": "this bag is not whole: it was cut short, probably because the stick was taken out too early; have it packed again",
    "damaged": "this bag was damaged or changed on its way; have it packed again",
    "station": "this bag is for another station",
    "way": "this bag was packed by this very side: it belongs to the other one",
    "sender": "this bag was not packed by the side that is known here (another bridge, another station, or a replaced key)",
    "large": "this file is too large for a post bag",
    "changed": "the stick gave other bytes the second time: do not use this stick again",
}
"""Why a bag is refused, in English; the kiosk has the Vietnamese (`appliance.store.bags`)."""


@dataclass(frozen=True, slots=True)
class BagHeader:
    """What stands on the label. `way`: UP from the station, DOWN from the bridge. `origin`: the packer's incarnation (the station's
    epoch, the bridge's store id) and `before` its earlier ones. `number`: counts the packer's bags for this station.

    `nonce` is that of the hello inside. `answers` is the nonce, `seen` the number and `seen_origin` the incarnation of the
    last bag that the packer had from the other end (empty: none). `made` is the packer's time in tenths of a second since
    1970. `messages` and `items` count what is inside: messages, and the events in them.
    """

    station: str = wire(1)
    way: str = wire(2)
    origin: bytes = wire(3)
    number: int = wire(4)
    nonce: bytes = wire(5)
    made: int = wire(6)
    messages: int = wire(7)
    items: int = wire(8)
    key_id: int = wire(9, default=0)
    answers: bytes = wire(10, default=b"")
    seen: int = wire(11, default=0)
    seen_origin: bytes = wire(12, default=b"")
    before: tuple[bytes, ...] = wire(13, default=())
    software: str = wire(14, default="")


class Record(NamedTuple):
    """One message and the lane whose topic it would have travelled on."""

    lane: int
    payload: bytes


def bag_name(station: str, way: str, number: int) -> str:
    """The file's name: what FAT and every file manager can hold, and says whose it is.

    >>> bag_name("tram-0001", "up", 7)
    'tram-0001-up-000007.tram'
    """
    return f"{station}-{way}-{number:06d}.tram"


class BagName(NamedTuple):
    """A name taken apart."""

    station: str
    way: str
    number: int


def parse_name(name: str) -> BagName | None:
    """What a file's name says; None for a name that is none of ours. FAT may have written it in capitals.

    >>> parse_name("TRAM-0001-DOWN-000012.TRAM")
    BagName(station='tram-0001', way='down', number=12)
    """
    found = _NAME.fullmatch(name.lower())
    if found is None or not is_station(found[1]):
        return None
    return BagName(found[1], found[2], int(found[3]))


_NAME = re.compile(rf"([a-z0-9-]{{1,16}})-({UP}|{DOWN})-([0-9]{{6,9}})\.tram")


def write_head(header: BagHeader) -> bytes:
    """Magic, version, header and its check."""
    body = cbor.dump(give(header))
    if len(body) > MOST_HEADER:
        raise ValueError(f"a header of {len(body)} bytes")
    return MAGIC + bytes([VERSION]) + _LENGTH.pack(len(body)) + body + _LENGTH.pack(zlib.crc32(body))


def header_bytes(start: bytes) -> int:
    """How many bytes the whole head has, from the first `START_BYTES`; BagRefused when these begin no bag that can be read."""
    if start[: len(MAGIC)] != MAGIC[: len(start)] or not start:
        raise BagRefused("foreign")
    if len(start) < START_BYTES:
        raise BagRefused("torn")
    if start[len(MAGIC)] != VERSION:
        raise BagRefused("newer" if start[len(MAGIC)] > VERSION else "foreign", f"version {start[len(MAGIC)]}")
    (length,) = _LENGTH.unpack_from(start, len(MAGIC) + 1)
    if length > MOST_HEADER:
        raise BagRefused("damaged", f"a header of {length} bytes")
    return START_BYTES + int(length) + 4


def read_head(data: bytes) -> BagHeader:
    """The header in `data`, which is exactly as long as `header_bytes` says or shorter when the file ends there."""
    size = header_bytes(data[:START_BYTES])
    if len(data) < size:
        raise BagRefused("torn")
    body = data[START_BYTES : size - 4]
    if _LENGTH.pack(zlib.crc32(body)) != data[size - 4 : size]:
        raise BagRefused("damaged", "header")
    try:
        header: BagHeader = take(BagHeader, cbor.load(body))[0]
    except WireError as error:
        raise BagRefused("damaged", f"header: {error}") from None
    if not (
        is_station(header.station) and header.way in (UP, DOWN) and 0 < header.number < 10**9 and len(header.before) <= MOST_BEFORE
        and 0 <= header.messages <= MOST_MESSAGES and header.items >= 0
    ):  # fmt: skip
        raise BagRefused("damaged", "header")
    return header


def write_record(record: Record) -> bytes:
    """One message as it stands in the bag."""
    length = len(record.payload)
    check = zlib.crc32(record.payload, zlib.crc32(bytes([record.lane]) + _LENGTH.pack(length)))
    return _RECORD.pack(length, record.lane, check) + record.payload


def record_bytes(start: bytes) -> int:
    """How many bytes the record has that begins with these `RECORD_BYTES`."""
    length, lane, _ = _RECORD.unpack(start)
    if length > PAYLOAD_BYTES or lane > 5:
        raise BagRefused("damaged", f"a message of {length} bytes in lane {lane}")
    return RECORD_BYTES + int(length)


def read_record(data: bytes) -> Record:
    """The message in exactly these bytes."""
    length, lane, check = _RECORD.unpack_from(data)
    payload = data[RECORD_BYTES:]
    if len(payload) != length or zlib.crc32(payload, zlib.crc32(bytes([lane]) + _LENGTH.pack(length))) != check:
        raise BagRefused("damaged", "message")
    return Record(lane, payload)


def write_tail(digest: bytes, key: Ed25519PrivateKey) -> bytes:
    """Digest and signature. `digest` is the SHA-256 of everything before."""
    return digest + key.sign(DOMAIN + digest)


def check_tail(tail: bytes, digest: bytes, header: BagHeader, keys: Mapping[int, Ed25519PublicKey]) -> None:
    """BagRefused unless the file is what was packed, by the holder of one of `keys`."""
    if len(tail) != TAIL_BYTES:
        raise BagRefused("torn")
    if tail[:DIGEST_BYTES] != digest:
        raise BagRefused("damaged", "digest")
    key = keys.get(header.key_id)
    if key is None:
        raise BagRefused("sender", f"key {header.key_id}")
    try:
        key.verify(tail[DIGEST_BYTES:], DOMAIN + digest)
    except InvalidSignature:
        raise BagRefused("sender", f"signature, key {header.key_id}") from None


def check_label(header: BagHeader, station: str, way: str) -> None:
    """BagRefused unless the bag is one for us: of `station` (empty: of any), travelling `way`."""
    if station and header.station != station:
        raise BagRefused("station", header.station)
    if header.way != way:
        raise BagRefused("way")


def whole(header: BagHeader, records: list[Record], key: Ed25519PrivateKey) -> bytes:
    """A whole bag in memory."""
    body = write_head(header) + b"".join(write_record(one) for one in records)
    return body + write_tail(hashlib.sha256(body).digest(), key)
