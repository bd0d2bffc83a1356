"""Pulse waves in few bytes, and none of them lost."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.errors import WireError
from appliance.contract.strips import MOST, WIDEST, Strip, read, write

WIDTHS = st.integers(1, WIDEST)


def pleth(seed: int, seconds: int = 30, rate: int = 75, width: int = 8) -> Strip:
    """A pulse wave as a finger gives it: systolic rise, dicrotic notch, breathing, a heart that is never quite regular, a little noise."""
    chance = random.Random(seed)
    top, phase, samples = (1 << width) - 1, 0.0, []
    beat = chance.uniform(0.8, 1.6)
    breath = chance.uniform(0.2, 0.35)
    for tick in range(seconds * rate):
        phase += beat / rate * (1 + 0.06 * math.sin(2 * math.pi * breath * tick / rate))
        at = phase % 1
        wave = math.exp(-((at - 0.2) ** 2) / 0.01) + 0.45 * math.exp(-((at - 0.5) ** 2) / 0.02)
        drift = 0.06 * math.sin(2 * math.pi * breath * tick / rate)
        samples.append(round(top * min(1, max(0, 0.12 + 0.62 * wave + drift + chance.gauss(0, 0.002)))))
    return Strip(rate, width, tuple(samples))


@given(st.integers(1, 255), WIDTHS, st.data())
def test_nothing_is_lost(rate: int, width: int, data: st.DataObject) -> None:
    """Whatever the samples are, also such as no finger makes."""
    samples = data.draw(st.lists(st.integers(0, (1 << width) - 1), max_size=200))
    strip = Strip(rate, width, tuple(samples))
    assert read(write(strip)) == strip


@pytest.mark.parametrize("seed", range(12))
def test_thirty_seconds_of_a_finger_cost_at_most_forty_bytes_a_second(seed: int) -> None:
    """75 samples a second of 8 bits: 40 B/s or fewer, half of what they are raw."""
    strip = pleth(seed)
    assert len(write(strip)) / strip.seconds <= 40
    assert read(write(strip)) == strip


@pytest.mark.parametrize("samples", [(), (0,), (65535,), (0, 65535) * 1100, (65535,) * MOST, tuple(range(2000))])
def test_the_ends_of_what_can_be(samples: tuple[int, ...]) -> None:
    """Empty, one sample, the wildest jumps, the longest strip."""
    strip = Strip(75, 16, samples)
    assert read(write(strip)) == strip


@given(st.binary(max_size=300))
def test_whatever_bytes_come_a_strip_or_an_error_is_the_answer(data: bytes) -> None:
    """Never another exception; and what is read is written the same again."""
    try:
        strip = read(data)
    except WireError:
        return
    assert write(strip) == data


@given(st.integers(0, 11), st.integers(min_value=0))
def test_a_bit_that_flips_is_never_a_strip_of_the_same_samples(seed: int, where: int) -> None:
    """Each bit counts: another bit is another strip, or none."""
    strip = pleth(seed, seconds=2)
    good = write(strip)
    at = 40 + where % (8 * (len(good) - 5))
    bad = bytearray(good)
    bad[at // 8] ^= 0x80 >> at % 8
    try:
        assert read(bytes(bad)) != strip
    except WireError:
        pass


@pytest.mark.parametrize(
    "strip",
    [
        Strip(0, 8, ()),
        Strip(256, 8, ()),
        Strip(75, 0, ()),
        Strip(75, 17, ()),
        Strip(75, 8, (256,)),
        Strip(75, 8, (-1,)),
        Strip(75, 8, (0,) * (MOST + 1)),
    ],
)
def test_what_is_no_strip_is_not_written(strip: Strip) -> None:
    """A bug of ours, not of a device."""
    with pytest.raises(ValueError, match=r"strip|sample"):
        write(strip)
