"""Contec 08A cuff over USB HID: its memory of measurements, by user.

Source: a public reader whose author compared the bytes with the vendor program's own export; every record he quotes is a table
of the tests. Reports have 64 bytes and are zero behind what they say. There is no checksum: the zeros are all the redundancy
there is, so a report counts only when every one of them is there. (On the cable USB checks every packet by itself.)

A record is two groups of a mask and data, coded as in the vendor's oximeters: each byte travels with bit 7 set and its true bit 7
is a bit of the mask. What its first byte means is not known: it is shown as a signal. No error code is known either.

Every download repeats everything, oldest first, and a full memory (100 records of each user) moves every place by one with the next
measurement. So a place is a record's ordinal only when its clock said no moment; otherwise the time and the numbers name it.

A request that begins with 41 probably empties the memory: it does not exist in this file.
"""

import re
from collections.abc import Callable, Generator
from datetime import datetime
from functools import lru_cache

from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, ReadingKind, Source
from appliance.devices.driver import SECOND, Hid, Row, Uncommanded
from appliance.devices.events import Noise, Notice, Said, Sample, Send, Word, numeric
from appliance.devices.framing import CUT, GARBAGE, Piece

REPORT = 64
HELLO, WHO, OPENED, FOLLOWS = 0x40, 0x48, 0x4A, 0x46
"""First bytes of the answers: to the greeting (what follows is not documented), to the question who it is, the two before the
records."""
HEADS: dict[bytes, int] = {b"\x40": 14, b"\x48\x41": 6, b"\x4a\x43": 5, b"\x46\x41": 14}
"""How answers begin, and how many bytes of each may be other than zero."""
RECORD = 14
"""Bytes of a record as they are sent; the last two of its second group are not."""
GREETING, QUESTION = bytes.fromhex("408FFFFEFDFC"), bytes.fromhex("428FFFFEFDFC")
USERS = (1, 2, 3)
DEVICE_ON = 1
OLDEST, NEWEST = 2005, 2040
"""Years that a clock in use can say; others are flagged and left as they are (fact sheet: clocks that say 2004, 2044)."""
AGAIN_NS = 10 * SECOND
"""A device that gave no answer, or is not switched on, is asked anew after this."""
REPLY_NS, TRIES = SECOND, 3
"""An answer that does not come within a second is asked for again, so often (judgement)."""


def report(data: bytes) -> bytes:
    """A report: zeros behind what it says.

    >>> len(report(b"@"))
    64
    """
    return data.ljust(REPORT, b"\x00")


def download(user: int) -> bytes:
    """The request for one user's records.

    >>> download(2)[:6].hex()
    '434101050200'
    """
    return report(bytes([0x43, 0x41, 0x01, 0x04 + user - 1, 0x02, 0x00]))


def data_bytes(group: bytes) -> bytes:
    """The true bytes behind a mask; what was not sent is 0.

    >>> data_bytes(bytes.fromhex("828098dec6f19a83")).hex()
    '00985e46711a03'
    """
    mask = group[0]
    size = len(group) - 1
    low = int.from_bytes(group[1:].translate(_LOW), "little")
    return (low | _HIGH[mask & 0x7F] & (1 << 8 * size) - 1).to_bytes(size, "little")


_LOW = bytes(byte & 0x7F for byte in range(256))
_HIGH = tuple(sum(0x80 << 8 * at for at in range(7) if mask >> at & 1) for mask in range(128))
"""By mask: the bits 7 of the seven bytes behind it, the first one lowest."""


_REPORTS = re.compile(
    b"|".join(
        [rb"[\x80-\xff]{%d}\x00{%d}" % (RECORD, REPORT - RECORD)]
        + [re.escape(head) + b"[\\s\\S]{%d}\\x00{%d}" % (most - len(head), REPORT - most) for head, most in HEADS.items()]
    )
)


class _Framer:
    """Cuts the bytes into reports; holds less than one."""

    def __init__(self) -> None:
        self._held = b""

    @property
    def pending(self) -> int:
        """Bytes of a report that has begun and may still become whole."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that `data` completes."""
        data = self._held + data
        pieces: list[Piece] = []
        at = 0
        for match in _REPORTS.finditer(data):
            _noise(data[at : match.start()], pieces)
            pieces.append((match.group(), None))
            at = match.end()
        stop = next((each for each in range(max(at, len(data) - REPORT + 1), len(data)) if _begins(data[each:])), len(data))
        _noise(data[at:stop], pieces)
        self._held = data[stop:]
        return pieces

    def expire(self) -> list[Piece]:
        """The device has been silent: what has begun will not become whole."""
        run, self._held = self._held, b""
        return [(run, CUT)] if run else []


def _begins(data: bytes) -> bool:
    """True when more bytes can still make this a report."""
    if data[0] >= 0x80:
        return all(byte >= 0x80 for byte in data[:RECORD]) and not any(data[RECORD:])
    return any(
        (head.startswith(data[: len(head)]) if len(data) < len(head) else data.startswith(head)) and not any(data[most:])
        for head, most in HEADS.items()
    )


def _noise(run: bytes, pieces: list[Piece]) -> None:
    if run:
        pieces.append((run, CUT if _begins(run[:1]) else GARBAGE))


class Contec08a(Uncommanded):
    """Driver of one cuff. With `listen=True` it decodes only and never sends."""

    def __init__(self, listen: bool = False) -> None:
        self._listen = listen
        self._framer = _Framer()
        self._job: Generator[tuple[bytes, Callable[[bytes], bool]], bytes, None] | None = None
        self._asked = b""
        self._suits: Callable[[bytes], bool] = bool
        self._asked_ns = self._fed_ns = 0
        self._tries = 0
        self._user: int | None = None
        self._place = 0
        self._count = 0
        self._unread = False

    @property
    def pending(self) -> int:
        """Bytes of a report that has begun."""
        return self._framer.pending

    def begin(self, now_ns: int) -> list[Said]:
        """Greet it twice, as the vendor's program does, ask who it is, and read its memory: it gives nothing else."""
        self._unread = not self._listen
        return [] if self._listen else self._go(self._whole(), now_ns)

    def recall(self, now_ns: int) -> list[Said]:
        """Read the memory of every user once more."""
        return self._go(self._memory(), now_ns)

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the device."""
        if data:
            self._fed_ns = now_ns
        return self._pieces(self._framer.feed(data), now_ns)

    def tick(self, now_ns: int) -> list[Said]:
        """What has not been answered is asked again; records that stopped coming are given up."""
        said: list[Said] = []
        if not self._listen and self._framer.pending and now_ns - self._fed_ns >= REPLY_NS:
            said = self._pieces(self._framer.expire(), now_ns)
        if self._job is None:
            due = self._unread and now_ns - self._asked_ns >= AGAIN_NS
            return said + (self._go(self._whole(), now_ns) if due else [])
        if now_ns - self._asked_ns < REPLY_NS:
            return said
        self._tries += 1
        self._asked_ns = now_ns
        if self._tries < TRIES and self._asked:
            return [*said, Send(self._asked)]
        self._job = None
        return [*said, Notice(Word.FAILED, "no-reply")]

    def end(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """No word of parting is known."""
        self._job, self._unread = None, False
        return []

    # --- asking ---------------------------------------------------------------------------------------------------

    def _go(self, job: Generator[tuple[bytes, Callable[[bytes], bool]], bytes, None], now_ns: int) -> list[Said]:
        if self._listen or self._job is not None:
            return [Notice(Word.REFUSED, "listening" if self._listen else "busy")]
        self._job, self._count = job, 0
        return self._step(None, now_ns)

    def _whole(self) -> Generator[tuple[bytes, Callable[[bytes], bool]], bytes, None]:
        yield from self._identity()
        yield from self._memory()

    def _identity(self) -> Generator[tuple[bytes, Callable[[bytes], bool]], bytes, None]:
        for _ in range(2):
            yield report(GREETING), bool  # any answer: what the device says to it is not documented
        yield report(QUESTION), _is(WHO)

    def _memory(self) -> Generator[tuple[bytes, Callable[[bytes], bool]], bytes, None]:
        for user in USERS:
            opened = yield download(user), _is(OPENED)
            if opened[2] != DEVICE_ON:
                return
            follows = yield b"", _is(FOLLOWS)
            for _ in range(follows[4] & 0x7F):
                yield b"", _is_record
        self._unread = False

    def _step(self, answer: bytes | None, now_ns: int) -> list[Said]:
        assert self._job is not None
        self._asked_ns, self._tries = now_ns, 0
        try:
            self._asked, self._suits = next(self._job) if answer is None else self._job.send(answer)
        except StopIteration:
            self._job = None
            return [Notice(Word.STATE, "read", self._count)]
        return [Send(self._asked)] if self._asked else []

    # --- answers --------------------------------------------------------------------------------------------------

    def _pieces(self, pieces: list[Piece], now_ns: int) -> list[Said]:
        said: list[Said] = []
        for piece, noise in pieces:
            if noise is not None:
                said.append(Noise(piece, noise))
                continue
            said.append(self._record(piece) if _is_record(piece) else self._notice(piece))
            if self._job is not None and self._suits(piece):
                said += self._step(piece, now_ns)
        return said

    def _notice(self, frame: bytes) -> Notice:
        if frame[0] == WHO:
            return Notice(Word.IDENTITY, f"Contec device type {frame[1]}, protocol version {frame[3]}", frame=frame)
        if frame[0] == OPENED:
            return Notice(Word.STATE, "on" if frame[2] == DEVICE_ON else "switched off", frame=frame)
        if frame[0] == FOLLOWS:
            self._user, self._place = frame[13] & 0x03, 0
            return Notice(Word.STATE, f"user {self._user}: {frame[4] & 0x7F} records", frame[4] & 0x7F, frame)
        return Notice(Word.STATE, "greeted", frame=frame)

    def _record(self, frame: bytes) -> Sample:
        """One measurement; a pulse or mean of 0 is a missing one, a pressure of 0 no measurement."""
        unexplained, systolic, diastolic, pulse, mean, year, month = data_bytes(frame[:8])
        day, hour, minute, *_ = data_bytes(frame[8:RECORD])
        why = None if systolic and diastolic else "no-value"
        time = _time(year, month, day, hour, minute)
        place, self._place = self._place, self._place + 1
        signals = [("unexplained", unexplained), ("place", place)]
        if self._user is not None:
            signals.append(("user", self._user))
        if time is None or not OLDEST <= 2000 + year <= NEWEST:
            signals.append(("implausible_time", 1))
        self._count += 1
        ordinal = place if time is None else None
        numerics = _numerics(systolic, diastolic, mean, pulse) if why is None else _NO_NUMERICS
        return Sample(
            ReadingKind.BLOOD_PRESSURE, numerics,
            frame, invalid=why, result=True, source=Source.MEMORY, device_time=time, ordinal=ordinal, signals=tuple(signals),
        )  # fmt: skip


@lru_cache(256)  # a download repeats what the last one said
def _numerics(*values: int) -> tuple[Numeric, ...]:
    return tuple([numeric(metric, value or None) for metric, value in zip(_METRICS, values, strict=True)])


_METRICS = (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.PULSE_RATE)
_NO_NUMERICS = tuple(numeric(metric, None) for metric in _METRICS)


def _is(first: int) -> Callable[[bytes], bool]:
    return lambda frame: frame[0] == first


def _is_record(frame: bytes) -> bool:
    return frame[0] >= 0x80


@lru_cache(256)
def _time(year: int, month: int, day: int, hour: int, minute: int) -> str | None:
    """To the minute, as the device says it; None when there is no such moment."""
    try:
        return datetime(2000 + year, month, day, hour, minute).isoformat(timespec="minutes")  # noqa: DTZ001 - the device's own clock
    except ValueError:
        return None


ROW = Row(
    name="contec08a",
    title="Contec 08A cuff, its memory over USB",
    kind=ReadingKind.BLOOD_PRESSURE,
    metrics=(Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.PULSE_RATE),
    line=Hid(0x0483, 0x5750, report=REPORT),
    pace=REPORT * 50,  # unverified: no public recording has times
    bound=REPORT,
    make=lambda rest_s: Contec08a(),  # noqa: ARG005 - the cuff keeps its own rest
    listen=lambda: Contec08a(listen=True),
    silence_s=3600.0,
    service=False,
)
"""This family in the registry."""
