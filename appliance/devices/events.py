"""What a driver says: bytes and time in, these out. Pure shapes, shared by drivers, settler and collector."""

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from appliance.contract.metrics import TABLE, Metric, Status, words
from appliance.contract.readings import Numeric, ReadingKind, Source


@dataclass(frozen=True, slots=True)
class Sample:
    """One well-formed frame's worth of numbers.

    `invalid` is None for a usable sample, else the short reason why its values are not (``searching``, ``probe-error``,
    ``no-value``, ``device-error-87`` …): such a sample is counted and shown as *no value*, never as a number.
    `result` is True when the device itself says that this is a finished measurement (a cuff's result frame, a memory
    record): the settler passes it through at once. `frame` is the exact bytes.
    """

    kind: ReadingKind
    numerics: tuple[Numeric, ...]
    frame: bytes
    invalid: str | None = None
    result: bool = False
    source: Source = Source.LIVE
    device_time: str | None = None
    ordinal: int | None = None
    signals: tuple[tuple[str, int], ...] = ()
    """Beside the numbers: ``("pleth", 64)``, ``("beep", 1)``, ``("cuff_pressure", 120)`` — for the live view, never stored."""
    every_ns: int | None = None
    """Nominal time since the sample before, where the row's pace does not say it: a slower format, a series from the memory."""

    @property
    def valid(self) -> bool:
        """True when its numbers may be used."""
        return self.invalid is None


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that belong to no frame, with the reason (``checksum``, ``length``, ``garbage``, ``cut``)."""

    data: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes the driver wants written to the port it is bound to."""

    data: bytes


class Word(Enum):
    """What a notice is about."""

    IDENTITY = "identity"
    CLOCK = "clock"
    STATE = "state"
    STARTED = "started"
    PRESSURE = "pressure"
    REFUSED = "refused"
    ABORTED = "aborted"
    CUFF = "take-the-cuff-off"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell the collector or a person: never a number of the patient.

    `frame` holds the exact bytes when a frame carried the notice (so that no byte disappears from the count).
    """

    word: Word
    text: str = ""
    value: int | None = None
    frame: bytes = b""


Said = Sample | Noise | Send | Notice


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the settler made of samples: ready to be stamped with the measuring session of its *first* sample.

    `first_ns` and `settled_ns` are CLOCK_BOOTTIME of the first and of the settling sample; `rule` numbers the settling
    rule (settle.RULES); `raw` is the settling frame.
    """

    kind: ReadingKind
    numerics: tuple[Numeric, ...]
    first_ns: int
    settled_ns: int
    source: Source = Source.LIVE
    device_time: str | None = None
    ordinal: int | None = None
    rule: int = 0
    raw: bytes = b""


def numeric(metric: Metric, value: int | None, status: Status = Status(0), scale: int = 0) -> Numeric:
    """A numeric; without a value it always carries `Status.NOT_AVAILABLE`."""
    return Numeric(metric, value, status if value is not None else status | Status.NOT_AVAILABLE, scale)


def shown(numeric: Numeric, why: str | None = None) -> dict[str, Any]:
    """A numeric as JSON shows it: its name, the value in its unit (None = no value, then `why` joins the status words), unit, status."""
    number = numeric.number
    value = None if number is None else int(number) if numeric.scale == 0 else float(number)
    status = [*_words(int(numeric.status)), *([why] if why and value is None else ())]
    return {"metric": numeric.metric.name, "value": value, "unit": TABLE[numeric.metric].unit, "status": status}


@cache
def _words(status: int) -> tuple[str, ...]:
    """Few statuses occur, and they are spelt ten times a second."""
    return tuple(words(status))
