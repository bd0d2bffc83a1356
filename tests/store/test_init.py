"""`tram init`: everything is there after it, a second run changes nothing, and nothing that exists is ever replaced by guess."""

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.contract.events import KeyPublished
from appliance.database import Connection, StoreError, files, transaction, truncate_log
from appliance.settings import Settings, SettingsError, load
from appliance.store import keys, measuring
from appliance.store.ballast import MB, make_ballast, release_ballast
from appliance.store.boots import epoch, seq_of
from appliance.store.errors import WrongSchema
from appliance.store.machine import machine_of
from appliance.store.opening import database_file, open_store, read_key
from tests.store.disk import small_disk
from tests.store.station import STATION, Hand, Station, init, settings_at

ROOT = Path(__file__).resolve().parent.parent.parent


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o077, 0o000], ids=["umask 077", "umask 000"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Both ends of what a service manager may set."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_after_it_everything_is_there(tmp_path: Path, umask: int) -> None:
    """Folder 2770, database 0660, key 0640, an epoch, a boot, a station key that is announced, whatever the umask is."""
    settings = settings_at(tmp_path)
    report = init(settings, Hand())
    assert (report.station, report.boot_seq, report.damage) == (STATION, 1, [])
    assert (mode(tmp_path / "data"), mode(tmp_path / "run"), mode(database_file(settings)), mode(tmp_path / "store.key")) == (
        0o2770, 0o2770, 0o660, 0o640,
    )  # fmt: skip
    conn = open_store(settings, {})
    station = Station(settings, conn, Hand(), Hand().clock(1))
    assert epoch(conn)[1].hex() == report.epoch
    assert [event.body for event in station.events()] == [KeyPublished(0, "sign", keys.station_public(conn)[1])]
    assert keys.station_key(conn).public_key().public_bytes_raw() == keys.station_public(conn)[1]
    conn.close()


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """Nothing done, no file other than before, the same epoch and keys."""
    settings = settings_at(tmp_path)
    first = init(settings, Hand())
    before = {path: path.read_bytes() for path in (database_file(settings), tmp_path / "store.key")}
    second = init(settings, Hand())
    assert second.done == []
    assert (second.epoch, second.boot_seq) == (first.epoch, first.boot_seq)
    assert {path: path.read_bytes() for path in before} == before


CHILD = """
import os, sys
from pathlib import Path
from appliance.agent.clock import Clock, boot_id
from appliance.settings import load
from appliance.store.init import initialise
settings = load([Path(sys.argv[1])])
initialise(settings, boot_id=boot_id(), stamp=lambda seq: Clock(seq).stamp(), random=os.urandom, machine="m", environ={})
"""


def test_several_at_once_make_one_store(tmp_path: Path) -> None:
    """Four processes start together: one key, one epoch, one boot, one announcement."""
    settings = settings_at(tmp_path)
    runs = [subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "tram.toml")], cwd=ROOT) for _ in range(4)]
    assert [run.wait(60) for run in runs] == [0, 0, 0, 0]
    conn = open_store(settings, {})
    counts = [conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("epoch", "boot", "keyring", "outbox")]
    assert counts == [1, 1, 1, 1]
    conn.close()


def test_every_process_of_a_boot_has_its_number(tmp_path: Path) -> None:
    """The first who asks makes it, the others get the same; the next boot is the next; order of asking does not matter."""
    settings = settings_at(tmp_path)
    init(settings, Hand(boot="one"))
    conns = [open_store(settings, {}) for _ in range(3)]
    assert [seq_of(conn, "one", 0) for conn in conns] == [1, 1, 1]
    assert [seq_of(conn, "two", 0) for conn in conns] == [2, 2, 2]
    assert init(settings, Hand(boot="two")).boot_seq == 2
    assert init(settings, Hand(boot="one")).boot_seq == 1
    for conn in conns:
        conn.close()


# --- the key ------------------------------------------------------------------------------------------------------------


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """Before anything is opened with it, also by `tram init` itself."""
    settings = settings_at(tmp_path)
    init(settings, Hand())
    (tmp_path / "store.key").chmod(0o644)
    for call in (lambda: open_store(settings, {}), lambda: init(settings, Hand())):
        with pytest.raises(StoreError, match="others may read it") as caught:
            call()
        assert caught.value.reason == "key"


def test_a_credential_comes_before_the_file(tmp_path: Path) -> None:
    """$CREDENTIALS_DIRECTORY/store-key is the key where it exists; then no key file is made."""
    settings = settings_at(tmp_path)
    (tmp_path / "creds").mkdir()
    (tmp_path / "creds" / "store-key").write_bytes(bytes(range(32)))
    (tmp_path / "creds" / "store-key").chmod(0o400)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "creds")}
    init(settings, Hand(), environ=environ)
    assert not (tmp_path / "store.key").exists()
    open_store(settings, environ).close()
    with pytest.raises(StoreError):
        open_store(settings, {})


@pytest.mark.parametrize("content", [b"", b"short", b"zz" * 32, bytes(33)])
def test_a_file_that_holds_no_key_is_said(tmp_path: Path, content: bytes) -> None:
    """32 bytes, or 64 hexadecimal digits; anything else is named."""
    path = tmp_path / "k"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreError, match="32 bytes"):
        read_key(path)


def test_a_lost_key_is_never_replaced(tmp_path: Path) -> None:
    """A store without its key stays as it is: a new key would make it unreadable for ever while everything looks well."""
    settings = settings_at(tmp_path)
    init(settings, Hand())
    (tmp_path / "store.key").unlink()
    before = database_file(settings).read_bytes()
    with pytest.raises(StoreError, match="bring it back"):
        init(settings, Hand())
    assert not (tmp_path / "store.key").exists()
    assert database_file(settings).read_bytes() == before


# --- another machine, another version -------------------------------------------------------------------------------------


def test_a_clone_begins_a_new_epoch(tmp_path: Path) -> None:
    """Other hardware under the same store: a new epoch, announced as its first event; what waited in the old one still waits."""
    settings = settings_at(tmp_path)
    first = init(settings, Hand())
    second = init(settings, Hand(), machine="board-2")
    assert second.done == ["epoch (machine)"]
    assert second.epoch != first.epoch
    conn = open_store(settings, {})
    rows = [tuple(row) for row in conn.execute("SELECT epoch, lane, seq, kind, state FROM outbox ORDER BY id").fetchall()]
    assert rows == [(1, 0, 1, KeyPublished.KIND, 0), (2, 0, 1, KeyPublished.KIND, 0)]
    conn.close()
    assert init(settings, Hand(), machine="board-2").done == []


def test_a_machine_is_named_by_its_board_and_card(tmp_path: Path) -> None:
    """Serial number and card, or the machine id where neither is; a change of one is another machine."""
    serial, cid, machine_id = (tmp_path / name for name in ("serial", "cid", "machine-id"))
    machine_id.write_text("m1\n")
    bare = machine_of((serial, cid), machine_id)
    serial.write_bytes(b"10000000abcdef01\0")
    cid.write_text("card1\n")
    one = machine_of((serial, cid), machine_id)
    machine_id.write_text("m2\n")
    assert machine_of((serial, cid), machine_id) == one
    cid.write_text("card2\n")
    assert len({bare, one, machine_of((serial, cid), machine_id)}) == 3


def test_a_store_belongs_to_one_station(tmp_path: Path) -> None:
    """Another station id in the settings is refused with the one the store has."""
    init(settings_at(tmp_path), Hand())
    file = tmp_path / "tram.toml"
    file.write_text(file.read_text().replace(STATION, "tram-0002"))
    with pytest.raises(SettingsError, match=STATION):
        init(load([file]), Hand())


@pytest.mark.parametrize(("schema", "least", "word"), [(0, 0, "run tram init"), (9, 9, "update it")])
def test_others_stop_when_the_schema_does_not_fit(station: Station, schema: int, least: int, word: str) -> None:
    """Too old: `tram init` has to come first. Too new: this program has to be updated. A later schema that allows us is fine."""
    with transaction(station.conn):
        station.conn.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (schema,))
        station.conn.execute("UPDATE meta SET value = ? WHERE key = 'min_reader'", (least,))
    with pytest.raises(WrongSchema, match=word):
        station.second()
    if least:
        with pytest.raises(WrongSchema, match=word):
            init(station.settings, station.hand)
        with transaction(station.conn):
            station.conn.execute("UPDATE meta SET value = 1 WHERE key = 'min_reader'")
        station.second().close()


# --- damage -----------------------------------------------------------------------------------------------------------------


def test_after_an_unclean_stop_a_damaged_file_is_salvaged(station: Station) -> None:
    """A log was left behind and a page is not what it was: the files are copied aside and a new store takes their place."""
    for number in range(40):
        station.patient(f"Thử Nghiệm {'A' * (number + 1)}")
    assert truncate_log(station.conn)
    assert init(station.settings, station.hand).damage == []
    station.patient("Thử Nghiệm Cuối")
    path, log, _ = files(database_file(station.settings))
    raw, written = bytearray(path.read_bytes()), log.read_bytes()
    for page in range(3, len(raw) // 1024, 7):  # some of them are in the log too, and so no loss
        raw[page * 1024 + 100] ^= 1
    station.conn.close()
    path.write_bytes(raw)
    log.write_bytes(written)
    report = init(station.settings, station.hand)
    station.conn = station.second()
    assert report.damage == []
    assert report.salvaged is not None
    assert (Path(report.salvaged.aside) / path.name).exists()
    assert init(station.settings, station.hand).salvaged is None
    assert report.epoch != ""


def test_once_a_week_the_whole_file_is_checked(tmp_path: Path) -> None:
    """Due after seven days, and when the clock was set back below the last check; not in between."""
    settings, hand = settings_at(tmp_path), Hand()
    init(settings, hand)
    day = 24 * 3600
    done = []
    for seconds in (6 * day, day, day, -30 * day):
        hand.seconds += seconds
        done.append("full check" in init(settings, hand).done)
    assert done == [False, True, False, True]


# --- pins and export ----------------------------------------------------------------------------------------------------------


def test_pins_come_from_a_file_and_stay(station: Station, tmp_path: Path) -> None:
    """Receipt and answer keys are trusted by their ids; the same file again does nothing; the export is what the bridge reads."""
    public = base64.b64encode(keys.station_public(station.conn)[1]).decode()
    (tmp_path / "pins.json").write_text(
        json.dumps({"receipt": [{"key_id": 0, "public": public}], "answer": [{"key_id": 4, "public": public}], "store": "00" * 8})
    )
    said = {"pins": tmp_path / "pins.json", "export": tmp_path / "station.json"}
    assert init(station.settings, station.hand, **said).done == ["pin receipt 0", "pin answer 4"]
    assert init(station.settings, station.hand, **said).done == []
    assert [list(keys.pinned(station.conn, purpose)) for purpose in keys.PURPOSES] == [[0], [4]]
    assert json.loads((tmp_path / "station.json").read_text()) == {"station": STATION, "shard": 0, "key_id": 0, "public": public}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"receipt": [], "answer": []}',
        '{"receipt": [{"key_id": 0, "public": "AAAA"}], "answer": []}',
        '{"receipt": [{"key_id": -1}]}',
    ],
)
def test_a_wrong_pin_file_pins_nothing(station: Station, tmp_path: Path, content: str) -> None:
    """The error names the file and what was expected; nothing is trusted."""
    (tmp_path / "pins.json").write_text(content)
    with pytest.raises(SettingsError, match=r"pins\.json"):
        init(station.settings, station.hand, pins=tmp_path / "pins.json")
    assert station.count("pin") == 0


# --- ballast, group -------------------------------------------------------------------------------------------------------------


def test_the_ballast_is_made_given_up_and_made_again(tmp_path: Path) -> None:
    """Real blocks on the disk; released it is empty; the next `tram init` sets it aside anew; no room, no ballast."""
    settings_at(tmp_path)
    file = tmp_path / "tram.toml"
    file.write_text(file.read_text().replace("ballast_mb = 0", "ballast_mb = 2"))
    settings = load([file])
    path = tmp_path / "data" / "ballast"
    assert "ballast of 2 MB" in init(settings, Hand()).done
    assert path.stat().st_blocks * 512 >= 2 * MB
    assert release_ballast(path) == 2 * MB
    assert release_ballast(path) == 0
    assert init(settings, Hand()).done == ["ballast of 2 MB"]
    assert init(settings, Hand()).done == []
    assert make_ballast(path, 1) is True
    assert path.stat().st_size == MB
    assert make_ballast(path, 10**9) is False
    path.unlink()
    assert release_ballast(path) == 0


def test_a_full_disk_gives_up_the_ballast_by_itself(tmp_path: Path) -> None:
    """The save that meets the full disk fails honestly; the next press on the same button works, and more than a few after it."""
    with small_disk(tmp_path, "4m"):
        settings_at(tmp_path)
        file = tmp_path / "tram.toml"
        file.write_text(file.read_text().replace("ballast_mb = 0", "ballast_mb = 1"))
        station = Station(load([file]), conn := _opened(load([file])), Hand(), Hand().clock(1))
        ballast = tmp_path / "data" / "ballast"
        assert ballast.stat().st_size == MB
        (tmp_path / "filler").write_bytes(bytes(_room(tmp_path)))
        patient = station.patient()
        seen = [station.observe(station.session(patient), station.reading(110))]
        with pytest.raises(StoreError) as caught:
            _measure_until_full(station, patient)
        assert caught.value.reason == "full"
        assert ballast.stat().st_size == 0
        recorded = measuring.record(conn, seen[0].measurement, staff="an", now=station.now)
        assert recorded.patient == patient
        for _ in range(100):
            station.saved(patient, 120)
        conn.close()


def _opened(settings: Settings) -> Connection:
    init(settings, Hand())
    return open_store(settings, {})


def _room(folder: Path) -> int:
    """Nearly all that is free there: 150 kB stay."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize - 150_000


def _measure_until_full(station: Station, patient: int) -> None:
    for number in range(5000):
        station.later(1)
        station.observe(station.session(patient), station.reading(100 + number % 100))


def test_production_needs_the_group_that_shares_the_store(tmp_path: Path) -> None:
    """A group that is not there is named; elsewhere the store is simply ours."""
    file = tmp_path / "tram.toml"
    settings_at(tmp_path, 'group = "no-such-group"\n[wire]\nsealing = "on"\n')
    file.write_text('environment = "production"\n' + file.read_text())
    with pytest.raises(SettingsError, match="no-such-group"):
        init(load([file]), Hand())
