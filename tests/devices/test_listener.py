"""Monitors on the station's own network: who is heard, where the port is open, and whose their numbers are."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance import journal
from appliance.agent.collect import Collector, check
from appliance.cli import main
from appliance.devices.driver import Line
from appliance.devices.drivers.hl7_mllp import UNIT
from appliance.devices.errors import DeviceError, PortUsedError
from appliance.devices.listener import LanPort
from appliance.devices.port import check_address, open_port
from appliance.devices.sim.hl7_mllp import message, observation
from appliance.store import measuring
from appliance.store.measuring import State
from tests.agent.collecting import Room
from tests.polling import until
from tests.store.station import Station


def free() -> int:
    """A port that nobody has."""
    with closing(socket.socket()) as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


@pytest.fixture
def port() -> Iterator[LanPort]:
    """A listening port on loopback."""
    made = open_port(f"tcp://127.0.0.1:{free()}", Line(9600))
    assert isinstance(made, LanPort)
    yield made
    made.close()


def connect(port: LanPort) -> socket.socket:
    """A monitor."""
    return socket.create_connection(("127.0.0.1", int(port.name.rpartition(":")[2])), timeout=5)


def test_a_monitor_is_heard_and_another_takes_its_place(port: LanPort) -> None:
    """The newest connection counts, bytes of two never come in one read, and a monitor that leaves is waited for."""
    assert port.read(0) == b""
    with connect(port) as first:
        first.sendall(b"one")
        assert until(lambda: port.read(0)) == b"one"
        with connect(port) as second:
            second.sendall(b"two")
            assert until(lambda: port.read(0)) == b"two"
            assert first.recv(9) == b""
    assert port.read(0) == b""
    with connect(port) as third:
        third.sendall(b"three")
        assert until(lambda: port.read(0)) == b"three"


def test_nothing_is_sent_to_a_monitor(port: LanPort) -> None:
    """No byte goes out, whoever asks."""
    with connect(port), pytest.raises(DeviceError, match="nothing is sent"):
        port.write(b"x", 0)


def test_a_port_that_is_taken_is_said(port: LanPort) -> None:
    """Another program listens there."""
    with pytest.raises(PortUsedError):
        LanPort(port.name)


@pytest.mark.parametrize(
    "address",
    [
        "tcp://0.0.0.0:2575", "tcp://[::]:2575", "tcp://8.8.8.8:2575", "tcp://192.168.1.5", "tcp://192.168.1.5:80", "tcp://192.168.1.5:99999",
        "tcp://monitor:2575", "tcp://192.168.1.5:2575/x", "tcp://",
    ],
)  # fmt: skip
def test_only_an_address_inside_the_station_is_one(address: str) -> None:
    """Never every address of the box, never a public one, never a name; the message has an example."""
    with pytest.raises(ValueError, match=r"tcp://192\.168\.10\.1:2575"):
        check_address(address)


def test_what_a_monitor_sends_is_nobodys_until_a_person_says_whose(station: Station, tmp_path: Path) -> None:
    """`tram listen`: the message lies in the tray even with a patient open on that device: it may have waited in the monitor."""
    at = free()
    file = next(tmp_path.rglob("tram.toml"))
    file.write_text(file.read_text() + f'[devices.monitor]\ndriver = "hl7-mllp"\nport = "tcp://127.0.0.1:{at}"\n')
    station.session(station.patient(), "monitor")
    sent = message(
        [observation(1, "150456^MDC_PULS_OXIM_SAT_O2^MDC", "97", "%"), observation(2, "149530^MDC_PULS_OXIM_PULS_RATE^MDC", "71", "bpm")]
    )

    def monitor() -> None:
        with closing(until(lambda: _try(at), what="the port to open")) as line:
            line.sendall(sent)
            line.recv(1)  # until it hangs up

    thread = threading.Thread(target=monitor)
    thread.start()
    try:
        assert main(["--config", str(file), "listen", "monitor", "--once"]) == 0
    finally:
        thread.join()
    row = measuring.measurement(station.conn, 1)
    assert row is not None
    assert (row.state, row.session, row.patient) == (State.UNASSIGNED, None, None)
    assert [each.value for each in row.reading.numerics] == [97, 71]


def test_a_patient_open_on_a_monitor_gets_nothing_by_itself(station: Station) -> None:
    """The session stands, the message comes in it, and still a person has to say whose it is."""
    here = Room(station, "hl7-mllp", device="monitor", cycle="2")
    here.collector = Collector(
        here.job, which=check(here.job, "test", UNIT), conn=here.conn, clock=station.clock, run=here.run_dir,
        log=journal.open("listen", here.journal), opens=here.cable.open,
    )  # fmt: skip
    session = station.session(station.patient(), "monitor")
    station.later(60)
    here.run(5)
    here.close()
    assert measuring.session(station.conn, session)
    assert {(row.state, row.session) for row in here.rows()} == {(State.UNASSIGNED, None)}


def _try(at: int) -> socket.socket | None:
    try:
        return socket.create_connection(("127.0.0.1", at), timeout=60)
    except OSError:
        return None


def test_a_device_on_a_line_is_not_listened_for(station: Station, tmp_path: Path) -> None:
    """`tram listen` serves what comes over the network only, as `tram collect` everything else only."""
    file = next(tmp_path.rglob("tram.toml"))
    file.write_text(
        file.read_text() + '[devices.oxi]\ndriver = "nonin"\nport = "/dev/ttyS9"\n'
        '[devices.monitor]\ndriver = "hl7-mllp"\nport = "tcp://127.0.0.1:2575"\n'
    )
    assert main(["--config", str(file), "listen", "oxi", "--once"]) == 1
    assert main(["--config", str(file), "collect", "monitor", "--once"]) == 1
