"""The door to serial lines, on real pseudo-terminals; what a pseudo-terminal cannot show, on a stand-in for pyserial's object."""

import fcntl
import os
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from appliance.devices.driver import Line
from appliance.devices.errors import DeviceError, PortAbsentError, PortUsedError
from appliance.devices.port import SerialPort, is_simulated, open_port
from appliance.devices.registry import ROWS
from appliance.devices.sim.pty import play_on_pty
from appliance.devices.sim.script import simulate
from tests.devices.ptys import device_on_pty, recording_on_pty
from tests.polling import until

LINE = Line(baud=9600)


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    """Our end of a pseudo-terminal, and the path of the other."""
    master, slave = os.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    os.close(slave)
    yield master, path
    try:
        os.close(master)
    except OSError:
        return


def test_bytes_go_both_ways_untouched(pty: tuple[int, str]) -> None:
    """All 256 values, XON and XOFF and line ends included."""
    master, path = pty
    port = open_port(path, LINE)
    assert port.read(0) == b""
    everything = bytes(range(256))
    os.write(master, everything)
    heard = bytearray()
    until(lambda: (heard.extend(port.read(0)), len(heard) >= 256)[1], what="the bytes")
    assert heard == everything
    port.write(everything, 0)
    assert os.read(master, 1000) == everything
    port.close()


def test_an_unplugged_line_is_a_device_error(pty: tuple[int, str]) -> None:
    """The other end vanishes: reading says so, at once and again."""
    master, path = pty
    port = open_port(path, LINE)
    os.close(master)
    for _ in range(2):
        with pytest.raises(DeviceError, match="gone"):
            until(lambda: port.read(0), within=2, what="the end of the line")
    port.close()
    port.close()


def test_an_absent_port_is_its_own_error(tmp_path: Path) -> None:
    """Not plugged in is not a fault."""
    with pytest.raises(PortAbsentError, match="no such port"):
        open_port(str(tmp_path / "nowhere"), LINE)


def test_a_port_used_by_another_program_is_its_own_error(pty: tuple[int, str]) -> None:
    """Two collectors on one line would steal each other's bytes."""
    _, path = pty
    port = open_port(path, LINE)
    with pytest.raises(PortUsedError, match="used by another program"):
        open_port(path, LINE)
    port.close()
    open_port(path, LINE).close()


def test_a_lock_of_another_program_is_respected(pty: tuple[int, str]) -> None:
    """Also one that is not ours."""
    _, path = pty
    handle = os.open(path, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(PortUsedError):
        open_port(path, LINE)
    os.close(handle)


def test_what_is_no_tty_is_a_device_error(tmp_path: Path) -> None:
    """A file in place of a port is refused, not read."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DeviceError):
        open_port(str(file), LINE)


@pytest.mark.parametrize("name", sorted(name for name, row in ROWS.items() if isinstance(row.line, Line)))
def test_every_setting_is_given_before_the_line_is_opened(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Speed, bits, parity, stop bits and both control lines are set when the port opens, and never again: a
    pseudo-terminal cannot show this (it ignores parity and refuses a second setting), so a stand-in does.
    """
    opened: list[dict[str, Any]] = []

    class StandIn(serial.Serial):
        def open(self) -> None:
            opened.append({
                "port": self.port, "baud": self.baudrate, "bits": self.bytesize, "parity": self.parity, "stop": self.stopbits,
                "dtr": self.dtr, "rts": self.rts, "exclusive": self.exclusive, "flow": (self.xonxoff, self.rtscts, self.dsrdtr),
                "timeout": self.timeout,
            })  # fmt: skip
            self.fd, self.is_open = os.open("/dev/null", os.O_RDWR), True

        def close(self) -> None:
            if self.is_open:
                os.close(self.fd)
                self.is_open = False

        def _reconfigure_port(self, force_update: bool = False) -> None:
            assert not self.is_open, f"set again while open (force_update={force_update})"

    monkeypatch.setattr(serial, "Serial", StandIn)
    line = ROWS[name].line
    assert isinstance(line, Line)
    SerialPort("/dev/null", line).close()
    assert opened == [{
        "port": "/dev/null", "baud": line.baud, "bits": line.bytesize, "parity": line.parity, "stop": line.stopbits,
        "dtr": line.dtr, "rts": line.rts, "exclusive": True, "flow": (False, False, False), "timeout": 0,
    }]  # fmt: skip


def test_line_settings_of_the_families() -> None:
    """Contec 115200 8N1 with DTR on and RTS off, SunTech 9600 8N1."""
    assert ROWS["contec-cms50"].line == Line(115200, 8, "N", 1, dtr=True, rts=False)
    assert ROWS["suntech-nibp"].line == Line(9600, 8, "N")


def test_other_parity_opens_on_a_pty(pty: tuple[int, str]) -> None:
    """Seven bits and even parity do not stop a pseudo-terminal from opening (for rigs; the real settings are proved above)."""
    _, path = pty
    port = open_port(path, Line(9600, bytesize=7, parity="E"))
    assert port.fileno() is not None
    port.close()


def test_simulated_addresses() -> None:
    """Known by their scheme alone."""
    assert is_simulated("sim://contec-cms50")
    assert not is_simulated("/dev/tram/oximeter")


def test_a_simulated_device_on_a_terminal(tmp_path: Path) -> None:
    """It answers through a real tty, is unplugged and plugged in again by orders, and leaves no link behind."""
    link = tmp_path / "oximeter"
    with device_on_pty(simulate("contec-cms50", options={"finger": "in"}), link) as device:
        port = open_port(str(link), ROWS["contec-cms50"].line)
        port.write(bytes.fromhex("7D81A8808080808080"), 0)
        heard = bytearray()
        until(lambda: (heard.extend(port.read(0)), len(heard) >= 36)[1], what="the model, twice")
        assert heard[:9] == heard[18:27]
        device.order("unplug")
        with pytest.raises(DeviceError, match="gone"):
            until(lambda: port.read(0) == b"never", within=5, what="the end of the line")
        port.close()
        assert not link.exists()
        with pytest.raises(PortAbsentError):
            open_port(str(link), LINE)
        device.order("replug")
        until(link.exists, what="the terminal again")
        open_port(str(link), LINE).close()
    assert not link.is_symlink()


def test_a_recording_waits_until_it_is_heard(tmp_path: Path) -> None:
    """Not a byte is lost, though the line was opened late; they come at their pace."""
    link = tmp_path / "line"
    with recording_on_pty(b"0123456789" * 10, link, pace=1000):
        port = open_port(str(link), LINE)
        heard = bytearray()
        until(lambda: (heard.extend(port.read(0)), len(heard) >= 100)[1], what="the recording")
        assert heard == b"0123456789" * 10
        port.close()


def test_a_recording_that_nobody_hears_can_be_stopped(tmp_path: Path) -> None:
    """`stopping` ends it and removes the link."""
    assert play_on_pty(b"x", tmp_path / "line", pace=1, stopping=lambda: True) == 0
    assert not (tmp_path / "line").is_symlink()
