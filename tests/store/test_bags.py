"""The station's post bag and what a stick can be: full, locked, pulled out, crowded, torn, somebody else's."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.contract.bag import BagHeader, Record, bag_name, whole
from appliance.contract.topics import DOWN
from appliance.database import StoreError, transaction
from appliance.stick import FOLDER, Stick, StickError, told
from appliance.store import keys
from appliance.store.bags import Post, PostOffice, post_office, refused
from tests.store.disk import small_disk
from tests.store.station import Station, station_at

BRIDGE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
Made = Callable[..., Station]


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A stick in the box."""
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Made]:
    """Makes a station with more settings; it is closed with the test."""
    made: list[Station] = []

    def one(more: str) -> Station:
        folder = tmp_path / f"s{len(made)}"
        folder.mkdir()
        made.append(station_at(folder, more))
        return made[-1]

    yield one
    for station in made:
        station.conn.close()


@pytest.fixture
def station(make: Made, stick: Path) -> Station:
    """A station that trusts one bridge and has something to say."""
    made = make(f'[bag]\nfolder = "{stick}"\nmounted = false\n[wire]\nsealing = "off"\n')
    with transaction(made.conn):
        keys.pin(made.conn, "receipt", 0, BRIDGE.public_key().public_bytes_raw())
    made.patient()
    return made


def office(station: Station) -> PostOffice:
    """Its side of the post."""
    return post_office(station.conn, station.settings, stamp=lambda: station.now, say=lambda *_, **__: None)


def lay(stick: Path, name: str = "", key: Ed25519PrivateKey = BRIDGE, data: bytes | None = None, **more: object) -> Path:
    """A bag of a bridge lies on the stick."""
    label = {
        "station": "tram-0001",
        "way": DOWN,
        "origin": b"store--1",
        "number": 3,
        "nonce": b"n" * 8,
        "made": 1,
        "messages": 1,
        "items": 0,
    }
    header = BagHeader(**{**label, **more})  # type: ignore[arg-type]
    (stick / FOLDER).mkdir(exist_ok=True)
    file = stick / FOLDER / (name or bag_name("tram-0001", DOWN, header.number))
    file.write_bytes(whole(header, [Record(0, b"\x13?")], key) if data is None else data)
    return file


def files(stick: Path) -> list[str]:
    """What lies in the folder of the bags."""
    return sorted(one.name for one in (stick / FOLDER).iterdir()) if (stick / FOLDER).is_dir() else []


def rows(station: Station) -> list[tuple[object, ...]]:
    """The outbox and its parcels as they stand."""
    return [tuple(row) for table in ("outbox", "parcel", "lane") for row in station.conn.execute(f"SELECT * FROM {table}").fetchall()]


def test_packing_notes_the_bag_and_nothing_else(station: Station, stick: Path) -> None:
    """Number, time and contents are in the book; a second bag replaces the first on the stick and leaves the outbox as it was."""
    first = office(station).swap()
    assert first.out
    assert first.went == station.count("outbox") > 0
    before = rows(station)
    second = office(station).swap()
    assert rows(station) == before
    assert files(stick) == [bag_name("tram-0001", "up", second.number)]
    found = station.conn.execute("SELECT number, items, done, length(digest), length(contents) > 1, at > 0 FROM bag ORDER BY id").fetchall()
    assert [tuple(row) for row in found] == [(1, first.went, 1, 32, 1, 1), (2, first.went, 1, 32, 1, 1)]


def test_without_a_stick_nothing_is_promised(make: Made, tmp_path: Path) -> None:
    """No folder, or one that nothing is mounted on: the sentence says to put a stick in, and the box's own disk is not written to."""
    bare = tmp_path / "media"
    bare.mkdir()
    station = make(f'[bag]\nfolder = "{bare}"\n[wire]\nsealing = "off"\n')
    station.patient()
    with pytest.raises(StickError, match="no stick"):
        office(station).swap()
    assert not list(bare.iterdir())
    look = office(station).look()
    assert (look.stick, look.going > 0) == (False, True)
    shutil.rmtree(bare)
    assert not office(station).look().stick


def test_a_mounted_stick_is_one(make: Made, tmp_path: Path) -> None:
    """Something is mounted on the folder: it is a stick, also with the check on."""
    media = tmp_path / "media"
    media.mkdir()
    station = make(f'[bag]\nfolder = "{media}"\n[wire]\nsealing = "off"\n')
    with small_disk(media):
        assert office(station).swap().out
        assert files(media)
    assert not files(media)


@pytest.mark.parametrize(
    ("spoil", "vi"),
    [
        (lambda stick: lay(stick, data=b"\xff\xd8 a photo"), "không phải túi thư"),
        (lambda stick: lay(stick, data=lay(stick).read_bytes()[:-40]), "không trọn vẹn"),
        (lambda stick: lay(stick, data=lay(stick).read_bytes().replace(b"\x13?", b"\x13!")), "bị hỏng"),
        (lambda stick: lay(stick, key=STRANGER), "không phải do máy chủ của trạm"),
        (lambda stick: lay(stick, station="tram-0002"), "của trạm khác"),
        (lambda stick: lay(stick, data=b"TRAMBAG\x07" + bytes(300)), "phiên bản mới hơn"),
    ],
)
def test_a_bad_bag_is_refused_with_its_reason_and_ours_goes_out_all_the_same(
    station: Station, stick: Path, spoil: Callable[[Path], Path], vi: str
) -> None:
    """What the bridge's bag lacks does not keep a request from going; nothing of it was taken, and the file stays as it is."""
    content = spoil(stick).read_bytes()
    look = office(station).look()
    assert [vi in one.vi for one in look.problems] == [True]
    post = office(station).swap()
    assert [vi in one.vi for one in post.problems] == [True]
    assert post.out
    assert not post.bags
    assert station.count("inbox") == station.count("quarantine") == 0
    assert lay(stick, data=content).read_bytes() == content


def test_a_full_stick_keeps_the_bag_that_was_there(station: Station, tmp_path: Path) -> None:
    """No room: the sentence says so, the older bag is whole, no half file is left, and the outbox is as it was."""
    folder = tmp_path / "small"
    folder.mkdir()
    with small_disk(folder, "64k"):
        one = office(station)
        with Stick(folder) as stick:
            one.put_out(stick, Post())
        (old,) = files(folder)
        content = (folder / FOLDER / old).read_bytes()
        with (folder / "photos").open("wb", buffering=0) as filler:
            assert filler.write(bytes(1 << 20)) < 1 << 20
        for _ in range(40):
            station.patient()
        with Stick(folder) as stick, pytest.raises(StickError) as error:
            one.put_out(stick, Post())
        assert "đầy" in refused(error.value).vi
        assert files(folder) == [old]
        assert (folder / FOLDER / old).read_bytes() == content
        assert not station.conn.execute("SELECT count(*) FROM outbox WHERE state <> 0 OR received IS NOT NULL").fetchone()[0]


@pytest.mark.parametrize(
    ("code", "reason"),
    [(errno.EROFS, "read-only"), (errno.EACCES, "read-only"), (errno.EIO, "gone"), (errno.ENODEV, "gone"), (errno.ENOSPC, "full")],
)
def test_what_the_system_says_becomes_a_sentence(code: int, reason: str) -> None:
    """Locked, pulled out in the middle, full."""
    error = told(OSError(code, os.strerror(code)))
    assert error.reason == reason
    assert refused(error).vi


def test_a_stick_pulled_out_while_writing_leaves_no_bag(station: Station, stick: Path) -> None:
    """The error comes in the middle of the messages: no file has the bag's name, and the next try is whole."""

    def messages() -> Iterator[Record]:
        yield Record(0, b"\x13")
        raise OSError(errno.EIO, "Input/output error")

    one = office(station)
    going = one.courier.pack(1)
    with Stick(stick, mounted=False) as there:
        with pytest.raises(StickError) as error:
            there.write("tram-0001-up-000001.tram", going.header, messages(), one.courier.signer)
        assert error.value.reason == "gone"
        assert not files(stick)
    assert office(station).swap().out


def test_a_store_that_is_busy_is_not_called_a_bad_stick(station: Station, stick: Path) -> None:
    """Whose fault it is is not mixed up: the store's error comes out as it is."""

    def messages() -> Iterator[Record]:
        yield Record(0, b"\x13")
        raise StoreError("busy", "tram.db", "busy", "bận")

    one = office(station)
    with Stick(stick, mounted=False) as there, pytest.raises(StoreError):
        there.write("tram-0001-up-000001.tram", one.courier.pack(1).header, messages(), one.courier.signer)
    assert not files(stick)


def test_a_locked_stick_says_so(station: Station, stick: Path, tmp_path: Path) -> None:
    """Mounted read-only: a plain sentence, and what lies there for us is still taken first."""
    folder = tmp_path / "locked"
    folder.mkdir()
    with small_disk(folder):
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with Stick(folder) as there, pytest.raises(StickError) as error:
            office(station).put_out(there, Post())
        assert error.value.reason == "read-only"


def test_ten_thousand_files_and_a_trap_are_passed_over(station: Station, stick: Path) -> None:
    """A crowded stick, links to our own secrets under a bag's name, a folder with a bag's name: none is opened, the bag goes out."""
    folder = stick / FOLDER
    folder.mkdir()
    for number in range(10_000):
        (folder / f"IMG_{number:05d}.JPG").touch()
    (folder / bag_name("tram-0001", DOWN, 1)).symlink_to(station.settings.store.key_file)
    (folder / bag_name("tram-0001", DOWN, 2)).mkdir()
    post = office(station).swap()
    assert post.out
    assert not post.problems
    assert len(files(stick)) == 10_003


@pytest.mark.parametrize("trap", ["file", "link"])
def test_something_else_under_the_folder_s_name_is_left_alone(station: Station, stick: Path, tmp_path: Path, trap: str) -> None:
    """A file, or a link that leads off the stick: the sentence says so, nothing is written anywhere."""
    target = tmp_path / "elsewhere"
    target.mkdir()
    if trap == "file":
        (stick / FOLDER).write_text("mine")
    else:
        (stick / FOLDER).symlink_to(target)
    with pytest.raises(StickError) as error:
        office(station).swap()
    assert error.value.reason == "folder"
    assert not list(target.iterdir())


def test_a_bag_that_this_store_never_packed_is_not_taken_away(station: Station, stick: Path) -> None:
    """Before the card was put back somebody packed bag 9: what is in it exists nowhere else, so it stays, and a new epoch begins."""
    one = office(station)
    header = BagHeader("tram-0001", "up", one.courier.end.me(station.conn), 9, b"x" * 8, 1, 1, 0)
    (stick / FOLDER).mkdir()
    lost = stick / FOLDER / bag_name("tram-0001", "up", 9)
    lost.write_bytes(whole(header, [Record(0, b"\x13")], one.courier.signer))
    before = one.courier.end.me(station.conn)
    post = office(station).swap()
    assert lost.exists()
    assert post.number == 10
    assert office(station).courier.end.me(station.conn) != before
