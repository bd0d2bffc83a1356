"""systemd hears that a program lives only after the card gave back what was written."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.agent.watchdog import EVERY, SHARE, SelfTestError, Systemd, Watchdog, self_test
from appliance.database import StoreError, connect, transaction

KEY = bytes(32)


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket systemd would listen on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "n"))
        line.setblocking(False)
        yield line


def environ(line: socket.socket, seconds: int = 300) -> dict[str, str]:
    """What systemd would put into a unit's environment."""
    return {"NOTIFY_SOCKET": line.getsockname(), "WATCHDOG_USEC": str(seconds * 1_000_000), "WATCHDOG_PID": str(os.getpid())}


def words(line: socket.socket) -> list[str]:
    """All that was said so far."""
    said = []
    while True:
        try:
            said.append(line.recv(200).decode())
        except BlockingIOError:
            return said


def test_a_program_is_ready_and_lives_after_its_self_test(heard: socket.socket) -> None:
    """READY comes first, then one word for each passed self-test, at least two of them within systemd's patience."""
    tests: list[int] = []
    dog = Watchdog(Systemd(environ(heard, 100)), lambda: tests.append(1), print)
    assert words(heard) == ["READY=1"]
    assert dog.turn(0.0) == 100 / SHARE
    assert dog.turn(39.0) == 1.0
    assert dog.turn(40.0) == 40.0
    assert words(heard) == ["WATCHDOG=1", "WATCHDOG=1"] and len(tests) == 2


def test_a_card_that_fails_is_not_called_alive(heard: socket.socket) -> None:
    """A failed self-test says nothing to systemd, complains in the journal, and is tried again."""
    complaints: list[str] = []

    def broken() -> None:
        raise SelfTestError("the card gave back something else")

    dog = Watchdog(Systemd(environ(heard)), broken, complaints.append)
    words(heard)
    dog.turn(0.0)
    dog.turn(EVERY)
    assert words(heard) == [] and len(complaints) == 2


def test_without_systemd_nothing_is_tested_or_said() -> None:
    """A program started by hand writes no test blocks and speaks to nobody; another process's watchdog is not ours."""
    for given in ({}, {"NOTIFY_SOCKET": "@nobody", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}):
        dog = Watchdog(Systemd(given), lambda: pytest.fail("tested"), print)
        assert dog.turn(0.0) == float("inf")


def test_the_self_test_writes_reads_and_takes_the_lock(tmp_path: Path) -> None:
    """The block lies beside the store with the program's name; a lock that somebody holds fails the test."""
    conn = connect(tmp_path / "tram.db", key=KEY, page_size=1024)
    test = self_test(conn, tmp_path, "carry")
    test()
    first = (tmp_path / ".carry.test").read_bytes()
    test()
    assert len(first) == 4096 and (tmp_path / ".carry.test").read_bytes() != first
    other = connect(tmp_path / "tram.db", key=KEY, page_size=1024)
    conn.execute("PRAGMA busy_timeout = 1")
    with transaction(other), pytest.raises(StoreError):
        test()
    other.close()
    conn.close()


def test_a_folder_that_cannot_be_written_fails_the_self_test(tmp_path: Path) -> None:
    """A card that went away or read-only is an OSError, which is what the watchdog waits out."""
    conn = connect(tmp_path / "tram.db", key=KEY, page_size=1024)
    with pytest.raises(OSError, match="gone"):
        self_test(conn, tmp_path / "gone", "carry")()
    conn.close()


def test_a_socket_that_systemd_opened_is_taken_over() -> None:
    """Sockets are counted only when they are meant for this very process."""
    assert Systemd({"LISTEN_FDS": "1", "LISTEN_PID": "1"}).sockets() == []
    assert Systemd({}).sockets() == []
