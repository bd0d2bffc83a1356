"""The power goes below the file system: what a card is told is written down, and every card that may be left is looked at.

    .venv/bin/python -m tests.images.rig_power                  (as root; a minute or two; script/rig power)
    .venv/bin/python -m tests.images.rig_power --saved 300 --seed 7

The station's real encrypted store saves readings on a real ext4. The block device under it is QEMU's (`blklogwrites`): it writes down
every write and every FLUSH in order. Afterwards, for moments after a promise, the card is put together again as it may have been
left: all that was flushed, and of what came later nothing, or any half. Each of these cards is repaired by `e2fsck` as a start would,
and the product opens the store that lies on it. Everything promised by then must be there, once. A planted station that commits with
`synchronous = NORMAL` goes through the same and must be caught, or this finds nothing. The model drops whole requests, and the card
does not lie about a flush. What was seen goes into docs/reference/rig-results.md.
"""

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

from appliance.agent.clock import Clock
from appliance.contract.ids import short_of
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Numeric, Reading, ReadingKind
from appliance.database import connect
from appliance.store import measuring
from tests import servers
from tests.images.machine import MissingError
from tests.images.rig_boot import Results, report, run
from tests.kills.recorder import DEVICE, KEY, PATIENT, check, make
from tests.polling import until

NAME = "tram.db"
SECTOR = 512
CARD_MB = 64
FLUSH, FUA, DISCARD = 1, 2, 4
"""What an entry of the log was (Linux, Documentation/admin-guide/device-mapper/log-writes.rst, whose format QEMU writes)."""
NEEDED = {
    "qemu-storage-daemon": "qemu-system-common", "mke2fs": "e2fsprogs", "e2fsck": "e2fsprogs", "debugfs": "e2fsprogs",
    "losetup": "mount", "fusermount3": "fuse3",
}  # fmt: skip
MODES = ("all lost", "half lost")


class Entry(NamedTuple):
    """One request to the card: where its bytes go, what kind it was, and where its record ends in the log."""

    place: int
    flags: int
    data: bytes
    end: int


class Promise(NamedTuple):
    """A reading was called saved when the log was `at` bytes long."""

    key: str
    at: int


@dataclass
class Told:
    """What one station did: the card before it, every request in order, every promise in order."""

    before: Path
    entries: list[Entry]
    promises: list[Promise]


# --- the card that writes down -----------------------------------------------------------------------------------------------------------


@contextmanager
def card(place: Path) -> Iterator[tuple[Path, Path]]:
    """An ext4 on a device that writes down what it is told: (where it is mounted, the log)."""
    data, log, door, mounted = place / "data.raw", place / "log", place / "card", place / "mnt"
    with data.open("wb") as file:
        file.truncate(CARD_MB << 20)
    run(str(servers.find("mke2fs")), "-q", "-t", "ext4", data)
    shutil.copyfile(data, place / "before.raw")
    log.touch()
    door.touch()
    mounted.mkdir()
    words = [
        "qemu-storage-daemon",
        "--blockdev", f"driver=file,node-name=data,filename={data},cache.no-flush=on",
        "--blockdev", f"driver=file,node-name=log,filename={log},cache.no-flush=on",
        "--blockdev", f"driver=blklogwrites,node-name=both,file=data,log=log,log-sector-size={SECTOR}",
        "--export", f"type=fuse,id=door,node-name=both,mountpoint={door},writable=on",
    ]  # fmt: skip
    daemon, loop = servers.start(words, place / "daemon.log"), ""
    try:
        until(lambda: door.stat().st_size == CARD_MB << 20 or daemon.poll() is not None, 20, what="the card")
        if daemon.poll() is not None:
            raise MissingError(f"qemu-storage-daemon: {(place / 'daemon.log').read_text().strip()[-300:]}")
        loop = run("losetup", "--show", "-f", door).stdout.strip()
        run("mount", "-t", "ext4", "-o", "noatime", loop, mounted)
        yield mounted, log
    finally:
        subprocess.run(["umount", str(mounted)], check=False, capture_output=True)
        if loop:
            subprocess.run(["losetup", "-d", loop], check=False)
        servers.stop(daemon)


def read_log(log: bytes) -> Iterator[Entry]:
    """The requests of a log, in order. Its first sector is about the log; an empty header ends it."""
    place = SECTOR
    while place + SECTOR <= len(log):
        sector, count, flags, _ = struct.unpack_from("<4Q", log, place)
        if not (sector or count or flags):
            return
        place += SECTOR
        size = 0 if flags & DISCARD else count * SECTOR
        yield Entry(sector * SECTOR, flags, log[place : place + size], place + size)
        place += size


def left(told: Told, at: int, mode: str, dice: Random) -> bytearray:
    """The card as it may be when the power goes after `at` bytes of the log: up to the last FLUSH all, later ones by chance."""
    found = bytearray(told.before.read_bytes())
    live = [one for one in told.entries if one.end <= at]
    last = max((number for number, one in enumerate(live) if one.flags & FLUSH), default=-1)
    for number, one in enumerate(live):
        stays = number < last or bool(one.flags & FUA) or (mode == MODES[1] and dice.random() < 0.5)
        # A FLUSH is about what came before it; bytes of its own are kept by chance like those after it.
        if stays and one.data:
            found[one.place : one.place + len(one.data)] = one.data
    return found


# --- the station -------------------------------------------------------------------------------------------------------------------------


def told(place: Path, saved: int, bug: str) -> Told:
    """A station saves readings on such a card; `bug`: the pragma it was planted with, or nothing."""
    place.mkdir()
    promises = []
    with card(place) as (mounted, log):
        conn = make(mounted)
        if bug:
            conn.execute(f"PRAGMA {bug}")
        clock = Clock(1)
        session = measuring.open_session(conn, patient=PATIENT, staff="nv-1", device=DEVICE, now=clock.stamp())
        for number in range(saved):
            now = clock.stamp()
            reading = Reading(ReadingKind.SPO2, short_of(DEVICE), (Numeric(Metric.SPO2, 97, Status.TEST_DATA),), now, ordinal=number)
            seen = measuring.observe(conn, reading, device=DEVICE, began=session.id, now=now, raw=b"")
            measuring.record(conn, seen.measurement, staff="nv-1", now=clock.stamp())
            promises.append(Promise(seen.key.hex(), log.stat().st_size))
        whole = log.read_bytes()  # before it is closed: nothing more is said to the card
        conn.close()
    return Told(place / "before.raw", list(read_log(whole)), promises)


def looked_at(place: Path, image: bytearray, promised: Sequence[Promise]) -> str:
    """What is wrong with the store on a card that was left like this; empty: nothing."""
    file, out = place / "cut.raw", place / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    file.write_bytes(image)
    fsck = subprocess.run([str(servers.find("e2fsck")), "-fy", str(file)], capture_output=True, text=True, check=False)
    if fsck.returncode > 1:
        return f"e2fsck: {fsck.returncode} {fsck.stdout[-300:]}"
    run(str(servers.find("debugfs")), "-R", f"rdump / {out}", file)
    try:
        conn = connect(out / NAME, key=KEY, create=False)
    except OSError as error:
        return f"the store does not open: {error}"
    try:
        keys = Counter(one.key for one in promised)
        found = check(conn, keys, keys)
    except OSError as error:
        return str(error)
    finally:
        conn.close()
    names = {"lost": "rows lost (three a reading)", "doubled": "doubled", "torn": "torn", "gaps": "gaps", "damage": "damage"}
    return ", ".join(f"{said} {found[name]}" for name, said in names.items() if found[name])


def cut(place: Path, seen: Told, moments: Sequence[int], dice: Random) -> list[str]:
    """The power goes after each of these promises, in every mode; what was wrong."""
    wrong = []
    for number in moments:
        for mode in MODES:
            image = left(seen, seen.promises[number].at, mode, dice)
            if said := looked_at(place, image, seen.promises[: number + 1]):
                wrong.append(f"after reading {number + 1}, {mode}: {said}")
    return wrong


def main() -> int:
    """Run; 0 when nothing promised was lost and the planted station was caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saved", type=int, default=150, metavar="N", help="readings that a station saves (150)")
    parser.add_argument("--moments", type=int, default=40, metavar="N", help="promises after which the power goes (40)")
    parser.add_argument("--seed", type=int, default=1)
    said = parser.parse_args()
    if said.saved < said.moments or said.moments < 1:
        parser.error(f"--moments {said.moments}: expected 1 to the number of readings ({said.saved}), for example 40")
    lacking = sorted({package for program, package in NEEDED.items() if servers.find(program) is None})
    if os.geteuid() != 0 or lacking:
        print(f"rig: not on this machine: {'missing: ' + ' '.join(lacking) if lacking else 'a device is mounted as root'}", file=sys.stderr)
        return 1
    place = Path(tempfile.mkdtemp(prefix="tp", dir="/var/tmp"))
    try:
        return cut_and_told(place, said.saved, said.moments, said.seed)
    except MissingError as missing:
        print(f"rig: not on this machine: {missing}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(place)


def cut_and_told(place: Path, saved: int, moments: int, seed: int) -> int:
    """Both stations, the honest one first."""
    results, began, busy, dice = Results(), time.monotonic(), os.getloadavg()[0], Random(f"card {seed}")
    chosen = sorted({saved - 1, *dice.sample(range(saved), moments)})
    honest = told(place / "full", saved, "")
    flushes = sum(bool(one.flags & FLUSH) for one in honest.entries)
    results.note("the station saves", f"{saved} readings; the card is told {len(honest.entries)} things, {flushes} times to keep them")
    wrong = cut(place, honest, chosen, dice)
    cards = len(chosen) * len(MODES)
    results.note("cards as the power may have left them", f"{cards} ({len(chosen)} moments, all or half of what was not flushed lost)")
    results.note("promised readings missing, doubled, torn", "; ".join(wrong) or f"none on all {cards}")
    planted = told(place / "normal", saved, "synchronous = NORMAL")
    caught = cut(place, planted, chosen, dice)
    results.note("planted: a station with synchronous = NORMAL", f"caught on {len(caught)} of {cards} cards" if caught else "NOT CAUGHT")
    results.note("the last of these", caught[-1] if caught else "none")
    report("power", results, time.monotonic() - began, busy, f"ext4 on QEMU's write log, seed {seed}")
    return 0 if caught and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
