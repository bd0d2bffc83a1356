"""Inserts that may meet their own row again, in the words both databases share."""

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(tx: Connection, table: Table) -> Any:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, for the database behind `tx`.

    SQLite and PostgreSQL have the same clause; SQLAlchemy has one class for each.
    """
    return postgresql.insert(table) if tx.dialect.name == "postgresql" else sqlite.insert(table)


def once(tx: Connection, table: Table, **values: Any) -> None:
    """Insert a row; a row with the same key stays as it is."""
    tx.execute(upsert(tx, table).values(**values).on_conflict_do_nothing())
