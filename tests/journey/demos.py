"""A running ``tram demo``: the real command, its real children, and a look for whatever it left behind."""

import fcntl
import os
import re
import selectors
import signal
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import servers
from tests.polling import until

MARK = "TRAM_TEST_DEMO"
"""Every process of a demo inherits this variable, so that none can hide."""
READY_S = 90.0
ROUND_S = 150.0


class Running:
    """One demo process with everything it has said so far. With `keys` it has a terminal of its own to read keys from."""

    def __init__(self, state: Path, *words: str, keys: bool = False) -> None:
        self.mark = uuid.uuid4().hex
        self.said: dict[str, str] = {"out": "", "err": ""}
        command = servers.as_person(
            servers.Person("", None, None), [sys.executable, "-m", "appliance.cli", "demo", "--state", state, *words]
        )
        self._master, slave = os.openpty() if keys else (-1, -1)
        self.process = subprocess.Popen(
            command,
            stdin=slave if keys else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if keys else None,  # noqa: PLW1509 - one ioctl in a fresh child
            env={**os.environ, MARK: self.mark},
        )
        if keys:
            os.close(slave)
        self._pipes = selectors.DefaultSelector()
        for name, pipe in (("out", self.process.stdout), ("err", self.process.stderr)):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._pipes.register(pipe, selectors.EVENT_READ, name)

    def listen(self, seconds: float = 0.05) -> None:
        """Take in what it says."""
        for key, _ in self._pipes.select(seconds):
            data = os.read(key.fd, 65536)
            if data:
                self.said[key.data] += data.decode()
            else:
                self._pipes.unregister(key.fileobj)

    def hears(self, text: str, where: str = "err", within: float = READY_S) -> None:
        """Wait until it has said `text`; fails with everything it said when it ends or takes too long."""
        deadline = time.monotonic() + within
        while not re.search(text, self.said[where]):
            self.listen()
            assert self.process.poll() is None or self._pipes.get_map(), f"ended without saying {text!r}: {self.said}"
            assert time.monotonic() < deadline, f"did not say {text!r} within {within:g} s: {self.said}"

    def press(self, letter: str) -> None:
        """A key on its terminal."""
        os.write(self._master, letter.encode())

    def ended(self, within: float = ROUND_S) -> int:
        """Wait for its end; the exit status."""
        deadline = time.monotonic() + within
        while self._pipes.get_map() and time.monotonic() < deadline:
            self.listen()
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def left(self) -> list[str]:
        """Command lines of processes it started that still run."""
        return left(self.mark)

    def close(self) -> None:
        """End it, whatever state it is in; nothing of it may stay."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.ended(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
        self._pipes.close()
        if self._master >= 0:
            os.close(self._master)


def left(mark: str) -> list[str]:
    """Command lines of all running processes with the mark in their environment; zombies have none."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


@contextmanager
def running(state: Path, *words: str, keys: bool = False) -> Iterator[Running]:
    """A demo that is ended with the block; afterwards nothing of it runs any more."""
    demo = Running(state, *words, keys=keys)
    try:
        yield demo
    finally:
        demo.close()
        until(lambda: not demo.left(), within=10, what="every process of the demo to end")
