"""Two requests, their readings and a picture's preview go out on a stick, the doctor answers, the stick comes back: no network at all.

Both ends are the product's own: kiosk pages, stores, relay, console. Afterwards a line comes up, and there is nothing left for it to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update

from appliance.contract.events import AttachmentChunk
from appliance.contract.ids import spell
from appliance.contract.parcels import PARCEL
from appliance.database import transaction
from appliance.relay.pump import Pump
from appliance.stick import Stick
from appliance.store import keys, pictures
from appliance.store.inbox import StationStore
from appliance.store.speaking import station_end
from cloud_bridge import intake
from cloud_bridge.bags import PostOffice
from cloud_bridge.carrier import bridge_end
from cloud_bridge.store import pictures as bridge_pictures
from cloud_bridge.store import relay_tables, tables
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.inbox import BridgeStore
from tests.bridge.conftest import Office, make_office
from tests.bridge.conftest import engine as engine  # noqa: PLC0414 - a fixture of both databases
from tests.journey.test_correction_reaches_the_doctor import answer
from tests.kiosk.station import Station, Window, make
from tests.kiosk.test_correct import ask, save
from tests.polling import until
from tests.world import RECEIPT_KEY, STATION, Net

SETTINGS = '\n[bag]\nfolder = "stick"\nmounted = false\n[wire]\nsealing = "off"\n'
FULL = b"\xff\xd8\xff\xe0" + Random(1).randbytes(40_000)
SMALL = b"\xff\xd8\xff\xe0" + Random(2).randbytes(5_000)


@dataclass
class Road:
    """A station and an office with a road between them, and a line that is not there yet."""

    station: Station
    office: Office
    stick: Path
    key: tuple[int, bytes]

    def post_office(self) -> PostOffice:
        """The bridge's side, a process of its own each time."""
        return PostOffice(
            self.office.engine, (0, RECEIPT_KEY), intake.apply_many, lambda _tx, _name: self.key, lambda: self.office.time.wall,
            lambda *_, **__: None,
        )  # fmt: skip

    def at_the_bridge(self) -> list[int]:
        """The motorbike arrives: in, then out; how many events were new in each bag."""
        with Stick(self.stick, mounted=False) as stick:
            taken = list(self.post_office().take_in(stick))
            assert all(one.came is not None for one in taken), taken
            self.post_office().put_out(stick, STATION)
        self.office.time.turn(30)
        return [one.came.new for one in taken if one.came is not None]

    def at_the_station(self, window: Window) -> str:
        """The stick goes in, one button, the page's last words."""
        window.get("/bag")
        window.post("/bag")
        until(lambda: "Đang" not in window.get("/bag").text, 30.0, what="the bag to be packed")
        assert "Rút USB được rồi" in window.text, window.text
        return window.text

    def owed(self) -> tuple[int, int]:
        """How many events each end has that the other has not vouched for: (up, down)."""
        c = relay_tables.outbox.c
        with reading(self.office.engine) as tx:
            down = tx.execute(select(func.count()).where(c.state == 0)).scalar_one()
        return self.station.count("SELECT count(*) FROM outbox WHERE state < 2"), int(down)

    def parts(self) -> int:
        """How many parts of pictures the station has to send."""
        return self.station.count(f"SELECT count(*) FROM outbox WHERE state < 2 AND kind = {AttachmentChunk.KIND}")

    def rows(self) -> dict[str, int]:
        """How much of everything there is at the bridge: what must not double."""
        with reading(self.office.engine) as tx:
            return {
                name: int(tx.execute(select(func.count()).select_from(table)).scalar_one())
                for name, table in (("event", relay_tables.event), ("consult", tables.consult), ("observation", tables.observation))
            }

    def line(self) -> Net:
        """The line comes up; both ends talk until nothing moves."""
        net, dice = Net(Random(1)), Random(2)
        more: dict[str, Any] = {
            "now": lambda: self.office.time.wall, "say": lambda *_, **__: None, "randomly": dice.randbytes, "dice": dice.random,
        }  # fmt: skip
        here, there = StationStore(self.station.conn, STATION, 0), BridgeStore(self.office.engine, [0])
        down = bridge_end(there, (0, RECEIPT_KEY), apply=intake.apply_many, station_key=lambda _tx, _name: self.key, **more)
        pumps = (
            Pump(here, net.link("down", keep=False), station_end(self.station.conn, here, **more), [(STATION, 0)]),
            Pump(there, net.link("up", keep=True), down),
        )
        now = 1000.0
        for _ in range(40):
            for pump in pumps:
                pump.turn(now, self.office.time.wall)
            moved = net.carry("up") + net.carry("down")
            now += 0.5 if moved else 20
        assert pumps[0].talks[STATION].answered
        return net


@pytest.fixture
def road(tmp_path: Path, engine: Engine) -> Iterator[Road]:
    """A kiosk and a console that know each other's keys, and a stick."""
    office, stick = make_office(engine), tmp_path / "stick"
    stick.mkdir()
    with make(tmp_path, SETTINGS) as station:
        with transaction(station.conn):
            keys.pin(station.conn, "receipt", 0, RECEIPT_KEY.public_key().public_bytes_raw())
            keys.pin(station.conn, "answer", 3, office.key.public_key().public_bytes_raw())
        key_id, public = keys.station_public(station.conn)
        office.time.wall = station.now.wall + 600
        with writing(engine) as tx:
            tx.execute(update(tables.station).values(key_id=key_id, public=public))
        yield Road(station, office, stick, (key_id, public))


def test_a_request_and_its_answer_travel_by_motorbike(road: Road) -> None:
    """Out, answered, back, vouched for; the same stick again and a line afterwards change nothing."""
    window, doctor, station = road.station.window(), road.office.doctor(), road.station
    asked = []
    for patient in (station.first, station.second):
        save(station, window, patient)
        asked.append(ask(station, window, patient))
    pictures.attach(station.conn, asked[0], patient=station.first, full=FULL, preview=SMALL, source="file", staff="y1", now=station.now)
    out = road.owed()[0]
    things = out - road.parts() + 1
    assert out > things + 30, "the picture's two copies travel in many parts and are one thing to whoever carries them"
    assert f'<b class="number">{things}</b> mục đi' in window.get("/bag").text
    assert f'<b class="number">{things}</b> mục trong túi đi' in road.at_the_station(window)
    assert road.owed()[0] == out, "a bag on a stick is no receipt"

    assert road.at_the_bridge() == [out]
    url = f"/consults/{STATION}/{spell(asked[0])}"
    assert "Đau đầu" in doctor.get(url).text
    with reading(road.office.engine) as tx:
        (picture,) = bridge_pictures.of_consult(tx, STATION, asked[0])
        assert picture.preview is not None
        assert bridge_pictures.read(tx, STATION, asked[0], picture.preview) == SMALL
        assert bridge_pictures.read(tx, STATION, asked[0], picture.full) == FULL
    answer(doctor, url)
    assert road.at_the_bridge() == [0], "the same bag again"
    down = road.owed()[1]
    assert down

    assert f'<b class="number">{down}</b> mục về' in window.get("/bag").text
    assert f'<b class="number">{down}</b> mục đã về' in road.at_the_station(window)
    assert window.get(f"/consults/{asked[0]}").text.count("Tăng liều thuốc huyết áp.") == 1
    assert station.count("SELECT count(*) FROM answer") == 1
    assert '<b class="number">0</b> mục đã về' in road.at_the_station(window), "the same stick again"
    assert station.count("SELECT count(*) FROM answer") == 1
    road.at_the_bridge()
    assert road.owed()[1] == 0

    before, seen = road.rows(), station.count("SELECT count(*) FROM inbox_event")
    net = road.line()
    assert not [topic for topic, payload in net.carried if payload[0] == PARCEL], "the line had nothing left to carry"
    assert road.rows() == before
    assert station.count("SELECT count(*) FROM inbox_event") == seen
    assert road.owed() == (0, 0)
    assert window.get(f"/consults/{asked[0]}").text.count("Tăng liều thuốc huyết áp.") == 1
