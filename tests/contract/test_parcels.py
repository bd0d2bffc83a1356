"""Parcels: header, body, packing, fragments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.errors import WireError
from appliance.contract.events import Event
from appliance.contract.parcels import Header, join, pack, peek, read_fragment, read_parcel, split, write_parcel
from tests.contract import strategies

HEADERS = st.builds(
    Header,
    station=strategies.STATIONS,
    origin=st.binary(min_size=8, max_size=8),
    lane=st.integers(0, 5),
    first_seq=st.integers(0, (1 << 63) - 1),
    count=st.just(1),
    epoch=st.one_of(st.just(b""), st.binary(min_size=8, max_size=8)),
    suite=st.just(0),
    key_id=st.integers(0, 300),
    signer=st.integers(0, 300),
    dictionary=st.just(0),
)


def _counted(header: Header, count: int) -> Header:
    return Header(
        header.station,
        header.origin,
        header.lane,
        header.first_seq,
        count,
        header.epoch,
        0,
        header.key_id,
        header.signer,
        header.dictionary,
    )


@given(HEADERS, strategies.RUNS)
def test_a_parcel_comes_back_as_it_was(header: Header, events: list[Event]) -> None:
    """read(write(header, events)) is both, for any mixed run."""
    header = _counted(header, len(events))
    payload = write_parcel(header, events)
    assert read_parcel(payload) == (header, events)
    assert peek(payload) == header


@given(HEADERS, strategies.RUNS, st.integers(60, 1200))
def test_pack_takes_the_most_that_fit(header: Header, events: list[Event], limit: int) -> None:
    """The parcel is within the limit and one more event would not be, unless one event alone is too long."""
    payload, taken = pack(header, events, limit)
    assert read_parcel(payload)[1] == events[:taken]
    assert len(payload) <= limit or taken == 1
    if taken < len(events):
        assert len(write_parcel(_counted(header, taken + 1), events[: taken + 1])) > limit


@given(st.binary(min_size=1, max_size=3000), st.integers(40, 200), st.randoms(use_true_random=False))
def test_fragments_join_in_any_order(payload: bytes, limit: int, chance: object) -> None:
    """Every message is within the limit; shuffled and repeated they are the payload again."""
    messages = split(payload, limit)
    assert all(len(one) <= limit for one in messages)
    if messages == [payload]:
        return
    messages += messages[:2]
    chance.shuffle(messages)
    assert join(read_fragment(one) for one in messages) == payload


def test_a_missing_or_changed_fragment_is_told() -> None:
    """Nothing is joined from less than all of its parts, nor from parts that were changed."""
    parts = [read_fragment(one) for one in split(bytes(range(256)) * 10, 200)]
    with pytest.raises(WireError, match="truncated"):
        join(parts[1:])
    with pytest.raises(WireError, match="truncated"):
        join([])
    wrong = [*parts[:-1], type(parts[-1])(parts[-1].digest, parts[-1].part, parts[-1].parts, b"x" + parts[-1].data[1:])]
    with pytest.raises(WireError, match="checksum"):
        join(wrong)
    with pytest.raises(WireError, match="shape"):
        join([*parts, *[read_fragment(one) for one in split(bytes(3000), 200)]])
