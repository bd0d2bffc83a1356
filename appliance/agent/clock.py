"""What time it is, as the box knows it: the boot, the tick of this boot, and a guess of the wall clock with its quality.

CLOCK_BOOTTIME counts on through suspend and never steps; the wall clock may be years off. So everything that must be
right uses ticks, and `Stamp.wall` is only a guess that the bridge corrects by clock anchors. Everything below this
module receives stamps as arguments.
"""

import ctypes
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from appliance.contract.ids import short_of
from appliance.contract.readings import TICK_NS, ClockQuality, Stamp

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_RTC = Path("/dev/rtc0")
_ASK_NS = 1_000_000_000
"""The kernel is asked for the clock's quality this often at most: a stamp is made several times for every reading."""
_TIME_ERROR = 5
"""adjtimex(2): the kernel's clock is not synchronised."""
_TIMEX_BYTES = 512
"""More than ``struct timex`` takes on any machine; all zero means: read, change nothing."""


def boot_id() -> str:
    """The kernel's random name of this boot."""
    return BOOT_ID.read_text().strip()


@cache
def _libc() -> ctypes.CDLL:
    """Opened once: a stamp is made several times for every reading."""
    return ctypes.CDLL(None)


def kernel_quality() -> ClockQuality:
    """SYNCED when the kernel says that NTP keeps the clock, RTC when there is a battery clock, else UNKNOWN."""
    state = _libc().adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if 0 <= state < _TIME_ERROR:
        return ClockQuality.SYNCED
    return ClockQuality.RTC if _RTC.exists() else ClockQuality.UNKNOWN


boottime_ns: Callable[[], int] = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
"""Nanoseconds since the boot, suspended time included; the clock of every live value and every deadline."""


class Clock:
    """The box's clock in one boot.

    `boot_seq` is the number the store gave to this boot (`store.boots`). The other arguments exist so that a test can
    turn the clock by hand: `boot` is the short number of the boot id, the callables give nanoseconds and the quality.
    """

    def __init__(
        self,
        boot_seq: int,
        *,
        boot: int | None = None,
        boottime: Callable[[], int] = boottime_ns,
        wall: Callable[[], int] = time.time_ns,
        quality: Callable[[], ClockQuality] = kernel_quality,
    ) -> None:
        self.boot_seq = boot_seq
        self.boot = short_of(boot_id()) if boot is None else boot
        self._boottime = boottime
        self._wall = wall
        self._quality = quality
        self._known = ClockQuality.UNKNOWN
        self._asked_ns = -_ASK_NS

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds."""
        return self._boottime()

    def monotonic(self) -> float:
        """CLOCK_BOOTTIME in seconds: for waits and backoff."""
        return self._boottime() / 1e9

    def now(self) -> datetime:
        """The wall clock's guess, aware UTC."""
        return datetime.fromtimestamp(self._wall() / 1e9, UTC)

    def stamp(self) -> Stamp:
        """The moment of the call."""
        return self.stamp_at(self._boottime())

    def stamp_at(self, at_ns: int) -> Stamp:
        """The moment of CLOCK_BOOTTIME `at_ns` in this boot, its wall guess reckoned back from now."""
        # Wall and tick differ by a whole number of tenths that stays the same until the wall clock is set: cut off each by
        # itself, they would differ by one more or less from stamp to stamp, which means nothing and takes room on the wire.
        now = self._boottime()
        ticks, ahead = at_ns // TICK_NS, (self._wall() - now) // TICK_NS
        return Stamp(self.boot, self.boot_seq, ticks, ticks + ahead, self._quality_at(now))

    def _quality_at(self, now: int) -> ClockQuality:
        if now - self._asked_ns >= _ASK_NS:
            self._known, self._asked_ns = self._quality(), now
        return self._known
