"""Requests that nobody opened in time go on to the next tier; stations hear who is on duty. One turn, by any carrier that is alive.

Each step is one transaction under the request's row lock: two carriers that come at the same moment take one step between
them. Waiting counts from the bridge's own clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, false, or_, select

from appliance import __version__
from appliance.contract.events import ConsultEscalated, Event, Urgency
from appliance.contract.readings import ClockQuality, Stamp
from cloud_bridge import routing
from cloud_bridge.store import outbox, rota, stations
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.rota_tables import consult_tier
from cloud_bridge.store.tables import consult
from cloud_bridge.store.writing import once

EVERY = 5.0
"""Seconds between two turns of one carrier."""
AT_A_TURN = 100
"""Steps of one turn at most, the most urgent requests first: behind an outage stand thousands, and the carrier that takes the steps
has emergencies to receive."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds a request may stay unopened with one tier: urgent and emergency ones, routine ones; 0 is for ever."""

    urgent_s: int = 600
    routine_s: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A request went on. `organisation` is empty when there is nobody above: the coordinator has to act."""

    station: str
    consult: int
    organisation: str


def turn(engine: Engine, now: int, limits: Limits) -> list[Step]:
    """Move on what has waited too long at `now` (tenths since 1970), tell stations their rota; the steps taken. OSError: later."""
    with reading(engine) as tx:
        due = _all_due(tx, now, limits)
        untold = rota.untold(tx, now)
    steps = []
    for name, number in due:
        with writing(engine) as tx:
            one = step(tx, name, number, now, limits)
        if one is not None:
            steps.append(one)
    for name, organisation in untold:
        with writing(engine) as tx:
            rota.tell(tx, name, organisation, now)
    return steps


def _unopened() -> Any:
    c = consult.c
    return select(c.station, c.consult, c.urgency, c.received).where(
        c.received.is_not(None), c.opened.is_(None), c.withdrawn.is_(None), c.answered.is_(None)
    )


def _all_due(tx: Connection, now: int, limits: Limits) -> list[tuple[str, int]]:
    """The requests that are due, the most urgent and the oldest first: two questions, however many wait."""
    c, routine = consult.c, consult.c.urgency == int(Urgency.ROUTINE)
    old = [
        kind & (c.received <= now - seconds * 10) for kind, seconds in ((routine, limits.routine_s), (~routine, limits.urgent_s)) if seconds
    ]
    late = _unopened().where(or_(false(), *old))
    asked, t = late.subquery(), consult_tier.c
    steps = select(t.station, t.consult, t.organisation, t.at).join(asked, (asked.c.station == t.station) & (asked.c.consult == t.consult))
    last = {(row.station, row.consult): row for row in tx.execute(steps.order_by(t.step))}
    found = []
    for row in tx.execute(late.order_by(c.urgency.desc(), c.received, c.station, c.consult)):
        if _late(row, last.get((row.station, row.consult)), now, limits):
            found.append((row.station, row.consult))
            if len(found) >= AT_A_TURN:
                break
    return found


def _late(row: Any, last: Any, now: int, limits: Limits) -> bool:
    """Whether a request whose `last` step is this one (None: it is where it was sent to) has waited too long. Pure."""
    if last is not None and not last.organisation:
        return False
    since = row.received if last is None else last.at
    return routing.overdue(Urgency(row.urgency), since, now, urgent_s=limits.urgent_s, routine_s=limits.routine_s)


def _been(tx: Connection, name: str, number: int) -> Sequence[Any]:
    c = consult_tier.c
    return tx.execute(select(consult_tier).where(c.station == name, c.consult == number).order_by(c.step)).all()


def _due(tx: Connection, row: Any, now: int, limits: Limits) -> bool:
    been = _been(tx, row.station, row.consult)
    return _late(row, been[-1] if been else None, now, limits)


def step(tx: Connection, name: str, number: int, now: int, limits: Limits) -> Step | None:
    """One step of one request, in the caller's transaction; None when somebody else has taken it, or it is not due any more."""
    c = consult.c
    row = tx.execute(_unopened().where(c.station == name, c.consult == number).with_for_update()).one_or_none()
    if row is None or not _due(tx, row, now, limits):
        return None
    been = _been(tx, name, number)
    home = stations.get(tx, name)
    been_at = [home.organisation if home is not None else "", *(one.organisation for one in been)]
    above = routing.next_tier(rota.tiers(tx), been_at)
    at = {"station": name, "consult": number, "step": len(been) + 1, "at": now}
    if above is None:
        once(tx, consult_tier, **at, tier=been[-1].tier if been else 0, organisation="")
        return Step(name, number, "")
    once(tx, consult_tier, **at, tier=above.number, organisation=above.organisation)
    body = ConsultEscalated(number, above.number, above.name)
    outbox.append(tx, name, Event(Stamp(0, 0, 0, now, ClockQuality.SYNCED), "", __version__, body))
    return Step(name, number, above.organisation)


def exhausted(tx: Connection) -> set[tuple[str, int]]:
    """(station, consult) of the requests that went through every tier and that nobody has opened: a coordinator has to call."""
    c = consult_tier.c
    waiting = _unopened().subquery()
    query = select(c.station, c.consult).join(waiting, (waiting.c.station == c.station) & (waiting.c.consult == c.consult))
    return {(row.station, row.consult) for row in tx.execute(query.where(c.organisation == ""))}


def path(tx: Connection, name: str, number: int) -> list[str]:
    """The organisations a request has gone on to, in order."""
    return [row.organisation for row in _been(tx, name, number) if row.organisation]
