"""P10: the right time, or an error bar that is true; the order within a boot never broken. Every clock is turned by hand.

A case is one life of a station: some boots, each with an oscillator of its own (± 50 ppm) and a system clock that is
right, or wrong by -56 to +6 years, and jumps while it runs; NTP, the bridge's door or a technician may say the time, or
nobody does; readings are stamped with the product's own `Clock` and reach the bridge hours or boots later. The bridge's
own `times.place` then says when each was, and is held against when it truly was.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from appliance.agent.clock import BUILT, Clock, Learnt, error_at
from appliance.contract.readings import TICK_NS, ClockQuality, Stamp
from cloud_bridge.store.times import EARLIEST, Boot, Bounds, Moment, Placed, Word, Zero, near, place, zero_most, zeros

HOUR, DAY, YEAR = 36_000, 864_000, 315_576_000
"""In tenths of a second."""
PPM = 50
NEAR_ENOUGH = 11 * HOUR
"""Up to here from an anchor the promise is two seconds (and the anchor's own error, which the bar includes)."""
PROMISE = 20


@dataclass
class Said:
    """A reading: when it truly was (tenths, with fractions), its stamp, when the bridge had it."""

    true: float
    stamp: Stamp
    received: int = 0


@dataclass
class Life:
    """One boot as it really went."""

    seq: int
    start: float
    drift: float
    length: int
    offset: int
    jumps: list[tuple[float, int]]
    synced: tuple[float, float]
    quality: ClockQuality
    readings: list[Said] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    true: float = 0.0
    learnt: Learnt | None = None

    def tick(self) -> float:
        """The oscillator's tenths since the boot."""
        return (self.true - self.start) * (1 + self.drift)

    def wall(self) -> int:
        """The system's clock in nanoseconds: NTP keeps it within 30 ms while it is synchronised, else it runs with the oscillator."""
        if self.synced[0] <= self.true < self.synced[1]:
            return int(self.true * TICK_NS)
        shown = self.start + self.tick() + self.offset + sum(by for when, by in self.jumps if when <= self.true)
        if self.true >= self.synced[1]:  # it was right when NTP went away
            gone = (self.true - self.synced[1]) * self.drift
            shown = self.true + gone + sum(by for when, by in self.jumps if self.synced[1] < when <= self.true)
        return int(shown * TICK_NS)

    def asked(self) -> ClockQuality:
        """What the kernel says of it."""
        return ClockQuality.SYNCED if self.synced[0] <= self.true < self.synced[1] else self.quality


def live(dice: Random) -> list[Life]:
    """The boots of a station, with what was measured and learnt in each."""
    lives: list[Life] = []
    now = BUILT + dice.uniform(0, 4 * YEAR)
    saved = BUILT
    for seq in range(1, dice.randint(1, 5) + 1):
        now += dice.choice((dice.uniform(50, HOUR), dice.uniform(HOUR, 40 * DAY)))
        length = int(dice.choice((dice.uniform(3000, 12 * HOUR), dice.uniform(HOUR, 6 * DAY))))
        one = Life(
            seq, now, dice.uniform(-PPM, PPM) / 1e6, length,
            offset=dice.choice((0, int(dice.uniform(-56 * YEAR, 6 * YEAR)), int(dice.uniform(-2 * HOUR, 2 * HOUR)))),
            jumps=_jumps(now, length, dice),
            synced=(now + dice.uniform(0, length), now + dice.uniform(length / 2, 2 * length)) if dice.random() < 0.3 else (1e18, 1e18),
            quality=dice.choice((ClockQuality.UNKNOWN, ClockQuality.RTC)),
        )  # fmt: skip
        saved = max(saved, _run(one, dice, saved))
        lives.append(one)
        now += length
    end = now
    for one in lives:
        for said in one.readings:
            late = dice.choice((dice.uniform(5, 600), dice.uniform(600, 30 * DAY), end - said.true + 50))
            said.received = int(said.true + late) + 1
    return lives


def _jumps(start: float, length: int, dice: Random) -> list[tuple[float, int]]:
    """When the system's clock is set while the boot runs, and by how much: hours, days or years, either way."""
    many = range(dice.choice((0, 0, 1, 3)))
    return sorted((start + dice.uniform(0, length), int(dice.uniform(-3, 3) * dice.choice((HOUR, DAY, YEAR)))) for _ in many)


def _run(one: Life, dice: Random, saved: int) -> int:
    """Let a boot run: things happen in order of true time; the time that was saved last."""
    door = one.start + dice.uniform(0, one.length) if dice.random() < 0.4 else None
    person = one.start + dice.uniform(0, one.length) if dice.random() < 0.15 else None
    moments: list[tuple[float, str]] = [(one.start + dice.uniform(1, one.length), "reading") for _ in range(dice.randint(1, 12))]
    moments += [(when, what) for when, what in ((door, "bridge"), (person, "technician")) if when is not None]
    if one.synced[0] < one.start + one.length:
        until = min(one.synced[1], one.start + one.length)
        moments += [(one.synced[0] + k * HOUR + 1, "ntp") for k in range(int((until - one.synced[0] - 2) // HOUR) + 1)]
    one.true = one.start + 1
    clock = Clock(
        one.seq, boot=one.seq, boottime=lambda: int(one.tick() * TICK_NS), wall=one.wall, quality=one.asked, learnt=lambda: one.learnt,
        zero=saved - int(one.tick()),
    )  # fmt: skip
    for when, what in sorted(moments):
        one.true = when
        clock.look()
        if what == "reading":
            one.readings.append(Said(when, clock.stamp()))
        else:
            _learn(one, what, dice)
            clock.look()
    one.true = one.start + one.length
    clock.look()
    return clock.stamp().wall if clock.stamp().quality is ClockQuality.SYNCED else saved


def _learn(one: Life, what: str, dice: Random) -> None:
    """Somebody says the time, and is off by no more than they say."""
    error = {"ntp": 1, "bridge": dice.randint(11, 60), "technician": 600}[what]
    off = dice.uniform(-error + 0.5, error - 0.5)
    word = Word(int(one.tick()), int(one.true + off), error + 1, what)
    one.words.append(word)
    one.learnt = Learnt(*word)


Placing = Callable[[Sequence[Life]], list[tuple[Life, Said, Placed]]]


def placed(lives: Sequence[Life]) -> list[tuple[Life, Said, Placed]]:
    """What the bridge makes of it, in the order of the boots and of the readings in them."""
    line = []
    for one in lives:
        highest = max(one.readings, key=lambda said: said.stamp.ticks).stamp
        most = min(zero_most(said.stamp.ticks, said.received) for said in one.readings)
        line.append(Boot(one.seq, highest.ticks, most, highest.wall - highest.ticks, tuple(one.words)))
    found = []
    for one, boot, bounds in zip(lives, line, zeros(line), strict=True):
        zero = Zero(Bounds(EARLIEST, boot.most) if one.words else bounds, boot.guess)
        words = sorted(one.words)
        for said in one.readings:
            stamp = said.stamp
            moment = Moment(stamp.boot, stamp.ticks, stamp.wall, stamp.quality, said.received)
            found.append((one, said, place(moment, near(words, stamp.ticks), zero)))
    return found


def by_the_wall(lives: Sequence[Life]) -> list[tuple[Life, Said, Placed]]:
    """The saboteur: the station's wall clock is believed."""
    return [(one, said, Placed(said.stamp.wall, PROMISE, True)) for one in lives for said in one.readings]


def judge(found: Sequence[tuple[Life, Said, Placed]]) -> list[str]:
    """What is wrong with it."""
    wrong = []
    for one, said, at in found:
        off = abs(at.at - said.true)
        if off > at.bar + 1:
            wrong.append(f"boot {one.seq}: {off / 10:.1f} s off, the bar says {at.bar / 10:.1f} s")
        sure = [word for word in one.words if word.source != "technician" and abs(word.ticks - said.stamp.ticks) <= NEAR_ENOUGH]
        if sure and off > PROMISE + min(word.error for word in sure):
            wrong.append(f"boot {one.seq}: {off / 10:.1f} s off although anchored")
    for earlier, later in itertools.pairwise(found):
        same = earlier[0] is later[0]
        if same and (earlier[2].at, earlier[1].stamp.ticks) > (later[2].at, later[1].stamp.ticks):
            wrong.append(f"boot {earlier[0].seq}: two readings changed places")
    return wrong


def backwards(lives: Sequence[Life]) -> list[str]:
    """Stamps that nobody vouches for below the software's own release."""
    return [
        f"boot {one.seq}: a stamp of {said.stamp.wall}"
        for one in lives
        for said in one.readings
        if said.stamp.wall < BUILT and not (one.words and error_at(Learnt(*one.words[-1]), said.stamp.ticks) >= 0)
    ]


def lifetimes(seed: int, cases: int, placing: Placing = placed) -> tuple[dict[str, int], list[str]]:
    """Live through `cases` lives: how many readings, how many of them anchored; what was wrong, each with the seed that repeats it."""
    counts = {"readings": 0, "anchored": 0}
    wrong: list[str] = []
    for case in range(cases):
        lives = live(Random(f"{seed}/{case}"))
        found = placing(lives)
        counts["readings"] += len(found)
        counts["anchored"] += sum(at.anchored for _, _, at in found)
        wrong += [f"seed {seed}/{case}: {one}" for one in [*judge(found), *backwards(lives)]]
    return counts, wrong


def run(seed: int, cases: int) -> dict[str, int]:
    """The figures of `cases` lives; ``misplaced`` must be 0, and the same oracle must catch who sorts by the wall clock."""
    counts, wrong = lifetimes(seed, cases)
    _, caught = lifetimes(seed, min(cases, 50), by_the_wall)
    return {"lives": cases, **counts, "misplaced_wrong": len(wrong), "saboteur wall clock believed": int(bool(caught))}
