"""The demo's folder: what is in it, that nobody else's folder is ever emptied, that two demos never share one."""

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from appliance import __version__

SHORT = "tram-demo-"
"""How the name of a short folder begins."""
LAYOUT = 1
"""Grows when a demo cannot go on with what an earlier one left in its folder (another login, another step of the set-up)."""
MADE_BY = "made-by"
"""The file that says which version's demo left what is here."""
MARK = ".tram-demo"
"""The file that says: this folder was made by the demo and may be emptied by it."""


class FolderError(ValueError):
    """The folder is not the demo's, or another demo is using it; the text says what to do."""


@dataclass
class State:
    """One demo's folder `root`, locked for as long as this is open, and `short`, a folder under a short path that lives only as long.

    `short` holds what must not outlive the demo: the run directory (AF_UNIX paths end at 107 bytes) and the broker's settings.
    """

    root: Path
    short: Path
    _lock: IO[str] = field(repr=False)

    @property
    def logs(self) -> Path:
        """What the programs said, one file each."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """The box's run directory."""
        return self.short / "run"

    def password(self, who: str) -> str:
        """The demo login of `who`: made once for this folder, kept in ``logins.json`` for its owner alone."""
        return self._kept(who, lambda: "-".join(secrets.token_hex(2) for _ in range(3)))

    def pin(self, who: str) -> str:
        """The PIN of `who` at the demo's kiosk, kept beside the logins."""
        from appliance.store.pins import invent

        return self._kept(f"pin:{who}", lambda: invent(secrets.token_bytes))

    def _kept(self, who: str, make: Callable[[], str]) -> str:
        path = self.root / "logins.json"
        logins: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if who not in logins:
            logins[who] = make()
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(logins, file)
        return logins[who]

    def close(self) -> None:
        """Give the folder free; what is in `root` stays."""
        shutil.rmtree(self.short, ignore_errors=True)
        self._lock.truncate(0)
        self._lock.close()


def open_state(root: Path, fresh: bool = False) -> State:
    """The demo's folder, made when it is not there, emptied when `fresh`. FolderError when it is not a demo's or in use."""
    root = root.absolute()
    if root.exists() and not root.is_dir():
        raise FolderError(f"{root} is not a folder: give another one with --state")
    if root.is_dir() and any(root.iterdir()) and not (root / MARK).is_file():
        raise FolderError(f"{root} was not made by the demo ({MARK} is missing): it stays untouched; give another folder with --state")
    root.mkdir(parents=True, exist_ok=True)
    lock = (root / MARK).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise FolderError(f"another demo is running in {root}: end it or give another folder with --state") from None
    try:
        _ours(root, fresh)
    except FolderError:
        lock.close()
        raise
    shutil.rmtree(root / "log", ignore_errors=True)
    _forget_killed(lock)
    short = Path(tempfile.mkdtemp(prefix=SHORT))
    lock.write(f"{short}\n")
    lock.flush()
    short.chmod(0o755)  # the broker may be another user
    (short / "run").mkdir(mode=0o770)
    return State(root, short, lock)


def _ours(root: Path, fresh: bool) -> None:
    """Empty the folder when `fresh`, and mark it as this version's; FolderError when another version's demo left something in it."""
    if fresh:
        _empty(root)
    version, mark = f"{__version__} {LAYOUT}", root / MADE_BY
    by = mark.read_text(encoding="utf-8").strip() if mark.exists() else ""
    if by != version and (root / "logins.json").exists():
        raise FolderError(
            f"{root} holds a demo of another version of Tram ({by.split(' ')[0] or 'an early one'}): "
            "begin anew with --fresh (the invented patients in it are lost), or give another folder with --state"
        )
    mark.write_text(version + "\n", encoding="utf-8")


def _forget_killed(lock: IO[str]) -> None:
    """Remove the short folder of a demo that was killed in this folder: the marker names it, and nobody else holds the lock."""
    lock.seek(0)
    for line in lock.read().splitlines():
        left = Path(line)
        if left.name.startswith(SHORT) and left.is_dir() and not left.is_symlink() and left.stat().st_uid == os.geteuid():
            shutil.rmtree(left, ignore_errors=True)
    lock.truncate(0)


def _empty(root: Path) -> None:
    """Remove everything in `root` but the marker, which we hold locked; links are removed, never followed."""
    for entry in root.iterdir():
        if entry.name == MARK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
