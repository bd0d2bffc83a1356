"""The bridge's post bags: one stick that has been to many stations, refusals, carriers that run meanwhile, and the two commands."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, func, select

from appliance import cli as station_cli
from appliance.contract.bag import BagHeader, Record, bag_name, whole
from appliance.contract.events import ConsultWithdrawn, Event
from appliance.contract.lanes import Lane
from appliance.contract.parcels import Header, write_parcel
from appliance.contract.receipts import Hello, write_hello
from appliance.contract.topics import DOWN, UP
from appliance.relay.storage import BagRow
from appliance.stick import FOLDER, Stick
from cloud_bridge import cli, intake
from cloud_bridge.bags import PostOffice
from cloud_bridge.commands.processes import station_key_of
from cloud_bridge.store import outbox, relay_tables, stations
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.inbox import BridgeStore
from tests.bridge import story
from tests.world import RECEIPT_KEY, STORE

BOXES = {f"tram-000{number}": Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3)}
AT = story.T0


@pytest.fixture
def office(engine: Engine) -> PostOffice:
    """A bridge with three stations."""
    with writing(engine) as tx:
        outbox.set_store_id(tx, STORE)
        for name, key in BOXES.items():
            stations.add(tx, stations.Station(name, 0, name, "", 0, 0, key.public_key().public_bytes_raw(), AT, None))
    return PostOffice(engine, (0, RECEIPT_KEY), intake.apply_many, station_key_of, lambda: AT, lambda *_, **__: None)


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Stick]:
    """A stick in the bridge's machine."""
    (tmp_path / "stick" / FOLDER).mkdir(parents=True)
    with Stick(tmp_path / "stick", mounted=False) as one:
        yield one


def lay(tmp_path: Path, station: str, number: int = 1, key: Ed25519PrivateKey | None = None, events: int = 2) -> Path:
    """A station's bag lies on the stick: a hello and a parcel with `events` withdrawals."""
    epoch = station.encode()[-8:]
    said = [Event(story.stamp(), "an", "test", ConsultWithdrawn(seq, "thử")) for seq in range(1, events + 1)]
    parcel = write_parcel(Header(station, epoch, Lane.URGENT, 1, events), said)
    records = [Record(0, write_hello(Hello(station, epoch, b"n" * 8))), Record(0, parcel)]
    header = BagHeader(station, UP, epoch, number, b"n" * 8, AT, len(records), events)
    file = tmp_path / "stick" / FOLDER / bag_name(station, UP, number)
    file.write_bytes(whole(header, records, key or BOXES[station]))
    return file


def events(engine: Engine) -> dict[str, int]:
    """How many events there are of each station."""
    c = relay_tables.event.c
    with reading(engine) as tx:
        return {row[0]: row[1] for row in tx.execute(select(c.station, func.count()).group_by(c.station))}


def test_one_stick_serves_many_stations(office: PostOffice, stick: Stick, tmp_path: Path) -> None:
    """Every station's bag is taken as that station's, and each gets a bag of its own back; again, nothing is new."""
    for name in BOXES:
        lay(tmp_path, name)
    assert [one.came.new for one in office.take_in(stick) if one.came] == [2, 2, 2]
    assert events(office.engine) == dict.fromkeys(BOXES, 2)
    assert [one.came.again for one in office.take_in(stick) if one.came] == [True] * 3
    packed = [office.put_out(stick, name) for name in office.stations_on(stick)]
    assert [one.station for one in packed] == list(BOXES)
    assert len([one for one in stick.bags() if one.name.way == DOWN]) == 3
    office.put_out(stick, "tram-0001")
    assert [one.name.number for one in stick.bags() if one.name == ("tram-0001", DOWN, one.name.number)] == [2]


def test_a_bad_bag_does_not_keep_the_next_from_being_taken(office: PostOffice, stick: Stick, tmp_path: Path) -> None:
    """Another box's signature, a torn file, a revoked station: each is named with its reason, the good one is taken."""
    lay(tmp_path, "tram-0001", key=BOXES["tram-0002"])
    torn = lay(tmp_path, "tram-0002")
    torn.write_bytes(torn.read_bytes()[:-1])
    lay(tmp_path, "tram-0003")
    found = {one.station: one.refused.reason if one.refused else "" for one in office.take_in(stick)}
    assert found == {"tram-0001": "sender", "tram-0002": "torn", "tram-0003": ""}
    assert events(office.engine) == {"tram-0003": 2}
    with writing(office.engine) as tx:
        stations.revoke(tx, "tram-0003", AT)
    lay(tmp_path, "tram-0003", number=2)
    assert [one.refused.reason for one in office.take_in(stick) if one.refused and one.station == "tram-0003"] == ["sender"] * 2


def test_a_bag_renamed_to_another_station_is_refused(office: PostOffice, stick: Stick, tmp_path: Path) -> None:
    """The name on the file is not what counts."""
    lay(tmp_path, "tram-0001").rename(tmp_path / "stick" / FOLDER / bag_name("tram-0002", UP, 1))
    (one,) = office.take_in(stick)
    assert one.refused is not None
    assert one.refused.reason == "station"
    assert office.take_file(tmp_path / "stick" / FOLDER / bag_name("tram-0002", UP, 1)).came is not None


def test_a_carrier_waits_while_a_bag_speaks_and_then_knows(office: PostOffice) -> None:
    """Two processes on one database: whoever holds the talks is alone with them, and the other one sees that there was a turn."""
    store = BridgeStore(office.engine, [0])
    courier = office.courier("tram-0001")
    held, seen = threading.Event(), []

    def carrier() -> None:
        held.wait(10)
        with store.transaction() as tx:
            store.share(tx)
            seen.append(store.bag_turns(tx, 0))

    thread = threading.Thread(target=carrier)
    thread.start()
    with store.transaction() as tx:
        store.hold(tx)
        held.set()
        row = courier.storage.last_bag(tx, "tram-0001", inward=False)
        assert row is None
        assert not seen
        store.note_bag(tx, "tram-0001", BagRow(False, STORE, 1, b"n" * 8, AT))
        assert not seen
    thread.join(10)
    assert seen == [(1, {"tram-0001"})]


def test_the_two_commands_carry_a_round(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`tram bag` and `tram-bridge bag` by their command lines, parcels sealed: out, in, out, in; wrong use gives a sentence."""
    monkeypatch.setattr("appliance.settings.SYSTEM_FILE", tmp_path / "none.toml")
    box, bridge, stick = tmp_path / "box.toml", tmp_path / "bridge.toml", tmp_path / "stick"
    stick.mkdir()
    box.write_text(
        'environment = "test"\n[station]\nid = "tram-0001"\n[paths]\ndata = "data"\nrun = "run"\n'
        '[store]\nkey_file = "key"\nballast_mb = 0\ngroup = ""\n'
    )
    bridge.write_text(
        f'environment = "test"\n[bridge]\ndatabase = "sqlite:///{tmp_path}/bridge.db"\nkey_dir = "keys"\nconsole_secret_file = "secret"\n'
    )

    def tram(*words: str) -> int:
        return station_cli.main(["--config", str(box), *words])

    def there(*words: str) -> int:
        return cli.main(["--config", str(bridge), *words])

    def said() -> dict[str, object]:
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return lines[-1]  # type: ignore[no-any-return]

    assert there("init", "--export", str(tmp_path / "pins")) == 0
    assert tram("init", "--pin", str(tmp_path / "pins"), "--export", str(tmp_path / "box.key")) == 0
    assert there("stations", "add", "tram-0001", "--key", str(tmp_path / "box.key")) == 0
    assert tram("staff", "add", "y1", "--name", "Y tá Thử", "--role", "nurse") == 0
    assert tram("bag", "export", "--folder", str(stick)) == 0
    items = said()["items"]
    assert there("bag", "import", "--folder", str(stick)) == 0
    assert said()["new"] == items
    assert there("bag", "export", "--folder", str(stick)) == 0
    assert tram("bag", "import", "--folder", str(stick)) == 0
    assert said()["bags"] == 1
    assert tram("bag", "export", "--folder", str(stick)) == 0
    assert said()["items"] == 0
    assert tram("bag", "import", str(box)) == 1
    assert "không phải túi thư" in capsys.readouterr().err
    assert there("bag", "import", str(bridge)) == 1
    assert "no post bag" in capsys.readouterr().err
    assert there("bag", "export", "--folder", str(tmp_path / "nowhere")) == 75
    assert there("bag", "import") == 1
    assert "--folder /media/usb" in capsys.readouterr().err
