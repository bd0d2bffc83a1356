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
from appliance.devices.asking import Asking, Job
from appliance.devices.driver import Hid, Row
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
TRIES = 3
"""A question is put so often (judgement)."""
Question = tuple[bytes, Callable[[bytes], bool]]
"""What is sent, nothing where the device goes on by itself; and which report answers it."""


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
        begun = _BEGUN.search(data, max(at, len(data) - REPORT + 1))
        stop = begun.start() if begun else len(data)
        _noise(data[at:stop], pieces)
        self._held = data[stop:]
        return pieces

    def expire(self) -> list[Piece]:
        """The device has been silent: what has begun will not become whole."""
        run, self._held = self._held, b""
        return [(run, CUT)] if run else []


def _unfinished(head: bytes, most: int) -> bytes:
    """What matches the end of the bytes when more can still make it an answer of this head."""
    cut = b"".join(b"(?:" + re.escape(head[at : at + 1]) for at in range(1, len(head)))
    said = b"(?:[\\s\\S]{0,%d}\\Z|[\\s\\S]{%d}\\x00*\\Z)" % (most - len(head), most - len(head))
    return re.escape(head[:1]) + cut + said + b"|\\Z)" * (len(head) - 1)


_BEGUN = re.compile(
    b"|".join([rb"[\x80-\xff]{1,%d}\Z|[\x80-\xff]{%d}\x00*\Z" % (RECORD, RECORD), *(_unfinished(*each) for each in HEADS.items())])
)
"""A report that has begun, up to the end of the bytes."""
_FIRST = frozenset(head[0] for head in HEADS)


def _noise(run: bytes, pieces: list[Piece]) -> None:
    if run:
        pieces.append((run, CUT if run[0] >= 0x80 or run[0] in _FIRST else GARBAGE))


class Contec08a(Asking[Question]):
    """Driver of one cuff: it is greeted twice, as the vendor's program does, and every user's memory read."""

    def __init__(self, listen: bool = False) -> None:
        super().__init__(_Framer(), TRIES, listen)
        self._user: int | None = None
        self._place = 0

    def end(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """No word of parting is known."""
        self._job, self._unread = None, False
        return []

    # --- asking ---------------------------------------------------------------------------------------------------

    def _identity(self) -> Generator[Question, bytes, None]:
        for _ in range(2):
            yield report(GREETING), bool  # any answer: what the device says to it is not documented
        yield report(QUESTION), _is(WHO)

    def _memory(self) -> Job[Question]:
        for user in USERS:
            opened = yield download(user), _is(OPENED)
            if opened[2] != DEVICE_ON:
                return "switched-off"
            follows = yield b"", _is(FOLLOWS)
            for _ in range(follows[4] & 0x7F):
                yield b"", _is_record
        self._unread = False
        return None

    def _ask(self, question: Question) -> list[Said]:
        return [Send(question[0])] if question[0] else []

    # --- answers --------------------------------------------------------------------------------------------------

    def _pieces(self, pieces: list[Piece], now_ns: int) -> list[Said]:
        said: list[Said] = []
        for piece, noise in pieces:
            if noise is not None:
                said.append(Noise(piece, noise))
                continue
            said.append(self._record(piece) if _is_record(piece) else self._notice(piece))
            if self._job is not None and self._asked is not None and self._asked[1](piece):
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
