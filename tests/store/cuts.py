"""Kill a process between the statements of one step of work, at every place in turn, and look at what it left.

Run as a program: ``python -m tests.store.cuts FOLDER STEP every``; prints one JSON object. It forks a child for every cut: the
child opens the store, and SIGKILLs itself before the n-th statement (a trace callback) or after the n-th instruction of
SQLite's machine (a progress callback). A single-threaded program of its own, because test runners have threads.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from appliance.contract.codec import read_event
from appliance.contract.events import Department, Urgency
from appliance.contract.guided import Arm, Cuff, Posture, Unrested
from appliance.database import Connection
from appliance.store import consults, corrections, guided, measuring, patients
from appliance.store.consults import ConsultDraft
from appliance.store.patients import PatientDraft
from tests.store.station import Doctor, Station, station_at

Prepared = Callable[[Station], int]
Step = Callable[[Station, int], object]
Left = Callable[[Connection, int], tuple[bool, ...]]
"""Prepare and give a number; do the step on it; which of the rows that belong together are there."""


def _one(conn: Connection, query: str, *said: object) -> bool:
    return conn.execute(query, said).fetchone() is not None


def _settled(station: Station) -> int:
    station.later(1)
    session = measuring.open_session(station.conn, patient=1, staff="an", device="cuff", now=station.now)
    return station.observe(session.id).measurement


def _in_series(station: Station) -> int:
    """A settled reading of a guided series."""
    station.later(1)
    series = guided.begin(station.conn, patient=1, staff="an", device="cuff", now=station.now)
    guided.prepare(station.conn, series, arm=Arm.LEFT, cuff=Cuff.ADULT, posture=Posture.SITTING, now=station.now)
    series = guided.begin(station.conn, patient=1, staff="an", device="cuff", now=station.now)
    guided.end_rest(station.conn, series, unrested=Unrested.URGENT, now=station.now)
    session = measuring.open_session(station.conn, patient=1, staff="an", device="cuff", now=station.now)
    again = guided.get(station.conn, series.id)
    assert again is not None
    guided.attach(station.conn, again, session.id, station.now)
    return station.observe(session.id).measurement


def _taken(conn: Connection, measurement: int) -> tuple[bool, ...]:
    """The observation, and how it was taken."""
    row = conn.execute("SELECT key FROM observation WHERE measurement = ?", (measurement,)).fetchone()
    said = [read_event(bytes(one[0])).body for one in conn.execute("SELECT body FROM outbox WHERE kind = 70").fetchall()]
    saved = conn.execute("SELECT count(*) FROM observation").fetchone()[0]
    told = len(said) != saved if row is None else any(getattr(one, "key", b"") == bytes(row[0]) for one in said)
    return *_observed(conn, measurement), told


def _stray(station: Station) -> int:
    station.later(1)
    return station.observe(None).measurement


def _number(station: Station) -> int:
    station.later(1)
    return 1000 + next(station.numbers)


def _answered(station: Station) -> int:
    consult = _number(station)
    _request(station, consult)
    station.arrive(DOCTOR.answer(consult))
    return consult


DOCTOR = Doctor()


def _request(station: Station, consult: int) -> None:
    draft = ConsultDraft(1, Urgency.URGENT, Department.INTERNAL, "Đau đầu")
    consults.request(station.conn, draft, consult=consult, staff="an", now=station.now)


def _queued(conn: Connection, kind: int, column: str, number: int) -> bool:
    """An event of this kind is queued for this row."""
    rows = conn.execute("SELECT body FROM outbox WHERE kind = ?", (kind,)).fetchall()
    bodies = [read_event(bytes(row[0])).body for row in rows]
    return any(getattr(body, column, None) == number or getattr(getattr(body, "identity", None), column, None) == number for body in bodies)


def _observed(conn: Connection, measurement: int) -> tuple[bool, ...]:
    row = conn.execute("SELECT observation.outbox FROM observation WHERE measurement = ?", (measurement,)).fetchone()
    decided = _one(conn, "SELECT 1 FROM measurement WHERE id = ? AND state = 2", measurement)
    queued = row is not None and _one(conn, "SELECT 1 FROM outbox WHERE id = ? AND kind = 10", row[0])
    counted = conn.execute("SELECT count(*) FROM outbox WHERE kind = 10").fetchone()[0]
    saved = conn.execute("SELECT count(*) FROM observation").fetchone()[0]
    drawn = _one(conn, "SELECT 1 FROM vital WHERE observation = (SELECT id FROM observation WHERE measurement = ?)", measurement)
    return row is not None, decided, queued if row is not None else counted != saved, drawn


def _saved(station: Station) -> int:
    measurement = station.saved(1)
    return int(station.conn.execute("SELECT id FROM observation WHERE measurement = ?", (measurement,)).fetchone()[0])


def _corrected(conn: Connection, observation: int) -> tuple[bool, ...]:
    changed = _one(conn, "SELECT 1 FROM observation WHERE id = ? AND (owner IS NOT NULL OR state <> 0)", observation)
    redrawn = not _one(conn, "SELECT 1 FROM vital WHERE observation = ? AND patient = 1", observation)
    said = _one(conn, "SELECT 1 FROM correction WHERE observation = ?", observation)
    key = bytes(conn.execute("SELECT key FROM observation WHERE id = ?", (observation,)).fetchone()[0])
    rows = conn.execute("SELECT body FROM outbox WHERE kind IN (11, 12)").fetchall()
    queued = any(getattr(read_event(bytes(row[0])).body, "key", b"") == key for row in rows)
    return changed, redrawn, said, queued


STEPS: dict[str, tuple[Prepared, Step, Left]] = {
    "record": (_settled, lambda at, number: measuring.record(at.conn, number, staff="an", now=at.now), _observed),
    "record in a series": (_in_series, lambda at, number: guided.record(at.conn, number, staff="an", now=at.now), _taken),
    "assign": (_stray, lambda at, number: measuring.assign(at.conn, number, patient=1, staff="an", now=at.now), _observed),
    "request": (
        _number,
        _request,
        lambda conn, number: (_one(conn, "SELECT 1 FROM consult WHERE id = ?", number), _queued(conn, 20, "consult", number)),
    ),
    "in error": (_saved, lambda at, number: corrections.enter_in_error(at.conn, number, "Gõ nhầm", "an", at.now), _corrected),
    "reassign": (_saved, lambda at, number: corrections.reassign(at.conn, number, 2, "Nhầm người", "an", at.now), _corrected),
    "confirm_read": (
        _answered,
        lambda at, number: consults.confirm_read(at.conn, number, 1, "an", at.now),
        lambda conn, number: (
            _one(conn, "SELECT 1 FROM answer WHERE consult = ? AND read IS NOT NULL", number),
            _queued(conn, 32, "consult", number),
        ),
    ),
    "register": (
        _number,
        lambda at, number: patients.register(at.conn, PatientDraft("Thử Nghiệm Ba"), patient=number, staff="an", now=at.now),
        lambda conn, number: (_one(conn, "SELECT 1 FROM patient WHERE id = ?", number), _queued(conn, 1, "patient", number)),
    ),
}


def cut(station: Station, step: Step, number: int, place: int, every: str) -> bool:
    """Do the step in a child that dies at `place`; True when it did, False when it came to its end first."""
    child = os.fork()
    if child == 0:
        left = [place]

        def fall(*_: object) -> int:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return 0

        try:
            station.conn = station.second()
            if every == "statement":
                station.conn.set_trace_callback(fall)
            else:
                station.conn.set_progress_handler(fall, 1)
            step(station, number)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def run(folder: Path, name: str, every: str, stride: int) -> dict[str, object]:
    """Cut the step at every `stride`-th place until it comes to its end; what was found."""
    prepare, step, left = STEPS[name]
    station = station_at(folder)
    DOCTOR.pinned_at(station)
    station.patient()
    station.patient("Thử Nghiệm Hai")
    none = whole = 0
    torn: list[list[bool]] = []
    place = 0
    while True:
        number = prepare(station)
        station.conn.close()  # nothing of ours is open while the child works and dies
        died = cut(station, step, number, place, every)
        station.conn = station.second()
        rows = left(station.conn, number)
        none, whole = none + (not any(rows)), whole + all(rows)
        if any(rows) != all(rows):
            torn.append(list(rows))
        if not died:
            station.conn.close()
            return {"cuts": place // stride, "none": none, "whole": whole, "torn": torn, "done": all(rows)}
        place += stride


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))))
