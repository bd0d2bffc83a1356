"""A simulated device, or a recording, on a pseudo-terminal: for `tram simulate device` and `tram simulate play`.

The terminal is found through a symbolic link. While nobody has it open, nothing is written: what a device says into an
unplugged cable is lost, not stored. *Unplug* closes the terminal and removes the link, *replug* makes both anew.
"""

import errno
import os
import select
import time
import tty
from collections.abc import Callable
from pathlib import Path

from appliance.devices.sim.script import Script

SECOND = 1_000_000_000
TURN_S = 1 / 60
"""One turn of the loop: a package of a live oximeter."""
QUIET_S = 0.02
OPENED_S = 0.3
"""A recording begins this long after somebody opened the terminal (opening empties the line)."""
MOST = 4096


def boottime_ns() -> int:
    """CLOCK_BOOTTIME, the time of all devices."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Terminal:
    """One pseudo-terminal behind a symbolic link, seen from the device's side."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._master: int | None = None
        self._poll = select.poll()

    @property
    def plugged(self) -> bool:
        """True while it exists."""
        return self._master is not None

    def plug(self) -> None:
        """Make the terminal and the link to it."""
        if self._master is not None:
            return
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        beside = self._link.with_name(f".{self._link.name}.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.ttyname(slave))
        beside.replace(self._link)
        os.close(slave)  # so that the kernel tells us whether somebody else has it open
        self._master = master
        self._poll.register(master, select.POLLIN)

    def unplug(self) -> None:
        """Pull the cable."""
        if self._master is None:
            return
        self._poll.unregister(self._master)
        os.close(self._master)
        self._master = None
        self._link.unlink(missing_ok=True)

    def opened(self) -> bool:
        """True while somebody has the other end open."""
        return self._master is not None and not any(event & select.POLLHUP for _, event in self._poll.poll(0))

    def read(self) -> bytes:
        """What the host has sent."""
        if self._master is None or not self.opened():
            return b""
        try:
            return os.read(self._master, MOST)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EIO):
                return b""
            raise

    def write(self, data: bytes) -> None:
        """Say something to the host; lost when nobody listens or the line is full."""
        if self._master is None or not data or not self.opened():
            return
        try:
            os.write(self._master, data)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EIO):
                raise


class Orders:
    """Lines from a file descriptor (usually stdin), as they come."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._held = b""
        self._poll = select.poll()
        if fd is not None:
            self._poll.register(fd, select.POLLIN)

    @property
    def ended(self) -> bool:
        """True when no more will come."""
        return self._fd is None

    def lines(self, wait_s: float) -> list[str]:
        """The whole lines that have come within `wait_s` seconds."""
        if self._fd is None:
            time.sleep(wait_s)
            return []
        if not self._poll.poll(wait_s * 1000):
            return []
        data = os.read(self._fd, MOST)
        if not data:
            self._poll.unregister(self._fd)
            self._fd = None
            return []
        *whole, self._held = (self._held + data).split(b"\n")
        return [line.decode(errors="replace").strip() for line in whole]


def run_on_pty(
    script: Script,
    link: Path,
    *,
    orders_fd: int | None = None,
    stopping: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _text: None,
    clock: Callable[[], int] = boottime_ns,
) -> int:
    """Run a simulated device on a pseudo-terminal behind `link` until `stopping` or the order ``quit``.

    Orders are lines: ``noise``, ``unplug``, ``replug``, ``silent``, ``drop``, ``slow``, ``wrong-checksum``, ``resume``,
    and words to the device such as ``finger in``. The end of the orders does not end the device.
    """
    terminal, orders = Terminal(link), Orders(orders_fd)
    try:
        while not stopping():
            for line in orders.lines(TURN_S):
                if line == "quit":
                    return 0
                if line and not script.order(line, clock()):
                    say(f"not understood: {line}")
            _turn(terminal, script, clock())
    finally:
        terminal.unplug()
    return 0


def _turn(terminal: Terminal, script: Script, now_ns: int) -> None:
    if not script.plugged(now_ns):
        terminal.unplug()
        script.output(now_ns)
        return
    terminal.plug()
    heard = terminal.read()
    if heard:
        script.feed(heard, now_ns)
    terminal.write(script.output(now_ns))


def play_on_pty(
    data: bytes,
    link: Path,
    *,
    pace: int,
    hold_s: float | None = 5.0,
    orders_fd: int | None = None,
    stopping: Callable[[], bool] = lambda: False,
    clock: Callable[[], int] = boottime_ns,
) -> int:
    """Play recorded bytes onto a pseudo-terminal behind `link`, `pace` bytes a second, once somebody has opened it.

    Afterwards the line stays silent and open for `hold_s` seconds (None: until the order ``quit``), then it is unplugged.
    """
    terminal, orders = Terminal(link), Orders(orders_fd)
    terminal.plug()
    began: int | None = None
    sent = 0
    try:
        while not stopping():
            if "quit" in orders.lines(QUIET_S if began is None else TURN_S):
                return 0
            now = clock()
            terminal.read()
            if began is None:
                began = now + int(OPENED_S * SECOND) if terminal.opened() else None
                continue
            due = min(len(data), max(0, now - began) * pace // SECOND)
            terminal.write(data[sent:due])
            sent = max(sent, due)
            if hold_s is not None and now - began >= len(data) * SECOND // pace + int(hold_s * SECOND):
                return 0
    finally:
        terminal.unplug()
    return 0
