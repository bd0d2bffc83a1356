"""Simulated devices and recordings on real pseudo-terminals, for tests: run beside the test, ended with it."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.devices.sim.pty import play_on_pty, run_on_pty
from appliance.devices.sim.script import Script
from tests.polling import until


class OnPty:
    """Something that runs on a pseudo-terminal behind `link`."""

    def __init__(self, link: Path, run: Callable[[int], int]) -> None:
        self.link = link
        self._read, self._write = os.pipe()
        self._thread = threading.Thread(target=run, args=(self._read,))
        self._thread.start()
        until(link.is_symlink, what="the terminal")

    def order(self, line: str) -> None:
        """A line on its standard input."""
        os.write(self._write, f"{line}\n".encode())

    def close(self) -> None:
        """End it."""
        self.order("quit")
        self._thread.join(10)
        os.close(self._read)
        os.close(self._write)
        assert not self._thread.is_alive()
        assert not self.link.is_symlink()


@contextmanager
def device_on_pty(script: Script, link: Path) -> Iterator[OnPty]:
    """A simulated device."""
    running = OnPty(link, lambda orders: run_on_pty(script, link, orders_fd=orders))
    try:
        yield running
    finally:
        running.close()


@contextmanager
def recording_on_pty(data: bytes, link: Path, *, pace: int) -> Iterator[OnPty]:
    """Recorded bytes, held open after the last of them."""
    running = OnPty(link, lambda orders: play_on_pty(data, link, pace=pace, hold_s=None, orders_fd=orders))
    try:
        yield running
    finally:
        running.close()
