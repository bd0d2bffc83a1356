"""A dead box: its card and the recovery key bring what it never sent to the bridge, once, and nothing else opens the card."""

import base64
import io
import json
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import func, select

from appliance.cli import main as tram
from appliance.contract.events import Department, Urgency
from appliance.database import connect
from appliance.relay.bags import Courier
from appliance.settings import load
from appliance.store import consults, content, copying
from appliance.store.consults import ConsultDraft
from appliance.store.inbox import StationStore
from appliance.store.opening import key_file, open_store, read_key
from appliance.store.sealing import seals_of
from appliance.store.speaking import station_end
from cloud_bridge.cli import main as bridge
from cloud_bridge.store import relay_tables, tables
from cloud_bridge.store.engine import open_engine, reading
from tests.store.station import Hand, Station
from tests.store.test_pictures import attach

NAME = "Thử Nghiệm Một"


@dataclass
class Place:
    """Both ends in one folder, and the safe with the recovery key."""

    folder: Path
    file: Path
    card: Path
    key: Path

    def events(self) -> int:
        """How many events the bridge has."""
        return self.count(relay_tables.event)

    def count(self, table: object) -> int:
        """Rows of one of the bridge's tables."""
        engine = open_engine(f"sqlite:///{self.folder}/bridge.db")
        with reading(engine) as tx:
            found = int(tx.scalar(select(func.count()).select_from(table)) or 0)  # type: ignore[arg-type]  # a table
        engine.dispose()
        return found


@pytest.fixture
def place(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Place:
    """A station that pinned the recovery key, registered at a bridge, with a patient's reading and request that were never sent."""
    file = tmp_path / "tram.toml"
    file.write_text(
        '[station]\nid = "tram-0001"\nshard = 7\n[paths]\ndata = "data"\nrun = "run"\n[store]\nkey_file = "store.key"\nballast_mb = 0\n'
        f'group = ""\n[bridge]\ndatabase = "sqlite:///{tmp_path}/bridge.db"\nkey_dir = "{tmp_path}/keys"\n'
        f'organisation = "Trung tâm Thử"\nconsole_secret_file = "{tmp_path}/console.secret"\n',
        encoding="utf-8",
    )
    there = ["--config", str(file)]
    assert bridge(["recovery-key", "make", "--to", str(tmp_path / "safe")]) == 0
    (private,) = (tmp_path / "safe").glob("*.key")
    assert bridge(["init", *there]) == 0
    assert bridge(["recovery-key", "add", str(private.with_suffix(".pub")), *there]) == 0
    assert bridge(["init", "--export", str(tmp_path / "pins.json"), *there]) == 0
    assert tram(["init", "--pin", str(tmp_path / "pins.json"), "--export", str(tmp_path / "me.json"), *there]) == 0
    assert bridge(["stations", "add", "tram-0001", "--key", str(tmp_path / "me.json"), "--name", "Trạm Thử", *there]) == 0
    capfd.readouterr()
    return Place(tmp_path, file, tmp_path / "data", private)


def work(place: Place, *, freeze: bool = False) -> int:
    """Somebody is measured and a doctor is asked, and the board dies; `freeze`: after it was put into parcels. How much waits."""
    settings = load([place.file])
    conn = open_store(settings, {})
    hand = Hand()
    station = Station(settings, conn, hand, hand.clock(1))
    patient = station.patient(NAME)
    measured = station.saved(patient, 187)
    draft = ConsultDraft(patient, Urgency.URGENT, Department.INTERNAL, "Đau ngực", (measured,))
    consults.request(conn, draft, consult=900, staff="an", now=station.now)
    if freeze:
        store = StationStore(conn, "tram-0001", 7)
        seals = seals_of(conn, settings, lambda: station.now)
        end = station_end(conn, store, now=lambda: station.now.wall, say=lambda *_step, **_ids: None, seals=seals)
        Courier(store, end, "tram-0001", 7).pack(station.now.wall)
        station.saved(patient, 143)
    waiting = int(conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0])
    conn.close()
    (place.folder / "store.key").unlink()  # the key was the board's own
    return waiting


def recover(place: Place, capfd: pytest.CaptureFixture[str], *, key: Path | None = None) -> tuple[int, dict[str, object], str]:
    """The command: exit code, what it said, what it complained."""
    capfd.readouterr()
    code = bridge(["recover", str(place.card), "--key", str(key or place.key), "--config", str(place.file)])
    out, err = capfd.readouterr()
    return code, json.loads(out) if out else {}, err


@pytest.mark.parametrize("freeze", [False, True])
def test_a_dead_board_loses_nothing(place: Place, capfd: pytest.CaptureFixture[str], freeze: bool) -> None:
    """Rows and sealed parcels alike: all of it is in the bridge, the request on the doctors' list; a second time nothing is new."""
    waiting = work(place, freeze=freeze)
    before = {one.name: one.read_bytes() for one in place.card.iterdir() if one.is_file()}
    code, said, _ = recover(place, capfd)
    assert (code, said["station"], said["new"], said["damaged"], said["refused"]) == (0, "tram-0001", waiting, 0, 0)
    assert place.events() == waiting
    assert (place.count(tables.observation), place.count(tables.consult), place.count(tables.patient)) == (1 + freeze, 1, 1)
    code, said, _ = recover(place, capfd)
    assert (code, said["new"], said["repeated"]) == (0, 0, waiting)
    assert (place.count(tables.observation), place.events()) == (1 + freeze, waiting)
    assert {one.name: one.read_bytes() for one in place.card.iterdir() if one.is_file()} == before


def test_the_copy_on_the_second_medium_does_as_well_when_the_card_died_too(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """`tram store copy` in the night, board and card gone in the morning: the bridge takes from the copy what it never had."""
    settings, folder = load([place.file]), place.folder / "copies"
    folder.mkdir()
    key = read_key(key_file(settings, {}))
    waiting = work(place)
    with closing(connect(place.card / "tram.db", key=key, page_size=settings.store.page_size)) as conn:
        done = copying.copy(conn, settings, key, folder, 17_950_000_000, elsewhere=False)
    assert done.wrapped and done.unreceived == waiting
    shutil.rmtree(place.card)
    place.card = folder / done.folder
    code, said, _ = recover(place, capfd)
    assert (code, said["station"], said["new"], said["damaged"]) == (0, "tram-0001", waiting, 0)
    assert (place.count(tables.observation), place.count(tables.consult)) == (1, 1)


def test_another_recovery_key_opens_nothing(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """A sentence, nothing taken."""
    work(place)
    assert bridge(["recovery-key", "make", "--to", str(place.folder / "other")]) == 0
    (other,) = (place.folder / "other").glob("*.key")
    code, _, err = recover(place, capfd, key=other)
    assert code == 1
    assert "not for this recovery key" in err
    assert place.events() == 0


def test_what_cannot_be_recovered_is_said(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """No store there, no wrapped key beside it, a file that is none."""
    work(place)
    for spoil in (lambda file: file.write_bytes(b"\x80"), lambda file: file.unlink(), lambda _: (place.card / "tram.db").unlink()):
        spoil(place.card / "store.key.wrapped")
        code, _, err = recover(place, capfd)
        assert code == 1
        assert "The card was only read." in err
    assert place.events() == 0


def test_a_spoilt_row_is_counted_and_the_rest_taken(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """One row whose bytes are not those that were written; exit code 1 says that something is missing."""
    shutil.copy(place.folder / "store.key", place.folder / "again.key")
    waiting = work(place)
    shutil.copy(place.folder / "again.key", place.folder / "store.key")
    conn = open_store(load([place.file]), {})
    conn.execute("UPDATE outbox SET crc = crc + 1 WHERE id = (SELECT max(id) FROM outbox)")
    conn.close()
    code, said, _ = recover(place, capfd)
    assert (code, said["new"], said["damaged"]) == (1, waiting - 1, 1)


def test_the_wrapped_key_follows_the_pin(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """A second init writes nothing anew; another recovery key is followed at the next init, and opens the card from then on."""
    there = ["--config", str(place.file)]
    was = (place.card / "store.key.wrapped").read_bytes()
    assert base64.b16encode((place.folder / "store.key").read_bytes()) not in base64.b16encode(was)
    assert tram(["init", *there]) == 0
    assert (place.card / "store.key.wrapped").read_bytes() == was
    (place.folder / "new").mkdir()
    shutil.copy(place.key, place.folder / "new" / "recovery-9999999999.key")
    public = base64.b64encode(bytes(31) + b"\x09")
    pins = json.loads((place.folder / "pins.json").read_text())
    pins["recovery"].append({"key_id": 9_999_999_999, "public": public.decode()})
    (place.folder / "pins.json").write_text(json.dumps(pins))
    assert tram(["init", "--pin", str(place.folder / "pins.json"), *there]) == 0
    assert (place.card / "store.key.wrapped").read_bytes() != was
    work(place)
    assert recover(place, capfd)[0] == 1


def jpeg(side: int) -> bytes:
    """A photo of noise."""
    made = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(made, "JPEG")
    return made.getvalue()


def test_a_picture_comes_whole(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """Its bytes lie apart from the rows that speak of it, and are put in."""
    assert content.MOST_PARTS == 1024
    settings = load([place.file])
    conn = open_store(settings, {})
    hand = Hand()
    station = Station(settings, conn, hand, hand.clock(1))
    patient = station.patient(NAME)
    full, small = jpeg(96), jpeg(24)
    attach(station, patient, 901, full, small)
    draft = ConsultDraft(patient, Urgency.ROUTINE, Department.INTERNAL, "Da")
    consults.request(conn, draft, consult=901, staff="an", now=station.now)
    conn.close()
    code, said, _ = recover(place, capfd)
    assert (code, said["damaged"], said["refused"]) == (0, 0, 0)
    engine = open_engine(f"sqlite:///{place.folder}/bridge.db")
    with reading(engine) as tx:
        assert {bytes(data) for data in tx.scalars(select(tables.content.c.data)) if data} == {full, small}
    engine.dispose()
