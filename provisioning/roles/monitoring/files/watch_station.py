"""A look around a station: `tram check` by weight into the journal, and how fast its card wears. Standard library alone.

    watch_station.py TRAM

Writes ``$RUNTIME_DIRECTORY/check.jsonl`` (the lines of `tram check --json`) and ``wear.json``, which `tram check` reads: ``written_day``,
bytes written to the store's file system in a day, ``worn``, the share of its life that an SSD says is used, ``failed``, its own verdict.
What is not known is null. A finding is no failure of the look.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DATA = Path("/var/lib/tram")
WEIGHTS = {"fail": 3, "warn": 4}
LEAST_SECONDS = 20 * 3600
"""A rate over less than most of a day says more about the hour than about the card."""


def told(line: str) -> str:
    """A line of `tram check --json` with systemd's mark of its weight; empty where all is well."""
    one = json.loads(line)
    weight = WEIGHTS.get(one.get("state", ""))
    return "" if weight is None else f"<{weight}>{one['name']}: {one['en']} {one['next_en']}".rstrip()


def disk_of(folder: Path, sys_: Path = Path("/sys")) -> str:
    """The kernel's name of the block device under a folder (``mmcblk0p4``); empty where it is none."""
    try:
        number = os.stat(folder).st_dev
    except OSError:
        return ""
    link = sys_ / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    return link.resolve().name if link.exists() else ""


def written(disk: str, sys_: Path = Path("/sys")) -> int | None:
    """Bytes that were ever written to an ext4 file system, by its own count; None for another kind."""
    file = sys_ / "fs" / "ext4" / disk / "lifetime_write_kbytes"
    try:
        return int(file.read_text()) * 1024 if disk else None
    except (OSError, ValueError):
        return None


def rate(before: dict[str, Any], total: int | None, now: float) -> tuple[int | None, dict[str, Any]]:
    """Bytes a day since the sample that is kept, and the sample to keep. A clock that went back begins anew."""
    if total is None:
        return None, {}
    at, was = before.get("at"), before.get("total")
    if not isinstance(at, int | float) or not isinstance(was, int) or not 0 <= now - at < 90 * 86400 or total < was:
        return None, {"at": now, "total": total}
    if now - at < LEAST_SECONDS:
        return before.get("day"), before
    day = round((total - was) * 86400 / (now - at))
    return day, {"at": now, "total": total, "day": day}


def smart(disk: str) -> tuple[float | None, bool | None]:
    """What an SSD says of itself, (share of its life that is used, whether it gives itself up); None each where nobody can ask."""
    program = shutil.which("smartctl")
    if program is None or not disk:
        return None, None
    done = subprocess.run([program, "--json", "--health", "--attributes", f"/dev/{disk}"], capture_output=True, text=True, check=False)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        return None, None
    used = said.get("nvme_smart_health_information_log", {}).get("percentage_used")
    passed = said.get("smart_status", {}).get("passed")
    return None if used is None else used / 100, None if passed is None else not passed


def load(file: Path) -> dict[str, Any]:
    """What was kept; nothing where that cannot be read."""
    try:
        said = json.loads(file.read_bytes()[:4096])
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def put(file: Path, content: str) -> None:
    """Beside, then in its place."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(content, encoding="utf-8")
    new.replace(file)


def main(words: list[str]) -> int:
    """Look, say, write down."""
    run, state = (Path(os.environ.get(name, ".")) for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY"))
    disk = disk_of(DATA)
    day, sample = rate(load(state / "written.json"), written(disk), time.time())
    put(state / "written.json", json.dumps(sample))
    worn, failed = smart(disk)
    put(run / "wear.json", json.dumps({"written_day": day, "worn": worn, "failed": failed}))
    done = subprocess.run([words[0], "check", "--json"], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        print(f"<3>tram check: {done.stderr.strip()[-300:]}")
        return 0
    put(run / "check.jsonl", done.stdout)
    for line in done.stdout.splitlines():
        text = told(line)
        if text:
            print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
