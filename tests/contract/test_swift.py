"""Parcels read in one breath say exactly what the plain reader reads, step by step, or are refused in the same words."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract import columns, swift
from appliance.contract.codec import write_event
from appliance.contract.errors import WireError
from appliance.contract.events import Event, ObservationRecorded
from appliance.contract.parcels import peek, read_parcel
from appliance.simulate import day
from tests.contract.strategies import EVENTS, USUAL

GOLDEN = [one for one in sorted((Path(__file__).parent / "golden" / "v1").glob("*.bin")) if one.read_bytes()[:1] == b"\x11"]


def said(reading: Callable[[], list[Event]], few: int) -> Any:
    """What is read, each event with its bytes and its key; or why it is refused."""
    usual, columns.FEW = columns.FEW, few
    try:
        return [(one, write_event(one), key_of(one)) for one in reading()]
    except WireError as error:
        return error.reason, error.detail
    finally:
        columns.FEW = usual


def key_of(event: Event) -> bytes:
    """The key of the event's reading where it has one."""
    body = event.body
    return body.reading.key if isinstance(body, ObservationRecorded) else b""


def both(reading: Callable[[], list[Event]]) -> Any:
    """What both readers say, which must be one thing."""
    swiftly, plainly = (said(reading, few) for few in (0, 1 << 20))
    assert swiftly == plainly
    return swiftly


def written(events: list[Event]) -> tuple[bytes, bool]:
    """The body of a parcel of these, and whether it has a pile."""
    draft = columns.Draft(0)
    for event in events:
        draft.add(event)
    return draft.body(len(events))[:2]


@pytest.mark.parametrize("file", [one for one in GOLDEN if not peek(one.read_bytes()).suite], ids=lambda one: one.stem)
def test_a_golden_parcel_says_the_same_to_both_readers(file: Path) -> None:
    """Every parcel that was ever shipped, event by event, with the bytes that are kept and the keys."""
    payload = file.read_bytes()
    assert isinstance(both(lambda: read_parcel(payload)[1]), list)


def test_a_whole_day_says_the_same_and_most_of_it_is_read_by_functions_of_its_shapes() -> None:
    """Days of observations among requests: same events, same bytes as spelt afresh, and the swift reader did read them."""
    events = [one for one in day(3) if not isinstance(one.body, ObservationRecorded) or one.body.reading.numerics]
    body, piled = written(events)
    found = both(lambda: columns.read(body, len(events), 0, piled))
    assert [one for one, _, _ in found] == events
    assert [spelt for _, spelt, _ in found] == [write_event(one) for one in events]
    shapes = {key for key, _ in swift.made()}
    assert {one.body.reading.kind for one in events if isinstance(one.body, ObservationRecorded)} <= {key[0] for key in shapes}


def test_broken_bytes_are_refused_in_the_same_words() -> None:
    """Bytes changed, cut and joined at random behind a whole header: the same events or the same reason."""
    random, events = Random(20_260_101), [one for one in day(5) if isinstance(one.body, ObservationRecorded)]
    refused = 0
    for number in range(300):
        some = events[number % 40 : number % 40 + random.randint(6, 30)]
        body, piled = written(some)
        broken = bytearray(body)
        for _ in range(random.randint(1, 3)):
            broken[random.randrange(len(broken))] = random.randrange(256)
        if number % 5 == 0:
            del broken[random.randrange(1, len(broken)) :]
        refused += isinstance(both(partial(columns.read, bytes(broken), len(some) + number % 7, 0, piled)), tuple)
    assert refused > 100  # and the rest says something else than was meant, to both alike


@given(st.lists(st.one_of(USUAL, EVENTS), min_size=1, max_size=20))
@settings(max_examples=60)
def test_whatever_columns_can_say_is_read_alike(events: list[Event]) -> None:
    """Random events of every kind, statuses, scales and sources: what was written comes back, bytes and all."""
    body, piled = written(events)
    found = both(lambda: columns.read(body, len(events), 0, piled))
    assert [one for one, _, _ in found] == events


def test_shapes_beyond_the_bound_are_read_by_the_plain_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends thousands of patterns of statuses fills no memory with functions; what they say is read all the same."""
    monkeypatch.setattr(swift, "MOST_MADE", len(swift.made()))
    events = [one for one in day(9) if isinstance(one.body, ObservationRecorded)][:20]
    body, piled = written(events)
    before = set(swift.made())
    assert [one for one, _, _ in both(lambda: columns.read(body, len(events), 0, piled))] == events
    assert set(swift.made()) == before
