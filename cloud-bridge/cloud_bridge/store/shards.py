"""Who carries which shards: one carrier each, by a lock that goes with its holder, however it dies.

On SQLite a file lock beside the database, on PostgreSQL a session's advisory lock. It guards against a mistake in the
settings, not the data: two carriers of one shard would throw each other off the broker without end, and take nothing twice.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from sqlalchemy import Engine, text

LOCK_CLASS = 0x7472616D
"""The first of the two numbers of our advisory locks ("tram"); the second is the shard."""


class ShardTakenError(OSError):
    """Another carrier has one of these shards; `shard` says which."""

    def __init__(self, shard: int) -> None:
        super().__init__(f"shard {shard} is carried by another tram-bridge carry on this database")
        self.shard = shard


@contextmanager
def held(engine: Engine, shards: Sequence[int]) -> Iterator[None]:
    """Hold these shards. ShardTakenError when somebody else has one of them; OSError when the database is away."""
    with ExitStack() as stack:
        if engine.dialect.name == "postgresql":
            stack.enter_context(_advisory(engine, shards))
        else:
            place = _place(engine)
            for shard in sorted(set(shards)):
                stack.enter_context(_file(f"{place}-shard-{shard:02d}.lock", shard))
        yield


def _place(engine: Engine) -> str:
    """Where the SQLite file is."""
    with engine.connect() as tx:
        return str(tx.exec_driver_sql("PRAGMA database_list").fetchone()[2])  # type: ignore[index]  # the main file is always listed


@contextmanager
def _file(path: str, shard: int) -> Iterator[None]:
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o660)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ShardTakenError(shard) from error
        yield
    finally:
        os.close(handle)


@contextmanager
def _advisory(engine: Engine, shards: Sequence[int]) -> Iterator[None]:
    """The locks belong to a connection of their own, kept out of the pool's rounds."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as tx:
        take = text("SELECT pg_try_advisory_lock(:lock, :shard)")
        for shard in sorted(set(shards)):
            if not tx.execute(take, {"lock": LOCK_CLASS, "shard": shard}).scalar_one():
                tx.invalidate()  # the ones already taken go with the session
                raise ShardTakenError(shard)
        try:
            yield
        finally:
            tx.invalidate()
