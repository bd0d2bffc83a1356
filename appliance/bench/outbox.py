"""What one commit of the outbox costs, beside the least a disk can do: write 4 KiB, fdatasync.

The kinds are interleaved, round by round in the same minute, and compared by their medians: other work on the disk then
hits all of them alike. Figures are ratios; the milliseconds are this machine's.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from appliance.bench.counters import percentile
from appliance.contract.events import ObservationRecorded
from appliance.database import Connection, connect, transaction
from appliance.simulate import day
from appliance.store.boots import open_epoch
from appliance.store.migrations import migrate
from appliance.store.outbox import append

ROUNDS, COMMITS = 12, 40
_KEY = bytes(range(32))


def run() -> dict[str, Any]:
    """The medians in ms and their ratios to the raw write: one row a commit, ten, fifty; and bytes written per row."""
    events = [event for event in day(1) if isinstance(event.body, ObservationRecorded)]
    with TemporaryDirectory(dir=os.environ.get("TRAM_BENCH_DIR")) as folder:
        conn = _store(Path(folder))
        raw = os.open(Path(folder) / "raw", os.O_RDWR | os.O_CREAT)
        os.ftruncate(raw, 4 << 20)
        kinds: dict[str, Callable[[int], None]] = {
            "raw": lambda n: _raw(raw, n),
            "rows_1": lambda n: _commit(conn, events, n, 1),
            "rows_10": lambda n: _commit(conn, events, n, 10),
            "rows_50": lambda n: _commit(conn, events, n, 50),
        }
        times: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(ROUNDS):
            for name, work in kinds.items():
                times[name] += [_timed(work, n) for n in range(COMMITS)]
        written = {f"rows_{rows}": _written(conn, events, rows) for rows in (1, 10, 50)}
        conn.close()
        os.close(raw)
    medians = {name: percentile(values, 0.5) for name, values in times.items()}
    return {
        "bench": "outbox",
        "commits_each": ROUNDS * COMMITS,
        "median_ms": {name: round(value * 1000, 3) for name, value in medians.items()},
        "ratio_to_raw": {name: round(value / medians["raw"], 2) for name, value in medians.items()},
        "bytes_written_per_row": written,
        "baseline": "pwrite of 4 KiB + fdatasync, interleaved with the others",
    }


def _store(folder: Path) -> Connection:
    conn = connect(folder / "bench.db", key=_KEY)
    migrate(conn)
    with transaction(conn):
        open_epoch(conn, bytes(8), "bench", 0)
    return conn


def _commit(conn: Connection, events: list[Any], n: int, rows: int) -> None:
    with transaction(conn):
        for offset in range(rows):
            append(conn, events[(n * rows + offset) % len(events)])


def _raw(handle: int, n: int) -> None:
    os.pwrite(handle, n.to_bytes(4, "big") * 1024, (n % 1024) * 4096)
    os.fdatasync(handle)


def _timed(work: Callable[[int], None], n: int) -> float:
    start = time.perf_counter()
    work(n)
    return time.perf_counter() - start


def _written(conn: Connection, events: list[Any], rows: int, commits: int = 100) -> int:
    """Bytes this process gave to the disk per row, checkpoints included (`write_bytes` of /proc)."""
    before = _write_bytes()
    for n in range(commits):
        _commit(conn, events, n, rows)
    return round((_write_bytes() - before) / (commits * rows))


def _write_bytes() -> int:
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("write_bytes"):
            return int(line.split()[1])
    return 0
