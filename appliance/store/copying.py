"""A copy of the store on a second medium, as encrypted as the store, read back before anybody counts on it.

It is for the day the card dies with the board: `tram-bridge recover FOLDER` takes from it what the bridge never had. It never
takes the place of the outbox: nothing is called sent, received or safe because a copy exists.

A copy is a folder ``store-<UTC time>`` with the file, the wrapped key (`escrow`) and `LIST`, which says how far each lane had
come. It gets its name when the copy was read back and says the same; what ends before that is removed by the next one.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from appliance import durable
from appliance.contract import escrow
from appliance.database import Connection, StoreError, connect, integrity
from appliance.settings import Settings
from appliance.store.errors import Refused
from appliance.store.escrow import wrapped_file
from appliance.store.opening import database_file, station_of
from appliance.store.outbox import reached

LIST = "copy.json"
FORMAT = 1
NAME, PARTIAL = "store-", ".partial-"
KEEP = 2
"""Copies kept: the one before stays until the next one is whole."""
_PIECE = 1 << 20

Marks = list[tuple[str, int, int]]
"""How far each lane had come: epoch (hexadecimal), lane, the next number."""


@dataclass(frozen=True)
class Copied:
    """One copy that was read back. `wrapped`: the bridge's recovery key opens it; else only this box's own key does."""

    folder: str
    station: str
    at: int
    bytes: int
    unreceived: int
    marks: Marks
    wrapped: bool


def copy(conn: Connection, settings: Settings, key: bytes, folder: Path, at: int, *, keep: int = KEEP, elsewhere: bool = True) -> Copied:
    """Copy the store that `conn` has open into `folder`; `at` is now, tenths of a second since 1970.

    `elsewhere`: Refused where the folder lies on the store's own medium. Refused, too, when what was read back is not what was written;
    an error of the system is an OSError. Either way the copies that were there before are still there.
    """
    _look(settings.paths.data, folder, elsewhere)
    for old in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(old, ignore_errors=True)
    name = NAME + datetime.fromtimestamp(at / 10, UTC).strftime("%Y%m%dT%H%M%SZ")
    draft, target = folder / (PARTIAL + name), folder / name
    draft.mkdir(mode=0o700)
    file, before = draft / database_file(settings).name, _marks(conn)
    try:
        _write(conn, file, key, settings.store.page_size)
        wrapped = wrapped_file(settings)
        there = wrapped.exists()
        if there:
            shutil.copyfile(wrapped, draft / escrow.FILE)
        found = _read_back(file, key, settings.store.page_size)
        if found.station != station_of(conn) or not (_reached(before, found.marks) and _reached(found.marks, _marks(conn))):
            raise Refused(
                "Bản sao đọc lại không giống bản gốc. Đổi USB khác.", "the copy, read back, is not what was copied: take another medium"
            )
        done = Copied(name, found.station, at, file.stat().st_size, found.unreceived, found.marks, there)
        said = {"format": FORMAT, **asdict(done), "sha256": _digest(file)}
        (draft / LIST).write_text(json.dumps(said, indent=1) + "\n", encoding="ascii")
        for one in (*draft.iterdir(), draft):
            durable.sync(one)
        if target.exists():
            shutil.rmtree(target)
        draft.rename(target)
        durable.sync(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    for old in sorted(folder.glob(f"{NAME}*"))[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return done


def check(folder: Path, key: bytes, page_size: int) -> Copied:
    """Read a copy from beginning to end; Refused where it is not whole, or says something else than its list."""
    try:
        said = json.loads((folder / LIST).read_bytes()[:65536])
        (file,) = folder.glob("*.db")
    except (OSError, ValueError) as error:
        raise Refused(f"{folder} không phải bản sao.", f"{folder} holds no copy of a store: {error}") from error
    if _digest(file) != said.get("sha256"):
        raise Refused(f"{folder}: bản sao đã hỏng.", f"{folder}: the file is not the one that was copied")
    found = _read_back(file, key, page_size)
    return Copied(
        folder.name, found.station, int(said["at"]), file.stat().st_size, found.unreceived, found.marks, (folder / escrow.FILE).exists()
    )


@dataclass(frozen=True)
class _Found:
    station: str
    marks: Marks
    unreceived: int


def _look(data: Path, folder: Path, elsewhere: bool) -> None:
    try:
        other = os.stat(folder).st_dev != os.stat(data).st_dev
    except OSError as error:
        raise Refused(
            f"Không có thư mục {folder}. Cắm ổ sao lưu vào máy.", f"there is no folder {folder}: put the medium for copies into the box"
        ) from error
    if elsewhere and not other:
        raise Refused(
            f"{folder} nằm trên cùng thẻ với dữ liệu: thẻ hỏng là mất cả hai. Cắm ổ khác.",
            f"{folder} lies on the store's own medium and would die with it: mount another one there",
        )


def _write(conn: Connection, file: Path, key: bytes, page_size: int) -> None:
    """One reading transaction over the whole file: who writes meanwhile is not held up. Then everything in one file, on the medium."""
    copy_: Connection = connect(file, key=key, page_size=page_size)
    try:
        conn.backup(copy_)
        copy_.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        copy_.close()
    durable.sync(file)


def _read_back(file: Path, key: bytes, page_size: int) -> _Found:
    """Every page's own check, the structure, and how far it had come; past the cache where the system lets go of it."""
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
    try:
        conn = connect(file, key=key, page_size=page_size, create=False)
    except StoreError as error:
        raise _damaged(str(error)) from error
    try:
        damage = integrity(conn)
        if damage:
            raise _damaged(damage[0])
        waiting = int(conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0])
        return _Found(station_of(conn), _marks(conn), waiting)
    finally:
        conn.close()
        for rest in (file.with_name(file.name + "-wal"), file.with_name(file.name + "-shm")):
            rest.unlink(missing_ok=True)


def _damaged(what: str) -> Refused:
    return Refused("Bản sao đọc lại bị hỏng. Đổi USB khác.", f"the copy, read back, is damaged: {what}; take another medium")


def _marks(conn: Connection) -> Marks:
    epochs = {row[0]: bytes(row[1]).hex() for row in conn.execute("SELECT id, epoch FROM epoch").fetchall()}
    return [(epochs[row], lane, number) for row, lane, number in reached(conn)]


def _reached(earlier: Marks, later: Marks) -> bool:
    """Whether one could have come before the other: no lane is further, and none that it has is missing."""
    known = {(epoch, lane): number for epoch, lane, number in later}
    return all((epoch, lane) in known and number <= known[epoch, lane] for epoch, lane, number in earlier)


def _digest(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as source:
        while piece := source.read(_PIECE):
            found.update(piece)
    return found.hexdigest()
