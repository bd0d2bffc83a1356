"""The clock: ticks decide, the wall clock is a guess with a quality."""

from datetime import UTC, datetime

import pytest

from appliance.agent.clock import Clock, boot_id, kernel_quality
from appliance.contract.ids import short_of
from appliance.contract.readings import ClockQuality


def test_a_stamp_is_the_boot_the_tick_and_the_wall() -> None:
    """Tenths of a second, cut off, never rounded up into the future."""
    clock = Clock(3, boot=9, boottime=lambda: 12_399_999_999, wall=lambda: 1_700_000_000_999_999_999, quality=lambda: ClockQuality.RTC)
    stamp = clock.stamp()
    assert (stamp.boot, stamp.boot_seq, stamp.ticks, stamp.wall, stamp.quality) == (9, 3, 123, 17_000_000_009, ClockQuality.RTC)
    assert clock.monotonic() == pytest.approx(12.4)
    assert clock.now() == datetime.fromtimestamp(1_700_000_000.9, UTC)


def test_a_moment_a_while_ago_has_the_wall_of_then() -> None:
    """`stamp_at` reckons the wall back by the ticks that have passed since."""
    clock = Clock(1, boot=1, boottime=lambda: 100_000_000_000, wall=lambda: 1_700_000_000_000_000_000, quality=lambda: ClockQuality.SYNCED)
    stamp = clock.stamp_at(90_000_000_000)
    assert (stamp.ticks, stamp.wall) == (900, 16_999_999_900)


def test_the_real_clock_runs_and_names_its_boot() -> None:
    """Without anything given: this boot's id, ticks that grow, an aware time, a quality the kernel gave."""
    clock = Clock(1)
    first, second = clock.stamp_at(clock.boottime_ns()), clock.stamp()
    assert clock.boot == short_of(boot_id())
    assert second.ticks >= first.ticks > 0
    assert clock.now().tzinfo is UTC
    assert kernel_quality() in ClockQuality
