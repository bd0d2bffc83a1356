"""A look around a bridge: silent stations, disks, the age of the latest verified backup. Standard library alone.

    watch_bridge.py TRAM-BRIDGE SETTINGS BACKUPS SILENT-DAYS DISK-PERCENT BACKUP-HOURS

Each finding is a line on standard output with systemd's mark of its weight (``<3>`` error, ``<4>`` warning), and the same lines stand
in ``$STATE_DIRECTORY/alerts.txt``, which is empty when all is well. Exit code 0 either way: a finding is no failure of the look.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

Finding = tuple[int, str]
"""The weight (3 error, 4 warning) and the sentence."""


def stations(lines: Iterable[str]) -> list[Finding]:
    """What `tram-bridge fleet --json` says of those that are silent, and of devices that are badly heard."""
    found: list[Finding] = []
    for line in lines:
        one = json.loads(line)
        if one.get("silent"):
            found.append((4, f"station {one['station']} is silent since {one.get('heard') or 'ever'}: call it, look at its line"))
        elif one.get("alarms"):
            found.append((4, f"station {one['station']}: {one['alarms']} of {one['devices']} devices are badly heard"))
    return found


def disks(folders: Iterable[Path], percent: int) -> list[Finding]:
    """Folders whose file system is fuller than that."""
    found: list[Finding] = []
    for folder in folders:
        if folder.exists():
            one = shutil.disk_usage(folder)
            share = round(100 * one.used / one.total)
            if share >= percent:
                found.append((3, f"the disk of {folder} is {share} % full: make room, or everything stops at 100 %"))
    return found


def backups(folder: Path, now: float, hours: int) -> list[Finding]:
    """Whether the latest verified backup (a folder `backup-…`; half ones have another name) is too old."""
    try:
        latest = max((one.stat().st_mtime for one in folder.glob("backup-*")), default=None)
    except OSError as error:
        return [(3, f"the backups cannot be looked at: {error}")]
    if latest is None:
        return [(3, f"there is no verified backup in {folder}: nothing is called safe (systemctl start tram-bridge-backup)")]
    age = round((now - latest) / 3600)
    if age >= hours:
        return [(3, f"the latest verified backup is {age} hours old: journalctl -u tram-bridge-backup")]
    return []


def main(words: list[str]) -> int:
    """Look, say, write down."""
    program, settings, folder, days, percent, hours = words
    done = subprocess.run(
        [program, "--config", settings, "fleet", "--json", "--silent-days", days], capture_output=True, text=True, check=False
    )
    found = (
        stations(done.stdout.splitlines())
        if done.returncode == 0
        else [(3, f"the stations cannot be listed: {done.stderr.strip()[-300:]}")]
    )
    found += disks([Path("/var/lib/tram-bridge"), Path("/var/lib/postgresql"), Path(folder)], int(percent))
    found += backups(Path(folder), time.time(), int(hours))
    place = Path(os.environ.get("STATE_DIRECTORY", "."))
    new = place / ".alerts.new"
    new.write_text("".join(f"{text}\n" for _, text in sorted(found)), encoding="utf-8")
    new.replace(place / "alerts.txt")
    for weight, text in sorted(found):
        print(f"<{weight}>{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
