"""`tram-bridge fleet`: which stations are silent, and with which version the others spoke last."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select

from appliance.contract.codec import write_event
from appliance.contract.events import CardRoom, ConsultWithdrawn, Event, StationAccepted, Waiver
from cloud_bridge import fleet, intake
from cloud_bridge.cli import main
from cloud_bridge.store import enrolment_tables, relay_tables, stations
from cloud_bridge.store.engine import open_engine, reading, writing
from tests.bridge import story
from tests.bridge.conftest import Office

NOW = story.T0 + 10 * fleet.DAY
EPOCH = b"epoch-01"


def speak(engine: Engine, station: str, lane: int, seq: int, at: int, software: str) -> None:
    """An event of a station came."""
    body = write_event(Event(story.stamp(), "an", software, ConsultWithdrawn(seq, "x")))
    with writing(engine) as tx:
        tx.execute(insert(relay_tables.event).values(station=station, epoch=EPOCH, lane=lane, seq=seq, kind=1, body=body, at=at))


def register(engine: Engine, *names: str, revoked: int | None = None) -> None:
    """Stations whose epoch is known."""
    with writing(engine) as tx:
        for name in names:
            stations.add(tx, stations.Station(name, 0, f"Trạm {name}", "", 0, 0, bytes(32), story.T0, revoked))
            tx.execute(insert(relay_tables.peer).values(station=name, shard=0, epoch=EPOCH, counter=1, said=1, heard=1))


def test_the_silent_come_first(engine: Engine) -> None:
    """Never heard, heard too long ago, heard of late; the latest event of any lane counts, and a revoked station is not missed."""
    register(engine, "a1", "b2", "c3")
    register(engine, "d4", revoked=story.T0)
    speak(engine, "a1", 0, 1, NOW - fleet.DAY, "0.1.0")
    speak(engine, "a1", 2, 1, NOW - 5, "0.2.0")
    speak(engine, "a1", 2, 2, NOW - 4, "0.2.1")
    speak(engine, "b2", 5, 1, NOW - 3 * fleet.DAY, "0.1.0")
    with reading(engine) as tx:
        found = fleet.boxes(tx, NOW, 2 * fleet.DAY)
    assert [(one.station, one.silent, one.software, one.heard) for one in found] == [
        ("b2", True, "0.1.0", NOW - 3 * fleet.DAY), ("c3", True, "", None), ("a1", False, "0.2.1", NOW - 4), ("d4", False, "", None),
    ]  # fmt: skip


def test_the_command_tells_people_and_programs(tmp_path: Path, migrated: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A table, or one JSON object a line; a wrong number of days is refused."""
    shutil.copy(migrated, tmp_path / "bridge.sqlite")
    file = tmp_path / "bridge.toml"
    file.write_text(f'[bridge]\ndatabase = "sqlite:///{tmp_path}/bridge.sqlite"\nkey_dir = "{tmp_path}/keys"\n', encoding="utf-8")
    engine = open_engine(f"sqlite:///{tmp_path}/bridge.sqlite")
    register(engine, "tram-0001")
    speak(engine, "tram-0001", 2, 1, NOW, "0.2.0")
    engine.dispose()
    assert main(["fleet", "--json", "--silent-days", "100000", "--config", str(file)]) == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["station"], said["silent"], said["software"], said["heard"][:4]) == ("tram-0001", False, "0.2.0", "2026")
    assert main(["fleet", "--silent-days", "1", "--config", str(file)]) == 0
    assert "tram-0001" in capfd.readouterr().out
    assert main(["fleet", "--silent-days", "0", "--config", str(file)]) == 1
    assert "expected" in capfd.readouterr().err


def test_who_accepted_a_station_and_how_full_its_card_is(engine: Engine) -> None:
    """The latest acceptance by the box's clock with its waivers, the latest word on the card; never told is not guessed."""
    register(engine, "tram-0001", "tram-0002")
    first = StationAccepted("Kỹ Thuật Một", "540R-0003", ("card",), ("camera",), (Waiver("link", "chưa có\nSIM"),))
    second = StationAccepted("Kỹ Thuật Hai", "540R-0003", ("card", "link"))
    told = [(second, 60.0), (first, 0.0), (CardRoom(512, 1024), 50.0), (CardRoom(100, 1024), 10.0)]
    with writing(engine) as tx:
        for number, (body, seconds) in enumerate(told):
            one = story.event(body, seconds)
            intake.apply(tx, "tram-0001", one, story.T0 + 1000, story.place(number, one))
    with reading(engine) as tx:
        found = {one.station: one for one in fleet.boxes(tx, NOW, fleet.DAY)}
        (kept,) = [one for one in tx.execute(select(enrolment_tables.acceptance)) if one.technician == "Kỹ Thuật Một"]
    accepted = found["tram-0001"].accepted
    assert accepted is not None
    assert (accepted.technician, accepted.waived, found["tram-0001"].used) == ("Kỹ Thuật Hai", (), 0.5)
    assert (kept.waived, kept.absent) == ("link: chưa có SIM", "camera")
    assert (found["tram-0002"].accepted, found["tram-0002"].used) == (None, None)


def test_the_page_tells_the_operator_which_box_is_silent_how_full_its_card_is_and_who_accepted_it(office: Office) -> None:
    """Only boxes of stations one may know of; what was never told reads *không rõ*, not zero; beside it the way back."""
    with writing(office.engine) as tx:
        stations.add(tx, stations.Station("la-01", 0, "Trạm lạ", "Đơn vị khác", 0, 0, bytes(32), story.T0, None))
    doctor = office.doctor()
    before = doctor.get("/fleet/").text
    assert "im lặng" in before
    assert "chưa bao giờ" in before
    assert "không rõ" in before
    assert "chưa nghiệm thu" in before
    assert "Trạm lạ" not in before
    told = StationAccepted("Kỹ Thuật Một", "540R-0003", ("card",), (), (Waiver("link", "chưa có SIM"),))
    office.hear(story.event(told), story.event(CardRoom(512, 1024)))
    with writing(office.engine) as tx:
        tx.execute(insert(relay_tables.peer).values(station=story.STATION, shard=0, epoch=EPOCH, counter=1, said=1, heard=1))
    speak(office.engine, story.STATION, 2, 1, office.time.wall, "0.2.0")
    after = doctor.get("/fleet/").text
    for word in ("0.2.0", "đầy 50 %", "Kỹ Thuật Một", "miễn link: chưa có SIM", "Không trạm nào im lặng"):
        assert word in after, word
    assert "chưa bao giờ" not in after
    assert 'href="/fleet/"' in doctor.get("/stations/").text
