"""What a day writes to the card: 200 readings and 5 consults in 24 virtual hours, with their parcels, receipts, audit and carrier lines.

Counted are the bytes that this process hands to the disk (``/proc/self/io``: ``wchar``, every write of SQLite's log and of
its checkpoints; ``write_bytes`` beside it counts whole 4-KiB pages of the system's cache and depends on the filesystem).
The amplification is what one committed row of 120 bytes costs, checkpoints included (delivery.md §3 and its ×9 to ×116).
"""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from appliance.contract.codec import read_event, write_event
from appliance.contract.events import Department, Event, ObservationRecorded, Urgency
from appliance.contract.metrics import Metric
from appliance.contract.parcels import Header, write_parcel
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Stamp
from appliance.database import Connection, connect, transaction, truncate_log
from appliance.relay.marks import Marks
from appliance.store import audit, consults, measuring, patients
from appliance.store.boots import open_epoch
from appliance.store.inbox import StationStore
from appliance.store.migrations import migrate
from appliance.store.outbox import append

READINGS, CONSULTS, PATIENTS = 200, 5, 40
MOST_BYTES, PROMISED_TIMES = 20_000_000, 15.0
"""Limits of P13. The second is not reached: a commit touches two pages of a kilobyte (the queue and the index of what waits), and one page
alone (`bare_times`) costs about as much as the limit."""
MOST_TIMES = 40.0
"""What this layout costs with a margin: more means that an index over random keys, or the like, has come in."""
_KEY, _STATION = bytes(range(32)), "tram-0001"
_DAY = 864_000
_BEATS = 144
"""Lines of the carrier a day while receipts come (`agent.carry.HEARD_SECONDS`)."""

Spoil = Callable[[Connection], Callable[[int], None]]
"""A planted bug: prepares the store and returns what is done with each row in its transaction."""


def run(spoil: Spoil | None = None) -> dict[str, Any]:
    """Bytes of the day and bytes per row, with the limits beside them."""
    with TemporaryDirectory(dir=os.environ.get("TRAM_BENCH_DIR")) as folder:
        conn = connect(Path(folder) / "bench.db", key=_KEY)
        migrate(conn)
        with transaction(conn):
            open_epoch(conn, bytes(8), "bench", 0)
            conn.execute("INSERT INTO meta (key, value) VALUES ('station', ?)", (_STATION,))
        extra = spoil(conn) if spoil is not None else lambda _row: None
        truncate_log(conn)
        rows, size = _path(conn, lambda event: append(conn, event), extra)
        conn.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, body BLOB NOT NULL, crc INTEGER NOT NULL)")
        bare, _ = _path(conn, lambda event: conn.execute("INSERT INTO bare (body, crc) VALUES (?, 0)", (write_event(event),)))
        conn.execute("DROP TABLE bare")
        truncate_log(conn)
        meter = _Meter()
        before, pages = _written()
        _day(conn, meter)
        truncate_log(conn)
        after, pages_after = _written()
        conn.close()
    return {
        "bench": "wear",
        "readings": READINGS,
        "consults": CONSULTS,
        "bytes_a_day": after - before,
        "bytes_a_day_by_step": dict(sorted(meter.bytes.items(), key=lambda one: -one[1])),
        "page_bytes_a_day": pages_after - pages,
        "limit_a_day": MOST_BYTES,
        "row_bytes": round(size),
        "times_on_the_reading_path": round(rows / size, 1),
        "bare_times": round(bare / size, 1),
        "promised_times": PROMISED_TIMES,
        "limit_times": MOST_TIMES,
        "baseline": "the bytes of the row itself; bare: the same rows in a table with an integer key and nothing else, one a commit",
    }


class _Meter:
    """Bytes by what they were written for; what a checkpoint writes counts for the step in whose commit it falls."""

    def __init__(self) -> None:
        self.bytes: dict[str, int] = {}
        self._seen, _ = _written()

    def count(self, step: str) -> None:
        """Whatever was written since the last call was written for `step`."""
        now, _ = _written()
        self.bytes[step] = self.bytes.get(step, 0) + now - self._seen
        self._seen = now


def _path(
    conn: Connection, keep: Callable[[Event], object], extra: Callable[[int], None] = lambda _row: None, rows: int = 1000
) -> tuple[float, float]:
    """(bytes written, bytes of the row) for each of `rows` commits of one reading's event."""
    event = Event(_stamp(0), "an", "bench", ObservationRecorded(1, _reading(0, 0)))
    size = len(write_event(event))
    before, _ = _written()
    for number in range(rows):
        with transaction(conn):
            keep(event)
            extra(number)
    truncate_log(conn)
    return (_written()[0] - before) / rows, size


def _stamp(at: int) -> Stamp:
    return Stamp(1, 1, 10_000 + at, 17_900_000_000 + at, ClockQuality.SYNCED)


def _reading(number: int, at: int) -> Reading:
    numerics = (
        Numeric(Metric.SYSTOLIC, 100 + number % 60), Numeric(Metric.DIASTOLIC, 60 + number % 30),
        Numeric(Metric.MEAN, 80 + number % 30), Numeric(Metric.PULSE_RATE, 60 + number % 40),
    )  # fmt: skip
    return Reading(ReadingKind.BLOOD_PRESSURE, 4711, numerics, _stamp(at))


def _day(conn: Connection, meter: _Meter) -> None:
    """The day's work, in its order."""
    numbers, store = count(1), StationStore(conn, _STATION, 7)
    with transaction(conn):
        conn.execute("DELETE FROM outbox")
    people = [
        patients.register(
            conn,
            patients.PatientDraft("Thử Nghiệm " + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number % 26] * (1 + number // 26)),
            patient=next(numbers),
            staff="an",
            now=_stamp(0),
        ).patient
        for number in range(PATIENTS)
    ]
    meter.count("patients")
    for at, number in _moments():
        who = people[number % PATIENTS]
        session = measuring.open_session(conn, patient=who, staff="an", device="cuff", now=_stamp(at))
        meter.count("session")
        seen = measuring.observe(conn, _reading(number, at + 100), device="cuff", began=session.id, now=_stamp(at + 100), raw=bytes(12))
        meter.count("observe")
        measuring.record(conn, seen.measurement, staff="an", now=_stamp(at + 150))
        meter.count("record")
        for word in ("patient.seen", "observation.saved"):
            audit.note(conn, actor="an", action=word, now=_stamp(at + 150), patient=who)
        meter.count("audit")
        if number % (READINGS // CONSULTS) == 0:
            draft = consults.ConsultDraft(who, Urgency.ROUTINE, Department.INTERNAL, "Đau ngực từ sáng nay", (seen.measurement,))
            consults.request(conn, draft, consult=next(numbers), staff="an", now=_stamp(at + 200))
            meter.count("request")
        _carry(store, at + 250, meter)
    for beat in range(_BEATS):
        with transaction(conn):
            conn.execute(
                "INSERT INTO carrier (id, state, heard) VALUES (1, 'online', ?) ON CONFLICT (id) DO UPDATE SET heard = excluded.heard",
                (beat,),
            )
    meter.count("carrier's line")


def _moments() -> Iterator[tuple[int, int]]:
    for number in range(READINGS):
        yield number * (_DAY // READINGS), number


def _carry(store: StationStore, at: int, meter: _Meter) -> None:
    """What waits goes into a parcel in one transaction, its receipt comes in another."""
    done = []
    with store.transaction() as tx:
        for one in store.waiting(tx):
            rows = store.queued(tx, one.stream, one.lane, one.frozen, 30)
            if rows:
                header = Header(_STATION, one.stream.origin, one.lane, rows[0].seq, len(rows))
                store.freeze(
                    tx, one.stream, one.lane, rows[0].seq, len(rows), write_parcel(header, [read_event(row.body) for row in rows]), at
                )
                done.append((one, (rows[0].seq, rows[-1].seq)))
    meter.count("parcel")
    for one, place in done:
        with store.transaction() as tx:
            store.settle(tx, one.stream, one.lane, [place], 2, at)
            store.close(tx, one.stream, one.lane, [place])
            store.vouch(tx, one.stream, one.lane, Marks().add(1, place[1]))
    meter.count("receipt")


def _written() -> tuple[int, int]:
    """(bytes of all writes, bytes of dirtied pages) of this process so far."""
    found = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(found["wchar"]), int(found["write_bytes"])
