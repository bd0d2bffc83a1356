"""Inserts that may meet their own row again, in the words both databases share; and many rows at once, in each one's own."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import psycopg

from cloud_bridge.store.engine import translated


def upsert(tx: Connection, table: Table) -> Any:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, for the database behind `tx`.

    SQLite and PostgreSQL have the same clause; SQLAlchemy has one class for each.
    """
    return _insert(tx.dialect.name, table)


def _insert(kind: str, table: Table) -> Any:
    return postgresql.insert(table) if kind == "postgresql" else sqlite.insert(table)


Clause = Callable[[Any], Any]
"""What an INSERT does where it meets its own row: a function of the module, so that its text is made once."""


def passed_over(fresh: Any) -> Any:
    """The `Clause` of rows that stay as they are."""
    return fresh.on_conflict_do_nothing()


def put(tx: Connection, table: Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]], clause: Clause = passed_over) -> None:
    """Insert rows, one after the other, with a `clause` that holds no constants; `names` are the columns of each row.

    For the paths where events come by the thousand: the statement is spelt once for ever, and SQLAlchemy, for which that is
    nine tenths of a small statement's cost, is passed by. Values must be plain ones, no members of enumerations.
    """
    if rows:
        tx.exec_driver_sql(_spelt(tx.dialect.name, table, names, clause), list(rows))


@cache
def _spelt(kind: str, table: Table, names: tuple[str, ...], clause: Clause) -> str:
    postgres: Any = psycopg.dialect  # not typed by SQLAlchemy
    dialect: Any = postgres(paramstyle="format") if kind == "postgresql" else sqlite.dialect()
    query = clause(_insert(kind, table)).compile(dialect=dialect, column_keys=list(names))
    ordered = [one.name for one in table.columns if one.name in names]
    if query.positiontup != ordered or ordered != list(names):
        raise ValueError(f"columns of {table.name} in the table's order and no constants, not {names} and {query.positiontup}")
    return str(query)


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
    block = copy_text(rows)
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        copy.write(block)


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_WORDS: dict[type, Callable[[Any], str]] = {
    int: int.__repr__,
    float: float.__repr__,
    type(None): lambda _value: "\\N",
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: "\\\\x" + value.hex(),
    str: lambda value: value.translate(_ESCAPES),
}


def copy_text(rows: Sequence[tuple[Any, ...]]) -> str:
    """Rows in COPY's text format, made a column at a time: what a column holds is mostly of one kind."""
    return "".join(["\t".join(row) + "\n" for row in zip(*map(_column, zip(*rows, strict=True)), strict=True)])


def _column(values: tuple[Any, ...]) -> Iterable[str]:
    """One column of many rows as COPY's words."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return map(int.__repr__, values)
    if kinds == {bytes}:
        return ["\\\\x" + value.hex() for value in values]
    if kinds <= {str, type(None)} or kinds <= {float, type(None)}:  # names, and what was measured: much of it is alike
        words = {value: _WORDS[type(value)](value) for value in set(values)}
        return [words[value] for value in values]
    return [_WORDS[type(value)](value) for value in values]
