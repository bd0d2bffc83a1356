"""The demo's link: forwards, is cut, swallows, and loses no byte that it took."""

import socket
from collections.abc import Iterator

import pytest

from appliance.demo.loop import Loop
from appliance.demo.proxy import PIECE, Link, Proxy


class World:
    """A loop, a server that remembers, and a proxy between them; `turn` is the hand that moves it."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(0.2)
        self.proxy = Proxy(self.loop, self.server.getsockname()[1])

    def turn(self, times: int = 20) -> None:
        """Let what is ready happen."""
        for _ in range(times):
            self.loop.turn(0.005)

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """A connection through the proxy: the caller's end and the server's."""
        near = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=2)
        self.turn()
        far, _ = self.server.accept()
        for sock in (near, far):
            sock.setblocking(False)
        return near, far

    def read(self, sock: socket.socket, size: int) -> bytes:
        """So many bytes, or fewer when the other end closes."""
        got = b""
        for _ in range(2000):
            self.loop.turn(0.002)
            try:
                piece = sock.recv(size - len(got))
            except BlockingIOError:
                continue
            got += piece
            if not piece or len(got) >= size:
                break
        return got

    def close(self) -> None:
        """End it."""
        self.proxy.close()
        self.server.close()
        self.loop.close()


@pytest.fixture
def world() -> Iterator[World]:
    """A proxy with a server behind it."""
    made = World()
    yield made
    made.close()


def test_bytes_go_both_ways_and_are_counted(world: World) -> None:
    """What one side says the other hears, and the proxy knows how much it was."""
    near, far = world.connect()
    near.sendall(b"up" * 500)
    assert world.read(far, 1000) == b"up" * 500
    far.sendall(b"down")
    assert world.read(near, 4) == b"down"
    assert world.proxy.carried == [1000, 4]
    near.close()
    assert world.read(far, 1) == b""
    far.close()


def test_a_slow_reader_holds_its_sender_back_and_loses_nothing(world: World) -> None:
    """More than the proxy may hold waits with the sender; all of it arrives in order."""
    near, far = world.connect()
    data = bytes(range(256)) * (PIECE // 16)
    sent = 0
    got = b""
    while len(got) < len(data):
        try:
            sent += near.send(data[sent : sent + PIECE])
        except BlockingIOError:
            got += world.read(far, min(PIECE, len(data) - len(got)))
        world.loop.turn(0)
        if sent == len(data):
            got += world.read(far, len(data) - len(got))
    assert got == data
    near.close()
    far.close()


def test_what_was_said_before_the_goodbye_arrives(world: World) -> None:
    """An end that closes after writing is heard to its last byte."""
    near, far = world.connect()
    near.sendall(b"last words")
    near.close()
    assert world.read(far, 100) == b"last words"
    far.close()


def test_a_cut_link_resets_connections_and_refuses_new_ones_until_it_is_up(world: World) -> None:
    """After a cut nobody gets through; after it everybody does, on the same port."""
    near, far = world.connect()
    world.proxy.cut()
    assert world.proxy.link is Link.CUT
    world.turn(3)
    with pytest.raises(ConnectionResetError):
        near.recv(1)
    with pytest.raises(ConnectionResetError):
        far.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", world.proxy.port), timeout=1)
    near.close()
    far.close()
    world.proxy.up()
    near, far = world.connect()
    near.sendall(b"again")
    assert world.read(far, 5) == b"again"
    near.close()
    far.close()


def test_a_hole_swallows_without_a_word_and_forwards_later(world: World) -> None:
    """In a hole nothing arrives and nobody is told; the connection goes on where it stopped."""
    near, far = world.connect()
    world.proxy.hole()
    near.sendall(b"swallowed")
    world.turn()
    with pytest.raises(BlockingIOError):
        far.recv(1)
    with pytest.raises(BlockingIOError):
        near.recv(1)
    world.proxy.up()
    assert world.read(far, 9) == b"swallowed"
    near.close()
    far.close()


def test_without_a_broker_the_caller_is_let_go(world: World) -> None:
    """A connection whose other end refuses is closed, and the proxy lives on."""
    world.server.close()
    near = socket.create_connection(("127.0.0.1", world.proxy.port), timeout=2)
    near.settimeout(0.005)
    got = None
    for _ in range(200):
        world.loop.turn(0.005)
        try:
            got = near.recv(1)
            break
        except TimeoutError:
            continue
        except ConnectionResetError:
            got = b""
            break
    assert got == b""
    near.close()
