"""SD Biosensor SD CodeFree, a blood glucose meter: its memory, which it offers itself when it is switched on with the cable in.

Source: the published specification of the protocol (glucometer-protocols, one reverse engineer, confirmed by a second reader).
``53 direction length message xor AA``: the length counts message, check and end; the check is the xor of the message.

The meter speaks first (``10 30``); the answer ``10 40`` brings the count (``30``, two bytes, most significant first), then each
``10 60`` one record, newest first: year, month, day, hour, minute, value in mg/dL (two bytes), meal. After the last record the same
``10 60`` ends the connection. The command that sets the meter's clock does not exist in this file.

A real record begins with two bytes that are not its year (20 and one nobody has explained) and ends with seven unexplained ones; a
record without them is read too.
"""

from functools import reduce
from operator import xor

from appliance.contract.metrics import Metric
from appliance.contract.readings import ReadingKind, Source
from appliance.devices.driver import Line, Row
from appliance.devices.events import Notice, Said, Sample, Send, Word, numeric
from appliance.devices.listening import Listening, device_clock, packets

FROM_METER, TO_METER = 0x20, 0x10
"""Direction bytes."""
MOST = 64
"""The longest length that is believed (judgement: real packets have at most 24)."""
HELLO, COUNT, RECORD = b"\x10\x30", 0x30, 0x20
"""What the meter says first; first bytes of the count and of a record."""
CONTROL = 0x30
"""Meal flag of a control solution (from the manual, second-hand): such a value is nobody's."""
MEALS = frozenset({0x00, 0x10, 0x20, CONTROL})
"""None, before, after a meal. An xor of eight bits lets one damaged packet in 256 through: what no meter sends is no record."""
HIGHEST = 600
"""Above this the meter itself shows HI (mg/dL, its manual as quoted)."""
GLUCOSE_RANGE = range(1, HIGHEST + 1)


def packet(message: bytes, direction: int = TO_METER) -> bytes:
    """A whole packet.

    >>> packet(bytes([0x10, 0x40])).hex()
    '531004104050aa'
    """
    return bytes([0x53, direction, len(message) + 2]) + message + bytes([reduce(xor, message), 0xAA])


ANSWER, FETCH = packet(b"\x10\x40"), packet(b"\x10\x60")
COMMANDS = frozenset({ANSWER, FETCH})
"""Every packet this driver can send."""


def checked(frame: bytes) -> bool:
    """True when the packet ends as one and its xor fits."""
    return frame[-1] == 0xAA and reduce(xor, frame[3:-1]) == 0


class SdCodefree(Listening):
    """Driver of one meter; with `listen` it does not answer."""

    def __init__(self, listen: bool = False) -> None:
        super().__init__(packets(bytes([0x53, FROM_METER]), 2, 3, range(3, MOST + 1), checked), self._packet)
        self._listen = listen
        self._left = 0  # records still to be fetched
        self._ordinal = 0

    def _packet(self, frame: bytes) -> list[Said]:
        message = frame[3:-2]
        if message == HELLO:
            return [Notice(Word.IDENTITY, "SD CodeFree", frame=frame), *self._send(ANSWER)]
        if message[0] == COUNT and len(message) >= 3:
            self._left, self._ordinal = int.from_bytes(message[1:3], "big"), 0
            # Without a record the same packet ends the connection, as it does after the last.
            return [Notice(Word.STATE, "records", self._left, frame), *self._send(FETCH)]
        record = _record(message)
        if record is None:
            return [Notice(Word.STATE, f"message-{message[:2].hex()}", frame=frame)]
        self._ordinal, ordinal = self._ordinal + 1, self._ordinal
        self._left = max(0, self._left - 1)
        return [_sample(record, frame, ordinal), *self._send(FETCH)]

    def _send(self, data: bytes) -> list[Said]:
        return [] if self._listen else [Send(data)]


def _record(message: bytes) -> bytes | None:
    """Year to meal flag of a record, or None when it is none."""
    record = message if len(message) == 8 else message[2:10] if message[0] == RECORD and len(message) >= 10 else None
    return record if record is not None and record[-1] in MEALS else None


def _sample(record: bytes, frame: bytes, ordinal: int) -> Sample:
    year, month, day, hour, minute, high, low, meal = record
    value = high << 8 | low
    why = "control-solution" if meal == CONTROL else "no-value" if value not in GLUCOSE_RANGE else None
    time, flag = device_clock(2000 + year, month, day, hour, minute)
    return Sample(
        ReadingKind.GLUCOSE,
        (numeric(Metric.GLUCOSE, None if why else value),),
        frame,
        invalid=why,
        result=True,
        source=Source.MEMORY,
        device_time=time,
        ordinal=ordinal,
        signals=(("meal", meal), *flag),
    )


ROW = Row(
    name="sd-codefree",
    title="SD CodeFree blood glucose meter: its memory",
    kind=ReadingKind.GLUCOSE,
    metrics=(Metric.GLUCOSE,),
    line=Line(baud=38400),
    pace=3840,
    bound=MOST + 3,
    make=lambda rest_s: SdCodefree(),  # noqa: ARG005 - nothing is done to anybody
    listen=lambda: SdCodefree(listen=True),
    silence_s=3600.0,
    service=False,  # of 54,000 true packets with a byte lost or doubled five passed the xor with another number (make fuzz)
)
"""This family in the registry."""
