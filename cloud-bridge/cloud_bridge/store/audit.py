"""Heads of the stations' audit chains: whether what a station says now agrees with what it said before.

A station sends the hash of its last entry (`head` of entry `count`) and, reckoned anew from its first row, the hash of the
entry whose head it had sent before (`before` of entry `before_count`). Whoever takes away, changes or moves an entry cannot
make both agree with the heads kept here. Nothing depends on the order in which heads arrive: what two heads say about each
other is the same whichever came first, and a head that came twice (a repeat, or moved to a new epoch) says nothing new.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select, update

from appliance.contract.events import AuditHead, Event
from cloud_bridge.store.staff_tables import audit_alarm, audit_head
from cloud_bridge.store.writing import once

CHANGED, GONE, BACK, FORK, ANEW = "changed", "gone", "back", "fork", "anew"
"""Why heads disagree: an entry has another hash than the one kept here; it is not there any more; the log is shorter than it
was; two heads follow the same one (an older copy of the store was put back, or entries were taken away); a second log began."""


@dataclass(frozen=True, slots=True)
class Head:
    """One head as it came. `epoch` and `seq` are its place in the relay."""

    epoch: bytes
    seq: int
    count: int
    head: bytes
    before_count: int
    before: bytes

    @property
    def said(self) -> tuple[int, bytes, int, bytes]:
        """What it says, wherever it stood."""
        return self.count, self.head, self.before_count, self.before


@dataclass(frozen=True, slots=True)
class Alarm:
    """A station's heads do not agree about `entry`; `noticed` and `looked` are the bridge's time."""

    station: str
    entry: int
    why: str
    noticed: int
    looked: int | None
    looked_by: str | None


def alone(one: Head) -> set[tuple[int, str]]:
    """What a head says against itself: (entry, why)."""
    found = set()
    if one.before_count and not one.before:
        found.add((one.before_count, GONE))
    if one.before_count > one.count:
        found.add((one.count, BACK))
    if one.before_count == one.count and one.before and one.before != one.head:
        found.add((one.count, CHANGED))
    return found


def between(one: Head, other: Head) -> set[tuple[int, str]]:
    """What two heads of one station say against each other: (entry, why). The same either way round."""
    if one.said == other.said:
        return set()
    found = set()
    if one.count == other.count and one.head != other.head:
        found.add((one.count, CHANGED))
    for later, earlier in ((one, other), (other, one)):
        if later.before_count == earlier.count and later.before_count and later.before and later.before != earlier.head:
            found.add((earlier.count, CHANGED))
        if later.epoch == earlier.epoch and later.seq > earlier.seq and later.count < earlier.count:
            found.add((later.count, BACK))
    if one.before_count == other.before_count and (one.count, one.head) != (other.count, other.head):
        found.add((one.before_count, FORK) if one.before_count else (0, ANEW))
    return found


def against(one: Head, others: Iterable[Head]) -> set[tuple[int, str]]:
    """Everything that `one` brings to light among heads that are there already."""
    return alone(one).union(*(between(one, other) for other in others))


def take(tx: Connection, station: str, event: Event, body: AuditHead, at: int, key: tuple[bytes, int, int]) -> None:
    """Keep a head and what it brings to light; `key` is the event's place (epoch, lane, seq)."""
    one = Head(key[0], key[2], body.count, body.head, body.before_count, body.before)
    for entry, why in sorted(against(one, _concerned(tx, station, one))):
        once(tx, audit_alarm, station=station, entry=entry, why=why, noticed=at)
    once(
        tx, audit_head, station=station, epoch=one.epoch, lane=int(key[1]), seq=one.seq, count=one.count, head=one.head,
        before_count=one.before_count, before=one.before, wall=event.stamp.wall, received=at,
    )  # fmt: skip


def _concerned(tx: Connection, station: str, one: Head) -> list[Head]:
    """The heads that can disagree with `one`: found by number, not by going through all there ever were."""
    c = audit_head.c
    numbers = or_(c.count.in_((one.count, one.before_count)), c.before_count.in_((one.count, one.before_count)))
    query = select(c.epoch, c.seq, c.count.label("entries"), c.head, c.before_count, c.before).where(c.station == station)
    same = [query.where(numbers)]
    for order, side in ((c.seq.desc(), (c.seq < one.seq) & (c.count > one.count)), (c.seq, (c.seq > one.seq) & (c.count < one.count))):
        same.append(query.where(c.epoch == one.epoch, side).order_by(order).limit(50))
    return [
        Head(bytes(row.epoch), row.seq, row.entries, bytes(row.head), row.before_count, bytes(row.before))
        for each in same
        for row in tx.execute(each)
    ]


def alarms(tx: Connection, limit: int = 100) -> list[Alarm]:
    """What no person has looked at, the oldest first."""
    query = select(audit_alarm).where(audit_alarm.c.looked.is_(None))
    rows = tx.execute(query.order_by(audit_alarm.c.noticed, audit_alarm.c.station, audit_alarm.c.entry, audit_alarm.c.why).limit(limit))
    return [Alarm(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def looked(tx: Connection, station: str, login: str, at: int) -> int:
    """A person has seen what was noticed about a station until now; how many alarms that were."""
    c = audit_alarm.c
    mine = update(audit_alarm).where(c.station == station, c.looked.is_(None))
    return int(tx.execute(mine.values(looked=at, looked_by=login)).rowcount)
