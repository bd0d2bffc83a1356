"""Readings at the bridge: each once, whoever brings it and in whatever order.

A *claim* says that a reading belongs to a patient. A reading has two usual claims, the copy inside a consult and the
station's own record, and both name the same patient; then they are one observation. When claims name different
patients the reading is *disputed*: it belongs to nobody until a person has looked (decision 3).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import cbor2
from sqlalchemy import Connection, bindparam, delete, select, tuple_, update

from appliance.contract import spelling
from appliance.contract.events import Marks
from appliance.contract.metrics import Metric
from appliance.contract.readings import ClockQuality, Reading
from appliance.contract.wiring import take
from cloud_bridge.store import times
from cloud_bridge.store.engine import translated
from cloud_bridge.store.tables import VIA_CONSULT, VIA_RECORD, conflict, consult_reading, correction, observation, retimed, tombstone
from cloud_bridge.store.writing import copy_in, insert_many, once, put, upsert

COLUMNS = {
    Metric.SPO2: "spo2",
    Metric.PULSE_RATE: "pulse",
    Metric.SYSTOLIC: "systolic",
    Metric.DIASTOLIC: "diastolic",
    Metric.MEAN: "mean",
    Metric.TEMPERATURE: "temperature",
    Metric.RESPIRATION: "respiration",
    Metric.GLUCOSE: "glucose",
    Metric.WEIGHT: "weight",
}
"""The metrics that have a column of their own."""

_NUMBERS = tuple(COLUMNS)
_ROW = (
    "station", "key", "patient", "kind", "reading", "device", "source", "status", "wall", "boot", "ticks", "quality",
    *COLUMNS.values(), "marks", "via", "disputed", "actor", "saved_after", "received",
)  # fmt: skip
COPY_FROM = 20
"""From this many new rows on PostgreSQL takes them by COPY; below it the extra statements cost more than they save."""
_MOST_KEYS = 500
"""Keys in one IN list: well under SQLite's 32,766 parameters."""


class Claim(NamedTuple):
    """One word that a reading belongs to a patient (None: the consult that would say so has not arrived)."""

    station: str
    key: bytes
    patient: int | None
    reading: Reading
    via: int
    actor: str
    at: int
    marks: int = 0
    saved_after: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """A reading as pages show it: whose it is now, what was said about it, how it came."""

    station: str
    key: bytes
    patient: int | None
    reading: Reading
    marks: Marks
    via: int
    actor: str
    saved_after: int
    received: int
    shown: int | None = field(repr=False)
    """When a doctor's page first carried it; not part of the words a page's version is made from."""
    claimants: tuple[int, ...] = ()
    """More than one patient: disputed."""
    in_error: str | None = None
    """Why the station takes it back; None while it stands."""
    moved_from: int | None = None
    moved_to: int | None = None
    moved_why: str = ""
    at: int | None = None
    """When it was measured, corrected (tenths since 1970); the stamp in `reading` stays as the station said it. None: not worked out."""
    bar: int = 0
    """How far `at` may be off, in tenths."""
    anchored: bool = True
    """False when the boot it was measured in has never met the time."""

    @property
    def when(self) -> int:
        """When it was measured, as well as that is known: tenths since 1970."""
        return self.reading.stamp.wall if self.at is None else self.at

    @property
    def disputed(self) -> bool:
        """True when the reading was claimed for more than one person."""
        return len(self.claimants) > 1

    def stands_for(self, patient: int) -> bool:
        """True when nothing speaks against showing it as this patient's."""
        return self.in_error is None and not self.disputed and self.moved_to in (None, patient)


def reading_bytes(reading: Reading) -> bytes:
    """The CBOR that the `reading` columns hold. Equal readings are equal bytes."""
    return spelling.reading(reading)


def read_reading(content: bytes) -> Reading:
    """The reading in a `reading` column."""
    reading: Reading = take(Reading, cbor2.loads(content))[0]
    return reading


def claim(tx: Connection, claims: Sequence[Claim]) -> None:
    """Take claims, in one go where they are new. The caller has put those of erased patients aside.

    New rows go in together, and so do the changes of the rest: a repeat fills in what the first copy lacked, another patient
    makes a dispute.
    """
    unsure: dict[str, list[bytes]] = {}
    for one in claims:
        if one.reading.stamp.quality is not ClockQuality.SYNCED:
            unsure.setdefault(one.station, []).append(one.key)
    first: dict[tuple[str, bytes], Claim] = {}
    again = [one for one in claims if first.setdefault((one.station, one.key), one) is not one]
    _claim_again(tx, _insert(tx, list(first.values())) + again)
    for station, keys in unsure.items():
        times.retime(tx, station, keys)


def _insert(tx: Connection, claims: Sequence[Claim]) -> list[Claim]:
    """Insert what is new; gives the claims whose reading the bridge has already."""
    if not claims:
        return []
    rows = [_values(one) for one in claims]
    if tx.dialect.name == "postgresql" and len(rows) >= COPY_FROM:
        added = _copy(tx, rows)
    elif tx.dialect.name == "postgresql":
        query = upsert(tx, observation).on_conflict_do_nothing().returning(observation.c.station, observation.c.key)
        added = {(station, bytes(key)) for station, key in tx.execute(query, [dict(zip(_ROW, row, strict=True)) for row in rows])}
    else:
        known = _known(tx, [(one.station, one.key) for one in claims])
        added = {(one.station, one.key) for one in claims} - known
        fresh = [row for row in rows if (row[0], row[1]) in added]
        insert_many(tx, "observation", _ROW, fresh)
    return [one for one in claims if (one.station, one.key) not in added]


def _known(tx: Connection, places: Iterable[tuple[str, bytes]]) -> set[tuple[str, bytes]]:
    """Which of these readings the bridge has (SQLite only: PostgreSQL says so in its INSERT)."""
    of_station: dict[str, list[bytes]] = {}
    for station, key in places:
        of_station.setdefault(station, []).append(key)
    found: set[tuple[str, bytes]] = set()
    for station, keys in of_station.items():
        for start in range(0, len(keys), _MOST_KEYS):
            some = keys[start : start + _MOST_KEYS]
            marks = ", ".join("?" * len(some))
            query = f"SELECT key FROM observation WHERE station = ? AND key IN ({marks})"  # noqa: S608 - marks alone
            found.update((station, key) for (key,) in tx.exec_driver_sql(query, (station, *some)))
    return found


def _values(one: Claim) -> tuple[Any, ...]:
    """The row of a claim, in the order of `_ROW`."""
    reading, stamp = one.reading, one.reading.stamp
    numbers: dict[int, float] = {}
    status, last = 0, None
    for numeric in reading.numerics:
        if numeric.status is not last:  # mostly all numbers of a reading have the same
            last = numeric.status
            status |= int(last)
        if numeric.value is not None:
            numbers[numeric.metric] = numeric.value / 10**numeric.scale if numeric.scale else numeric.value
    return (
        one.station, one.key, one.patient, int(reading.kind), reading_bytes(reading), reading.device, int(reading.source),
        status, stamp.wall, stamp.boot, stamp.ticks, int(stamp.quality),
        *[numbers.get(metric) for metric in _NUMBERS],
        int(one.marks), one.via, False, one.actor, one.saved_after, one.at,
    )  # fmt: skip


_STAGE = "observation_stage"


def _copy(tx: Connection, rows: Sequence[tuple[Any, ...]]) -> set[tuple[str, bytes]]:
    """One block of COPY text into a temporary table, then one INSERT; gives the (station, key) that were new.

    The detour lets a row that another worker has just brought in stand; COPY itself knows no ON CONFLICT.
    """
    columns = ", ".join(_ROW)
    cursor = tx.connection.cursor()
    with translated(tx):
        return _staged(cursor, columns, rows)


def _staged(cursor: Any, columns: str, rows: Sequence[tuple[Any, ...]]) -> set[tuple[str, bytes]]:
    cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS {_STAGE} (LIKE observation INCLUDING DEFAULTS) ON COMMIT DELETE ROWS")
    copy_in(cursor, _STAGE, columns, rows)
    cursor.execute(
        f"INSERT INTO observation ({columns}) SELECT {columns} FROM {_STAGE} ON CONFLICT DO NOTHING RETURNING station, key"  # noqa: S608 - own names
    )
    added = {(station, bytes(key)) for station, key in cursor.fetchall()}
    cursor.execute(f"DELETE FROM {_STAGE}")  # noqa: S608 - a constant
    cursor.close()
    return added


_CHANGING = ("patient", "disputed", "via", "marks", "actor", "saved_after", "reading", "wall", "boot", "ticks", "quality", "status")
"""The columns that a second claim may change."""


def _claim_again(tx: Connection, claims: Sequence[Claim]) -> None:
    """Readings the bridge has already: fill in, or dispute. Read together, changed together."""
    if not claims:
        return
    rows: dict[tuple[str, bytes], dict[str, Any]] = {}
    places = sorted({(one.station, one.key) for one in claims})
    c = observation.c
    wanted = [c.station, c.key, *[c[name] for name in _CHANGING]]
    for start in range(0, len(places), _MOST_KEYS):
        for row in tx.execute(select(*wanted).where(tuple_(c.station, c.key).in_(places[start : start + _MOST_KEYS]))):
            rows[row.station, bytes(row.key)] = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    changed: dict[tuple[str, bytes], dict[str, Any]] = {}
    for one in claims:
        place = (one.station, one.key)
        changes, claimants = _second(rows[place], one)
        for number in claimants:
            once(tx, conflict, station=one.station, key=one.key, patient=number, noticed=one.at)
        if any(rows[place][name] != value for name, value in changes.items()):
            rows[place] |= changes
            changed[place] = rows[place]
    if changed:
        query = update(observation).where(c.station == bindparam("its_station"), c.key == bindparam("its_key"))
        values = [
            {"its_station": station, "its_key": key} | {f"new_{name}": row[name] for name in _CHANGING}
            for (station, key), row in changed.items()
        ]
        tx.execute(query.values({name: bindparam(f"new_{name}") for name in _CHANGING}), values)


def _second(row: dict[str, Any], one: Claim) -> tuple[dict[str, Any], list[int]]:
    """What a claim changes of a row, and who now claims it, where that is a dispute. Pure."""
    changes: dict[str, Any] = {"via": row["via"] | one.via, "marks": row["marks"] | int(one.marks)}
    if _rank(one.via, one.saved_after, one.actor) < _rank(row["via"], row["saved_after"], row["actor"]):
        changes |= {"actor": one.actor, "saved_after": one.saved_after}
    stamp = one.reading.stamp
    if (stamp.wall, stamp.boot, stamp.ticks) < (row["wall"], row["boot"], row["ticks"]):
        fresh = dict(zip(_ROW, _values(one), strict=True))  # a device's memory read twice: its first reading stands
        changes |= {name: fresh[name] for name in ("reading", "wall", "boot", "ticks", "quality", "status")}
    if row["disputed"] or (one.patient is not None and row["patient"] not in (None, one.patient)):
        return changes | {"patient": None, "disputed": True}, [number for number in (row["patient"], one.patient) if number is not None]
    if row["patient"] is None:
        changes["patient"] = one.patient
    return changes, []


def _rank(via: int, saved_after: int, actor: str) -> tuple[bool, int, str]:
    """Whose word about who saved a reading stays: the station's record before a copy, then the earlier one."""
    return not via & VIA_RECORD, saved_after, actor


def claim_cited(tx: Connection, asked: Mapping[tuple[str, int], tuple[int, int]]) -> None:
    """Give the readings of early replies, which waited for their consult, to its patient: (station, consult) → (patient, at)."""
    places = sorted(asked)
    waiting: set[tuple[str, int]] = set()
    for start in range(0, len(places), _MOST_KEYS):
        here = tuple_(consult_reading.c.station, consult_reading.c.consult).in_(places[start : start + _MOST_KEYS])
        found = tx.execute(select(consult_reading.c.station, consult_reading.c.consult).where(here).distinct())
        waiting.update((row[0], row[1]) for row in found)
    for station, consult in sorted(waiting):
        _claim_cited(tx, station, consult, *asked[station, consult])


def _claim_cited(tx: Connection, station: str, consult: int, patient: int, at: int) -> None:
    cited = select(observation).join(
        consult_reading, (consult_reading.c.station == observation.c.station) & (consult_reading.c.key == observation.c.key)
    )
    rows = list(tx.execute(cited.where(consult_reading.c.station == station, consult_reading.c.consult == consult)))
    _claim_again(tx, [Claim(station, bytes(row.key), patient, read_reading(row.reading), VIA_CONSULT, row.actor, at) for row in rows])


def cite(tx: Connection, station: str, consult: int, keys: Iterable[bytes], start: int = 0) -> None:
    """Say that a consult (or a reply, from `start` = 1000 on) names these readings."""
    cite_many(tx, [(station, consult, key, start + number) for number, key in enumerate(keys)])


def cite_many(tx: Connection, rows: Sequence[tuple[str, int, bytes, int]]) -> None:
    """As `cite`: rows of (station, consult, key, ordinal)."""
    put(tx, consult_reading, ("station", "consult", "key", "ordinal"), rows, _lowest)


def _lowest(fresh: Any) -> Any:
    lower, changes = fresh.excluded.ordinal < consult_reading.c.ordinal, {"ordinal": fresh.excluded.ordinal}
    return fresh.on_conflict_do_update(index_elements=["station", "consult", "key"], set_=changes, where=lower)


def forget_cited(tx: Connection, station: str, consult: int) -> None:
    """Remove the readings of early replies to a consult whose patient turned out to be erased."""
    cited = select(consult_reading.c.key).where(consult_reading.c.station == station, consult_reading.c.consult == consult)
    c = observation.c
    tx.execute(delete(observation).where(c.station == station, c.key.in_(cited), c.patient.is_(None), ~c.disputed))


def forget(tx: Connection, station: str, patient: int) -> None:
    """Remove an erased patient's readings, those that were given to them included. A dispute that this leaves with one patient is over."""
    given = select(correction.c.key).where(correction.c.station == station, correction.c.to_patient == patient)
    rows = list(tx.execute(select(observation).where(observation.c.station == station, observation.c.key.in_(given))))
    for one in worked_out(tx, station, rows):
        if one.moved_to == patient:
            tx.execute(delete(observation).where(observation.c.station == station, observation.c.key == one.key))
    mine = select(conflict.c.key).where(conflict.c.station == station, conflict.c.patient == patient)
    keys = [bytes(key) for (key,) in tx.execute(mine)]
    tx.execute(delete(observation).where(observation.c.station == station, observation.c.patient == patient))
    tx.execute(delete(conflict).where(conflict.c.station == station, conflict.c.patient == patient))
    for key in keys:
        left = [number for (number,) in tx.execute(select(conflict.c.patient).where(conflict.c.station == station, conflict.c.key == key))]
        place = (observation.c.station == station, observation.c.key == key)
        if not left:
            tx.execute(delete(observation).where(*place))
        elif len(left) == 1:
            tx.execute(update(observation).where(*place).values(patient=left[0], disputed=False))
            tx.execute(delete(conflict).where(conflict.c.station == station, conflict.c.key == key))


RECENT = 40
"""Readings a page is made of: each costs 0.1 ms to unpack and judge, and a year of them has columns of its own (`history`)."""


def of_patient(tx: Connection, station: str, patient: int, *, limit: int = RECENT) -> list[Observation]:
    """A patient's newest readings, newest first: their own, those moved to them, and those in dispute."""
    # Two short looks by index: with an OR between them both databases read every reading of the station.
    c = observation.c
    own = select(observation).where(c.station == station, c.patient == patient)
    off = (retimed.c.station == station) & (retimed.c.key == c.key)
    right = own.where(~select(retimed.c.key).where(off).exists())
    rows = list(tx.execute(right.order_by(c.wall.desc(), c.ticks.desc(), c.key).limit(limit)))
    rows += tx.execute(own.join(retimed, off).order_by(retimed.c.at.desc(), c.ticks.desc(), c.key).limit(limit))
    moved = select(correction.c.key).where(correction.c.station == station, correction.c.to_patient == patient)
    held = select(conflict.c.key).where(conflict.c.station == station, conflict.c.patient == patient)
    more = {bytes(key) for (key,) in tx.execute(moved.union(held))} - {bytes(row.key) for row in rows}
    keys = sorted(more)
    for start in range(0, len(keys), _MOST_KEYS):
        some = keys[start : start + _MOST_KEYS]
        rows += tx.execute(select(observation).where(c.station == station, c.key.in_(some), c.patient.is_distinct_from(patient)))
    found = _dressed(tx, station, rows)
    found.sort(key=lambda one: (-one.when, -one.reading.stamp.ticks, one.key))
    return found[:limit]


def of_consult(tx: Connection, station: str, consult: int) -> list[Observation]:
    """The readings a consult and its replies cite, in their order."""
    on = (consult_reading.c.station == observation.c.station) & (consult_reading.c.key == observation.c.key)
    query = select(observation).join(consult_reading, on).where(consult_reading.c.station == station, consult_reading.c.consult == consult)
    return _dressed(tx, station, list(tx.execute(query.order_by(consult_reading.c.ordinal, observation.c.wall))))


def _dressed(tx: Connection, station: str, rows: Sequence[Any]) -> list[Observation]:
    """Rows as pages show them. What was given to somebody who is erased is shown to nobody."""
    found = _timed(tx, station, worked_out(tx, station, rows))
    moved = {one.moved_to for one in found if one.moved_to is not None}
    if not moved:
        return found
    erased = select(tombstone.c.patient).where(tombstone.c.station == station, tombstone.c.patient.in_(sorted(moved)))
    gone = {number for (number,) in tx.execute(erased)}
    return [one for one in found if one.moved_to not in gone]


def _timed(tx: Connection, station: str, found: Sequence[Observation]) -> list[Observation]:
    """The same with the times that the station's anchors say."""
    stamps = [(one.reading.stamp, one.received) for one in found]
    moments = [times.Moment(stamp.boot, stamp.ticks, stamp.wall, int(stamp.quality), received) for stamp, received in stamps]
    said = times.placed(tx, station, moments)
    return [replace(one, at=right.at, bar=right.bar, anchored=right.anchored) for one, right in zip(found, said, strict=True)]


def worked_out(tx: Connection, station: str, rows: Sequence[Any]) -> list[Observation]:
    """Rows with what was said about them: claims of others, corrections."""
    keys = [bytes(row.key) for row in rows]
    claims: dict[bytes, list[int]] = {}
    said: dict[bytes, list[Any]] = {}
    for start in range(0, len(keys), _MOST_KEYS):
        some = keys[start : start + _MOST_KEYS]
        for row in tx.execute(select(conflict).where(conflict.c.station == station, conflict.c.key.in_(some)).order_by(conflict.c.patient)):
            claims.setdefault(bytes(row.key), []).append(row.patient)
        for row in tx.execute(select(correction).where(correction.c.station == station, correction.c.key.in_(some))):
            said.setdefault(bytes(row.key), []).append(row)
    return [effective(row, claims.get(bytes(row.key), []), said.get(bytes(row.key), [])) for row in rows]


def effective(row: Any, claimants: Sequence[int], corrections: Sequence[Any]) -> Observation:
    """What is true now of a reading: pure. `corrections` in any order.

    A reassignment between the claimants of a dispute was a person's decision: it ends the dispute.
    """
    owner, moved_from, moved_why, in_error = row.patient, None, "", None
    for each in as_said(corrections):
        if each.to_patient is None:
            in_error = each.reason
        else:
            owner, moved_from, moved_why = each.to_patient, each.patient, each.reason
    left = () if moved_from is not None else tuple(claimants)
    moved_to = owner if moved_from is not None else None
    return Observation(
        station=row.station, key=bytes(row.key), patient=owner, reading=read_reading(row.reading), marks=Marks(row.marks), via=row.via,
        actor=row.actor, saved_after=row.saved_after, received=row.received, shown=row.shown, claimants=left, in_error=in_error,
        moved_from=moved_from, moved_to=moved_to, moved_why=moved_why,
    )  # fmt: skip


def as_said(corrections: Sequence[Any]) -> list[Any]:
    """Corrections in the order a person said them: within an epoch of the box by its count, which no clock turns back; epochs by time."""
    began: dict[bytes, int] = {}
    for each in corrections:
        epoch = bytes(each.epoch)
        began[epoch] = min(each.wall, began.get(epoch, each.wall))
    return sorted(corrections, key=lambda each: (began[bytes(each.epoch)], bytes(each.epoch), each.seq))


def mark_shown(tx: Connection, station: str, keys: Iterable[bytes], at: int) -> list[bytes]:
    """Note that a doctor's page carries these readings; gives those that no page had carried before."""
    c = observation.c
    fresh = []
    for key in keys:
        done = tx.execute(update(observation).where(c.station == station, c.key == key, c.shown.is_(None)).values(shown=at))
        if done.rowcount:
            fresh.append(key)
    return fresh
