"""The chart of twelve months: the data that `trend.js` draws. Pure; values alone, without limits or zones (decision 22)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from appliance.contract.metrics import TABLE, Metric, Status
from appliance.contract.readings import ReadingKind, Source
from cloud_bridge.console.present import ZONE, Point
from cloud_bridge.console.words import KINDS, Say
from cloud_bridge.store.history import METRICS, Vital

GAP = 45 * 24 * 36_000
"""Two values further apart are not joined: those who come monthly have a line, a missed visit is a gap (as at the kiosk)."""
THIN_FROM = 400
"""A longer series keeps each day's lowest and highest value: nothing that happened is smoothed away."""
_DAY, _ZONE = 24 * 36_000, 7 * 36_000
_LOW, _HIGH, _TEST = float("-inf"), float("inf"), int(Status.TEST_DATA)
_PANELS: tuple[tuple[str, tuple[Metric, ...]], ...] = (
    ("bp", (Metric.SYSTOLIC, Metric.DIASTOLIC)), ("spo2", (Metric.SPO2,)), ("pulse_rate", (Metric.PULSE_RATE,)),
    ("temperature", (Metric.TEMPERATURE,)),
)  # fmt: skip


def year(found: Iterable[Vital], t: Say) -> dict[str, Any]:
    """As `present.trend`, of a year: per panel its name, unit and points ``[unix seconds, value(s) …, mark]``.

    Over a gap, between two devices, device and hand, test data and what is real stands a point without values.
    """
    ordered = sorted((_at(one), one) for one in found)
    panels = []
    for name, metrics in _PANELS:
        row = TABLE[metrics[0]]
        words = t(*KINDS[ReadingKind.BLOOD_PRESSURE]) if len(metrics) > 1 else t(row.vi, row.en)
        labels = [t(TABLE[one].vi, TABLE[one].en) for one in metrics]
        panels.append({"id": name, "name": words, "unit": t(row.unit_vi, row.unit), "points": _points(ordered, metrics), "labels": labels})
    gap = t("45 ngày", "45 days")
    return {"panels": [panel for panel in panels if panel["points"]], "time": t("Lúc", "At"), "gap": gap, "months": 12}


def _at(one: Vital) -> int:
    """When it was measured: by the device's own clock for what comes out of its memory, where that can be read."""
    if one.device_time is None:
        return one.wall
    try:
        return int(datetime.fromisoformat(one.device_time).replace(tzinfo=ZONE).timestamp() * 10)
    except (ValueError, OverflowError):
        return one.wall


_Placed = tuple[int, Vital]


def _points(ordered: Sequence[_Placed], metrics: Sequence[Metric]) -> list[Point]:
    places = [5 + METRICS.index(metric) for metric in metrics]
    top, bottom = places[0], places[-1]
    some = [placed for placed in ordered if placed[1][top] is not None or placed[1][bottom] is not None]
    points: list[Point] = []
    last: tuple[int, tuple[int, bool, int]] | None = None
    for at, one in _thinned(some, places):
        test = one.status & _TEST != 0
        kin = (one.device, test, int(one.source == Source.MANUAL))
        if last is not None and (at - last[0] > GAP or kin != last[1]):
            points.append([(last[0] + at) / 20, *[None] * len(places), 0])
        points.append([at / 10, *[_number(one[place]) for place in places], kin[2] + 2 * test])
        last = at, kin
    return points


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _thinned(some: Sequence[_Placed], places: Sequence[int]) -> list[_Placed]:
    """Each day's highest first and lowest last value of a long series, real and test data apart, in order of time."""
    if len(some) <= THIN_FROM:
        return list(some)
    top, bottom = places[0], places[-1]
    most: dict[tuple[int, int], _Placed] = {}
    least: dict[tuple[int, int], _Placed] = {}
    for placed in some:
        at, one = placed
        day = ((at + _ZONE) // _DAY, one.status & _TEST)
        if day not in most:
            most[day] = least[day] = placed
            continue
        if _or(one[top], _LOW) > _or(most[day][1][top], _LOW):
            most[day] = placed
        if _or(one[bottom], _HIGH) < _or(least[day][1][bottom], _HIGH):
            least[day] = placed
    kept = [*most.values(), *(placed for day, placed in least.items() if placed is not most[day])]
    return sorted(kept)


def _or(value: Any, otherwise: float) -> Any:
    return otherwise if value is None else value
