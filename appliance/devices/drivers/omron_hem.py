"""Omron HEM-790IT/HEM-7080IT and HEM-7301-ITKE7 cuffs over USB HID: their memory of measurements.

Sources: the public protocol notes and recorded sessions of the HEM-790IT (libomron), its thread about the bytes the notes
leave open (unit number, two-byte systolic, the two flags), and two public readers of the HEM-7301. No public recording of a
HEM-7301 is known.

Reports have 8 bytes: how many of the seven that follow count, and those seven; what stands behind the counted ones is left over
from earlier reports and means nothing. Reports join into an answer: ``OK`` alone, ``NO`` (ask again), or ``OK 00``, data and
the XOR of the data. Nothing says where an answer ends: one report that is not full ends it, and the profile, all text, is two
full ones. In a recording the questions are missing, so an answer is known by its length.

The command that empties the memory of a HEM-7301 does not exist in this file. A weekly average is shown as a sample and never
becomes a measurement: it was computed by the device, over days, and says neither which days nor whose mornings.

Every download repeats everything, and index 0 is always the newest: an index names another measurement after the next one. So a
record's ordinal is its number in the life of the device (the running total less the index, on the HEM-790IT); the HEM-7301 counts
nothing, and an index is its ordinal only when its clock said no moment.
"""

import re
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import xor

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ReadingKind, Source
from appliance.devices.asking import Asking, Job
from appliance.devices.driver import Hid, Row
from appliance.devices.events import Noise, Notice, Said, Sample, Send, Word, numeric
from appliance.devices.framing import CHECKSUM, CUT, GARBAGE, LENGTH, Piece

REPORT, FULL, MOST_REPORTS = 8, 7, 3
"""Bytes of a report, of them counted at most, and reports of the longest answer (a record: 17 bytes)."""
OKAY, AGAIN, GOOD, OFF = b"OK", b"NO", b"OK\x00", b"OFF\r\n"
"""How answers begin; the last is what the device says when it switches itself off."""
IDLE = bytes(REPORT)
NOT_READY = b"\x08\x60" + bytes(6)
"""Reports without an answer: nothing, and *not ready* after a mode was set (seen in every recorded session)."""

CLOCK, COUNT, SERIAL, WEEK, PROFILE, VERSION, RECORD = 10, 8, 11, 12, 14, 15, 17
"""Length of each answer, with ``OK 00`` and XOR. The clock is the HEM-7301's only."""
WEEK_SYSTOLIC = 25
"""A weekly average stores its systolic less this (the notes; confirmed by the device's own display)."""
IRREGULAR, MOVED, TRIPLE = 0x0001, 0x0002, 0x0030
"""Flags of a record (big-endian): irregular heartbeat, movement, place among three readings that the device averages."""
OLDEST, NEWEST = 2005, 2040
"""Years that a clock in use can say; others are flagged and left as they are (fact sheet: clocks that say 2004, 2044)."""

INFORMATION, MEASUREMENTS = b"\x01\x01", b"\x74\xbc"
"""Feature reports that select what may be asked (the notes; values differ between recorded sessions)."""
MODE = b"\x00\x00"
"""The HEM-7301's only mode (both readers)."""
WAKE = bytes(23)
"""Zeros until the device says ``OK`` (the notes)."""
BANKS = (0, 1)
"""Memories of user A and user B."""
TRIES = 5
"""A question without an answer, or with ``NO`` for one, is put so often (the vendor's program repeats too)."""
SUITS = {b"VER": VERSION, b"SRL": SERIAL, b"GCL": CLOCK, b"GDC": COUNT, b"GME": RECORD, b"MES": RECORD}
"""How long the answer to a question is; the HEM-7301's count is known by its place only."""


def reports(message: bytes) -> bytes:
    """A command or an answer cut into reports, zeros behind its end.

    >>> reports(b"VER00").hex()
    '0556455230300000'
    """
    pieces = (message[at : at + FULL] for at in range(0, len(message), FULL))
    return b"".join(bytes([len(piece)]) + piece.ljust(FULL, b"\x00") for piece in pieces)


def command(name: bytes, data: bytes) -> bytes:
    """A command: three letters, data, the XOR of the data; as reports.

    >>> command(b"GME", bytes([0, 1, 0, 2])).hex()
    '07474d45000100020103000000000000'
    """
    return reports(name + data + bytes([reduce(xor, data)]))


_WAKING = reports(WAKE)
_MAY = re.compile(rb"[\x02-\x07](?:\Z|[ON])|[%b%b]" % (re.escape(IDLE[:1]), re.escape(NOT_READY[:1])))
"""Where an answer may begin, by its first two bytes: everything before is noise."""


class _Framer:
    """Cuts reports into answers; holds less than the longest one."""

    def __init__(self) -> None:
        self._held = b""

    @property
    def pending(self) -> int:
        """Bytes of an answer that has begun."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that `data` completes."""
        data = self._held + data
        pieces: list[Piece] = []
        at = begun = 0
        why = GARBAGE
        while at < len(data):
            used, fails = _look(data, at)
            if used == 0:
                break
            if fails is None:
                _noise(data[begun:at], why, pieces)
                pieces.append((data[at : at + used], None))
                begun = at + used
            elif begun == at:
                why = fails
            at += used
        _noise(data[begun:at], why, pieces)
        self._held = data[at:]
        return pieces

    def expire(self) -> list[Piece]:
        """The device has been silent: what has begun will not become whole."""
        run, self._held = self._held, b""
        return [(run, CUT)] if run else []


def _noise(run: bytes, why: str, pieces: list[Piece]) -> None:
    if run:
        pieces.append((run, why))


def _look(data: bytes, at: int) -> tuple[int, str | None]:
    """How many bytes are decided at this place and what they are: an answer (None) or noise; 0 = not decided yet."""
    may = _MAY.search(data, at)
    if may is None or may.start() > at:
        return (may.start() if may else len(data)) - at, GARBAGE
    head = data[at : at + REPORT]
    for known in (IDLE, NOT_READY):
        if head and known.startswith(head):
            return (REPORT, None) if head == known else (0, None)
    if not 2 <= head[0] <= FULL:
        return 1, GARBAGE
    if not any(start.startswith(head[1:4]) or head[1:].startswith(start) for start in (OFF, AGAIN, OKAY)):
        return 1, GARBAGE
    if len(head) < REPORT:
        return 0, None
    return _answer(data, at, head)


def _answer(data: bytes, at: int, head: bytes) -> tuple[int, str | None]:
    """An answer that begins with this report."""
    if head[1:3] == AGAIN or (head[0], head[1:3]) == (2, OKAY) or (head[0], head[1:6]) == (5, OFF):
        return REPORT, None
    if head[1:4] != GOOD or head[0] < 5:
        return 1, LENGTH
    message = b""
    for number in range(MOST_REPORTS):
        report = data[at + number * REPORT : at + (number + 1) * REPORT]
        if number and report and (not 1 <= report[0] <= FULL or report[1:4] == GOOD):
            return 1, CUT
        if len(report) < REPORT:
            return 0, None
        message += report[1 : 1 + report[0]]
        if report[0] < FULL or _profile(message):
            return ((number + 1) * REPORT, None) if reduce(xor, message[3:]) == 0 else (1, CHECKSUM)
    return 1, LENGTH


def _profile(message: bytes) -> bool:
    """The only answer of full reports; a record cannot be taken for it, since its month is no letter."""
    return len(message) == PROFILE and _text(message[3:-1]) and reduce(xor, message[3:]) == 0


def _text(data: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in data)


def joined(frame: bytes) -> bytes:
    """What a frame's reports say together.

    >>> joined(bytes.fromhex("024f4b9800000000"))
    b'OK'
    """
    return b"".join(frame[at + 1 : at + 1 + frame[at]] for at in range(0, len(frame), REPORT) if frame[at] <= FULL)


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between the two: `counted` is the byte of the answer that holds the number of records."""

    name: str
    counted: int
    clock: bool
    banks: tuple[int, ...]


HEM790 = Family("omron-hem790", 6, False, BANKS)
HEM7301 = Family("omron-hem7301", 4, True, (0,))


class OmronHem(Asking[bytes]):
    """Driver of one cuff: it is woken, asked who it is, and its memory read, newest first."""

    def __init__(self, family: Family, listen: bool = False) -> None:
        super().__init__(_Framer(), TRIES, listen)
        self._family = family
        self._place = 0
        self._ever: int | None = None

    def end(self, now_ns: int) -> list[Said]:  # noqa: ARG002 - as every driver
        """Tell it that we are done: it switches itself off."""
        self._job, self._unread = None, False
        return [] if self._listen else [Send(_END[self._family.clock])]

    # --- asking ---------------------------------------------------------------------------------------------------

    def _identity(self) -> Generator[bytes, bytes, None]:
        yield from self._wake(MODE if self._family.clock else INFORMATION)
        yield reports(b"VER00")
        if self._family.clock:
            yield reports(b"GCL00")
        else:
            yield reports(b"SRL00")

    def _memory(self) -> Job[bytes]:
        """Every record of every bank; a count that does not come is a bank without records."""
        yield from self._wake(MODE if self._family.clock else MEASUREMENTS)
        if self._family.clock:
            yield reports(b"GCL00")
        for bank in self._family.banks:
            answer = yield reports(b"CNT00") if self._family.clock else command(b"GDC", bytes([0, bank, 0, 0]))
            count = answer[self._family.counted] if answer and len(answer) > self._family.counted else 0
            for index in range(count):
                yield command(b"MES", bytes([0, 0, index])) if self._family.clock else command(b"GME", bytes([0, bank, 0, index]))
        self._unread = False
        return None

    def _wake(self, mode: bytes) -> Generator[bytes, bytes, None]:
        yield mode + reports(WAKE)

    def _ask(self, question: bytes) -> list[Said]:
        return _sends(question)

    # --- answers --------------------------------------------------------------------------------------------------

    def _pieces(self, pieces: list[Piece], now_ns: int) -> list[Said]:
        said: list[Said] = []
        for piece, noise in pieces:
            if noise is not None:
                said.append(Noise(piece, noise))
                continue
            message = joined(piece)
            said.append(self._understood(piece, message))
            if self._job is None or not message:
                continue
            if message.startswith(AGAIN):
                said += self._again(now_ns)
            elif self._answers(message):
                said += self._step(message, now_ns)
        return said

    def _answers(self, message: bytes) -> bool:
        """True when this can be the answer to what was asked; a late answer to an earlier question is not."""
        if self._asked is None or self._asked.endswith(_WAKING):
            return message == OKAY
        return message.startswith(GOOD) and len(message) == SUITS.get(self._asked[1:4], len(message))

    def _understood(self, frame: bytes, message: bytes) -> Said:
        data = message[3:-1]
        if _text(data) and len(message) in (PROFILE, VERSION):
            return Notice(Word.IDENTITY if len(message) == VERSION else Word.STATE, data.decode("ascii"), frame=frame)
        if len(message) == RECORD:
            return self._record(frame, data)
        if len(message) == WEEK and not self._family.clock:
            return _week(frame, data)
        if len(message) == COUNT:
            count = message[self._family.counted]
            self._place, self._ever = 0, None if self._family.clock else data[1]
            text = f"records: {count}" if self._family.clock else f"records: {count}, ever: {data[1]}"
            return Notice(Word.STATE, text, count, frame)
        if len(message) == SERIAL:
            return Notice(Word.IDENTITY, f"serial {data.hex().upper()}", frame=frame)
        if len(message) == CLOCK and self._family.clock:
            return Notice(Word.CLOCK, _time(data) or f"no time: {data.hex()}", frame=frame)
        return Notice(Word.STATE, _WORDS.get(message, f"answer of {len(message)} bytes"), frame=frame)

    def _record(self, frame: bytes, data: bytes) -> Sample:
        """One measurement; a pulse of 0 is a missing pulse, a pressure of 0 no measurement."""
        systolic, diastolic, pulse = int.from_bytes(data[7:9]), data[9], data[10]
        flags = int.from_bytes(data[11:13])
        why = None if systolic and diastolic else "no-value"
        status = Status.QUESTIONABLE if flags & (IRREGULAR | MOVED) else Status(0)
        signals = [("irregular", flags & IRREGULAR), ("movement", (flags & MOVED) >> 1), ("of_three", (flags & TRIPLE) >> 4)]
        place, self._place = self._place, self._place + 1
        if self._job is not None and self._asked is not None and self._asked[1:4] in (b"GME", b"MES"):
            self._count += 1
            place = self._asked[6 if self._family.clock else 7]
            if not self._family.clock:
                signals.append(("user", self._asked[5] + 1))
        signals.append(("place", place))
        time = _time(data[:6])
        if time is None or not OLDEST <= 2000 + data[0] <= NEWEST:
            signals.append(("implausible_time", 1))
        number = None if self._ever is None else (self._ever - place) % 256
        ordinal = number if not self._family.clock else place if time is None else None
        return Sample(
            ReadingKind.BLOOD_PRESSURE,
            (
                numeric(Metric.SYSTOLIC, None if why else systolic, status),
                numeric(Metric.DIASTOLIC, None if why else diastolic, status),
                numeric(Metric.PULSE_RATE, None if why or not pulse else pulse, status),
            ),
            frame, invalid=why, result=True, source=Source.MEMORY, device_time=time, ordinal=ordinal, signals=tuple(signals),
        )  # fmt: skip


def _week(frame: bytes, data: bytes) -> Sample:
    """The average of a week: no measurement, whatever it says. A diastolic of 0 means that nobody measured."""
    systolic, diastolic, pulse = data[5] + WEEK_SYSTOLIC, data[6], data[7]
    why = None if diastolic else "no-value"
    time = _time(bytes([*data[2:5], 0, 0, 0]))
    return Sample(
        ReadingKind.BLOOD_PRESSURE,
        (
            numeric(Metric.SYSTOLIC, None if why else systolic),
            numeric(Metric.DIASTOLIC, None if why else diastolic),
            numeric(Metric.PULSE_RATE, None if why or not pulse else pulse),
        ),
        frame, invalid=why, source=Source.MEMORY, device_time=time and time[:10], signals=(("average_of_week", 1),),
    )  # fmt: skip


def _time(six: bytes) -> str | None:
    """Year after 2000, month, day, hour, minute, second as the device says them; None when there is no such moment."""
    year, month, day, hour, minute, second = six
    try:
        return datetime(2000 + year, month, day, hour, minute, second).isoformat()  # noqa: DTZ001 - the device's own clock
    except ValueError:
        return None


def _sends(asked: bytes) -> list[Said]:
    """A mode (two bytes, a feature report) goes apart from the reports behind it."""
    mode = len(asked) % REPORT
    return [Send(part) for part in (asked[:mode], asked[mode:]) if part]


_END = {False: reports(b"END\xff\xff"), True: reports(b"END00")}
_WORDS = {b"": "idle", OKAY: "ok", AGAIN: "ask-again", OFF: "off"}


def _row(family: Family, title: str) -> Row:
    return Row(
        name=family.name,
        title=title,
        kind=ReadingKind.BLOOD_PRESSURE,
        metrics=(Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.PULSE_RATE),
        line=Hid(0x0590, 0x0028, report=REPORT, feature=2),
        pace=200,  # three reports in about 120 ms, in the recorded sessions
        bound=REPORT * MOST_REPORTS,
        make=lambda rest_s: OmronHem(family),  # noqa: ARG005 - the cuff keeps its own rest
        listen=lambda: OmronHem(family, listen=True),
        silence_s=3600.0,
        service=False,
    )


ROW = _row(HEM790, "Omron HEM-790IT/HEM-7080IT cuff, its memory over USB")
ROW_7301 = _row(HEM7301, "Omron HEM-7301-ITKE7 cuff, its memory over USB")
"""These families in the registry."""
