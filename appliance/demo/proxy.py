"""The demo's network: a TCP proxy between the box and the broker that can be cut or made to swallow everything.

Runs in the demo's `Loop`; nothing blocks. A proxy is *up* (forwards), *cut* (every connection reset, the listener closed: the next
connection is refused) or a *hole* (nothing is forwarded, nobody is told: what a lost radio link looks like to TCP).
"""

import errno
import selectors
import socket
import struct
from collections.abc import Iterator
from enum import Enum
from functools import partial

from appliance.demo.loop import Loop

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
PIECE = 65536
"""Bytes read at once; also how much may wait for a slow reader before its sender is held back."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on with 0 s: closing sends RST, as a cut link's gateway would, and leaves no TIME_WAIT behind."""


class Link(Enum):
    """What the proxy does with bytes."""

    UP = "up"
    CUT = "cut"
    HOLE = "hole"


class _End:
    """One socket of a connection; `out` waits to be written to it. `joined` is False while its own connect is under way."""

    def __init__(self, sock: socket.socket, joined: bool) -> None:
        self.sock = sock
        self.out = bytearray()
        self.joined = joined
        self.over = False


class Proxy:
    """Listens on 127.0.0.1, forwards to 127.0.0.1:`target`.

    `port` 0 means any; `.port` says which. `carried` counts payload bytes (up, down).
    """

    def __init__(self, loop: Loop, target: int, port: int = 0) -> None:
        self._loop = loop
        self._target = target
        self._pairs: list[tuple[_End, _End]] = []
        self._listener: socket.socket | None = None
        self.port = port
        self.link = Link.CUT
        self.carried = [0, 0]
        self.up()

    def up(self) -> None:
        """Forward; what waited in a hole goes on where it stopped."""
        if self._listener is None:
            self._listen()
        self.link = Link.UP
        self._rewatch()

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self.link = Link.CUT
        for pair in list(self._pairs):
            self._drop(pair, reset=True)
        if self._listener is not None:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def hole(self) -> None:
        """Forward nothing and tell nobody; connections stay open."""
        if self._listener is None:
            self._listen()
        self.link = Link.HOLE
        self._rewatch()

    def close(self) -> None:
        """End it."""
        self.cut()

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(16)
        listener.setblocking(False)
        self.port = int(listener.getsockname()[1])
        self._listener = listener

    def _rewatch(self) -> None:
        if self._listener is not None:
            self._loop.watch(self._listener.fileno(), READ if self.link is Link.UP else 0, self._accept)
        for pair in self._pairs:
            self._watch(pair)

    def _accept(self, _mask: int) -> None:
        assert self._listener is not None
        try:
            near, _ = self._listener.accept()
        except OSError:
            return  # the caller gave up before it was let in
        far = socket.socket()
        for sock in (near, far):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = _End(near, joined=True), _End(far, joined=False)
        self._pairs.append(pair)
        if far.connect_ex(("127.0.0.1", self._target)) not in (0, errno.EINPROGRESS):
            self._drop(pair)
        else:
            self._watch(pair)

    def _watch(self, pair: tuple[_End, _End]) -> None:
        """Read from an end while the other can take more; write to an end while something waits for it."""
        for mine, other, number in _both(pair):
            events = 0
            if self.link is Link.UP:
                events |= READ if mine.joined and not mine.over and len(other.out) < PIECE else 0
                events |= WRITE if mine.out or not mine.joined else 0
            self._loop.watch(mine.sock.fileno(), events, partial(self._ready, pair, number))

    def _ready(self, pair: tuple[_End, _End], number: int, mask: int) -> None:
        mine, other = pair[number], pair[1 - number]
        try:
            if mask & WRITE:
                self._write(mine)
            if mask & READ:
                self._read(mine, other, number)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(pair)
            return
        if any(one.over and not two.out for one, two, _ in _both(pair)):
            self._drop(pair)
        else:
            self._watch(pair)

    def _write(self, mine: _End) -> None:
        if not mine.joined:
            refused = mine.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if refused:
                raise OSError(refused, "the broker refused the connection")
            mine.joined = True
        if mine.out:
            del mine.out[: mine.sock.send(mine.out)]

    def _read(self, mine: _End, other: _End, number: int) -> None:
        data = mine.sock.recv(PIECE)
        if not data:
            mine.over = True
        self.carried[number] += len(data)
        other.out += data
        if other.joined and other.out:
            del other.out[: other.sock.send(other.out)]

    def _drop(self, pair: tuple[_End, _End], reset: bool = False) -> None:
        self._pairs.remove(pair)
        for end in pair:
            self._loop.forget(end.sock.fileno())
            if reset:
                end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.sock.close()


def _both(pair: tuple[_End, _End]) -> Iterator[tuple[_End, _End, int]]:
    yield pair[0], pair[1], 0
    yield pair[1], pair[0], 1
