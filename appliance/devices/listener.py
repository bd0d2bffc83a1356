"""The one door to monitors on the station's own network: a TCP port that one monitor at a time talks to. Nothing is ever sent.

The address is ``tcp://192.168.10.1:2575``: an address of this box inside the station (private or loopback, never *any*), and a port.
The newest connection counts: a monitor that was switched off without a good-bye connects anew, and its old line would stay for ever.
"""

import errno
import select
import socket
from urllib.parse import urlsplit

from appliance.devices.driver import LAN
from appliance.devices.errors import DeviceError, PortUsedError

MOST = 65536
"""The most bytes of one read."""
ALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
"""A monitor that vanished is noticed after a minute (judgement)."""


def lan_address(path: str) -> tuple[str, int]:
    """Address and port of ``tcp://ADDRESS:PORT``; ValueError with what was expected.

    >>> lan_address("tcp://192.168.10.1:2575")
    ('192.168.10.1', 2575)
    """
    from ipaddress import ip_address

    expected = f"{path}: expected {LAN}, this box's own address inside the station, and a port from 1024 up; tcp://192.168.10.1:2575"
    try:
        parts = urlsplit(path)
        host, port = ip_address(parts.hostname or ""), parts.port or 0
    except ValueError:
        raise ValueError(expected) from None
    if parts.path or parts.query or parts.username or host.is_unspecified or not host.is_private or port < 1024:
        raise ValueError(expected)
    return str(host), port


class LanPort:
    """The listening port, and whoever talks to it now."""

    simulated = False
    rest_s: float | None = None
    wait_s: float | None = None

    def __init__(self, path: str) -> None:
        self.name = path
        host, port = lan_address(path)
        self._door = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._line: socket.socket | None = None
        try:
            self._door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._door.bind((host, port))
            self._door.listen(2)
        except OSError as error:
            self._door.close()
            why = "the port is used by another program" if error.errno == errno.EADDRINUSE else f"cannot listen ({error.strerror})"
            raise (PortUsedError if error.errno == errno.EADDRINUSE else DeviceError)(path, why) from error
        self._door.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(self._door.fileno(), select.EPOLLIN)

    def fileno(self) -> int | None:
        """Readable when a monitor connects, speaks or leaves."""
        return self._poll.fileno()

    def read(self, now_ns: int) -> bytes:  # noqa: ARG002 - a real line has its own time
        """What the monitor has sent; empty while none is there. Bytes of two connections never come in one read."""
        self._accept()
        if self._line is None:
            return b""
        try:
            data = self._line.recv(MOST)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        return data

    def write(self, data: bytes, now_ns: int) -> None:  # noqa: ARG002 - as every port
        """Never: a driver that comes over the network only listens."""
        raise DeviceError(self.name, "nothing is sent to a monitor")

    def close(self) -> None:
        """Hang up and listen no more."""
        self._hang_up()
        self._poll.close()
        self._door.close()

    def _accept(self) -> None:
        try:
            line, _address = self._door.accept()
        except OSError:
            return
        self._hang_up()
        line.setblocking(False)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ALIVE:
            line.setsockopt(socket.IPPROTO_TCP, option, value)
        self._line = line
        self._poll.register(line.fileno(), select.EPOLLIN)

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._poll.unregister(line.fileno())
            line.close()
