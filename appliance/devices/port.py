"""The one door to serial lines. Nothing else in the project imports pyserial.

`open_port` opens a tty (or ``sim://…``, a device that does not exist) with all its settings at once: a pseudo-terminal
refuses to be set again, and a real line must never run even a moment with wrong ones. There is no software flow control.
Everything that goes wrong is a `DeviceError` (an OSError: wait and try again).
"""

import errno
import fcntl
import os
import select
import termios
from typing import Any, Protocol

from appliance.devices.driver import LAN, Hid, Line
from appliance.devices.errors import DeviceError, PortAbsentError, PortUsedError

MOST = 4096
"""The most bytes of one read: what the kernel holds for a tty."""
WRITE_S = 0.5
"""A write that the line does not take within this time has failed (nine bytes at 9600 baud take 10 ms)."""
SIM_WAIT_S = 0.02
"""A simulated port has no file descriptor to wait on: it is asked this often."""


class Port(Protocol):
    """An open line."""

    name: str
    simulated: bool
    rest_s: float | None
    """Only a simulated cuff may say how long its arm rests."""
    wait_s: float | None
    """Ask again after this long, where `fileno` is None."""

    def fileno(self) -> int | None:
        """What to wait on for bytes, or None."""

    def read(self, now_ns: int) -> bytes:
        """The bytes that are there; empty when there are none. DeviceError when the line is gone."""

    def write(self, data: bytes, now_ns: int) -> None:
        """Send; DeviceError when the line does not take it."""

    def close(self) -> None:
        """Give the line back."""


class SerialPort:
    """A tty."""

    simulated = False
    rest_s: float | None = None
    wait_s: float | None = None

    def __init__(self, path: str, line: Line) -> None:
        self.name = path
        self._serial = _open(path, line)
        self._fd: int = self._serial.fileno()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN | select.POLLHUP | select.POLLERR)

    def fileno(self) -> int | None:
        """The tty's descriptor."""
        return self._fd

    def read(self, now_ns: int) -> bytes:  # noqa: ARG002 - a real line has its own time
        """What has arrived. An unplugged adapter is *ready* and gives nothing: that is how it says good-bye."""
        if not self._poll.poll(0):
            return b""
        try:
            data = os.read(self._fd, MOST)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise DeviceError(self.name, f"the line is gone ({error.strerror})") from error
        if not data:
            raise DeviceError(self.name, "the line is gone (unplugged)")
        return data

    def write(self, data: bytes, now_ns: int) -> None:  # noqa: ARG002 - a real line has its own time
        """Send all of it."""
        try:
            self._serial.write(data)
        except OSError as error:
            raise DeviceError(self.name, f"cannot write ({error})") from error

    def close(self) -> None:
        """Close; what a vanished adapter still complains about does not matter."""
        try:
            self._serial.close()
        except (OSError, termios.error):
            return


class SimPort:
    """A simulated device behind the same interface; see `appliance.devices.sim.script.from_url` for the address."""

    simulated = True
    wait_s: float | None = SIM_WAIT_S

    def __init__(self, url: str) -> None:
        from appliance.devices.sim.script import from_url

        self.name = url
        self.script, outer = from_url(url)
        self.rest_s = float(outer["rest"]) if "rest" in outer else None

    def fileno(self) -> int | None:
        """None: ask every `wait_s`."""
        return None

    def read(self, now_ns: int) -> bytes:
        """What the device has sent by now."""
        if not self.script.plugged(now_ns):
            raise DeviceError(self.name, "the line is gone (unplugged)")
        return self.script.output(now_ns)

    def write(self, data: bytes, now_ns: int) -> None:
        """To the device."""
        if not self.script.plugged(now_ns):
            raise DeviceError(self.name, "the line is gone (unplugged)")
        self.script.feed(data, now_ns)

    def close(self) -> None:
        """Nothing to close: the device goes on by itself."""


def is_simulated(path: str) -> bool:
    """True for an address of a device that does not exist."""
    return path.startswith("sim://")


def check_address(path: str) -> None:
    """ValueError for a ``sim://`` address that names an unknown device, option or fault, and for a ``tcp://`` one that is none."""
    if is_simulated(path):
        SimPort(path)
    elif path.startswith(LAN):
        from appliance.devices.listener import lan_address

        lan_address(path)


def open_port(path: str, line: Line | Hid) -> Port:
    """The open line behind a path, a ``sim://`` or a ``tcp://`` address; for a HID device ``hid`` finds it by its ids.

    PortAbsentError when there is none, PortUsedError when another program has it, else DeviceError. ValueError for an address
    that cannot be read.
    """
    if is_simulated(path):
        return SimPort(path)
    if path.startswith(LAN):
        from appliance.devices.listener import LanPort

        return LanPort(path)
    if isinstance(line, Hid):
        from appliance.devices.hidraw import HidPort

        return HidPort(path, line)
    return SerialPort(path, line)


def _open(path: str, line: Line) -> Any:
    import serial

    # Not opened yet: DTR and RTS are set before the port is, so that the adapter never shows other levels.
    port = serial.Serial(
        None, line.baud, bytesize=line.bytesize, parity=line.parity, stopbits=line.stopbits, timeout=0, write_timeout=WRITE_S,
        xonxoff=False, rtscts=False, dsrdtr=False, exclusive=True,
    )  # fmt: skip
    port.dtr, port.rts = line.dtr, line.rts
    port.port = path
    try:
        port.open()
    except OSError as error:  # pyserial's own error is one
        raise _named(path, error) from error
    except termios.error as error:
        raise DeviceError(path, f"the line refuses its settings ({error})") from error
    _keep_others_out(path, port.fileno())
    return port


def _named(path: str, error: OSError) -> DeviceError:
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return PortAbsentError(path, "no such port")
    if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY):
        return PortUsedError(path, "the port is used by another program")
    return DeviceError(path, str(error))


def _keep_others_out(path: str, fd: int) -> None:
    """Ask the kernel to refuse a second opening: the lock alone stops only programs that ask for it.

    Not on a pseudo-terminal: there the mark outlives us as long as its other end is open.
    """
    if not os.path.realpath(path).startswith("/dev/pts/"):
        try:
            fcntl.ioctl(fd, termios.TIOCEXCL)
        except OSError:
            return
