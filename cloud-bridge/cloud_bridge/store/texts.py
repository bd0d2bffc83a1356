"""Text messages of stations' emergency buttons, each once, byte-exact."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from cloud_bridge.store.staff_tables import sms_message
from cloud_bridge.store.writing import upsert


@dataclass(frozen=True, slots=True)
class TextMessage:
    """One row. `received` is the bridge's time, tenths of a second since 1970."""

    station: str
    digest: bytes
    call: int
    consult: int
    sender: str
    message: bytes
    received: int


def keep(tx: Connection, station: str, digest: bytes, *, call: int, consult: int, sender: str, message: bytes, at: int) -> bool:
    """True when it is new."""
    row = {"call": call, "consult": consult, "sender": sender[:40], "message": message}
    new = upsert(tx, sms_message).values(station=station, digest=digest, **row, received=at)
    return tx.execute(new.on_conflict_do_nothing().returning(sms_message.c.call)).first() is not None


def recent(tx: Connection, limit: int = 50) -> list[TextMessage]:
    """The newest first."""
    rows = tx.execute(select(sms_message).order_by(sms_message.c.received.desc(), sms_message.c.digest).limit(limit))
    return [TextMessage(*row) for row in rows]
