"""True times at the bridge: from anchors, arrivals and neighbouring boots; what was stamped is never changed."""

import pytest
from sqlalchemy import Engine, select

from appliance.contract import events as ev
from appliance.contract.readings import ClockQuality, Reading, Stamp
from cloud_bridge import intake
from cloud_bridge.store import observations, tables, times
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.observations import Observation
from cloud_bridge.store.times import Boot, Bounds, Moment, Word, Zero
from tests.bridge.story import EPOCH, PATIENT, STATION, T0, place, pressure
from tests.prove.clock import by_the_wall, lifetimes

HOUR = 36_000
YEARS_AGO = T0 - 56 * 315_576_000
ANY = Zero(Bounds(times.EARLIEST, 1 << 60), 0)


class Bridge:
    """A bridge that hears one station."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.seq = 0

    def hear(self, *said: ev.Event, at: int, epoch: bytes = EPOCH) -> None:
        """Events arrive, in one parcel, at the bridge's time `at`."""
        rows = []
        for each in said:
            self.seq += 1
            rows.append((STATION, each, at, (epoch, *place(self.seq, each)[1:])))
        with writing(self.engine) as tx:
            intake.apply_many(tx, rows)

    def seen(self, patient: int = PATIENT) -> list[Observation]:
        """The patient's readings as a page shows them."""
        with reading(self.engine) as tx:
            return observations.of_patient(tx, STATION, patient)


@pytest.fixture
def bridge(engine: Engine) -> Bridge:
    """On SQLite and on PostgreSQL."""
    return Bridge(engine)


def measured(
    boot: int, ticks: int, wall: int, *, seq: int | None = None, quality: ClockQuality = ClockQuality.UNKNOWN, systolic: int = 115
) -> ev.Event:
    """A reading stamped in a boot."""
    stamp = Stamp(boot, boot, ticks, wall, quality)
    one: Reading = pressure(systolic=systolic, stamp=stamp)
    return ev.Event(stamp, "ys01", "test", ev.ObservationRecorded(PATIENT, one))


def learnt(boot: int, ticks: int, wall: int, error: int = 2, source: str = "ntp") -> ev.Event:
    """An anchor of a boot."""
    stamp = Stamp(boot, boot, ticks, wall, ClockQuality.SYNCED)
    return ev.Event(stamp, "", "test", ev.ClockAnchor(boot, ticks, wall, error, source))


def test_an_anchor_of_its_boot_corrects_a_reading_however_late_it_comes(bridge: Bridge) -> None:
    """56 years off, then the anchor: the true time within its error and the drift; the stamp in the row stays as it was said."""
    bridge.hear(measured(1, 1000, YEARS_AGO), at=T0 + 90 * HOUR)
    (before,) = bridge.seen()
    assert not before.anchored
    assert before.at - before.bar <= T0 <= before.at + before.bar
    bridge.hear(learnt(1, 1000 + HOUR, T0 + HOUR), at=T0 + 90 * HOUR)
    (after,) = bridge.seen()
    assert (after.at, after.anchored) == (T0, True)
    assert after.bar == 2 + HOUR // times.DRIFT + times.ROUNDING
    assert after.reading.stamp.wall == YEARS_AGO
    assert after.reading.key == before.reading.key


def test_a_list_is_cut_and_sorted_by_the_true_time(bridge: Bridge) -> None:
    """Readings stamped in 1970 and in six years stand where they belong, whichever came first."""
    ahead = T0 + 6 * 315_576_000
    bridge.hear(learnt(1, 0, T0), *[measured(1, n * 600, YEARS_AGO - n, systolic=100 + n) for n in range(3)], at=T0 + HOUR)
    bridge.hear(
        *[measured(2, n * 600, T0 + 2 * HOUR + n * 600, quality=ClockQuality.SYNCED, systolic=110 + n) for n in range(3)], at=T0 + 3 * HOUR
    )
    bridge.hear(learnt(3, 0, T0 + 4 * HOUR), *[measured(3, n * 600, ahead + n, systolic=120 + n) for n in range(3)], at=T0 + 5 * HOUR)
    systolics = [int(one.reading.numerics[0].value or 0) for one in bridge.seen()]
    assert systolics == [122, 121, 120, 112, 111, 110, 102, 101, 100]
    with reading(bridge.engine) as tx:
        assert len(tx.execute(select(tables.retimed)).all()) == 6
        newest = observations.of_patient(tx, STATION, PATIENT, limit=4)
    assert [int(one.reading.numerics[0].value or 0) for one in newest] == [122, 121, 120, 112]


def test_a_boot_that_never_met_the_time_lies_between_its_neighbours(bridge: Bridge) -> None:
    """Not before the one before had ended, not after the next began; a neighbour's later anchor narrows it."""
    bridge.hear(learnt(1, 100, T0), measured(1, HOUR, T0 + HOUR), at=T0 + 90 * HOUR)
    bridge.hear(measured(2, 600, YEARS_AGO, systolic=99), at=T0 + 90 * HOUR)
    wide = next(one for one in bridge.seen() if one.reading.stamp.boot == 2)
    bridge.hear(learnt(3, 100, T0 + 3 * HOUR), at=T0 + 90 * HOUR)
    lost = next(one for one in bridge.seen() if one.reading.stamp.boot == 2)
    assert lost.bar < wide.bar
    assert lost.at + 700 >= T0 + HOUR
    assert lost.at - lost.bar <= T0 + HOUR + 600
    assert lost.at + lost.bar >= T0 + 3 * HOUR - 200
    assert lost.at <= T0 + 3 * HOUR + 10
    with reading(bridge.engine) as tx:
        (row,) = tx.execute(select(tables.retimed.c.at).where(tables.retimed.c.key == lost.key)).all()
    assert row.at == lost.at


def test_what_comes_at_once_is_placed_by_its_arrival(bridge: Bridge) -> None:
    """No clock, no anchor, but a line: the latest it can have been is when we had it, and that is what is shown."""
    bridge.hear(measured(1, 1000, YEARS_AGO), at=T0)
    (one,) = bridge.seen()
    assert abs(one.at - T0) <= times.OUR_ERROR + 2
    assert one.bar >= one.at - times.EARLIEST - 1010


def test_two_anchors_tell_the_rate() -> None:
    """40 ppm slow over a week: half-way the time is right to the tenth, where one anchor alone would be 12 s off."""
    week = 7 * 24 * HOUR
    first, last = Word(0, T0, 0), Word(week, T0 + week + week * 40 // 1_000_000, 0)
    half = Moment(1, week // 2, 0, 0, 0)
    both = times.place(half, [first, last], ANY)
    true = T0 + week // 2 + week * 20 // 1_000_000
    assert abs(both.at - true) <= 2
    one = times.place(half, [first], ANY)
    assert abs(one.at - true) > 100
    assert one.at - one.bar <= true <= one.at + one.bar
    assert both.bar < one.bar


def test_a_person_who_types_the_wrong_day_is_overruled_by_a_machine() -> None:
    """Also when the machine speaks first; alone, the person's word counts, with the error they gave."""
    person, machine = Word(100, T0 + 24 * HOUR, 600, "technician"), Word(500, T0 + 500, 2)
    moment = Moment(1, 300, YEARS_AGO, 0, 0)
    for words in ([person, machine], [machine, person]):
        found = times.place(moment, words, ANY)
        assert (found.at, found.bar <= 5) == (T0 + 300, True)
    assert times.place(moment, [person], ANY).at == T0 + 24 * HOUR + 200
    late = Zero(Bounds(times.EARLIEST, T0), T0)
    assert not times.place(moment, [person], late).anchored


def test_what_a_person_typed_does_not_move_other_boots() -> None:
    """The bounds of the boots beside it come from machines alone."""
    wrong = Word(0, T0 - 50 * HOUR, 600, "technician")
    boots = [
        Boot(1, 100, T0 + HOUR, T0, (wrong,)),
        Boot(2, 100, T0 + 9 * HOUR),
        Boot(3, 10, T0 + 9 * HOUR, 0, (Word(0, T0 + 8 * HOUR, 2),)),
    ]
    assert times.zeros(boots)[1].high >= T0 + 7 * HOUR
    assert times.zeros(boots)[0].high >= T0


def test_a_synchronised_stamp_stands_as_it_is(bridge: Bridge) -> None:
    """Also where the station's clock is ahead of ours: nothing is corrected without an anchor."""
    bridge.hear(measured(1, 1000, T0 + 300, quality=ClockQuality.SYNCED), at=T0)
    (one,) = bridge.seen()
    assert (one.at, one.bar, one.anchored) == (T0 + 300, times.SYNCED_ERROR, True)


def test_a_hostile_tick_decides_nothing(bridge: Bridge) -> None:
    """Numbers no station can have say nothing about when a boot began."""
    bridge.hear(measured(1, 1000, YEARS_AGO), at=T0)
    bridge.hear(measured(1, (1 << 62) - 1, 0), at=T0)
    assert any(abs(one.at - T0) <= 30 for one in bridge.seen())


def test_another_epoch_of_the_same_boot_is_the_same_boot(bridge: Bridge) -> None:
    """A store put back begins an epoch in the middle of a boot: its anchors serve both."""
    bridge.hear(learnt(1, 0, T0), at=T0 + HOUR)
    bridge.hear(measured(1, 6000, YEARS_AGO), at=T0 + HOUR, epoch=b"another-")
    (one,) = bridge.seen()
    assert (one.at, one.anchored) == (T0 + 6000, True)


def test_hundreds_of_lives_with_any_clock() -> None:
    """P10: wrong by -56 to +6 years, jumps, drift, never synchronised: inside the bar in every case, two seconds where anchored
    within eleven hours, and no two readings of a boot change places.
    """
    counts, wrong = lifetimes(20_261_122, 500)
    assert wrong == []
    assert counts["readings"] > counts["anchored"] > 3000


def test_believing_the_wall_clock_is_caught() -> None:
    """The same oracle, and a bridge that sorts by what the station's clock said."""
    _, wrong = lifetimes(1, 50, by_the_wall)
    assert {word for one in wrong for word in ("places", "bar") if word in one} == {"places", "bar"}


def test_moments_within_a_boot_never_change_places() -> None:
    """Whatever stands about it: anchors that contradict each other, a wall clock that jumps, narrow bounds."""
    words = [
        Word(0, T0, 2),
        Word(HOUR, T0 + HOUR + 300, 400, "bridge"),
        Word(HOUR + 50, T0 + HOUR + 51, 2),
        Word(9000, T0, 5, "technician"),
    ]
    for zero in (ANY, Zero(Bounds(T0 - 50, T0 + 60), T0), Zero(Bounds(T0 - 5000, T0 + 5000), YEARS_AGO)):
        for some in (words, words[:2], words[3:], []):
            found = [times.place(Moment(1, tick, YEARS_AGO + tick % 977, 0, 0), some, zero).at for tick in range(0, 2 * HOUR, 50)]
            assert found == sorted(found)


def test_boots_without_a_number_of_their_own_break_nothing() -> None:
    """Nothing known, or one boot alone."""
    assert times.zeros([]) == []
    (alone,) = times.zeros([Boot(1, 100, T0)])
    assert alone == Bounds(times.EARLIEST, T0)
