"""Who is on duty: tiers, shifts as they are written, what was published, what each station was told of it.

A shift counts from the moment it is published. Publishing keeps a copy of all shifts of the period and tells the stations
of the organisation in the same transaction. Times are tenths of a second since 1970; a period is ``[start, end)``.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cbor2
from sqlalchemy import Connection, delete, func, select

from appliance import __version__
from appliance.contract.events import Department, Duty, Event, RotaPublished
from appliance.contract.readings import ClockQuality, Stamp
from appliance.contract.wiring import give
from cloud_bridge.store import outbox
from cloud_bridge.store.rota_tables import rota, rota_sent, shift, tier
from cloud_bridge.store.tables import station
from cloud_bridge.store.writing import upsert

HOUR = 36_000
DAY = 24 * HOUR
ZONE = 7 * HOUR
"""Vietnam is at UTC+7 the whole year (no daylight saving since 1975)."""
AHEAD = 8 * DAY
"""A station is told at most so much: a week, and the day that is running."""
LONGEST = 7 * DAY
"""No person is on duty for longer without a break in the list; a longer shift is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One person answers for one department of an organisation. `login` is their account at the console, where they have one."""

    organisation: str
    department: Department
    start: int
    end: int
    name: str
    phone: str = ""
    login: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Nobody answers for `department` in ``[start, end)``."""

    department: Department
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tier:
    """An organisation that answers, and the one above it (empty: the last)."""

    organisation: str
    number: int
    name: str
    above: str = ""


def midnight(at: int) -> int:
    """The beginning of the day in Vietnam."""
    return (at + ZONE) // DAY * DAY - ZONE


# --- tiers ----------------------------------------------------------------------------------------------------------------------------


def set_tier(tx: Connection, one: Tier) -> None:
    """Say what an organisation is and whom it hands on to."""
    row = {"organisation": one.organisation, "number": one.number, "name": one.name, "above": one.above}
    fresh = upsert(tx, tier).values(**row)
    tx.execute(fresh.on_conflict_do_update(index_elements=["organisation"], set_={name: fresh.excluded[name] for name in row}))


def tiers(tx: Connection) -> dict[str, Tier]:
    """Every tier by its organisation, the lowest first."""
    rows = tx.execute(select(tier).order_by(tier.c.number, tier.c.organisation))
    return {row.organisation: Tier(row.organisation, row.number, row.name, row.above) for row in rows}


# --- writing a rota -------------------------------------------------------------------------------------------------------------------


def add(tx: Connection, one: Shift) -> None:
    """Write a shift; the same one again is the same one. ValueError when it has no name, no length, or is longer than a week."""
    if not one.name.strip():
        raise ValueError("a shift without a name")
    if not 0 < one.end - one.start <= LONGEST:
        raise ValueError("a shift ends after it begins, and within a week")
    values = {
        "organisation": one.organisation, "department": int(one.department), "start": one.start, "end": one.end,
        "name": one.name, "phone": one.phone, "login": one.login,
    }  # fmt: skip
    fresh = upsert(tx, shift).values(**values)
    keys = ["organisation", "department", "start", "end", "name"]
    tx.execute(fresh.on_conflict_do_update(index_elements=keys, set_={"phone": fresh.excluded.phone, "login": fresh.excluded.login}))


def remove(tx: Connection, organisation: str, number: int) -> bool:
    """Strike a shift of this organisation; True when there was one."""
    return tx.execute(delete(shift).where(shift.c.id == number, shift.c.organisation == organisation)).rowcount == 1


def written(tx: Connection, organisation: str, start: int, end: int) -> list[tuple[int, Shift]]:
    """The shifts that touch a period, with their numbers, in order."""
    c = shift.c
    query = select(shift).where(c.organisation == organisation, c.start < end, c.end > start).order_by(c.start, c.department, c.name)
    return [
        (row.id, Shift(row.organisation, Department(row.department), row.start, row.end, row.name, row.phone, row.login))
        for row in tx.execute(query)
    ]


def copy(tx: Connection, organisation: str, start: int, end: int, by: int) -> int:
    """Write the shifts that begin in a period once more, `by` tenths later; how many."""
    found = [one for _, one in written(tx, organisation, start, end) if start <= one.start < end]
    for one in found:
        add(tx, Shift(one.organisation, one.department, one.start + by, one.end + by, one.name, one.phone, one.login))
    return len(found)


# --- publishing -----------------------------------------------------------------------------------------------------------------------


def publish(tx: Connection, organisation: str, start: int, end: int, *, gaps: Sequence[Gap], actor: str, at: int) -> int:
    """What is written of a period is now true, and every station of the organisation is told: the version.

    `gaps` are the uncovered hours that `actor` has been shown and has confirmed; they are kept with the publication.
    """
    shifts = [one for _, one in written(tx, organisation, start, end)]
    last = tx.scalar(select(func.max(rota.c.version)).where(rota.c.organisation == organisation)) or 0
    version = max(at, last + 1)
    said = json.dumps([[int(one.department), one.start, one.end] for one in gaps])
    tx.execute(
        rota.insert().values(
            organisation=organisation, version=version, start=start, end=end, shifts=_packed(shifts), gaps=said, actor=actor, at=at
        )
    )
    for name in _stations(tx, organisation):
        tell(tx, name, organisation, at)
    return version


def _packed(shifts: Iterable[Shift]) -> bytes:
    return cbor2.dumps([[int(one.department), one.start, one.end, one.name, one.phone, one.login] for one in shifts])


def _stations(tx: Connection, organisation: str) -> list[str]:
    query = select(station.c.id).where(station.c.organisation == organisation, station.c.revoked.is_(None)).order_by(station.c.id)
    return [row.id for row in tx.execute(query)]


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published last of a period: its version, who did it when, how many uncovered times they had confirmed."""

    version: int
    actor: str
    at: int
    gaps: int
    shifts: bytes


def latest(tx: Connection, organisation: str, start: int, end: int) -> Publication | None:
    """The last publication that touches a period."""
    c = rota.c
    query = select(rota).where(c.organisation == organisation, c.start < end, c.end > start).order_by(c.version.desc()).limit(1)
    row = tx.execute(query).one_or_none()
    return None if row is None else Publication(row.version, row.actor, row.at, len(json.loads(row.gaps)), bytes(row.shifts))


def same(one: Publication, shifts: Iterable[Shift]) -> bool:
    """Whether these shifts are what was published."""
    return one.shifts == _packed(shifts)


def published(tx: Connection, organisation: str, start: int, end: int) -> tuple[list[Shift], int | None]:
    """What is true of a period: its shifts, cut to the hours they were last published for, and until when anything is published.

    None when nothing was ever published for a later moment than `start`.
    """
    c = rota.c
    query = select(rota).where(c.organisation == organisation, c.start < end, c.end > start).order_by(c.version.desc())
    free, found, until = [(start, end)], [], None
    for row in tx.execute(query):
        until = max(until or 0, row.end)
        mine = [(max(low, row.start), min(high, row.end)) for low, high in free if low < row.end and high > row.start]
        free = [piece for low, high in free for piece in ((low, min(high, row.start)), (max(low, row.end), high)) if piece[0] < piece[1]]
        for department, begins, ends, name, phone, login in cbor2.loads(row.shifts):
            for low, high in mine:
                if begins < high and ends > low:
                    found.append(Shift(organisation, Department(department), max(begins, low), min(ends, high), name, phone, login))
    return joined(found), until


def joined(shifts: Iterable[Shift]) -> list[Shift]:
    """Shifts of one person in one department that touch or overlap, as one; in order."""
    made: list[Shift] = []
    for one in sorted(shifts, key=lambda one: (*_who(one), one.start, one.end)):
        last = made[-1] if made else None
        if last is not None and _who(last) == _who(one) and one.start <= last.end:
            made[-1] = Shift(one.organisation, one.department, last.start, max(last.end, one.end), one.name, one.phone, one.login)
        else:
            made.append(one)
    return sorted(made, key=lambda one: (one.start, one.department, one.name))


def _who(one: Shift) -> tuple[int, str, str, str]:
    return (int(one.department), one.name, one.phone, one.login)


def at_work(tx: Connection, organisation: str, at: int) -> list[Shift]:
    """Everybody of an organisation who is on duty at this moment, by department."""
    shifts, _ = published(tx, organisation, at, at + 1)
    return sorted(shifts, key=lambda one: (one.department, one.name))


# --- telling the stations -------------------------------------------------------------------------------------------------------------


def notice(tx: Connection, organisation: str, at: int) -> RotaPublished | None:
    """What a station of the organisation should know on this day; None while nothing is published for it."""
    start = midnight(at)
    shifts, until = published(tx, organisation, start, start + AHEAD)
    if until is None:
        return None
    number = next((one.number for one in tiers(tx).values() if one.organisation == organisation), 1)
    said = [Duty(one.department, number, one.start, one.end, one.name, one.phone) for one in shifts]
    return RotaPublished(at, start, min(until, start + AHEAD), tuple(said))


def tell(tx: Connection, name: str, organisation: str, at: int) -> bool:
    """Tell a station who is on duty unless it was told exactly this before; True when something was queued.

    The period begins with the day that is running, so a rota that does not change is told once a day.
    """
    body = notice(tx, organisation, at)
    if body is None:
        return False
    digest = _digest(body)
    row = tx.execute(select(rota_sent).where(rota_sent.c.station == name)).one_or_none()
    if row is not None and bytes(row.digest) == digest:
        return False
    version = max(at, row.version + 1 if row is not None else 0)
    fresh = upsert(tx, rota_sent).values(station=name, version=version, digest=digest)
    changes = {"version": fresh.excluded.version, "digest": fresh.excluded.digest}
    tx.execute(fresh.on_conflict_do_update(index_elements=["station"], set_=changes))
    stamp = Stamp(0, 0, 0, at, ClockQuality.SYNCED)
    outbox.append(tx, name, Event(stamp, "", __version__, RotaPublished(version, body.start, body.end, body.shifts)))
    return True


def _digest(body: RotaPublished) -> bytes:
    return hashlib.sha256(cbor2.dumps([body.start, body.end, [give(one) for one in body.shifts]], canonical=True)).digest()


def untold(tx: Connection, at: int) -> list[tuple[str, str]]:
    """(station, organisation) of every station that was not told what `tell` would say now."""
    c = station.c
    query = (
        select(c.id, c.organisation, rota_sent.c.digest)
        .outerjoin(rota_sent, rota_sent.c.station == c.id)
        .where(c.revoked.is_(None), c.organisation.in_(select(rota.c.organisation).distinct()))
        .order_by(c.id)
    )
    said: dict[str, bytes | None] = {}
    found = []
    for row in tx.execute(query):
        if row.organisation not in said:
            body = notice(tx, row.organisation, at)
            said[row.organisation] = None if body is None else _digest(body)
        wanted = said[row.organisation]
        if wanted is not None and (row.digest is None or bytes(row.digest) != wanted):
            found.append((row.id, row.organisation))
    return found
