"""One look at a device beside the collector: for ``tram device test``, ``monitor`` and ``record``.

Only a port that is bound to a driver which writes is ever written to. Everything else is listened to: the driver only decodes,
and what it would like to say is counted and not sent.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from appliance.devices.decode import RECORDING
from appliance.devices.driver import Hid, Line, Row
from appliance.devices.events import Noise, Notice, Said, Sample, Send
from appliance.devices.port import Port

WIDTH = 32
"""Bytes of one line of a recording."""


class Probe:
    """An open port and a driver. `writes` is True only for a bound port whose driver writes; `keep` receives every byte that came."""

    def __init__(self, port: Port, which: Row, *, writes: bool, keep: Callable[[bytes], None] = lambda _data: None) -> None:
        self._port, self._row, self._keep = port, which, keep
        self._writes = writes and which.writes
        self._driver = which.make(port.rest_s) if self._writes else which.listen()
        self.frames = 0
        self.frame_bytes = 0
        self.noise_bytes = 0
        self.read_bytes = 0
        self.written = 0
        """Bytes sent to the device."""

    def begin(self, now_ns: int) -> list[Said]:
        """The first thing the driver does."""
        return self._done(self._driver.begin(now_ns), now_ns)

    def turn(self, now_ns: int) -> list[Said]:
        """Read what is there and let the driver say what it means. DeviceError when the line is gone."""
        data = self._port.read(now_ns)
        if data:
            self.read_bytes += len(data)
            self._keep(data)
        said = self._driver.feed(data, now_ns) if data else []
        return self._done(said + self._driver.tick(now_ns), now_ns)

    def wait_s(self) -> float:
        """How long nothing needs to be looked at."""
        return self._port.wait_s or 0.05

    def fileno(self) -> int | None:
        """What to wait on."""
        return self._port.fileno()

    def close(self, now_ns: int) -> None:
        """Say good-bye where that is allowed, and give the port back."""
        try:
            self._done(self._driver.end(now_ns), now_ns)
        except OSError:
            pass  # it has gone already
        self._port.close()

    def _done(self, said: list[Said], now_ns: int) -> list[Said]:
        for each in said:
            if isinstance(each, Send):
                if self._writes:
                    self._port.write(each.data, now_ns)
                    self.written += len(each.data)
            elif isinstance(each, Noise):
                self.noise_bytes += len(each.data)
            elif isinstance(each, (Sample, Notice)) and each.frame:
                self.frames += 1
                self.frame_bytes += len(each.frame)
        return said


def head(which: Row, place: str, wall_s: float) -> str:
    """The lines before the bytes: what was recorded, where, when, at which settings. Nothing of a patient."""
    begun = datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{RECORDING.decode()}\n# driver: {which.name}\n# place: {place}\n# line: {spell_line(which.line)}\n# begun: {begun}\n"


def spell_line(line: Line | Hid) -> str:
    """``19200 8O1``, or the ids of a HID device."""
    return line.ids if isinstance(line, Hid) else f"{line.baud} {line.bytesize}{line.parity}{line.stopbits}"


def hex_lines(data: bytes) -> str:
    """Bytes as lines of hex, as ``tram device decode`` reads them."""
    return "".join(data[at : at + WIDTH].hex(" ").upper() + "\n" for at in range(0, len(data), WIDTH))
