"""P2: the power goes at every moment at which SQLite has said something to the disk, in three ways; and again while it recovers.

A short morning (observe, save, observe …) on the station's real encrypted store is recorded; then, for every boundary between
two things said to the disk, the disk is built as it may be then, the product opens it, and everything promised before
that moment must be there, once, whole. A disk that lies about having synced is not here: that needs a bench with a relay.
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from appliance.agent.clock import Clock
from appliance.contract.ids import short_of
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Numeric, Reading, ReadingKind
from appliance.database import Connection, connect, files
from appliance.store import measuring
from tests.kills.recorder import DEVICE, KEY, PATIENT, check, make
from tests.prove.disk import Disk, Op, recorded, write_down
from tests.prove.pool import pool
from tests.prove.result import Found, Size, pick

CUTS = {"pinch": 300, "commit": 20_000, "night": 1_000_000, "release": 5_000_000}
MODES = ("lost", "prefix", "torn")
NAME = "tram.db"
NAMES = tuple(path.name for path in files(Path(NAME)))
SAVED = 16
"""Readings of one recorded morning: about 250 things said to the disk, 750 cuts."""
RECOVERIES = 6
"""Cuts of a morning after which the recovery itself is recorded and cut."""
BUGS = ("synchronous = NORMAL", "synchronous = OFF", "no sync of the folder of a new file", "promised before the commit", "in-memory queue")


def _folder() -> Path:
    root = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="tram-power-", dir=root if root.is_dir() else None))


def _open(folder: Path, bug: str) -> Connection:
    conn = connect(folder / NAME, key=KEY)
    if bug.startswith("synchronous"):
        conn.execute(f"PRAGMA {bug}")
    return conn


def morning(folder: Path, seed: int, ops: list[Op], bug: str = "", saved: int = SAVED) -> None:
    """Somebody measures and saves; each promise is written between the things said to the disk."""
    dice = Random(f"morning {seed}")
    with recorded(ops, folder_syncs=bug != BUGS[2]):
        conn = _open(folder, bug)
        conn.execute(f"PRAGMA wal_autocheckpoint = {dice.choice([40, 120, 1024])}")
        clock = Clock(1)
        session = measuring.open_session(conn, patient=PATIENT, staff="nv-1", device=DEVICE, now=clock.stamp())
        queue: list[tuple[int, str]] = []
        for number in range(saved):
            reading = Reading(
                ReadingKind.SPO2,
                short_of(DEVICE),
                (Numeric(Metric.SPO2, 97, Status.TEST_DATA),),
                clock.stamp(),
                ordinal=seed * 1000 + number,
            )
            seen = measuring.observe(
                conn, reading, device=DEVICE, began=session.id, now=clock.stamp(), raw=dice.randbytes(dice.randrange(200))
            )
            ops.append(Op("promise", "o", data=seen.key))
            early = bug in BUGS[3:]
            queue.append((seen.measurement, seen.key.hex()))
            if early:
                ops.append(Op("promise", "r", data=seen.key))
            if bug == "in-memory queue" and len(queue) < 5:
                continue
            for measurement, key in queue:
                measuring.record(conn, measurement, staff="nv-1", now=clock.stamp())
                if not early:
                    ops.append(Op("promise", "r", data=bytes.fromhex(key)))
            queue = []
        if dice.random() < 0.7:
            conn.close()
        else:  # the box dies before anybody closes anything: nothing more is said to the disk
            stop = len(ops)
            conn.close()
            del ops[stop:]


def look(folder: Path, observed: Counter[str], saved: Counter[str], place: str) -> list[str]:
    """Open the store as the product does and hold it against the promises."""
    try:
        conn = connect(folder / NAME, key=KEY)
    except OSError as error:
        return [f"{place}: the store does not open: {error}"]
    try:
        conn.execute("PRAGMA synchronous = OFF")  # this look only reads; its own disk is not the question
        found = check(conn, observed, saved)
    except OSError as error:
        return [f"{place}: {error}"]
    finally:
        conn.close()
    wrong = {name: found[name] for name in ("lost", "doubled", "torn", "gaps", "damage") if found[name]}
    return [f"{place}: {wrong}"] if wrong else []


def boundaries(ops: list[Op], disk: Disk) -> Iterator[tuple[int, Counter[str], Counter[str]]]:
    """Every moment between two things said to the disk, with what had been promised by then; the disk follows."""
    observed: Counter[str] = Counter()
    saved: Counter[str] = Counter()
    for place, op in enumerate(ops):
        if op.what == "promise":
            (observed if op.file == "o" else saved)[op.data.hex()] += 1
            continue
        yield place, observed, saved
        disk.do(op)
    yield len(ops), observed, saved


def day(seed: int, bug: str = "", most: int = 1 << 30) -> tuple[dict[str, int], list[str]]:
    """One morning recorded and cut everywhere; (what was done, what broke)."""
    base, place = _folder(), _folder()
    done = Counter[str]()
    wrong: list[str] = []
    dice = Random(f"cuts {seed}")
    try:
        conn = make(base)
        conn.close()
        start = {NAME: (base / NAME).read_bytes()}
        ops: list[Op] = []
        morning(base, seed, ops, bug)
        again = set(dice.sample(range(len(ops)), min(RECOVERIES, len(ops))))
        disk = Disk(start)
        done["boundaries"] = sum(op.what != "promise" for op in ops) + 1
        for step, observed, saved in boundaries(ops, disk):
            for mode in MODES:
                image = disk.cut(mode, dice)
                if step in again and mode != "lost":
                    wrong += recovery(place, image, (observed, saved), seed, step, done, dice)
                write_down(image, place, NAMES)
                wrong += look(place, observed, saved, f"morning {seed}, step {step}, {mode}")
                done["cuts"] += 1
            if (bug and wrong) or done["cuts"] >= most:
                break
    finally:
        shutil.rmtree(base, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)
    return dict(done), wrong


def recovery(
    place: Path,
    image: dict[str, bytes],
    promised: tuple[Counter[str], Counter[str]],
    seed: int,
    step: int,
    done: Counter[str],
    dice: Random,
) -> list[str]:
    """The power goes again while the store is opened after a cut: recorded and cut everywhere."""
    write_down(image, place, NAMES)
    ops: list[Op] = []
    with recorded(ops):
        conn = connect(place / NAME, key=KEY)
        conn.execute("PRAGMA wal_checkpoint(PASSIVE)")
        conn.close()
    disk, wrong = Disk(image), []
    for within, _, _ in boundaries(ops, disk):
        for mode in MODES:
            write_down(disk.cut(mode, dice), place, NAMES)
            wrong += look(place, *promised, f"morning {seed}, step {step}, recovery step {within}, {mode}")
            done["cuts during recovery"] += 1
    return wrong


def _day(seed: int) -> tuple[dict[str, int], list[str]]:
    return day(seed)


def _caught(bug: str, seed: int) -> tuple[str, bool]:
    return bug, any(day(seed + more, bug)[1] for more in range(4))


def attempt(size: Size, seed: int) -> Found:
    """P2: mornings until there were enough cuts, then the bugs."""
    want, found = pick(size, CUTS), Found()
    done: Counter[str] = Counter()
    began = time.monotonic()
    if size == "pinch":
        tallies, found.wrong = day(seed, most=want)
        found.figures = dict(tallies)
        return found
    with pool() as workers:
        start = seed
        while done["cuts"] < want:
            for tallies, wrong in workers.map(_day, range(start, start + 8)):
                done.update(tallies)
                done["mornings"] += 1
                found.wrong += wrong
            start += 8
        took = time.monotonic() - began
        found.saboteurs = dict(workers.map(_caught, BUGS, [seed] * len(BUGS)))
    found.figures = {**done, "cuts a second": sum(done[name] for name in ("cuts", "cuts during recovery")) / took}
    found.notes.append("a disk that says it has synced and has not is not in this proof: it needs a bench with a relay and real cards")
    return found
