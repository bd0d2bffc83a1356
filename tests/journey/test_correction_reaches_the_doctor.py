"""A correction reaches the doctor: from a button at the kiosk, over the relay, to the open page of the doctor who answered.

Both ends are the product's own, kiosk, store, relay, intake, console; the network between them is turned by hand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from appliance.contract.events import ObservationRecorded
from appliance.contract.ids import spell
from appliance.database import transaction
from appliance.relay.pump import Pump
from appliance.store import keys
from appliance.store.inbox import StationStore
from appliance.store.speaking import station_end
from cloud_bridge import intake
from cloud_bridge.carrier import bridge_end
from cloud_bridge.store import relay_tables, tables
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.inbox import BridgeStore
from tests.bridge.conftest import PASSWORD, Office, Visitor, make_office
from tests.bridge.conftest import engine as engine  # noqa: PLC0414 - a fixture of both databases
from tests.bridge.test_console import hidden
from tests.kiosk.station import Station, Window, make
from tests.kiosk.test_correct import ask, save
from tests.world import RECEIPT_KEY, STATION, Net


@dataclass
class Road:
    """A station and an office with the relay between them. `pass_on` works until nothing moves."""

    station: Station
    office: Office
    net: Net
    pumps: tuple[Pump, Pump]
    now: float = 1000.0

    def pass_on(self) -> None:
        """Both ends work and the network carries, until nobody owes anything."""
        for _ in range(400):
            for pump in self.pumps:
                pump.turn(self.now, self.office.time.wall)
            moved = self.net.carry("up") + self.net.carry("down")
            self.now += 0.5 if moved else 20
            if not moved and not self.owed():
                break
        assert not self.owed()
        self.office.time.turn(30)

    def owed(self) -> int:
        """How many events one end has not vouched for yet."""
        c = relay_tables.outbox.c
        with reading(self.office.engine) as tx:
            down = len(tx.execute(select(c.id).where(c.state == 0)).all())
        return down + self.station.count("SELECT count(*) FROM outbox WHERE state < 2")


@pytest.fixture
def road(tmp_path: Path, engine: Engine) -> Iterator[Road]:
    """A kiosk and a console that know each other's keys."""
    office = make_office(engine)
    with make(tmp_path) as station:
        with transaction(station.conn):
            keys.pin(station.conn, "receipt", 0, RECEIPT_KEY.public_key().public_bytes_raw())
            keys.pin(station.conn, "answer", 3, office.key.public_key().public_bytes_raw())
        key_id, public = keys.station_public(station.conn)
        office.time.wall = station.now.wall + 600
        with writing(engine) as tx:
            tx.execute(update(tables.station).values(key_id=key_id, public=public))
        yield Road(station, office, *_ends(station, office, (key_id, public)))


def _ends(station: Station, office: Office, key: tuple[int, bytes]) -> tuple[Net, tuple[Pump, Pump]]:
    net, dice = Net(Random(1)), Random(2)
    more: dict[str, Any] = {"now": lambda: office.time.wall, "say": lambda *_, **__: None, "randomly": dice.randbytes, "dice": dice.random}
    here, there = StationStore(station.conn, STATION, 0), BridgeStore(office.engine, [0])
    up = station_end(station.conn, here, **more)
    down = bridge_end(there, (0, RECEIPT_KEY), apply=intake.apply_many, station_key=lambda _tx, _name: key, **more)
    return net, (Pump(here, net.link("down", keep=False), up, [(STATION, 0)]), Pump(there, net.link("up", keep=True), down))


def answer(doctor: Visitor, url: str) -> None:
    """Draft, look, sign."""
    moved = doctor.send(f"{url}/draft", advice="Tăng liều thuốc huyết áp.", then="sign")
    fields = hidden(doctor.get(moved.headers["Location"]).text)
    said = {
        name: fields[name] if name in ("seen", "struck") else fields[name][-1] for name in ("digest", "seen", "struck") if name in fields
    }
    assert doctor.send(f"{url}/sign", password=PASSWORD, **said).status_code == 302


@pytest.mark.parametrize("kind", ["wrong patient", "wrong value"])
def test_correction_reaches_the_doctor(road: Road, kind: str) -> None:
    """Asked, answered, then corrected at the kiosk: the doctor's open page says so, with the value, until they have seen it."""
    window, doctor = road.station.window(), road.office.doctor()
    observation, consult = _asked(road, window)
    url = f"/consults/{STATION}/{spell(consult)}"
    doctor.get(url)
    answer(doctor, url)
    road.pass_on()
    assert "Tăng liều thuốc huyết áp." in window.get(f"/consults/{consult}").text
    page = doctor.get(url).text
    assert "Trạm đã sửa:" not in page
    version = page.split('data-version="')[1].split('"')[0]
    at = f"/patients/{road.station.first}/readings/{observation}"
    if kind == "wrong patient":
        window.post(f"{at}/to/{road.station.second}", id_name="1", id_birth="1")
        why = "Đo nhầm người"
    else:
        window.post(f"{at}/error", word="fit")
        why = "Kẹp hoặc vòng bít đặt sai"
    assert "bác sĩ đã trả lời" in window.text and "Bác sĩ sẽ thấy lời sửa" in window.text
    road.pass_on()
    live = doctor.get(f"{url}/live?version={version}")
    assert live.status_code == 200, "the open page is drawn anew"
    assert "Trạm đã sửa:" in live.text and why in live.text and "câu trả lời đã ký dựa vào số này" in live.text
    assert "Trạm đã sửa:" in road.office.doctor("bs.hai").get(url).text
    doctor.send(f"{url}/corrections")
    assert "Trạm đã sửa:" not in doctor.get(url).text
    assert why in doctor.get(url).text, "the reading itself goes on saying it"


def _asked(road: Road, window: Window) -> tuple[int, int]:
    """A saved reading and a request that cites it, both at the bridge: (observation, consult)."""
    observation = save(road.station, window, road.station.first)
    consult = ask(road.station, window, road.station.first)
    road.pass_on()
    return observation, consult


def test_a_correction_that_overtakes_its_reading_is_true_at_the_console(road: Road) -> None:
    """The reading lies in a slower lane than its correction and comes last: the record of the right person has it, the other is without."""
    window = road.station.window()
    observation = save(road.station, window, road.station.first)
    slow = int(road.station.conn.execute("SELECT lane FROM outbox WHERE kind = ?", (ObservationRecorded.KIND,)).fetchone()[0])
    window.post(f"/patients/{road.station.first}/readings/{observation}/to/{road.station.second}", id_name="1", id_birth="1")
    held: list[tuple[str, bytes]] = []
    for _ in range(12):
        road.pumps[0].turn(road.now, road.office.time.wall)
        held += [one for one in road.net.queues["up"] if one[0].endswith(f"/up/{slow}")]
        road.net.queues["up"] = [one for one in road.net.queues["up"] if not one[0].endswith(f"/up/{slow}")]
        road.net.carry("up")
        road.pumps[1].turn(road.now, road.office.time.wall)
        road.net.carry("down")
        road.now += 0.5
    assert held, "the reading waits on the road"
    with reading(road.office.engine) as tx:
        assert tx.execute(tables.correction.select()).first() is not None and tx.execute(tables.observation.select()).first() is None
    road.net.queues["up"] += held
    road.pass_on()
    doctor = road.office.doctor()
    pages = [doctor.get(f"/patients/{STATION}/{spell(who)}/observations.json").json for who in (road.station.first, road.station.second)]
    assert [[one["stands"] for one in page["observations"]] for page in pages] == [[False], [True]]


def test_an_answer_that_crosses_a_withdrawal_and_a_correction_is_lost_on_neither_side(road: Road) -> None:
    """The doctor signs while the station withdraws and corrects without a network: both sides end up with everything, and say so."""
    window, doctor = road.station.window(), road.office.doctor()
    observation, consult = _asked(road, window)
    url = f"/consults/{STATION}/{spell(consult)}"
    doctor.get(url)
    window.post(f"/consults/{consult}/withdraw", reason="mistake")
    window.post(f"/patients/{road.station.first}/readings/{observation}/error", word="device")
    answer(doctor, url)
    road.pass_on()
    text = window.get(f"/consults/{consult}").text
    assert "Tăng liều thuốc huyết áp." in text and "Trả lời vẫn đến sau khi rút" in text and "Đã gạch bỏ: Máy đo sai hoặc hỏng" in text
    assert "Máy đo sai hoặc hỏng" in doctor.get(url).text
    road.pass_on()
