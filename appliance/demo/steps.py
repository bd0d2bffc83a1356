"""The way of a reading and of an answer, put together from the journal lines of every process. Pure: lines in, ways out.

A journal line with a ``step`` names what it is about by ids only (`appliance.journal.step`): ``reading_key``, ``measurement``, the
place on the wire (``epoch``, ``lane``, ``seq``), ``consult``, ``answer``. No line has them all, and lines of different processes may
be heard in any order: a line waits until another one tells which way it belongs to.
"""

import json
from collections import deque
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

READING = ("read", "feed", "settle", "observe", "record", "publish", "decode", "accept", "receipt", "shown")
ANSWER = ("signed", "published", "accepted", "receipt", "shown")
ON_THE_WIRE = frozenset({"publish", "published", "decode", "accept", "accepted", "receipt"})
"""Steps about a place on the wire: a reading's copy inside a consult request has another place and must not be mistaken for it."""
WAITING = 512
"""How many lines may wait for their way. Those of events that are no reading and no answer never find one and drop out in the end."""
WAYS = 200
"""How many ways are followed at once; a demo that stays for days forgets the oldest."""

JITTER_NS = 250_000_000
"""How much later than its step a line may have been written: a turn or two of a busy machine's scheduler."""

Place = tuple[str, int, int]
"""(epoch, lane, seq)"""


@dataclass(frozen=True)
class Line:
    """One step of one process. `at` is RFC 3339 UTC; `ns` is CLOCK_BOOTTIME, one clock for all processes of this machine."""

    process: str
    step: str
    at: str
    ns: int
    ids: dict[str, Any]

    def covers(self, place: Place) -> bool:
        """True when the line is about this place on the wire; a long parcel or receipt is one line with a ``count``."""
        mine = self.place
        return mine is not None and mine[:2] == place[:2] and 0 <= place[2] - mine[2] < int(self.ids.get("count", 1))

    @property
    def place(self) -> Place | None:
        """The (first) place on the wire, where the line has one."""
        try:
            return str(self.ids["epoch"]), int(self.ids["lane"]), int(self.ids["seq"])
        except (KeyError, TypeError, ValueError):
            return None


def read_line(raw: bytes) -> Line | None:
    """The step in a line of output; None for everything else, whatever it is."""
    try:
        said = json.loads(raw)
        ids = {key: value for key, value in said.items() if key not in ("at", "boottime_ns", "process", "step")}
        return Line(str(said["process"]), str(said["step"]), str(said["at"]), int(said["boottime_ns"]), ids)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def spread(line: Line) -> list[Line]:
    """One line for each place: the relay says in one that ``count`` events from ``seq`` on went together. At most `WAITING` of them."""
    place, count = line.place, line.ids.get("count")
    if place is None or not isinstance(count, int) or line.step not in ON_THE_WIRE:
        return [line]
    alone = {name: value for name, value in line.ids.items() if name != "count"}
    return [replace(line, ids={**alone, "seq": place[2] + more}) for more in range(min(count, WAITING // 2))]


@dataclass
class Way:
    """One reading's or one answer's way: `ids` grows with every line, `steps` holds the first line of each step, `again` counts repeats."""

    names: tuple[str, ...]
    number: int
    ids: dict[str, Any] = field(default_factory=dict)
    place: Place | None = None
    steps: dict[str, Line] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)

    @property
    def answer(self) -> bool:
        """True for an answer's way, False for a reading's."""
        return self.names is ANSWER

    @property
    def missing(self) -> str | None:
        """The first step that has not been heard of, or None when the way is whole."""
        return next((name for name in self.names if name not in self.steps), None)

    def rows(self) -> list[dict[str, Any]]:
        """The steps so far in their order, as their lines were written: ``{"n", "name", "at", "ms"}``, milliseconds since the first one."""
        return _rows([(n, name, self.steps[name]) for n, name in enumerate(self.names, 1) if name in self.steps])

    def proved(self) -> list[dict[str, Any]]:
        """As `rows`, with every step no later than the steps that follow from it.

        A line is written just after its step, and on a busy machine the next process may be quicker: what followed proves that
        the step had happened by then. Only `JITTER_NS` are believed to be that; more is a fault (see `out_of_order`).
        """
        lines = [(n, name, self.steps[name]) for n, name in enumerate(self.names, 1) if name in self.steps]
        for place in range(len(lines) - 2, -1, -1):
            n, name, line = lines[place]
            after = lines[place + 1][2]
            if 0 < line.ns - after.ns <= JITTER_NS:
                lines[place] = n, name, after
        return _rows(lines)

    def out_of_order(self) -> str | None:
        """The first step that happened before the one it follows from, or None."""
        return next((after["name"] for before, after in pairwise(self.proved()) if after["ms"] < before["ms"]), None)


def _rows(lines: list[tuple[int, str, Line]]) -> list[dict[str, Any]]:
    return [{"n": n, "name": name, "at": line.at, "ms": round((line.ns - lines[0][2].ns) / 1e6, 3)} for n, name, line in lines]


class Trail:
    """Every way heard of so far."""

    def __init__(self) -> None:
        self.ways: deque[Way] = deque(maxlen=WAYS)
        self._made = {READING: 0, ANSWER: 0}
        self._waiting: deque[Line] = deque(maxlen=WAITING)

    def hear(self, line: Line) -> list[tuple[Way, Line]]:
        """Take one line; the lines that found their way now (this one, and those that had waited for it), first steps only."""
        found: list[tuple[Way, Line]] = []
        self._waiting.extend(spread(line))
        while True:
            before = len(self._waiting)
            for _ in range(before):
                waiting = self._waiting.popleft()
                way = self._way(waiting)
                if way is None:
                    self._waiting.append(waiting)
                elif self._join(way, waiting):
                    found.append((way, waiting))
            if len(self._waiting) == before:
                return found

    def find(self, **ids: Any) -> Way | None:
        """The way that carries all these ids, e.g. ``find(reading_key="…")``."""
        return next((way for way in self.ways if all(way.ids.get(key) == value for key, value in ids.items())), None)

    def _way(self, line: Line) -> Way | None:
        """Whose line this is; a new way for a first step, None when it cannot be told yet."""
        answer = "answer" in line.ids or line.step in ("signed", "published", "accepted")
        for way in self.ways:
            if _same(way, line, answer):
                return way
        if "answer" in line.ids if line.step == "signed" else line.step in READING[:5] and "reading_key" in line.ids:
            names = ANSWER if answer else READING
            self._made[names] += 1
            self.ways.append(Way(names, self._made[names]))
            return self.ways[-1]
        return None

    def _join(self, way: Way, line: Line) -> bool:
        way.ids.update({key: value for key, value in line.ids.items() if key not in way.ids})
        if way.place is None and line.place is not None and line.step != "shown":
            way.place = line.place
        if line.step in way.steps:
            way.again[line.step] = way.again.get(line.step, 0) + 1
            return False
        way.steps[line.step] = line
        return True


def _same(way: Way, line: Line, answer: bool) -> bool:
    if line.step not in way.names:
        return False
    if way.place is not None and line.step in ON_THE_WIRE and line.place is not None:
        return line.covers(way.place)
    if way.answer:
        return (
            answer
            and "answer" in line.ids
            and (way.ids.get("consult"), way.ids.get("answer")) == (line.ids.get("consult"), line.ids.get("answer"))
        )
    if line.step in ON_THE_WIRE:
        return False  # until `record` has said which place is this reading's own
    return any(key in line.ids and way.ids.get(key) == line.ids[key] for key in ("reading_key", "measurement"))
