"""``tram-bridge backup`` and ``restore``: a copy that was read back before anybody calls it safe, and the way back from one.

A backup is a folder ``backup-<UTC time>-<8 hex digits>`` with the copy (`store.copies`) and `LIST`, which names every table with
the number of its rows and their sum. It gets its name when the copy has been read back from the disk and is what the store
was at that moment, and only then are its marks recorded, so that stations hear *safe* (decision 4). Whatever ends before
that leaves a folder ``.partial-…``, which the next backup removes.

A restored store is another incarnation (decision 5): it has a new store id, knows of nothing that is safe, and has taken
every tombstone before anybody can speak to it.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, inspect, make_url

from appliance import database
from appliance.contract.ids import STORE_BYTES
from cloud_bridge.store import copies, migrations, safe, tombstones
from cloud_bridge.store.copies import Content, Sum
from cloud_bridge.store.engine import PAGE_BYTES, open_engine, reading, writing
from cloud_bridge.store.outbox import STORE_ID, set_store_id, store_id
from cloud_bridge.store.safe import RESTORED
from cloud_bridge.store.tables import meta
from cloud_bridge.store.tombstones import Grave
from cloud_bridge.store.writing import upsert

LIST = "backup.json"
FORMAT = 1
PARTIAL = ".partial-"
NAME = "backup-"
KEEP = 7
"""Backups kept by default: a week of daily ones."""

Bury = Callable[[Connection, Grave], None]
"""Takes one tombstone into a store, as the clinic does it."""


class BackupError(ValueError):
    """A copy that is no backup, or a place that a backup cannot be put into. Nothing was changed."""


@dataclass(frozen=True)
class Backup:
    """One verified backup: its folder, when it was taken (tenths of a second since 1970), of which incarnation and schema."""

    folder: Path
    at: int
    store: bytes
    schema: str
    kind: str
    tables: dict[str, Sum]

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(one.rows for one in self.tables.values())

    @property
    def digest(self) -> bytes:
        """The SHA-256 of its list."""
        return hashlib.sha256((self.folder / LIST).read_bytes()).digest()


# --- making one -------------------------------------------------------------------------------------------------------------------------


def make(engine: Engine, folder: Path, *, at: int, random: Callable[[int], bytes], keep: int = KEEP) -> Backup:
    """Back the store up into a new folder in `folder`, verify it, record what it holds, remove all but the latest `keep`.

    BackupError when the copy is not what the store was, when another backup runs, or when the store became another
    incarnation meanwhile; OSError when a disk or the database cannot do it. Nothing is recorded then.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(folder):
        for left in folder.glob(f"{PARTIAL}*"):
            shutil.rmtree(left)
        name = f"{NAME}{datetime.fromtimestamp(at / 10, UTC):%Y%m%dT%H%M%SZ}-{random(4).hex()}"
        place = folder / f"{PARTIAL}{name}"
        place.mkdir(mode=0o700)
        try:
            held = _copy(engine, place, at)
            place.rename(folder / name)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        copies.sync(folder)
        done = read(folder / name)
        with writing(engine) as tx:
            if store_id(tx) != done.store:
                raise BackupError("the store became another incarnation while it was copied: make another backup")
            safe.record(tx, name, done.digest, at, held.marks)
            tombstones.add(folder / tombstones.FILE, tombstones.of_store(tx))
        for old in listing(folder)[: -max(1, keep)]:
            shutil.rmtree(old)
        return done


def _copy(engine: Engine, place: Path, at: int) -> Content:
    """Copy and read back; the list is written last, so that a folder without one is no backup."""
    with reading(engine) as tx:
        me = store_id(tx)
    said = copies.take(engine, place)
    held = _check(place, said)
    made = {
        "format": FORMAT, "verified": True, "at": at, "store": me.hex(), "kind": engine.dialect.name,
        "schema": migrations.current(engine), "tables": {name: asdict(one) for name, one in said.items()},
    }  # fmt: skip
    with (place / LIST).open("x", encoding="utf-8") as file:
        json.dump(made, file, indent=1)
        file.write("\n")
    (place / LIST).chmod(0o600)
    copies.sync(place / LIST)
    copies.sync(place)
    return held


def _check(place: Path, said: dict[str, Sum]) -> Content:
    """What the copy on the disk holds; BackupError when that is not `said`, or its marks promise more than it has."""
    try:
        held = copies.read(place)
    except (ValueError, database.StoreError) as error:
        raise BackupError(f"the copy cannot be read back: {error}") from error
    wrong = [name for name in {*said, *held.tables} if said.get(name) != held.tables.get(name)]
    if wrong:
        raise BackupError(f"the copy is not what the store was: {', '.join(sorted(wrong))}")
    broken = held.broken()
    if broken:
        raise BackupError(f"the copy promises more than it has: {broken[0]}")
    return held


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BackupError(f"another backup into {folder} is running") from None
    finally:
        os.close(handle)


# --- looking at one ---------------------------------------------------------------------------------------------------------------------


def listing(folder: Path) -> list[Path]:
    """The backups in a folder, the oldest first."""
    return sorted(one for one in folder.glob(f"{NAME}*") if (one / LIST).is_file())


def read(folder: Path) -> Backup:
    """What a backup's list says. BackupError for a folder that is no verified backup."""
    try:
        said = json.loads((folder / LIST).read_text(encoding="utf-8"))
        if said["format"] != FORMAT or said["verified"] is not True:
            raise BackupError(f"{folder}: not a verified backup of format {FORMAT}")
        tables = {name: Sum(int(one["rows"]), str(one["digest"])) for name, one in said["tables"].items()}
        return Backup(folder, int(said["at"]), bytes.fromhex(said["store"]), str(said["schema"]), str(said["kind"]), tables)
    except (FileNotFoundError, NotADirectoryError):
        raise BackupError(f"{folder}: no backup (it has no {LIST}); a backup that was not finished is none") from None
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise BackupError(f"{folder / LIST}: not the list of a backup ({error!r})") from None


def find(place: Path) -> Path:
    """The backup that a path names: itself, or the latest in it. BackupError when there is none."""
    if (place / LIST).is_file():
        return place
    found = listing(place) if place.is_dir() else []
    if not found:
        raise BackupError(f"{place}: no backup here")
    return found[-1]


# --- the way back -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Restored:
    """What a restore did. `aside` is where the database lies that was there before; `graves` the tombstones the backup did not know."""

    backup: Backup
    store: bytes
    graves: int
    aside: Path | None


def restore(
    url: str, place: Path, *, at: int, random: Callable[[int], bytes], bury: Bury, extra: Iterable[Path] = (), replace: bool = False,
) -> Restored:  # fmt: skip
    """Put a backup back as the database at `url`, as another incarnation of the store.

    `place` is a backup or a folder of backups; `extra` are copies of the tombstones beside the one there. A SQLite file that
    is there already is moved aside with `replace`, and never removed; a PostgreSQL database must be empty. BackupError for
    anything that is no verified backup, or a place that is taken.
    """
    backup = read(find(place))
    _check(backup.folder, backup.tables)
    where = make_url(url)
    kind = "sqlite" if where.drivername == "sqlite" else "postgresql"
    if backup.kind != kind:
        raise BackupError(f"{backup.folder} is a backup of {backup.kind}; bridge.database is {kind}")
    graves = [one for file in [backup.folder.parent / tombstones.FILE, *extra] for one in tombstones.read(file)]
    store, aside = random(STORE_BYTES), None
    if kind == "postgresql":
        fresh = _restore_postgresql(url, backup, store, graves, at, bury)
    else:
        assert where.database is not None
        fresh, aside = _restore_sqlite(Path(where.database), backup, store, graves, at, bury, replace=replace)
    return Restored(backup, store, fresh, aside)


def _restore_sqlite(
    file: Path, backup: Backup, store: bytes, graves: list[Grave], at: int, bury: Bury, *, replace: bool
) -> tuple[int, Path | None]:
    """The new file is made beside the old one and takes its name when it is complete: a torn restore changes nothing."""
    if file.exists() and not replace:
        raise BackupError(f"{file} is there already: --replace moves it aside (it is never removed)")
    _nobody_has(file)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f"{file.name}.restoring")
    for left in database.files(fresh):
        left.unlink(missing_ok=True)
    shutil.copyfile(backup.folder / copies.FILE, fresh)
    fresh.chmod(0o600)
    engine = open_engine(f"sqlite:///{fresh}", create=False)
    count = _become(engine, backup, store, graves, at, bury)
    engine.dispose()
    conn = database.connect(fresh, key=None, page_size=PAGE_BYTES, create=False)
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    copies.sync(fresh)
    aside = None
    if file.exists():
        aside = file.with_name(f"{file.name}.before-{datetime.fromtimestamp(at / 10, UTC):%Y%m%dT%H%M%SZ}")
        file.rename(aside)
    for left in database.files(file)[1:]:
        left.unlink(missing_ok=True)
    fresh.rename(file)
    copies.sync(file.parent)
    return count, aside


def _nobody_has(file: Path) -> None:
    """BackupError while a carrier or a console works on the file: it would go on writing into the one that was moved aside.

    Only who is alone can take a file out of WAL mode; all of its log is written back into it by that.
    """
    if not file.exists():
        return
    try:
        conn = database.connect(file, key=None, page_size=PAGE_BYTES, create=False, busy_seconds=0.2)
        try:
            mode = conn.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        finally:
            conn.close()
    except database.StoreError as error:
        if error.reason != "busy":
            return  # damaged, or no database: it is moved aside as it is
        mode = "wal"
    if mode == "wal":
        raise BackupError(f"{file} is in use: stop tram-bridge carry and tram-bridge console first")


def _restore_postgresql(url: str, backup: Backup, store: bytes, graves: list[Grave], at: int, bury: Bury) -> int:
    engine = open_engine(url)
    try:
        with reading(engine) as tx:
            there = inspect(tx).get_table_names()
        if there:
            raise BackupError(f"the database has tables already ({there[0]} …): make an empty one and name it in bridge.database")
        migrations.migrate(engine, backup.schema)
        copies.load(engine, backup.folder, _nobodys)
        return _become(engine, backup, store, graves, at, bury)
    finally:
        engine.dispose()


def _nobodys(tx: Connection) -> None:
    """Until it is another incarnation it is none: no carrier starts on a half-restored store."""
    tx.execute(delete(meta).where(meta.c.key == STORE_ID))


def _become(engine: Engine, backup: Backup, store: bytes, graves: list[Grave], at: int, bury: Bury) -> int:
    """The data of a backup become a store of their own: today's schema, a new incarnation, every tombstone taken."""
    migrations.migrate(engine)
    with writing(engine) as tx:
        known = {(one.station, one.patient) for one in tombstones.of_store(tx)}
        fresh = {(one.station, one.patient): one for one in graves if (one.station, one.patient) not in known}
        for one in fresh.values():
            bury(tx, one)
        safe.forget(tx)
        set_store_id(tx, store)
        _note(tx, RESTORED, json.dumps({"at": at, "backup": backup.folder.name, "taken": backup.at}))
    return len(fresh)


def _note(tx: Connection, key: str, value: str) -> None:
    row: Any = upsert(tx, meta).values(key=key, value=value)
    tx.execute(row.on_conflict_do_update(index_elements=["key"], set_={"value": row.excluded.value}))
