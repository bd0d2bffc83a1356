"""The device's side of a Nellcor printout: a line every two seconds, headers every 22 lines. All numbers are made up."""

import random

from appliance.devices.sim.finger import Finger

SECOND = 1_000_000_000
EVERY_NS = 2 * SECOND
HEADER_EVERY = 22
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HEADER = (
    b"N-560    VERSION 1.61.00    CRC:XXXX  SpO2 Limit: 94-100%    PR Limit: 50-170BPM\r\n"
    b"                             ADULT           25SAT-S\r\n"
    b"TIME                 %SpO2   BPM     PA     Status\r\n"
)


def line(spo2: int | str, pulse: int | str, amplitude: int | str, status: str = "", when: str = "18-Dec-17 22:01:33") -> bytes:
    r"""A line of the printout.

    >>> line(99, 66, 49)
    b'18-Dec-17 22:01:33    99      66      49\r\n'
    """
    return (f"{when}   {spo2:>3}     {pulse:>3}     {amplitude:>3}" + (f"    {status}" if status else "") + "\r\n").encode()


class NellcorN560:
    """One simulated monitor; its clock begins at 2018-02-05 08:00:00."""

    def __init__(self, chance: random.Random, *, finger: str = "cycle") -> None:
        self._finger = Finger(chance, finger)
        self._next_ns: int | None = None
        self._count = 0

    def feed(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""

    def output(self, now_ns: int) -> list[bytes]:
        """The lines due by now."""
        if self._next_ns is None:
            self._next_ns = now_ns
        if now_ns < self._next_ns:
            return []
        self._next_ns = now_ns + EVERY_NS
        made = [HEADER] if self._count % HEADER_EVERY == 0 else []
        made.append(self._line(now_ns))
        self._count += 1
        return made

    def order(self, words: list[str], now_ns: int) -> bool:
        """``finger in``, ``finger out``, ``finger cycle``; True when understood."""
        return self._finger.order(words, now_ns)

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The line as a bad line delivers it: a character that belongs to no word."""
        return frame[:-4] + b"?" + frame[-3:]

    def _line(self, now_ns: int) -> bytes:
        seconds = 8 * 3600 + 2 * self._count
        when = f"05-{MONTHS[1]}-18 {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        where = self._finger.place(now_ns)
        if where == "out":
            return line("---", "---", "---", "SD", when)
        return line(self._finger.spo2, self._finger.pulse, 40, "PS" if where == "search" else "", when)
