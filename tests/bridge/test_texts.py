"""The emergency button's text message, from the press to the console and back, over simulated modems."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine

from appliance import journal
from appliance.agent.sms import ACKNOWLEDGE_NS, AGAIN_NS, TRIES, Texter
from appliance.contract import sms as wire
from appliance.contract.errors import WireError
from appliance.contract.events import Basis, Department, Sex, Urgency
from appliance.contract.metrics import Metric, Status
from appliance.database import transaction
from appliance.devices.errors import DeviceError
from appliance.devices.port import Port
from appliance.devices.sim.modem import Air, SimModem
from appliance.store import consults, emergencies, measuring, sms
from appliance.store.boots import epoch, open_epoch
from appliance.store.consults import ConsultDraft
from appliance.store.sealing import content_keys
from appliance.store.sms import State
from cloud_bridge import texts
from cloud_bridge.store import emergencies as calls
from cloud_bridge.store import stations
from cloud_bridge.store import texts as kept
from cloud_bridge.store.engine import reading, writing
from tests.bridge import story
from tests.store.station import Station, station_at

GATEWAY, BOX = "+84900000001", "+84900000002"
CONTENT = bytes(range(32))
S = 1_000_000_000


class Wire:
    """A null modem: the box's port on one side, the simulated modem on the other."""

    name = "null-modem"
    simulated = True
    rest_s: float | None = None
    wait_s: float | None = 0.01

    def __init__(self, device: SimModem) -> None:
        self.device = device
        self.plugged = True

    def fileno(self) -> int | None:
        """Nothing to wait for."""
        return None

    def read(self, now_ns: int) -> bytes:
        """What the modem said."""
        if not self.plugged:
            raise DeviceError(self.name, "unplugged")
        return b"".join(self.device.output(now_ns))

    def write(self, data: bytes, now_ns: int) -> None:
        """To the modem."""
        if not self.plugged:
            raise DeviceError(self.name, "unplugged")
        self.device.feed(data, now_ns)

    def close(self) -> None:
        """Stays where it is."""


@dataclass
class Street:
    """A box with a modem, and a bridge whose gateway is in the same air."""

    station: Station
    engine: Engine
    air: Air = field(default_factory=Air)
    heard: list[str] = field(default_factory=list)
    """What the gateway made of each message."""
    came: list[bytes] = field(default_factory=list)
    knows: bool = True

    def __post_init__(self) -> None:
        self.device = SimModem(random.Random(1), self.air, number=BOX)
        self.port = Wire(self.device)
        self.air.numbers[GATEWAY] = self.arrive
        self.texter = self.new_texter()

    def new_texter(self) -> Texter:
        """The program as it starts."""
        return Texter(
            self.station.conn, story.STATION, GATEWAY, 150, self.keys, self.station.clock, self.open, journal.open("sms"),
            random=random.Random(5).randbytes,
        )  # fmt: skip

    def open(self) -> Port:
        """The port, when the cable is in."""
        if not self.port.plugged:
            raise DeviceError("null-modem", "unplugged")
        return self.port

    def keys(self) -> list[tuple[bytes, bytes]]:
        """The station's content key."""
        return [(epoch(self.station.conn)[1], CONTENT)]

    def arrive(self, sender: str, data: bytes) -> None:
        """The gateway hands a message to the bridge and sends the reply back."""
        self.came.append(data)
        try:
            with writing(self.engine) as tx:
                keys = (lambda _station: self.keys()) if self.knows else (lambda _station: [])
                taken = texts.take(tx, data, sender, keys, self.station.now.wall, random.Random(len(self.came)).randbytes)
        except WireError as error:
            self.heard.append(error.reason)
        else:
            self.heard.append("repeat" if taken.repeated else "new")
            self.air.send(GATEWAY, sender, taken.reply)

    def run(self, seconds: float) -> None:
        """Time passes, a second a turn."""
        for _ in range(int(seconds)):
            self.station.later(1)
            self.texter.turn(self.station.clock.boottime_ns())

    def press(self) -> int:
        """The red button; the call's number."""
        return emergencies.press(self.station.conn, actor="", now=self.station.now, random=random.Random(3).randbytes).call

    def state(self) -> State | None:
        """Of the newest message."""
        found = sms.texts(self.station.conn, open_only=False)
        return found[-1].state if found else None


@pytest.fixture
def street(engine: Engine, tmp_path: Path) -> Iterator[Street]:
    """Both ends, nothing pressed yet, on SQLite and on PostgreSQL."""
    (tmp_path / "station").mkdir()
    station = station_at(tmp_path / "station")
    with writing(engine) as tx:
        stations.add(tx, stations.Station(story.STATION, 0, "Trạm Thử", "", 0, 0, bytes(32), 1, None))
    yield Street(station, engine)
    station.conn.close()


def _ask(street: Street) -> int:
    """An emergency request with a reading, saved and not received; its number."""
    station = street.station
    patient = station.patient(birth="1961-04-30", sex=Sex.FEMALE)
    station.later(1)
    seen = station.observe(station.session(patient), station.reading(118, status=Status.TEST_DATA))
    measuring.record(station.conn, seen.measurement, staff="an", now=station.later(2))
    basis = Basis.EMERGENCY
    draft = ConsultDraft(patient, Urgency.EMERGENCY, Department.INTERNAL, "Đau ngực", (seen.measurement,), basis=basis)
    consults.request(station.conn, draft, consult=77, staff="ys01", now=station.now)
    return 77


def test_a_press_without_a_line_reaches_the_console_and_is_acknowledged(street: Street) -> None:
    """Fifteen seconds for the line, then one message; the reply makes *máy chủ xác nhận*."""
    consult = _ask(street)
    call = street.press()
    street.run(10)
    assert not street.came
    street.run(20)
    assert street.heard == ["new"]
    assert street.state() is State.ACKNOWLEDGED
    with reading(street.engine) as tx:
        (shown,) = calls.open_calls(tx)
        (row,) = kept.recent(tx)
    assert (shown.call, row.call, row.consult, row.sender) == (call, call, consult, BOX)
    for words in ("yêu cầu cấp cứu", "Tâm thu 118 mmHg", "dữ liệu thử", "nữ 6"):
        assert words in shown.note
    assert len(street.came[0]) <= wire.MOST_BYTES
    assert "Một".encode() not in street.came[0]


@pytest.mark.parametrize("off", [0.0, -300.0, 600.0])
def test_the_power_may_fail_right_after_the_press(street: Street, off: float) -> None:
    """The message goes after the restart, once, whether the clock stood still meanwhile, was set back or ran on."""
    call = street.press()
    street.run(5)
    street.texter.close()
    street.station.power_cut(off=off)
    street.texter = street.new_texter()
    street.run(60)
    assert street.heard == ["new"]
    assert street.state() is State.ACKNOWLEDGED
    with reading(street.engine) as tx:
        assert [one.call for one in calls.open_calls(tx)] == [call]


def test_a_press_of_another_day_is_not_raised_by_message_at_the_next_start(street: Street) -> None:
    """Whoever finds the box a day later is not alarmed: the line brings it, with its time."""
    street.press()
    street.texter.close()
    street.station.power_cut(off=86_400.0)
    street.texter = street.new_texter()
    street.run(60)
    assert (street.came, street.state()) == ([], None)


def test_a_new_epoch_is_not_spoken_in_before_the_bridge_has_its_key(street: Street) -> None:
    """A card that was copied begins one; without a line its message is sealed with the key that the bridge has."""
    conn = street.station.conn
    old, new = epoch(conn)[1], b"epoch--2"
    with transaction(conn):
        conn.execute("INSERT INTO content_key (epoch, key, bridge, at) VALUES (?, ?, ?, 0)", (old, CONTENT, bytes(32)))
        conn.execute("INSERT INTO lane (epoch, lane, next, top) VALUES ((SELECT max(id) FROM epoch), 4, 2, 1)")
        open_epoch(conn, new, "another machine", 0)
        conn.execute("INSERT INTO content_key (epoch, key, bridge, at) VALUES (?, ?, ?, 0)", (new, bytes(32), bytes(32)))
    assert content_keys(conn) == [(old, CONTENT), (new, bytes(32))]
    with transaction(conn):
        conn.execute("INSERT INTO lane (epoch, lane, next, top) VALUES ((SELECT max(id) FROM epoch), 0, 2, 1)")
    assert content_keys(conn) == [(new, bytes(32)), (old, CONTENT)]


def test_the_line_completes_what_the_message_began(street: Street) -> None:
    """The same call comes by the line later, twice: one emergency, with what the message said and the name that only the line brings."""
    call = street.press()
    street.run(30)
    for _ in range(2):
        with writing(street.engine) as tx:
            calls.press(tx, story.STATION, call, wall=1, actor="ys01", note="", at=2)
    with reading(street.engine) as tx:
        (shown,) = calls.open_calls(tx)
    assert "Tin nhắn SMS" in shown.note
    assert shown.actor == "ys01"
    street.arrive(BOX, street.came[0])
    with reading(street.engine) as tx:
        assert calls.open_calls(tx) == [shown]


def test_without_an_acknowledgement_it_is_sent_again_and_then_the_telephone_is_left(street: Street) -> None:
    """The same bytes three times; whoever looks at the bridge sees one emergency; the screen says that nothing arrived."""
    street.press()
    reply, street.air.numbers[BOX] = street.air.numbers[BOX], lambda _sender, _data: None
    street.run(30 + TRIES * ACKNOWLEDGE_NS // S + 5)
    assert street.heard == ["new", "repeat", "repeat"]
    assert len(set(street.came)) == 1
    assert street.state() is State.FAILED
    with reading(street.engine) as tx:
        assert len(calls.open_calls(tx)) == 1
    street.air.numbers[BOX] = reply
    street.air.send(GATEWAY, BOX, _reply(street))
    street.run(20)
    assert street.state() is State.ACKNOWLEDGED


def _reply(street: Street) -> bytes:
    epoch_now, content = street.keys()[0]
    return wire.seal_acknowledgement(
        street.came[0], 5, wire.key_of(content, story.STATION), story.STATION, epoch_now, random.Random(9).randbytes
    )


def test_a_replayed_message_raises_nothing_and_a_foreign_one_is_refused(street: Street) -> None:
    """From whatever number: the same bytes are a repeat; changed bytes, another station's and noise have a reason."""
    street.press()
    street.run(30)
    street.arrive("+84900000066", street.came[0])
    changed = bytearray(street.came[0])
    changed[-1] ^= 1
    street.arrive(BOX, bytes(changed))
    street.arrive(BOX, b"\x21" + bytes(60))
    street.arrive(BOX, b"Khuyen mai 50%")
    assert street.heard == ["new", "repeat", "seal", "station", "length"]
    with reading(street.engine) as tx:
        assert len(calls.recent(tx)) == 1


def test_an_acknowledgement_counts_only_for_the_very_message(street: Street) -> None:
    """A forged one, an older one with the same number, noise: the message stays unacknowledged, the modem's card is emptied."""
    street.knows = False
    street.press()
    street.run(30)
    assert street.heard == ["key"]
    epoch_now, content = street.keys()[0]
    key = wire.key_of(content, story.STATION)
    other = wire.seal_alarm(wire.Alarm(1, 2), 1, key, story.STATION, epoch_now, random.Random(8).randbytes)
    for data in (
        wire.seal_acknowledgement(other, 5, key, story.STATION, epoch_now, random.Random(9).randbytes),
        wire.seal_acknowledgement(street.came[0], 5, wire.key_of(bytes(32), story.STATION), story.STATION, epoch_now, bytes),
        b"Khuyen mai",
        street.came[0],
    ):
        street.air.send("+84900000066", BOX, data)
    street.run(20)
    assert street.state() is State.SENT
    assert not street.device.kept


def test_what_the_line_brings_in_time_needs_no_message(street: Street) -> None:
    """The bridge's receipt within fifteen seconds."""
    street.press()
    street.station.conn.execute("UPDATE outbox SET state = 2, received = 1")
    street.run(60)
    assert (street.came, street.state()) == ([], None)


def test_no_network_is_waited_for_and_a_dead_modem_comes_back(street: Street) -> None:
    """Searching, unplugged, a program that died: the press is not forgotten, the bytes stay the same."""
    street.device.registered = False
    street.press()
    street.run(40)
    assert street.state() is State.WAITING
    street.port.plugged = False
    street.run(10)
    assert sms.modem(street.station.conn) is not None
    street.port.plugged = street.device.registered = True
    street.texter.close()
    street.texter = street.new_texter()
    street.run(40)
    assert street.heard == ["new"]
    assert street.state() is State.ACKNOWLEDGED


def test_a_refusing_network_is_tried_three_times(street: Street) -> None:
    """No credit: said with the network's reason, and then no more."""
    street.device.refuse = 38
    street.press()
    street.run(20 + (TRIES + 2) * AGAIN_NS // S)
    (one,) = sms.texts(street.station.conn, open_only=False)
    assert (one.state, one.tries, one.reason) == (State.FAILED, TRIES, "+CMS ERROR: 38")


def test_an_acknowledgement_kept_by_the_card_survives_a_power_cut(street: Street) -> None:
    """It came while the box was off."""
    street.press()
    deliver: Callable[[str, bytes], None] = street.air.numbers[BOX]
    late: list[bytes] = []
    street.air.numbers[BOX] = lambda _sender, data: late.append(data)
    street.run(30)
    street.texter.close()
    deliver(GATEWAY, late[0])
    street.texter = street.new_texter()
    street.run(10)
    assert street.state() is State.ACKNOWLEDGED


def test_the_vitals_are_the_newest_of_the_request(street: Street) -> None:
    """What a doctor asks first, each once."""
    _ask(street)
    street.press()
    street.run(30)
    key = wire.key_of(CONTENT, story.STATION)
    alarm = wire.open_alarm(street.came[0], key)
    metrics = [one.metric for one in alarm.vitals]
    assert len(metrics) == len(set(metrics))
    assert metrics[:1] == [Metric.PULSE_RATE]
    assert alarm.test
