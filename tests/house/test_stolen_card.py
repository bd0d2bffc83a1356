"""S1: the card of a station that has been in use, as an image: no name, no number, no picture can be found on it, deleted ones neither."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance import database
from appliance.contract.events import Department, Tombstone, Urgency
from appliance.database import transaction, truncate_log
from appliance.store import consults, pins, retention, staff
from appliance.store.consults import ConsultDraft
from appliance.store.opening import database_file, read_key, secret_file
from appliance.store.pages import Book
from tests.store.station import Station, station_at
from tests.store.test_pictures import attach

STAYING = ("Thử Nghiệm Một", "001161000001", "DN4010000000001", "0900 000 001", "Thôn Mẫu", "Đau ngực lan ra tay")
DELETED = ("Thử Nghiệm Biến", "001161000002", "DN4010000000002", "0900 000 002", "Thôn Khuất", "Ngứa hai bàn chân")
STAFF, PIN = "Thử Nghiệm An", "480713"
KEPT_PICTURE, DELETED_PICTURE = b"\xff\xd8" + os.urandom(5_000), b"\xff\xd8" + os.urandom(5_000)


def somebody(station: Station, facts: tuple[str, ...], consult: int, picture: bytes) -> int:
    """A patient with everything: identity, a saved reading, a picture, a request."""
    name, cccd, bhyt, phone, village, complaint = facts
    patient = station.patient(name, birth="1961-04-30", cccd=cccd, bhyt=bhyt, phone=phone, village=village)
    measured = station.saved(patient, 187)
    attach(station, patient, consult, picture, picture[:900])
    draft = ConsultDraft(patient, Urgency.URGENT, Department.INTERNAL, complaint, (measured,))
    consults.request(station.conn, draft, consult=consult, staff="an", now=station.now)
    return patient


def used(folder: Path) -> Station:
    """A station with a patient who stays, one who was erased, somebody with a PIN."""
    station = station_at(folder)
    staff.add(station.conn, code="an", name=STAFF, role="nurse", by="", now=station.now)
    pins.give(station.conn, pins.read_secret(secret_file(station.settings)), "an", PIN, by="", now=station.now)
    somebody(station, STAYING, 900, KEPT_PICTURE)
    gone = somebody(station, DELETED, 901, DELETED_PICTURE)
    station.later(60)
    station.arrive(Tombstone(gone, "yêu cầu"))
    return station


def hits(content: bytes, words: tuple[str, ...], pictures: tuple[bytes, ...]) -> list[str]:
    """Which words can be read in these bytes, as UTF-8 or UTF-16, and which pictures lie there in part."""
    found = [word for word in words if word.encode() in content or word.encode("utf-16-le") in content]
    return found + [f"picture {place}" for place, one in enumerate(pictures) if any(one[at : at + 64] in content for at in (2, 1000, 2200))]


def image(folder: Path, target: Path) -> bytes:
    """The data folder as an ext4 file system, whole: what a reader of the card sees."""
    tool = shutil.which("mke2fs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if tool is None:
        pytest.skip("mke2fs is not installed")
    subprocess.run([tool, "-q", "-t", "ext4", "-d", str(folder), str(target), "8M"], check=True, capture_output=True)
    return target.read_bytes()


def test_a_stolen_card_shows_nobody(tmp_path: Path) -> None:
    """While it is used, after a power cut with the log still there, and after a clean end; the search finds what it looks for."""
    station = used(tmp_path)
    data, everything = station.settings.paths.data, (*STAYING, *DELETED, STAFF, PIN)
    pictures = (KEPT_PICTURE, DELETED_PICTURE)
    assert database.files(database_file(station.settings))[1].stat().st_size > 0
    assert hits(image(data, tmp_path / "used.img"), everything, pictures) == []
    station.power_cut()
    assert hits(image(data, tmp_path / "cut.img"), everything, pictures) == []
    station.conn.close()
    assert hits(image(data, tmp_path / "off.img"), everything, pictures) == []
    (data / "plain").write_bytes(" ".join(everything).encode() + KEPT_PICTURE + DELETED_PICTURE)
    assert hits(image(data, tmp_path / "plain.img"), everything, pictures) == [*everything, "picture 0", "picture 1"]


def decrypted(station: Station) -> bytes:
    """Every page of the closed store as its owner reads it, free ones too."""
    path, settings = database_file(station.settings), station.settings
    with Book(path, database.files(path)[1], read_key(settings.store.key_file), settings.store.page_size) as book:
        return b"".join(book.page(number) or b"" for number in range(1, book.count + 1))


def test_who_has_the_key_too_finds_no_remnant_of_what_was_deleted(tmp_path: Path) -> None:
    """Every page decrypted: of the one who was erased nothing is left but the copies of what was sent, and these go after their time."""
    station = used(tmp_path)
    assert station.conn.execute("PRAGMA secure_delete").fetchone()[0] == 1
    for (table,) in station.conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'outbox'").fetchall():
        for row in station.conn.execute(f"SELECT * FROM {table}").fetchall():
            fields = [one.encode() if isinstance(one, str) else one for one in tuple(row) if isinstance(one, (str, bytes))]
            assert hits(b"|".join(fields), DELETED, (DELETED_PICTURE,)) == [], table
    with transaction(station.conn):
        station.conn.execute("UPDATE outbox SET state = 2, received = ?", (station.now.wall,))
    while retention.copies(station.conn, station.now.wall + (retention.COPY_DAYS + 1) * retention.DAY):
        pass
    truncate_log(station.conn)
    station.conn.close()
    pages = decrypted(station)
    assert hits(pages, DELETED, (DELETED_PICTURE,)) == []
    assert "Thử Nghiệm Một" in hits(pages, STAYING, ())
    assert hits(pages, (), (KEPT_PICTURE,)) == ["picture 0"]


def test_what_lies_beside_the_store_is_said(tmp_path: Path) -> None:
    """The files of the data folder that are no ciphertext of the store: the secret that PINs are mixed with, and a salt."""
    station = used(tmp_path)
    station.conn.close()
    beside = {one.name for one in station.settings.paths.data.iterdir() if one.stat().st_size} - {
        one.name for one in database.files(database_file(station.settings))
    }
    assert beside <= {"kiosk.secret", "tram.salt", "time.saved"}
