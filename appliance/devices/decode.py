"""`tram device decode`: what a driver and the settler make of recorded bytes, as JSON lines.

This is how a technician checks a recording from the field. Time runs from zero at the pace the device has while it measures
(`Row.pace`), byte by byte: where a sample lies in the recording says when it was.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from appliance.contract.metrics import TABLE
from appliance.contract.readings import Source
from appliance.devices.driver import SECOND, Driver, Row
from appliance.devices.events import Measurement, Noise, Notice, Said, Sample, shown
from appliance.devices.registry import UnknownDriverError, row
from appliance.devices.settle import Settler, rule_words

RECORDING = b"# tram recording 1"
"""How a file of ``tram device record`` begins: hex with comments, read as such without being told."""
CHUNK = 4096
"""Bytes fed at once; the result does not depend on it (tests feed the same recordings byte by byte)."""

STATISTICS = frozenset(metric for metric, each in TABLE.items() if each.of is not None)
"""Numbers about the window of a measurement: they are printed apart from its numerics."""

OK, FAILED, UNREADABLE = 0, 1, 2
"""Exit codes: done; the file cannot be read; unknown driver or unreadable hex."""


class HexError(ValueError):
    """Text that is not hex: `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, found: str) -> None:
        super().__init__(f"line {line}, column {column}: {found}")
        self.line = line
        self.column = column


def read_hex(text: str) -> bytes:
    """Bytes written as pairs of hex digits, with white space anywhere between pairs and comments from ``#`` to the end of a line.

    >>> read_hex("3E 04 # head, length").hex()
    '3e04'
    """
    out = bytearray()
    for number, line in enumerate(text.splitlines(), 1):
        high: int | None = None
        at = 0
        for at, letter in enumerate(line.partition("#")[0], 1):
            if letter.isspace():
                if high is not None:
                    raise HexError(number, at, "a hex digit without its partner")
                continue
            if letter not in "0123456789abcdefABCDEF":
                raise HexError(number, at, f"{letter!r} is not a hex digit")
            digit = int(letter, 16)
            if high is None:
                high = digit
            else:
                out.append(high << 4 | digit)
                high = None
        if high is not None:
            raise HexError(number, at + 1, "a hex digit without its partner")
    return bytes(out)


@dataclass
class Totals:
    """What became of the bytes of a recording: `bytes` = `frame_bytes` + `noise_bytes` + `pending_bytes`."""

    samples: int = 0
    valid: int = 0
    invalid: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    frame_bytes: int = 0
    noise_bytes: int = 0
    pending_bytes: int = 0

    def line(self) -> dict[str, Any]:
        """The last line of the output."""
        return {
            "totals": {
                "samples": self.samples,
                "valid": self.valid,
                "invalid": dict(sorted(self.invalid.items())),
                "noise_bytes": self.noise_bytes,
                "pending_bytes": self.pending_bytes,
                "bytes": self.bytes,
                "frame_bytes": self.frame_bytes,
            }
        }


@dataclass
class Time:
    """The time of a recording: `pace` bytes a second, except for samples that say themselves how long they stand for."""

    pace: int
    count: int = 0
    added_ns: int = 0
    noise: int = 0  # bytes of noise since the last frame

    def passed(self, said: Said) -> int:
        """When the last byte of this had arrived, in ns from the beginning of the recording."""
        if isinstance(said, Noise):
            self.count += len(said.data)
            self.noise += len(said.data)
        else:
            self.noise = 0
        if isinstance(said, Sample) and said.every_ns is not None:
            self.added_ns += said.every_ns
        elif isinstance(said, (Sample, Notice)):
            self.count += len(said.frame)
        return self.count * SECOND // self.pace + self.added_ns


def decode(which: Row, data: bytes, *, samples: bool = False) -> Iterator[dict[str, Any]]:
    """The lines of one recording: measurements (and samples, if asked for) in the order they come, totals last."""
    driver, settler, totals, time = which.listen(), Settler(which.averaging), Totals(bytes=len(data)), Time(which.pace)
    for said in _said(driver, data, which):
        for each in said:
            yield from _one(each, settler, totals, which, time, samples)
    ended = settler.end()
    if ended is not None:
        yield measurement_line(ended)
    totals.pending_bytes = driver.pending
    yield totals.line()


def _said(driver: Driver, data: bytes, which: Row) -> Iterator[list[Said]]:
    for at in range(0, len(data), CHUNK):
        chunk = data[at : at + CHUNK]
        yield driver.feed(chunk, (at + len(chunk)) * SECOND // which.pace)
    yield driver.flush()


def _one(said: Said, settler: Settler, totals: Totals, which: Row, time: Time, samples: bool) -> Iterator[dict[str, Any]]:
    now = time.passed(said)
    if isinstance(said, Noise):
        totals.noise_bytes += len(said.data)
        settler.noise(_lost(time.noise, which) - _lost(time.noise - len(said.data), which), now)
    elif isinstance(said, Notice):
        totals.frame_bytes += len(said.frame)
    elif isinstance(said, Sample):
        totals.frame_bytes += len(said.frame)
        totals.samples += 1
        if said.invalid is None:
            totals.valid += 1
        else:
            totals.invalid[said.invalid] += 1
        if samples:
            yield sample_line(said)
        settled = settler.offer(said, now)
        if settled is not None:
            yield measurement_line(settled)


def _lost(noise: int, which: Row) -> int:
    """About so many frames are lost in a run of noise, however many pieces it comes in."""
    return 1 + noise // which.bound if noise else 0


def measurement_line(measurement: Measurement) -> dict[str, Any]:
    """One settled measurement."""
    line: dict[str, Any] = {
        "kind": measurement.kind.name.lower(),
        "numerics": [shown(each) for each in measurement.numerics if each.metric not in STATISTICS],
        "device_time": measurement.device_time,
    }
    statistics = [shown(each) for each in measurement.numerics if each.metric in STATISTICS]
    if statistics:
        line["statistics"] = statistics
    return line | _origin(measurement) | {"rule": rule_words(measurement.rule)}


def _origin(one: Measurement | Sample) -> dict[str, Any]:
    """Where it comes from, when that is not the live line: the device's memory, and its place there."""
    return {} if one.source is Source.LIVE else {"source": one.source.name.lower(), "ordinal": one.ordinal}


def sample_line(sample: Sample) -> dict[str, Any]:
    """One frame's worth of numbers."""
    return {
        "sample": {
            "kind": sample.kind.name.lower(),
            "numerics": [shown(each, sample.invalid) for each in sample.numerics],
            "invalid": sample.invalid,
            "signals": dict(sample.signals),
            "device_time": sample.device_time,
            "frame": sample.frame.hex().upper(),
            **_origin(sample),
        }
    }


def run(
    driver: str, read: Callable[[], bytes], *, hex_text: bool, samples: bool, say: Callable[[str], None], complain: Callable[[str], None]
) -> int:
    """The whole command: `read` gives the file's bytes, `say` takes output lines, `complain` error lines; the exit code."""
    try:
        which = row(driver)
        content = read()
        data = read_hex(content.decode("utf-8", "replace")) if hex_text or content.startswith(RECORDING) else content
    except UnknownDriverError as error:
        complain(str(error))
        return UNREADABLE
    except HexError as error:
        complain(f"not hex: {error}")
        return UNREADABLE
    except OSError as error:
        complain(f"cannot read: {error}")
        return FAILED
    for line in decode(which, data, samples=samples):
        say(json.dumps(line, ensure_ascii=False))
    return OK
