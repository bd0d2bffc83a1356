"""What a program tells systemd: that it is ready, and that it lives - the latter only after the card has proved that it does.

systemd's protocol is one datagram to the socket in ``$NOTIFY_SOCKET`` (sd_notify(3)); without that variable nobody is told.
With ``WatchdogSec=`` in the unit the program must say ``WATCHDOG=1`` in time or is started anew. A loop that only turns
proves little: the card behind it may be read-only, worn out or stuck. So each word costs a block that was written, synced
and read back, and the store's lock taken and given back.

The block is a small file beside the store and not a row: it lies on the same card and takes the same road down, writes in
place (so a full disk, which no restart mends, does not end the program), wakes no other process, and costs one block every
two minutes (3 MB a day of the 20 the card is granted).
"""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.database import Connection, transaction

EVERY = 120.0
"""Seconds between two self-tests at most."""
SHARE = 2.5
"""At least so many self-tests fit in the time systemd waits: one may fail while the store is busy."""
FIRST_SOCKET = 3
"""sd_listen_fds(3): SD_LISTEN_FDS_START."""
BLOCK = 4096
"""Bytes of the test: one page of the card's file system."""


class SelfTestError(OSError):
    """The card gave back something else than was written."""


class Systemd:
    """The one who started us, when it was systemd; otherwise nobody listens and nothing is due."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        said = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + said[1:] if said.startswith("@") else said
        micros = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._handed = int(environ.get("LISTEN_FDS", "0")) if environ.get("LISTEN_PID", "") == str(os.getpid()) else 0
        self.patience = int(micros) / 1e6 if self._address and ours and micros.isdecimal() else 0.0
        """Seconds it waits for a sign of life; 0: it does not wait for one."""

    def sockets(self) -> list[socket.socket]:
        """The listening sockets it opened for us (sd_listen_fds(3)); a program that gets one needs no network of its own."""
        handed = [socket.socket(fileno=FIRST_SOCKET + each) for each in range(self._handed)]
        self._handed = 0
        return handed

    def tell(self, words: str) -> None:
        """One datagram. Nobody listening is no reason to stop: what matters then is said by systemd itself."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as line:
                line.sendto(words.encode(), self._address)
        except OSError:
            return


class Watchdog:
    """Tells systemd that we live, as often as is due, after the self-test. `turn` belongs into the loop."""

    def __init__(self, systemd: Systemd, test: Callable[[], None], complain: Callable[[str], None]) -> None:
        self._systemd, self._test, self._complain = systemd, test, complain
        self._every = min(EVERY, systemd.patience / SHARE)
        self._due = float("-inf")
        systemd.tell("READY=1")

    def turn(self, now: float) -> float:
        """The self-test and the word, when they are due at `now` (monotonic seconds); seconds until the next."""
        if not self._every:
            return float("inf")
        if now >= self._due:
            self._due = now + self._every
            try:
                self._test()
            except OSError as error:  # no word: systemd waits, and starts us anew when it does not get better
                self._complain(f"self-test: {error}")
            else:
                self._systemd.tell("WATCHDOG=1")
        return self._due - now


def self_test(conn: Connection, folder: Path, name: str) -> Callable[[], None]:
    """The test of the card under `folder` and of the store's lock for the program `name`. It raises OSError (StoreError included)."""
    file = folder / f".{name}.test"
    count = 0

    def test() -> None:
        nonlocal count
        count += 1
        written = (f"{name} {os.getpid()} {count}\n".encode() * BLOCK)[:BLOCK]
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(handle, written, 0)
            os.fdatasync(handle)
            os.posix_fadvise(handle, 0, BLOCK, os.POSIX_FADV_DONTNEED)  # read it from the card, not from memory
            if os.pread(handle, BLOCK, 0) != written:
                raise SelfTestError(f"{file}: the card gave back something else than was written")
        finally:
            os.close(handle)
        with transaction(conn):  # nothing is written; a lock that somebody holds for ever would end here
            pass

    return test
