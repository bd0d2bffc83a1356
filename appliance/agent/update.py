"""Another version of the program on a box that stands (``tram update``): beside the one in force, tried, then one rename.

``<update.home>/releases/<name>/venv`` is a release, complete when ``complete`` stands beside it; ``current`` is a link to the one in
force (the role `program` keeps the same layout), ``before`` a link to the one that was. ``trial``, a link to the old one, stands
from just before the rename until the new one has been seen to run. A power cut before the rename leaves the old version in
force, after it the new one, which `settle` looks at again. The store is opened for reading two numbers; nothing of it is
changed here. A later schema is made by the new version's `tram init`.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance import __version__, durable
from appliance.agent.release import ENDING, Release, number, open_release, trusted, unpack
from appliance.database import connect
from appliance.settings import Settings
from appliance.store.errors import Refused
from appliance.store.opening import database_file, key_file, read_key, schema_of

CURRENT, BEFORE, TRIAL, COMPLETE = "current", "before", "trial", "complete"
ROOM_TIMES = 6
"""Bytes an installation takes for each byte of its file (measured with 42 wheels: 46 MB become 210 MB, and lie beside them meanwhile)."""
LONGEST = 900
"""Seconds any one program may take: a check of a store of 1 GB on a slow card takes minutes."""

Say = Callable[[str], None]
"""Told at the start of each step, by its word (`STEPS`)."""
STEPS = ("check", "room", "folder", "unpack", "environment", "install", "try", "sync", "complete", "switch", "switched", "look", "tidy")


@dataclass(frozen=True, slots=True)
class Place:
    """Where releases lie on this box, what they are checked with, what the programs read."""

    home: Path
    keys: Path
    config: Sequence[Path]
    settings: Settings

    @property
    def current(self) -> Path:
        """The link to the release in force."""
        return self.home / CURRENT


Install = Callable[[Path, Path, Say], None]
"""Fill a folder with the virtual environment `venv` from the wheels beside it."""
Look = Callable[[Place], str]
"""What is wrong with the version in force now that the programs run on it; empty: nothing."""


# --- the whole way ----------------------------------------------------------------------------------------------------------------------


def update(place: Place, source: Path, say: Say, install: Install, look: Look) -> Release:
    """Install what `source` (a file, or a folder with one) brings and turn to it. Refused: a sentence, and the old one is in force."""
    with _alone(place):
        settle(place, look)
        return _update(place, chosen(source), say, install, look)


def _update(place: Place, file: Path, say: Say, install: Install, look: Look) -> Release:
    say("check")
    with file.open("rb") as content:
        release, archive = open_release(content, trusted(place.keys))
        name = f"{release.version}-{_digest(release)}"
        folder = place.home / "releases" / name
        _fits(place, release)
        if not (folder / COMPLETE).exists():
            say("room")
            _room(place.home, file.stat().st_size)
            say("folder")
            shutil.rmtree(folder, ignore_errors=True)  # what a power cut left is no ground to build on
            (folder / "wheels").mkdir(parents=True)
            say("unpack")
            try:
                unpack(release, archive, folder / "wheels")
                install(folder / "wheels", folder / "venv", say)
                shutil.rmtree(folder / "wheels")
                say("try")
                tried(folder / "venv", place, release.version)
            except (Refused, OSError):
                shutil.rmtree(folder, ignore_errors=True)
                raise
            say("sync")
            os.sync()  # thousands of small files: one call is quicker than one for each
            say("complete")
            _mark(folder / COMPLETE)
    _turn(place, folder / "venv", say, look)
    say("tidy")
    _tidy(place)
    return release


def back(place: Place, say: Say, look: Look) -> str:
    """Turn to the release before; its version. Refused where there is none, or where the store has become too new for it."""
    with _alone(place):
        target = _led(place.home / BEFORE)
        if target is None or target == _led(place.current) or not (target.parent / COMPLETE).exists():
            raise Refused("Không còn bản trước trên máy.", "no release before this one is on the box")
        version, schema = _asked(target)
        _readable(place, schema, version)
        tried(target, place, version)
        _turn(place, target, say, look)
        return version


def settle(place: Place, look: Look) -> bool:
    """End what a power cut left after the switch: keep a version that runs, turn back from one that does not. Whether it was kept."""
    trial = place.home / TRIAL
    if not trial.is_symlink():
        return True
    before, wrong = _led(trial), look(place)
    if wrong and before is not None and before.exists():
        _link(place.current, before)
    elif before is not None and before != _led(place.current):
        _link(place.home / BEFORE, before)
    trial.unlink()
    durable.sync(place.home)
    return not wrong


def _turn(place: Place, target: Path, say: Say, look: Look) -> None:
    """One rename; then look, and rename again where it does not run."""
    before = _led(place.current)
    if before is not None:
        _link(place.home / TRIAL, before)
    say("switch")
    _link(place.current, target)
    say("switched")
    say("look")
    wrong = look(place)
    if before is None:
        return
    if wrong:
        _link(place.current, before)
        look(place)
        (place.home / TRIAL).unlink()
        raise Refused(
            f"Bản mới không chạy được ({wrong}). Máy đã quay về bản cũ.", f"the new version does not run ({wrong}): the old one is back"
        )
    if before != target:
        _link(place.home / BEFORE, before)
    (place.home / TRIAL).unlink()
    durable.sync(place.home)


# --- looking before touching anything ---------------------------------------------------------------------------------------------------


def chosen(source: Path) -> Path:
    """The file itself, or the one release in a folder (a USB stick). Refused for none, or for several."""
    if not source.is_dir():
        if not source.is_file():
            raise Refused(f"Không có tệp {source}.", f"there is no file {source}")
        return source
    found = sorted(one for one in source.glob(f"*{ENDING}") if one.is_file() and not one.name.startswith("."))
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "0"
        raise Refused(
            f"Trong {source} phải có đúng một tệp *{ENDING} (thấy: {names}).",
            f"{source} should hold one file *{ENDING}, it has: {names}; name the one you mean",
        )
    return found[0]


def _fits(place: Place, release: Release) -> None:
    """Refused for an older version, another machine, another Python, or a store that is too new for it."""
    running = _running(place)
    if running and number(release.version) < number(running):
        raise Refused(
            f"Tệp này là bản {release.version}, cũ hơn bản đang chạy ({running}). Không cài bản cũ. "
            "Để quay về bản trước: tram update --back",
            f"this is {release.version}, older than {running} that runs: older versions are not installed; "
            "the one before: tram update --back",
        )
    here = (f"{sys.version_info[0]}.{sys.version_info[1]}", platform.machine())
    for what, wanted, found in zip(("Python", "máy"), (release.python, release.machine), here, strict=True):
        if wanted not in ("any", found):
            raise Refused(
                f"Tệp này dành cho {what} {wanted}; máy này là {found}. Lấy đúng tệp.",
                f"this release is for {wanted}, this box is {found}: take the other file",
            )
    _readable(place, release.schema, release.version)


def _running(place: Place) -> str:
    """The version in force; our own where it does not answer any more (that box needs the update most); nothing on a bare box."""
    led = _led(place.current)
    if led is None:
        return ""
    try:
        return _asked(led)[0]
    except Refused:
        return __version__


def _readable(place: Place, schema: int, version: str) -> None:
    """Refused where code that knows `schema` may not open the store as it is now."""
    path = database_file(place.settings)
    if not path.exists():
        return
    key = read_key(key_file(place.settings, os.environ))
    conn = connect(path, key=key, page_size=place.settings.store.page_size, readonly=True)
    try:
        found, least = schema_of(conn)
    finally:
        conn.close()
    if schema < least:
        raise Refused(
            f"Kho dữ liệu đã ở dạng {found}; bản {version} chỉ biết đến dạng {schema} và không đọc được. "
            "Không có gì bị mất. Giữ bản đang chạy.",
            f"the store has schema {found} and may be read from {least} on; version {version} knows {schema}: nothing is lost, "
            "keep the version that runs",
        )


def _room(home: Path, size: int) -> None:
    """Refused where the disk has not the room for another release."""
    found = os.statvfs(home)
    free, wanted = found.f_bavail * found.f_frsize, size * ROOM_TIMES
    if free < wanted:
        raise Refused(
            f"Thẻ nhớ còn {free >> 20} MB, cần {wanted >> 20} MB. Máy vẫn chạy bản cũ.",
            f"{free >> 20} MB are free, {wanted >> 20} MB are needed: the version in force stays",
        )


# --- installing and trying --------------------------------------------------------------------------------------------------------------


def installed(wheels: Path, venv: Path, say: Say) -> None:
    """A new environment with every wheel by its hash; nothing is fetched from anywhere. Refused with the end of pip's complaint."""
    say("environment")
    python = getattr(sys, "_base_executable", sys.executable)
    _run([python, "-m", "venv", "--clear", str(venv)], wheels, "venv")
    say("install")
    pip = [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet", "--no-index"]
    _run([*pip, "--no-deps", "--require-hashes", "--requirement", "requirements.txt"], wheels, "pip")


def tried(venv: Path, place: Place, version: str) -> None:
    """Refused unless the program starts, is the version it should be, accepts our settings and finds the store whole."""
    tram = str(venv / "bin/tram")
    said = _run([tram, "--version"], venv, "tram --version").strip()
    if said != f"tram {version}":
        raise _does_not_stand(f"it calls itself {said[:60]!r}")
    for one in place.config:
        _run([tram, "config", "--check", str(one.absolute())], venv, "tram config --check")
    if database_file(place.settings).exists():
        _run([tram, "store", "check", *_configured(place)], venv, "tram store check")


def _configured(place: Place) -> list[str]:
    return [word for one in place.config for word in ("--config", str(one.absolute()))]


def _asked(venv: Path) -> tuple[str, int]:
    """Version and schema of an installed release, in its own words."""
    code = "import appliance, appliance.store.version as v; print(appliance.__version__, v.SCHEMA)"
    version, schema = _run([str(venv / "bin/python"), "-I", "-c", code], venv, "the release").split()
    return version, int(schema)


def _run(command: list[str], folder: Path, what: str) -> str:
    """What a program says; Refused with the end of its complaint."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=LONGEST, stdin=subprocess.DEVNULL)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise _does_not_stand(f"{what}: {type(error).__name__}") from error
    if done.returncode != 0:
        words = " ".join((done.stderr or done.stdout).split()) or "no word"
        raise _does_not_stand(f"{what}: {words[-300:]}")
    return done.stdout


def _does_not_stand(why: str) -> Refused:
    return Refused(f"Bản mới không chạy được trên máy này ({why}). Máy vẫn chạy bản cũ.", f"the release does not stand here: {why}")


def restarted(place: Place) -> str:
    """Start the programs anew and see whether the screens answer: what is wrong, or nothing. `look` of a box in service."""
    for command in (["systemctl", "restart", "tram-init.service"], ["systemctl", "is-active", "--quiet", "tram-kiosk.socket"]):
        try:
            _run(command, place.home, " ".join(command))
        except Refused as error:
            return error.en
    return unasked(place)


def unasked(place: Place) -> str:
    """Only whether the version in force starts. `look` where nothing is in service yet, or somebody else restarts."""
    try:
        _run([str(place.current / "bin/tram"), "--version"], place.home, "tram --version")
    except Refused as error:
        return error.en
    return ""


# --- the disk ---------------------------------------------------------------------------------------------------------------------------


def _digest(release: Release) -> str:
    return hashlib.sha256("".join(sorted(release.wheels.values())).encode()).hexdigest()[:16]


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """One update at a time."""
    place.home.mkdir(mode=0o755, parents=True, exist_ok=True)
    handle = os.open(place.home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Refused("Đang có một lần cập nhật khác.", "another update is under way") from error
    finally:
        os.close(handle)


def _led(link: Path) -> Path | None:
    """Where a link of ours leads; None where there is none."""
    if not link.is_symlink():
        return None
    return Path(os.path.normpath(link.parent / os.readlink(link)))


def _link(link: Path, target: Path) -> None:
    """The link leads there from one moment to the next, and stays so without power."""
    draft = link.with_name(f".{link.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.rename(link)
    durable.sync(link.parent)


def _mark(file: Path) -> None:
    with file.open("wb") as mark:
        os.fsync(mark.fileno())
    durable.sync(file.parent)


def _tidy(place: Place) -> None:
    """Only the release in force and the one before stay: a card is small."""
    kept = {found.parent for link in (place.current, place.home / BEFORE) if (found := _led(link)) is not None}
    for one in (place.home / "releases").iterdir():
        if one not in kept:
            shutil.rmtree(one, ignore_errors=True)
