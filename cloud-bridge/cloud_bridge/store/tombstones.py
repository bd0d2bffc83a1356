"""The separate copy of who was erased: a file to which lines are only ever added (decision 24).

A tombstone outranks data for ever. A store that is put back from yesterday's backup does not know who was erased since,
and stations offer it again what they had sent of them. So every tombstone is also written outside the database, beside
the keys and beside the backups, and a restored store takes them before anybody may speak to it.
"""

import fcntl
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select

from cloud_bridge.store.tables import tombstone

FILE = "tombstones.jsonl"


@dataclass(frozen=True, slots=True)
class Grave:
    """One erased patient of a station. Times are tenths of a second since 1970: `wall` the box's, `received` the bridge's."""

    station: str
    patient: int
    reason: str
    wall: int
    actor: str
    received: int


def of_store(tx: Connection) -> list[Grave]:
    """Everybody who was erased, the first one first."""
    c = tombstone.c
    rows = tx.execute(select(c.station, c.patient, c.reason, c.wall, c.actor, c.received).order_by(c.received, c.station, c.patient))
    return [Grave(*row) for row in rows]


def read(file: Path) -> list[Grave]:
    """The lines of a copy; none where there is no file. A last line that was cut off was never promised, and is passed over.

    ValueError for any other line that cannot be read: a person must look, and nothing may be restored over it.
    """
    try:
        *whole, _rest = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    try:
        return [Grave(**json.loads(line)) for line in whole if line]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{file}: a line that is no tombstone ({error})") from None


def add(file: Path, graves: Iterable[Grave]) -> int:
    """Add those that the file does not have, onto the disk; how many they were. One process at a time. OSError when it cannot."""
    handle = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        known = {(one.station, one.patient) for one in read(file)}
        fresh = [one for one in graves if (one.station, one.patient) not in known]
        if fresh:
            end = file.read_bytes().rfind(b"\n") + 1
            os.ftruncate(handle, end)  # a line that the power cut off
            os.pwrite(handle, b"".join(json.dumps(asdict(one), ensure_ascii=False).encode() + b"\n" for one in fresh), end)
            os.fsync(handle)
    finally:
        os.close(handle)
    return len(fresh)


class Keeper:
    """Writes new tombstones into the separate copy; asked again and again, it reads the store's only when there are more."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.count = -1

    def turn(self, tx: Connection) -> int:
        """Bring the copy up to the store; how many were added."""
        count = tx.execute(select(func.count()).select_from(tombstone)).scalar_one()
        if count == self.count:
            return 0
        added = add(self.file, of_store(tx)) if count else 0
        self.count = count
        return added
