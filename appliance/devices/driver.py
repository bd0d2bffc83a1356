"""What every driver is: one pure object per device family. Bytes and time go in; what was said comes out.

A driver never raises on any bytes, never holds more than `Row.bound` of them, and loses none: at every moment

    bytes fed = bytes of frames + bytes of noise + pending

and the frames and noise it says, joined in the order they are said, *are* the bytes fed (tests/lines.py checks it).
Time is CLOCK_BOOTTIME in nanoseconds and always an argument.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind
from appliance.devices.events import Notice, Said, Word

SECOND = 1_000_000_000
"""One second in the unit of every `now_ns`."""
LAN = "tcp://"
"""What stands before an address on the station's own network, where others name a serial port."""


@dataclass(frozen=True, slots=True)
class Line:
    """The settings of a serial line: `dtr` and `rts` are the levels to set at opening; there is no software flow control, ever.

    XON and XOFF (11 and 13) occur in payloads, so xonxoff is not even a field.
    """

    baud: int
    bytesize: int = 8
    parity: str = "N"
    stopbits: int = 1
    dtr: bool = True
    rts: bool = False


@dataclass(frozen=True, slots=True)
class Hid:
    """A USB HID device in place of a serial line: its ids, and the bytes of its reports.

    A write of `report` bytes, or several times as many, goes out as output reports; one of `feature` bytes as a feature report.
    """

    vid: int
    pid: int
    report: int
    feature: int = 0

    @property
    def ids(self) -> str:
        """The ids as udev and people write them: ``0590:0028``."""
        return f"{self.vid:04x}:{self.pid:04x}"


class Driver(Protocol):
    """The host's side of one device's protocol."""

    @property
    def pending(self) -> int:
        """Bytes fed that are neither frame nor noise yet."""

    @property
    def busy(self) -> bool:
        """True while the device does something to the patient, or may: the collector must not just walk away."""

    def begin(self, now_ns: int) -> list[Said]:
        """The port has been opened: what to send first."""

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the line; any number, cut anywhere."""

    def tick(self, now_ns: int) -> list[Said]:
        """Time has passed: keep-alives, polls, deadlines."""

    def start(self, patient_type: str, now_ns: int, deadline_ns: int) -> list[Said]:
        """A person pressed *measure*; nothing is started after `deadline_ns`. A device that is not commanded refuses."""

    def abort(self, now_ns: int, why: str) -> list[Said]:
        """End whatever is being done to the patient, now."""

    def end(self, now_ns: int) -> list[Said]:
        """The port is about to be closed: what to send last."""

    def flush(self) -> list[Said]:
        """The recording ends here: frames that were held back for a second look are said now; a cut tail stays pending."""


class Uncommanded:
    """The part of a driver that is the same wherever the device measures by itself or by its own button."""

    @property
    def busy(self) -> bool:
        """Never for us: whatever the device does to the patient, its own button ends it."""
        return False

    def start(self, patient_type: str, now_ns: int, deadline_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Refused: no command starts a measurement."""
        return [Notice(Word.REFUSED, "not-commanded")]

    def abort(self, now_ns: int, why: str) -> list[Said]:  # noqa: ARG002 - as every driver
        """Nothing that could be sent would stop anything."""
        return []

    def end(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """No word of parting."""
        return []

    def flush(self) -> list[Said]:
        """Nothing is held back; a cut tail stays pending."""
        return []


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the registry: everything the rest of the box knows about a device family.

    `pace` is what the device sends while it measures, in bytes per second: the time scale of a recording, and of
    playing one back. `listen` makes a driver that only decodes and never writes. `writes` says that the driver sends
    anything at all, `commanded` that a measurement starts by a command to the device. `silence_s` is how long the
    line may be silent before the live view says *stale*. A row with `service = False` decodes but is refused by
    `tram collect` in production. `bound` is the most bytes the driver ever holds. A family that comes over the
    network is served by a systemd `unit` of its own; `tram collect` refuses it and names that unit. `averaging` numbers which of the
    device's averages its samples are (`settle.AVERAGING`): the same finger gives another number under another.
    """

    name: str
    title: str
    kind: ReadingKind
    metrics: tuple[Metric, ...]
    line: Line | Hid
    pace: int
    bound: int
    make: Callable[[float | None], Driver]
    listen: Callable[[], Driver]
    writes: bool = True
    commanded: bool = False
    silence_s: float = 3.0
    service: bool = True
    unit: str = ""
    averaging: int = 0
