"""`tram init`: everything a box needs before its first reading. Idempotent, under a lock, before all other programs.

It alone makes the folder, the key, the database, the epoch, the station's key and the ballast; it alone migrates; it
checks the file after an unclean stop and, in full, once a week (decision 13). A second run changes nothing.
"""

import base64
import binascii
import fcntl
import grp
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance import __version__, durable
from appliance.contract.readings import Stamp
from appliance.database import KEY_BYTES, Connection, StoreError, connect, files, transaction
from appliance.settings import Settings, SettingsError
from appliance.store import aside, bound, escrow, salvage
from appliance.store.audit import publish_head
from appliance.store.ballast import make_ballast, release_ballast
from appliance.store.boots import epoch, seq_of
from appliance.store.downlink import reconsider
from appliance.store.errors import WrongSchema
from appliance.store.inbox import StationStore
from appliance.store.keys import OFFERED, PUBLIC_BYTES, PURPOSES, make_station_key, pin, station_public
from appliance.store.machine import renew
from appliance.store.migrations import StepsLostError, migrate
from appliance.store.opening import ballast_file, database_file, key_file, read_key, schema_of, secret_file, station_of
from appliance.store.pins import SECRET_BYTES
from appliance.store.sealing import make_content_key, seals_of
from appliance.store.speaking import station_end
from appliance.store.version import SCHEMA

FOLDER_MODE = 0o2770
FULL_CHECK_TENTHS = 7 * 24 * 3600 * 10
"""The full integrity check is due a week after the last one."""


@dataclass
class Initialised:
    """What `tram init` found and did. `done` is empty on a second run; `damage` in SQLite's words, empty when the file is whole.

    A damaged store is salvaged at once and `salvaged` says what of it; where that cannot be, the file is left as it is, `damage`
    says why, `epoch` is empty and nothing was done.
    """

    station: str
    epoch: str
    boot_seq: int
    schema: int
    done: list[str] = field(default_factory=list)
    damage: list[str] = field(default_factory=list)
    salvaged: salvage.Salvaged | None = None


def initialise(
    settings: Settings,
    *,
    boot_id: str,
    stamp: Callable[[int], Stamp],
    random: Callable[[int], bytes],
    machine: str,
    environ: Mapping[str, str] = os.environ,
    pins: Path | None = None,
    export: Path | None = None,
) -> Initialised:
    """Make or mend everything; see the module.

    `stamp` gives the moment for a boot number, `random` so many random bytes, `machine` names the hardware (`machine_of`):
    when it changed, the store was cloned or moved, and a new epoch begins before anything is written.
    Raises SettingsError, StoreError, WrongSchema.
    """
    station = settings.need("station.id")
    done: list[str] = []
    gid = _group(settings)
    for folder in (settings.paths.data, settings.paths.run):
        done += [f"folder {folder}"] if _folder(folder, gid) else []
    with _lock(settings.paths.data / ".init.lock"):
        path = database_file(settings)
        key = _key(settings, environ, path, random, gid, done)
        at = stamp(0).wall
        found = _found(settings, path, key)
        saved, left = _salvaged(settings, path, key, at, found.damage) if found.damage else (None, [])
        if left:
            return Initialised(station, "", 0, 0, done, left)
        try:
            report, due = _stand(settings, path, key, gid, boot_id, stamp, random, machine, done, pins, export)
        except StepsLostError as error:
            saved, left = _salvaged(settings, path, key, at, [str(error)])
            if left:
                return Initialised(station, "", 0, 0, done, left)
            report, due = _stand(settings, path, key, gid, boot_id, stamp, random, machine, done, pins, export)
        if found.torn:
            _inspected(settings, key, at, "log", "the end of the log could not be used: a write that was cut off, or damage")
        if due:
            done.append("full check")
            damage = salvage.check(path, key, settings.store.page_size, quick=False)
            saved, report.damage = _salvaged(settings, path, key, at, damage) if damage else (saved, [])
            if saved is not None and damage:
                report, _ = _stand(settings, path, key, gid, boot_id, stamp, random, machine, done, None, None)
        report.salvaged = saved
        salvage.keep_salt(path)
        if make_ballast(ballast_file(settings), settings.store.ballast_mb):
            _give(ballast_file(settings), gid)
            done.append(f"ballast of {settings.store.ballast_mb} MB")
    return report


def _stand(
    settings: Settings, path: Path, key: bytes, gid: int | None, boot_id: str, stamp: Callable[[int], Stamp],
    random: Callable[[int], bytes], machine: str, done: list[str], pins: Path | None, export: Path | None,
) -> tuple[Initialised, bool]:  # fmt: skip
    """The store with everything in it; whether the full check is due."""
    fresh = not path.exists() or path.stat().st_size == 0
    conn = connect(path, key=key, page_size=settings.store.page_size)
    try:
        _give(path, gid)
        _secret(secret_file(settings), random, gid, done)
        if fresh:
            durable.sync(path.parent)
        report = _fill(conn, settings, boot_id, stamp, random, machine, done)
        due = _weekly(conn, stamp(report.boot_seq).wall)
        if pins is not None:
            _pin(conn, pins, done)
        done += ["key wrapped for recovery"] if escrow.keep(conn, settings, key) else []
        if settings.wire.sealing == "on":
            with transaction(conn):
                done += ["content key"] if make_content_key(conn, report.station, stamp(report.boot_seq), random) else []
        if export is not None:
            _export(conn, settings, export)
    finally:
        conn.close()
    return report, due


# --- damage ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What was wrong before anything was opened; `torn`: the end of the log, as after a power cut."""

    damage: list[str]
    torn: bool = False


def _found(settings: Settings, path: Path, key: bytes) -> Found:
    """After an unclean stop the log is looked at first, because SQLite drops what it cannot read of it; then the file."""
    size = settings.store.page_size
    if salvage.waiting(path):
        return Found(["a salvage was cut off"])
    if not path.exists() or path.stat().st_size == 0:
        return Found([])
    _, log, _ = files(path)
    unclean = log.exists() and log.stat().st_size > 0
    if not unclean:
        return Found(salvage.opens(path, key, size))
    torn = False
    with suppress(salvage.InUseError):  # a second `tram init` beside the others: the log is theirs
        salvage.alone(path)
        damage, torn = salvage.look(path, key, size), salvage.torn(path, key, size)
        if damage:
            return Found(damage)
    return Found(salvage.check(path, key, size, quick=True), torn)


def _salvaged(settings: Settings, path: Path, key: bytes, at: int, damage: list[str]) -> tuple[salvage.Salvaged | None, list[str]]:
    """What was saved; or why nothing could be done, and then the files are as they were."""
    try:
        release_ballast(ballast_file(settings))
        with _blank(path.with_name(".blank.db")) as blank:
            return salvage.salvage(path, key, settings.store.page_size, at, blank, damage), []
    except salvage.InUseError as error:
        return None, [*damage, str(error)]


@contextmanager
def _blank(path: Path) -> Iterator[Connection]:
    """An empty store of today's schema, for its shape."""
    for one in files(path):
        one.unlink(missing_ok=True)
    conn = connect(path, key=None)
    try:
        migrate(conn)
        yield conn
    finally:
        conn.close()
        for one in files(path):
            one.unlink(missing_ok=True)


def _inspected(settings: Settings, key: bytes, at: int, kind: str, found: str) -> None:
    conn = connect(database_file(settings), key=key, page_size=settings.store.page_size)
    try:
        with transaction(conn):
            conn.execute("INSERT INTO inspection (at, kind, found) VALUES (?, ?, ?)", (at, kind, found))
    finally:
        conn.close()


def check_store(settings: Settings, *, quick: bool, environ: Mapping[str, str] = os.environ) -> list[str]:
    """What is wrong with the store, in words (`tram store check`). Raises StoreError where it cannot be looked at."""
    path, key = database_file(settings), read_key(key_file(settings, environ))
    found = _found(settings, path, key)
    return found.damage or salvage.check(path, key, settings.store.page_size, quick=quick)


def salvage_store(settings: Settings, at: int, environ: Mapping[str, str] = os.environ) -> salvage.Salvaged:
    """Build a new store from what can be read (`tram store salvage`), also where no damage was found. `tram init` comes next.

    Raises InUseError while another program has it open, StoreError.
    """
    path, key = database_file(settings), read_key(key_file(settings, environ))
    with _lock(settings.paths.data / ".init.lock"):
        salvage.alone(path)
        release_ballast(ballast_file(settings))
        with _blank(path.with_name(".blank.db")) as blank:
            return salvage.salvage(path, key, settings.store.page_size, at, blank)


# --- folders, key ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One `tram init` at a time on one store."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _group(settings: Settings) -> int | None:
    """The id of the group that shares the store; None where it does not exist (which production does not accept)."""
    name = settings.store.group
    try:
        return grp.getgrnam(name).gr_gid if name else None
    except KeyError:
        if settings.environment == "production":
            file = settings.said.get("store.group", "default")
            raise SettingsError("store.group", name, "a group that exists on this machine", '"tram"', file) from None
        return None


def _give(path: Path, gid: int | None) -> None:
    """To the group that shares the store, where we may."""
    if gid is not None and path.stat().st_gid != gid:
        with suppress(PermissionError):
            os.chown(path, -1, gid)


def _folder(path: Path, gid: int | None) -> bool:
    """Make the folder or mend its mode; True when something changed."""
    made = not path.is_dir()
    if made:
        path.mkdir(parents=True, exist_ok=True)
    _give(path, gid)
    if path.stat().st_mode & 0o7777 == FOLDER_MODE or (not made and path.stat().st_uid != os.geteuid()):
        return made  # another user's folder, such as systemd's: its unit says the mode
    path.chmod(FOLDER_MODE)
    return True


def _key(
    settings: Settings, environ: Mapping[str, str], database: Path, random: Callable[[int], bytes], gid: int | None, done: list[str]
) -> bytes:
    """The store's key; made where neither it nor a store exists yet."""
    file = key_file(settings, environ)
    if not file.exists():
        bound.not_elsewhere(settings)
        if database.exists() and database.stat().st_size > 0:
            raise StoreError(
                "key", str(file), f"the key of {database} is gone: bring it back, without it the store is lost", "Mất khóa của kho dữ liệu"
            )
        _write_private(file, random(KEY_BYTES).hex().encode() + b"\n", gid)
        done.append(f"key {file}")
    return read_key(file)


def _secret(file: Path, random: Callable[[int], bytes], gid: int | None, done: list[str]) -> None:
    """The device's secret that PINs are mixed with. A new one makes every PIN that was set before useless: they say so."""
    if not file.exists():
        _write_private(file, random(SECRET_BYTES), gid)
        done.append(f"device secret {file}")


def _write_private(file: Path, content: bytes, gid: int | None) -> None:
    """A key, whole or not at all, 0640."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(handle, content)
        os.fchmod(handle, 0o640)
        if gid is not None:
            with suppress(PermissionError):
                os.fchown(handle, -1, gid)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.rename(draft, file)
    durable.sync(file.parent)


# --- what stands in the store ---------------------------------------------------------------------------------------------------------


def _fill(
    conn: Connection,
    settings: Settings,
    boot_id: str,
    stamp: Callable[[int], Stamp],
    random: Callable[[int], bytes],
    machine: str,
    done: list[str],
) -> Initialised:
    """Schema, station, boot, keys, epoch."""
    station = settings.need("station.id")
    found, least = schema_of(conn)
    if least > SCHEMA:
        raise WrongSchema(
            found, SCHEMA, f"the store was written by a later version (schema {found}): this program knows {SCHEMA}, update it"
        )
    done += [f"schema step {name}" for name in migrate(conn)]
    owner = station_of(conn)
    if owner not in ("", station):
        raise SettingsError("station.id", station, f"the station this store belongs to, {owner}", f'"{owner}"', conn.path)
    boot_seq = seq_of(conn, boot_id, stamp(0).wall)
    with transaction(conn):
        if not owner:
            _remember(conn, "station", station)
        if make_station_key(conn, random(32)):
            done.append("station key")
        why = renew(conn, machine, stamp(boot_seq), random)
        if why:
            done.append(f"epoch ({why})")
        if why == "salvaged" or _meta(conn, "unmended") == 1:
            again = salvage.mend(conn, stamp(boot_seq))
            done.append(f"after a salvage: {again} events queued again")
    done += _updated(conn, settings, lambda: stamp(boot_seq))
    publish_head(conn, stamp(boot_seq))
    return Initialised(station, epoch(conn)[1].hex(), boot_seq, SCHEMA, done)


def _updated(conn: Connection, settings: Settings, now: Callable[[], Stamp]) -> list[str]:
    """The first start of another version: what its predecessor could not read is read again."""
    if _meta(conn, "software") == __version__:
        return []
    store = StationStore(conn, settings.need("station.id"), settings.station.shard)
    try:
        seals = seals_of(conn, settings, now)
    except SettingsError:  # the bridge's key is not pinned yet; nothing sealed can have come
        seals = None
    end = station_end(conn, store, now=lambda: now().wall, say=lambda *_step, **_ids: None, seals=seals)
    messages, events = aside.after_update(store, conn, end, now().wall)
    with transaction(conn):
        _remember(conn, "software", __version__)
    return [f"read again: {messages} messages, {events} events"] if messages or events else []


def _remember(conn: Connection, name: str, value: object) -> None:
    conn.execute("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (name, value))


def _meta(conn: Connection, name: str) -> Any:
    row = conn.execute("SELECT value FROM meta WHERE key = ?", (name,)).fetchone()
    return None if row is None else row[0]


def _weekly(conn: Connection, wall: int) -> bool:
    """True where the full check is due, or the clock was set back below the last one; it is written down as done."""
    last = _meta(conn, "checked")
    due = last is None or not 0 <= wall - int(last) < FULL_CHECK_TENTHS
    if due:
        with transaction(conn):
            _remember(conn, "checked", wall)
    return due and last is not None


# --- pins and export -------------------------------------------------------------------------------------------------------------------


def _pin(conn: Connection, file: Path, done: list[str]) -> None:
    """Trust the bridge's keys in a file that ``tram-bridge init --export`` wrote."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(
            "pin", str(error), "a JSON file of tram-bridge init --export", "tram init --pin bridge.json", str(file)
        ) from error
    wanted = [*PURPOSES, *(one for one in OFFERED if isinstance(data, dict) and one in data)]
    found = [(purpose, *_one_pin(data, purpose, index, file)) for purpose in wanted for index in range(_count(data, purpose, file))]
    with transaction(conn):
        done += [f"pin {purpose} {key_id}" for purpose, key_id, public in found if pin(conn, purpose, key_id, public)]
    again = reconsider(conn)
    done += [f"{again} answers verified after all"] if again else []


def _count(data: Any, purpose: str, file: Path) -> int:
    rows = data.get(purpose) if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows:
        raise SettingsError(purpose, rows, "a list of keys", f'"{purpose}": [{{"key_id": 0, "public": "<base64>"}}]', str(file))
    return len(rows)


def _one_pin(data: Any, purpose: str, index: int, file: Path) -> tuple[int, bytes]:
    row = data[purpose][index]
    try:
        key_id, public = row["key_id"], base64.b64decode(row["public"], validate=True)
    except (TypeError, KeyError, ValueError, binascii.Error):
        key_id, public = None, b""
    if not isinstance(key_id, int) or isinstance(key_id, bool) or key_id < 0 or len(public) != PUBLIC_BYTES:
        expected, example = "key_id and the base64 of a 32-byte public key", '{"key_id": 0, "public": "<base64>"}'
        raise SettingsError(f"{purpose}[{index}]", row, expected, example, str(file))
    return key_id, public


def _export(conn: Connection, settings: Settings, file: Path) -> None:
    """What ``tram-bridge stations add ID --key FILE`` reads: who we are and our public key."""
    key_id, public = station_public(conn)
    said = {"station": settings.station.id, "shard": settings.station.shard, "key_id": key_id, "public": base64.b64encode(public).decode()}
    file.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
