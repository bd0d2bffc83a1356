"""A consistent copy of the whole store in a folder, and what such a copy holds when it is read back from its disk.

SQLite: its own backup into one file, inside one read transaction. PostgreSQL: ``COPY … TO STDOUT`` of every table into a
file each, inside one REPEATABLE READ transaction; no program beside the bridge is needed, whatever the server's version
(docs/how-to/restore-the-bridge.md). Nobody has to wait for a copy: readers and writers go on.

A table's `Sum` does not depend on the order of its rows, so a copy can be compared with the moment it was taken at.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from appliance import database
from appliance.relay.marks import Marks, read_marks
from cloud_bridge.store.engine import PAGE_BYTES, translated, writing
from cloud_bridge.store.safe import Place

FILE = "bridge.sqlite"
SUFFIX = ".copy"
_VERSION = "alembic_version"
_BITS = 128


@dataclass(frozen=True, slots=True)
class Sum:
    """What is in one table: how many rows, and the sum of their digests as 32 hex digits."""

    rows: int
    digest: str


class _Adder:
    """Adds up rows."""

    def __init__(self) -> None:
        self.rows = self.total = 0

    def add(self, row: bytes) -> None:
        self.rows += 1
        self.total += int.from_bytes(hashlib.blake2b(row, digest_size=_BITS // 8).digest(), "big")

    def sum(self) -> Sum:
        return Sum(self.rows, f"{self.total % (1 << _BITS):032x}")


@dataclass(frozen=True)
class Content:
    """What a copy holds: each table's sum, what of each lane is in (relay marks), the events that are kept of it, and how many
    numbers of it are set aside in quarantine.
    """

    tables: dict[str, Sum]
    marks: dict[Place, Marks]
    events: Counter[Place]
    aside: Counter[Place]

    def broken(self) -> list[str]:
        """Lanes whose marks promise more than the copy has: a copy with one is no backup."""
        return [
            f"{station} lane {lane}: {size(marks)} numbers are said to be in, {self.events[place]} events and {self.aside[place]} set aside"
            for place, marks in self.marks.items()
            for station, _, lane in [place]
            if size(marks) > self.events[place] + self.aside[place]
        ]


def size(marks: Marks) -> int:
    """How many numbers are in."""
    return sum(high - low + 1 for low, high in marks.ranges())


# --- taking one -------------------------------------------------------------------------------------------------------------------------


def take(engine: Engine, folder: Path) -> dict[str, Sum]:
    """Copy the store into an empty folder and onto the disk; the sums of its tables at the very moment of the copy."""
    sums = _take_sqlite(engine, folder / FILE) if engine.dialect.name == "sqlite" else _take_postgresql(engine, folder)
    for one in folder.iterdir():
        one.chmod(0o600)
        sync(one)
    sync(folder)
    return sums


def sync(path: Path) -> None:
    """Onto the disk: a file's bytes, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take_sqlite(engine: Engine, file: Path) -> dict[str, Sum]:
    pooled = engine.raw_connection()
    try:
        source: Any = pooled.driver_connection
        source.execute("BEGIN")
        try:
            sums = {name: _sum_sqlite(source, name) for name in _tables_sqlite(source)}
            target = database.connect(file, key=None, page_size=source.execute("PRAGMA page_size").fetchone()[0])
            try:
                source.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")  # one file, complete in itself
            finally:
                target.close()
        finally:
            source.execute("ROLLBACK")
    finally:
        pooled.close()
    return sums


def _tables_sqlite(conn: Any) -> list[str]:
    rows = conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    return [row[0] for row in rows.fetchall()]


def _sum_sqlite(conn: Any, table: str) -> Sum:
    adder = _Adder()
    for row in conn.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - a name out of the schema
        adder.add(repr(tuple(row)).encode())
    return adder.sum()


def _take_postgresql(engine: Engine, folder: Path) -> dict[str, Sum]:
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as tx, tx.begin():
        sums = {}
        for table, columns in _tables_postgresql(tx).items():
            adder = _Adder()
            with (folder / f"{table}{SUFFIX}").open("xb") as file:
                file.write((",".join(columns) + "\n").encode())
                for line in _lines(_copied(tx, table, columns)):
                    file.write(line + b"\n")
                    adder.add(line)
            sums[table] = adder.sum()
            counted = tx.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one()  # noqa: S608 - a name out of the schema
            if counted != sums[table].rows:
                raise ValueError(f"{table}: {counted} rows, {sums[table].rows} of them copied")
        return sums


def _tables_postgresql(tx: Connection) -> dict[str, list[str]]:
    look = inspect(tx)
    return {name: [one["name"] for one in look.get_columns(name)] for name in sorted(look.get_table_names()) if name != _VERSION}


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f'"{one}"' for one in columns)


def _copied(tx: Connection, table: str, columns: list[str]) -> Iterator[bytes]:
    with translated(tx), tx.connection.cursor().copy(f'COPY "{table}" ({_names(columns)}) TO STDOUT') as copy:
        for block in copy:
            yield bytes(block)


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """COPY's text has one line for a row: a line's end inside a value is written as two letters."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        raise ValueError("COPY ended in the middle of a row")


# --- reading one ------------------------------------------------------------------------------------------------------------------------


def read(folder: Path) -> Content:
    """Read a copy from its disk, every row of it. ValueError (or OSError) for what is no whole copy."""
    if (folder / FILE).exists():
        return _read_sqlite(folder / FILE)
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        raise ValueError(f"{folder}: no copy of a bridge's store")
    content = Content({}, {}, Counter(), Counter())
    for file in files:
        _read_table(file, content)
    return content


def _read_sqlite(file: Path) -> Content:
    conn = database.connect(file, key=None, page_size=PAGE_BYTES, readonly=True)
    try:
        pages, bytes_each = (conn.execute(f"PRAGMA {one}").fetchone()[0] for one in ("page_count", "page_size"))
        if file.stat().st_size != pages * bytes_each:  # SQLite itself reads a missing end as zeros
            raise ValueError(f"{file}: {file.stat().st_size} bytes, not {pages * bytes_each}")
        wrong = database.integrity(conn)
        if wrong:
            raise ValueError(f"{file}: {wrong[0]}")
        if "relay_inbox" not in _tables_sqlite(conn):
            raise ValueError(f"{file}: no bridge's store")
        events: Counter[Place] = Counter()
        aside: Counter[Place] = Counter()
        for row in conn.execute("SELECT station, epoch, lane, count(*) FROM relay_event GROUP BY station, epoch, lane"):
            events[row[0], bytes(row[1]), row[2]] = row[3]
        for row in conn.execute("SELECT station, origin, lane, count FROM relay_quarantine WHERE lane IS NOT NULL"):
            aside[row[0], bytes(row[1]), row[2]] += row[3]
        rows = conn.execute("SELECT station, epoch, lane, highest, holes FROM relay_inbox").fetchall()
        marks = {(row[0], bytes(row[1]), row[2]): read_marks(row[3], row[4]) for row in rows}
        return Content({name: _sum_sqlite(conn, name) for name in _tables_sqlite(conn)}, marks, events, aside)
    finally:
        conn.close()


def _read_table(file: Path, content: Content) -> None:
    table, adder = file.name.removesuffix(SUFFIX), _Adder()
    with file.open("rb") as opened:
        columns = opened.readline().decode().rstrip("\n").split(",")
        for line in opened:
            if not line.endswith(b"\n"):
                raise ValueError(f"{file}: ends in the middle of a row")
            row = line[:-1]
            adder.add(row)
            if table in ("relay_event", "relay_inbox", "relay_quarantine"):
                _note(table, dict(zip(columns, row.split(b"\t"), strict=True)), content)
    content.tables[table] = adder.sum()


def _note(table: str, row: dict[str, bytes], content: Content) -> None:
    if table == "relay_quarantine" and row["lane"] == _NULL:
        return
    place = (row["station"].decode(), _bytes(row["origin" if table == "relay_quarantine" else "epoch"]), int(row["lane"]))
    if table == "relay_event":
        content.events[place] += 1
    elif table == "relay_quarantine":
        content.aside[place] += int(row["count"])
    else:
        content.marks[place] = read_marks(int(row["highest"]), _bytes(row["holes"]))


_NULL = rb"\N"


def _bytes(value: bytes) -> bytes:
    r"""A bytea as COPY's text has it: ``\\x`` and hex digits."""
    return bytes.fromhex(value.removeprefix(rb"\\x").decode())


# --- putting one back -------------------------------------------------------------------------------------------------------------------


def load(engine: Engine, folder: Path, then: Callable[[Connection], None]) -> None:
    """Put the tables of a PostgreSQL copy into a database that has the copy's schema and no rows, and do `then`, in one transaction."""
    with writing(engine) as tx:
        known = _tables_postgresql(tx)
        for file in sorted(folder.glob(f"*{SUFFIX}")):
            table = file.name.removesuffix(SUFFIX)
            with file.open("rb") as opened, translated(tx):
                columns = opened.readline().decode().rstrip("\n").split(",")
                if table not in known or not set(columns) <= set(known[table]):
                    raise ValueError(f"{file}: this program knows no such table")
                with tx.connection.cursor().copy(f'COPY "{table}" ({_names(columns)}) FROM STDIN') as copy:
                    while block := opened.read(1 << 20):
                        copy.write(block)
            for column in columns:
                _count_on(tx, table, column)
        then(tx)


def _count_on(tx: Connection, table: str, column: str) -> None:
    """A column that counts up by itself goes on after its highest number."""
    serial = tx.execute(text("SELECT pg_get_serial_sequence(:name, :column)"), {"name": f'"{table}"', "column": column}).scalar()
    if serial is not None:
        tx.execute(text(f'SELECT setval(:serial, coalesce((SELECT max("{column}") FROM "{table}"), 0) + 1, false)'), {"serial": serial})  # noqa: S608 - names out of the schema
