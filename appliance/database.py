"""The one door to SQLite: open, transaction, version, integrity. Nothing else in the project imports the driver.

The driver is sqlcipher3: encrypted at rest, and free of the WAL-reset corruption of the SQLite that Debian ships
(docs/decisions/0002). Every connection is in WAL mode with ``synchronous=FULL``: what `transaction` has left is on the
card. Statements run in autocommit; a transaction is always our own ``BEGIN IMMEDIATE``.

The bridge uses the same door for its plain file (``key=None``) and hands `DRIVER` and `connect` to SQLAlchemy.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlcipher3.dbapi2 as DRIVER  # noqa: N812 - the name says that it is the whole PEP 249 module

IntegrityError: type[Exception] = DRIVER.IntegrityError
"""A constraint said no: the caller's business, never turned into a `StoreError`."""
Row = DRIVER.Row
"""One row: access by index and by column name."""

PAGE_BYTES = 1024
"""Written per 120-byte row and commit: 1,508 bytes with pages of 1 KiB, 4,548 with 4 KiB (docs/decisions/0006)."""
KEY_BYTES = 32
BUSY_SECONDS = 10.0
"""How long a writer waits for another one; transactions here last milliseconds, a checkpoint on a slow card up to seconds."""
_CHECKPOINT_BYTES = 1 << 20
_WAL_KEEP_BYTES = 4 << 20
_CACHE_KIB = 1024
_STATEMENTS = 512
"""Prepared statements that a connection keeps. Of more than these the driver drops the one that came last, not the one unused for longest:
from then on every new one is prepared anew at each use (a reading's commit 0.96 ms of CPU instead of 0.47). More than any program has.
"""

_WORDS: dict[int, tuple[str, str, str]] = {
    DRIVER.SQLITE_FULL: ("full", "the disk is full", "Ổ lưu đã đầy"),
    DRIVER.SQLITE_READONLY: ("readonly", "the store cannot be written (read-only)", "Không ghi được vào ổ lưu"),
    DRIVER.SQLITE_PERM: ("readonly", "the store cannot be written (no permission)", "Không ghi được vào ổ lưu"),
    DRIVER.SQLITE_CANTOPEN: ("missing", "the store cannot be opened (missing, or no permission)", "Không mở được kho dữ liệu"),
    DRIVER.SQLITE_NOTADB: (
        "key", "the store cannot be read: wrong key, wrong page size, or damaged", "Không đọc được kho dữ liệu: sai khóa hoặc tệp hỏng",
    ),
    DRIVER.SQLITE_CORRUPT: ("damaged", "the store is damaged", "Kho dữ liệu bị hỏng"),
    DRIVER.SQLITE_BUSY: ("busy", "the store is busy: another program has been writing for too long", "Kho dữ liệu đang bận"),
    DRIVER.SQLITE_LOCKED: ("busy", "the store is busy: locked by this program", "Kho dữ liệu đang bận"),
    DRIVER.SQLITE_PROTOCOL: ("busy", "the store is busy: the lock could not be had", "Kho dữ liệu đang bận"),
    DRIVER.SQLITE_IOERR: ("io", "reading or writing the disk failed", "Lỗi đọc/ghi ổ lưu"),
    DRIVER.SQLITE_NOMEM: ("memory", "no memory left", "Hết bộ nhớ"),
}  # fmt: skip


class StoreError(OSError):
    """The store cannot do it now: wait and try again, and promise nothing to anybody.

    `reason` is a stable word (``full``, ``readonly``, ``missing``, ``key``, ``damaged``, ``busy``, ``io``, ``memory``),
    `path` the file, `vi` a sentence for the station.
    """

    def __init__(self, reason: str, path: str, text: str, vi: str) -> None:
        super().__init__(f"{text}: {path}")
        self.reason = reason
        self.path = path
        self.vi = vi


def _plain(error: Exception, path: str) -> Exception:
    """A driver's error as a StoreError where waiting can help or a person must look; any other (a bug) as it is."""
    code = getattr(error, "sqlite_errorcode", None)
    known = _WORDS.get(code & 0xFF) if isinstance(code, int) else None
    if known is None or isinstance(error, IntegrityError):
        return error
    reason, text, vi = known
    return StoreError(reason, path, text, vi)


class Cursor(DRIVER.Cursor):  # type: ignore[misc]  # the driver has no types
    """The driver's cursor; its errors come out as `StoreError` where they are one."""

    connection: "Connection"

    def execute(self, *args: Any) -> "Cursor":
        """Run one statement."""
        try:
            super().execute(*args)
        except DRIVER.Error as error:
            raise _plain(error, self.connection.path) from error
        return self

    def executemany(self, *args: Any) -> "Cursor":
        """Run one statement for each row of parameters."""
        try:
            super().executemany(*args)
        except DRIVER.Error as error:
            raise _plain(error, self.connection.path) from error
        return self

    def fetchone(self) -> Any:
        """The next row, or None."""
        try:
            return super().fetchone()
        except DRIVER.Error as error:
            raise _plain(error, self.connection.path) from error

    def fetchmany(self, *args: Any, **kwargs: Any) -> list[Any]:
        """The next rows."""
        try:
            rows: list[Any] = super().fetchmany(*args, **kwargs)
        except DRIVER.Error as error:
            raise _plain(error, self.connection.path) from error
        return rows

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        try:
            rows: list[Any] = super().fetchall()
        except DRIVER.Error as error:
            raise _plain(error, self.connection.path) from error
        return rows

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except DRIVER.Error as error:
            raise _plain(error, self.connection.path) from error


_CURSOR, _EXECUTE = DRIVER.Connection.cursor, DRIVER.Cursor.execute


class Connection(DRIVER.Connection):  # type: ignore[misc]  # the driver has no types
    """A PEP 249 connection in autocommit; `path` is the file it stands on.

    `relief` is called when a transaction found the disk full, before its StoreError goes on: whoever tries again has room.
    """

    path: str = ""
    relief: Callable[[], object] | None = None

    def cursor(self, factory: type = Cursor) -> Any:
        """A cursor of ours."""
        return super().cursor(factory)

    def execute(self, *args: Any) -> Any:
        """Run one statement on a cursor of its own: as the driver does it, with one call less on the way."""
        cursor = _CURSOR(self, Cursor)
        try:
            _EXECUTE(cursor, *args)
        except DRIVER.Error as error:
            raise _plain(error, self.path) from error
        return cursor

    def commit(self) -> None:
        """For SQLAlchemy: end the transaction that is open, if one is."""
        try:
            super().commit()
        except DRIVER.Error as error:
            raise _plain(error, self.path) from error

    def rollback(self) -> None:
        """For SQLAlchemy: undo the transaction that is open, if one is."""
        try:
            super().rollback()
        except DRIVER.Error as error:
            raise _plain(error, self.path) from error


def connect(
    path: str | os.PathLike[str],
    *,
    key: bytes | None,
    page_size: int = PAGE_BYTES,
    readonly: bool = False,
    create: bool = True,
    any_thread: bool = False,
    busy_seconds: float = BUSY_SECONDS,
) -> Connection:
    """Open one file: WAL, FULL, foreign keys, rows by name.

    `key` is 32 raw bytes, or None for a plain file. A missing file is made with mode 0660 whatever the umask is (its
    ``-wal`` and ``-shm`` take the same mode), unless `create` is False or `readonly` is True. `any_thread` lets a pool
    hand the connection from thread to thread. Raises StoreError (``missing``, ``key``, ``damaged``, ``readonly`` …).
    """
    if key is not None and len(key) != KEY_BYTES:
        raise ValueError(f"a store key has {KEY_BYTES} bytes, not {len(key)}")
    where = os.fspath(path)
    if create and not readonly:
        _make(where)
    for pause in _PAUSES:
        try:
            return _open(where, key, page_size, readonly=readonly, any_thread=any_thread, busy_seconds=busy_seconds)
        except StoreError as error:
            if error.reason != "missing" or not os.access(where, os.R_OK):
                raise
        time.sleep(pause)
    return _open(where, key, page_size, readonly=readonly, any_thread=any_thread, busy_seconds=busy_seconds)


_PAUSES = (0.01, 0.05, 0.2)
"""Seconds. SQLite makes ``-wal`` and ``-shm`` with the mode its umask leaves and opens them to the group a moment later: who comes
in between as another user finds a store that is there and cannot be opened."""


def _open(where: str, key: bytes | None, page_size: int, *, readonly: bool, any_thread: bool, busy_seconds: float) -> Connection:
    mode = "ro" if readonly else "rw"
    try:
        conn: Connection = DRIVER.connect(
            f"file:{quote(where)}?mode={mode}",
            uri=True,
            timeout=busy_seconds,
            isolation_level=None,
            factory=Connection,
            check_same_thread=not any_thread,
            cached_statements=_STATEMENTS,
        )
    except DRIVER.Error as error:
        reason, text, vi = _WORDS[DRIVER.SQLITE_CANTOPEN]
        raise StoreError(reason, where, text, vi) from error
    conn.path = where
    try:
        _prepare(conn, key, page_size, readonly)
    except BaseException:
        conn.close()
        raise
    conn.row_factory = Row
    return conn


def _make(path: str) -> None:
    """An empty file of mode 0660; one that exists is left as it is."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o660)
    except FileExistsError:
        return
    except OSError as error:
        reason, text, vi = _WORDS[DRIVER.SQLITE_CANTOPEN]
        raise StoreError(reason, path, text, vi) from error
    try:
        os.fchmod(handle, 0o660)
    finally:
        os.close(handle)


def _prepare(conn: Connection, key: bytes | None, page_size: int, readonly: bool) -> None:
    if key is not None:
        # Raw key: no derivation, so opening takes 0.6 ms instead of 363 ms (measured, docs/decisions/0006).
        conn.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        conn.execute(f"PRAGMA cipher_page_size = {page_size:d}")
        # Locking every allocation into memory costs much and protects against a reader who already has the key file.
        conn.execute("PRAGMA cipher_memory_security = OFF")
        # The driver's own complaints on stderr say less than the StoreError they lead to.
        conn.execute("PRAGMA cipher_log_level = NONE")
    else:
        conn.execute(f"PRAGMA page_size = {page_size:d}")
    mode = conn.execute("PRAGMA journal_mode").fetchone()[0]  # the first read: a wrong key shows here
    if mode != "wal" and not readonly:
        conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    for pragma in (
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
        "mmap_size = 0",
        f"cache_size = -{_CACHE_KIB}",
        f"wal_autocheckpoint = {_CHECKPOINT_BYTES // page_size}",
        f"journal_size_limit = {_WAL_KEEP_BYTES}",
    ):
        conn.execute(f"PRAGMA {pragma}")


@contextmanager
def transaction(conn: Connection) -> Iterator[Connection]:
    """All or nothing: ``BEGIN IMMEDIATE`` … ``COMMIT``; any exception rolls back and goes on.

    Left without an exception, everything is on the card. Nesting is a bug: RuntimeError.
    """
    if conn.in_transaction:
        raise RuntimeError("a transaction is open already: one step of work, one transaction")
    try:
        conn.execute("BEGIN IMMEDIATE")
        yield conn
        conn.execute("COMMIT")
    except BaseException as error:
        if conn.in_transaction:
            with suppress(StoreError, DRIVER.Error):  # the first error says more; SQLite rolls back by itself at the latest on close
                conn.execute("ROLLBACK")
        if isinstance(error, StoreError) and error.reason == "full" and conn.relief is not None:
            with suppress(OSError):  # a disk that is read-only too: the first error says more
                conn.relief()
        raise


def data_version(conn: Connection) -> int:
    """A number that changes when *another* connection has committed: what waiting processes poll."""
    version: int = conn.execute("PRAGMA data_version").fetchone()[0]
    return version


def integrity(conn: Connection, *, quick: bool = False) -> list[str]:
    """What is wrong with the file, in SQLite's words; an empty list when it is whole.

    Checks every page's HMAC (encrypted files), then the structure; `quick` leaves out the comparison of indexes.
    """
    found: list[str] = []
    with suppress(StoreError):  # the HMACs are those of the file: a page torn by a cut is mended by the log, once that is written back
        conn.execute("PRAGMA wal_checkpoint(PASSIVE)")
    for check in ("cipher_integrity_check", "quick_check" if quick else "integrity_check"):
        try:
            found += [str(row[0]) for row in conn.execute(f"PRAGMA {check}") if row[0] != "ok"]
        except StoreError as error:
            if error.reason not in ("damaged", "key", "io"):
                raise
            found.append(str(error))
    return found


def truncate_log(conn: Connection) -> bool:
    """Write the log back into the file and empty it (after an erasure, or to make room); False when readers held it back."""
    busy: int = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return busy == 0


def files(path: Path) -> tuple[Path, Path, Path]:
    """The database, its log and its shared index: what a backup, a check of modes and a clean-up must know of."""
    return path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")
