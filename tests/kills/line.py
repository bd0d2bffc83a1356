"""A serial line whose device end the test holds."""

from pathlib import Path

from appliance.devices.sim.pty import Terminal


class Line:
    """One pseudo-terminal; `sent` counts what was put into it while somebody had it open."""

    def __init__(self, link: Path) -> None:
        self._terminal = Terminal(link)
        self._terminal.plug()
        self.sent = 0

    def send(self, frame: bytes) -> None:
        """Put a frame into the line; a device does not wait for a host that is not there."""
        self._terminal.read()
        if self._terminal.opened():
            self._terminal.write(frame)
        self.sent += 1

    def close(self) -> None:
        """Pull the cable."""
        self._terminal.unplug()
