"""What waits for a person's eyes: corrections after an answer, measurements of nobody, readings claimed for two people; and
messages in quarantine, which are read again after a fix (`tram-bridge quarantine replay`) or an update (`tram-bridge init`).
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, func, or_, select, tuple_, update

from appliance.contract.readings import Reading
from appliance.relay.pump import End
from appliance.relay.replay import Kept, Outcome, Raw, replay, reread
from appliance.relay.storage import Stream, Tx
from cloud_bridge.store import engine as engines
from cloud_bridge.store import relay_tables
from cloud_bridge.store.inbox import REDEEMED, BridgeStore
from cloud_bridge.store.observations import read_reading
from cloud_bridge.store.patients import living
from cloud_bridge.store.tables import answer, conflict, consult, consult_reading, correction, discarded, observation, unassigned


class Nobodys(NamedTuple):
    """A measurement that belongs to nobody, and why."""

    station: str
    reading: Reading
    reason: str
    received: int


class Disputed(NamedTuple):
    """A reading claimed for more than one patient."""

    station: str
    reading: Reading
    patients: tuple[int, ...]


class Corrected(NamedTuple):
    """An answered request of which the station has since corrected a reading, and why."""

    station: str
    consult: int
    who: str
    reasons: tuple[str, ...]


def _corrections(within: ColumnElement[bool]) -> Any:
    """Corrections of cited readings that came after the latest answer and that no doctor has looked at; `within` is about requests."""
    c, r = correction.c, consult_reading.c
    signed = select(func.max(answer.c.signed)).where(answer.c.station == r.station, answer.c.consult == r.consult).scalar_subquery()
    joined = select(r.station, r.consult, c.reason).join(correction, (c.station == r.station) & (c.key == r.key))
    here = (consult.c.station == r.station) & (consult.c.consult == r.consult)
    return joined.join(consult, here).where(c.looked.is_(None), signed.is_not(None), c.received > signed, within)


def corrected(tx: Connection, within: ColumnElement[bool]) -> list[Corrected]:
    """The requests a doctor should look at again, in order of station and number (decision 24)."""
    reasons: dict[tuple[str, int], list[str]] = {}
    for row in tx.execute(_corrections(within).order_by(consult_reading.c.station, consult_reading.c.consult, correction.c.received)):
        reasons.setdefault((row.station, row.consult), []).append(row.reason)
    found = []
    for (station, number), why in reasons.items():
        names = select(answer.c.name).where(answer.c.station == station, answer.c.consult == number).order_by(answer.c.signed.desc())
        found.append(Corrected(station, number, tx.execute(names).scalars().first() or "", tuple(why)))
    return found


def count_corrected(tx: Connection, within: ColumnElement[bool]) -> int:
    """How many requests that are."""
    return len({(row.station, row.consult) for row in tx.execute(_corrections(within))})


def looked(tx: Connection, station: str, number: int, login: str, at: int) -> int:
    """A doctor has looked at the corrections of a request; how many there were."""
    cited = select(consult_reading.c.key).where(consult_reading.c.station == station, consult_reading.c.consult == number)
    c = correction.c
    open_ones = update(correction).where(c.station == station, c.key.in_(cited), c.looked.is_(None))
    return int(tx.execute(open_ones.values(looked=at, looked_by=login)).rowcount)


def nobodys(tx: Connection, stations: Collection[str], limit: int = 100) -> list[Nobodys]:
    """The newest unassigned measurements of some stations; a device's own copy of one that is here is not listed beside it."""
    here = [
        select(one.c.key).where(one.c.station == unassigned.c.station, one.c.key == unassigned.c.twin).exists()
        for one in (observation, discarded, unassigned.alias())
    ]
    mine = select(unassigned).where(unassigned.c.station.in_(sorted(stations)), ~or_(*here))
    rows = tx.execute(mine.order_by(unassigned.c.received.desc(), unassigned.c.key).limit(limit))
    return [Nobodys(row.station, read_reading(row.reading), row.reason, row.received) for row in rows]


def disputed(tx: Connection, stations: Collection[str], limit: int = 100) -> list[Disputed]:
    """Readings of some stations in dispute, the newest first.

    One that the station has settled by reassigning is none: its pages say what was decided.
    """
    c = correction.c
    settled = select(c.key).where(c.station == observation.c.station, c.key == observation.c.key, c.to_patient.is_not(None)).exists()
    claimed = select(conflict.c.station, conflict.c.key).where(conflict.c.station.in_(sorted(stations)))
    mine = select(observation).where(tuple_(observation.c.station, observation.c.key).in_(claimed), observation.c.disputed, ~settled)
    query = mine.order_by(observation.c.received.desc(), observation.c.key).limit(limit)
    found = []
    for row in list(tx.execute(query)):
        claims = select(conflict.c.patient).where(
            conflict.c.station == row.station, conflict.c.key == row.key, living(conflict.c.station, conflict.c.patient)
        )
        numbers: list[Any] = [number for (number,) in tx.execute(claims.order_by(conflict.c.patient))]
        found.append(Disputed(row.station, read_reading(row.reading), tuple(numbers)))
    return found


# --- quarantine -------------------------------------------------------------------------------------------------------------------------


class Quarantined(NamedTuple):
    """A message that could not be read; `tried` and `outcome`: when it was last read again and what came of it."""

    id: int
    at: int
    station: str
    topic: str
    reason: str
    detail: str
    bytes: int
    digest: str
    lane: int | None
    first_seq: int | None
    events: int | None
    state: int
    tried: int | None
    outcome: str


def quarantined(tx: Connection, *, waiting: bool = False) -> list[Quarantined]:
    """Every message that was ever set aside, the oldest first; with `waiting` only those that still are."""
    q = relay_tables.quarantine.c
    query = select(
        q.id, q.at, q.station, q.topic, q.reason, q.detail, func.length(q.payload), q.digest, q.lane, q.first_seq, q.count, q.state,
        q.tried, q.outcome,
    ).order_by(q.id)  # fmt: skip
    rows = tx.execute(query.where(q.state != REDEEMED) if waiting else query)
    return [Quarantined._make((*row[:7], bytes(row[7]).hex(), *row[8:])) for row in rows]


def quarantined_bytes(tx: Connection, number: int) -> bytes | None:
    """The message as it came; None when there is no such row."""
    q = relay_tables.quarantine.c
    found = tx.scalar(select(q.payload).where(q.id == number))
    return None if found is None else bytes(found)


def take_again(engine: Engine, store: BridgeStore, end: End, numbers: Sequence[int], at: int) -> list[Outcome]:
    """Read messages again with today's code, once only; each keeps its row, with its outcome. Raises OSError."""
    q = relay_tables.quarantine.c
    with engines.reading(engine) as tx:
        here = (q.id.in_(list(numbers)), q.state != REDEEMED, q.topic != "")
        kept = [Kept(row[0], row[1], bytes(row[2])) for row in tx.execute(select(q.id, q.topic, q.payload).where(*here).order_by(q.id))]

    def note(tx: Tx, outcome: Outcome) -> None:
        values: dict[str, Any] = {"tried": at, "outcome": outcome.said} | ({"state": REDEEMED} if outcome.taken else {})
        tx.execute(update(relay_tables.quarantine).where(q.id == outcome.id).values(values))

    return replay(store, end, kept, note, at)


def after_update(engine: Engine, store: BridgeStore, end: End, at: int) -> tuple[int, int]:
    """Everything that waits is read again, and so are events whose kind or meaning was not understood: (messages, events) taken."""
    e = relay_tables.event.c
    with engines.reading(engine) as tx:
        numbers = [one.id for one in quarantined(tx, waiting=True)]
        rows = tx.execute(select(e.station, e.epoch, e.lane, e.seq, e.body).where(e.why.is_not(None)))
        raw = [Raw(Stream(row[0], bytes(row[1])), row[2], row[3], bytes(row[4])) for row in rows]

    def understood(tx: Tx, one: Raw, why: str | None) -> None:
        place = (e.station == one.stream.station, e.epoch == one.stream.origin, e.lane == one.lane, e.seq == one.seq)
        tx.execute(update(relay_tables.event).where(*place).values(why=why))

    taken = take_again(engine, store, end, numbers, at)
    return sum(one.taken for one in taken), reread(store, end, raw, understood)
