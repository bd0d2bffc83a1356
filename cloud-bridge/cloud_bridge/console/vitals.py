"""Readings on a page: the same rows for a request and for a patient, for people and for programs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection

from appliance import journal
from appliance.contract.ids import spell
from appliance.contract.metrics import TABLE, words
from cloud_bridge.console import guard, present
from cloud_bridge.console.desk import desk
from cloud_bridge.console.present import ReadingRow
from cloud_bridge.store import observations, pressures, series
from cloud_bridge.store.engine import writing
from cloud_bridge.store.observations import Observation
from cloud_bridge.store.series import Wave

Clocks = dict[int, list[tuple[int, int]]]

LISTED = 40
"""Readings of a table; the chart beside it draws all that the page was made of."""


def rows(
    readings: Sequence[Observation], patient: int, devices: Mapping[int, str], *, cited: bool = False, signed: int | None = None,
    seen: frozenset[bytes] = frozenset(), waves: Mapping[bytes, Wave] = MappingProxyType({}), clocks: Clocks | None = None,
) -> list[ReadingRow]:  # fmt: skip
    """The rows of a table; what the doctor had not in view when signing says so.

    `waves` by reading key, `clocks` as `series.ahead` has them.
    """
    t = guard.say()
    return [
        present.reading_row(
            one,
            patient,
            devices,
            t,
            cited=cited,
            copies=copies,
            late=present.after_signing(one, signed, seen, cited, t),
            ahead=series.at(clocks or {}, one.reading.device, one.reading.stamp.wall),
            wave=waves.get(one.key),
        )
        for one, copies in present.folded(readings)
    ]


def noted(tx: Connection, station: str, patient: int, *lists: list[ReadingRow]) -> list[list[ReadingRow]]:
    """The rows of some tables, with how their blood pressures were taken; a guided series' last reading also says the mean of the series.

    A mean of which a reading is not among these rows, or does not stand any more, is not said.
    """
    t = guard.say()
    keys = [bytes.fromhex(row.key) for rows in lists for row in rows]
    said: dict[bytes, list[str]] = {}
    for key, how in pressures.taken(tx, station, keys).items():
        said.setdefault(key, []).append(t(*present.taken_pair(how)))
    stand = {bytes.fromhex(row.key) for rows in lists for row in rows if not row.struck}
    for mean in pressures.averages(tx, station, patient) if said else ():
        if mean.keys and stand.issuperset(mean.keys):
            said.setdefault(mean.keys[-1], []).append(present.mean_text(mean, t))
    return [[replace(row, notes=(*row.notes, *said.get(bytes.fromhex(row.key), ()))) for row in rows] for rows in lists]


def show(tx: Connection, station: str, readings: Iterable[Observation]) -> list[bytes]:
    """Note what a doctor's page now carries for the first time; `say_shown` tells the journal once it is committed."""
    if not guard.me().signs:
        return []
    return observations.mark_shown(tx, station, [one.key for one in readings if one.shown is None], desk().now())


def note_shown(station: str, readings: Sequence[Observation], consult: int | None = None) -> None:
    """Both, in a transaction of its own, when there is something to note."""
    if any(one.shown is None for one in readings):
        with writing(desk().engine) as tx:
            new = show(tx, station, readings)
        say_shown(station, new, consult)


def say_shown(station: str, keys: Iterable[bytes], consult: int | None = None) -> None:
    """One line of the journal for each reading."""
    for key in keys:
        journal.step(desk().log, "shown", station=station, reading_key=key, consult=consult)


def plain(one: Observation, patient: int, devices: Mapping[int, str]) -> dict[str, Any]:
    """A reading as a program reads it. A value that is missing is null and its status says why."""
    reading = one.reading
    return {
        "key": one.key.hex(), "kind": reading.kind.name.lower(), "patient": one.patient,
        "at": one.when, "at_error": one.bar, "stamped": reading.stamp.wall,
        "clock": reading.stamp.quality.name.lower(), "source": reading.source.name.lower(), "device": devices.get(reading.device, ""),
        "device_id": spell(reading.device), "device_time": reading.device_time, "status": words(reading.status),
        "numerics": [
            {"metric": each.metric.name, "value": None if each.number is None else float(each.number), "unit": TABLE[each.metric].unit,
             "status": words(each.status)}
            for each in reading.numerics
        ],
        "received": one.received, "shown": one.shown, "stands": one.stands_for(patient), "in_error": one.in_error,
        "disputed": one.disputed,
    }  # fmt: skip
