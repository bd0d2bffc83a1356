"""Opening the bridge's database by URL: a SQLite file (the default) or PostgreSQL.

``sqlite:////var/lib/tram-bridge/bridge.sqlite`` goes through `appliance.database`, the one door to SQLite;
``postgresql+psycopg://user@host/name`` through psycopg. A database that is away comes out as an OSError, so that a loop
waits and tries again (ARCHITECTURE.md, Errors).
"""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import QueuePool

from appliance import database

PAGE_BYTES = 4096
"""The bridge's disk is no SD card: SQLite's own page size."""
_CACHE_KIB = 32 * 1024
"""Reading keys are spread evenly, so their index is touched everywhere: a station's 1 MiB of cache would not hold a district's."""
_CHECKPOINT_PAGES = 4096
"""16 MiB of log between checkpoints, for the same reason."""
_READ = "tram_read"
_SOON = 0.001
"""Seconds within which most answers of PostgreSQL come: who waits longer may as well do something useful."""


class DatabaseError(OSError):
    """PostgreSQL cannot be reached or has gone: wait and try again."""


def open_engine(url: str, *, create: bool = True) -> Engine:
    """The engine of a database URL; nothing is opened yet. ValueError for a URL of another database.

    A SQLite file that does not exist is made at the first connection, unless `create` is False.
    """
    try:
        where = make_url(url)
    except ArgumentError:
        raise ValueError(f"a database URL looks like sqlite:////var/lib/tram-bridge/bridge.sqlite, not {url!r}") from None
    if where.drivername == "sqlite":
        if not where.database or where.database == ":memory:":
            raise ValueError("a SQLite URL names a file: sqlite:////var/lib/tram-bridge/bridge.sqlite")
        return _sqlite(where.database, create)
    if where.drivername == "postgresql+psycopg":
        return _postgresql(url)
    raise ValueError(f"the bridge keeps its store in sqlite or postgresql+psycopg, not {where.drivername!r}")


def _sqlite(path: str, create: bool) -> Engine:
    def creator() -> Any:
        connection = database.connect(path, key=None, page_size=PAGE_BYTES, create=create, any_thread=True)
        connection.row_factory = None  # SQLAlchemy makes rows of its own from plain tuples
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        return connection

    driver = database.DRIVER  # type: ignore[attr-defined]  # an alias of an import, which mypy takes for private
    engine = create_engine("sqlite://", module=driver, creator=creator, poolclass=QueuePool, pool_size=8, max_overflow=24)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The driver is in autocommit: every transaction is ours. A writer takes the lock first, so that it never fails half-way.
        connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(_READ) else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: str) -> Engine:
    engine = create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=24)

    @event.listens_for(engine, "handle_error")
    def away(context: Any) -> None:
        if context.is_disconnect or isinstance(context.sqlalchemy_exception, OperationalError):
            raise _away(context.original_exception) from context.original_exception

    return engine


def while_waiting(engine: Engine, work: Callable[[], object]) -> None:
    """Do `work`, a little at a time, while PostgreSQL is busy with a statement of ours: it has a core of its own, and a carrier that
    only waits for it leaves its own one idle for a quarter of the time. For connections that are made from now on; nothing on SQLite,
    which works in this very thread. `work` must not touch the database, must not raise, and takes milliseconds at most.
    """
    if engine.dialect.name != "postgresql":
        return

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.wait = partial(_busy, connection.wait, work)


def _busy(wait: Callable[..., Any], work: Callable[[], object], steps: Any, interval: float = _SOON, timeout: float | None = None) -> Any:
    """What `psycopg.Connection.wait` does, with `work` in the pauses."""
    return wait(_filled(steps, work), interval=min(interval, _SOON), timeout=timeout)


def _filled(steps: Generator[Any, Any, Any], work: Callable[[], object]) -> Generator[Any, Any, Any]:
    """psycopg's own steps. They are told that the socket is ready, and never that nothing has come yet: that is when `work` is done."""
    try:
        wants = next(steps)
        while True:
            ready = yield wants
            if ready:
                wants = steps.send(ready)
            else:
                work()
    except StopIteration as done:
        return done.value


def _away(error: BaseException) -> DatabaseError:
    return DatabaseError("PostgreSQL is away: " + (str(error).strip().splitlines() or ["no reason given"])[0])


@contextmanager
def translated(tx: Connection) -> Iterator[None]:
    """Errors of PostgreSQL's own cursor (COPY) in the words that SQLAlchemy's way gives."""
    module: Any = tx.dialect.dbapi
    try:
        yield
    except module.OperationalError as error:
        raise _away(error) from error


class Pulse:
    """Whether anybody has committed anything, asked without reading a row; safe between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: Any = None
        self._turn = 0

    def beat(self) -> str:
        """A text that is another one after any commit by anybody (and sometimes without one). OSError while the database is away."""
        if self._engine.dialect.name == "postgresql":
            with reading(self._engine) as tx:
                return str(tx.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one())
        with self._lock:
            return self._version()

    def _version(self) -> str:
        """SQLite counts per connection, so one connection is kept for it, and which one it is is part of the text."""
        try:
            if self._connection is None:
                self._connection = self._engine.raw_connection()
                self._turn += 1
            return f"{self._turn}/{self._connection.cursor().execute('PRAGMA data_version').fetchone()[0]}"
        except BaseException:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.invalidate()
            raise


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent look at the database that keeps no writer waiting."""
    with engine.connect().execution_options(**{_READ: True}) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction: all or nothing. On SQLite it has the write lock from its first moment."""
    with engine.begin() as connection:
        yield connection
