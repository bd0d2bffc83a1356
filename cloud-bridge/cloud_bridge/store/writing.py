"""Inserts that may meet their own row again, in the words both databases share; and many rows at once, in each one's own."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from cloud_bridge.store.engine import translated


def upsert(tx: Connection, table: Table) -> Any:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, for the database behind `tx`.

    SQLite and PostgreSQL have the same clause; SQLAlchemy has one class for each.
    """
    return postgresql.insert(table) if tx.dialect.name == "postgresql" else sqlite.insert(table)


def once(tx: Connection, table: Table, **values: Any) -> None:
    """Insert a row; a row with the same key stays as it is."""
    tx.execute(upsert(tx, table).values(**values).on_conflict_do_nothing())


def insert_many(tx: Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows that are known to be new, past SQLAlchemy's own handling of each: COPY on PostgreSQL, one prepared INSERT on SQLite.

    `table` and `columns` are our own names; numbers must be plain ones, no members of enumerations.
    """
    if not rows:
        return
    names = ", ".join(columns)
    if tx.dialect.name != "postgresql":
        marks = ", ".join("?" * len(columns))
        tx.exec_driver_sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(rows))  # noqa: S608 - our own names
        return
    cursor: Any = tx.connection.cursor()
    with translated(tx):
        copy_in(cursor, table, names, rows)
    cursor.close()


def copy_in(cursor: Any, table: str, names: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """COPY rows into a table of PostgreSQL as one block of text."""
    block = "".join([copy_line(row) for row in rows])
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        copy.write(block)


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_WORDS: dict[type, Callable[[Any], str]] = {
    int: str,
    float: repr,
    type(None): lambda _value: "\\N",
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: "\\\\x" + value.hex(),
    str: lambda value: value.translate(_ESCAPES),
}


def copy_line(row: tuple[Any, ...]) -> str:
    """A row in COPY's text format."""
    return "\t".join([_WORDS[type(value)](value) for value in row]) + "\n"
