"""Nothing is called safe before a copy of it has been read back from the disk."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from appliance.contract.codec import write_event
from appliance.contract.events import Tombstone
from appliance.relay.marks import Marks
from appliance.relay.storage import Stream
from cloud_bridge import backup, intake
from cloud_bridge.backup import BackupError
from cloud_bridge.store import copies, outbox, relay_tables, safe, tombstones
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.inbox import BridgeStore
from tests.bridge import story
from tests.bridge.conftest import counted

AT = story.T0 + 5_000
STREAM = Stream(story.STATION, story.EPOCH)


def hear(engine: Engine, count: int, first: int = 1) -> None:
    """A station's readings arrive and are kept, with the marks that say so."""
    with writing(engine) as tx:
        events = [story.event(Tombstone(first + number, "thử"), number) for number in range(count)]
        for seq, event in enumerate(events, first):
            row = {"station": story.STATION, "epoch": story.EPOCH, "lane": 2, "seq": seq, "kind": event.kind, "at": AT}
            tx.execute(relay_tables.event.insert().values(**row, body=write_event(event)))
            intake.apply(tx, story.STATION, event, AT, (story.EPOCH, 2, seq))
        BridgeStore(engine, [0]).keep_marks(tx, {(STREAM, 2): Marks(first + count - 1)})


def make(engine: Engine, folder: Path, at: int = AT, keep: int = 7) -> backup.Backup:
    """A backup."""
    return backup.make(engine, folder, at=at, random=counted(), keep=keep)


def held(engine: Engine) -> dict[int, Marks]:
    """What is called safe of the station."""
    with reading(engine) as tx:
        return safe.marks(tx, STREAM)


def test_a_backup_holds_every_row_and_says_what_is_safe(engine: Engine, tmp_path: Path) -> None:
    """On both databases: each table's rows are read back from the disk, and the marks of the copy are the high-water marks."""
    hear(engine, 5)
    assert held(engine) == {}
    done = make(engine, tmp_path)
    assert held(engine) == {2: Marks(5)}
    assert done.tables["relay_event"].rows == 5
    assert done.tables["tombstone"].rows == 5
    assert done.tables == copies.read(done.folder).tables
    with reading(engine) as tx:
        assert safe.latest(tx) == 1
        assert safe.last(tx) == (done.folder.name, AT)
        assert {"tombstone", "relay_event", "relay_inbox", "station", "bridge_meta"} <= done.tables.keys()
    assert all(file.stat().st_mode & 0o077 == 0 for file in done.folder.iterdir())


def test_what_comes_after_a_backup_is_not_safe(engine: Engine, tmp_path: Path) -> None:
    """The marks are those of the copy, not of the store."""
    hear(engine, 3)
    make(engine, tmp_path)
    hear(engine, 4, first=4)
    assert held(engine) == {2: Marks(3)}
    make(engine, tmp_path, AT + 600)
    assert held(engine) == {2: Marks(7)}


def spoil_file(folder: Path) -> None:
    """The disk keeps less than it was given."""
    file = max(folder.iterdir(), key=lambda one: one.stat().st_size)
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 700)


def spoil_row(folder: Path) -> None:
    """One letter of a copied row is another one; the file is whole all the same."""
    for file in folder.iterdir():
        data = file.read_bytes()
        if b"thu nghiem" in data:
            file.write_bytes(data.replace(b"thu nghiem", b"thu nghlem"))


def lose_table(folder: Path) -> None:
    """A table's file is gone (on SQLite the whole copy)."""
    for file in folder.glob("relay_event.copy" if (folder / "relay_event.copy").exists() else "*"):
        file.unlink()


@pytest.mark.parametrize("damage", [spoil_file, spoil_row, lose_table])
def test_a_copy_that_is_not_what_the_store_was_is_no_backup(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    """A disk that lies: nothing is recorded, nothing is left that looks like a backup, the one before stays."""
    hear(engine, 30)
    with writing(engine) as tx:
        tx.execute(relay_tables.quarantine.insert().values(
            station=story.STATION, topic="t", payload=b"x", digest=b"x", reason="shape", detail="thu nghiem", at=AT, state=0,
        ))  # fmt: skip
    first = make(engine, tmp_path)
    hear(engine, 5, first=31)
    honest = copies.take

    def lying(engine: Engine, folder: Path) -> dict[str, copies.Sum]:
        said = honest(engine, folder)
        damage(folder)
        return said

    monkeypatch.setattr(copies, "take", lying)
    with pytest.raises(BackupError):
        make(engine, tmp_path, AT + 600)
    assert held(engine) == {2: Marks(30)}
    assert backup.listing(tmp_path) == [first.folder]
    assert not list(tmp_path.glob(f"{backup.PARTIAL}*"))


def test_marks_that_promise_more_than_there_is_are_no_backup(engine: Engine, tmp_path: Path) -> None:
    """A store that has lost events it vouches for must not be called safe."""
    hear(engine, 5)
    with writing(engine) as tx:
        tx.execute(relay_tables.event.delete().where(relay_tables.event.c.seq == 3))
    with pytest.raises(BackupError, match="promises more"):
        make(engine, tmp_path)
    assert held(engine) == {}


def test_what_a_cut_left_behind_is_no_backup_and_goes_with_the_next(lite: Engine, tmp_path: Path) -> None:
    """The power went in the middle: the folder has no list; a half-written list is none either."""
    torn = tmp_path / "to" / f"{backup.PARTIAL}backup-20261122T000000Z-00000000"
    torn.mkdir(parents=True)
    (torn / copies.FILE).write_bytes(b"half")
    assert backup.listing(tmp_path / "to") == []
    with pytest.raises(BackupError, match="no backup"):
        backup.read(torn)
    done = make(lite, tmp_path / "to")
    assert not torn.exists()
    (done.folder / backup.LIST).write_text('{"format": 1, "verified"')
    with pytest.raises(BackupError, match="not the list"):
        backup.read(done.folder)


def test_only_the_latest_copies_stay(lite: Engine, tmp_path: Path) -> None:
    """The oldest go after the new one is recorded."""
    names = [make(lite, tmp_path, AT + number * 36_000, keep=3).folder for number in range(5)]
    assert backup.listing(tmp_path) == names[2:]


def test_one_backup_at_a_time(lite: Engine, tmp_path: Path) -> None:
    """The other one says so."""
    with backup._alone(tmp_path), pytest.raises(BackupError, match="another backup"):
        make(lite, tmp_path)


def test_writers_do_not_wait_and_the_copy_is_of_one_moment(lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the copy is made a carrier commits: the copy is as it was when it began, and is verified as that."""
    hear(lite, 3)
    honest = copies._sum_sqlite

    def meanwhile(conn: object, table: str) -> copies.Sum:
        said = honest(conn, table)
        if table == "tombstone" and held(lite) == {} and len(stories(lite)) < 10:
            hear(lite, 10, first=4)
        return said

    monkeypatch.setattr(copies, "_sum_sqlite", meanwhile)
    done = make(lite, tmp_path)
    assert done.tables["relay_event"].rows == 3
    assert held(lite) == {2: Marks(3)}
    assert len(stories(lite)) == 13


def stories(engine: Engine) -> list[int]:
    """The numbers that are kept."""
    with reading(engine) as tx:
        return [row[0] for row in tx.execute(select(relay_tables.event.c.seq))]


def test_a_store_that_was_restored_meanwhile_is_not_called_safe(lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is of another incarnation."""
    honest = copies.take

    def slow(engine: Engine, folder: Path) -> dict[str, copies.Sum]:
        said = honest(engine, folder)
        with writing(engine) as tx:
            outbox.set_store_id(tx, b"store--9")
        return said

    monkeypatch.setattr(copies, "take", slow)
    with pytest.raises(BackupError, match="another incarnation"):
        make(lite, tmp_path)
    assert held(lite) == {}


# --- tombstones beside it ---------------------------------------------------------------------------------------------------------------


def test_tombstones_lie_beside_the_backups_and_only_grow(lite: Engine, tmp_path: Path) -> None:
    """Each once, in the order they came; a line that a cut left half-written is written anew."""
    hear(lite, 3)
    make(lite, tmp_path)
    file = tmp_path / tombstones.FILE
    assert [one.patient for one in tombstones.read(file)] == [1, 2, 3]
    with file.open("ab") as opened:
        opened.write(b'{"station": "tram-00')
    hear(lite, 1, first=4)
    keeper = tombstones.Keeper(file)
    with reading(lite) as tx:
        assert (keeper.turn(tx), keeper.turn(tx)) == (1, 0)
    assert [one.patient for one in tombstones.read(file)] == [1, 2, 3, 4]
    assert file.stat().st_mode & 0o077 == 0


def test_a_damaged_copy_of_the_tombstones_is_not_passed_over(tmp_path: Path) -> None:
    """Nothing is restored while nobody knows who was erased."""
    file = tmp_path / tombstones.FILE
    file.write_bytes(b"garbage\n")
    with pytest.raises(ValueError, match="no tombstone"):
        tombstones.read(file)


def test_the_folder_of_a_backup_can_be_moved(lite: Engine, tmp_path: Path) -> None:
    """It names no path."""
    done = make(lite, tmp_path / "a")
    shutil.move(done.folder, tmp_path / "b")
    assert backup.read(tmp_path / "b").tables == done.tables
