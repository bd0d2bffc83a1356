"""Cutting bytes into frames."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.devices.framing import LengthFramer, LowByteFramer

LENGTHS = {0x01: 9, 0x0C: 2, 0x0D: 3}


def low() -> LowByteFramer:
    """A framer as Contec's."""
    return LowByteFramer(LENGTHS)


def length() -> LengthFramer:
    """A framer as SunTech's."""
    return LengthFramer(0x3E, (4, 5, 24), lambda frame: sum(frame) % 256 == 0)


STREAMS = st.lists(
    st.one_of(
        st.binary(max_size=12),
        st.just(bytes.fromhex("0C80")),
        st.just(bytes.fromhex("01E0849392BCE3FFFF")),
        st.just(bytes.fromhex("3E044B73")),
        st.just(bytes.fromhex("3E050201BA")),
    ),
    max_size=12,
).map(b"".join)


@given(data=STREAMS, cut=st.lists(st.integers(0, 200), max_size=6))
@pytest.mark.parametrize("make", [low, length], ids=["low-byte", "length"])
def test_frames_do_not_depend_on_how_the_bytes_arrive(make, data: bytes, cut: list[int]) -> None:
    """The same frames come out of the same bytes whole and in pieces, and no byte is lost or changed."""
    whole, pieces = make(), make()
    at_once = whole.feed(data)
    places = [0, *sorted(min(each, len(data)) for each in cut), len(data)]
    in_pieces = [piece for a, b in pairwise(places) for piece in pieces.feed(data[a:b])]
    assert [piece for piece, noise in at_once if noise is None] == [piece for piece, noise in in_pieces if noise is None]
    assert b"".join(piece for piece, _ in at_once) == b"".join(piece for piece, _ in in_pieces) == data[: len(data) - whole.pending]
    assert pieces.pending == whole.pending


def test_a_low_byte_inside_a_frame_cuts_it_and_begins_the_next() -> None:
    """A frame that a byte < 80 interrupts is noise; the frame that begins there is not."""
    assert low().feed(bytes.fromhex("01E0849301E0849392BCE3FFFF")) == [
        (bytes.fromhex("01E08493"), "cut"),
        (bytes.fromhex("01E0849392BCE3FFFF"), None),
    ]


def test_a_frame_begins_only_with_a_known_type() -> None:
    """Bytes of a type that does not exist are noise up to the next beginning."""
    assert low().feed(bytes.fromhex("7781820C80")) == [(bytes.fromhex("778182"), "garbage"), (bytes.fromhex("0C80"), None)]


def test_scanning_resumes_at_the_byte_after_a_wrong_head() -> None:
    """A true frame that begins inside a false one is found."""
    assert length().feed(bytes.fromhex("3E183E044B73") + bytes(18)) == [
        (b"\x3e", "checksum"),
        (b"\x18", "garbage"),
        (bytes.fromhex("3E044B73"), None),
        (bytes(18), "garbage"),
    ]


def test_a_frame_that_never_ends_gives_its_bytes_back() -> None:
    """After a silence, the false beginning is noise and the frame behind it is found."""
    framer = length()
    assert framer.feed(bytes.fromhex("3E183E044B73")) == []
    assert framer.pending == 6
    assert framer.expire() == [(b"\x3e", "cut"), (b"\x18", "garbage"), (bytes.fromhex("3E044B73"), None)]
    assert framer.pending == 0
