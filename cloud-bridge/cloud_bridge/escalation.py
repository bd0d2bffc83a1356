"""Requests that nobody opened in time go on to the next tier; stations hear who is on duty. One turn, by any carrier that is alive.

Each step is one transaction under the request's row lock: two carriers that come at the same moment take one step between
them. Waiting counts from the bridge's own clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select

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
        due = [(row.station, row.consult) for row in tx.execute(_unopened()) if _due(tx, row, now, limits)]
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


def _been(tx: Connection, name: str, number: int) -> Sequence[Any]:
    c = consult_tier.c
    return tx.execute(select(consult_tier).where(c.station == name, c.consult == number).order_by(c.step)).all()


def _due(tx: Connection, row: Any, now: int, limits: Limits) -> bool:
    been = _been(tx, row.station, row.consult)
    if been and not been[-1].organisation:
        return False
    since = been[-1].at if been else row.received
    return routing.overdue(Urgency(row.urgency), since, now, urgent_s=limits.urgent_s, routine_s=limits.routine_s)


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
