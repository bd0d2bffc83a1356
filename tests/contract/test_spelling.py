"""Readings spelt by hand are the bytes that the contract's general way makes."""

from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.codec import read_event, write_event
from appliance.contract.events import Event, Marks, ObservationRecorded
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Source, Stamp
from appliance.contract.spelling import whole
from appliance.contract.wiring import give
from appliance.simulate import day

NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
STAMPS = st.builds(Stamp, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.sampled_from(ClockQuality))
NUMERICS = st.builds(
    Numeric, st.sampled_from(Metric), st.none() | NUMBERS | st.integers(0, 30), st.sampled_from([Status(0), *Status]), st.integers(-3, 40)
)
READINGS = st.builds(
    Reading, st.sampled_from(ReadingKind), NUMBERS, st.lists(NUMERICS, max_size=30).map(tuple), STAMPS, st.sampled_from(Source),
    st.none() | st.text(max_size=30), st.none() | NUMBERS, st.integers(0, 300),
)  # fmt: skip


def general(event: Event) -> bytes:
    """The event by the way that knows nothing of readings."""
    return cbor2.dumps([event.kind, give(event.stamp), event.actor, event.software, give(event.body)], canonical=True)


@given(READINGS, STAMPS, st.text(max_size=300), NUMBERS, NUMBERS, st.sampled_from([Marks(0), *Marks]))
def test_any_reading_is_spelt_as_it_always_was(reading: Reading, stamp: Stamp, actor: str, patient: int, saved: int, marks: Marks) -> None:
    """Whatever stands in its fields, and whether or not the event's moment is the reading's own."""
    event = Event(stamp, actor, "0.1.0", ObservationRecorded(patient, reading, saved, marks))
    assert write_event(event) == general(event)
    event = replace(event, stamp=reading.stamp)
    assert write_event(event) == general(event)


def test_a_station_s_day_is_spelt_as_it_always_was() -> None:
    """388 events of all kinds; they come back as they were, and what a later version added stays in its place."""
    for event in day(3):
        assert write_event(event) == general(event)
        assert read_event(write_event(event)) == event
    later = replace(next(one for one in day(3) if isinstance(one.body, ObservationRecorded)), extra={99: 1, 2: {77: "x"}})
    assert read_event(write_event(later)) == later


@pytest.mark.parametrize("bits", [0, 4, 5, 8, 16, 32, 63, 64, 65])
def test_integers_of_every_length_are_the_shortest_there_are(bits: int) -> None:
    """At each border of CBOR's lengths, on both sides of zero."""
    for number in {sign * (1 << bits) + step for sign in (1, -1) for step in (-1, 0, 1)}:
        assert whole(number) == cbor2.dumps(number, canonical=True)
