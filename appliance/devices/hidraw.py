"""The one door to /dev/hidraw*: find a device by its ids, read and write whole reports.

The ids are read from the kernel's ``uevent`` beside the node (``HID_ID=0003:00000590:00000028``), never guessed from the
node's number, which changes with every plugging in. A node is opened only for the ids that its driver names, so no byte is
written to a keyboard. Reports without numbers are written behind a zero, as the kernel wants it, and read without one.
"""

import errno
import fcntl
import os
import select
from pathlib import Path

from appliance.devices.driver import Hid
from appliance.devices.errors import DeviceError, PortAbsentError, PortUsedError

NODES = Path("/sys/class/hidraw")
DEVICES = Path("/dev")
MOST_READS = 64
"""Reports taken at one read: what the kernel holds for a node."""


def set_feature(size: int) -> int:
    """HIDIOCSFEATURE(size) of linux/hidraw.h: read and write, `size` bytes, type H, number 6.

    >>> hex(set_feature(3))
    '0xc0034806'
    """
    return 3 << 30 | size << 16 | ord("H") << 8 | 0x06


def ids_of(uevent: str) -> tuple[int, int] | None:
    r"""Vendor and product in a node's uevent; None when it names none.

    >>> ids_of("DRIVER=hid-generic\nHID_ID=0003:00000590:00000028\n")
    (1424, 40)
    """
    for line in uevent.splitlines():
        key, _, value = line.partition("=")
        parts = value.split(":")
        if key == "HID_ID" and len(parts) == 3:
            try:
                return int(parts[1], 16), int(parts[2], 16)
            except ValueError:
                return None
    return None


def found(hid: Hid, nodes: Path = NODES) -> list[str]:
    """The names of the nodes with these ids (``hidraw3``), in the order of their numbers."""
    names = []
    for node in nodes.glob("hidraw*"):
        try:
            ids = ids_of((node / "device" / "uevent").read_text(encoding="ascii", errors="replace"))
        except OSError:
            continue  # pulled out while we looked
        if ids == (hid.vid, hid.pid):
            names.append(node.name)
    return sorted(names, key=lambda name: (len(name), name))


class HidPort:
    """A HID device. `path` is its node, or ``hid`` for the only one with its ids."""

    simulated = False
    rest_s: float | None = None
    wait_s: float | None = None

    def __init__(self, path: str, hid: Hid, *, nodes: Path = NODES, devices: Path = DEVICES) -> None:
        self._hid = hid
        self.name = str(devices / _only(hid, nodes)) if path == "hid" else path
        if path != "hid" and Path(os.path.realpath(path)).name not in found(hid, nodes):
            raise PortAbsentError(path, f"not a HID device {hid.ids}")
        self._fd = _open(self.name)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN | select.POLLHUP | select.POLLERR)

    def fileno(self) -> int | None:
        """The node's descriptor."""
        return self._fd

    def read(self, now_ns: int) -> bytes:  # noqa: ARG002 - a real device has its own time
        """The reports that have arrived, one behind the other; each read of the kernel gives one whole report."""
        data = b""
        for _ in range(MOST_READS):
            if not self._poll.poll(0):
                break
            try:
                report = os.read(self._fd, self._hid.report)
            except BlockingIOError:
                break
            except OSError as error:
                raise DeviceError(self.name, f"the device is gone ({error.strerror})") from error
            if not report:
                raise DeviceError(self.name, "the device is gone (unplugged)")
            data += report
        return data

    def write(self, data: bytes, now_ns: int) -> None:  # noqa: ARG002 - a real device has its own time
        """Send reports, or one feature report (see `Hid`); DeviceError when the device does not take them."""
        try:
            if self._hid.feature and len(data) == self._hid.feature:
                fcntl.ioctl(self._fd, set_feature(1 + len(data)), b"\x00" + data)
                return
            for at in range(0, len(data), self._hid.report):
                os.write(self._fd, b"\x00" + data[at : at + self._hid.report])
        except OSError as error:
            raise DeviceError(self.name, f"cannot write ({error.strerror})") from error

    def close(self) -> None:
        """Give the device back, once."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _only(hid: Hid, nodes: Path) -> str:
    names = found(hid, nodes)
    if not names:
        raise PortAbsentError("hid", f"no HID device {hid.ids}")
    if len(names) > 1:
        raise DeviceError("hid", f"{len(names)} HID devices {hid.ids}: name one of {', '.join(names)}")
    return names[0]


def _open(path: str) -> int:
    """The node, for us alone as far as others ask (the kernel knows no exclusive opening of a hidraw node)."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            raise PortAbsentError(path, "no such device") from error
        raise DeviceError(path, f"cannot open ({error.strerror})") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise PortUsedError(path, "the device is used by another program") from error
    return fd
