"""What writer and reader of a parcel's body both expect next: the static shapes, the priors, and what the parcel taught so far.

Nothing here outlives a parcel: a parcel can be read without any other. Everything here is part of wire version 1:
another order, another prior or another rule of learning is another wire (see `columns`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from appliance.contract.bits import Coin, Column
from appliance.contract.metrics import TABLE, Metric
from appliance.contract.readings import ClockQuality, ReadingKind

SHORT = 1 << 40
FAR = 1 << 31
"""What columns can say: short numbers and times below the first, numbers and rules below the second; anything beyond goes on the pile."""
WALL = 17_672_256_000
"""Wall offsets are told from 2026-01-01T00:00:00Z, in tenths of a second."""

STATIC: tuple[tuple[int, tuple[tuple[int, int], ...]], ...] = (
    (ReadingKind.BLOOD_PRESSURE, ((Metric.SYSTOLIC, 0), (Metric.DIASTOLIC, 0), (Metric.MEAN, 0), (Metric.PULSE_RATE, 0))),
    (
        ReadingKind.SPO2,
        ((Metric.SPO2, 0), (Metric.PULSE_RATE, 0), (Metric.PERFUSION, 2), (Metric.SPO2_LOW, 0), (Metric.SPO2_HIGH, 0),
         (Metric.PULSE_LOW, 0), (Metric.PULSE_HIGH, 0), (Metric.WINDOW, 1), (Metric.USABLE, 0)),
    ),
    (ReadingKind.TEMPERATURE, ((Metric.TEMPERATURE, 1),)),
    (ReadingKind.WEIGHT, ((Metric.WEIGHT, 1),)),
)  # fmt: skip
"""Shapes (kind, then metric and scale of each number) that need no description; any other is spelled out once in a parcel."""

# What is expected before anything is known, at the usual scale: centre, scatter between people, scatter between one
# person's repeats (mean distances). Blood pressure as on the measured day (docs/decisions: the measured day); the rest:
# adults at a health station, roughly. A wrong guess costs a few bits in each parcel, nothing else.
_PRIORS: dict[int, tuple[int, int, int]] = {
    Metric.SPO2: (97, 1, 1),
    Metric.PULSE_RATE: (76, 9, 3),
    Metric.SYSTOLIC: (134, 17, 5),
    Metric.DIASTOLIC: (82, 9, 4),
    Metric.MEAN: (99, 12, 4),
    Metric.PERFUSION: (350, 150, 100),
    Metric.TEMPERATURE: (368, 4, 3),
    Metric.RESPIRATION: (18, 4, 2),
    Metric.GLUCOSE: (110, 30, 15),
    Metric.WEIGHT: (560, 80, 4),
    Metric.HEIGHT: (1560, 70, 5),
    Metric.WINDOW: (450, 75, 75),
}
_NO_PRIOR = (0, 200, 50)
# How long after the reading before, in tenths and without the reading's own window: mostly what the measurement takes.
_GAPS: dict[int, int] = {
    ReadingKind.BLOOD_PRESSURE: 900,
    ReadingKind.SPO2: 300,
    ReadingKind.TEMPERATURE: 600,
    ReadingKind.WEIGHT: 400,
}
_BELOW: dict[int, int] = {Metric.SPO2_LOW: Metric.SPO2, Metric.PULSE_LOW: Metric.PULSE_RATE}
_ABOVE: dict[int, int] = {Metric.SPO2_HIGH: Metric.SPO2, Metric.PULSE_HIGH: Metric.PULSE_RATE}
_METRICS = frozenset(int(one) for one in Metric)
_KINDS = frozenset(int(one) for one in ReadingKind)

PLAIN, PULSE, QUARTER, THIRD, BESIDE, WHOLE = range(6)
"""How a number is expected: by itself; as any pulse of the patient; as a quarter of another's deviation; as diastolic plus
a third of the pulse pressure; as another number of the same reading, on one side of it; as a little less than 100 %."""


class Field:
    """One number of a shape: the rule by which it is expected, the places of the numbers the rule looks at, and its columns."""

    __slots__ = ("first", "others", "repeat", "rule", "sign")

    def __init__(self, metric: int, scale: int, earlier: dict[tuple[int, int], int]) -> None:
        """`earlier` gives the places of the numbers before this one by (metric, scale)."""
        self.rule, self.others = _relation(metric, scale, earlier)
        self.sign = -1 if metric in _BELOW or self.rule == WHOLE else 1
        centre, between, within = _prior(metric, scale)
        if self.rule in (BESIDE, WHOLE):
            self.first = Column(100 * 10 ** max(scale, 0), 100 if self.rule == BESIDE else 250, sided=True)
        else:
            self.first = Column(centre, 64 * between)
        self.repeat = Column(0, 80 if self.rule == THIRD else 64 * within)


def _relation(metric: int, scale: int, earlier: dict[tuple[int, int], int]) -> tuple[int, tuple[int, ...]]:
    def at(*metrics: int) -> tuple[int, ...]:
        return tuple(earlier[one, scale] for one in metrics if (one, scale) in earlier)

    beside = _BELOW.get(metric) or _ABOVE.get(metric)
    if beside and at(beside):
        return BESIDE, at(beside)
    if metric == Metric.USABLE:
        return WHOLE, ()
    if metric == Metric.PULSE_RATE and scale == 0:
        return PULSE, ()
    if metric == Metric.DIASTOLIC and at(Metric.SYSTOLIC):
        return QUARTER, at(Metric.SYSTOLIC)
    if metric == Metric.MEAN and len(at(Metric.SYSTOLIC, Metric.DIASTOLIC)) == 2:
        return THIRD, at(Metric.SYSTOLIC, Metric.DIASTOLIC)
    return PLAIN, ()


def _prior(metric: int, scale: int) -> tuple[int, int, int]:
    """Centre and scatters at `scale`, the scatters at least 1."""
    if metric not in _PRIORS:
        return _NO_PRIOR
    centre, between, within = _PRIORS[metric]
    power = scale - TABLE[Metric(metric)].scale
    if power > 0:
        times = 10 ** min(power, 4)
        return centre * times, between * times, within * times
    if power < 0:
        by = 10 ** min(-power, 4)
        return centre // by, max(1, between // by), max(1, within // by)
    return centre, between, within


class Shape:
    """A kind of reading with its metrics and scales, and what was seen of it in this parcel.

    `key` is kind and columns in one tuple. `known` is False when this version lacks the kind or one of the metrics.
    A *pattern* is the statuses of a reading's numbers: per number, status << 1 | (there is no value).
    """

    fields: list[Field]

    __slots__ = (
        "columns", "counts", "device", "fields", "how", "key", "kind", "known", "metrics", "number", "patterns", "reading_kind",
        "same_device", "same_pattern", "since_other", "since_same", "top", "usual", "window",
    )  # fmt: skip

    def __init__(self, number: int, key: tuple[Any, ...]) -> None:
        self.number = number
        self.key = key
        self.kind: int = key[0]
        self.columns: tuple[tuple[int, int], ...] = key[1:]
        self.known = self.kind in _KINDS and all(metric in _METRICS for metric, _ in self.columns)
        self.reading_kind = ReadingKind(self.kind) if self.known else ReadingKind.SETTINGS
        self.metrics = tuple((Metric(metric), scale) for metric, scale in self.columns) if self.known else ()
        self.window = self.columns.index((Metric.WINDOW, 1)) if (Metric.WINDOW, 1) in self.columns else None
        self.usual = Coin(12, 1)
        self.how = 0
        self.device: int | None = None
        self.same_device = Coin(9, 1)
        self.patterns: list[tuple[int, ...]] = []
        self.counts: list[int] = []
        self.top = 0
        self.same_pattern = Coin(1, 1)
        gap = _GAPS.get(self.kind, 600)
        self.since_same = Column(gap, 64 * 150, weight=2)
        self.since_other = Column(gap + 450, 64 * 400)

    def __getattr__(self, name: str) -> list[Field]:
        """`fields` are made when they are first asked for: most parcels hold one shape or two of those there are."""
        if name != "fields":
            raise AttributeError(name)
        earlier: dict[tuple[int, int], int] = {}
        self.fields = []
        for place, (metric, scale) in enumerate(self.columns):
            self.fields.append(Field(metric, scale, earlier))
            earlier[metric, scale] = place
        return self.fields

    def lasts(self, values: Sequence[int | None]) -> int:
        """The ticks a reading says that it took."""
        return 0 if self.window is None else values[self.window] or 0

    def count(self, pattern: int) -> None:
        """One more reading had the pattern at this place; the commonest is expected next."""
        self.counts[pattern] += 1
        if self.counts[pattern] > self.counts[self.top]:
            self.top = pattern


class Person:
    """What was seen of one patient in this parcel: per shape the sum and count of each number, and the pulse by any shape."""

    __slots__ = ("last", "number", "pulse", "pulses", "run", "sums")

    def __init__(self, number: int) -> None:
        self.number = number
        self.last = -1
        self.run = 0
        self.pulse = 0
        self.pulses = 0
        self.sums: dict[int, list[list[int]]] = {}

    def of(self, shape: Shape) -> list[list[int]]:
        """Sum and count of each number of this shape so far."""
        seen = self.sums.get(shape.number)
        if seen is None:
            seen = self.sums[shape.number] = [[0, 0] for _ in shape.fields]
        return seen


class Moment:
    """A boot and clock quality, with the last tick and the last difference between wall and tick."""

    __slots__ = ("boot", "boot_seq", "offset", "quality", "ticks")

    def __init__(self, boot: int, boot_seq: int, quality: ClockQuality) -> None:
        self.boot = boot
        self.boot_seq = boot_seq
        self.quality = quality
        self.ticks = 0
        self.offset = WALL


class Who(NamedTuple):
    """Who made an event, and with what."""

    actor: str
    software: str


class How(NamedTuple):
    """How a reading came about; `own` says that the device's own time or memory place is in the pile."""

    source: int
    rule: int
    marks: int
    own: bool


class Memory:
    """All that both sides know at one point of a parcel: lists of what was named, the last of each, and the coins."""

    def __init__(self) -> None:
        self.shapes = [Shape(number, (kind, *columns)) for number, (kind, columns) in enumerate(STATIC)]
        self.moments: list[Moment] = []
        self.moment = 0
        self.whos: list[Who] = []
        self.who = 0
        self.hows = [How(0, 0, 0, False)]
        self.devices: list[int] = []
        self.people: list[Person] = []
        self.person = Person(0)
        self.base = 0
        self.kind = 0
        self.inner = 0
        self.observed = Coin(12, 1)
        self.wild = Coin(1, 20)
        self.same_kind = Coin(1, 1)
        self.same_moment = Coin(9, 1)
        self.same_frame = Coin(9, 1)
        self.same_who = Coin(3, 1)
        self.same_how = Coin(3, 1)
        self.told = Coin(1, 3)
        self.new_shape = Coin(1, 12)
        self.new_device = Coin(3, 1)
        self.same_offset = Coin(9, 1)
        self.same_stamp = Coin(9, 1)
        self.new_person = Coin(5, 1)
        self.new_who = Coin(1, 1)
        self.new_moment = Coin(1, 1)
        self.new_how = Coin(1, 1)
        self.new_statuses = Coin(1, 1)
        self.level = Coin(3, 1)
        self.as_top = Coin(3, 1)
        self.present = Coin(3, 1)
        self.flags = [Coin(1, 9) for _ in range(16)]
        self.saved = Column(4, 64 * 3)
        self.event_gap = Column(600, 64 * 500)
        self.reading_gap = Column(-600, 64 * 600)
        self._stays: dict[tuple[int, int], Coin] = {}
        self._next: dict[tuple[int, int], tuple[int, Coin]] = {}

    def stays(self) -> Coin:
        """Whether the next observation is of the same patient: told by what the patient had last, and how often."""
        key = (self.person.last, self.person.run)
        coin = self._stays.get(key)
        if coin is None:
            coin = self._stays[key] = Coin(4, 1)
        return coin

    def follows(self, person: Person) -> tuple[int, Coin]:
        """The shape expected of this patient's next reading, and whether that used to be right."""
        key = (person.last, person.run)
        found = self._next.get(key)
        if found is None:
            once = self._next.get((person.last, 1))
            found = self._next[key] = (once[0] if once else max(person.last, 0), Coin(2, 1))
        return found

    def followed(self, person: Person, shape: Shape) -> None:
        """A shape came: next time it is expected again in its place. After `follows`."""
        key = (person.last, person.run)
        self._next[key] = (shape.number, self._next[key][1])
        person.run = min(person.run + 1, 4) if person.last == shape.number else 1
        person.last = shape.number

    def top_pattern(self, shape: Shape) -> tuple[int, ...]:
        """The pattern expected of the next reading of this shape."""
        return shape.patterns[shape.top] if shape.patterns else (self.base,) * len(shape.fields)

    def new_pattern(self, shape: Shape, pattern: tuple[int, ...]) -> None:
        """A pattern that this shape did not have before."""
        shape.patterns.append(pattern)
        shape.counts.append(0)
        if pattern:
            self.base = pattern[0] & ~1

    def expect(self, shape: Shape, place: int, values: Sequence[int | None], person: Person, seen: list[list[int]]) -> tuple[Column, int]:
        """The column and the expected value of the number at `place`; `values` holds at least those before it.

        `seen` is ``person.of(shape)``.
        """
        field = shape.fields[place]
        rule = field.rule
        if rule == THIRD:
            high, low = values[field.others[0]], values[field.others[1]]
            if high is not None and low is not None:
                return field.repeat, (high + low + low + 1) // 3
        elif rule == BESIDE:
            other = values[field.others[0]]
            if other is not None:
                return field.first, other
        elif rule == PULSE and person.pulses:
            return field.repeat, (person.pulse + (person.pulses >> 1)) // person.pulses
        elif rule == WHOLE:
            return field.first, field.first.centre()
        total, count = seen[place]
        if count:
            return field.repeat, (total + (count >> 1)) // count
        if rule == QUARTER:
            other = values[field.others[0]]
            if other is not None:
                return field.first, field.first.centre() + (other - shape.fields[field.others[0]].first.centre() >> 2)
        return field.first, field.first.centre()

    def learn(self, shape: Shape, values: Sequence[int | None], person: Person, seen: list[list[int]]) -> None:
        """The numbers of one reading are known."""
        for field, value, sums in zip(shape.fields, values, seen, strict=True):
            if value is None:
                continue
            rule = field.rule
            if rule == PULSE:
                if not person.pulses:
                    field.first.place(value)
                person.pulse += value
                person.pulses += 1
            elif not sums[1] and rule < BESIDE:
                field.first.place(value)
            sums[0] += value
            sums[1] += 1
