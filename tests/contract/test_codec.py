"""One event as bytes and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract import cbor
from appliance.contract.codec import read_event, write_event
from appliance.contract.errors import WireError
from appliance.contract.events import KINDS, ConsentWithdrawn, Event, Unknown
from tests.contract import strategies
from tests.contract.strategies import calm


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_comes_back_as_it_was(kind: int) -> None:
    """read(write(event)) is the event, for each kind there is, with entries of later versions."""

    @calm
    @given(strategies.events_of(kind))
    def comes_back(event: Event) -> None:
        assert read_event(write_event(event)) == event

    comes_back()


@calm
@given(strategies.EVENTS)
def test_the_same_event_is_the_same_bytes(event: Event) -> None:
    """What was read and written again has not changed by one byte."""
    data = write_event(event)
    assert write_event(read_event(data)) == data


@calm
@given(strategies.EVENTS)
def test_an_event_is_written_canonically(event: Event) -> None:
    """Whoever sorts the maps and shortens the numbers finds nothing to do, in what this version knows."""
    data = write_event(event)
    assert isinstance(event.body, Unknown) or cbor.dump(cbor.load(data)) == data


@calm
@given(strategies.EVENTS, st.binary(max_size=60), st.integers(0, 400), st.integers(0, 255))
def test_other_bytes_are_a_wire_error_and_nothing_else(event: Event, tail: bytes, place: int, byte: int) -> None:
    """Cut, changed, lengthened and invented bytes give an event or a WireError."""
    data = bytearray(write_event(event))
    data[place % len(data)] = byte
    for attempt in (bytes(data), bytes(data[: place % len(data)]), bytes(data) + tail, tail):
        try:
            read = read_event(attempt)
        except WireError:
            continue
        assert isinstance(read, Event)


def test_bytes_behind_an_event_are_refused() -> None:
    """Nothing hides behind an event."""
    event = Event(_stamp(), "", "0.1.0", ConsentWithdrawn(1, "TREAT"))
    with pytest.raises(WireError):
        read_event(write_event(event) + b"\0")


def test_a_kind_of_a_later_version_is_kept_byte_for_byte() -> None:
    """Not even an unusual way of writing a number is tidied up in what we do not understand."""
    raw = bytes.fromhex("a1011805")  # 5 written in two bytes
    event = Event(_stamp(), "ys-hoa", "9.0", Unknown(999, raw))
    assert read_event(write_event(event)) == event


def test_a_word_of_a_later_version_makes_the_body_unknown_not_lost() -> None:
    """A metric this version does not have: the body is kept raw under its own kind, the parcel is not poisoned."""
    content = {1: 5, 2: {1: 2, 2: 6, 3: [{1: 99, 2: 7}], 4: {1: 1, 2: 1, 3: 1, 4: 1}}}
    data = b"\x85" + cbor.dump(10) + cbor.dump({1: 1, 2: 1, 3: 1, 4: 1}) + cbor.dump("") + cbor.dump("9.0") + cbor.dump(content)
    event = read_event(data)
    assert event.body == Unknown(10, cbor.dump(content))
    assert write_event(event) == data


def test_entries_of_a_later_version_inside_a_reading_survive() -> None:
    """Unknown numbers in a reading, in one of its numerics and in the stamp go out again where they came in."""
    content = {1: 5, 2: {1: 2, 2: 6, 3: [{1: 3, 2: 120}, {1: 4, 2: 80, 77: "x"}], 4: {1: 1, 2: 1, 3: 1, 4: 1, 70: 3}, 80: [1]}, 90: True}
    data = b"\x85" + cbor.dump(10) + cbor.dump({1: 1, 2: 1, 3: 1, 4: 1, 60: 2}) + cbor.dump("") + cbor.dump("9.0") + cbor.dump(content)
    event = read_event(data)
    assert event.body.patient == 5
    assert write_event(event) == data


@pytest.mark.parametrize(
    "hostile", ["c249010000000000000000", "d81c81d81d00", "9f01ff", "a201010102", "8181818181818181818181818181818101"]
)
def test_cbor_of_strangers_builds_nothing_odd(hostile: str) -> None:
    """Tags, cycles, endless lists, doubled keys and deep nesting are refused before they become objects."""
    with pytest.raises(WireError):
        cbor.load(bytes.fromhex(hostile))


def _stamp() -> strategies.Stamp:
    return strategies.Stamp(1, 1, 1, 1)
