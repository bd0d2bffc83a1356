"""The post bag's format: what was packed is read, and nothing else is."""

import os
import random
import struct
import zlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.contract import cbor
from appliance.contract.bag import (
    MAGIC,
    REASONS,
    START_BYTES,
    TAIL_BYTES,
    BagHeader,
    BagRefused,
    Record,
    bag_name,
    check_label,
    parse_name,
    read_head,
    whole,
    write_head,
)
from appliance.contract.topics import DOWN, UP
from appliance.contract.wiring import give
from appliance.stick import SENTENCES, named
from appliance.store.bags import BAG_VI, STICK_VI

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
KEYS = {0: KEY.public_key()}
RECORDS = [Record(0, b"\x13hello"), Record(0, b"\x12receipt"), Record(2, random.Random(3).randbytes(900)), Record(4, b"")]


def header(**more: object) -> BagHeader:
    """A label of the station's seventh bag."""
    usual = {
        "station": "tram-0001",
        "way": UP,
        "origin": b"epoch--1",
        "number": 7,
        "nonce": b"n" * 8,
        "made": 1,
        "messages": len(RECORDS),
        "items": 3,
    }
    return BagHeader(**{**usual, **more})  # type: ignore[arg-type]


def reason(folder: Path, data: bytes, station: str = "tram-0001", way: str = UP) -> str:
    """Why a file with these bytes is refused; empty when it is taken."""
    file = folder / "bag"
    file.write_bytes(data)
    try:
        with named(file, KEYS, way, station):
            return ""
    except BagRefused as error:
        return error.reason


def test_what_was_packed_is_read(tmp_path: Path) -> None:
    """Label and messages come back as they were, in order."""
    file = tmp_path / "bag"
    file.write_bytes(whole(header(before=(b"epoch--0",), answers=b"a" * 8, seen=3, seen_origin=b"store--1"), RECORDS, KEY))
    with named(file, KEYS, UP, "tram-0001") as bag:
        assert bag.header == header(before=(b"epoch--0",), answers=b"a" * 8, seen=3, seen_origin=b"store--1")
        assert [one for sheaf in bag.read() for one in sheaf] == RECORDS


def test_every_cut_is_refused(tmp_path: Path) -> None:
    """A bag that ends anywhere before its end is torn, whichever byte was the last."""
    data = whole(header(), RECORDS, KEY)
    cuts = [*range(60), *range(60, len(data), 37), len(data) - 1]
    assert {reason(tmp_path, data[:cut]) for cut in cuts} == {"foreign", "torn"}
    assert {reason(tmp_path, data[:cut]) for cut in cuts if cut} == {"torn"}


def test_every_turned_bit_is_refused(tmp_path: Path) -> None:
    """One bit of one byte, anywhere: never taken, never an error of the program."""
    data = whole(header(), RECORDS, KEY)
    dice = random.Random(5)
    for at in [*range(120), *dice.sample(range(120, len(data)), 120), *range(len(data) - TAIL_BYTES, len(data))]:
        turned = bytearray(data)
        turned[at] ^= 1 << dice.randrange(8)
        assert reason(tmp_path, bytes(turned)) in REASONS, at


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "foreign"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "foreign"),
        (MAGIC + b"\x02" + bytes(500), "newer"),
        (MAGIC + b"\x01\xff\xff\xff\xff" + bytes(500), "damaged"),
        (whole(header(), RECORDS, OTHER), "sender"),
        (whole(header(key_id=9), RECORDS, KEY), "sender"),
        (whole(header(station="tram-0002"), RECORDS, KEY), "station"),
        (whole(header(way=DOWN), RECORDS, KEY), "way"),
        (whole(header(), RECORDS, KEY) + b"more", "damaged"),
        (whole(header(messages=3), RECORDS, KEY), "damaged"),
        (whole(header(messages=999), RECORDS, KEY), "damaged"),
        (whole(header(way="sideways"), RECORDS, KEY), "damaged"),
        (whole(header(number=0), RECORDS, KEY), "damaged"),
        (whole(header(station="../../etc"), RECORDS, KEY), "damaged"),
        (write_head(header())[: START_BYTES + 3], "torn"),
    ],
)
def test_what_is_no_bag_for_us_is_refused_with_its_reason(tmp_path: Path, data: bytes, why: str) -> None:
    """Foreign files, newer versions, other stations and bridges, our own bags, lies about what is inside."""
    assert reason(tmp_path, data) == why


def test_noise_is_never_an_error_of_the_program(tmp_path: Path) -> None:
    """Random bytes behind a good beginning are refused like everything else."""
    start, dice = write_head(header()), random.Random(11)
    for size in range(0, 400, 7):
        assert reason(tmp_path, start + dice.randbytes(size)) in REASONS


def test_no_link_and_no_pipe_is_read(tmp_path: Path) -> None:
    """A link to something else is not followed, and a pipe keeps nobody waiting."""
    target = tmp_path / "target"
    target.write_bytes(whole(header(), RECORDS, KEY))
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(OSError, match="link"):
        named(tmp_path / "link", KEYS, UP)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BagRefused, match="no post bag"):
        named(tmp_path / "pipe", KEYS, UP)


def test_names_are_ours_or_nobody_s() -> None:
    """What a file manager or FAT may do to a name is understood; a path is none."""
    assert parse_name(bag_name("tram-0001", UP, 12)) == ("tram-0001", UP, 12)
    assert parse_name("TRAM-0001-DOWN-000001.TRAM") == ("tram-0001", DOWN, 1)
    for name in ("../tram-0001-up-000001.tram", "tram-0001-up-1.tram", "tram-0001-up-000001.tram.part", "-a-up-000001.tram", "a/b"):
        assert parse_name(name) is None


def test_every_reason_has_its_sentence_in_both_languages() -> None:
    """Whoever stands before the box hears why."""
    assert set(BAG_VI) == set(REASONS)
    assert set(STICK_VI) == set(SENTENCES)


def test_a_label_of_tomorrow_keeps_its_known_fields() -> None:
    """A field that a later version added does not keep this one from reading the label."""
    packed = cbor.dump({**give(header()), 99: "later"})
    data = MAGIC + b"\x01" + struct.pack(">I", len(packed)) + packed + struct.pack(">I", zlib.crc32(packed))
    assert read_head(data) == header()
    check_label(read_head(data), "", UP)
