"""A whole consult through a real broker between the real commands: whoever owns the broker reads where it goes and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.contract.events import ConsultQuestion, Department, Event, KeyPublished, Urgency
from appliance.contract.parcels import FRAGMENT, PARCEL, peek, read_parcel
from appliance.contract.receipts import HELLO, RECEIPT
from appliance.contract.sealing import SEALED
from appliance.relay.line import Message
from appliance.relay.link import Broker, MqttLink
from appliance.store import consults
from appliance.store.consults import ConsultDraft
from cloud_bridge import answers
from cloud_bridge.answers import Advice
from cloud_bridge.store import accounts, keys, outbox
from cloud_bridge.store.accounts import Account, Role
from cloud_bridge.store.engine import reading
from tests import servers
from tests.polling import until
from tests.relay.site import STATION, Site
from tests.store.station import Hand, Station

SECRETS = (
    "Thử Nghiệm Một", "Nghiệm", "DN4010000000001", "4010000000001", "001161000001", "0900 000 001", "Thôn Mẫu", "Penicillin",
    "Đau ngực lan", "đo lại", "Cho ngậm thuốc", "BS. Trần Thử",
)  # fmt: skip
CONSULT = 900


class Listener:
    """Somebody who owns the broker: everything that is published, on any topic."""

    def __init__(self, port: int) -> None:
        self.link = MqttLink(Broker("127.0.0.1", port), client_id="owner", topics=["#"])
        self.heard: list[Message] = []
        self.link.open()
        until(self.there, 20.0)

    def there(self) -> bool:
        """Look; True once the line is up."""
        self.link.wait(0.05)
        for one in self.link.happenings():
            if isinstance(one, Message):
                self.heard.append(one)
                self.link.done(one.token)
        return self.link.up


@pytest.fixture
def site(tmp_path: Path, mosquitto: Callable[..., servers.Broker]) -> Iterator[Site]:
    """Both ends as their own commands made them, with the settings as they are by themselves."""
    made = Site(tmp_path, mosquitto().port)
    yield made
    made.close()


def test_the_broker_sees_routing_fields_only(site: Site) -> None:
    """Request with reading, question, signed answer: all of it arrives; every parcel but those of keys is sealed; no word is seen."""
    assert site.settings.wire.sealing == "on"
    listener = Listener(site.settings.broker.port)
    site.start("tram-bridge", "carry")
    site.start("tram", "carry")
    station = Station(site.settings, site.conn, Hand(), site.clock)
    patient = station.patient(
        "Thử Nghiệm Một", birth="1961-04-30", bhyt="DN4010000000001", cccd="001161000001", phone="0900 000 001", village="Thôn Mẫu"
    )
    measured = station.saved(patient, 187)
    draft = ConsultDraft(patient, Urgency.URGENT, Department.INTERNAL, "Đau ngực lan ra tay trái", (measured,))
    consults.request(station.conn, draft, consult=CONSULT, staff="an", now=station.now)
    until(lambda: listener.there() and not site.waiting(), 30.0)
    reply(site, station)
    until(lambda: listener.there() and shown(site) == (1, 1), 30.0)
    until(lambda: listener.there() and not told(site), 30.0)

    everything = b"".join(one.topic.encode() + one.payload for one in listener.heard)
    assert [word for word in SECRETS if word.encode() in everything or word.encode("utf-16") in everything] == []
    assert {one.payload[0] for one in listener.heard} <= {PARCEL, RECEIPT, HELLO, FRAGMENT}
    parcels = [one for one in listener.heard if one.payload[0] == PARCEL]
    assert {one.topic.split("/")[3] for one in parcels if peek(one.payload).suite == SEALED} == {"up", "down"}
    clear = [event.body for one in parcels if peek(one.payload).suite != SEALED for event in read_parcel(one.payload)[1]]
    assert clear
    assert all(isinstance(body, KeyPublished) for body in clear)
    listener.link.close("done")


def reply(site: Site, station: Station) -> None:
    """A doctor asks something and signs an answer."""
    sign = keys.load(site.settings.bridge.key_dir, "answer")
    with site.engine.begin() as tx:
        doctor = _doctor(tx)
        outbox.append(tx, STATION, Event(station.now, "bs.thu", "test", ConsultQuestion(CONSULT, 1, "BS. Trần Thử", "Xin đo lại huyết áp")))
        answers.sign(
            tx, doctor, STATION, CONSULT, Advice("Cho ngậm thuốc dưới lưỡi, chuyển tuyến ngay"), seen=(), answer=41,
            seal=answers.Seal(*sign), software="test", now=station.now,
        )  # fmt: skip


def _doctor(tx: object) -> Account:
    from argon2 import PasswordHasher

    light = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    accounts.add(
        tx, light, "bs.thu", "mot cau that dai", 17_900_000_000, name="BS. Trần Thử", role=Role.DOCTOR, organisation="",  # type: ignore[arg-type]  # a connection
        department=None, second_needed=False,
    )  # fmt: skip
    found = accounts.get(tx, "bs.thu")  # type: ignore[arg-type]  # a connection
    assert found is not None
    return found


def shown(site: Site) -> tuple[int, int]:
    """How many questions and verified answers the station has."""
    questions = site.conn.execute("SELECT count(*) FROM message WHERE reply = 0").fetchone()[0]
    return int(questions), int(site.conn.execute("SELECT count(*) FROM answer WHERE verified = 1").fetchone()[0])


def told(site: Site) -> int:
    """How much the station has not vouched for."""
    with reading(site.engine) as tx:
        return int(tx.exec_driver_sql("SELECT count(*) FROM relay_outbox WHERE state = 0").scalar_one())
