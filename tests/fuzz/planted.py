"""Planted bugs for the fuzz: drivers as they are often written. Each must be caught."""

from dataclasses import replace

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind
from appliance.devices.driver import Row, Uncommanded
from appliance.devices.events import Noise, Said, Sample, numeric
from appliance.devices.registry import ROWS


class Gullible(Uncommanded):
    """Takes every nine bytes behind a low one for a package, and looks at ranges alone."""

    def __init__(self, _rest_s: float | None = None) -> None:
        self._held = b""

    @property
    def pending(self) -> int:
        """Bytes of what may become a package."""
        return len(self._held)

    def begin(self, _now_ns: int) -> list[Said]:
        """Nothing."""
        return []

    def tick(self, _now_ns: int) -> list[Said]:
        """Nothing."""
        return []

    def feed(self, data: bytes, _now_ns: int) -> list[Said]:
        """A reading whenever the numbers could be some."""
        self._held += data
        said: list[Said] = []
        while len(self._held) >= 9:
            package, rest = self._held[:9], self._held[9:]
            if package[0] != 1 or not (30 <= package[5] & 0x7F <= 100 and package[4] & 0x7F >= 30):
                said.append(Noise(package[:1], "garbage"))
                self._held = self._held[1:]
                continue
            numbers = (numeric(Metric.SPO2, package[5] & 0x7F), numeric(Metric.PULSE_RATE, package[4] & 0x7F))
            said.append(Sample(ReadingKind.SPO2, numbers, package, result=True))
            self._held = rest
        return said


class Trusting(Gullible):
    """Looks into a table with a number from the line."""

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """An IndexError for most bytes."""
        _ = ("ok", "weak", "artifact")[data[0]]
        return super().feed(data, now_ns)


class Greedy(Gullible):
    """Waits for an end that never comes."""

    def feed(self, data: bytes, _now_ns: int) -> list[Said]:
        """Keeps everything."""
        self._held += data
        return []


class Careless(Gullible):
    """Drops what it does not understand without a word."""

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """The noise is not said."""
        return [each for each in super().feed(data, now_ns) if not isinstance(each, Noise)]


def planted() -> dict[str, tuple[Row, str]]:
    """Each planted driver as a row, with the count that gives it away."""
    row = ROWS["contec-cms50"]
    return {
        "believes ranges": (replace(row, make=Gullible, listen=Gullible), "readings_noise"),
        "raises": (replace(row, make=Trusting, listen=Trusting), "exceptions"),
        "grows": (replace(row, make=Greedy, listen=Greedy), "grown"),
        "loses bytes": (replace(row, make=Careless, listen=Careless), "lost"),
    }
