"""Measuring: whose reading it is (decision 14). No measurement reaches a patient without a session that stood from its first
sample to its last, and none reaches a record without a person's *Lưu*.

A *session* says: this patient, this device, from now for at most ten minutes, opened by this person. The collector stamps a
measurement with the session of its first sample; if that session is not standing any more when it settles, the
measurement goes to the *tray*, with the reason, and waits there for a person. Ticks of CLOCK_BOOTTIME decide, never the wall clock.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from appliance import __version__
from appliance.contract.events import Event, Marks, MeasurementDiscarded, MeasurementUnassigned, ObservationRecorded
from appliance.contract.lanes import Lane
from appliance.contract.metrics import Status
from appliance.contract.readings import ClockQuality, Reading, Stamp, impossible
from appliance.database import Connection, Row, transaction
from appliance.store import devices, history, memory
from appliance.store.errors import Damaged, Refused
from appliance.store.outbox import append, queue
from appliance.store.patients import clean, present, standing
from appliance.store.records import pack, unpack

SESSION_MINUTES = 10
ASSIGN_TENTHS = 15 * 60 * 10
"""How long a person may give a measurement from the tray to a patient (decision 14)."""

NO_SESSION = "no-session"
SESSION_CHANGED = "session-changed"
SESSION_ENDED = "session-ended"
SESSION_EXPIRED = "session-expired"
OTHER_DEVICE = "other-device"
RESTARTED = "restarted"
RECONNECTED = "reconnected"
"""Why a measurement lies in the tray; the last one is the collector's to give."""
ACCEPTANCE = "acceptance"
"""Why one left the tray at once: a technician tried the device (`store.acceptance`)."""

TAKEN_OVER, REOPENED, EXPIRED = "taken", "reopened", "expired"
"""Why a session ended when another was opened on its device: for somebody else, for the same patient; or its time had run out."""


class State(IntEnum):
    """`measurement.state`."""

    SETTLED = 1
    """In a session, waiting for *Lưu* or *Đo lại*."""
    RECORDED = 2
    UNASSIGNED = 3
    """In the tray."""
    DISCARDED = 4
    """*Đo lại*: kept with its reason."""
    SENT_UNASSIGNED = 5
    """Nobody claimed it in time: sent without a patient."""
    DAMAGED = 6
    """The bytes in the row are not those that were written."""


@dataclass(frozen=True, slots=True)
class Session:
    """One row of `session`; `opened`, `expires` and `ended` are ticks of `boot`, `wall` the guess when it was opened."""

    id: int
    patient: int
    staff: str
    device: str
    boot: int
    wall: int
    opened: int
    expires: int
    ended: int | None
    why: str
    headless: bool

    def standing(self, now: Stamp) -> bool:
        """True when a measurement may settle in it now."""
        return self.ended is None and self.boot == now.boot and self.opened <= now.ticks < self.expires


@dataclass(frozen=True, slots=True)
class Observed:
    """What became of a measurement: ``settled``, ``unassigned``, ``repeat`` or ``refused``, with the reason where there is one.

    `measurement` is the row (of the first time, for a repeat; 0 for a refused one, which is listed by `refusals`).
    """

    measurement: int
    state: str
    key: bytes
    why: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where a saved observation went: its number on the wire, its reading key, its patient."""

    lane: int
    seq: int
    key: bytes
    patient: int


@dataclass(frozen=True, slots=True)
class MeasurementRow:
    """One settled measurement. `patient` is that of its session or observation, None while it is nobody's."""

    id: int
    key: bytes
    device: str
    session: int | None
    patient: int | None
    reading: Reading
    raw: bytes
    state: State
    why: str
    decided_by: str
    decided: int | None
    twin: int | None = None
    """The live measurement of which this record from the device's memory is a copy: the two are shown as one."""


STANDS, TAKEN_BACK = 0, 1
"""`observation.state`: it stands; it was entered in error (`corrections`)."""


@dataclass(frozen=True, slots=True)
class ObservationRow:
    """One saved reading of a patient. `received` is when the bridge vouched for it, None as long as it has not.

    `patient` is whom it was saved for, `owner` whose it is now; `moved` is True once it was given to somebody else.
    `calibration_due`: until when the device's calibration is good, a date or empty.
    """

    id: int
    measurement: int
    key: bytes
    patient: int
    reading: Reading
    marks: Marks
    staff: str
    wall: int
    state: int
    device_name: str
    received: int | None
    owner: int
    moved: bool = False
    calibration_due: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reading that cannot be true: kept, counted, never shown as a value."""

    id: int
    device: str
    why: str
    at: int


@dataclass(frozen=True, slots=True)
class Held:
    """The same reading came again in the session of another patient: for a person to look at; nothing was moved."""

    id: int
    measurement: MeasurementRow
    session: Session
    at: int


# --- sessions -------------------------------------------------------------------------------------------------------------------------

_SESSION = "SELECT id, patient, staff, device, boot, wall, opened, expires, ended, why, headless FROM session"


_UNANSWERED = "withdrawn IS NULL AND NOT EXISTS (SELECT 1 FROM answer WHERE answer.consult = consult.id AND verified = 1)"
"""A consult that waits for its answer."""
_ASKED = f"SELECT 1 FROM consult WHERE patient = ? AND {_UNANSWERED}"  # noqa: S608 - put together from texts of this file
_AT_ONCE = f"""SELECT EXISTS (SELECT 1 FROM measurement WHERE key = ?),
EXISTS (SELECT 1 FROM patient WHERE id = session.patient AND erased = 0),
EXISTS (SELECT 1 FROM consult WHERE patient = session.patient AND {_UNANSWERED}),
{_SESSION.removeprefix("SELECT ")} WHERE session.id = ?"""  # noqa: S608 - put together from texts of this file
"""A session beside what `save_at_once` asks: whether the reading is here already, the patient is (`patients.present`), a consult waits."""


def _session(row: Row | tuple[Any, ...]) -> Session:
    return Session(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9] or "", bool(row[10]))


def open_session(
    conn: Connection, *, patient: int, staff: str, device: str, now: Stamp, minutes: int = SESSION_MINUTES, headless: bool = False
) -> Session:
    """Give the device to a patient from now on; whoever had it loses it. Own transaction.

    Refused for a patient who is not here, and without a staff code.
    """
    if not 1 <= minutes <= SESSION_MINUTES:
        raise ValueError(f"a session lasts 1 to {SESSION_MINUTES} minutes, not {minutes}")
    if not staff:
        raise Refused("Chọn tên nhân viên trước khi đo.", "choose who you are before measuring")
    with transaction(conn):
        standing(conn, patient)
        for old in conn.execute(f"{_SESSION} WHERE device = ? AND ended IS NULL", (device,)).fetchall():
            _take_over(conn, _session(old), patient, now)
        row = (patient, staff, device, now.boot, now.wall, now.ticks, now.ticks + minutes * 600, int(headless))
        made = conn.execute(
            "INSERT INTO session (patient, staff, device, boot, wall, opened, expires, headless) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
        )
        return _session(conn.execute(f"{_SESSION} WHERE id = ?", (made.lastrowid,)).fetchone())


def _take_over(conn: Connection, old: Session, patient: int, now: Stamp) -> None:
    if old.standing(now):
        ended, why = now.ticks, REOPENED if old.patient == patient else TAKEN_OVER
    else:
        ended, why = old.expires, EXPIRED
    conn.execute("UPDATE session SET ended = ?, why = ? WHERE id = ?", (ended, why, old.id))


def end_session(conn: Connection, session: int, reason: str, now: Stamp) -> None:
    """End it with a short reason (``finished``, ``screen-closed``, ``blanked``); one that ended keeps its own. Own transaction."""
    with transaction(conn):
        conn.execute("UPDATE session SET ended = min(expires, ?), why = ? WHERE id = ? AND ended IS NULL", (now.ticks, reason, session))


def session(conn: Connection, session: int) -> Session | None:
    """One session, standing or not."""
    row = conn.execute(f"{_SESSION} WHERE id = ?", (session,)).fetchone()
    return None if row is None else _session(row)


def session_for(conn: Connection, device: str, now: Stamp) -> Session | None:
    """The session that a first sample of this moment belongs to; None when there is none, or when it cannot be told.

    A tenth of a second in which one session ended and another began belongs to neither.
    """
    rows = conn.execute(f"{_SESSION} WHERE device = ? ORDER BY id DESC LIMIT 3", (device,)).fetchall()
    found = [
        one
        for one in map(_session, rows)
        if one.boot == now.boot and one.opened <= now.ticks < one.expires and (one.ended is None or one.ended >= now.ticks)
    ]
    return found[0] if len(found) == 1 else None


def cycles(conn: Connection, patient: int, device: str, now: Stamp, within: int) -> tuple[int, int | None]:
    """How many measurements of this patient's sessions this device made in the last `within` tenths of this boot, and the latest's tick."""
    row = conn.execute(
        "SELECT count(*), max(measurement.ticks) FROM session JOIN measurement ON measurement.session = session.id"
        " WHERE session.patient = ? AND measurement.device = ? AND measurement.boot = ? AND measurement.ticks > ?",
        (patient, device, now.boot, now.ticks - within),
    ).fetchone()
    return int(row[0]), row[1]


# --- observing ------------------------------------------------------------------------------------------------------------------------


def observe(
    conn: Connection, reading: Reading, *, device: str, began: int | None, now: Stamp, raw: bytes, reason: str | None = None
) -> Observed:
    """Commit a measurement at once, in its session or in the tray. Own transaction.

    `began` is the session of its first sample (`session_for`); `reason` is the collector's own reason why it can be
    nobody's (``reconnected``). `raw` are the settling frame's bytes.
    """
    with transaction(conn):
        return observe_within(conn, reading, device=device, began=began, now=now, raw=raw, reason=reason)


def observe_within(
    conn: Connection, reading: Reading, *, device: str, began: int | None, now: Stamp, raw: bytes, reason: str | None = None
) -> Observed:
    """As `observe`, in the caller's transaction: a burst of measurements is one commit."""
    (content, crc), key = pack(reading), reading.key
    why = impossible(reading)
    if why is not None:
        conn.execute("INSERT INTO refusal (device, why, reading, at) VALUES (?, ?, ?, ?)", (device, why, content, now.wall))
        return Observed(0, "refused", key, why)
    known = conn.execute("SELECT id FROM measurement WHERE key = ?", (key,)).fetchone()
    if known is not None:
        return _again(conn, int(known[0]), key, device, began, now)
    stray = reason or _why_stray(session(conn, began) if began is not None else None, device, now)
    state = State.UNASSIGNED if stray else State.SETTLED
    stamp, twin = reading.stamp, memory.twin_of(conn, reading, device)
    made = conn.execute(
        "INSERT INTO measurement (key, device, session, reading, raw, boot, ticks, wall, state, why, crc, twin)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (key, device, None if stray else began, content, raw, stamp.boot, stamp.ticks, stamp.wall, int(state), stray, crc, twin),
    )
    return Observed(int(made.lastrowid), "unassigned" if stray else "settled", key, stray)


def known(conn: Connection, key: bytes) -> bool:
    """True for a reading that is here already."""
    return conn.execute("SELECT 1 FROM measurement WHERE key = ?", (key,)).fetchone() is not None


def save_at_once(
    conn: Connection, reading: Reading, *, device: str, session: int, now: Stamp, raw: bytes
) -> tuple[Observed, Recorded] | None:
    """`observe_within` and `record_within` in one breath, in the caller's transaction, for a session that waits for nobody's *Lưu*.

    The same checks by one look at the store; None, and nothing written, where one of them does not simply hold: then
    those two say what becomes of the reading.
    """
    key = reading.key
    if impossible(reading) is not None:
        return None
    row = conn.execute(_AT_ONCE, (key, session)).fetchone()
    if row is None:
        return None
    (known, here, asked), began = tuple(row)[:3], _session(tuple(row)[3:])
    if known or not here or not began.staff or _why_stray(began, device, now):
        return None
    content, crc = packed = pack(reading)
    stamp = reading.stamp
    made = conn.execute(
        "INSERT INTO measurement (key, device, session, reading, raw, boot, ticks, wall, state, why, decided_by, decided, crc)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?, ?)",
        (key, device, session, content, raw, stamp.boot, stamp.ticks, stamp.wall, int(State.RECORDED), began.staff, now.wall, crc),
    )
    measurement, lane = int(made.lastrowid), Lane.CONSULT if asked else Lane.READINGS
    done = _save(conn, measurement, key, reading, packed, began.patient, began.staff, now, Marks(0), lane)
    return Observed(measurement, "settled", key), done


def _why_stray(began: Session | None, device: str, now: Stamp) -> str:
    """Why a measurement that began in `began` belongs to nobody, or ``""`` when it belongs there."""
    if began is None:
        return NO_SESSION
    if began.device != device:
        return OTHER_DEVICE
    if began.boot != now.boot:
        return RESTARTED
    if began.ended is not None:
        return {TAKEN_OVER: SESSION_CHANGED, EXPIRED: SESSION_EXPIRED}.get(began.why, SESSION_ENDED)
    return "" if began.standing(now) else SESSION_EXPIRED


def _again(conn: Connection, measurement: int, key: bytes, device: str, began: int | None, now: Stamp) -> Observed:
    """A reading that is here already: the first one stays where it is; in another patient's session it is held for a person."""
    here = session(conn, began) if began is not None else None
    owner = conn.execute(_OWNER, (measurement,)).fetchone()[0]
    if here is None or here.patient == owner:
        return Observed(measurement, "repeat", key)
    conn.execute(
        "INSERT OR IGNORE INTO held (measurement, session, device, wall) VALUES (?, ?, ?, ?)", (measurement, here.id, device, now.wall)
    )
    return Observed(measurement, "repeat", key, "other-patient")


_OWNER = """SELECT coalesce(observation.owner, observation.patient, session.patient) FROM measurement
LEFT JOIN observation ON observation.measurement = measurement.id LEFT JOIN session ON session.id = measurement.session
WHERE measurement.id = ?"""

_MEASUREMENT = """SELECT measurement.id, measurement.key, measurement.device, measurement.session,
coalesce(observation.owner, observation.patient, session.patient), measurement.reading, measurement.raw, measurement.state, measurement.why,
measurement.decided_by, measurement.decided, measurement.crc, measurement.twin FROM measurement
LEFT JOIN observation ON observation.measurement = measurement.id LEFT JOIN session ON session.id = measurement.session"""


def _measurement(row: Row) -> MeasurementRow:
    reading = unpack(Reading, row[5], row[11], "measurement", row[0])
    return MeasurementRow(
        row[0], bytes(row[1]), row[2], row[3], row[4], reading, bytes(row[6]), State(row[7]), row[8], row[9] or "", row[10], row[12]
    )


def _sound(rows: list[Row]) -> list[MeasurementRow]:
    """The rows whose bytes are those that were written; the others are listed by `damaged`."""
    found = []
    for row in rows:
        try:
            found.append(_measurement(row))
        except Damaged:
            continue
    return found


# --- saving ---------------------------------------------------------------------------------------------------------------------------


def record(conn: Connection, measurement: int, *, staff: str, now: Stamp, kept: bool = False) -> Recorded:
    """*Lưu*: the observation and what is sent of it, in one transaction. The same measurement again is the same observation.

    `kept` marks that a person kept it although the box asked to measure again. Refused for a measurement that is not
    waiting in a session; Damaged when its row is not what was written.
    """
    with transaction(conn):
        return record_within(conn, measurement, staff=staff, now=now, kept=kept)


def record_within(conn: Connection, measurement: int, *, staff: str, now: Stamp, kept: bool = False) -> Recorded:
    """As `record`, in the caller's transaction; a refusal has written nothing."""
    row = _row(conn, measurement)
    if row.state is State.RECORDED:
        return _recorded(conn, measurement)
    if row.state is not State.SETTLED or row.patient is None:
        raise Refused(
            "Lần đo này không thuộc phiên đo nào đang chờ lưu. Đo lại, hoặc xem khay chưa gán.",
            f"measurement {measurement} is not waiting to be saved ({row.state.name.lower()})",
        )
    return _give(conn, row, row.patient, staff, now, Marks.KEPT if kept else Marks(0))


def discard(conn: Connection, measurement: int, *, reason: str, staff: str, now: Stamp) -> None:
    """*Đo lại*: the attempt is kept and sent with its reason and goes into no record. Own transaction. Refused once it is saved."""
    with transaction(conn):
        row = _row(conn, measurement)
        if row.state is State.DISCARDED:
            return
        if row.state not in (State.SETTLED, State.UNASSIGNED):
            raise Refused("Kết quả này đã lưu hoặc đã gửi, không bỏ được nữa.", f"measurement {measurement} is {row.state.name.lower()}")
        why = clean(reason)
        append(conn, Event(now, staff, __version__, MeasurementDiscarded(row.reading, why, row.patient or 0)), Lane.READINGS)
        _decide(conn, measurement, State.DISCARDED, staff, now, why)


def assign(conn: Connection, measurement: int, *, patient: int, staff: str, now: Stamp) -> Recorded:
    """Give a measurement from the tray to a patient whom a person has identified by two identifiers; marked *gán sau*. Own transaction.

    Refused after 15 minutes, for one that is not in the tray, and for a patient who is not here.
    """
    if not staff:
        raise Refused("Chọn tên nhân viên trước khi gán.", "choose who you are before assigning")
    with transaction(conn):
        row = _row(conn, measurement)
        if row.state is State.RECORDED and row.patient == patient:
            return _recorded(conn, measurement)
        if row.state is not State.UNASSIGNED or not assignable(row.reading.stamp, now):
            raise Refused(
                "Chỉ gán được trong 15 phút sau khi đo. Hãy đo lại cho người bệnh.",
                "a measurement can be assigned within 15 minutes: measure again",
            )
        standing(conn, patient)
        return _give(conn, row, patient, staff, now, Marks.LATE)


def assignable(measured: Stamp, now: Stamp) -> bool:
    """True within 15 minutes of the measurement. After a restart only clocks that are kept by something can say so."""
    if measured.boot == now.boot:
        return 0 <= now.ticks - measured.ticks <= ASSIGN_TENTHS
    trusted = ClockQuality.UNKNOWN not in (measured.quality, now.quality)
    return trusted and 0 <= now.wall - measured.wall <= ASSIGN_TENTHS


def _row(conn: Connection, measurement: int) -> MeasurementRow:
    row = conn.execute(f"{_MEASUREMENT} WHERE measurement.id = ?", (measurement,)).fetchone()
    if row is None:
        raise Refused("Không có lần đo này.", f"there is no measurement {measurement}")
    return _measurement(row)


def _recorded(conn: Connection, measurement: int) -> Recorded:
    row = conn.execute("SELECT lane, seq, key, patient FROM observation WHERE measurement = ?", (measurement,)).fetchone()
    return Recorded(row[0], row[1], bytes(row[2]), row[3])


def _give(conn: Connection, row: MeasurementRow, patient: int, staff: str, now: Stamp, marks: Marks) -> Recorded:
    """The observation row, the event, and the decision about the measurement, in the caller's transaction."""
    if not staff:
        raise Refused("Chọn tên nhân viên trước khi lưu.", "choose who you are before saving")
    present(conn, patient)
    done = _save(conn, row.id, row.key, row.reading, pack(row.reading), patient, staff, now, marks, _lane(conn, patient))
    _decide(conn, row.id, State.RECORDED, staff, now, row.why)
    return done


def _save(
    conn: Connection, measurement: int, key: bytes, reading: Reading, packed: tuple[bytes, int], patient: int, staff: str, now: Stamp,
    marks: Marks, lane: Lane,
) -> Recorded:  # fmt: skip
    """The observation row and its event; whoever calls has made all checks. `packed`: the reading as `pack` made it."""
    stamp = reading.stamp
    place = queue(conn, Event(stamp, staff, __version__, ObservationRecorded(patient, reading, _saved_after(stamp, now), marks)), lane)
    content, crc = packed
    made = conn.execute(
        "INSERT INTO observation (key, patient, measurement, reading, lane, seq, epoch, marks, staff, wall, outbox, crc)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (key, patient, measurement, content, place.lane, place.seq, place.epoch, int(marks), staff, stamp.wall, place.row, crc),
    )
    history.keep(conn, patient, int(made.lastrowid), reading)
    return Recorded(place.lane, place.seq, key, patient)


def _lane(conn: Connection, patient: int) -> Lane:
    """CONSULT while the patient has a request that is neither withdrawn nor answered, else READINGS."""
    waiting = conn.execute(_ASKED, (patient,)).fetchone()
    return Lane.READINGS if waiting is None else Lane.CONSULT


def _saved_after(measured: Stamp, now: Stamp) -> int:
    """Whole seconds from the measurement to *Lưu*; never negative, also when the clock was set back."""
    tenths = now.ticks - measured.ticks if measured.boot == now.boot else now.wall - measured.wall
    return max(0, tenths // 10)


def _decide(conn: Connection, measurement: int, state: State, staff: str, now: Stamp, why: str) -> None:
    conn.execute(
        "UPDATE measurement SET state = ?, decided_by = ?, decided = ?, why = ? WHERE id = ?",
        (int(state), staff, now.wall, why, measurement),
    )


# --- lists ----------------------------------------------------------------------------------------------------------------------------


def measurement(conn: Connection, measurement: int) -> MeasurementRow | None:
    """One measurement; Damaged when its row is not what was written."""
    row = conn.execute(f"{_MEASUREMENT} WHERE measurement.id = ?", (measurement,)).fetchone()
    return None if row is None else _measurement(row)


def latest(conn: Connection, session: int) -> list[MeasurementRow]:
    """The measurements of a session, the newest first."""
    return _sound(conn.execute(f"{_MEASUREMENT} WHERE measurement.session = ? ORDER BY measurement.id DESC", (session,)).fetchall())


def unassigned(conn: Connection) -> list[MeasurementRow]:
    """The tray, the oldest first. A copy from a device's memory of what is here already is not shown a second time."""
    where = "measurement.state = 3 AND measurement.twin IS NULL"
    return _sound(conn.execute(f"{_MEASUREMENT} WHERE {where} ORDER BY measurement.id").fetchall())


def undecided(conn: Connection, patient: int) -> list[MeasurementRow]:
    """Measurements of this patient's sessions that nobody saved or discarded, the newest first."""
    where = "measurement.session IN (SELECT id FROM session WHERE patient = ?) AND measurement.state = 1"
    return _sound(conn.execute(f"{_MEASUREMENT} WHERE {where} ORDER BY measurement.id DESC", (patient,)).fetchall())


def observations(conn: Connection, patient: int, limit: int = 50) -> list[ObservationRow]:
    """What belongs to a patient, the newest first: saved for them or given to them later, and not given to somebody else."""
    newest = "ORDER BY wall DESC, observation.id DESC LIMIT ?"
    rows = conn.execute(f"{_OBSERVATION} WHERE patient = ? AND owner IS NULL {newest}", (patient, limit)).fetchall()
    moved = conn.execute(f"{_OBSERVATION} WHERE owner = ? {newest}", (patient, limit)).fetchall()
    if moved:
        rows = sorted([*rows, *moved], key=lambda row: (row[7], row[0]), reverse=True)[:limit]
    return [_observation(conn, row) for row in rows]


def observation(conn: Connection, observation: int) -> ObservationRow | None:
    """One saved reading; Damaged when its row is not what was written."""
    row = conn.execute(f"{_OBSERVATION} WHERE observation.id = ?", (observation,)).fetchone()
    return None if row is None else _observation(conn, row)


def saved_as(conn: Connection, measurement: int) -> int | None:
    """The observation that a measurement was saved as; None when it was not saved."""
    row = conn.execute("SELECT id FROM observation WHERE measurement = ?", (measurement,)).fetchone()
    return None if row is None else int(row[0])


_OBSERVATION = """SELECT observation.id, measurement, key, patient, reading, marks, staff, wall, observation.state, observation.crc,
CASE WHEN outbox.state = 2 THEN outbox.received END, coalesce(owner, patient), owner IS NOT NULL
FROM observation LEFT JOIN outbox ON outbox.id = observation.outbox"""


def _observation(conn: Connection, row: Row) -> ObservationRow:
    reading = unpack(Reading, row[4], row[9], "observation", row[0])
    device = devices.get(conn, reading.device)
    name, due = ("", "") if device is None else (device.name, device.next_calibration)
    return ObservationRow(
        row[0], row[1], bytes(row[2]), row[3], reading, Marks(row[5]), row[6], row[7], row[8], name, row[10], row[11], bool(row[12]), due
    )


def refusals(conn: Connection, limit: int = 50) -> list[Refusal]:
    """Readings that cannot be true, the newest first."""
    rows = conn.execute("SELECT id, device, why, at FROM refusal ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return [Refusal(row[0], row[1], row[2], row[3]) for row in rows]


def refused(conn: Connection, device: str | None = None) -> int:
    """How many readings were refused, of one device or of all."""
    row = conn.execute("SELECT count(*) FROM refusal WHERE :device IS NULL OR device = :device", {"device": device}).fetchone()
    return int(row[0])


def held(conn: Connection) -> list[Held]:
    """Repeats in another patient's session that nobody has looked at, the oldest first."""
    rows = conn.execute("SELECT id, measurement, session, wall FROM held WHERE closed IS NULL ORDER BY id").fetchall()
    found = []
    for row in rows:
        here = session(conn, row[2])
        first = _sound(conn.execute(f"{_MEASUREMENT} WHERE measurement.id = ?", (row[1],)).fetchall())
        if here is not None and first:
            found.append(Held(row[0], first[0], here, row[3]))
    return found


def close_held(conn: Connection, held: int, *, staff: str, now: Stamp) -> None:
    """A person has looked at it. Own transaction."""
    with transaction(conn):
        conn.execute("UPDATE held SET closed = ?, closed_by = ? WHERE id = ? AND closed IS NULL", (now.wall, staff, held))


def damaged(conn: Connection, limit: int = 1000) -> list[int]:
    """The latest measurements whose bytes are not those that were written."""
    found = []
    for row in conn.execute(f"{_MEASUREMENT} ORDER BY measurement.id DESC LIMIT ?", (limit,)).fetchall():
        try:
            _measurement(row)
        except Damaged:
            found.append(int(row[0]))
    return found


# --- the tray is emptied ----------------------------------------------------------------------------------------------------------------


def send_unassigned(conn: Connection, now: Stamp) -> int:
    """Send what lay in the tray too long, without a patient, once each; how many. Own transaction, none where there is nothing to do."""
    rows = conn.execute(f"{_MEASUREMENT} WHERE measurement.state = 3 ORDER BY measurement.id").fetchall()
    late = [row for row in rows if _late(row, now)]
    if not late:
        return 0
    with transaction(conn):
        return sum(_send(conn, int(row[0]), now) for row in late)


def _late(row: Row, now: Stamp) -> bool:
    try:
        return not assignable(_measurement(row).reading.stamp, now)
    except Damaged:
        return True


def _send(conn: Connection, measurement: int, now: Stamp) -> int:
    """One of them, read again within the transaction: a person may have assigned it a moment ago."""
    row = conn.execute(f"{_MEASUREMENT} WHERE measurement.id = ? AND measurement.state = 3", (measurement,)).fetchone()
    if row is None:
        return 0
    try:
        found = _measurement(row)
    except Damaged:
        _decide(conn, measurement, State.DAMAGED, "", now, "damaged")
        return 0
    live = conn.execute("SELECT key FROM measurement WHERE id = ?", (found.twin,)).fetchone()
    twin = b"" if live is None else bytes(live[0])
    append(conn, Event(found.reading.stamp, "", __version__, MeasurementUnassigned(found.reading, found.why, twin)), Lane.READINGS)
    _decide(conn, measurement, State.SENT_UNASSIGNED, "", now, found.why)
    return 1


def send_as_test(conn: Connection, measurement: int, *, staff: str, now: Stamp) -> int | None:
    """Send one of the tray as a test of the station: nobody's, marked test data. The outbox's row; None where it lies there no more.

    In the caller's transaction.
    """
    row = conn.execute(f"{_MEASUREMENT} WHERE measurement.id = ? AND measurement.state = 3", (measurement,)).fetchone()
    if row is None:
        return None
    reading = _measurement(row).reading
    numerics = tuple(replace(one, status=one.status | Status.TEST_DATA) for one in reading.numerics)
    body = MeasurementUnassigned(replace(reading, numerics=numerics), ACCEPTANCE)
    place = queue(conn, Event(reading.stamp, staff, __version__, body), Lane.CONSULT)  # somebody stands there and waits
    _decide(conn, measurement, State.SENT_UNASSIGNED, staff, now, ACCEPTANCE)
    return place.row
