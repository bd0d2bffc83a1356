"""A device's memory: read when a person asks, twice the same, in the tray with the device's own time, and nobody's."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from appliance.cli import main
from appliance.commands import device as device_commands
from appliance.contract.duplicates import offset_of
from appliance.contract.events import DeviceClockRead
from appliance.contract.readings import Source
from appliance.store import audit, measuring, memory
from appliance.store.measuring import State
from tests.agent.collecting import TURN_S, Room
from tests.store.station import Station

RECALL = json.dumps({"do": "recall"}).encode()


@pytest.fixture
def room(station: Station) -> Iterator[Callable[..., Room]]:
    """Makes a room with a device of this driver; ended with the test."""
    made: list[Room] = []

    def make(driver: str, **options: str) -> Room:
        made.append(Room(station, driver, device="device", **options).begin())
        return made[-1]

    yield make
    for each in made:
        each.close()


def recall(room: Room) -> dict:
    """A person asks for what is in the memory."""
    with room.line() as kiosk:
        return kiosk.say(RECALL) or {}


def settled(room: Room) -> Room:
    """Turn until nothing has come for three seconds."""
    count = -1
    while count != room.live()["memory"]["records"]:
        count = room.live()["memory"]["records"]
        room.run(3)
    return room


@pytest.mark.parametrize("driver", ["omron-hem790", "omron-hem7301", "contec08a"])
def test_two_downloads_give_each_reading_once(room: Callable[..., Room], driver: str) -> None:
    """The cuff repeats its whole memory; the reading key lets each record in once, and the screen says how many were new."""
    here = room(driver)
    settled(here.run(2))
    first = {row.key for row in here.rows()}
    assert len(first) >= 3
    assert recall(here) == {"accepted": True}
    settled(here)
    assert {row.key for row in here.rows()} == first
    assert here.live()["memory"] == {"records": len(first), "new": 0, "read": len(first)}


@pytest.mark.parametrize(("driver", "options"), [("omron-hem790", {"stored": "0"}), ("contec08a", {"stored": "0"})])
def test_a_memory_without_a_record_is_said_to_have_been_read(room: Callable[..., Room], driver: str, options: dict[str, str]) -> None:
    """Nothing came, and that is all there is: the screen can say so instead of nothing."""
    here = settled(room(driver, **options).run(2))
    assert recall(here) == {"accepted": True}
    assert here.live()["memory"]["read"] is None
    settled(here)
    assert here.live()["memory"] == {"records": 0, "new": 0, "read": 0}


def test_a_device_that_is_switched_off_is_not_said_to_be_empty(room: Callable[..., Room]) -> None:
    """Its memory is unknown, and the word for it is shown."""
    here = settled(room("contec08a", power="off").run(2))
    assert here.live()["memory"]["read"] is None
    assert here.live()["invalid"] == "switched-off"


def test_the_command_asks_the_collector_as_the_kiosk_does(
    room: Callable[..., Room], station: Station, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``tram device recall``: the collector keeps the port, the command tells how many records came, the log has who asked."""
    here = settled(room("omron-hem790").run(2))
    count = len(here.rows())
    file = tmp_path / "tram.toml"
    paths, key = station.settings.paths, station.settings.store.key_file
    file.write_text(
        f'[station]\nid = "{station.settings.station.id}"\n[paths]\ndata = "{paths.data}"\nrun = "{paths.run}"\n'
        f'[store]\nkey_file = "{key}"\nballast_mb = 0\n[devices.device]\ndriver = "omron-hem790"\n'
        'port = "/dev/tram/device"\nsimulated = true\n'
    )
    monkeypatch.setattr(device_commands, "_now", station.clock.boottime_ns)  # the room's clock is turned by hand
    codes: list[int] = []
    words = ["--config", str(file), "device", "recall", "device", "--seconds", "30"]
    asking = Thread(target=lambda: codes.append(main(words)))
    asking.start()
    for _ in range(400):
        if not asking.is_alive():
            break
        here.run(1)
        asking.join(0.05)
    asking.join(5)
    said = capsys.readouterr()
    assert codes == [0], said.err
    assert json.loads(said.out.splitlines()[-1]) == {"device": "device", "records": count, "new": 0, "ended": True}
    assert "trong khay" in said.err
    assert audit.entries(station.conn)[0].action == "memory.read"


def test_what_comes_from_the_memory_is_nobodys(room: Callable[..., Room], station: Station) -> None:
    """Also while a patient's session stands on the device: in the tray, with the device's own time, for a person to look at."""
    station.session(station.patient(), "device")
    here = settled(room("omron-hem7301").run(2))
    assert here.rows()
    for row in here.rows():
        assert (row.state, row.session, row.reading.source) == (State.UNASSIGNED, None, Source.MEMORY)
        assert row.reading.device_time


def test_the_devices_clock_is_read_and_kept_beside_each_record(room: Callable[..., Room], station: Station) -> None:
    """Raw, with the box's own time and the distance between them; sent once, with the first records that go with it."""
    here = settled(room("omron-hem7301").run(2))
    (said,) = [event.body for event in station.events(DeviceClockRead.KIND)]
    clock = station.conn.execute("SELECT said, wall, ahead FROM device_clock").fetchone()
    assert (said.said, said.ahead) == (clock[0], clock[2])
    assert clock[2] == offset_of(clock[0], clock[1])
    assert {memory.offset(station.conn, row.reading) for row in here.rows()} == {clock[2]}
    recall(here)
    settled(here)
    assert len(station.events(DeviceClockRead.KIND)) == 1  # nothing new came, so nothing is said


def test_the_memory_of_an_oximeter_is_read_and_the_stream_goes_on(room: Callable[..., Room]) -> None:
    """Live and memory cannot run together: the stream stops for the download and comes back by itself."""
    here = room("contec-cms50", stored="40", finger="out").until_ready()
    assert recall(here) == {"accepted": True}
    here.run(20)
    assert [row.reading.source for row in here.rows()] == [Source.MEMORY, Source.MEMORY]  # two recordings
    here.finger("in").run(14)
    assert [row.reading.source for row in here.rows()] == [Source.MEMORY, Source.MEMORY, Source.LIVE]


def test_nobody_is_interrupted_by_a_download(room: Callable[..., Room], station: Station) -> None:
    """While a finger is being measured the memory is not asked for."""
    here = room("contec-cms50").until_ready()
    station.session(station.patient(), "device")
    here.finger("in").run(4)
    assert recall(here) == {"accepted": False, "reason": "busy"}
    here.run(10)
    assert [row.state for row in here.rows()] == [State.SETTLED]


def test_a_device_without_a_memory_says_so(room: Callable[..., Room]) -> None:
    """A word, and not a byte to the device."""
    here = room("nonin").run(2)
    assert recall(here) == {"accepted": False, "reason": "no-memory"}
    assert here.cable.sent == b""


def test_a_device_that_is_away_has_no_memory_to_give(room: Callable[..., Room]) -> None:
    """Asked while the cable is out: refused, and not done later."""
    here = room("omron-hem7301")
    settled(here.run(2))
    here.cable.plugged = False
    here.run(1)
    assert recall(here)["accepted"] is False


def test_tray_rows_are_never_given_away_by_a_machine(room: Callable[..., Room], station: Station) -> None:
    """Fifteen minutes later they are sent without a patient; no record has them."""
    here = settled(room("omron-hem7301").run(2))
    station.later(20 * 60)
    assert measuring.send_unassigned(station.conn, station.now) == len(here.rows())
    assert station.conn.execute("SELECT count(*) FROM observation").fetchone()[0] == 0
    here.run(TURN_S)
