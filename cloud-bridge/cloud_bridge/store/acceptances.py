"""What stations say of themselves for `tram-bridge fleet`: who accepted them, when, with which waivers; how full their cards are."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, select, tuple_

from appliance.contract.events import CardRoom, Event, StationAccepted
from cloud_bridge.store.enrolment_tables import acceptance, card
from cloud_bridge.store.writing import once, upsert


class Accepted(NamedTuple):
    """The last acceptance of a station. `at` is tenths of a second since 1970; `waived` are (step, reason)."""

    at: int
    technician: str
    code: str
    waived: tuple[tuple[str, str], ...]


def take(tx: Connection, station: str, event: Event, body: StationAccepted, at: int, key: tuple[bytes, int, int]) -> None:
    """Keep one, once."""
    once(
        tx, acceptance, station=station, epoch=key[0], lane=int(key[1]), seq=key[2], wall=event.stamp.wall, technician=body.technician,
        code=body.code, passed=" ".join(_word(one) for one in body.passed), absent=" ".join(_word(one) for one in body.absent),
        waived="\n".join(f"{_word(one.step)}: {' '.join(one.reason.split())}" for one in body.waived), software=event.software, received=at,
    )  # fmt: skip


def latest(tx: Connection, stations: Iterable[str]) -> dict[str, Accepted]:
    """The last acceptance of each of some stations."""
    c = acceptance.c
    rows = tx.execute(
        select(c.station, c.wall, c.technician, c.code, c.waived).where(c.station.in_(sorted(stations))).order_by(c.wall, c.received)
    )
    return {row.station: Accepted(int(row.wall), row.technician, row.code, _read(row.waived)) for row in rows}


def fill(tx: Connection, station: str, event: Event, body: CardRoom) -> None:
    """How full a card is; of two reports the later by the box's clock stays."""
    fresh = upsert(tx, card).values(station=station, wall=event.stamp.wall, used=body.used, total=body.total)
    newer = tuple_(fresh.excluded.wall, fresh.excluded.used) > tuple_(card.c.wall, card.c.used)
    changes = {name: fresh.excluded[name] for name in ("wall", "used", "total")}
    tx.execute(fresh.on_conflict_do_update(index_elements=["station"], set_=changes, where=newer))


def shares(tx: Connection, stations: Iterable[str]) -> dict[str, float]:
    """How full the cards of some stations are, 0 to 1; a station that never told has none."""
    rows = tx.execute(select(card.c.station, card.c.used, card.c.total).where(card.c.station.in_(sorted(stations))))
    return {row.station: min(1.0, max(0.0, row.used / row.total)) for row in rows if row.total > 0}


def _word(step: str) -> str:
    """A step as one word: a hostile one has no spaces here."""
    return "_".join(step.split())


def _read(lines: str) -> tuple[tuple[str, str], ...]:
    pairs = (one.partition(": ") for one in lines.split("\n") if one)
    return tuple((step, reason) for step, _colon, reason in pairs)
