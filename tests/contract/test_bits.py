"""Varints and the entropy coder."""

import doctest
import hashlib
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract import bits, ids, metrics, readable, topics
from appliance.contract.bits import Coin, Column, Packer, Unpacker, bells, read_varint, varint
from appliance.contract.errors import WireError
from tests.contract.strategies import calm

BELLS = "9c1fe26dca99cc7909b8f68dccbb521d1fceb10572ec942e9aefa0e108809f22"
FAR = 1 << 45
OUTCOMES = st.one_of(
    st.tuples(st.just("coin"), st.booleans()),
    st.tuples(st.just("number"), st.one_of(st.integers(-9, 9), st.integers(-FAR, FAR))),
    st.tuples(st.just("sided"), st.one_of(st.integers(0, 9), st.integers(-FAR, FAR))),
    st.tuples(st.just("plain"), st.integers(0, (1 << 40) - 1)),
    st.tuples(st.just("size"), st.one_of(st.integers(0, 9), st.integers(0, (1 << 63) - 1))),
    st.tuples(st.just("signed"), st.integers(-(1 << 62), (1 << 62) - 1)),
)


def _packed(outcomes: list[tuple[str, int]]) -> bytes:
    packer, coin, columns = Packer(), Coin(1, 1), {"number": Column(0, 64), "sided": Column(0, 64, sided=True)}
    for kind, value in outcomes:
        if kind == "coin":
            packer.coin(coin, bool(value))
        elif kind in columns:
            packer.number(columns[kind], value)
        elif kind == "plain":
            packer.plain(value, 40)
        else:
            getattr(packer, kind)(value)
    return packer.bytes(len(packer.steps))


def _unpacked(data: bytes, kinds: list[str]) -> list[int]:
    source, coin, columns = Unpacker(data), Coin(1, 1), {"number": Column(0, 64), "sided": Column(0, 64, sided=True)}
    found: list[int] = []
    for kind in kinds:
        if kind == "coin":
            found.append(source.coin(coin))
        elif kind in columns:
            found.append(source.number(columns[kind]))
        else:
            found.append(source.plain(40) if kind == "plain" else getattr(source, kind)())
    source.close()
    return found


@calm
@given(st.lists(OUTCOMES, max_size=80))
def test_outcomes_come_back_in_order(outcomes: list[tuple[str, int]]) -> None:
    """Any mix of outcomes, few or many, near or far, is read as it was written and nothing is left over."""
    assert _unpacked(_packed(outcomes), [kind for kind, _ in outcomes]) == [value for _, value in outcomes]


def test_what_is_left_over_is_noticed() -> None:
    """Bytes that say more than was asked for, and needless zeros in front."""
    data = _packed([("plain", 5), ("plain", 1 << 39), ("coin", 1)])
    with pytest.raises(WireError):
        _unpacked(data, ["plain"])
    with pytest.raises(WireError):
        _unpacked(b"\0" + data, ["plain", "plain", "coin"])


def test_a_column_that_never_changes_costs_nearly_nothing() -> None:
    """A thousand times the same takes less than a tenth of a bit each."""
    assert len(_packed([("coin", 1)] * 1000)) * 8 < 100
    assert len(_packed([("number", 0)] * 1000)) * 8 < 100


def test_a_number_costs_what_its_scatter_is_worth() -> None:
    """Distances of a normal distribution take at most 0.12 bit more than its entropy, at widths from 1 to 300."""
    chance = random.Random(1)
    for spread in (1, 5, 21, 90, 300):
        outcomes = [("number", round(chance.gauss(0, spread))) for _ in range(3000)]
        entropy = math.log2(spread * math.sqrt(2 * math.pi * math.e))
        assert len(_packed(outcomes)) * 8 / 3000 < entropy + 0.12


def test_the_bells_are_the_wire_and_never_change() -> None:
    """A bell with other slots reads other numbers out of old parcels: every slot is part of wire version 1."""
    both = [bells(sided) for sided in (False, True)]
    assert all(sum(bell.slots) == 1 << 14 and min(bell.slots) > 0 for made, _ in both for bell in made)
    assert hashlib.sha256(repr([(tuple(map(tuple, made)), steps) for made, steps in both]).encode()).hexdigest() == BELLS


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, (1 << 63) - 1])
def test_varints_come_back(value: int) -> None:
    """From zero to 63 bits, in as few bytes as it takes."""
    data = varint(value)
    assert read_varint(data + b"rest", 0) == (value, len(data))


@pytest.mark.parametrize("data", ["", "80", "8000", "ffffffffffffffffff01", "ffffffffffffffffffffff"])
def test_odd_varints_are_refused(data: str) -> None:
    """Cut, with needless bytes, or too long."""
    with pytest.raises(WireError):
        read_varint(bytes.fromhex(data), 0)


@pytest.mark.parametrize("module", [bits, ids, metrics, readable, topics])
def test_examples_in_the_text_are_true(module: object) -> None:
    """The examples in docstrings of the contract."""
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
