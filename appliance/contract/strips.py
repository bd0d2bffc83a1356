"""A strip of a pulse wave, and the 1 Hz series beside it, in few bytes. Pure, lossless.

A plethysmogram is smooth: the second difference of its samples is small. It is zigzag-coded and written as Rice codes whose
parameter follows the data (the mean of what came before, as in lossless audio coders), so that nothing about the person has
to be known beforehand. Measured on a made-up wave of 8 bits at 75 a second (`tests/contract/test_strips.py`): 30 to 40 B/s for a heart
of 48 to 96 a minute, of 75 raw; 41 at 108 a minute, where no coder of second differences could do with less than 39.

Layout of a strip: version (1 byte), samples a second, bits of a sample (1 byte each), number of samples (2 bytes, big-endian), then
the bits. A series is the same with one value a second. Both end on a whole byte; the bits behind the last sample are zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance.contract.errors import WireError

VERSION = 1
MOST = 75 * 31
"""The most samples of a strip: 30 s at 75 a second (the fastest oximeter known), and a second more."""
WIDEST = 16
"""Bits of a sample: the 16-bit wave of Nonin's format 7 is the widest there is."""
_HEAD = 5
_ESCAPE = 24
"""So many ones in a row say that the value stands in full behind them."""
_WIDTH = WIDEST + 4
"""Bits of a value in full: a second difference of two 16-bit samples, zigzag."""
_MEAN = 4
"""How slowly the parameter follows: the mean of about so many values (of 3 to 16 about the least bytes; measured on the test's wave)."""
GAP = 0
"""A second without a value in a series; no saturation and no pulse is 0 (facts: sentinels)."""


@dataclass(frozen=True, slots=True)
class Strip:
    """`samples` at `rate` a second, each of `width` bits."""

    rate: int
    width: int
    samples: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


class _Writer:
    def __init__(self) -> None:
        self._bits, self._count, self.done = 0, 0, bytearray()

    def put(self, value: int, count: int) -> None:
        self._bits, self._count = self._bits << count | value, self._count + count
        while self._count >= 8:
            self._count -= 8
            self.done.append(self._bits >> self._count & 0xFF)
        self._bits &= (1 << self._count) - 1

    def end(self) -> bytes:
        if self._count:
            self.put(0, 8 - self._count)
        return bytes(self.done)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise WireError("cut", "a strip ends in the middle of a sample")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def ones(self) -> int:
        """Ones before the next zero, at most `_ESCAPE`."""
        found = 0
        while found < _ESCAPE and self.take(1):
            found += 1
        return found

    def end(self) -> None:
        if self._left >= 8 or self._value & (1 << self._left) - 1:
            raise WireError("trailing", "something stands behind a strip")


class _Rice:
    """The parameter both ends keep: half the mean of the last values decides how many low bits are written as they are."""

    def __init__(self) -> None:
        self._sum = 4 * _MEAN

    @property
    def low(self) -> int:
        return max(0, (self._sum // _MEAN).bit_length() - 1)

    def saw(self, value: int) -> None:
        self._sum += value - self._sum // _MEAN


def write(strip: Strip) -> bytes:
    """A strip as bytes. ValueError for one that is none: too long, too wide, or a sample that does not fit its width."""
    if not 1 <= strip.rate <= 255 or not 1 <= strip.width <= WIDEST or len(strip.samples) > MOST:
        raise ValueError(f"no strip: {strip.rate} a second, {strip.width} bits, {len(strip.samples)} samples")
    if any(not 0 <= one < 1 << strip.width for one in strip.samples):
        raise ValueError(f"a sample does not fit {strip.width} bits")
    head = bytes([VERSION, strip.rate, strip.width]) + len(strip.samples).to_bytes(2)
    bits, rice = _Writer(), _Rice()
    for value in map(_zigzag, _bent(strip.samples)):
        low, high = rice.low, value >> rice.low
        if high < _ESCAPE:
            bits.put((1 << high) - 1 << 1, high + 1)
            bits.put(value & (1 << low) - 1, low)
        else:
            bits.put((1 << _ESCAPE) - 1, _ESCAPE)
            bits.put(value, _WIDTH)
        rice.saw(value)
    return head + bits.end()


def read(data: bytes) -> Strip:
    """A strip from its bytes; WireError for what is none."""
    if len(data) < _HEAD or data[0] != VERSION:
        raise WireError("version", "not a strip of this version")
    rate, width, count = data[1], data[2], int.from_bytes(data[3:5])
    if not rate or not 1 <= width <= WIDEST or count > MOST:
        raise WireError("range", "a strip's rate, width or length")
    bits, rice, samples = _Reader(data[_HEAD:]), _Rice(), []
    before = last = 0
    for _ in range(count):
        high, low = bits.ones(), rice.low
        value = bits.take(_WIDTH) if high == _ESCAPE else high << low | bits.take(low)
        rice.saw(value)
        before, last = last, _unzigzag(value) + 2 * last - before
        if not 0 <= last < 1 << width:
            raise WireError("range", "a sample of a strip")
        samples.append(last)
    bits.end()
    return Strip(rate, width, tuple(samples))


def _bent(samples: Sequence[int]) -> Iterable[int]:
    """The second differences, the two samples before the first taken as 0."""
    before = last = 0
    for one in samples:
        yield one - 2 * last + before
        before, last = last, one


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _unzigzag(value: int) -> int:
    return value >> 1 if not value & 1 else -(value + 1 >> 1)
