"""A damaged store is copied aside and made anew of what is still as it was written; the rest is named, and nothing is thrown away."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance import cli
from appliance.contract.codec import read_event
from appliance.contract.events import ObservationRecorded
from appliance.database import StoreError, connect, files, transaction, truncate_log
from appliance.store import measuring, salvage
from appliance.store.init import Initialised
from appliance.store.opening import database_file
from appliance.store.pages import KEYS_LEAF, LEAF, Book, Walked, walk
from appliance.store.salvage import InUseError
from tests.store.station import STATION, Hand, Station, init, station_at

PAGE = 1024


def key_of(station: Station) -> bytes:
    """The store's key."""
    return bytes.fromhex(station.settings.store.key_file.read_text())


def page_of(station: Station, table: str, *, root: bool = False) -> int:
    """A page of a table's tree: its root, or a leaf in its middle."""
    with Book(database_file(station.settings), Path("/nonexistent"), key_of(station), PAGE) as book:
        seen = Walked()
        number = int(station.conn.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0])
        if root:
            return number
        list(walk(book, number, seen))
        leaves = [one for one in sorted(seen.pages) if (book.page(one) or b"\0")[0] in (LEAF, KEYS_LEAF)]
        return leaves[len(leaves) // 2]


def damage(station: Station, *pages: int, hand: Callable[[bytearray], None] | None = None) -> Initialised:
    """One bit of each page changes while the box is off; it starts again."""
    path = database_file(station.settings)
    station.conn.close()
    raw = bytearray(path.read_bytes())
    for number in pages:
        raw[(number - 1) * PAGE + 500] ^= 4
    if hand is not None:
        hand(raw)
    path.write_bytes(raw)
    files(path)[1].write_bytes(b"\0" * 32)  # an unclean stop: a log was left behind
    report = init(station.settings, station.hand)
    station.conn = station.second()
    return report


@pytest.fixture
def full(station: Station) -> Station:
    """A station with sixty saved readings, all in the file."""
    who = station.patient()
    for number in range(60):
        station.saved(who, 100 + number)
    init(station.settings, station.hand)
    assert truncate_log(station.conn)
    return station


def readings(station: Station) -> list[tuple[int, int]]:
    """(measurement, systolic) of what the store shows."""
    return sorted((row.measurement, row.reading.numerics[0].value or 0) for row in measuring.observations(station.conn, 1, 1000))


def test_a_lost_leaf_costs_its_own_rows_and_no_other(full: Station) -> None:
    """One damaged page of observations: some readings are gone from this table, every one that is left has its true value."""
    before = readings(full)
    report = damage(full, page_of(full, "observation"))
    assert report.salvaged is not None
    assert report.salvaged.lost_pages == {"observation": 1}
    after = readings(full)
    assert 40 <= len(after) < 60
    assert set(after) <= set(before)
    assert full.count("outbox") >= 61, "the way up lost nothing"
    assert not report.salvaged.new_epoch


def test_a_lost_root_costs_nothing_where_the_leaves_are_whole(full: Station) -> None:
    """What hangs on a lost page is known by the shape of its rows and by their checksums."""
    before = readings(full)
    report = damage(full, page_of(full, "observation", root=True), page_of(full, "measurement", root=True))
    assert report.salvaged is not None
    assert set(report.salvaged.lost_pages) == {"observation", "measurement"}
    assert readings(full) == before


def test_a_reading_whose_event_is_lost_is_queued_again_in_a_new_epoch(full: Station) -> None:
    """A page of the outbox is gone: every reading is queued, under numbers nobody has used."""
    report = damage(full, page_of(full, "outbox"))
    assert report.salvaged is not None
    assert report.salvaged.new_epoch
    rows = full.conn.execute("SELECT epoch, seq, body FROM outbox WHERE lane = 2 AND state < 2 ORDER BY seq").fetchall()
    latest = full.conn.execute("SELECT max(id) FROM epoch").fetchone()[0]
    assert {row[0] for row in rows} == {latest}
    assert len({row[1] for row in rows}) == len(rows)
    said = [body.reading.key for row in rows if isinstance(body := read_event(bytes(row[2])).body, ObservationRecorded)]
    assert len(said) == 60
    assert set(said) == {bytes(row[0]) for row in full.conn.execute("SELECT key FROM observation").fetchall()}
    assert init(full.settings, full.hand).done == [], "once"


def test_the_damaged_files_stand_aside_byte_for_byte(full: Station) -> None:
    """In a folder of their own, and the technician can read why."""
    number, path = page_of(full, "audit"), database_file(full.settings)
    kept: list[bytes] = []
    report = damage(full, number, hand=lambda raw: kept.append(bytes(raw)))
    assert report.salvaged is not None
    assert (Path(report.salvaged.aside) / path.name).read_bytes() == kept[0]
    row = full.conn.execute("SELECT kind, found, aside FROM inspection ORDER BY id DESC LIMIT 1").fetchone()
    assert (row[0], json.loads(row[1])["lost_pages"], row[2]) == ("salvage", {"audit": 1}, Path(report.salvaged.aside).name)


@pytest.mark.parametrize("place", [3, 600], ids=["salt", "schema"])
def test_a_store_whose_first_page_is_damaged_is_still_that_store(full: Station, place: int) -> None:
    """Neither the salt nor the schema is the end: the copy of the one and today's shape of the other do."""
    before = readings(full)

    def hand(raw: bytearray) -> None:
        raw[place] ^= 1

    report = damage(full, hand=hand)
    assert report.salvaged is not None
    assert readings(full) == before


def test_a_wrong_key_is_no_damage(full: Station) -> None:
    """Nothing is touched, and the sentence says that it is the key."""
    path = database_file(full.settings)
    full.conn.close()
    before = path.read_bytes()
    full.settings.store.key_file.write_text("11" * 32 + "\n")
    with pytest.raises(StoreError, match="wrong key"):
        init(full.settings, full.hand)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("damaged-*"))


def test_a_damaged_log_loses_the_damaged_frames_only(tmp_path: Path) -> None:
    """SQLite reads a log up to the first wrong sum and drops the rest in silence: here the rest is kept."""
    station = station_at(tmp_path)
    who = station.patient()
    path, log, _ = files(database_file(station.settings))
    assert truncate_log(station.conn)
    saved = [station.saved(who, 100 + number) for number in range(20)]
    before = readings(station)
    main, written = path.read_bytes(), bytearray(log.read_bytes())
    station.conn.close()
    assert len(written) > 100 * (PAGE + 24)
    written[32 + 30 * (PAGE + 24) + 20] ^= 1  # a frame's sum: the frame's own page is whole
    path.write_bytes(main)
    log.write_bytes(written)
    report = init(station.settings, station.hand)
    station.conn = station.second()
    assert report.salvaged is not None
    assert any("the log is damaged" in one for one in report.salvaged.damage)
    assert readings(station) == before
    assert len(saved) == 20
    station.conn.close()


def test_a_torn_end_of_the_log_is_an_ordinary_power_cut(tmp_path: Path) -> None:
    """The last write stops in its middle: nothing is salvaged, a line for the technician is written."""
    station = station_at(tmp_path)
    who = station.patient()
    station.saved(who)
    path, log, _ = files(database_file(station.settings))
    main, before = path.read_bytes(), readings(station)
    station.saved(who)
    written = log.read_bytes()
    station.conn.close()
    path.write_bytes(main)
    log.write_bytes(written[: -3 * PAGE] + bytes(3 * PAGE))
    report = init(station.settings, station.hand)
    station.conn = station.second()
    assert report.salvaged is None
    assert report.damage == []
    assert set(before) <= set(readings(station))
    assert [row[0] for row in station.conn.execute("SELECT kind FROM inspection").fetchall()] == ["log"]
    station.conn.close()


def test_a_salvage_that_was_cut_off_is_ended(full: Station) -> None:
    """The power goes after the copies were made and the log was removed: the next start works on the copies."""
    path = database_file(full.settings)
    before = readings(full)
    full.conn.close()
    aside = path.with_name("damaged-7")
    aside.mkdir()
    shutil.copyfile(path, aside / path.name)
    path.with_name(".salvage.json").write_text('{"aside": "damaged-7"}')
    path.write_bytes(b"half of it")
    report = init(full.settings, full.hand)
    full.conn = full.second()
    assert report.salvaged is not None
    assert readings(full) == before
    assert not path.with_name(".salvage.json").exists()


def test_a_store_that_another_program_has_open_is_not_replaced(full: Station) -> None:
    """It would go on writing into a file without a name."""
    import subprocess
    import sys

    path = database_file(full.settings)
    full.conn.close()
    code = (
        "import sys; from appliance.database import connect\n"
        f"conn = connect({str(path)!r}, key=bytes.fromhex({key_of(full).hex()!r})); conn.execute('SELECT 1 FROM meta').fetchone()\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(InUseError, match="another program"):
            salvage.alone(path)
        other.communicate(b"")
    salvage.alone(path)
    full.conn = full.second()


def test_a_row_whose_checksum_does_not_match_stays_aside(full: Station) -> None:
    """The page is whole, its content is not what was packed: it is refused and counted, never shown."""
    with transaction(full.conn):
        full.conn.execute("UPDATE observation SET reading = CAST(reading || x'00' AS BLOB) WHERE id = 5")
    assert truncate_log(full.conn)
    report = damage(full, page_of(full, "audit"))
    assert report.salvaged is not None
    assert report.salvaged.refused == {"observation": 1}
    assert full.count("observation") == 59


def test_the_commands_say_what_they_found(full: Station, capsys: pytest.CaptureFixture[str]) -> None:
    """`tram store check` ends with 0 on a whole store and with 65 on a damaged one, which `tram store salvage` mends."""
    config, path = ["--config", str(database_file(full.settings).parent.parent / "tram.toml")], database_file(full.settings)
    assert cli.main([*config, "store", "check", "--full"]) == 0
    number = page_of(full, "observation")
    full.conn.close()
    raw = bytearray(path.read_bytes())
    raw[(number - 1) * PAGE + 9] ^= 1
    path.write_bytes(raw)
    assert cli.main([*config, "store", "check"]) == 65
    assert cli.main([*config, "store", "salvage"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said[0] == {"damage": []}
    assert "HMAC" in said[1]["damage"][0]
    assert said[2]["lost_pages"] == {"observation": 1}
    assert cli.main([*config, "store", "check", "--full"]) == 0
    full.conn = full.second()
    assert cli.main([*config, "store", "room"]) == 0


def test_the_bytes_of_pages_are_read_as_sqlcipher_writes_them(tmp_path: Path) -> None:
    """Every row of every shape of record: numbers of each width, texts, blobs longer than a page, tables without row numbers."""
    path, key = tmp_path / "x.db", bytes(range(32))
    conn = connect(path, key=key)
    conn.execute("CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER, r REAL, t TEXT, b BLOB)")
    conn.execute("CREATE TABLE w (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID")
    rows: list[tuple[Any, ...]] = [
        (row, 1 << (row % 63), row / 3, "chữ" * (row % 50), bytes([row % 256]) * (row * 9)) for row in range(1, 400)
    ]
    rows += [(-5, -1, None, "", b""), (1 << 40, 0, 1.0, None, None)]
    conn.executemany("INSERT INTO a VALUES (?, ?, ?, ?, ?)", rows)
    keys = [(f"k{row:05}", bytes(row % 700)) for row in range(500)]
    conn.executemany("INSERT INTO w VALUES (?, ?)", keys)
    roots = dict(tuple(row) for row in conn.execute("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'").fetchall())
    with Book(path, files(path)[1], key, PAGE) as book:
        seen = Walked()
        found = [(one.row, *one.fields[1:]) for one in walk(book, roots["a"], seen)]
        other = [one.fields for one in walk(book, roots["w"], seen)]
    conn.close()
    assert sorted(found) == sorted(rows)
    assert other == sorted(keys)
    assert seen.lost == []


def test_a_new_station_keeps_a_copy_of_the_salt(tmp_path: Path) -> None:
    """Sixteen bytes, without which no page can be checked."""
    station = station_at(tmp_path)
    path = database_file(station.settings)
    assert path.with_name(salvage.SALT_FILE).read_bytes() == path.read_bytes()[:16]
    assert Hand().boot
    assert station.settings.station.id == STATION
    station.conn.close()
