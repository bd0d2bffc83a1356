"""A damaged store: what is wrong with it, and a new one made of every row that is still as it was written. Nothing is thrown away.

The damaged files are first copied aside, byte for byte (the check before has laid a log that is whole over its file). The
new store is then built beside them from the pages whose own checks hold (`pages`), tree by tree, and put in their place by
one rename; what was cut off from its tree by a lost page is told by the shape of its rows. A row with a checksum that does
not match stays aside. Where a number of the way up may have been lost, a new epoch begins and whatever the bridge has not
vouched for travels in it.
"""

import fcntl
import json
import os
import shutil
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance import __version__, database, durable
from appliance.contract.events import ConsultRequested, Event, Marks, ObservationRecorded
from appliance.contract.lanes import Lane
from appliance.contract.readings import Reading, Stamp
from appliance.database import Connection, Row, StoreError, connect, files, integrity, transaction, truncate_log
from appliance.relay.storage import Stream
from appliance.store.boots import epoch
from appliance.store.errors import Damaged
from appliance.store.opening import station_of
from appliance.store.outbox import Outbox, Place, queue
from appliance.store.pages import KEYS_LEAF, LEAF, SALT_BYTES, Book, Cell, Value, Walked, leaf, walk
from appliance.store.records import unpack

DOUBT = "salvaged"
"""``meta``: 1 while the numbers of the way up cannot be trusted; `tram init` begins a new epoch and takes it away."""
UNMENDED = "unmended"
"""``meta``: 1 from a salvage until `tram init` has mended what it left."""
SALT_FILE = "tram.salt"
"""A copy of the first 16 bytes of the store, without which no page can be checked."""
_MARK = ".salvage.json"
_NUMBERS = frozenset({"epoch", "lane", "outbox", "parcel", "meta", "sqlite_schema"})
"""Tables that say which numbers have been used."""
_SQLITE_LOCKS = (0x40000002, 510)
"""The bytes on which every connection to a file in WAL mode holds a lock (sqlite3.c, SHARED_FIRST and SHARED_SIZE)."""


class InUseError(OSError):
    """Another program has the store open: it would go on writing into the file that was replaced."""


@dataclass
class Salvaged:
    """What a salvage found: rows saved per table, pages that were lost per table (``""``: of a tree nobody knows), rows whose
    checksum did not match, the folder with the damaged files, and whether the numbers of the way up can be trusted.
    """

    aside: str
    rows: dict[str, int] = field(default_factory=dict)
    lost_pages: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)
    new_epoch: bool = False


def look(path: Path, key: bytes, page_size: int) -> list[str]:
    """What is wrong with the log of a store that nobody has open, before SQLite drops the part of it that it cannot read."""
    if not path.exists() or not files(path)[1].exists():
        return []
    with _book(path, path.parent, key, page_size) as book:
        return book.log.damage


def torn(path: Path, key: bytes, page_size: int) -> bool:
    """Whether the end of the log is unusable: usual after a power cut; if it is not, the last transaction is missing."""
    if not path.exists() or not files(path)[1].exists():
        return False
    with _book(path, path.parent, key, page_size) as book:
        return book.log.torn


def check(path: Path, key: bytes, page_size: int, *, quick: bool) -> list[str]:
    """What is wrong with a store, in words; empty when it is whole. Raises StoreError ``key`` where the key is another's."""
    try:
        conn = connect(path, key=key, page_size=page_size, create=False)
    except StoreError as error:
        if error.reason not in ("key", "damaged", "io"):
            raise
        if not _mine(path, key, page_size):
            raise
        return [str(error)]
    try:
        return integrity(conn, quick=quick)
    finally:
        with suppress(StoreError):
            conn.close()


def opens(path: Path, key: bytes, page_size: int) -> list[str]:
    """As `check` without looking at every page: why the store cannot be opened although the key is the right one."""
    try:
        connect(path, key=key, page_size=page_size, create=False).close()
    except StoreError as error:
        if error.reason not in ("key", "damaged", "io") or not _mine(path, key, page_size):
            raise
        return [str(error)]
    return []


def keep_salt(path: Path) -> None:
    """Keep the salt of a whole store beside it; once."""
    copy = path.with_name(SALT_FILE)
    with path.open("rb") as source:
        salt = source.read(SALT_BYTES)
    if len(salt) == SALT_BYTES and (not copy.exists() or copy.read_bytes() != salt):
        draft = copy.with_name(f".{SALT_FILE}.new")
        with draft.open("wb") as target:
            target.write(salt)
            os.fsync(target.fileno())
        draft.rename(copy)


def waiting(path: Path) -> bool:
    """True when a salvage was cut off after the damaged files had been copied aside: it must be ended before anything else."""
    return path.with_name(_MARK).exists()


def salvage(path: Path, key: bytes, page_size: int, at: int, fresh: Connection, damage: Sequence[str] = ()) -> Salvaged:
    """Put a new store in the place of a damaged one. `fresh` is an empty store of today's schema; `at` is tenths since 1970.

    Raises InUseError while another program has it open, StoreError ``key`` when not one page opens with this key, and
    ``full`` when the disk cannot hold the copies: then nothing has changed.
    """
    alone(path)
    if not waiting(path) and not _mine(path, key, page_size):
        raise StoreError("key", str(path), "no page of the store opens with this key: it is another store's", "Sai khóa của kho dữ liệu")
    aside = _put_aside(path, at)
    found = Salvaged(str(aside), damage=list(damage))
    draft = path.with_name("tram.db.new")
    for one in files(draft):
        one.unlink(missing_ok=True)
    with _book(aside / path.name, path.parent, key, page_size) as book:
        conn = connect(draft, key=key, page_size=page_size)
        try:
            _rebuild(book, conn, fresh, found)
            _settle(conn, found, at)
            if integrity(conn):
                raise RuntimeError("the salvaged store is not whole")
            truncate_log(conn)
        finally:
            conn.close()
    _replace(draft, path)
    keep_salt(path)
    path.with_name(_MARK).unlink()
    durable.sync(path.parent)
    return found


def alone(path: Path) -> None:
    """InUseError when another process has the store open. Nobody in this process may have."""
    if not path.exists():
        return
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, _SQLITE_LOCKS[1], _SQLITE_LOCKS[0])
    except OSError as error:
        raise InUseError(f"another program has {path} open: stop it first (systemctl stop 'tram-*')") from error
    finally:
        os.close(handle)


# --- files -------------------------------------------------------------------------------------------------------------------------------


def _book(path: Path, home: Path, key: bytes, page_size: int) -> Book:
    """The file's pages; with the kept salt where the file's own has changed."""
    copy = home / SALT_FILE
    kept = copy.read_bytes() if copy.exists() else b""
    book = Book(path, files(path)[1], key, page_size)
    if len(kept) != SALT_BYTES or kept == book.salt or _any(book):
        return book
    book.__exit__()
    return Book(path, files(path)[1], key, page_size, kept)


def _any(book: Book) -> bool:
    """Whether any page opens. A wrong key opens none."""
    return any(book.sound(number) for number in range(1, book.count + 1)) or any(one.sound for one in book.log.frames)


def _mine(path: Path, key: bytes, page_size: int) -> bool:
    with _book(path, path.parent, key, page_size) as book:
        return _any(book)


def _put_aside(path: Path, at: int) -> Path:
    """Copy the damaged files, byte for byte, and write down where; a copy that is complete is used again."""
    mark = path.with_name(_MARK)
    if mark.exists():
        return path.parent / str(json.loads(mark.read_text(encoding="ascii"))["aside"])
    aside = path.with_name(f"damaged-{at}")
    while aside.exists():
        at += 1
        aside = path.with_name(f"damaged-{at}")
    there = [one for one in files(path)[:2] if one.exists()]
    need = 2 * sum(one.stat().st_size for one in there)
    disk = os.statvfs(path.parent)
    if disk.f_bavail * disk.f_frsize < need:
        raise StoreError("full", str(path), f"a salvage needs {need} bytes of room for copies", "Ổ lưu đã đầy")
    aside.mkdir(mode=0o770)
    for one in there:
        shutil.copyfile(one, aside / one.name)
        durable.sync(aside / one.name)
    durable.sync(aside)
    draft = mark.with_name(f"{_MARK}.new")
    draft.write_text(json.dumps({"aside": aside.name}), encoding="ascii")
    durable.sync(draft)
    draft.rename(mark)
    durable.sync(path.parent)
    return aside


def _replace(draft: Path, path: Path) -> None:
    """The new file in the place of the old one, whose log goes first: it must never be laid over the new one. Copies stand aside."""
    was = path.stat() if path.exists() else None
    durable.sync(draft)
    for one in (*files(path)[1:], *files(draft)[1:]):
        one.unlink(missing_ok=True)
    if was is not None:
        draft.chmod(was.st_mode & 0o7777)
        with suppress(PermissionError):
            os.chown(draft, was.st_uid, was.st_gid)
    draft.rename(path)
    durable.sync(path.parent)


# --- rows --------------------------------------------------------------------------------------------------------------------------------


@dataclass
class _Table:
    """A table of the new store. `columns` in the order of its records, `types` beside them; `number` the one that is the row number."""

    name: str
    columns: list[str]
    types: list[str]
    needed: list[bool]
    number: str | None
    rowless: bool
    root: int = 0
    lost: int = 0
    seen: set[object] = field(default_factory=set)

    def row(self, one: Cell) -> dict[str, Value] | None:
        """The fields by name; None when the record cannot be of this table."""
        if len(one.fields) > len(self.columns):
            return None
        row = dict(zip(self.columns, one.fields, strict=False))
        if self.number is not None:
            row[self.number] = one.row
        for name, kind, needed in zip(self.columns, self.types, self.needed, strict=True):
            value = row.get(name)
            if value is None:
                if needed and name in row:
                    return None
            elif not _fits(kind, value):
                return None
        return row


def _fits(kind: str, value: Value) -> bool:
    if kind == "INTEGER":
        return isinstance(value, int)
    if kind == "REAL":
        return isinstance(value, int | float)
    if kind == "TEXT":
        return isinstance(value, str)
    return kind != "BLOB" or isinstance(value, bytes)


def _rebuild(book: Book, conn: Connection, fresh: Connection, found: Salvaged) -> None:
    """Schema, then every row."""
    walked = Walked()
    schema = [one.fields for one in walk(book, 1, walked)]
    whole = not walked.lost and bool(schema)
    if not whole:
        found.lost_pages["sqlite_schema"] = max(1, len(walked.lost))
        roots = {str(one[1]): one[3] for one in schema if len(one) == 5 and one[0] == "table" and isinstance(one[3], int)}
        schema = [(*tuple(row)[:3], roots.get(row[1], 0), row[4]) for row in fresh.execute("SELECT * FROM sqlite_schema").fetchall()]
    with transaction(conn):
        for kind in ("table", "index", "trigger"):
            if kind == "index":
                _fill(book, conn, _tables(conn, schema), walked, found)
                if not whole or _is_todays(schema, fresh):
                    _mend_migrations(conn, fresh)
            for one in schema:
                if one[0] == kind and one[4] and not str(one[1]).startswith("sqlite_"):
                    _made(conn, str(one[4]), found)


def _made(conn: Connection, statement: str, found: Salvaged) -> None:
    """One statement of the schema; an index that the rows forbid is left out and said."""
    try:
        conn.execute(statement)
    except database.IntegrityError as error:
        found.damage.append(f"not made: {statement.split('(', maxsplit=1)[0].strip()} ({error})")


def _tables(conn: Connection, schema: Sequence[tuple[Value, ...]]) -> list[_Table]:
    rowless = {row["name"] for row in conn.execute("PRAGMA table_list").fetchall() if row["wr"]}
    tables = []
    for one in schema:
        if one[0] != "table" or str(one[1]).startswith("sqlite_"):
            continue
        name = str(one[1])
        info = conn.execute(f"PRAGMA table_info({name})").fetchall()
        if name in rowless:  # the key's columns come first in their records
            info = sorted(info, key=lambda row: (row["pk"] == 0, row["pk"]))
        keys = [row for row in info if row["pk"]]
        number = keys[0]["name"] if name not in rowless and len(keys) == 1 and keys[0]["type"].upper() == "INTEGER" else None
        tables.append(
            _Table(
                name, [row["name"] for row in info], [row["type"].upper() for row in info],
                [bool(row["notnull"]) for row in info], number, name in rowless, one[3] if isinstance(one[3], int) else 0,
            )
        )  # fmt: skip
    return tables


def _fill(book: Book, conn: Connection, tables: Sequence[_Table], walked: Walked, found: Salvaged) -> None:
    """What hangs on its tree, then what a lost page has cut off."""
    for table in tables:
        before = len(walked.lost)
        if table.root:
            for one in walk(book, table.root, walked):
                _take(conn, table, one, found)
        else:
            walked.lost.append(0)
        table.lost = len(walked.lost) - before
        if table.lost:
            found.lost_pages[table.name] = table.lost
    short = [one for one in tables if one.lost]
    if not short:
        return
    for number in range(2, book.count + 1):
        if number in walked.pages:
            continue
        kind, cells = leaf(book, number, walked)
        of = [one for one in short if cells and one.rowless == (kind == KEYS_LEAF) and kind in (LEAF, KEYS_LEAF)]
        fits = [one for one in of if all(one.row(each) is not None and _matches(one.row(each)) is not False for each in cells)]
        # More than one table may have rows of this shape; the one with the most columns says the most about them.
        for table in sorted(fits, key=lambda one: (len(one.columns) != len(cells[0].fields), one.name))[:1]:
            for one in cells:
                _take(conn, table, one, found)


def _matches(row: dict[str, Value] | None) -> bool | None:
    """Whether a row's checksum matches; None where it has none."""
    if row is None or "crc" not in row:
        return None
    content = row.get("body", row.get("reading"))
    return isinstance(content, bytes) and zlib.crc32(content) == row["crc"]


def _take(conn: Connection, table: _Table, one: Cell, found: Salvaged) -> None:
    """One row into the new store. A queued event with a wrong checksum comes too: the relay sets it aside and its number is no gap."""
    row = table.row(one)
    if row is None or (_matches(row) is False and table.name != "outbox"):
        found.refused[table.name] = found.refused.get(table.name, 0) + 1
        return
    columns = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" * len(row))
    done = conn.execute(f'INSERT OR IGNORE INTO "{table.name}" ({columns}) VALUES ({marks})', tuple(row.values()))  # noqa: S608 - names of the schema
    if done.rowcount:
        found.rows[table.name] = found.rows.get(table.name, 0) + 1


def _is_todays(schema: Sequence[tuple[Value, ...]], fresh: Connection) -> bool:
    """Whether the file has this code's tables, whatever its list of the steps that were taken says (a bit of it may have flipped)."""
    today = {tuple(row) for row in fresh.execute("SELECT name, sql FROM sqlite_schema").fetchall()}
    return {(one[1], one[4]) for one in schema} == today


def _mend_migrations(conn: Connection, fresh: Connection) -> None:
    """The new schema is today's, so its steps have been taken."""
    rows = fresh.execute("SELECT * FROM _sqlite_migrations").fetchall()
    names = rows[0].keys() if rows else []
    conn.execute("DELETE FROM _sqlite_migrations")  # a row whose name is damaged would stand in the way of the true one
    for row in rows:
        marks = ", ".join("?" * len(names))
        conn.execute(f"INSERT OR IGNORE INTO _sqlite_migrations ({', '.join(names)}) VALUES ({marks})", tuple(row))  # noqa: S608 - as above


def _settle(conn: Connection, found: Salvaged, at: int) -> None:
    """Write down what was done, and whether the numbers are in doubt."""
    found.new_epoch = bool(_NUMBERS & set(found.lost_pages)) or any("log" in one for one in found.damage)
    said: dict[str, Any] = {"lost_pages": found.lost_pages, "refused": found.refused, "damage": found.damage[:20]}
    with transaction(conn):
        for name in (UNMENDED, DOUBT) if found.new_epoch else (UNMENDED,):
            conn.execute("INSERT INTO meta (key, value) VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET value = 1", (name,))
        if conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'inspection'").fetchone():
            conn.execute(
                "INSERT INTO inspection (at, kind, found, aside) VALUES (?, 'salvage', ?, ?)",
                (at, json.dumps(said, ensure_ascii=False), Path(found.aside).name),
            )


# --- what a salvage leaves for `tram init` to mend ---------------------------------------------------------------------------------------


def mend(conn: Connection, now: Stamp) -> int:
    """After a salvage, in the caller's transaction and in the new epoch where one was needed: what was saved here and is no longer
    queued is queued again (the clinic knows it by its reading key), and what nobody vouched for travels in the new epoch.
    How many were queued again.
    """
    if conn.execute("SELECT 1 FROM meta WHERE key = ? AND value = 1", (DOUBT,)).fetchone():
        Outbox(station_of(conn)).move(conn, Stream(station_of(conn), epoch(conn)[1]))
    conn.execute("DELETE FROM meta WHERE key IN (?, ?)", (DOUBT, UNMENDED))
    return _queue_again(conn, now)


def _queue_again(conn: Connection, now: Stamp) -> int:
    count = 0
    for row in conn.execute(
        "SELECT o.*, m.decided FROM observation AS o LEFT JOIN measurement AS m ON m.id = o.measurement"
        " WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.id = o.outbox)"
    ).fetchall():
        with suppress(Damaged):
            reading = unpack(Reading, row["reading"], row["crc"], "observation", row["id"])
            later = max(0, (row["decided"] or row["wall"]) - row["wall"])
            body = ObservationRecorded(row["patient"], reading, later, Marks(row["marks"]))
            _again(conn, "observation", row, queue(conn, Event(reading.stamp, row["staff"], __version__, body), Lane(row["lane"])))
            count += 1
    for row in conn.execute(
        "SELECT * FROM consult WHERE withdrawn IS NULL AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.id = consult.outbox)"
    ).fetchall():
        with suppress(Damaged):
            asked = unpack(ConsultRequested, row["body"], row["crc"], "consult", row["id"])
            _again(conn, "consult", row, queue(conn, Event(now, row["staff"], __version__, asked), Lane(row["lane"])))
            count += 1
    return count


def _again(conn: Connection, table: str, row: Row, place: Place) -> None:
    conn.execute(
        f"UPDATE {table} SET outbox = ?, epoch = ?, seq = ? WHERE id = ?",  # noqa: S608 - one of two names above
        (place.row, place.epoch, place.seq, row["id"]),
    )
