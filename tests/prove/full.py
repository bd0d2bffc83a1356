"""P11: the card is full, fails to write or is read-only at every place of a reading's way; nothing acknowledged is lost, and with the
ballast given up a thousand readings more are taken.
"""

import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.database import StoreError, files, truncate_log
from appliance.settings import load
from appliance.store import room
from appliance.store.ballast import make_ballast
from appliance.store.opening import ballast_file, database_file
from tests.store.station import Station, station_at

BLOCK = 4096
PLACES = 40
"""Blocks of room from none to more than a reading with its log needs."""
MORE = 1000


def run(seed: int) -> dict[str, int]:
    """Faults at every place, and what was lost; `seed` names the run only: every place is tried.

    ``EFBIG`` of RLIMIT_FSIZE is the write error that needs no privileges; a full and a read-only disk need root (0 where there is none).
    """
    del seed
    found = {"write_errors": 0, "full": 0, "readonly": 0, "lost": 0, "wrong_words": 0, "missing_of_1000": 0}
    for place in range(PLACES):
        lost, words = limited(place)
        found["write_errors"] += 1
        found["lost"] += lost
        found["wrong_words"] += words
    with disk("4m") as folder:
        if folder is not None:
            for place in range(PLACES):
                lost, words = crowded(folder, place)
                found["full"] += 1
                found["lost"] += lost
                found["wrong_words"] += words
            found["readonly"] = 1
            found["lost"] += readonly(folder)
    found["readings_after_full"] = after_full(ballast=5)
    if found["readings_after_full"] >= 0:
        found["missing_of_1000"] = max(0, MORE - found["readings_after_full"])
        found["saboteur_no_ballast"] = int(after_full(ballast=0) < MORE)
    else:
        del found["readings_after_full"]
    return found


@contextmanager
def disk(size: str) -> Iterator[Path | None]:
    """A disk of `size` of our own, None where we may not mount one."""
    with tempfile.TemporaryDirectory(prefix="tram-full-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _save(station: Station, who: int, count: int) -> tuple[list[int], str]:
    """The readings that were acknowledged, and the reason of the first that was not."""
    saved: list[int] = []
    for number in range(count):
        try:
            saved.append(station.saved(who, 100 + number))
        except StoreError as error:
            return saved, error.reason if error.vi else "silent"
    return saved, ""


def _missing(station: Station, saved: list[int]) -> int:
    """How many acknowledged readings are not there whole: the row, its event, or either without the other."""
    here = {row[0] for row in station.conn.execute("SELECT measurement FROM observation").fetchall()}
    torn = station.conn.execute(
        "SELECT count(*) FROM observation AS o WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE id = o.outbox)"
    ).fetchone()[0]
    return len(set(saved) - here) + int(torn)


def limited(place: int) -> tuple[int, int]:
    """Writing beyond a limit fails in a child; what it acknowledged must be there afterwards."""
    with tempfile.TemporaryDirectory(prefix="tram-full-") as folder:
        station = station_at(Path(folder))
        who = station.patient()
        station.saved(who)
        truncate_log(station.conn)
        station.conn.close()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(reader)
                station.conn = station.second()
                top = files(database_file(station.settings))[1]
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                size = max(top.stat().st_size if top.exists() else 0, 0)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size + 700 * place, resource.RLIM_INFINITY))
                saved, why = _save(station, who, 8)
                os.write(writer, (",".join(map(str, saved)) + ";" + why).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            numbers, _, why = pipe.read().decode().partition(";")
        os.waitpid(child, 0)
        station.conn = station.second()
        lost = _missing(station, [int(one) for one in numbers.split(",") if one])
        station.conn.close()
        return lost, int(why not in ("", "full", "io"))


def crowded(folder: Path, place: int) -> tuple[int, int]:
    """A disk with room for `place` more blocks."""
    home = folder / f"at-{place}"
    home.mkdir()
    station = station_at(home)
    who = station.patient()
    station.saved(who)
    truncate_log(station.conn)
    filler = folder / "filler"
    filler.write_bytes(bytes(max(0, os.statvfs(folder).f_bavail - place) * BLOCK))
    saved, why = _save(station, who, 8)
    filler.unlink()
    station.conn.close()
    station.conn = station.second()
    again, left = _save(station, who, 1)
    lost = _missing(station, [*saved, *again]) + (not again) + (left != "")
    station.conn.close()
    shutil.rmtree(home)
    return lost, int(why not in ("", "full", "io"))


def readonly(folder: Path) -> int:
    """The kernel made the card read-only: refused in words, and everything is there when it can be written again."""
    home = folder / "readonly"
    home.mkdir()
    station = station_at(home)
    who = station.patient()
    saved, _ = _save(station, who, 5)
    station.conn.close()
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        try:
            station.conn = station.second()
        except StoreError as error:
            refused = error.reason in ("readonly", "io", "missing")
        else:
            refused = _save(station, who, 1)[1] in ("readonly", "io")
            station.conn.close()
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
    station.conn = station.second()
    lost = _missing(station, saved) + (not refused)
    station.conn.close()
    shutil.rmtree(home)
    return lost


def after_full(*, ballast: int) -> int:
    """How many readings are taken after the disk was full, at most `MORE`; -1 where no disk can be mounted. `ballast` in megabytes."""
    with disk("12m") as folder:
        if folder is None:
            return -1
        station = station_at(folder)
        file = folder / "tram.toml"
        file.write_text(file.read_text().replace("ballast_mb = 0", f"ballast_mb = {ballast}"))
        station.settings = load([file])
        make_ballast(ballast_file(station.settings), ballast)
        station.conn.close()
        station.conn = station.second()
        who, taken, full = station.patient(), 0, False
        (folder / "filler").write_bytes(bytes(max(0, os.statvfs(folder).f_bavail - 20) * BLOCK))
        while taken < MORE:
            try:
                station.saved(who, 100 + taken % 50)
                taken += full
            except StoreError:
                if full:
                    break
                full = True
        room.measure(station.settings, station.conn)
        station.conn.close()
        return taken
