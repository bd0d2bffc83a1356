"""Parcels: header, body, packing, fragments."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.errors import WireError
from appliance.contract.events import ConsultRequested, Department, Event, Identity, ObservationRecorded, Sex, Unknown, Urgency
from appliance.contract.metrics import Metric, Status
from appliance.contract.parcels import EVENTS, Header, join, pack, peek, read_fragment, read_parcel, split, write_parcel
from appliance.contract.readings import Numeric, Reading, ReadingKind, Stamp
from appliance.simulate import day
from tests.contract import strategies
from tests.contract.strategies import calm

HEADERS = st.builds(
    Header,
    station=strategies.STATIONS,
    origin=st.binary(min_size=8, max_size=8),
    lane=st.integers(0, 5),
    first_seq=st.integers(0, (1 << 63) - 1),
    count=st.just(1),
    epoch=st.one_of(st.just(b""), st.binary(min_size=8, max_size=8)),
    key_id=st.integers(0, 300),
    signer=st.integers(0, 300),
    dictionary=st.sampled_from([0, 1]),
)
HEADER = Header("tram-0001", bytes(range(1, 9)), 2, 1200, 1, dictionary=1)


def _back(events: list[Event]) -> list[Event]:
    """The events, written and read."""
    return read_parcel(write_parcel(replace(HEADER, count=len(events)), events))[1]


@calm
@given(HEADERS, strategies.RUNS)
def test_a_parcel_comes_back_as_it_was(header: Header, events: list[Event]) -> None:
    """read(write(header, events)) is both, for any mixed run, with and without a dictionary."""
    header = replace(header, count=len(events))
    payload = write_parcel(header, events)
    assert read_parcel(payload) == (header, events)
    assert peek(payload) == header


@calm
@given(st.lists(strategies.USUAL, min_size=1, max_size=30))
def test_runs_of_observations_come_back_as_they_were(events: list[Event]) -> None:
    """What columns learn on the way never bends a number, whoever and whatever comes next."""
    assert _back(events) == events


def test_the_measured_day_comes_back_as_it_was() -> None:
    """Every event of a day, consults and all, in one parcel."""
    events = day(2)
    header = replace(HEADER, count=len(events))
    assert read_parcel(write_parcel(header, events)) == (header, events)


@calm
@given(HEADERS, strategies.RUNS, st.integers(60, 1200))
def test_pack_takes_the_most_that_fit(header: Header, events: list[Event], limit: int) -> None:
    """The parcel is within the limit and one more event would not be, unless one event alone is too long."""
    payload, taken = pack(header, events, limit)
    assert read_parcel(payload)[1] == events[:taken]
    assert len(payload) <= limit or taken == 1
    if taken < len(events):
        assert len(pack(header, events[: taken + 1], 1 << 20)[0]) > limit


def test_pack_fills_a_message_with_readings() -> None:
    """A day's readings go out in full messages: the next reading would not have fitted."""
    events = [event for event in day(3) if isinstance(event.body, ObservationRecorded)]
    payload, taken = pack(HEADER, events)
    assert len(payload) <= 1200 < len(pack(HEADER, events[: taken + 1], 1 << 20)[0])
    assert read_parcel(payload)[1] == events[:taken]


def test_pack_names_no_dictionary_that_does_not_help() -> None:
    """Readings need none: their parcels say dictionary 0 and are two bytes shorter; a consult's says 1."""
    events = day(3)
    reading = next(event for event in events if isinstance(event.body, ObservationRecorded))
    consult = next(event for event in events if isinstance(event.body, ConsultRequested))
    assert peek(pack(HEADER, [reading])[0]).dictionary == 0
    assert peek(pack(HEADER, [consult])[0]).dictionary == 1


def test_pack_never_takes_more_events_than_a_parcel_may_hold() -> None:
    """However little an event takes, `EVENTS` is the most."""
    event = next(event for event in day(3) if isinstance(event.body, ObservationRecorded))
    payload, taken = pack(HEADER, [event] * (EVENTS + 50), 1 << 20)
    assert taken == EVENTS == len(read_parcel(payload)[1])


def test_a_usual_consult_request_takes_400_bytes_at_most() -> None:
    """Identity, a complaint of three sentences and three cited readings: decision *a consult request is self-contained*."""
    readings = [event.body.reading for event in day(2) if isinstance(event.body, ObservationRecorded)][:6]
    identity = Identity(
        1 << 39,
        3,
        "Thử Thị Nghiệm Sáu",
        "1961-04-30",
        Sex.FEMALE,
        "000123456789",
        "DN0000000000001",
        phone="0000000000",
        village="Bản Giả 4",
    )
    complaint = "Mệt nhiều, ăn kém đã 3 hôm. Tay chân không yếu, nói rõ, miệng không méo. Xin ý kiến bác sĩ về liều thuốc hạ áp."
    body = ConsultRequested(1 << 38, identity, Urgency.URGENT, Department.INTERNAL, complaint, tuple(readings[-3:]))
    payload, _ = pack(HEADER, [Event(readings[-1].stamp, "ys-hoa", "0.1.0", body)])
    assert len(payload) <= 400


def test_a_reading_of_a_later_version_is_kept_and_does_not_poison_its_parcel() -> None:
    """A metric and a kind nobody here knows: the body stays as raw bytes, the events around it are read, and it can travel on."""
    stamp = Stamp(7, 1, 5000, 17_700_000_000)
    later = Reading(42, 9, (Numeric(99, 7, Status.TEST_DATA, 1), Numeric(Metric.SPO2, None)), stamp)  # type: ignore[arg-type]
    known = Reading(ReadingKind.TEMPERATURE, 9, (Numeric(Metric.TEMPERATURE, 368, Status(0), 1),), stamp)
    events = [Event(stamp, "ys-hoa", "9.0", ObservationRecorded(5, reading, 3)) for reading in (known, later, known)]
    first, kept, last = _back(events)
    assert (first, last) == (events[0], events[2])
    assert isinstance(kept.body, Unknown)
    assert kept.body.kind == ObservationRecorded.KIND
    assert _back([first, kept, last]) == [first, kept, last]


@pytest.mark.parametrize(
    "wrong",
    [
        {"station": "Trạm"}, {"station": ""}, {"origin": b"1234567"}, {"epoch": b"1"}, {"lane": 6}, {"lane": -1}, {"count": 2},
        {"first_seq": -1}, {"first_seq": 1 << 63}, {"suite": -1}, {"key_id": 1 << 63},
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_written_is_refused(wrong: dict[str, object]) -> None:
    """No parcel is made that its reader would refuse."""
    with pytest.raises(ValueError, match=r"."):
        write_parcel(replace(HEADER, **wrong), day(3)[:1])  # type: ignore[arg-type]


@calm
@given(st.binary(min_size=1, max_size=3000), st.integers(40, 200), st.integers())
def test_fragments_join_in_any_order(payload: bytes, limit: int, seed: int) -> None:
    """Every message is within the limit; shuffled and repeated they are the payload again."""
    messages = split(payload, limit)
    assert all(len(one) <= limit for one in messages)
    if messages == [payload]:
        return
    messages += messages[:2]
    random.Random(seed).shuffle(messages)
    assert join(read_fragment(one) for one in messages) == payload


def test_a_missing_or_changed_fragment_is_told() -> None:
    """Nothing is joined from less than all of its parts, nor from parts that were changed or of another payload."""
    parts = [read_fragment(one) for one in split(bytes(range(256)) * 10, 200)]
    with pytest.raises(WireError, match="truncated"):
        join(parts[1:])
    with pytest.raises(WireError, match="truncated"):
        join([])
    with pytest.raises(WireError, match="checksum"):
        join([*parts[:-1], replace(parts[-1], data=b"x" + parts[-1].data[1:])])
    with pytest.raises(WireError, match="shape"):
        join([*parts, *[read_fragment(one) for one in split(bytes(3000), 200)]])
