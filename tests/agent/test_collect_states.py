"""The collector and its device's states: storms, a port in other hands, silence, and what the store and the bridge hear of health."""

from collections.abc import Iterator

import pytest

from appliance.agent.collect import Job, NotInServiceError, check
from appliance.contract.events import DeviceHealth, DeviceRegistered
from appliance.devices.driver import Hid, Line
from appliance.devices.errors import PortAbsentError, PortUsedError
from appliance.devices.port import Port
from appliance.store import register
from tests.agent.collecting import TURN_S, Room
from tests.store.station import Station


@pytest.fixture
def room(station: Station) -> Iterator[Room]:
    """An oximeter and its collector, not begun."""
    made = Room(station, "contec-cms50", device="oximeter", finger="in")
    yield made
    made.close()


def test_an_adapter_that_comes_and_goes_is_opened_rarely(room: Room) -> None:
    """Twenty appearances in a second, for three seconds: two or three openings, the state says lost, and it recovers by itself."""
    here = room.begin().until_ready()
    begun = here.cable.opened
    for _ in range(60):
        here.cable.plugged = False
        here.run(TURN_S)
        here.cable.plugged = True
        here.run(TURN_S)
    assert 1 <= here.cable.opened - begun <= 3
    here.run(12)
    live = here.live()
    assert live["state"] in ("ready", "measuring")
    assert 1 <= live["reopenings"] <= 4


def test_a_port_in_other_hands_is_reported_as_such(room: Room) -> None:
    """Port used by another program: its own message, and gone when the port is free."""
    taken = [True]
    real = room.cable.open

    def opens(path: str, line: Line | Hid) -> Port:
        """As the cable, unless somebody has it."""
        if taken[0]:
            raise PortUsedError(path, "the port is used by another program")
        return real(path, line)

    room.cable.open = opens  # type: ignore[method-assign]
    here = room.begin().run(1)
    assert (here.live()["state"], here.live()["message"]) == ("opening", "port-used")
    taken[0] = False
    here.run(4)
    assert here.live()["message"] is None
    assert here.live()["state"] in ("ready", "measuring")


def test_another_reason_takes_the_place_of_the_port_in_other_hands(room: Room) -> None:
    """The program that had the port is gone with the adapter: the screen does not go on blaming it."""
    errors: list[type[OSError]] = [PortUsedError]

    def opens(path: str, _line: Line | Hid) -> Port:
        """Whatever stands in the list."""
        raise errors[0](path, "no")

    room.cable.open = opens  # type: ignore[method-assign]
    here = room.begin().run(1)
    assert here.live()["message"] == "port-used"
    errors[0] = PortAbsentError
    here.run(4)
    assert (here.live()["state"], here.live()["message"]) == ("absent", None)


def test_a_line_that_stays_silent_is_opened_again(room: Room) -> None:
    """A minute of silence beyond what the family allows: closed and opened again, stale all the while, ready with the first frame."""
    here = room.begin().until_ready()
    begun = here.cable.opened
    here.cable.script.order("silent", 0)
    here.run(20)
    assert (here.live()["state"], here.cable.opened) == ("stale", begun)
    here.run(50)
    assert (here.live()["state"], here.cable.opened) == ("stale", begun + 1)
    assert here.live()["silence_s"] < 20
    here.cable.script.order("resume", 0)
    here.run(8)
    assert here.live()["state"] in ("ready", "measuring")


def noisy(here: Room, seconds: float) -> None:
    """Every read of the line has as much noise as it has frames."""
    real = here.cable.read

    def read(now_ns: int) -> bytes:
        """Noise behind what the device says."""
        data = real(now_ns)
        return data + b"\xff" * len(data)

    here.cable.read = read  # type: ignore[method-assign]
    here.run(seconds)
    here.cable.read = real  # type: ignore[method-assign]


def test_ten_bad_bytes_of_a_hundred_are_an_alarm_that_the_bridge_hears_once(room: Room, station: Station) -> None:
    """In the live file at once; in the store and the outbox when it begins; its end and a new beginning not within the hour."""
    here = room.begin(inventory="TB-7", next_calibration="2026-01-01").until_ready()
    assert here.live()["alarm"] is False
    assert station.events(DeviceHealth.KIND) == []
    noisy(here, 4)
    assert here.live()["alarm"] is True
    assert here.live()["bad_ratio"] >= 0.1
    heard = register.heard(station.conn, "oximeter")
    assert heard is not None
    assert heard.alarm
    assert heard.bad >= 100
    (said,) = station.events(DeviceHealth.KIND)
    assert isinstance(said.body, DeviceHealth)
    assert (said.body.alarm, said.body.device) == (True, heard.device)
    (device,) = station.events(DeviceRegistered.KIND)
    assert isinstance(device.body, DeviceRegistered)
    assert (device.body.device, device.body.inventory, device.body.next_calibration) == (heard.device, "TB-7", "2026-01-01")
    assert device.body.identity == "contec-cms50#TB-7"
    here.run(40)
    assert here.live()["alarm"] is False
    noisy(here, 4)
    here.run(40)
    assert len(station.events(DeviceHealth.KIND)) == 1
    station.hand.seconds += 3600
    here.run(5)
    assert [one.body.alarm for one in station.events(DeviceHealth.KIND) if isinstance(one.body, DeviceHealth)] == [True, False]


def test_a_driver_that_only_listens_never_writes(station: Station) -> None:
    """Whatever a listening driver says, no byte leaves; here one that wants to."""
    here = Room(station, "nonin", device="oximeter", finger="in").begin()
    try:
        here.run(3)
        from appliance.devices.events import Send

        here.collector._take([Send(b"\x01")], 0)
        assert here.cable.sent == b""
        assert "only listens" in here.journal.getvalue()
    finally:
        here.close()


def test_an_experimental_driver_needs_the_technicians_leave() -> None:
    """In production it is refused without; with it, it runs; a simulator never does."""
    job = Job("cuff", "maibobo", "usb:1-1.2:1.0")
    with pytest.raises(NotInServiceError):
        check(job, "production")
    assert check(Job("cuff", "maibobo", "usb:1-1.2:1.0", experimental=True), "production").name == "maibobo"
    with pytest.raises(NotInServiceError):
        check(Job("cuff", "maibobo", "sim://maibobo", experimental=True), "production")
