"""Corrections that concern a doctor: a station has taken back, or given to somebody else, a reading that they went by (decision 24).

What is true of a reading now is worked out in `observations`; this module says who has to hear of it. Everybody who has
the request open is told until they say that they have seen it, each for themselves; the original stays.
"""

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Connection, LargeBinary, SmallInteger, String, Table, and_, or_, select

from appliance.contract.answers import read_answer
from appliance.contract.readings import Reading
from cloud_bridge.store.accounts import Account
from cloud_bridge.store.metadata import METADATA
from cloud_bridge.store.observations import read_reading
from cloud_bridge.store.tables import answer, consult_reading, correction, observation
from cloud_bridge.store.writing import once

correction_look = Table(
    "correction_look", METADATA,
    Column("station", String(16), primary_key=True),
    Column("epoch", LargeBinary, primary_key=True),
    Column("lane", SmallInteger, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("login", String(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
)  # fmt: skip
"""Who has said of which correction that they have seen it."""


class Unseen(NamedTuple):
    """A correction that somebody has not seen yet.

    `to_patient` is None when the reading was entered in error. `reading` is None while the reading itself is on its way. `signed` is
    True when a signed answer of the request rests on the reading. Times are tenths since 1970: `wall` the box's, `received` the bridge's.
    """

    epoch: bytes
    lane: int
    seq: int
    key: bytes
    patient: int
    to_patient: int | None
    reason: str
    actor: str
    wall: int
    received: int
    reading: Reading | None
    signed: bool


def corrections_for(tx: Connection, station: str, consult: int, account: Account) -> list[Unseen]:
    """The corrections of readings that this request cites, or that a signed answer to it names as seen, which `account` has not seen.

    A correction that came before any page had carried the reading alarms nobody: whoever opens the request sees it struck out.
    In the order they came. A card that was put back says in its new epoch what it had said in the old one: that is one correction.
    """
    c, o = correction.c, observation.c
    told = correction.alias().c
    same = and_(
        told.station == c.station, told.key == c.key, told.patient == c.patient, told.to_patient.is_not_distinct_from(c.to_patient),
        told.reason == c.reason, told.actor == c.actor, told.wall == c.wall,
    )  # fmt: skip
    named = _named(tx, station, consult)
    cited = select(consult_reading.c.key).where(consult_reading.c.station == station, consult_reading.c.consult == consult)
    look = correction_look.c
    looked = select(look.login).where(
        look.station == told.station, look.epoch == told.epoch, look.lane == told.lane, look.seq == told.seq,
        look.login == account.login, same,
    )  # fmt: skip
    rows = tx.execute(
        select(correction, o.reading, o.shown)
        .join(observation, (o.station == c.station) & (o.key == c.key), isouter=True)
        .where(c.station == station, or_(c.key.in_(cited), c.key.in_(sorted(named))), ~looked.exists())
        .order_by(c.received, c.wall, c.seq)
    )
    unseen = [
        Unseen(
            bytes(row.epoch), row.lane, row.seq, bytes(row.key), row.patient, row.to_patient, row.reason, row.actor, row.wall, row.received,
            None if row.reading is None else read_reading(bytes(row.reading)), bytes(row.key) in named,
        )
        for row in rows
        if bytes(row.key) in named or (row.shown is not None and row.shown <= row.received)
    ]  # fmt: skip
    found: dict[tuple[Any, ...], Unseen] = {}
    for one in unseen:
        found.setdefault((one.key, one.patient, one.to_patient, one.reason, one.actor, one.wall), one)
    return list(found.values())


def _named(tx: Connection, station: str, consult: int) -> set[bytes]:
    """The keys of the readings that stood before a doctor when they signed."""
    rows = tx.execute(select(answer.c.content).where(answer.c.station == station, answer.c.consult == consult))
    return {key for (content,) in rows for key in read_answer(bytes(content)).seen}


def corrections_seen(tx: Connection, station: str, consult: int, account: Account, at: int) -> int:
    """`account` has seen the corrections of a request; how many were new to them. Others are told on."""
    found = corrections_for(tx, station, consult, account)
    for one in found:
        once(tx, correction_look, station=station, epoch=one.epoch, lane=one.lane, seq=one.seq, login=account.login, at=at)
    return len(found)
