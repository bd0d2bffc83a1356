"""Forks of the loaded program that observe and record until they are killed; then the store is held against what they promised.

``python -m tests.kills.recorder FOLDER KILLS SEED [BUG]`` prints one JSON object. A program of its own because a fork wants a
process with a single thread.
"""

import json
import os
import random
import select
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from appliance.agent.clock import Clock, boot_id
from appliance.contract.codec import read_event
from appliance.contract.events import ObservationRecorded
from appliance.contract.ids import short_of
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Numeric, Reading, ReadingKind
from appliance.database import Connection, connect, integrity, transaction
from appliance.store import measuring, patients, staff
from appliance.store.boots import open_epoch, seq_of
from appliance.store.migrations import migrate

KEY = bytes(range(32))
DEVICE = "oximeter"
PATIENT = 1


def make(folder: Path) -> Connection:
    """A store with one patient and one member of staff."""
    conn = connect(folder / "tram.db", key=KEY)
    migrate(conn)
    with transaction(conn):
        open_epoch(conn, bytes(8), "kills", 0)
    clock = Clock(seq_of(conn, boot_id(), 0))
    staff.add(conn, code="nv-1", name="Nhân Viên Thử", now=clock.stamp())
    patients.register(conn, patients.PatientDraft(name="Thử Nghiệm Một", birth="1961"), patient=PATIENT, staff="nv-1", now=clock.stamp())
    return conn


BUGS = ("", "promised before the commit", "in-memory queue")


def work(folder: Path, pipe: int, number: int, bug: str = "") -> None:
    """Observe and record for ever; each promise goes into the pipe after its commit, in one write. `bug`: one of `BUGS`."""
    waiting: list[int] = []
    conn = connect(folder / "tram.db", key=KEY)
    clock = Clock(seq_of(conn, boot_id(), 0))
    session = measuring.open_session(conn, patient=PATIENT, staff="nv-1", device=DEVICE, now=clock.stamp())
    while True:
        number += 1
        reading = Reading(ReadingKind.SPO2, short_of(DEVICE), (Numeric(Metric.SPO2, 97, Status.TEST_DATA),), clock.stamp(), ordinal=number)
        observed = measuring.observe(conn, reading, device=DEVICE, began=session.id, now=clock.stamp(), raw=b"")
        os.write(pipe, f"o {observed.key.hex()} {number}\n".encode())
        if bug:
            os.write(pipe, f"r {observed.key.hex()} {number}\n".encode())
        waiting.append(observed.measurement)
        if bug == "in-memory queue" and len(waiting) < 4:
            continue
        for measurement in waiting:
            measuring.record(conn, measurement, staff="nv-1", now=clock.stamp())
        waiting.clear()
        if not bug:
            os.write(pipe, f"r {observed.key.hex()} {number}\n".encode())


def kill(folder: Path, number: int, after: float, bug: str = "") -> list[list[str]]:
    """One fork, killed `after` seconds from its first promise; everything it promised."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work(folder, theirs, number, bug)
        finally:
            os._exit(1)
    os.close(theirs)
    try:
        said = os.read(ours, 1 << 16) if select.select([ours], [], [], 30)[0] else b""
        time.sleep(after)
    finally:
        os.kill(child, signal.SIGKILL)
    while piece := os.read(ours, 1 << 16):
        said += piece
    os.close(ours)
    os.waitpid(child, 0)
    return [line.split() for line in said.decode().splitlines()]


def check(conn: Connection, observed: Counter[str], recorded: Counter[str]) -> dict[str, object]:
    """What the store holds against what was promised."""
    measured = Counter(bytes(row[0]).hex() for row in conn.execute("SELECT key FROM measurement"))
    kept = Counter(bytes(row[0]).hex() for row in conn.execute("SELECT key FROM observation"))
    events = [read_event(bytes(row[0])) for row in conn.execute("SELECT body FROM outbox WHERE kind = 10")]
    sent = Counter(event.body.reading.key.hex() for event in events if isinstance(event.body, ObservationRecorded))
    numbers = [int(row[0]) for row in conn.execute("SELECT seq FROM outbox WHERE lane = 2 ORDER BY seq")]
    return {
        "observed": len(observed),
        "recorded": len(recorded),
        "lost": len(observed - measured) + len(recorded - kept) + len(recorded - sent),
        "doubled": sum(count - 1 for many in (measured, kept, sent) for count in many.values()),
        "torn": sorted((kept - sent) + (sent - kept)),
        "gaps": numbers != list(range(1, len(numbers) + 1)),
        "damage": integrity(conn),
    }


def main(folder: Path, kills: int, seed: int, bug: str = "") -> dict[str, object]:
    """Kill `kills` forks, then count."""
    draw = random.Random(seed)
    conn = make(folder)
    observed: Counter[str] = Counter()
    recorded: Counter[str] = Counter()
    number = 0
    for _ in range(kills):
        for word, key, last in kill(folder, number, draw.random() * 0.012, bug):
            (observed if word == "o" else recorded)[key] += 1
            number = max(number, int(last))
        number += 1  # the one that was in the dead child's hands
    return {"kills": kills, "seed": seed, **check(conn, observed, recorded)}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])))
