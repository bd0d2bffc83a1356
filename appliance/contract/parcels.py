"""Parcels: a run of one lane's events as the bytes that travel. Frozen when first built: every resend is the same bytes.

``first byte | header | body | check``, sealed ``first byte | header | sealed part`` (`sealing`; inside stands a number for
dictionary and pile, then the body: the broker has no use for those two). The header is clear, associated data of what is
sealed, and names the stream: on the way up `origin` is the station's epoch; on the way down it is the bridge's store id and
`epoch` is the station's epoch it is addressed to. The body is made by `columns`. A payload too long for one message travels
as fragments.
"""

import hashlib
from binascii import crc_hqx
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from appliance.contract import columns
from appliance.contract.bits import read_varint, varint
from appliance.contract.errors import WireError
from appliance.contract.events import Event
from appliance.contract.ids import EPOCH_BYTES, is_station, station_number, station_of
from appliance.contract.lanes import CHUNK_BYTES, Lane
from appliance.contract.sealing import SEALED, Seal, unseal

PARCEL = 0x11
"""First byte of a parcel: wire version 1, message type 1. 0x12 is a receipt, 0x13 a hello, 0x14 a fragment."""
FRAGMENT = 0x14

PAYLOAD_BYTES = 1 << 20
"""The most a parcel may be, whole or joined: far above any event of ours, far below what hurts a box with 512 MB."""
EVENTS = 1024
"""The most events of one parcel."""
DIGEST_BYTES = 8
CHECK_BYTES = 2
_FIRST = 32
"""How many events `pack` tries first."""
_OPTIONAL = ("suite", "key_id", "signer", "dictionary")


@dataclass(frozen=True, slots=True)
class Header:
    """What can be read without a key. `first_seq` … `first_seq + count - 1` are the events' numbers in (station, origin, lane)."""

    station: str
    origin: bytes
    lane: int
    first_seq: int
    count: int
    epoch: bytes = b""
    suite: int = 0
    key_id: int = 0
    signer: int = 0
    dictionary: int = 0


@dataclass(frozen=True, slots=True)
class Fragment:
    """Part `part` (from 0) of `parts` of a payload whose SHA-256 begins with `digest`."""

    digest: bytes
    part: int
    parts: int
    data: bytes


def write_parcel(header: Header, events: Sequence[Event], seal: Seal | None = None) -> bytes:
    """The parcel of `events`, whose number is `header.count`, sealed with `seal`. ValueError when the header cannot be written."""
    if len(events) != header.count:
        raise ValueError(f"the header says {header.count} events, there are {len(events)}")
    draft = columns.Draft(header.dictionary)
    for event in events:
        draft.add(event)
    body, piled, _ = draft.body(len(events))
    return _whole(header, body, piled, seal)


def peek(payload: bytes) -> Header:
    """The clear header alone; the body and its check are not looked at."""
    return _read_header(payload)[0]


def read_parcel(payload: bytes, keys: Sequence[bytes] = ()) -> tuple[Header, list[Event]]:
    """The header and its events. `keys` are those of the direction that a sealed parcel may have been sealed with.

    WireError, never another error, for whatever else the bytes may be: ``truncated``, ``oversized``, ``version``, ``suite`` (a
    later one, or sealed and no key given), ``sealed`` (no key opens it), ``dictionary`` (not shipped with this version),
    ``checksum``, ``shape``, ``range``.
    """
    if len(payload) > PAYLOAD_BYTES:
        raise WireError("oversized", f"{len(payload)} bytes")
    header, piled, start = _read_header(payload)
    if header.suite == SEALED and keys:
        return _read_sealed(payload, header, piled, start, keys)
    if header.suite:
        raise WireError("suite", str(header.suite))
    end = len(payload) - CHECK_BYTES
    if end < start:
        raise WireError("truncated", "body")
    if _checked(payload[:end]) != payload:
        raise WireError("checksum", "parcel")
    return header, columns.read(payload[start:end], header.count, header.dictionary, piled)


def _read_sealed(payload: bytes, header: Header, piled: bool, start: int, keys: Sequence[bytes]) -> tuple[Header, list[Event]]:
    """As `read_parcel`, for suite 1. The header that comes back names the dictionary that was named inside."""
    if piled or header.dictionary:
        raise WireError("shape", "a sealed parcel whose header speaks of its content")
    for place, key in enumerate(keys, 1):
        try:
            content = unseal(key, payload[:start], header.lane, header.first_seq, payload[start:])
            break
        except WireError as error:
            if place == len(keys) or error.reason != "sealed":
                raise
    said, at = read_varint(content, 0)
    opened = replace(header, dictionary=said >> 1)
    return opened, columns.read(content[at:], header.count, opened.dictionary, bool(said & 1))


def pack(header: Header, events: Sequence[Event], limit: int = CHUNK_BYTES, seal: Seal | None = None) -> tuple[bytes, int]:
    """The parcel of the most events from the front that fit into `limit` bytes, and how many they are.

    `seal` is what it is sealed with. `header.count` does not matter, and a dictionary that helps nothing is
    not named. One event that is longer than `limit` is packed alone (see `split`).
    """
    if not events:
        raise ValueError("nothing to pack")
    draft, fits, best = columns.Draft(header.dictionary), 0, b""
    added, beyond = 0, min(len(events), EVENTS) + 1
    taken = min(beyond - 1, _FIRST)
    while True:
        for event in events[added:taken]:
            draft.add(event)
        added = max(added, taken)
        payload = _payload(header, draft, taken, seal)
        if len(payload) <= limit or taken == 1:
            fits, best = taken, payload
        else:
            beyond = taken
        if beyond - fits <= 1:
            return best, fits
        guess = min(taken * limit // len(payload), 2 * taken)
        taken = min(max(guess, fits + 1), beyond - 1)


def _payload(header: Header, draft: columns.Draft, count: int, seal: Seal | None) -> bytes:
    body, piled, packed = draft.body(count)
    return _whole(replace(header, count=count, dictionary=header.dictionary if packed else 0), body, piled, seal)


def _whole(header: Header, body: bytes, piled: bool, seal: Seal | None) -> bytes:
    if seal is None:
        return _checked(_write_header(header, piled) + body)
    head = _write_header(replace(header, dictionary=0, suite=SEALED, key_id=seal.key_id), False)
    return head + seal.close(head, header.lane, header.first_seq, varint(header.dictionary << 1 | piled) + body)


def _checked(payload: bytes) -> bytes:
    """The payload with its check behind it: CRC-16/XMODEM of all bytes before. Sealing makes it needless, chance does not know that."""
    return payload + crc_hqx(payload, 0).to_bytes(CHECK_BYTES)


def split(payload: bytes, limit: int = CHUNK_BYTES) -> list[bytes]:
    """The payload as messages of at most `limit` bytes; itself alone when it fits."""
    if len(payload) <= limit:
        return [payload]
    room = limit - 1 - DIGEST_BYTES - 2 * len(varint(len(payload)))
    if room < 1:
        raise ValueError(f"no fragment fits into {limit} bytes")
    pieces = [payload[start : start + room] for start in range(0, len(payload), room)]
    name = _digest(payload)
    return [bytes([FRAGMENT]) + name + varint(part) + varint(len(pieces)) + piece for part, piece in enumerate(pieces)]


def read_fragment(message: bytes) -> Fragment:
    """The fragment in a message; WireError when it is none."""
    if message[:1] != bytes([FRAGMENT]):
        raise WireError("shape", "fragment")
    at = 1 + DIGEST_BYTES
    part, at = read_varint(message, at)
    parts, at = read_varint(message, at)
    data = message[at:]
    if not data:
        raise WireError("truncated", "fragment")
    if part >= parts or parts > PAYLOAD_BYTES or len(data) > PAYLOAD_BYTES:
        raise WireError("range", f"part {part} of {parts}")
    return Fragment(message[1 : 1 + DIGEST_BYTES], part, parts, data)


def join(fragments: Iterable[Fragment]) -> bytes:
    """The payload whose fragments these are, in any order, repeats allowed.

    WireError: ``truncated`` when one is missing, ``oversized``, ``shape`` for fragments of different payloads,
    ``checksum`` when the whole is not what its name says.
    """
    pieces: dict[int, bytes] = {}
    names = set()
    for one in fragments:
        names.add((one.digest, one.parts))
        pieces[one.part] = one.data
    if len(names) != 1:
        raise WireError("shape" if names else "truncated", f"fragments of {len(names)} payloads")
    ((name, parts),) = names
    if len(pieces) < parts:
        raise WireError("truncated", f"{len(pieces)} of {parts} fragments")
    payload = b"".join(pieces[part] for part in sorted(pieces))
    if len(payload) > PAYLOAD_BYTES:
        raise WireError("oversized", f"{len(payload)} bytes")
    if _digest(payload) != name:
        raise WireError("checksum", "joined fragments")
    return payload


def _digest(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()[:DIGEST_BYTES]


def _write_header(header: Header, piled: bool) -> bytes:
    given = [getattr(header, name) for name in _OPTIONAL]
    right = (
        is_station(header.station) and len(header.origin) == EPOCH_BYTES and len(header.epoch) in (0, EPOCH_BYTES)
        and 0 <= header.lane <= max(Lane) and 1 <= header.count <= EVENTS and 0 <= header.first_seq < 1 << 63
        and all(0 <= one < 1 << 63 for one in given)
    )  # fmt: skip
    if not right:
        raise ValueError(f"no parcel can have {header}")
    number = station_number(header.station)
    station = number.to_bytes((number.bit_length() + 7) // 8)
    more = sum(bool(one) << bit for bit, one in enumerate([header.epoch, *given]))
    first = header.lane | len(station) << 3 | bool(more) << 7
    parts = [bytes([PARCEL, first, more] if more else [PARCEL, first]), station, header.origin, header.epoch]
    return b"".join(parts + [varint(one) for one in (header.first_seq, header.count << 1 | piled, *[one for one in given if one])])


def _read_header(payload: bytes) -> tuple[Header, bool, int]:
    """The header, whether the body has a pile, and where the body begins.

    Second byte: lane, bytes of the station << 3, whether a byte of flags follows << 7; the flags say which of epoch,
    suite, key id, signer and dictionary are not their zero and so follow in their places. The count is doubled: its lowest
    bit says whether there is a pile.
    """
    if len(payload) < 3:
        raise WireError("truncated", "header")
    if payload[0] >> 4 != PARCEL >> 4:
        raise WireError("version", str(payload[0] >> 4))
    if payload[0] != PARCEL:
        raise WireError("shape", f"message type {payload[0] & 15} is no parcel")
    lane, wide, more, at = payload[1] & 7, payload[1] >> 3 & 15, 0, 2
    if payload[1] >> 7:
        more, at = payload[2], 3
    station, at = payload[at : at + wide], at + wide
    origin, at = payload[at : at + EPOCH_BYTES], at + EPOCH_BYTES
    epoch = b""
    if more & 1:
        epoch, at = payload[at : at + EPOCH_BYTES], at + EPOCH_BYTES
    if at > len(payload):
        raise WireError("truncated", "header")
    name = station_of(int.from_bytes(station))
    if not is_station(name) or not station[0] or more >> 1 + len(_OPTIONAL) or payload[1] >> 7 != bool(more):
        raise WireError("shape", "station or flags")
    first_seq, at = read_varint(payload, at)
    doubled, at = read_varint(payload, at)
    count, piled = doubled >> 1, bool(doubled & 1)
    rest = dict.fromkeys(_OPTIONAL, 0)
    for bit, each in enumerate(_OPTIONAL, 1):
        if more >> bit & 1:
            rest[each], at = read_varint(payload, at)
    if lane > max(Lane) or not 1 <= count <= EVENTS:
        raise WireError("range", f"lane {lane}, {count} events")
    return Header(name, origin, lane, first_seq, count, epoch, **rest), piled, at
