"""A year of vital signs as pictures: SVG with presentation attributes alone, made here, without a script. Pure.

Values as they were measured, without limits, zones or colours that judge (decision 22). A gap is a gap: no line crosses more than
`GAP_DAYS`, none joins two devices. A long series is thinned by keeping each day's lowest and highest value, so that
nothing that happened is smoothed away. What the picture shows stands in a table beside it, in words.
"""

from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

from appliance.contract.metrics import Status
from appliance.contract.readings import Source
from appliance.kiosk.present import local
from appliance.kiosk.speech import Say
from appliance.store.history import Vital

GAP_DAYS = 45
"""A line joins two values at most this far apart: those who come monthly have a line, a missed visit is a gap."""
THIN_FROM = 200
"""More points than this in a picture are thinned to two a day: 700 pixels show no more."""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 152, 46, 10, 8, 26
_DAY, _ZONE = 24 * 36_000, 7 * 36_000
"""Tenths of a second: a day, and how far Viet Nam's day begins before that of UTC."""
_TEST = Status.TEST_DATA | Status.DEMO_DATA
_INK, _SOFT, _GRID = "#12211a", "#5d6f6d", "#c9d3ce"


class Point(NamedTuple):
    """One value, or the two of a blood pressure (`low` is the diastolic one). `at` tenths of a second since 1970."""

    at: int
    value: float
    low: float | None
    device: int
    manual: bool
    test: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture: its name and unit, the SVG, what it says in one sentence, and whether some of it is test data."""

    name: str
    unit: str
    svg: str
    summary: str
    test: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One month of the table: its name, and per picture how many values, the lowest and the highest (empty: none)."""

    month: str
    cells: tuple[str, ...]


# --- points -------------------------------------------------------------------------------------------------------------------------


def pressures(found: Iterable[Vital]) -> list[Point]:
    """Blood pressures, whole ones: half a pair is no bar (the record's list has it)."""
    return [_point(one, one.systolic, one.diastolic) for one in found if one.systolic is not None and one.diastolic is not None]


def saturations(found: Iterable[Vital]) -> list[Point]:
    """SpO₂."""
    return [_point(one, one.spo2) for one in found if one.spo2 is not None]


def pulses(found: Iterable[Vital]) -> list[Point]:
    """Pulse rates, from whichever device."""
    return [_point(one, one.pulse) for one in found if one.pulse is not None]


def _point(one: Vital, value: float, low: float | None = None) -> Point:
    return Point(one.wall, value, low, one.device, one.source is Source.MANUAL, bool(one.status & _TEST))


def thinned(points: Sequence[Point]) -> list[Point]:
    """A long series with each day's lowest and highest value; a short one as it is. Of pairs: highest systolic, lowest diastolic."""
    if len(points) <= THIN_FROM:
        return list(points)
    days: dict[int, list[Point]] = {}
    for one in points:
        days.setdefault((one.at + _ZONE) // _DAY, []).append(one)
    kept: list[Point] = []
    for of_day in days.values():
        most = max(of_day, key=itemgetter(1))
        least = min(of_day, key=itemgetter(1) if of_day[0].low is None else _lower)
        kept += [most] if least is most else sorted((most, least))
    return kept


def _lower(one: Point) -> float:
    return one.value if one.low is None else one.low


def runs(points: Sequence[Point]) -> list[list[Point]]:
    """Stretches that a line may join: of one device, each value at most `GAP_DAYS` after the one before."""
    found: list[list[Point]] = [[points[0]]] if points else []
    for before, one in pairwise(points):
        if one.device != before.device or (one.manual, one.test) != (before.manual, before.test) or one.at - before.at > GAP_DAYS * _DAY:
            found.append([])
        found[-1].append(one)
    return found


# --- the picture --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scale:
    since: int
    until: int
    low: float
    high: float

    def x(self, at: int) -> float:
        """Where a moment stands."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (at - self.since) / (self.until - self.since)

    def y(self, value: float) -> float:
        """Where a value stands."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - self.low) / (self.high - self.low)


def chart(name: str, unit: str, points: Sequence[Point], since: int, until: int, t: Say) -> Chart:
    """One picture of a year. Without a value it says so; its height is that of the values with a little room, never a clinical range."""
    shown = thinned(points)
    ends = [value for one in points for value in (one.value, one.low) if value is not None]
    low, high = _room(ends)
    scale = _Scale(since, until, low, high)
    marks = _bars(shown, scale) if any(one.low is not None for one in shown) else _line(shown, scale)
    body = "".join([*_grid(scale, t), *marks])
    summary = _summary(points, unit, t)
    words = f"{name}: {summary}"
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" aria-label="{_escape(words)}"'
        f' font-family="sans-serif" font-size="13">{body}</svg>'
    )
    return Chart(name, unit, svg, summary, any(one.test for one in points))


def _room(ends: Sequence[float]) -> tuple[float, float]:
    if not ends:
        return 0.0, 1.0
    more = max((max(ends) - min(ends)) * 0.12, 4)
    return min(ends) - more, max(ends) + more


def _grid(scale: _Scale, t: Say) -> list[str]:
    """Months along the foot, and three round numbers at the side."""
    drawn, bottom = [], HEIGHT - BOTTOM
    for begin, word in _months(scale.since, scale.until, t):
        x = scale.x(begin)
        drawn.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="{_GRID}" fill="none"/>')
        if x < WIDTH - RIGHT - 30:
            drawn.append(f'<text x="{x + 3:.1f}" y="{HEIGHT - 9}" fill="{_SOFT}">{word}</text>')
    if scale.low == 0.0 and scale.high == 1.0:
        return drawn
    for value in _round(scale.low, scale.high):
        y = scale.y(value)
        drawn.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{_GRID}" fill="none"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{y + 4.5:.1f}" text-anchor="end" fill="{_SOFT}">{value:g}</text>')
    return drawn


def _months(since: int, until: int, t: Say) -> list[tuple[int, str]]:
    """(its first moment, its name) of each month that begins within the year; January and the first one say the year."""
    at = local(since).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found: list[tuple[int, str]] = []
    while (tenths := int(at.timestamp() * 10)) <= until:
        if tenths >= since:
            found.append((tenths, _month(at, t, year=at.month == 1 or not found)))
        at = (at + timedelta(days=32)).replace(day=1)
    return found


def _month(at: datetime, t: Say, *, year: bool) -> str:
    word = t(f"Th{at.month}", f"{at:%b}")
    return f"{word}/{at:%y}" if year else word


def _round(low: float, high: float) -> list[float]:
    """Three to five round numbers between two ends."""
    for step in (1, 2, 5, 10, 20, 25, 50, 100):
        first = -(-low // step) * step
        found = [first + step * number for number in range(int((high - first) // step) + 1)]
        if len(found) <= 5:
            return found
    return [low, high]


def _bars(points: Sequence[Point], scale: _Scale) -> list[str]:
    """A bar from the systolic to the diastolic value, with both ends marked."""
    stems = "".join([f"M{scale.x(one.at):.1f} {scale.y(one.value):.1f}V{scale.y(one.low):.1f}" for one in points if one.low is not None])
    marks = [(one, scale.x(one.at), scale.y(value)) for one in points for value in (one.value, one.low) if value is not None]
    return [f'<path d="{stems}" stroke="{_INK}" stroke-width="2" fill="none"/>', *_marks(marks)]


def _line(points: Sequence[Point], scale: _Scale) -> list[str]:
    """A line within each stretch; every value marked."""
    ways = [run for run in runs(points) if len(run) > 1]
    way = "".join(["M" + "L".join([f"{scale.x(one.at):.1f} {scale.y(one.value):.1f}" for one in run]) for run in ways])
    drawn = [f'<path d="{way}" stroke="{_SOFT}" stroke-width="1.4" fill="none"/>'] if way else []
    return drawn + _marks([(one, scale.x(one.at), scale.y(one.value)) for one in points])


def _marks(places: Sequence[tuple[Point, float, float]]) -> list[str]:
    """Filled: a device. Hollow: typed in by hand. A cross through it: test data.

    All marks of a kind are one path of strokes without length, whose round ends are the marks: a tenth of the bytes of as many circles.
    """
    if not places:
        return []
    every = "".join([f"M{x:.1f} {y:.1f}h0" for _, x, y in places])
    hollow = "".join([f"M{x:.1f} {y:.1f}h0" for one, x, y in places if one.manual])
    crosses = "".join([f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10" for one, x, y in places if one.test])
    drawn = [f'<path d="{every}" stroke="{_INK}" stroke-width="6.4" stroke-linecap="round" fill="none"/>']
    if hollow:
        drawn.append(f'<path d="{hollow}" stroke="#fff" stroke-width="3.6" stroke-linecap="round" fill="none"/>')
    if crosses:
        drawn.append(f'<path d="{crosses}" stroke="{_INK}" fill="none"/>')
    return drawn


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


# --- the words ----------------------------------------------------------------------------------------------------------------------


def _number(value: float, t: Say) -> str:
    return f"{value:g}".replace(".", t(",", "."))


def _text(one: Point, t: Say) -> str:
    return _number(one.value, t) if one.low is None else f"{_number(one.value, t)}/{_number(one.low, t)}"


def _summary(points: Sequence[Point], unit: str, t: Say) -> str:
    """What the picture shows, in one sentence: how many, from when to when, the last one."""
    if not points:
        return t("chưa có lần đo nào trong 12 tháng", "no reading in twelve months")
    first, last = points[0], points[-1]
    when = f"{local(last.at):%d/%m/%Y}"
    if len(points) == 1:
        return t(f"một lần đo, {_text(last, t)} {unit} ngày {when}", f"one reading, {_text(last, t)} {unit} on {when}")
    return t(
        f"{len(points)} lần đo từ {local(first.at):%d/%m/%Y}, gần nhất {_text(last, t)} {unit} ngày {when}",
        f"{len(points)} readings since {local(first.at):%d/%m/%Y}, the last {_text(last, t)} {unit} on {when}",
    )


def table(series: Sequence[Sequence[Point]], since: int, until: int, t: Say) -> list[Row]:
    """The year month by month, the latest first; per series ``4 · 110–135 / 70–85``. A month without any value has no row."""
    starts = [tenths for tenths, _ in _months(since - 31 * _DAY, until, t)]
    found: dict[int, list[list[Point]]] = {}
    for number, points in enumerate(series):
        for one in points:
            if since <= one.at <= until:
                found.setdefault(bisect(starts, one.at), [[] for _ in series])[number].append(one)
    rows = []
    for _, of_month in sorted(found.items(), reverse=True):
        at = local(next(points[0].at for points in of_month if points))
        rows.append(Row(f"{at:%m/%Y}", tuple(_cell(points, t) for points in of_month)))
    return rows


def _cell(points: Sequence[Point], t: Say) -> str:
    """What is real, and apart from it what is test data."""
    real, test = _ranges([one for one in points if not one.test], t), _ranges([one for one in points if one.test], t)
    return "; ".join([*([real] if real else []), *([t("thử: ", "test: ") + test] if test else [])])


def _ranges(points: Sequence[Point], t: Say) -> str:
    if not points:
        return ""
    ranges = [_range([one.value for one in points], t)]
    lows = [one.low for one in points if one.low is not None]
    if lows:
        ranges.append(_range(lows, t))
    return " / ".join(ranges) + t(f" · {len(points)} lần", f" · {len(points)}×")


def _range(values: Sequence[float], t: Say) -> str:
    low, high = _number(min(values), t), _number(max(values), t)
    return low if low == high else f"{low}–{high}"
