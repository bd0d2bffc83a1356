"""P3: whole `tram` commands, unmodified, on a filesystem that forgets everything that was not synced.

A run: `tram init` and some patients and staff, each promised by a command that ended well; the card dies at a random moment
of all that; what the disk had really kept is mounted again, and the station must come up and know everything promised.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests import servers
from tests.conftest import ROOT
from tests.polling import until
from tests.prove.result import Found, Size, SkippedError, pick

RUNS = {"pinch": 2, "commit": 50, "night": 2_000, "release": 20_000}
STEPS = 600
"""Writing operations of one run, about: the card dies within them, or just after the last command."""


def possible() -> None:
    """SkippedError where no filesystem can be mounted by a program."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise SkippedError("/dev/fuse is missing or not ours: run where a program may mount (in a container: --device /dev/fuse)")
    if servers.find("fusermount") is None and servers.find("fusermount3") is None:
        raise SkippedError("fusermount is missing (apt-get install fuse3 libfuse2)")
    try:
        import mfusepy  # noqa: F401 - it looks for libfuse when it is imported
    except OSError as error:
        raise SkippedError(f"{error} (apt-get install fuse3 libfuse2)") from error


@contextmanager
def mounted(folder: Path, backing: Path, dies: int) -> Iterator[tuple[Path, Path]]:
    """(where it is mounted, where what stayed will be)."""
    mount, kept = folder / "card", folder / f"kept-{dies}-{backing.name}"
    mount.mkdir(exist_ok=True)
    kept.mkdir()
    process = servers.start(
        [sys.executable, "-m", "tests.prove.forgetful", str(backing), str(mount), str(kept), str(dies)], folder / "fuse.log"
    )
    try:
        until(lambda: process.poll() is not None or os.path.ismount(mount), 120, what="the card to be mounted")
        if process.poll() is not None:
            raise SkippedError(f"cannot mount: {(folder / 'fuse.log').read_text()[-200:]}")
        yield mount, kept
    finally:
        subprocess.run([servers.find("fusermount3") or servers.find("fusermount") or "fusermount", "-u", "-z", str(mount)], check=False)
        until(lambda: process.poll() is not None, 120, what="the card to be let go")


def tram(folder: Path, *words: str, bug: str = "") -> tuple[int, dict[str, Any], str]:
    """One command on the card: its exit code, its last JSON line, what it complained of."""
    front = ["tests.saboteurs", bug, "--", "tram"] if bug else ["appliance.cli"]
    command = [sys.executable, "-m", *front, "--config", str(folder / "tram.toml"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
    lines = done.stdout.splitlines()
    try:
        said: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    except ValueError:
        said = {}
    return done.returncode, said, done.stderr[-300:]


def run(seed: int, bug: str = "") -> tuple[list[str], int]:
    """One card, its death, its return; (what was promised and is gone, how much was promised)."""
    dice = Random(f"lossy {seed}")
    dies = 0 if bug or dice.random() < 0.2 else dice.randrange(1, STEPS)
    folder = Path(tempfile.mkdtemp(prefix="tram-p3-", dir="/tmp"))
    promised: list[int] = []
    try:
        (folder / "tram.toml").write_text(
            f'[station]\nid = "tram-0001"\n[paths]\ndata = "{folder}/card/data"\nrun = "{folder}/run"\n'
            f'[store]\nkey_file = "{folder}/card/keys/store.key"\nballast_mb = 0\n',
            encoding="utf-8",
        )
        backing = folder / "first"
        backing.mkdir()
        with mounted(folder, backing, dies) as (_, kept):
            begun = tram(folder, "init", bug=bug)[0] == 0
            for number in range(dice.randrange(1, 3) if begun else 0):
                code, said, _ = tram(folder, "patient", "add", "--name", f"Thử Nghiệm {'ABCD'[number]}", "--birth", "1961")
                if code == 0:
                    promised.append(int(said["patient"]))
        with mounted(folder, kept, 0) as _:
            code, _, complaint = tram(folder, "init")
            if code:
                return [f"run {seed}, card died at {dies}: tram init does not bring it back ({complaint.strip()[-160:]})"], len(promised)
            there = {int(row["patient"]) for row in _patients(folder)}
        gone = [f"run {seed}, card died at {dies}: patient {one} was promised and is gone" for one in promised if one not in there]
        return gone, len(promised) + begun
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _patients(folder: Path) -> list[dict[str, Any]]:
    """Who is known, looked up through the product's own door."""
    from appliance.settings import load
    from appliance.store.opening import open_store

    conn = open_store(load([folder / "tram.toml"]), {})
    try:
        return [{"patient": row[0]} for row in conn.execute("SELECT id FROM patient")]
    finally:
        conn.close()


def attempt(size: Size, seed: int) -> Found:
    """P3: so many cards, two at a time, then the key that is written carelessly."""
    possible()
    found, runs, promised = Found(), pick(size, RUNS), 0
    with ThreadPoolExecutor(2) as threads:
        for wrong, said in threads.map(run, range(seed, seed + runs)):
            found.wrong += wrong
            promised += said
    if size != "pinch":
        found.saboteurs["key written without fsync and rename"] = bool(run(seed, "careless-key")[0])
    found.figures = {"cards that died or were pulled": runs, "promises": promised, "broken": len(found.wrong)}
    return found
