"""Pictures over the whole way, both ends real: cut, resumed at the missing part, behind what is urgent, once."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.events import AttachmentChunk, Department, Urgency
from appliance.contract.lanes import Lane
from appliance.contract.parcels import PARCEL, read_parcel
from appliance.contract.topics import UP
from appliance.store import consults, content, patients, pictures
from appliance.store.consults import ConsultDraft
from appliance.store.patients import PatientDraft
from cloud_bridge import intake
from cloud_bridge.store import pictures as bridge_pictures
from cloud_bridge.store.engine import reading
from tests.world import STATION, Weather, World

FULL = b"\xff\xd8\xff\xe0" + random.Random(1).randbytes(60_000)
SMALL = b"\xff\xd8\xff\xe0" + random.Random(2).randbytes(6_000)
CONSULT = 77


class Clinic(World):
    """A world whose bridge has the real clinic behind its relay."""

    def _told_bridge(self, tx: Any, rows: Any) -> None:
        intake.apply_many(tx, rows)

    def ask(self) -> None:
        """A request is sent."""
        draft = PatientDraft("Thử Nghiệm Một", "1961")
        patients.register(self.conn, draft, patient=5, staff="an", now=self.stamp())
        asked = ConsultDraft(5, Urgency.EMERGENCY, Department.SURGERY, "Vết thương")
        consults.request(self.conn, asked, consult=CONSULT, staff="an", now=self.stamp())

    def picture(self, full: bytes = FULL, small: bytes = SMALL) -> None:
        """A picture is taken for it."""
        pictures.attach(self.conn, CONSULT, patient=5, full=full, preview=small, source="file", staff="an", now=self.stamp())

    def seen(self) -> list[bridge_pictures.Picture]:
        """What the doctor's page has."""
        with reading(self.engine) as tx:
            return bridge_pictures.of_consult(tx, STATION, CONSULT)

    def whole(self, data: bytes = FULL) -> bool:
        """Whether the bridge gives it out, byte for byte."""
        with reading(self.engine) as tx:
            return any(
                bridge_pictures.read(tx, STATION, CONSULT, one.full) == data for one in bridge_pictures.of_consult(tx, STATION, CONSULT)
            )

    def parts_carried(self) -> list[tuple[int, int]]:
        """(lane, part) of every message with a part that went through the net, in order."""
        found = []
        for topic, payload in self.net.carried:
            if f"/{UP}/" in topic and payload[0] == PARCEL:
                header, events = read_parcel(payload)
                found += [(header.lane, one.body.part) for one in events if isinstance(one.body, AttachmentChunk)]
        return found

    def rounds(self, count: int) -> None:
        """Some turns of both cranks."""
        for _ in range(count):
            for side in ("station", "bridge"):
                self.turn(side)
                self.net.carry("up")
                self.net.carry("down")
            self.pass_time(0.3)


@pytest.fixture
def clinic(tmp_path: Path) -> Any:
    """A station and a bridge, with fine weather."""
    world = Clinic(tmp_path, 5)
    yield world
    world.close()


def test_a_picture_arrives_whole_and_every_part_once(clinic: Clinic) -> None:
    """Every part in one message of its own, none of them twice in fine weather; the station learns that all is there."""
    clinic.ask()
    clinic.picture()
    clinic.settle()
    assert clinic.whole()
    assert set(Counter(clinic.parts_carried()).values()) == {1}
    assert max(len(payload) for _, payload in clinic.net.carried) <= 1200
    (one,) = pictures.listing(clinic.conn, CONSULT)
    assert one.there
    assert one.preview_received


@pytest.mark.parametrize("side", ["station", "bridge"])
def test_after_a_power_cut_only_the_missing_parts_travel(clinic: Clinic, side: str) -> None:
    """In the middle of a transfer one end dies: what was vouched for is not sent again, and the picture becomes whole."""
    clinic.ask()
    clinic.settle()
    clinic.picture()
    (one,) = pictures.listing(clinic.conn, CONSULT)
    while not 0 < one.received < one.parts:  # a thin line: six messages in 3 s, and a receipt
        clinic.turn("station")
        clinic.net.carry("up", 6)
        clinic.turn("bridge")
        clinic.net.carry("down")
        clinic.turn("station")
        clinic.pass_time(3)
        (one,) = pictures.listing(clinic.conn, CONSULT)
        assert one.received < one.parts
    vouched = one.received
    clinic.net.queues["up"].clear()  # the broker dies too
    assert not clinic.whole()
    clinic.cut_power(side)
    clinic.net.carried.clear()
    clinic.settle()
    assert clinic.whole()
    again = [part for lane, part in clinic.parts_carried() if lane == Lane.ATTACHMENTS]
    assert len(set(again)) <= one.parts - vouched
    assert max(again) == one.parts - 1


def test_a_cut_at_any_step_loses_nothing(tmp_path: Path) -> None:
    """The plug is pulled after every few steps of either end, in bad weather: the picture becomes whole all the same."""
    world = Clinic(tmp_path, 11)
    dice = random.Random(11)
    world.ask()
    world.picture(FULL[:20_000])
    world.net.weather = Weather(lose=0.1, repeat=0.2, shuffle=0.2, forget=0.1)
    for _ in range(25):
        side = dice.choice(["station", "bridge"])
        world.fuses[side].left = dice.randrange(1, 30)
        world.rounds(1)
        world.fuses[side].left = None
    world.settle()
    assert world.whole(FULL[:20_000])
    assert world.vouched_wrongly() == []
    world.close()


def test_what_is_urgent_passes_a_picture(clinic: Clinic) -> None:
    """A picture attached after sending is on its way; an emergency that comes then leaves with the very next message."""
    clinic.ask()
    clinic.settle()
    clinic.picture()
    clinic.rounds(1)
    assert not clinic.whole()
    clinic.net.carried.clear()
    consults.withdraw(clinic.conn, CONSULT, reason="wrong", staff="an", now=clinic.stamp())
    clinic.turn("station")
    lanes = [int(topic.rsplit("/", 1)[1]) for topic, _ in clinic.net.carried if f"/{UP}/" in topic]
    assert lanes[0] == Lane.URGENT
    clinic.settle()
    assert clinic.whole(), "what was sent before the withdrawal still comes whole"


def test_previews_go_before_full_pictures(clinic: Clinic) -> None:
    """Two pictures: both previews are there before either full one is."""
    clinic.ask()
    clinic.picture()
    clinic.picture(FULL + b"2", SMALL + b"2")
    while not all(one.preview_here for one in clinic.seen()) or len(clinic.seen()) < 2:
        assert not any(one.full_here for one in clinic.seen())
        clinic.rounds(1)
    assert [one.full_here for one in clinic.seen()] == [False, False]
    clinic.settle()
    assert [one.full_here for one in clinic.seen()] == [True, True]


def test_what_a_picture_costs(clinic: Clinic) -> None:
    """On the line at most 8 % beyond the picture, preview apart; on the card its bytes twice, in content and in parcels."""
    clinic.ask()
    clinic.settle()
    clinic.net.carried.clear()
    clinic.picture()
    clinic.settle()
    sent = sum(len(payload) for topic, payload in clinic.net.carried if topic.endswith(f"/{UP}/{int(Lane.ATTACHMENTS)}"))
    assert len(FULL) < sent < 1.08 * len(FULL)
    outbox = clinic.conn.execute("SELECT sum(length(body)) FROM outbox WHERE kind = 41").fetchone()[0]
    assert outbox < 0.07 * (len(FULL) + len(SMALL))
    kept = clinic.conn.execute("SELECT sum(length(data)) FROM content_part").fetchone()[0]
    assert kept == len(FULL) + len(SMALL)
    assert content.parts_of(len(FULL)) == 54
