"""A look at the kernel's routes: readable as soon as a carrier, an address or a route changes.

A link that comes back is used within seconds instead of waiting for the backoff to run out (delivery contract, T6).
"""

import socket
from pathlib import Path

_LINK, _ADDRESS_4, _ROUTE_4, _ADDRESS_6, _ROUTE_6 = 0x1, 0x10, 0x40, 0x100, 0x400
"""rtnetlink(7): the multicast groups RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE."""


class Routes:
    """The kernel's word on routes. A machine without netlink gives no descriptor, and the backoff alone decides."""

    def __init__(self) -> None:
        self._sock: socket.socket | None = None
        try:
            sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
            sock.bind((0, _LINK | _ADDRESS_4 | _ROUTE_4 | _ADDRESS_6 | _ROUTE_6))
        except OSError:
            return
        self._sock = sock

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What to wait for."""
        return () if self._sock is None else (self._sock.fileno(),)

    def changed(self) -> bool:
        """True when something has changed since the last question."""
        seen = False
        while self._sock is not None:
            try:
                self._sock.recv(65536)
            except BlockingIOError:
                break
            except OSError:  # more changes than the kernel kept for us
                seen = True
                break
            seen = True
        return seen

    def close(self) -> None:
        """Ask no more."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


LOOK = 1.0
"""Seconds between two looks at the file of `Meter`."""


class Meter:
    """What the network's hook says of the route in force: whether its bytes cost money, and that it has just looked.

    The hook writes the file anew (beside, then renamed) whenever a connection comes, goes or is replaced.
    """

    def __init__(self, file: Path | None, otherwise: bool) -> None:
        """`otherwise`: what holds while there is no such file, or no such word in it."""
        self._file = file
        self._otherwise = otherwise
        self._written = -1
        self._due = float("-inf")
        self.metered = otherwise
        self._look()

    def changed(self, now: float) -> bool:
        """True when the hook has spoken since the last question; then `metered` is what it said."""
        if self._file is None or now < self._due:
            return False
        self._due = now + LOOK
        return self._look()

    def _look(self) -> bool:
        written, word = -1, ""
        try:
            if self._file is not None:
                written, word = self._file.stat().st_mtime_ns, self._file.read_bytes()[:8].decode("ascii", "replace").strip()
        except OSError:  # none yet, or just being replaced: the next look sees it
            written, word = -1, ""
        if written == self._written:
            return False
        self._written, self.metered = written, {"yes": True, "no": False}.get(word, self._otherwise)
        return True
