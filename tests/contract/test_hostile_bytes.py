"""Parcels, receipts and fragments that are not what they claim: a WireError, soon, in little memory, and never anything else."""

import random
import time
import tracemalloc
from binascii import crc_hqx
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract import answers, codec, parcels, receipts
from appliance.contract.bits import varint
from appliance.contract.errors import WireError
from appliance.contract.events import Event
from appliance.contract.parcels import EVENTS, PAYLOAD_BYTES, Header, read_parcel, split, write_parcel
from appliance.contract.pile import PILE_BYTES, press
from appliance.simulate import day
from tests.contract.strategies import calm

HEADER = Header("tram-0001", bytes(range(1, 9)), 2, 1200, 1, dictionary=1)
SECONDS = 3.0
"""More than any parcel of a message's length may take on a busy machine; the usual is a few milliseconds."""


def _parcel(events: list[Event]) -> bytes:
    return write_parcel(replace(HEADER, count=len(events)), events)


def _samples() -> list[bytes]:
    events = day(4)
    others = [event for event in events if event.kind != 10]
    return [_parcel(events[:30]), _parcel(others[:1]), _parcel(others[:6]), _parcel(events[100:101])]


SAMPLES = _samples()
READERS: list[Callable[[bytes], object]] = [
    read_parcel,
    parcels.peek,
    parcels.read_fragment,
    receipts.read_hello,
    codec.read_event,
    answers.read_answer,
    lambda data: receipts.open_receipt(data, {}),
]
each_sample = pytest.mark.parametrize("sample", range(len(SAMPLES)))


def _right(data: bytes) -> bytes:
    """The bytes with the check they would have if they were meant: what gets behind it."""
    return data + crc_hqx(data, 0).to_bytes(2)


def _reason(data: bytes) -> str:
    """Why `data` was refused, or nothing; another error, or slowness, fails the test."""
    start = time.process_time()
    reason = ""
    try:
        read_parcel(data)
    except WireError as error:
        reason = error.reason
    assert time.process_time() - start < SECONDS
    return reason


@each_sample
def test_a_parcel_cut_anywhere_is_refused(sample: int) -> None:
    """Every front part of a parcel."""
    payload = SAMPLES[sample]
    assert all(_reason(payload[:length]) for length in range(len(payload)))


@each_sample
def test_a_parcel_with_more_behind_is_refused(sample: int) -> None:
    """Trailing bytes are an error, zeros too."""
    chance = random.Random(sample)
    for more in (b"\0", b"\0" * 9, b"\xff", *[chance.randbytes(chance.randint(1, 20)) for _ in range(40)]):
        assert _reason(SAMPLES[sample] + more)


@each_sample
def test_a_parcel_with_changed_bytes_is_refused(sample: int) -> None:
    """One to five bytes changed, swapped, doubled or left out, a thousand times."""
    chance = random.Random(sample)
    attempts = {_changed(chance, SAMPLES[sample]) for _ in range(1000)} - {SAMPLES[sample]}
    assert all(_reason(data) for data in attempts)


@each_sample
def test_behind_the_check_there_is_no_other_error(sample: int) -> None:
    """The same with a check that fits, as somebody would send who means harm: other events at worst, or a WireError."""
    chance = random.Random(sample)
    told = {_reason(_right(_changed(chance, SAMPLES[sample][:-2]))) for _ in range(600)}
    assert told <= {"", "truncated", "oversized", "version", "suite", "dictionary", "shape", "range"}
    assert {"shape", "range"} & told


def _changed(chance: random.Random, payload: bytes) -> bytes:
    data = bytearray(payload)
    for _ in range(chance.randint(1, 5)):
        place = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[place] = chance.randrange(256)
            case 1:
                data[place] ^= 1 << chance.randrange(8)
            case 2:
                del data[place]
            case _:
                data[place:place] = data[place : place + chance.randint(1, 8)]
    return bytes(data)


@calm
@given(st.binary(max_size=1500))
def test_bytes_of_any_kind_are_a_wire_error_for_every_reader(data: bytes) -> None:
    """Nothing that reads from the wire raises anything else, whatever first byte the bytes have."""
    for first in (b"", b"\x11", b"\x12", b"\x13", b"\x14", SAMPLES[0][:20]):
        for reader in READERS:
            try:
                reader(first + data)
            except WireError:
                continue


def _bomb(count: int, body: bytes, *, piled: bool = True) -> bytes:
    """A parcel of a header that is right, with any body."""
    return _right(b"\x11" + bytes([2 | 1 << 3]) + b"\x14" + bytes(range(1, 9)) + varint(1) + varint(count << 1 | piled) + body)


def _pile(frame: bytes, packed: bool) -> bytes:
    return varint(len(frame) << 1 | packed) + frame


BOMBS = {
    "sixteen mebibytes in a few bytes": _bomb(1, _pile(press(bytes(1 << 24), 0), True)),
    "a frame that says it holds a tebibyte": _bomb(1, _pile(b"\xe0" + (1 << 40).to_bytes(8, "little") + b"\1\0\0", True)),
    "a pile of empty lists": _bomb(1, _pile(press(b"\x80" * PILE_BYTES, 0), True)),
    "a list of empty lists": _bomb(1, _pile(press(b"\x9a\x00\x0f\xff\xf0" + b"\x80" * (PILE_BYTES - 16), 0), True)),
    "lists in lists": _bomb(1, _pile(b"\x81" * 60_000, False)),
    "a list of four thousand million": _bomb(1, _pile(b"\x9a\xff\xff\xff\xff", False)),
    "a text of four thousand million": _bomb(1, _pile(b"\x7a\xff\xff\xff\xff", False)),
    "more events than there can be": _bomb(EVENTS + 1, b"", piled=False),
    "as many events as there can be, of nothing": _bomb(EVENTS, b"\x01" * 40, piled=False),
    "more bytes than a parcel may have": _bomb(1, b"\x01" * PAYLOAD_BYTES, piled=False),
    "a mebibyte of noise": _bomb(EVENTS, b"\1" + random.Random(1).randbytes(PAYLOAD_BYTES - 100), piled=False),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_go_off(name: str) -> None:
    """Bytes that claim to be much are refused within a moment and 160 MiB at the very most."""
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(WireError):
            read_parcel(BOMBS[name])
        assert tracemalloc.get_traced_memory()[1] < 160 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 20 * SECONDS


def test_every_reason_is_told() -> None:
    """Receipts and quarantine lists carry the word that says what was wrong."""
    payload, events = SAMPLES[1], day(4)
    consult = next(event for event in events if event.kind == 20)
    told = {
        "truncated": payload[:10],
        "version": b"\x21" + payload[1:],
        "suite": write_parcel(replace(HEADER, suite=1, key_id=4, signer=5), events[:1]),
        "dictionary": _right(write_parcel(HEADER, [consult])[:-2].replace(b"\xb0\x09\x03\x01", b"\xb0\x09\x03\x63", 1)),
        "oversized": payload + bytes(PAYLOAD_BYTES),
        "shape": b"\x12" + payload[1:],
        "checksum": payload[:-1] + bytes([payload[-1] ^ 1]),
        "range": _bomb(EVENTS + 1, b"", piled=False),
    }
    assert {reason: _reason(data) for reason, data in told.items()} == {reason: reason for reason in told}


def test_hostile_fragments_are_refused() -> None:
    """No part beyond the parts, no payload of more parts than bytes."""
    good = split(bytes(3000), 500)[0]
    for data in (
        good[:9],
        good[:1] + bytes(8) + b"\x05\x05x",
        good[:1] + bytes(8) + b"\x00\xff\xff\xff\xff\x7fx",
        good[:11],
        b"\x11" + good[1:],
    ):
        with pytest.raises(WireError):
            parcels.read_fragment(data)
