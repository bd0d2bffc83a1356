"""The least CPU that a reading at ten a second can take in Python: nothing but waiting for its frame and committing its rows.

A bare loop in a process of its own, with no driver, no checks, no journal and no live file: one read of a pseudo-terminal, one
encrypted commit of the rows that `tram collect` writes for a reading. What is left above it is what our code costs; what is in it is
the kernel, SQLite, the cipher, and an interpreter whose code has left the caches while it slept.
"""

import json
import os
import resource
import select
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from appliance.database import Connection, connect, transaction
from appliance.devices.port import open_port
from appliance.devices.registry import row
from appliance.devices.sim.pty import Terminal
from appliance.devices.sim.suntech_nibp import result
from appliance.store.boots import open_epoch
from appliance.store.migrations import migrate

READINGS = 200
WARM = 5
"""Readings before the count begins."""
_READING = bytes(range(80))
"""As long as a blood pressure's CBOR."""


def run(readings: int = READINGS, rate: float = 10.0) -> dict[str, Any]:
    """CPU seconds per 1,000 readings: of which user and system, and of the same loop without its commit."""
    return {"loop": _loop(readings, rate, "commit"), "loop_without_commit": _loop(readings, rate, "read")}


def _loop(readings: int, rate: float, what: str) -> dict[str, float]:
    with TemporaryDirectory(prefix="tram-floor-") as folder:
        terminal = Terminal(Path(folder) / "tty")
        terminal.plug()
        words = [sys.executable, "-m", "appliance.bench.floor", folder, str(readings), what]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()  # it has opened the line
            began = time.monotonic()
            for number in range(readings + WARM):
                terminal.write(result(120, 70, 85, 60 + number % 60))
                time.sleep(max(0.0, began + (number + 1) / rate - time.monotonic()))
            said: dict[str, float] = json.loads(child.communicate(timeout=30)[0])
        terminal.unplug()
    return said


def _child(folder: Path, readings: int, what: str) -> None:
    """Read and commit; the CPU time as JSON when all have come."""
    conn = _store(folder)
    port = open_port(str(folder / "tty"), row("suntech-nibp-unasked").line)
    line = port.fileno()
    assert line is not None
    print("ready", flush=True)
    number, before = 0, resource.getrusage(resource.RUSAGE_SELF)
    poll = select.poll()
    poll.register(line, select.POLLIN)
    while number < readings + WARM:
        if number == WARM:
            before = resource.getrusage(resource.RUSAGE_SELF)
        poll.poll()
        os.read(line, 4096)
        number += 1
        if what == "commit":
            _commit(conn, number)
    after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = (after.ru_utime - before.ru_utime) * 1000 / readings, (after.ru_stime - before.ru_stime) * 1000 / readings
    print(json.dumps({"cpu_s_per_1000": round(user + system, 3), "user": round(user, 3), "system": round(system, 3)}))


def _store(folder: Path) -> Connection:
    conn = connect(folder / "floor.db", key=bytes(range(32)))
    migrate(conn)
    with transaction(conn):
        open_epoch(conn, b"floor...", "bench", 0)
        conn.execute("INSERT INTO lane (epoch, lane, next) VALUES (1, 2, 1)")
    return conn


def _commit(conn: Connection, number: int) -> None:
    """The rows of one reading that is saved at once."""
    with transaction(conn):
        conn.execute(
            "INSERT INTO measurement (key, device, session, reading, raw, boot, ticks, wall, state, decided_by, decided, crc)"
            " VALUES (?, 'bench', 1, ?, ?, 1, ?, ?, 2, 'staff', ?, 1)",
            (os.urandom(16), _READING, _READING[:26], number, number, number),
        )
        conn.execute("INSERT INTO outbox (epoch, lane, seq, kind, body, at, crc) VALUES (1, 2, ?, 20, ?, ?, 1)", (number, _READING, number))
        conn.execute(
            "INSERT INTO observation (key, patient, measurement, reading, lane, seq, epoch, marks, staff, wall, outbox, crc)"
            " VALUES (?, 1, ?, ?, 2, ?, 1, 0, 'staff', ?, ?, 1)",
            (_READING[:16], number, _READING, number, number, number),
        )
        conn.execute(
            "INSERT INTO vital (patient, wall, observation, device, source, status, systolic, diastolic, pulse)"
            " VALUES (1, ?, ?, 1, 0, 0, 1, 1, 1)",
            (number, number),
        )


if __name__ == "__main__":
    _child(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
