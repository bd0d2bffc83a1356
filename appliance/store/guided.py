"""A blood pressure taken as a series (`contract.guided`): rest, two or three readings, their mean beside them.

A series belongs to one patient, one member of staff and one device; whoever of them changes, it is left, and nothing goes over into
another. Each of its readings is measured and saved like any other, in a measuring session of its own; what is said with it (arm,
cuff, posture, rest) is saved in the same transaction. A series that is left keeps its readings and has no mean.
"""

from dataclasses import dataclass
from enum import IntEnum

from appliance import __version__
from appliance.contract.events import Event, PressureAveraged, PressureTaken
from appliance.contract.guided import PROTOCOLS, STATION, Arm, Cuff, Mean, Posture, Pressure, Protocol, Unrested, mean, wanted
from appliance.contract.ids import short_of
from appliance.contract.lanes import Lane
from appliance.contract.metrics import Metric
from appliance.contract.readings import Reading, Stamp
from appliance.database import Connection, Row, transaction
from appliance.store import measuring
from appliance.store.errors import Refused
from appliance.store.measuring import STANDS, ObservationRow, Recorded
from appliance.store.outbox import append
from appliance.store.patients import standing

LONGEST_TENTHS = 60 * 60 * 10
"""A series that has not come to its end an hour later is left: it is not the same occasion any more (judgement)."""


class State(IntEnum):
    """`guided.state`."""

    OPEN = 1
    DONE = 2
    LEFT = 3


@dataclass(frozen=True, slots=True)
class Series:
    """One row of `guided`. `number` is its name on the wire; `began`, `resting` and `ended` are ticks of `boot`."""

    id: int
    number: int
    patient: int
    staff: str
    device: str
    protocol: Protocol
    first_visit: bool
    boot: int
    began: int
    arm: Arm
    cuff: Cuff
    posture: Posture
    resting: int | None
    rested: int | None
    unrested: Unrested
    state: State
    why: str
    readings: int | None

    def open_at(self, now: Stamp) -> bool:
        """True while it may go on."""
        return self.state is State.OPEN and self.boot == now.boot and 0 <= now.ticks - self.began < LONGEST_TENTHS

    def rest_left(self, now: Stamp) -> int:
        """Whole seconds of rest that are still to come; 0 when it is over."""
        if self.rested is not None or self.resting is None:
            return 0
        return max(0, self.protocol.rest_s - max(0, now.ticks - self.resting) // 10)


_COLUMNS = (
    "SELECT id, number, patient, staff, device, rule, first_visit, boot, began, arm, cuff, posture, resting, rested, unrested, state,"
    " why, readings FROM guided"
)


def _series(row: Row) -> Series:
    return Series(
        row[0], row[1], row[2], row[3], row[4], PROTOCOLS[row[5]], bool(row[6]), row[7], row[8], Arm(row[9]), Cuff(row[10]),
        Posture(row[11]), row[12], row[13], Unrested(row[14]), State(row[15]), row[16] or "", row[17],
    )  # fmt: skip


def get(conn: Connection, series: int) -> Series | None:
    """One series."""
    row = conn.execute(f"{_COLUMNS} WHERE id = ?", (series,)).fetchone()
    return None if row is None else _series(row)


def of_session(conn: Connection, session: int) -> Series | None:
    """The series that a measuring session was opened for."""
    row = conn.execute("SELECT guided FROM guided_session WHERE session = ?", (session,)).fetchone()
    return None if row is None else get(conn, row[0])


def going_on(conn: Connection, *, patient: int, staff: str, now: Stamp) -> Series | None:
    """The open series of this patient and this member of staff, on whatever device."""
    rows = conn.execute(f"{_COLUMNS} WHERE state = 1 AND patient = ? AND staff = ? ORDER BY id DESC", (patient, staff)).fetchall()
    return next((one for one in map(_series, rows) if one.open_at(now)), None)


def begin(conn: Connection, *, patient: int, staff: str, device: str, now: Stamp) -> Series:
    """Go on with the open series of this patient, person and device, or begin one. Own transaction.

    Every other open series of the same patient, of the same person or on the same device is left.
    """
    if not staff:
        raise Refused("Chọn tên nhân viên trước khi đo.", "choose who you are before measuring")
    with transaction(conn):
        standing(conn, patient)
        found = None
        for row in conn.execute(f"{_COLUMNS} WHERE state = 1", ()).fetchall():
            one = _series(row)
            if (one.patient, one.staff, one.device) == (patient, staff, device) and one.open_at(now):
                found = one
            elif patient == one.patient or staff == one.staff or device == one.device or not one.open_at(now):
                _leave(conn, one.id, "another" if one.open_at(now) else "late", now)
        if found is not None:
            return found
        seen = conn.execute("SELECT 1 FROM vital WHERE patient = ? AND systolic IS NOT NULL LIMIT 1", (patient,)).fetchone()
        number = short_of(f"guided {now.boot} {now.ticks} {patient} {device} {staff}")
        made = conn.execute(
            "INSERT INTO guided (number, patient, staff, device, rule, first_visit, boot, began, wall) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, patient, staff, device, STATION.number, int(seen is None), now.boot, now.ticks, now.wall),
        )
        return _series(conn.execute(f"{_COLUMNS} WHERE id = ?", (made.lastrowid,)).fetchone())


def prepare(conn: Connection, series: Series, *, arm: Arm, cuff: Cuff, posture: Posture, now: Stamp) -> None:
    """How the patient sits and what is on which arm; the rest begins, once. Own transaction."""
    _must_be_open(series, now)
    with transaction(conn):
        conn.execute(
            "UPDATE guided SET arm = ?, cuff = ?, posture = ?, resting = coalesce(resting, ?) WHERE id = ? AND state = 1",
            (int(arm), int(cuff), int(posture), now.ticks, series.id),
        )


def end_rest(conn: Connection, series: Series, *, unrested: Unrested, now: Stamp) -> None:
    """The rest is over; cut short it needs its reason. Own transaction."""
    _must_be_open(series, now)
    if series.resting is None:
        raise Refused("Ghi tư thế, tay và cỡ vòng bít trước.", "say posture, arm and cuff first")
    if series.rested is not None:
        return
    early = series.rest_left(now) > 0
    if early and unrested is Unrested.NO:
        raise Refused("Chưa nghỉ đủ. Chọn lý do nếu phải đo ngay.", "the rest is not over: choose a reason to go on at once")
    rested = min(series.protocol.rest_s, max(0, now.ticks - series.resting) // 10)
    with transaction(conn):
        conn.execute(
            "UPDATE guided SET rested = ?, unrested = ? WHERE id = ? AND rested IS NULL",
            (rested, int(unrested if early else Unrested.NO), series.id),
        )


def attach(conn: Connection, series: Series, session: int, now: Stamp) -> None:
    """A measuring session was opened for the series. Own transaction. Refused unless both are the same patient's, person's and device's."""
    _must_be_open(series, now)
    it = measuring.session(conn, session)
    if series.rested is None or it is None or (it.patient, it.staff, it.device) != (series.patient, series.staff, series.device):
        raise Refused("Phiên đo này không thuộc lượt đo. Bắt đầu lại.", "this session is not the series'")
    with transaction(conn):
        conn.execute("INSERT OR IGNORE INTO guided_session (session, guided) VALUES (?, ?)", (session, series.id))


def gap_left(conn: Connection, series: Series, now: Stamp) -> int:
    """Whole seconds until the next reading may begin; 0 when it may."""
    found = taken(conn, series)
    if not found or found[-1].reading.stamp.boot != now.boot:
        return 0
    return max(0, series.protocol.gap_s - max(0, now.ticks - found[-1].reading.stamp.ticks) // 10)


# --- its readings -------------------------------------------------------------------------------------------------------------------


def record(conn: Connection, measurement: int, *, staff: str, now: Stamp, kept: bool = False) -> Recorded:
    """As `measuring.record`; what was measured in a series that goes on is saved with how it was taken, in the same transaction."""
    with transaction(conn):
        row = measuring.measurement(conn, measurement)
        fresh = row is not None and row.state is not measuring.State.RECORDED
        done = measuring.record_within(conn, measurement, staff=staff, now=now, kept=kept)
        series = of_session(conn, row.session) if row is not None and row.session is not None else None
        if row is None or series is None or not fresh or pressure(row.reading) is None:
            return done
        body = PressureTaken(
            done.patient, done.key, series.number, series.arm, series.cuff, series.posture, series.rested or 0, series.unrested
        )
        append(conn, Event(row.reading.stamp, staff, __version__, body), Lane(done.lane))
        return done


def pressure(reading: Reading) -> Pressure | None:
    """The numbers that a mean is made of; None where one of the two pressures is missing."""
    high, low, pulse = (reading.value(metric) for metric in (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.PULSE_RATE))
    return None if high is None or low is None else (int(high), int(low), None if pulse is None else int(pulse))


_TAKEN = """SELECT observation.id FROM observation JOIN measurement ON measurement.id = observation.measurement
JOIN guided_session ON guided_session.session = measurement.session WHERE guided_session.guided = ? ORDER BY observation.id"""


def taken(conn: Connection, series: Series) -> list[ObservationRow]:
    """The saved blood pressures of the series in their order, also those that were corrected since."""
    rows = [measuring.observation(conn, row[0]) for row in conn.execute(_TAKEN, (series.id,)).fetchall()]
    found = [one for one in rows if one is not None and pressure(one.reading) is not None]
    return found if series.readings is None else found[: series.readings]  # what is saved after the end came too late for the mean


def counted(series: Series, found: list[ObservationRow]) -> list[Pressure]:
    """The numbers of those that still stand and still are this patient's."""
    return [
        numbers for one in found if one.state == STANDS and one.owner == series.patient and (numbers := pressure(one.reading)) is not None
    ]


def needed(series: Series, found: list[ObservationRow]) -> int:
    """How many readings the series needs, as far as one can say now."""
    return wanted(series.protocol, counted(series, found), first_visit=series.first_visit)


def result(series: Series, found: list[ObservationRow]) -> Mean | None:
    """The mean of the series; None before its end is reached, and when one of its readings was corrected: then it is nobody's mean."""
    numbers = counted(series, found)
    return mean(series.protocol, numbers) if len(numbers) == len(found) else None


def finish(conn: Connection, series: Series, *, staff: str, now: Stamp) -> None:
    """The mean is told and the series is over, in one transaction. Refused before there are as many readings as the protocol needs."""
    with transaction(conn):
        again = get(conn, series.id)
        if again is None or again.state is State.DONE:
            return
        _must_be_open(again, now)
        found = taken(conn, again)
        made = result(again, found)
        if made is None or len(found) < needed(again, found):
            raise Refused("Chưa đủ số lần đo để tính trung bình.", "there are not enough readings for a mean yet")
        keys = tuple(one.key for one in found)
        body = PressureAveraged(
            again.patient, again.number, again.protocol.number, keys, tuple(keys[place] for place in made.used),
            made.systolic, made.diastolic, made.pulse,
        )  # fmt: skip
        append(conn, Event(now, staff, __version__, body))
        conn.execute("UPDATE guided SET state = 2, ended = ?, readings = ? WHERE id = ?", (now.ticks, len(found), again.id))


def leave(conn: Connection, series: Series, why: str, now: Stamp) -> None:
    """A person gives it up, or what it belonged to has changed. Its readings stay; there is no mean. Own transaction."""
    with transaction(conn):
        _leave(conn, series.id, why, now)


def _leave(conn: Connection, series: int, why: str, now: Stamp) -> None:
    conn.execute("UPDATE guided SET state = 3, why = ?, ended = ? WHERE id = ? AND state = 1", (why, now.ticks, series))


def finished(conn: Connection, patient: int, limit: int = 5) -> list[Series]:
    """The series of a patient that came to their end, the newest first."""
    rows = conn.execute(f"{_COLUMNS} WHERE state = 2 AND patient = ? ORDER BY id DESC LIMIT ?", (patient, limit)).fetchall()
    return [_series(row) for row in rows]


def _must_be_open(series: Series, now: Stamp) -> None:
    if not series.open_at(now):
        raise Refused(
            "Lượt đo này đã kết thúc hoặc để quá lâu. Kết quả đã lưu vẫn còn. Bắt đầu lượt mới.",
            "this series is over or was left too long; what was saved stays. Begin a new one",
        )
