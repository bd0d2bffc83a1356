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
from appliance.database import Connection
from appliance.store import consults, content, downlink, patients, pictures
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

    def _told_station(self, tx: Connection, arrived: Any) -> None:
        for one in arrived:
            downlink.apply(tx, one.event)

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


# --- when something is wrong with it ---------------------------------------------------------------------------------------------------


def until_half(clinic: Clinic) -> int:
    """The full picture is on its way; how many parts the bridge has vouched for."""
    (one,) = pictures.listing(clinic.conn, CONSULT)
    while one.received < one.parts // 3:
        clinic.turn("station")
        clinic.net.carry("up", 6)
        clinic.turn("bridge")
        clinic.net.carry("down")
        clinic.turn("station")
        clinic.pass_time(3)
        (one,) = pictures.listing(clinic.conn, CONSULT)
    assert one.received < one.parts
    return one.received


def full_parts(clinic: Clinic) -> list[int]:
    """The parts of the full picture that travelled with their bytes."""
    found = []
    for topic, payload in clinic.net.carried:
        if f"/{UP}/" in topic and payload[0] == PARCEL:
            header, events = read_parcel(payload)
            chunks = [one.body for one in events if isinstance(one.body, AttachmentChunk)]
            found += [one.part for one in chunks if header.lane == Lane.ATTACHMENTS and one.data]
    return found


def test_a_picture_that_was_damaged_on_the_way_comes_again_by_itself(clinic: Clinic) -> None:
    """A part is another one at the bridge: the whole has not the digest that was offered, and is asked for once."""
    clinic.ask()
    clinic.settle()
    clinic.picture()
    until_half(clinic)
    with clinic.engine.begin() as tx:
        tx.exec_driver_sql("UPDATE content_part SET data = x'00' WHERE part = 2 AND parts = 54")
    clinic.settle()
    assert clinic.whole()
    (one,) = pictures.listing(clinic.conn, CONSULT)
    assert (one.there, one.failed, one.received) == (True, "", one.parts)
    assert max(Counter(full_parts(clinic)).values()) == 2


def test_a_picture_whose_card_is_bad_is_given_up_and_says_so_at_both_ends(clinic: Clinic) -> None:
    """The station's own bytes have changed: sent four times, then nobody sends it for ever, and staff can take it again."""
    clinic.ask()
    clinic.settle()
    clinic.picture()
    clinic.conn.execute("UPDATE content_part SET data = zeroblob(1120) WHERE id % 1024 = 7")
    clinic.settle()
    for _ in range(5):
        clinic.pass_time(120)
        clinic.settle()
    (one,) = pictures.listing(clinic.conn, CONSULT)
    assert (one.there, one.failed) == (False, "digest")
    (shown,) = clinic.seen()
    assert (shown.broken, shown.asked, shown.preview_here) == (True, 3, True)
    assert max(Counter(full_parts(clinic)).values()) == 4
    assert clinic.owed() == {}


def test_an_older_copy_of_the_card_sends_only_what_is_missing(clinic: Clinic) -> None:
    """The card is put back to before the transfer: another epoch offers the picture anew, the bridge says what it holds, and those
    parts travel without their bytes.
    """
    import shutil

    clinic.ask()
    clinic.settle()
    clinic.picture()
    clinic.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    clinic.conn.close()
    shutil.copy(clinic.folder / "station.db", clinic.folder / "copy.db")
    clinic.net.cut("down")
    clinic.station = clinic._start_station()
    had = until_half(clinic)
    clinic.net.cut("down")
    clinic.conn.close()
    for suffix in ("-wal", "-shm"):
        (clinic.folder / f"station.db{suffix}").unlink(missing_ok=True)
    shutil.copy(clinic.folder / "copy.db", clinic.folder / "station.db")
    clinic.station = clinic._start_station()
    clinic.net.carried.clear()
    for _ in range(12):  # a thin line: what is offered is heard, and answered, before the parts have gone
        clinic.turn("station")
        clinic.net.carry("up", 3)
        clinic.turn("bridge")
        clinic.net.carry("down")
        clinic.pass_time(3)
    clinic.settle()
    assert clinic.whole()
    again = set(full_parts(clinic))
    assert len(again) < 54 - had // 2, (len(again), had)
    (one,) = pictures.listing(clinic.conn, CONSULT)
    assert one.there


def test_the_same_picture_of_a_second_request_is_not_sent_again(clinic: Clinic) -> None:
    """It is there by its digest."""
    clinic.ask()
    clinic.picture()
    clinic.settle()
    asked = ConsultDraft(5, Urgency.EMERGENCY, Department.SURGERY, "Vết thương, lần hai")
    consults.request(clinic.conn, asked, consult=CONSULT + 1, staff="an", now=clinic.stamp())
    pictures.attach(clinic.conn, CONSULT + 1, patient=5, full=FULL, preview=SMALL, source="file", staff="an", now=clinic.stamp())
    clinic.net.carried.clear()
    clinic.settle()
    assert clinic.parts_carried() == []
    assert pictures.listing(clinic.conn, CONSULT + 1)[0].there
    with reading(clinic.engine) as tx:
        assert bridge_pictures.read(tx, STATION, CONSULT + 1, bridge_pictures.of_consult(tx, STATION, CONSULT + 1)[0].full) == FULL


def test_a_part_in_quarantine_is_asked_for_again(clinic: Clinic) -> None:
    """One message was spoilt in the bridge's hands: its numbers are set aside, and the picture becomes whole all the same."""
    clinic.ask()
    clinic.settle()
    clinic.picture()
    spoilt = False
    for _ in range(200):
        clinic.turn("station")
        queue = clinic.net.queues["up"]
        for place, (topic, payload) in enumerate(queue):
            if not spoilt and topic.endswith(f"/{UP}/{int(Lane.ATTACHMENTS)}"):
                queue[place] = (topic, payload[:-30] + bytes(30))
                spoilt = True
        clinic.net.carry("up")
        clinic.turn("bridge")
        clinic.net.carry("down")
        clinic.pass_time(0.3)
        if spoilt:
            break
    clinic.settle()
    assert clinic.whole()
