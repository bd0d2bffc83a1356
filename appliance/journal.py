"""The journal: stdlib logging as JSON lines, one line per unit of work, no patient data in it.

Every line has ``at`` (RFC 3339, UTC, microseconds), ``boottime_ns`` (CLOCK_BOOTTIME), ``process`` and either ``step``
with ids, or ``level`` and ``text``. Ids are numbers or hex of a short list of names: what is not on the list is left
out and named in ``left_out``, so that a name or a value of a patient cannot slip into a log file.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

STEPS = (
    "read", "feed", "settle", "observe", "record", "publish", "decode", "accept", "receipt", "shown", "signed", "published", "accepted",
)  # fmt: skip
"""The steps of a reading's way up (read … shown) and of the answer's way down (signed, published, accepted, receipt, shown)."""

IDS = frozenset({
    "answer", "attempt", "boot_seq", "bytes", "consult", "contiguous", "count", "counter", "device", "digest", "driver", "epoch",
    "first_seq", "frames", "key_id", "lane", "measurement", "ms", "noise_bytes", "observation", "origin", "parcel", "port", "question",
    "reading_key", "reason", "refusal", "retry_s", "seq", "session", "shard", "signature_ok", "state", "station", "store", "text", "way",
})  # fmt: skip
"""What a step may name."""

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/-]{0,79}")


def open(name: str, stream: TextIO | None = None) -> logging.Logger:  # noqa: A001 - journal.open() reads as what it is
    """The journal of one process, written to `stream` (default: stderr, where systemd's journal reads it)."""
    log = logging.getLogger(f"tram.{name}")
    log.setLevel(logging.INFO)
    log.propagate = False
    for old in list(log.handlers):
        log.removeHandler(old)
    log.addHandler(_Lines(name, stream if stream is not None else sys.stderr))
    return log


def step(log: logging.Logger, step: str, *, when_ns: int | None = None, **ids: Any) -> None:
    """One line for one step of a reading's or an answer's way. `ids` are ids only (`IDS`); bytes are written as hex.

    `when_ns` is CLOCK_BOOTTIME of the step where it could not be written at once: the key of a reading is known last.
    """
    steps(log, ((step, when_ns),), **ids)


def steps(log: logging.Logger, done: Sequence[tuple[str, int | None]], **ids: Any) -> None:
    """Several steps of one thing in one breath, a line each: ``(step, when_ns)`` in their order."""
    text = _clean(ids)
    for handler in log.handlers:
        if isinstance(handler, _Lines):
            handler.steps(done, text)


def _clean(ids: dict[str, Any]) -> dict[str, Any]:
    """The ids that may be written; the names of the others under ``left_out``."""
    kept: dict[str, Any] = {}
    left: list[str] = []
    for name, value in ids.items():
        shown = value
        if type(value) is not int:
            shown = bytes(value).hex() if isinstance(value, (bytes, bytearray, memoryview)) else value
            if not (shown is None or isinstance(shown, (int, float)) or (isinstance(shown, str) and _WORD.fullmatch(shown) is not None)):
                left.append(name)
                continue
        if name in IDS:
            kept[name] = shown
        else:
            left.append(name)
    if left:
        kept["left_out"] = sorted(left)
    return kept


def _trace(error: BaseException) -> dict[str, Any]:
    """Where an error came from. Its own words only when it speaks of files and devices: others may quote what a person typed."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    words = {"words": str(error)} if isinstance(error, OSError) else {}
    return {"error": type(error).__qualname__, **words, "trace": frames}


class _Lines(logging.StreamHandler[TextIO]):
    """Where the lines go. Steps are spelt and written without a record: they are most of what is written, and a record costs more."""

    def __init__(self, process: str, stream: TextIO) -> None:
        super().__init__(stream)
        self._process = _ENCODE(process)
        self.setFormatter(_Line(self))

    def steps(self, done: Sequence[tuple[str, int | None]], ids: dict[str, Any]) -> None:
        """A line for each step, in one write; what goes wrong is reported as for any other line."""
        now, boottime_ns = datetime.now(UTC), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        head, tail = self.head(now, boottime_ns), f", {_ENCODE(ids)[1:]}" if ids else "}"
        lines = []
        for name, when_ns in done:
            if when_ns is not None:
                before = self.head(now - timedelta(microseconds=(boottime_ns - when_ns) // 1000), when_ns)
                lines.append(f'{before}, "step": "{name}"{tail}\n')
            else:
                lines.append(f'{head}, "step": "{name}"{tail}\n')
        with self.lock or nullcontext():
            try:
                self.stream.write("".join(lines))
                self.flush()
            except OSError:
                self.handleError(logging.makeLogRecord({"msg": "a step could not be written"}))

    def head(self, at: datetime, boottime_ns: int) -> str:
        """How every line begins."""
        moment = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        return f'{{"at": "{moment}", "boottime_ns": {boottime_ns}, "process": {self._process}'


class _Line(logging.Formatter):
    """A record as one JSON line."""

    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {"level": record.levelname.lower(), "text": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            said.update(_trace(record.exc_info[1]))
        head = self._lines.head(datetime.now(UTC), time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        return f"{head}, {_ENCODE(said)[1:]}"
