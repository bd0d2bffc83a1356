"""What ``tram carry`` does about the time: anchors whenever it is learnt, a saved time every ten minutes, the door asked when nobody knows.

It needs no privilege: the system's clock is left alone (provisioning hands what was learnt to chrony); what is learnt
becomes an anchor for the bridge, a row of the store and a file in the run directory, from which every stamp of this boot
takes its guess (`agent.clock`).
"""

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.agent.clock import Clock, Learnt, keep_learnt, kernel_error, save_time, saved_time
from appliance.contract.readings import ClockQuality, Stamp
from appliance.database import Connection
from appliance.store import anchors
from appliance.store.anchors import Anchor

LOOK = 10.0
"""Seconds between two looks at the clock."""
AGAIN_TENTHS = 36_000
"""A synchronised clock is anchored anew each hour: 24 events of about 15 bytes a day, and the bridge knows the rate."""
MOVED_TENTHS = 5
"""A synchronised clock that has moved by half a second against the ticks is anchored anew."""
SAVE_SECONDS = 600.0
"""The time is saved so often (delivery contract, 4)."""
REFRESH_TENTHS = 360_000
"""What the bridge said is asked for again after 10 hours: with 50 ppm it is within two seconds for 11. It costs 3 kB."""
ASK_FIRST, ASK_MOST = 30.0, 3600.0
"""Seconds until the door is asked again after it could not say, doubling."""
OFF_TENTHS = 36_000
"""A system clock that is further than an hour from what was learnt does not judge certificates."""


@dataclass
class Timekeeper:
    """The state of it. `ask` asks the bridge's door (`asking.ask_time`), None where no door is known or no key is pinned for it."""

    conn: Connection
    clock: Clock
    data: Path
    run: Path
    log: logging.Logger
    ask: Callable[[], Learnt] | None = None
    context: ssl.SSLContext | None = None
    error: Callable[[], int] = kernel_error
    last: Anchor | None = None
    due: float = float("-inf")
    save_due: float = float("-inf")
    ask_due: float = float("-inf")
    pause: float = ASK_FIRST

    def __post_init__(self) -> None:
        """What this boot has learnt before this process began counts; the run directory may have been emptied."""
        self.last = anchors.latest(self.conn, self.clock.boot)
        if self.last is not None:
            self._tell(self.last)

    def turn(self, now: float) -> bool:
        """Do what is due; True when an anchor was queued. OSError when the store cannot do it now."""
        if now < self.due:
            return False
        self.due = now + LOOK
        self.clock.look()
        stamp = self.clock.stamp()
        found = self._synced(stamp) if self.clock.synced() else self._asked(stamp, now)
        if found is not None:
            anchors.keep(self.conn, stamp, found)
            self.last = found
            self._tell(found)
            self.log.info("the time was learnt from %s, ± %.1f s", found.source, found.error / 10)
            stamp = self.clock.stamp()
        if self.context is not None:
            from appliance.agent import asking  # a plain line needs none of it

            asking.trust(self.context, system=abs(stamp.wall - self.clock.system()) <= OFF_TENTHS)
        self._save(stamp, now)
        return found is not None

    def _synced(self, stamp: Stamp) -> Anchor | None:
        """An anchor of the kernel's synchronised clock, where the last one is old or has moved."""
        last = self.last
        fresh = last is not None and last.source == "ntp" and stamp.ticks - last.ticks < AGAIN_TENTHS
        if fresh and last is not None and abs((stamp.wall - stamp.ticks) - (last.wall - last.ticks)) < MOVED_TENTHS:
            return None
        return Anchor(stamp.boot, stamp.boot_seq, stamp.ticks, stamp.wall, self.error() + 1, "ntp")

    def _asked(self, stamp: Stamp, now: float) -> Anchor | None:
        """An anchor of the bridge's word, where nothing better was learnt in this boot for a while."""
        known = self.last is not None and self.last.source != anchors.TECHNICIAN
        if self.ask is None or now < self.ask_due or (known and self.last is not None and stamp.ticks - self.last.ticks < REFRESH_TENTHS):
            return None
        try:
            learnt = self.ask()
        except (OSError, ValueError) as error:  # no line, or somebody who is not the bridge: later
            self.log.info("the door does not say what time it is: %s", error)
            self.ask_due, self.pause = now + self.pause, min(self.pause * 2, ASK_MOST)
            return None
        self.pause = ASK_FIRST
        return Anchor(stamp.boot, stamp.boot_seq, *learnt)

    def _tell(self, anchor: Anchor) -> None:
        """Every process of the box takes its guess from it at its next look."""
        keep_learnt(self.run, anchor.boot, Learnt(anchor.ticks, anchor.wall, anchor.error, anchor.source))
        self.clock.look()

    def _save(self, stamp: Stamp, now: float) -> None:
        """A guess that nobody vouches for never takes back a later time; one that was learnt does."""
        if now < self.save_due:
            return
        self.save_due = now + SAVE_SECONDS
        wall = stamp.wall if stamp.quality is ClockQuality.SYNCED else max(stamp.wall, saved_time(self.data) or 0)
        if 0 <= wall < 1 << 40:
            save_time(self.data, wall)
