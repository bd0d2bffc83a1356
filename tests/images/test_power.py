"""The card as it may be left when the power goes: the rule that script/rig power goes by, on logs written here by hand."""

import struct
from pathlib import Path
from random import Random

from tests.images.rig_power import DISCARD, FLUSH, FUA, MODES, SECTOR, Told, left, read_log


def logged(*requests: tuple[int, int, bytes]) -> bytes:
    """A log of (sector, flags, data) as QEMU writes it, ended by an empty header."""
    found = bytes(SECTOR)
    for sector, flags, data in requests:
        found += struct.pack("<4Q", sector, len(data) // SECTOR, flags, len(data)).ljust(SECTOR, b"\0") + data
    return found + bytes(SECTOR)


def sector(byte: int) -> bytes:
    """A sector full of one byte."""
    return bytes([byte]) * SECTOR


def told(tmp_path: Path, *requests: tuple[int, int, bytes]) -> Told:
    """A card of eight empty sectors that was told these things."""
    before = tmp_path / "before.raw"
    before.write_bytes(bytes(8 * SECTOR))
    return Told(before, list(read_log(logged(*requests))), [])


def first_bytes(image: bytearray) -> list[int]:
    """One byte of each sector."""
    return list(image[::SECTOR])


def test_what_was_flushed_stays_and_the_rest_is_lost(tmp_path: Path) -> None:
    """Before the last FLUSH everything is kept; after it only what was written with FUA."""
    seen = told(tmp_path, (0, 0, sector(1)), (0, FLUSH, b""), (1, 0, sector(2)), (2, FUA, sector(3)))
    assert first_bytes(left(seen, 1 << 20, MODES[0], Random(1)))[:3] == [1, 0, 3]


def test_a_request_that_came_after_the_cut_is_not_there(tmp_path: Path) -> None:
    """The moment of the cut is a length of the log: a FLUSH beyond it keeps nothing."""
    seen = told(tmp_path, (0, 0, sector(1)), (0, FLUSH, b""))
    assert first_bytes(left(seen, seen.entries[0].end, MODES[0], Random(1)))[0] == 0


def test_half_of_what_was_not_flushed_may_have_arrived(tmp_path: Path) -> None:
    """Over many cuts a write without a FLUSH is there in some and missing in others; a flushed one never is missing."""
    seen = told(tmp_path, (0, 0, sector(1)), (0, FLUSH, b""), (1, 0, sector(2)))
    dice = Random(1)
    assert {tuple(first_bytes(left(seen, 1 << 20, MODES[1], dice))[:2]) for _ in range(40)} == {(1, 0), (1, 2)}


def test_a_discard_has_no_bytes_in_the_log(tmp_path: Path) -> None:
    """Its length is that of the room it gives back; the next request begins right after its header."""
    log = bytes(SECTOR) + struct.pack("<4Q", 4, 1000, DISCARD, 0).ljust(SECTOR, b"\0") + logged((3, FUA, sector(7)))[SECTOR:]
    assert [(one.place, len(one.data)) for one in read_log(log)] == [(4 * SECTOR, 0), (3 * SECTOR, SECTOR)]
