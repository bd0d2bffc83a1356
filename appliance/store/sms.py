"""Text messages of the emergency button: what was raised, what the network said, what the bridge acknowledged.

A message is sealed once and kept: every repeat is the same bytes, so that the bridge knows a repeat from a second emergency.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum

from appliance.contract.events import ConsultRequested, Urgency
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Stamp
from appliance.contract.sms import OLDEST_MINUTES, TENTH, Alarm, Vital, digest, seal_alarm
from appliance.database import Connection, transaction
from appliance.store.consults import listing
from appliance.store.outbox import RECEIVED

MINUTE = 600
FRESH = 60 * MINUTE
"""Tenths of a second: an emergency older than an hour is not raised by message any more (the message itself is valid for one)."""
ABOUT = 60 * MINUTE
"""An urgent request of the last hour that the bridge has not vouched for is what the button is about."""
FIRST_VITALS = (
    Metric.SPO2, Metric.PULSE_RATE, Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.RESPIRATION, Metric.TEMPERATURE, Metric.GLUCOSE,
)  # fmt: skip
"""What a doctor asks first (airway, circulation, temperature; clinical.md's order of the early-warning score)."""


class State(IntEnum):
    """How far a message has come."""

    WAITING = 0
    SENT = 1
    ACKNOWLEDGED = 2
    FAILED = 3
    NEEDLESS = 4
    """The line was there first: the bridge's receipt came before the message was sent."""


@dataclass(frozen=True, slots=True)
class Text:
    """One message. Times are tenths of a second since 1970; `tries` counts sendings, `reason` is why the last one failed."""

    number: int
    emergency: int
    message: bytes
    state: State
    made: int
    tries: int
    sent: int | None
    acknowledged: int | None
    reason: str


def due(conn: Connection, now: Stamp, after: int) -> list[int]:
    """Presses that wait `after` tenths of a second for the line's receipt in vain and have no message yet.

    Of an earlier boot too: the power may fail in the same minute. How long the box was off only the wall clock can say, which a box
    without a battery sets back to where it stood; so both it and this boot must be younger than an hour.
    """
    rows = conn.execute(
        "SELECT e.id FROM emergency AS e LEFT JOIN outbox AS o ON o.id = e.outbox"
        " WHERE CASE WHEN e.boot = :boot THEN e.ticks BETWEEN :ticks - :fresh AND :ticks - :after"
        " ELSE :ticks BETWEEN :after AND :fresh AND abs(:wall - e.wall) < :fresh END"
        " AND (o.state IS NULL OR o.state <> :received) AND NOT EXISTS (SELECT 1 FROM sms WHERE sms.emergency = e.id) ORDER BY e.id",
        {"boot": now.boot, "ticks": now.ticks, "wall": now.wall, "fresh": FRESH, "after": after, "received": RECEIVED},
    )
    return [row["id"] for row in rows]


def raise_alarm(
    conn: Connection, emergency: int, *, key: bytes, station: str, epoch: bytes, now: Stamp, random: Callable[[int], bytes]
) -> Text:
    """Seal the message of a press; own transaction. `key` is the epoch's (`contract.sms.key_of`)."""
    with transaction(conn):
        press = conn.execute("SELECT call, wall FROM emergency WHERE id = ?", (emergency,)).fetchone()
        number = conn.execute("SELECT coalesce(max(number), 0) + 1 FROM sms").fetchone()[0]
        message = seal_alarm(_alarm(conn, press["call"], press["wall"], now), number, key, station, epoch, random)
        conn.execute(
            "INSERT INTO sms (number, emergency, message, state, made) VALUES (?, ?, ?, ?, ?)",
            (number, emergency, message, State.WAITING, now.wall),
        )
    return Text(number, emergency, message, State.WAITING, now.wall, 0, None, None, "")


def _alarm(conn: Connection, call: int, wall: int, now: Stamp) -> Alarm:
    for row in listing(conn, waiting=True):
        asked = row.requested
        if row.urgency is not Urgency.ROUTINE and 0 <= now.wall - row.saved < ABOUT and row.withdrawn is None:
            who, test = asked.identity, any(one.status & Status.TEST_DATA for one in asked.readings)
            return Alarm(
                call, wall, row.consult, asked.urgency, asked.department, who.sex, _age(who.birth, now.wall), _vitals(asked, now.wall), test
            )  # fmt: skip
    return Alarm(call, wall)


def _age(birth: str, wall: int) -> int | None:
    """Whole years; of a birth year alone, the years it can be at most."""
    try:
        born = date.fromisoformat(birth if len(birth) == 10 else f"{birth}-01-01" if len(birth) == 4 else f"{birth}-01")
    except ValueError:
        return None
    today = datetime.fromtimestamp(wall / 10).date()  # noqa: DTZ006 - an age in years
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    return years if 0 <= years <= 130 else None


def _vitals(asked: ConsultRequested, wall: int) -> tuple[Vital, ...]:
    """The newest value of each of the first vitals that the request cites; values that a device called invalid stay out."""
    newest: dict[Metric, Vital] = {}
    for reading in sorted(asked.readings, key=lambda one: one.stamp.wall):
        ago = min(OLDEST_MINUTES, max(0, (wall - reading.stamp.wall) // MINUTE))
        for one in reading.numerics:
            if one.number is not None and one.number >= 0 and not one.status & Status.INVALID:
                newest[one.metric] = Vital(one.metric, int(one.number * TENTH), ago)
    return tuple(newest[metric] for metric in FIRST_VITALS if metric in newest)


def texts(conn: Connection, *, open_only: bool = True) -> list[Text]:
    """Messages in the order they were raised; `open_only`: those that wait or are not acknowledged."""
    rows = conn.execute(
        "SELECT number, emergency, message, state, made, tries, sent, acknowledged, reason FROM sms WHERE state < ? ORDER BY number",
        (State.ACKNOWLEDGED if open_only else len(State),),
    )
    return [_text(row) for row in rows]


def of_call(conn: Connection, call: int) -> Text | None:
    """The message of a press by the press's number, or None."""
    row = conn.execute(
        "SELECT s.number, s.emergency, s.message, s.state, s.made, s.tries, s.sent, s.acknowledged, s.reason"
        " FROM sms AS s JOIN emergency AS e ON e.id = s.emergency WHERE e.call = ?",
        (call,),
    ).fetchone()
    return None if row is None else _text(row)


def _text(row: tuple[object, ...]) -> Text:
    values = list(row)
    values[3] = State(int(str(values[3])))
    return Text(*values)  # type: ignore[arg-type]  # the columns of the two queries above, in the order of the fields


def sent(conn: Connection, number: int, at: int) -> None:
    """The network took it."""
    with transaction(conn):
        conn.execute(
            "UPDATE sms SET state = ?, sent = ?, tries = tries + 1, reason = '' WHERE number = ? AND state IN (?, ?)",
            (State.SENT, at, number, State.WAITING, State.SENT),
        )


def failed(conn: Connection, number: int, reason: str, *, last: bool) -> None:
    """A try came to nothing; `last`: no more follow, and the screen says so."""
    with transaction(conn):
        state = State.FAILED if last else State.WAITING
        conn.execute(
            "UPDATE sms SET state = ?, tries = tries + 1, reason = ? WHERE number = ? AND state IN (?, ?)",
            (state, reason, number, State.WAITING, State.SENT),
        )


def needless(conn: Connection) -> list[int]:
    """Messages whose press the bridge vouched for before they were sent: they are not sent; their numbers."""
    with transaction(conn):
        rows = conn.execute(
            "SELECT s.number FROM sms AS s JOIN emergency AS e ON e.id = s.emergency JOIN outbox AS o ON o.id = e.outbox"
            " WHERE s.state = ? AND s.tries = 0 AND o.state = ?",
            (State.WAITING, RECEIVED),
        ).fetchall()
        for row in rows:
            conn.execute("UPDATE sms SET state = ? WHERE number = ?", (State.NEEDLESS, row[0]))
    return [row[0] for row in rows]


def acknowledged(conn: Connection, number: int, proof: bytes, at: int) -> bool:
    """The bridge says that it has committed the alarm whose `digest` is `proof`; False when it was another one's or is known."""
    with transaction(conn):
        row = conn.execute("SELECT message, state FROM sms WHERE number = ?", (number,)).fetchone()
        if row is None or digest(row["message"]) != proof or row["state"] == State.ACKNOWLEDGED:
            return False
        conn.execute("UPDATE sms SET state = ?, acknowledged = ?, reason = '' WHERE number = ?", (State.ACKNOWLEDGED, at, number))
    return True


def tell_modem(conn: Connection, word: str, signal: int | None, at: int) -> None:
    """What the modem says of itself (`devices.at.State`), for the screens."""
    with transaction(conn):
        conn.execute(
            "INSERT INTO modem (id, word, signal, at) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " word = excluded.word, signal = excluded.signal, at = excluded.at",
            (word, signal, at),
        )


def modem(conn: Connection) -> tuple[str, int | None, int] | None:
    """(word, signal, when) as the modem said last; None where none ever spoke."""
    row = conn.execute("SELECT word, signal, at FROM modem WHERE id = 1").fetchone()
    return None if row is None else (row["word"], row["signal"], row["at"])
