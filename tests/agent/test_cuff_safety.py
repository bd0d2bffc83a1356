"""What a cuff may never do to an arm: squeeze it twice for one press, too often, or without anybody noticing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.agent.collect import cuffs_beside
from appliance.agent.resting import Squeeze
from appliance.contract.metrics import Status
from appliance.devices.drivers.suntech_nibp import ABORT, ASK_PRESSURE, START
from appliance.settings import load
from appliance.store.measuring import State
from tests.agent.collecting import Kiosk, Room
from tests.store.station import Station


@pytest.fixture
def rooms(station: Station) -> Iterator[Callable[..., Room]]:
    """Makes rooms on one station; all ended with the test."""
    made: list[Room] = []

    def make(
        driver: str = "suntech-nibp", device: str = "cuff", rest_s: float | None = 0.0, options: dict | None = None, **job: Any
    ) -> Room:
        here = Room(station, driver, device=device, **(options or ({"cycle": "4"} if device == "cuff" else {})))
        here.cable.rest_s = rest_s
        made.append(here.begin(**job).until_ready())
        return here

    yield make
    for each in made:
        each.close()


def press(room: Room, patient: int) -> str:
    """A person presses start for a patient and stays until the cuff is done; the word of a refusal, or nothing."""
    with room.line() as kiosk:
        session = room.station.session(patient)
        room.run(0.2)
        answer = kiosk.start(session) or {}
        room.run(6)
    return str(answer.get("reason", ""))


# --- one press, one squeeze -----------------------------------------------------------------------------------------------


class Deaf:
    """The line of a cuff whose next `lost` replies nobody hears: the cuff does what it was told, and says so to nobody."""

    def __init__(self, room: Room, lost: int) -> None:
        self._room, self._read, self.lost, self._deaf = room, room.cable.read, lost, False
        self._write = room.cable.write
        room.cable.read, room.cable.write = self.read, self.write

    def write(self, data: bytes, now_ns: int) -> None:
        """Deaf from the start on."""
        self._deaf = self._deaf or data in START.values()
        self._write(data, now_ns)

    def read(self, now_ns: int) -> bytes:
        """Nothing, for as many replies as are to be lost."""
        data = self._read(now_ns)
        if self._deaf and data and self.lost:
            self.lost -= 1
            return b""
        return data


def test_after_a_lost_reply_the_pressure_is_asked_and_nothing_is_started_again(rooms: Callable[..., Room], station: Station) -> None:
    """The cuff started, its word got lost: one start went out, the question for the pressure behind it, and the reading is saved."""
    room = rooms()
    Deaf(room, 1)
    room.cable.sent = b""
    assert press(room, station.patient()) == ""
    sent = room.cable.sent
    assert sent.count(START["adult"]) == 1
    assert ASK_PRESSURE in sent[sent.index(START["adult"]) :]
    assert [row.state for row in room.rows()] == [State.SETTLED]


def test_a_start_that_nobody_confirms_ends_in_an_abort(rooms: Callable[..., Room], station: Station) -> None:
    """Every reply is lost for seconds: still one start, then abort."""
    room = rooms()
    Deaf(room, 400)
    room.cable.sent = b""
    press(room, station.patient())
    assert room.cable.sent.count(START["adult"]) == 1
    assert ABORT in room.cable.sent
    assert room.rows() == []


# --- rest and ceiling -----------------------------------------------------------------------------------------------------


def test_an_arm_rests_between_two_inflations(rooms: Callable[..., Room], station: Station) -> None:
    """Refused with a word until the pause of the settings is over; a refused press squeezes nothing."""
    room = rooms(rest_s=45.0)
    patient = station.patient()
    assert press(room, patient) == ""
    assert press(room, patient) == "rest"
    for _ in range(5):
        room.run(8)
    assert press(room, patient) == ""
    assert room.cable.sent.count(START["adult"]) == 2


def test_the_settings_say_how_long_and_how_often(rooms: Callable[..., Room], station: Station) -> None:
    """Two in an hour, as this station's cuff was set; the third is refused, somebody else's arm is fresh."""
    room = rooms(cycles_per_hour=2)
    tired = station.patient("Thử Nghiệm Một")
    assert [press(room, tired) for _ in range(3)] == ["", "", "too-many"]
    assert press(room, station.patient("Thử Nghiệm Hai")) == ""


def test_a_collector_that_was_started_anew_remembers_the_hour(rooms: Callable[..., Room], station: Station) -> None:
    """What was measured is in the store: a restart gives no arm another dozen."""
    room = rooms(cycles_per_hour=2)
    tired = station.patient()
    assert [press(room, tired) for _ in range(2)] == ["", ""]
    room.collector.close()
    room.begin().until_ready()
    assert press(room, tired) == "too-many"


# --- air that was found ---------------------------------------------------------------------------------------------------


def test_a_restarted_collector_that_finds_air_aborts_and_says_so(rooms: Callable[..., Room], station: Station) -> None:
    """The one before was killed in mid-cycle: abort is the first thing said to the cuff, and the screen says what is going on."""
    room = rooms(options={"cycle": "60"})
    kiosk = Kiosk(room)
    assert (kiosk.start(station.session(station.patient())) or {})["accepted"]
    room.run(1.5)
    room.collector._port = None  # killed: not a word more to the cuff
    room.collector.close()
    room.cable.sent = b""
    room.begin()
    words = []
    for _ in range(100):
        room.run(0.04)
        words.append(room.live()["message"])
    assert room.cable.sent.startswith(ABORT)
    assert "air-found" in words
    assert words[-1] is None
    assert room.live()["state"] == "ready"
    assert room.rows() == []


# --- the probe on the cuff's arm ------------------------------------------------------------------------------------------


def both(rooms: Callable[..., Room], **probe: Any) -> tuple[Room, Room]:
    """A cuff and an oximeter of one station."""
    return rooms(options={"cycle": "8"}), rooms("contec-cms50", "oximeter", None, {"finger": "out"}, cuffs=("cuff",), **probe)


def together(cuff: Room, probe: Room, seconds: float) -> None:
    """Both collectors turn on one clock."""
    for _ in range(round(seconds / 0.02)):
        cuff.collector.turn()
        probe.run(0.02)


def test_a_saturation_under_the_cuff_is_questionable(rooms: Callable[..., Room], station: Station) -> None:
    """The finger measures while the cuff on the same arm squeezes: kept, marked, and the screen says why."""
    cuff, probe = both(rooms)
    patient = station.patient()
    session = station.session(patient)
    station.session(patient, "oximeter")
    kiosk = Kiosk(cuff)
    assert (kiosk.start(session) or {})["accepted"]
    probe.finger("in")
    together(cuff, probe, 3)
    assert probe.live()["message"] == "cuff-on-arm"
    together(cuff, probe, 12)
    (row,) = [row for row in probe.rows() if row.device == "oximeter"]
    assert row.reading.status & Status.QUESTIONABLE
    assert row.state is State.SETTLED


def test_a_saturation_without_the_cuff_is_not(rooms: Callable[..., Room], station: Station) -> None:
    """The same two devices, the cuff at rest."""
    cuff, probe = both(rooms)
    station.session(station.patient(), "oximeter")
    probe.finger("in")
    together(cuff, probe, 14)
    (row,) = probe.rows()
    assert not row.reading.status & Status.QUESTIONABLE


def test_the_cuff_of_another_patient_spoils_nothing(rooms: Callable[..., Room], station: Station) -> None:
    """Two people are measured at once: the cuff is on one, the probe on the other."""
    cuff, probe = both(rooms)
    session = station.session(station.patient("Thử Nghiệm Một"))
    station.session(station.patient("Thử Nghiệm Hai"), "oximeter")
    kiosk = Kiosk(cuff)
    together(cuff, probe, 1)
    assert (kiosk.start(session) or {})["accepted"]
    probe.finger("in")
    together(cuff, probe, 14)
    (row,) = [row for row in probe.rows() if row.device == "oximeter"]
    assert not row.reading.status & Status.QUESTIONABLE


def test_which_cuffs_are_on_the_same_arm(tmp_path: Path) -> None:
    """The settings say the arm; where one of the two does not, it may be the same."""
    file = tmp_path / "settings.toml"
    text = (
        '[station]\nid = "tram-0001"\n[devices.cuff]\ndriver = "suntech-nibp"\nport = "/dev/a"\narm = "{}"\n'
        '[devices.ox]\ndriver = "nonin"\nport = "/dev/b"\narm = "{}"\n'
    )
    for cuff, probe, same in (("left", "left", True), ("left", "right", False), ("", "right", True), ("left", "", True), ("", "", True)):
        file.write_text(text.format(cuff, probe), encoding="utf-8")
        assert cuffs_beside(load([file]), "ox") == (("cuff",) if same else ())


def test_an_old_live_file_squeezes_nothing(tmp_path: Path) -> None:
    """A cuff's file that is older than two seconds says nothing about now; a damaged one neither."""
    file = tmp_path / "cuff.live"
    file.write_text(json.dumps({"boottime_ns": 0, "signals": {"cuff_pressure": 120}}), encoding="utf-8")
    for at, air in ((1, True), (3, False)):
        assert Squeeze(tmp_path, ("cuff",)).now(at * 10**9, lambda _session: False) is air
    file.write_text("[", encoding="utf-8")
    assert not Squeeze(tmp_path, ("cuff",)).now(10**9, lambda _session: False)
