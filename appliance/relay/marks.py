"""Which numbers of one lane are in: the highest one and the holes below it. A value; nothing here is stored or sent by itself.

Both ends keep one per lane: the receiver of what it has committed, the sender of what the receiver has vouched for. It
stays small however long the lane grows, so a repeat is known as a repeat for ever, without asking the rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from appliance.contract import cbor
from appliance.contract.errors import WireError
from appliance.contract.receipts import LaneReceipt

Range = tuple[int, int]
"""First and last number, both in it."""

MOST_HOLES = 128
"""Holes one lane may have, so that a receipt stays small. A parcel that would make one more is not taken; it comes again later."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The set of all numbers from 1 to `highest` that lie in none of `holes` (sorted, apart from each other, all below `highest`)."""

    highest: int = 0
    holes: tuple[Range, ...] = ()

    @property
    def contiguous(self) -> int:
        """The highest number below which nothing is missing."""
        return self.holes[0][0] - 1 if self.holes else self.highest

    def has(self, first: int, last: int) -> bool:
        """True when every number of the range is in."""
        return last <= self.highest and all(hole[1] < first or last < hole[0] for hole in self.holes)

    def missing(self, first: int, last: int) -> list[Range]:
        """The parts of a range that are not in."""
        gaps = [*self.holes, (self.highest + 1, max(last, self.highest + 1))]
        return [(max(first, low), min(last, high)) for low, high in gaps if low <= last and first <= high]

    def within(self, first: int, last: int) -> list[Range]:
        """The parts of a range that are in."""
        return [(max(first, low), min(last, high)) for low, high in self.ranges() if low <= last and first <= high]

    def add(self, first: int, last: int) -> "Marks":
        """The same with the range in."""
        if not 1 <= first <= last:
            raise ValueError(f"no range: {first}..{last}")
        holes: list[Range] = []
        for low, high in self.holes:
            if low < first:
                holes.append((low, min(high, first - 1)))
            if high > last:
                holes.append((max(low, last + 1), high))
        if first > self.highest + 1:
            holes.append((self.highest + 1, first - 1))
        return Marks(max(self.highest, last), tuple(holes))

    def remove(self, first: int, last: int) -> "Marks":
        """The same without the range."""
        rest = Marks()
        for low, high in self.ranges():
            if low < first:
                rest = rest.add(low, min(high, first - 1))
            if high > last:
                rest = rest.add(max(low, last + 1), high)
        return rest

    def union(self, other: "Marks") -> "Marks":
        """What is in one of the two."""
        both = self
        for first, last in other.ranges():
            both = both.add(first, last)
        return both

    def both(self, other: "Marks") -> "Marks":
        """What is in both."""
        rest = self
        for first, last in self.minus(other):
            rest = rest.remove(first, last)
        return rest

    def ranges(self) -> Iterator[Range]:
        """The numbers that are in, as ranges, lowest first."""
        first = 1
        for low, high in self.holes:
            if first < low:
                yield first, low - 1
            first = high + 1
        if first <= self.highest:
            yield first, self.highest

    def minus(self, other: "Marks") -> list[Range]:
        """What is in here and not in `other`."""
        return [part for first, last in self.ranges() for part in other.missing(first, last)]


def write_holes(marks: Marks) -> bytes:
    """The holes as a store keeps them beside `highest`: CBOR, a list of pairs."""
    return cbor.dump([list(hole) for hole in marks.holes])


def read_marks(highest: int, holes: bytes) -> Marks:
    """The marks a store has kept."""
    return Marks(highest, tuple((low, high) for low, high in cbor.load(bytes(holes))))


def lane_receipt(lane: int, marks: Marks, quarantined: Iterable[Range] = ()) -> LaneReceipt:
    """One lane of a receipt."""
    return LaneReceipt(lane, marks.contiguous, marks.highest, marks.holes, tuple(quarantined))


def marks_of(lane: LaneReceipt) -> Marks:
    """What one lane of a receipt vouches for; WireError ``range`` when its numbers contradict each other."""
    before, marks = -1, Marks(lane.highest, lane.holes)
    for low, high in lane.holes:
        if not before + 1 < low <= high < lane.highest:
            raise WireError("range", f"hole {low}..{high} of lane {lane.lane}")
        before = high
    if lane.contiguous != marks.contiguous or lane.highest < 0:
        raise WireError("range", f"lane {lane.lane}: contiguous {lane.contiguous}, highest {lane.highest}")
    return marks
