"""Marks are a set of numbers that stays small."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.errors import WireError
from appliance.contract.receipts import LaneReceipt
from appliance.relay.marks import Marks, lane_receipt, marks_of, read_marks, write_holes

RANGES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12)


def made(ranges: list[tuple[int, int]]) -> tuple[Marks, set[int]]:
    """The marks of some ranges, and the set they stand for."""
    marks, numbers = Marks(), set()
    for first, last in ranges:
        marks = marks.add(first, last)
        numbers |= set(range(first, last + 1))
    return marks, numbers


def spread(ranges: list[tuple[int, int]]) -> set[int]:
    """The numbers in some ranges."""
    return {number for first, last in ranges for number in range(first, last + 1)}


@given(RANGES)
def test_marks_are_the_set_of_what_was_added(ranges: list[tuple[int, int]]) -> None:
    """Whatever comes in whatever order: the ranges, the holes and the contiguous mark are those of the plain set."""
    marks, numbers = made(ranges)
    assert spread(list(marks.ranges())) == numbers
    assert marks.highest == max(numbers, default=0)
    assert spread(list(marks.holes)) == set(range(1, marks.highest + 1)) - numbers
    assert marks.contiguous == next(number for number in range(100) if number + 1 not in numbers)
    assert all(after[0] > before[1] + 1 for before, after in zip(marks.holes, marks.holes[1:], strict=False))


@given(RANGES, st.integers(1, 70), st.integers(0, 9))
def test_marks_answer_for_a_range(ranges: list[tuple[int, int]], first: int, more: int) -> None:
    """What of a range is in, what is missing, and what is left when it is taken out."""
    marks, numbers = made(ranges)
    asked = set(range(first, first + more + 1))
    assert marks.has(first, first + more) == (asked <= numbers)
    assert spread(marks.missing(first, first + more)) == asked - numbers
    assert spread(marks.within(first, first + more)) == asked & numbers
    assert spread(list(marks.remove(first, first + more).ranges())) == numbers - asked


@given(RANGES, RANGES)
def test_two_marks_compare_as_sets(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    """Union and difference."""
    (left, these), (right, those) = made(one), made(other)
    assert spread(left.minus(right)) == these - those
    assert spread(list(left.union(right).ranges())) == these | those


@given(RANGES)
def test_marks_survive_the_store_and_the_receipt(ranges: list[tuple[int, int]]) -> None:
    """Written and read, on the card and on the wire, they are the same."""
    marks, _ = made(ranges)
    assert read_marks(marks.highest, write_holes(marks)) == marks
    assert marks_of(lane_receipt(2, marks)) == marks


@given(st.integers(-2, 9), st.integers(-2, 9), st.lists(st.tuples(st.integers(-2, 9), st.integers(-2, 9)), max_size=3))
def test_a_receipt_whose_numbers_contradict_each_other_is_refused(contiguous: int, highest: int, holes: list[tuple[int, int]]) -> None:
    """Either it is the receipt of some marks, or a WireError: never something else."""
    lane = LaneReceipt(2, contiguous, highest, tuple(holes))
    try:
        marks = marks_of(lane)
    except WireError:
        return
    assert lane_receipt(2, marks) == lane
