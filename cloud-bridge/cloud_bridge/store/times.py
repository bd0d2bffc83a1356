"""When things truly happened: worked out from what a station's boots have learnt about the time; what was stamped is never changed.

A station stamps with ticks of a boot and a guess of the wall clock. Its anchors (`tables.anchor`) say what the true time
was at some ticks. Here a moment gets bounds: it lies within every anchor's word widened by the drift of the oscillator,
not after the bridge had it, and between the boots before and after its own. The corrected time lies in the middle
of them (between two anchors that is what the rate between them says), and its *bar* reaches to the farther bound: a
promise, not a likelihood (docs/explanation/time.md).

The corrected time is worked out when somebody looks. Only where a stamp's own guess is wrong by more than `FAR` does a
row (`tables.retimed`) say so, because lists are cut by time; it is made anew when a later anchor says better.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, delete, select

from appliance.contract.events import Event
from appliance.contract.readings import ClockQuality
from cloud_bridge.store.tables import anchor, boot_seen, observation, retimed
from cloud_bridge.store.writing import put, upsert

DRIFT = 20_000
"""An oscillator is off by at most one part in so many (50 ppm): uncalibrated crystals are off by 20 to 50."""
ROUNDING = 1
"""Ticks are cut off to tenths."""
SYNCED_ERROR = 160
"""Tenths: a kernel that says *synchronised* is within 16 s (it takes the word back at a larger error, adjtimex(2))."""
OUR_ERROR = 20
"""Tenths by which the bridge's own clock may be off when it says that it had something already."""
EARLIEST = 17_672_256_000
"""The beginning of 2026, tenths since 1970: the year of the first release; no station existed before."""
FAR = 600
"""Tenths: from a minute on a wrong guess gets a row, and a bar is shown."""
_TRUST: Mapping[str, int] = {"ntp": 0, "bridge": 0, "rtc": 2, "technician": 1}
"""Whose word goes first where two contradict each other: machines that asked for the time, people, batteries."""
_UNKNOWN_TRUST = 3
_NEAR = 8


class Word(NamedTuple):
    """One anchor: at `ticks` it was `wall` ± `error` (tenths)."""

    ticks: int
    wall: int
    error: int
    source: str = "ntp"


class Bounds(NamedTuple):
    """A true time lies from `low` to `high` (tenths since 1970)."""

    low: int
    high: int

    def meet(self, low: int, high: int) -> "Bounds":
        """What lies in both."""
        return Bounds(max(self.low, low), min(self.high, high))


@dataclass(frozen=True, slots=True)
class Placed:
    """The corrected time of a moment: `at`, give or take `bar` (tenths); `anchored`: its boot has met the time."""

    at: int
    bar: int
    anchored: bool


class Boot(NamedTuple):
    """What the bridge knows of one boot: its number `seq` at the station; the highest tick heard of; the latest time that its
    tick 0 can have had (nothing arrives before it is said); what the station's own clock made of tick 0; its anchors.
    """

    seq: int
    ticks: int
    most: int
    guess: int = 0
    words: tuple[Word, ...] = ()


class Zero(NamedTuple):
    """Tick 0 of a boot: its bounds, and the station's own guess."""

    bounds: Bounds
    guess: int


class Moment(NamedTuple):
    """A stamp and when the bridge had it."""

    boot: int
    ticks: int
    wall: int
    quality: int
    received: int


# --- pure ---------------------------------------------------------------------------------------------------------------------------


def slack(ticks: int) -> int:
    """By how much counting `ticks` may be wrong."""
    return abs(ticks) // DRIFT + ROUNDING


def zero_most(ticks: int, received: int) -> int:
    """The latest that tick 0 can have been, from a stamp that was here at `received`."""
    return received + OUR_ERROR - ticks + slack(ticks)


def narrowed(at: int, words: Iterable[Word], bounds: Bounds) -> tuple[Bounds, list[Word]]:
    """The bounds of tick `at` by anchors, and the anchors that were believed. One that contradicts better ones is not."""
    believed = []
    for word in sorted(words, key=lambda one: (_TRUST.get(one.source, _UNKNOWN_TRUST), abs(one.ticks - at))):
        centre, width = word.wall + at - word.ticks, word.error + slack(at - word.ticks)
        both = bounds.meet(centre - width, centre + width)
        if both.low <= both.high:
            bounds = both
            believed.append(word)
    return bounds, believed


def place(moment: Moment, words: Sequence[Word], zero: Zero) -> Placed:
    """The corrected time of a moment. Within a boot it is a function of the tick that never falls, whatever the wall clock did."""
    at = moment.ticks
    whole = Bounds(zero.bounds.low + at - slack(at), zero.bounds.high + at + slack(at))
    asked = [one for one in words if not _TRUST.get(one.source, _UNKNOWN_TRUST)]
    bounds, believed = narrowed(at, asked, whole)
    if not believed:
        bounds, believed = narrowed(at, words, whole)
    if believed:
        guess = (bounds.low + bounds.high) // 2  # between two anchors this is the rate between them
    elif moment.quality == ClockQuality.SYNCED:
        return Placed(moment.wall, SYNCED_ERROR, True)
    elif zero.bounds.low <= zero.guess <= zero.bounds.high:
        guess = zero.guess + at
    else:
        guess = bounds.high  # most things arrive soon after they were said
    return Placed(guess, max(bounds.high - guess, guess - bounds.low), bool(believed))


def zeros(boots: Sequence[Boot]) -> list[Bounds]:
    """For each boot, in ascending order of their numbers, the bounds of its tick 0.

    One that has asked a machine for the time is bound by that alone. One that never has began after the one before it had
    ended and ended before the next began. What a person typed says nothing about other boots.
    """
    found: list[Bounds] = []
    low = EARLIEST
    for boot in boots:
        asked = [one for one in boot.words if not _TRUST.get(one.source, _UNKNOWN_TRUST)]
        bounds, believed = narrowed(0, asked, Bounds(EARLIEST, boot.most))
        if not believed:
            bounds = Bounds(low, max(low, boot.most))
        found.append(bounds)
        low = max(low, bounds.low + boot.ticks - slack(boot.ticks))
    high: int | None = None
    for number in range(len(boots) - 1, -1, -1):
        if high is not None:
            limit = high - boots[number].ticks + slack(boots[number].ticks)
            found[number] = Bounds(found[number].low, max(found[number].low, min(found[number].high, limit)))
        high = found[number].high
    return found


# --- with the database --------------------------------------------------------------------------------------------------------------


def see(tx: Connection, rows: Sequence[tuple[str, Event, int, tuple[bytes, int, int]]]) -> None:
    """Note the boots that these events (station, event, at, place in the relay) were stamped in."""
    seen: dict[tuple[str, bytes, int], list[int]] = {}
    for station, event, at, key in rows:
        stamp = event.stamp
        most = zero_most(stamp.ticks, at)
        one = seen.setdefault((station, key[0], stamp.boot), [stamp.boot_seq, -1, most, 0])
        if stamp.ticks > one[1]:
            one[1], one[3] = stamp.ticks, stamp.wall - stamp.ticks
        one[2] = min(one[2], most)
    noted = [(station, epoch, boot, seq, ticks, most, guess) for (station, epoch, boot), (seq, ticks, most, guess) in sorted(seen.items())]
    put(tx, boot_seen, ("station", "epoch", "boot", "seq", "ticks", "most", "guess"), noted, _further)


def _further(fresh: Any) -> Any:
    new, old = fresh.excluded, boot_seen.c
    later = new.ticks > old.ticks
    return fresh.on_conflict_do_update(
        index_elements=["station", "epoch", "boot"], set_={
            "ticks": case((later, new.ticks), else_=old.ticks), "most": case((new.most < old.most, new.most), else_=old.most),
            "guess": case((later, new.guess), else_=old.guess),
        },
        where=(new.ticks > old.ticks) | (new.most < old.most),
    )  # fmt: skip


def words_of(tx: Connection, station: str, boots: Iterable[int]) -> dict[int, list[Word]]:
    """The anchors of some boots."""
    found: dict[int, list[Word]] = {}
    c = anchor.c
    query = select(c.boot, c.ticks, c.true_wall, c.error, c.source).where(c.station == station, c.boot.in_(sorted(set(boots))))
    for row in tx.execute(query.distinct()):
        found.setdefault(row.boot, []).append(Word(row.ticks, row.true_wall, row.error, row.source))
    return found


def zeros_of(tx: Connection, station: str, boots: Iterable[int], lost: Iterable[int]) -> dict[int, Zero]:
    """Tick 0 of some boots; of those that are `lost` (no anchors) bound by their neighbours in every epoch that has heard of them."""
    wanted, without, c = set(boots), set(lost), boot_seen.c
    own = select(c.epoch, c.boot, c.seq, c.ticks, c.most, c.guess).where(c.station == station)
    found: dict[int, Zero] = {}
    for row in tx.execute(own.where(c.boot.in_(sorted(wanted))).order_by(c.epoch)):
        known = found.get(row.boot)
        most = row.most if known is None else min(row.most, known.bounds.high)
        found[row.boot] = Zero(Bounds(EARLIEST, most), row.guess if known is None else max(row.guess, known.guess))
    epochs = [epoch for (epoch,) in tx.execute(select(c.epoch).where(c.station == station, c.boot.in_(sorted(without))).distinct())]
    if not epochs:
        return found
    rows = list(tx.execute(own.where(c.epoch.in_(epochs)).order_by(c.seq)))
    words = words_of(tx, station, {row.boot for row in rows})
    for epoch in epochs:
        mine = [row for row in rows if bytes(row.epoch) == bytes(epoch)]
        line = [Boot(row.seq, row.ticks, row.most, row.guess, tuple(words.get(row.boot, ()))) for row in mine]
        for row, one in zip(mine, zeros(line), strict=True):
            if row.boot in without:
                both = found[row.boot].bounds.meet(*one)
                if both.low <= both.high:
                    found[row.boot] = found[row.boot]._replace(bounds=both)
    return found


def placed(tx: Connection, station: str, moments: Sequence[Moment]) -> list[Placed]:
    """The corrected times of some moments of a station."""
    boots = {one.boot for one in moments}
    if not boots:
        return []
    words = words_of(tx, station, boots)
    for each in words.values():
        each.sort()
    lost = {one.boot for one in moments if one.quality != ClockQuality.SYNCED and not words.get(one.boot)}
    known = zeros_of(tx, station, boots, lost)
    return [place(one, near(words.get(one.boot, ()), one.ticks), known.get(one.boot) or _unseen(one)) for one in moments]


def _unseen(moment: Moment) -> Zero:
    """What is known of a boot that was heard of before boots were noted."""
    return Zero(Bounds(EARLIEST, zero_most(moment.ticks, moment.received)), moment.wall - moment.ticks)


def near(words: Sequence[Word], ticks: int) -> Sequence[Word]:
    """The anchors about a tick, of those in order: a boot of a year has thousands, and the far ones add nothing but time."""
    here = bisect_right(words, ticks, key=lambda one: one.ticks)
    return words[max(0, here - _NEAR) : here + _NEAR]


def retime(tx: Connection, station: str, keys: Sequence[bytes]) -> None:
    """Work the times of some unsure readings out anew and keep those that are far from their stamps."""
    for start in range(0, len(keys), 500):
        c = observation.c
        query = select(c.key, c.boot, c.ticks, c.wall, c.quality, c.received)
        rows = list(tx.execute(query.where(c.station == station, c.key.in_(keys[start : start + 500]))))
        _keep(tx, station, rows)


def learn(tx: Connection, station: str, boot: int) -> None:
    """An anchor of `boot` has arrived: the unsure readings of this boot, and of boots without any time beside it, are worked out anew."""
    c = observation.c
    columns = (c.key, c.boot, c.ticks, c.wall, c.quality, c.received)
    for each in sorted({boot, *_lost_beside(tx, station, boot)}):
        _keep(tx, station, list(tx.execute(select(*columns).where(c.station == station, c.boot == each, c.quality < ClockQuality.SYNCED))))


def _lost_beside(tx: Connection, station: str, boot: int) -> set[int]:
    """Boots without anchors between this one and the next with some, on both sides; none when it had an anchor before."""
    first = tx.execute(select(anchor.c.seq).where(anchor.c.station == station, anchor.c.boot == boot).limit(2)).all()
    if len(first) > 1:
        return set()
    c = boot_seen.c
    epochs = [epoch for (epoch,) in tx.execute(select(c.epoch).where(c.station == station, c.boot == boot))]
    met = {one for (one,) in tx.execute(select(anchor.c.boot).where(anchor.c.station == station).distinct())}
    lost: set[int] = set()
    for epoch in epochs:
        line = [one for (one,) in tx.execute(select(c.boot).where(c.station == station, c.epoch == epoch).order_by(c.seq))]
        here = line.index(boot)
        for side in (line[here + 1 :], line[:here][::-1]):
            for one in side:
                if one in met:
                    break
                lost.add(one)
    return lost


def _keep(tx: Connection, station: str, rows: Sequence[Any]) -> None:
    if not rows:
        return
    moments = [Moment(row.boot, row.ticks, row.wall, row.quality, row.received) for row in rows]
    for row, one in zip(rows, placed(tx, station, moments), strict=True):
        key = bytes(row.key)
        if abs(one.at - row.wall) < FAR:
            tx.execute(delete(retimed).where(retimed.c.station == station, retimed.c.key == key))
        else:
            fresh = upsert(tx, retimed).values(station=station, key=key, at=one.at)
            tx.execute(fresh.on_conflict_do_update(index_elements=["station", "key"], set_={"at": one.at}))
