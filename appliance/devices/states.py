"""Where a device stands, as a state machine without I/O: what happened and when go in; state, pauses and health numbers come out.

    absent -> opening -> identifying -> ready <-> measuring
                 ^            ^           |          |
                 |            |           +-> stale <+     silent for longer than its family ever is (`Row.silence_s`)
                 +-- lost <---+-------------------- any    the line has gone

*absent*: no adapter at that place. *opening*: it is there and does not open (another program has it, it refuses its settings).
*identifying*: open, nothing understood yet. *stale*: it was understood and has fallen silent. *lost*: it was open and has gone.

Pauses between attempts double from one second to thirty and are forgotten only after a line has held: an adapter that comes and
goes twenty times in a second (a hub in a brown-out does) is opened once in that second, not twenty times. Times are CLOCK_BOOTTIME
in nanoseconds.
"""

from dataclasses import dataclass
from enum import StrEnum

SECOND = 1_000_000_000
ABSENT_NS = SECOND
"""How often a missing adapter is looked for."""
BACKOFF_NS, LONGEST_BACKOFF_NS = SECOND, 30 * SECOND
"""First and longest pause after a line failed; each is twice the one before (brown-outs make adapters come and go)."""
HELD_NS = 3 * SECOND
"""A line that was understood and stayed this long has held: the next failure counts as the first again (judgement)."""
HALVE_NS = 5 * SECOND
"""The counts behind the ratio of bad bytes are halved this often: the ratio speaks of the last ten seconds or so."""
ALARM_RATIO, CALM_RATIO = 0.10, 0.05
"""Alarm at ten bad bytes of a hundred (devices facts 23.7); it ends at half of that, so that it does not flicker."""
ENOUGH_BYTES = 64
"""No ratio is judged on fewer bytes than this: one cut frame after opening is no alarm."""
QUIET_NS, LONGEST_QUIET_NS = 60 * SECOND, 1800 * SECOND
"""A line that stays silent this much longer than its family ever is, is closed and opened again; each time after twice as long."""
MINUTE_NS, MINUTES = 60 * SECOND, 60
"""Reopenings are counted by minute for an hour."""
TELL_NS = 3600 * SECOND
"""The store and the bridge hear of a device's health at most once in this time: a flickering cable must not cost bytes."""


class State(StrEnum):
    """Where a device stands; the words of the live file."""

    ABSENT = "absent"
    OPENING = "opening"
    IDENTIFYING = "identifying"
    READY = "ready"
    MEASURING = "measuring"
    STALE = "stale"
    LOST = "lost"


class Why(StrEnum):
    """Why a line did not open."""

    ABSENT = "absent"
    USED = "port-used"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Health:
    """Numbers for the technician: share of bytes in no frame, seconds since anything was understood, reopenings in an hour."""

    bad_ratio: float
    silence_s: int
    reopenings: int
    alarm: bool


class Course:
    """One device's way through its states. `silence_s` is `Row.silence_s`."""

    def __init__(self, silence_s: float) -> None:
        self.state = State.OPENING
        self.used = False
        """True while another program has the port."""
        self.known = False
        """The device has been understood since the line was opened."""
        self.opened_ns = 0
        """When the line was last opened."""
        self._silence_ns = int(silence_s * SECOND)
        self._open = False
        self._heard_ns = 0
        self._retry_ns, self._backoff_ns = 0, BACKOFF_NS
        self._quiet_ns = QUIET_NS
        self._good = self._bad = 0
        self._halve_ns = 0
        self._alarm = False
        self._once = False  # it has been open before
        self._minutes = [0] * MINUTES
        self._minute = 0

    # --- the line -------------------------------------------------------------------------------------------------

    def due(self, now_ns: int) -> bool:
        """True when the line is closed and may be tried."""
        return not self._open and now_ns >= self._retry_ns

    def opened(self, now_ns: int) -> None:
        """The line is open."""
        if self._once:
            self._count(now_ns)
        self._open = self._once = True
        self.known = self.used = False
        self.opened_ns = self._heard_ns = now_ns
        if self.state is not State.STALE:  # one that fell silent stays so until it is heard
            self.state = State.IDENTIFYING

    def refused(self, why: Why, now_ns: int) -> None:
        """The line did not open."""
        self.used = why is Why.USED
        if why is Why.ABSENT:
            self._retry_ns = now_ns + ABSENT_NS
        else:
            self._back_off(now_ns)
        if self.state is not State.LOST:
            self.state = State.ABSENT if why is Why.ABSENT else State.OPENING

    def lost(self, now_ns: int) -> None:
        """The line has gone."""
        self._open = False
        self._back_off(now_ns)
        self.state = State.LOST

    def closed(self, now_ns: int) -> None:
        """We closed it ourselves because it had been silent for too long: it may be opened at once, and stays what it was."""
        self._open = False
        self._retry_ns = now_ns
        self._quiet_ns = min(2 * self._quiet_ns, LONGEST_QUIET_NS)

    def silent_too_long(self, now_ns: int) -> bool:
        """True when the watchdog wants the line closed and opened again. Never asked while a cuff is at work."""
        return self._open and now_ns - self._heard_ns > self._silence_ns + self._quiet_ns

    def _back_off(self, now_ns: int) -> None:
        self._retry_ns = now_ns + self._backoff_ns
        self._backoff_ns = min(2 * self._backoff_ns, LONGEST_BACKOFF_NS)

    # --- what came over it ----------------------------------------------------------------------------------------

    def heard(self, count: int, now_ns: int) -> None:
        """A whole frame of `count` bytes."""
        self._good += count
        self._heard_ns = now_ns
        self.known = True
        self._quiet_ns = QUIET_NS
        if now_ns - self.opened_ns >= HELD_NS:
            self._backoff_ns = BACKOFF_NS

    def noise(self, count: int) -> None:
        """Bytes that belong to no frame."""
        self._bad += count

    # --- time -----------------------------------------------------------------------------------------------------

    def look(self, now_ns: int, *, busy: bool, measuring: bool) -> State:
        """The state at this moment; `busy` while a commanded device is not at rest, `measuring` while a measurement is under way."""
        if now_ns >= self._halve_ns:
            self._judge()
            self._halve_ns = now_ns + HALVE_NS
            self._good, self._bad = self._good // 2, self._bad // 2
        if not self._open:
            return self.state
        if not self.known:
            self.state = State.STALE if self.state is State.STALE else State.IDENTIFYING
        elif now_ns - self._heard_ns > self._silence_ns:
            self.state = State.STALE
        elif measuring:
            self.state = State.MEASURING
        else:
            self.state = State.IDENTIFYING if busy else State.READY
        return self.state

    def health(self, now_ns: int) -> Health:
        """The numbers at this moment."""
        self._judge()
        self._turn(now_ns)
        silence = (now_ns - self._heard_ns) // SECOND if self._once else 0
        return Health(round(self._ratio(), 3), silence, sum(self._minutes), self._alarm)

    def _ratio(self) -> float:
        total = self._good + self._bad
        return self._bad / total if total else 0.0

    def _judge(self) -> None:
        if self._good + self._bad >= ENOUGH_BYTES:
            self._alarm = self._ratio() >= (CALM_RATIO if self._alarm else ALARM_RATIO)

    def _count(self, now_ns: int) -> None:
        self._turn(now_ns)
        self._minutes[self._minute % MINUTES] += 1

    def _turn(self, now_ns: int) -> None:
        """Let minutes that are an hour old fall out of the count."""
        minute = now_ns // MINUTE_NS
        for each in range(max(self._minute + 1, minute - MINUTES + 1), minute + 1):
            self._minutes[each % MINUTES] = 0
        self._minute = max(self._minute, minute)


class Telling:
    """Whether the store should hear of a device's health now: when the alarm begins or ends, at most once in `TELL_NS`.

    `alarm` is what the store heard last, before this process began: a collector that is started again and again tells no more
    often than one that runs on.
    """

    def __init__(self, alarm: bool, now_ns: int) -> None:
        self._told = alarm
        self._next_ns = now_ns + TELL_NS if alarm else now_ns

    def due(self, health: Health, now_ns: int) -> bool:
        """True when `health` is worth telling now."""
        return health.alarm is not self._told and now_ns >= self._next_ns

    def told(self, health: Health, now_ns: int) -> None:
        """The store has heard it."""
        self._told, self._next_ns = health.alarm, now_ns + TELL_NS
