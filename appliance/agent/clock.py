"""What time it is, as the box knows it: the boot, the tick of this boot, and a guess of the wall clock with its quality.

CLOCK_BOOTTIME counts on through suspend and never steps; the wall clock may be years off. So everything that must be
right uses ticks, and `Stamp.wall` is only a guess that the bridge corrects by clock anchors. Everything below this
module receives stamps as arguments.

The guess is the best of three (`Clock.now`): the system's clock where NTP keeps it; what was learnt in this boot
(`Learnt`, from the bridge or a technician) counted on by ticks; else the system's clock, never below the floor
(`floor_of`), with quality UNKNOWN where the floor had to lift it. The process that learns (`agent.timekeeping`) writes a
small file into the run directory; every other process looks there once a second at most.
"""

import ctypes
import json
import os
import struct
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

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


_MAX_ERROR = struct.Struct("@illl")
"""The beginning of ``struct timex``: modes, offset, freq, maxerror (microseconds), as the machine's C lays them out."""
BUILT = 17_953_056_000
"""Midnight (UTC) of the day of the latest release, tenths since 1970: no box with this software can live before it."""
LATEST = BUILT + 100 * 366 * 864_000
"""A clock beyond this (a century after the release) is not believed either."""
SURE_TENTHS = 20
"""What is learnt within two seconds makes a stamp SYNCED, less is no better than a battery clock (delivery contract: ± 2 s)."""
DRIFT = 20_000
"""An oscillator is off by at most one part in so many (50 ppm; uncalibrated crystals: 20 to 50)."""
RUN_FILE = "clock.json"
"""In the run directory: what was learnt in this boot."""
SAVED_FILE = "time.saved"
"""In the data directory, outside of the store so that a store put back does not turn the clock back: 5 bytes of tenths
since 1970 and 3 of their CRC-32, overwritten in place (one block of the card every ten minutes, 0.6 MB a day)."""


class Learnt(NamedTuple):
    """At tick `ticks` of this boot it was `wall`, give or take `error`; all in tenths. `source`: ntp, bridge, technician."""

    ticks: int
    wall: int
    error: int
    source: str


def error_at(learnt: Learnt, ticks: int) -> int:
    """How far counting on from what was learnt may be off at a tick, in tenths."""
    return learnt.error + abs(ticks - learnt.ticks) // DRIFT + 1


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


def kernel_error() -> int:
    """How far the kernel says its synchronised clock may be off, in tenths of a second, rounded up."""
    raw = ctypes.create_string_buffer(_TIMEX_BYTES)
    _libc().adjtimex(raw)
    return max(0, -(-int(_MAX_ERROR.unpack_from(raw)[3]) // 100_000))


def keep_learnt(run: Path, boot: int, learnt: Learnt) -> None:
    """Tell the other processes of this boot what was learnt: written beside, then renamed. OSError where it cannot be."""
    draft = run / f".{RUN_FILE}.{os.getpid()}"
    draft.write_text(json.dumps({"boot": boot, **learnt._asdict()}))
    draft.chmod(0o660)
    draft.rename(run / RUN_FILE)


def read_learnt(run: Path, boot: int) -> Learnt | None:
    """What was learnt in the boot with this short number; None where nothing was, or the file is of another boot."""
    try:
        said = json.loads((run / RUN_FILE).read_text())
        if said.pop("boot") != boot:
            return None
        found = Learnt(**said)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return found if all(isinstance(one, int) for one in found[:3]) else None


def save_time(data: Path, wall: int) -> None:
    """Keep `wall` (tenths since 1970) where the next boot finds it; on the card when this returns. OSError where it cannot be."""
    body = wall.to_bytes(5, "big")
    handle = os.open(data / SAVED_FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
    try:
        os.pwrite(handle, body + zlib.crc32(body).to_bytes(4, "big")[1:], 0)
        os.fdatasync(handle)
    finally:
        os.close(handle)


def saved_time(data: Path) -> int | None:
    """The time that was saved last, tenths since 1970; None where there is none, or the card has changed it."""
    try:
        raw = (data / SAVED_FILE).read_bytes()
    except OSError:
        return None
    body = raw[:5]
    return int.from_bytes(body, "big") if len(raw) == 8 and zlib.crc32(body).to_bytes(4, "big")[1:] == raw[5:] else None


def floor_of(data: Path) -> int:
    """The time that it certainly is by now: the release of this software, or the time saved last, whichever is later."""
    return max(BUILT, saved_time(data) or 0)


boottime_ns: Callable[[], int] = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
"""Nanoseconds since the boot, suspended time included; the clock of every live value and every deadline."""


class Clock:
    """The box's clock in one boot.

    `boot_seq` is the number the store gave to this boot (`store.boots`). The other arguments exist so that a test can
    turn the clock by hand: `boot` is the short number of the boot id, the callables give nanoseconds, the quality and
    what was learnt; `zero` is the least that the time at tick 0 of this boot may be, tenths since 1970 (`zero_of`).
    """

    def __init__(
        self,
        boot_seq: int,
        *,
        boot: int | None = None,
        boottime: Callable[[], int] = boottime_ns,
        wall: Callable[[], int] = time.time_ns,
        quality: Callable[[], ClockQuality] = kernel_quality,
        learnt: Callable[[], Learnt | None] = lambda: None,
        zero: int | None = None,
    ) -> None:
        self.boot_seq = boot_seq
        self.boot = short_of(boot_id()) if boot is None else boot
        self.zero = zero
        self._boottime = boottime
        self._wall = wall
        self._quality = quality
        self._learnt = learnt
        self._known = ClockQuality.UNKNOWN
        self._told: Learnt | None = None
        self._asked_ns = -_ASK_NS

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME in nanoseconds."""
        return self._boottime()

    def monotonic(self) -> float:
        """CLOCK_BOOTTIME in seconds: for waits and backoff."""
        return self._boottime() / 1e9

    def now(self) -> datetime:
        """The best guess of the wall clock, aware UTC: what stamps say."""
        return datetime.fromtimestamp(self.stamp().wall / 10, UTC)

    def system(self) -> int:
        """What the system's own clock shows, tenths since 1970."""
        return self._wall() // TICK_NS

    def synced(self) -> bool:
        """True while the kernel says that NTP keeps the system's clock."""
        return self._quality() is ClockQuality.SYNCED

    def look(self) -> None:
        """Ask kernel and run directory at the next stamp, however short ago they were asked."""
        self._asked_ns = -_ASK_NS

    def stamp(self) -> Stamp:
        """The moment of the call."""
        return self.stamp_at(self._boottime())

    def stamp_at(self, at_ns: int) -> Stamp:
        """The moment of CLOCK_BOOTTIME `at_ns` in this boot, its wall guess reckoned back from now."""
        # Wall and tick differ by a whole number of tenths that stays the same until the wall clock is set: cut off each by
        # itself, they would differ by one more or less from stamp to stamp, which means nothing and takes room on the wire.
        now = self._boottime()
        if now - self._asked_ns >= _ASK_NS:
            self._known, self._told, self._asked_ns = self._quality(), self._learnt(), now
        ticks, ahead = at_ns // TICK_NS, (self._wall() - now) // TICK_NS
        ahead, quality = self._guess(ahead, now // TICK_NS)
        return Stamp(self.boot, self.boot_seq, ticks, ticks + ahead, quality)

    def _guess(self, ahead: int, ticks: int) -> tuple[int, ClockQuality]:
        """By how many tenths the wall is ahead of the ticks, and how sure that is; `ahead` is what the system's clock says."""
        if self._known is ClockQuality.SYNCED:
            return ahead, self._known
        if self._told is not None:
            sure = error_at(self._told, ticks) <= SURE_TENTHS
            return self._told.wall - self._told.ticks, ClockQuality.SYNCED if sure else ClockQuality.RTC
        if self.zero is not None and not self.zero <= ahead <= LATEST:
            return self.zero, ClockQuality.UNKNOWN
        return ahead, self._known


def live_clock(boot_seq: int, *, data: Path, run: Path) -> Clock:
    """The clock of a process of this box: floor and learnt time included. The floor is that of the boot's first process."""
    boot = short_of(boot_id())
    return Clock(boot_seq, boot=boot, learnt=partial(read_learnt, run, boot), zero=zero_of(data, run, boot, boottime_ns() // TICK_NS))


def zero_of(data: Path, run: Path, boot: int, ticks: int) -> int:
    """The least that the time at tick 0 of this boot may be: one number for all processes of a boot, made by the first of them."""
    file = run / f"zero-{boot:010x}"
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        zero = floor_of(data) - ticks
    try:
        draft = run / f".{file.name}.{os.getpid()}"
        draft.write_text(str(zero))
        os.link(draft, file)
        draft.unlink()
    except FileExistsError:  # another process of this boot was quicker
        draft.unlink(missing_ok=True)
        return int(file.read_text())
    except OSError:  # no run directory yet: before the first tram init
        return zero
    return zero
