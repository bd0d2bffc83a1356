"""A copy of the store on a second medium: whole, encrypted, read back; the one before stays until then."""

import json
import shutil
from pathlib import Path

import pytest

from appliance.database import transaction
from appliance.store import copying
from appliance.store.copying import LIST, check, copy
from appliance.store.errors import Refused
from appliance.store.opening import key_file, read_key
from tests.store.station import Station, station_at

NAME = "Thử Nghiệm Một"


def made(station: Station, folder: Path, **more: object) -> copying.Copied:
    """A copy in a folder of this medium, now."""
    folder.mkdir(exist_ok=True)
    return copy(station.conn, station.settings, the_key(station), folder, station.now.wall, elsewhere=False, **more)  # type: ignore[arg-type]


def the_key(station: Station) -> bytes:
    """The store's key."""
    return read_key(key_file(station.settings, {}))


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """A station with a reading nobody has received."""
    (tmp_path / "station").mkdir()
    one = station_at(tmp_path / "station")
    one.saved(one.patient(NAME), 187)
    return one


def test_a_copy_says_how_far_it_goes_and_shows_nobody(station: Station, tmp_path: Path) -> None:
    """Everything unreceived is in it, its marks are those of the lanes, and no name stands in its bytes."""
    done = made(station, tmp_path / "copies")
    file = next((tmp_path / "copies" / done.folder).glob("*.db"))
    assert done.station == "tram-0001"
    assert done.unreceived == station.conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0] > 0
    numbers = station.conn.execute("SELECT lane, max(seq) + 1 FROM outbox GROUP BY lane ORDER BY lane").fetchall()
    assert [(lane, number) for _, lane, number in done.marks] == [(row[0], row[1]) for row in numbers]
    assert all(NAME.encode() not in one.read_bytes() for one in file.parent.iterdir())
    assert {one.name for one in file.parent.iterdir()} >= {file.name, LIST}
    assert not list(file.parent.glob("*-wal"))
    assert check(file.parent, the_key(station), station.settings.store.page_size) == done


def test_who_writes_meanwhile_is_not_held_up_and_the_last_two_are_kept(station: Station, tmp_path: Path) -> None:
    """Another program's open transaction is no obstacle; of four copies the last two remain, and what was cut off is removed."""
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / ".partial-store-1").mkdir()
    other = station.second()
    with transaction(other):
        other.execute("INSERT INTO meta (key, value) VALUES ('under-way', 1)")
        names = [made(station, folder).folder]
    other.close()
    for _ in range(3):
        station.later(60)
        names.append(made(station, folder).folder)
    assert sorted(one.name for one in folder.iterdir()) == names[-2:]


def test_a_copy_on_the_same_card_is_refused(station: Station, tmp_path: Path) -> None:
    """It would die with the card; and a medium that is not there is said."""
    for folder, says in ((tmp_path, "own medium"), (tmp_path / "nothing", "there is no folder")):
        with pytest.raises(Refused, match=says):
            copy(station.conn, station.settings, the_key(station), folder, station.now.wall)
    assert not list(tmp_path.glob("store-*"))


def test_a_copy_that_changed_is_refused(station: Station, tmp_path: Path) -> None:
    """One byte of the file, a list of another file, no list."""
    done = made(station, tmp_path / "copies")
    folder = tmp_path / "copies" / done.folder
    file = next(folder.glob("*.db"))
    whole = file.read_bytes()
    file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    with pytest.raises(Refused, match="not the one that was copied"):
        check(folder, the_key(station), station.settings.store.page_size)
    said = json.loads((folder / LIST).read_text())
    (folder / LIST).write_text(json.dumps(said | {"sha256": copying._digest(file)}))
    with pytest.raises(Refused, match="damaged"):
        check(folder, the_key(station), station.settings.store.page_size)
    (folder / LIST).unlink()
    with pytest.raises(Refused, match="holds no copy"):
        check(folder, the_key(station), station.settings.store.page_size)


def test_a_medium_that_does_not_give_back_what_was_written_makes_no_copy(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy before stays, and no half one is left."""
    first = made(station, tmp_path / "copies")
    station.later(60)
    real = copying._write

    def lying(conn: object, file: Path, key: bytes, size: int) -> None:
        real(conn, file, key, size)  # type: ignore[arg-type]
        content = bytearray(file.read_bytes())
        content[-100] ^= 0xFF
        file.write_bytes(content)

    monkeypatch.setattr(copying, "_write", lying)
    with pytest.raises(Refused, match="take another medium"):
        made(station, tmp_path / "copies")
    assert [one.name for one in (tmp_path / "copies").iterdir()] == [first.folder]


def test_an_older_copy_under_todays_list_is_not_believed(station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A medium that gives back yesterday's file, whole as it is: its marks are behind those the store had when the copy began."""
    made(station, tmp_path / "copies")
    old = shutil.copytree(tmp_path / "copies", tmp_path / "old")
    station.later(60)
    station.saved(station.patient("Thử Nghiệm Hai"), 143)

    def stale(_conn: object, file: Path, _key: bytes, _size: int) -> None:
        shutil.copyfile(next(old.glob("store-*/*.db")), file)

    monkeypatch.setattr(copying, "_write", stale)
    with pytest.raises(Refused, match="is not what was copied"):
        made(station, tmp_path / "copies")
