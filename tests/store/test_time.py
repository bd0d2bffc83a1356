"""Time at the station: what is learnt becomes anchors, the floor never falls, and a copied store never uses a number twice."""

import io
import itertools
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import journal
from appliance.agent.carry import renew_on_another_machine
from appliance.agent.clock import (
    BUILT,
    LATEST,
    Clock,
    Learnt,
    floor_of,
    keep_learnt,
    live_clock,
    read_learnt,
    save_time,
    saved_time,
    zero_of,
)  # fmt: skip
from appliance.agent.timekeeping import AGAIN_TENTHS, LOOK, REFRESH_TENTHS, SAVE_SECONDS, Timekeeper
from appliance.contract.events import ClockAnchor, KeyPublished
from appliance.contract.ids import short_of
from appliance.contract.readings import TICK_NS, ClockQuality
from appliance.store import anchors, audit
from appliance.store.boots import epoch
from appliance.store.opening import open_store
from tests.store.station import Hand, Station, init, settings_at

TRUE = 18_000_000_000
"""The true time when a box of these tests has booted, tenths since 1970."""


class Box:
    """A station whose clock has every fault a test wants, and its timekeeper."""

    def __init__(self, station: Station, quality: ClockQuality = ClockQuality.UNKNOWN) -> None:
        self.station = station
        self.seconds, self.off, self.quality = 100.0, 0, quality
        self.says: list[Learnt | Exception] = []
        self.asked = 0
        self.run = station.settings.paths.run
        self.keeper = self.begin()

    def begin(self) -> Timekeeper:
        """The process starts (again)."""
        boot = short_of(self.station.hand.boot)
        self.clock = Clock(
            1, boot=boot, boottime=lambda: int(self.seconds * 1e9), wall=lambda: (TRUE + self.off) * TICK_NS + int(self.seconds * 1e9),
            quality=lambda: self.quality, learnt=lambda: read_learnt(self.run, boot), zero=BUILT,
        )  # fmt: skip
        log = journal.open("carry", io.StringIO())
        return Timekeeper(self.station.conn, self.clock, self.station.settings.paths.data, self.run, log, self.ask, error=lambda: 1)

    def ask(self) -> Learnt:
        """The door, as the test has it answer."""
        self.asked += 1
        found = self.says.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def later(self, seconds: float) -> bool:
        """Time passes and the loop turns once; True when an anchor was queued."""
        self.seconds += seconds
        return self.keeper.turn(self.seconds)

    @property
    def anchors(self) -> list[ClockAnchor]:
        """What was queued for the bridge."""
        return [one.body for one in self.station.events(ClockAnchor.KIND)]  # type: ignore[misc]  # of that kind


@pytest.fixture
def box(station: Station) -> Box:
    """A box that knows nothing of the time, and cannot ask."""
    made = Box(station)
    made.says = [OSError("no line")] * 1000
    return made


# --- anchors ------------------------------------------------------------------------------------------------------------------------


def test_a_synchronised_clock_is_anchored_at_once_each_hour_and_when_it_moves(box: Box) -> None:
    """Each anchor is an event of lane 2 and a row; between them nothing is written."""
    box.quality = ClockQuality.SYNCED
    assert box.later(LOOK)
    assert not any(box.later(LOOK) for _ in range(30))
    box.off = 7
    assert box.later(LOOK)
    assert box.later(AGAIN_TENTHS / 10)
    assert [(one.source, one.error) for one in box.anchors] == [("ntp", 2)] * 3
    assert all(one.wall - one.ticks == TRUE + off for one, off in zip(box.anchors, (0, 7, 7), strict=True))
    assert {row[0] for row in box.station.conn.execute("SELECT lane FROM outbox WHERE kind = ?", (ClockAnchor.KIND,))} == {2}
    assert len(anchors.listing(box.station.conn)) == 3


def test_what_the_bridge_says_becomes_the_guess_of_every_process(box: Box) -> None:
    """A system clock of 56 years ago: the floor first, then the bridge's word, also in a process that starts later and in another one."""
    box.off = -56 * 315_576_000
    stamp = box.clock.stamp()
    assert (stamp.wall, stamp.quality) == (BUILT + stamp.ticks, ClockQuality.UNKNOWN)
    box.says = [Learnt(900, TRUE + 900, 12, "bridge")]
    assert box.later(LOOK)
    stamp = box.clock.stamp()
    assert (stamp.wall, stamp.quality) == (TRUE + stamp.ticks, ClockQuality.SYNCED)
    (box.run / "clock.json").unlink()
    box.begin()
    assert box.clock.stamp().wall == TRUE + stamp.ticks
    other = Clock(1, boot=box.clock.boot, boottime=lambda: 0, wall=lambda: 0, learnt=lambda: read_learnt(box.run, box.clock.boot))
    assert other.stamp_at(5 * TICK_NS).wall == TRUE + 5
    assert read_learnt(box.run, box.clock.boot + 1) is None


def test_the_door_is_asked_ever_less_often_and_again_after_ten_hours(box: Box) -> None:
    """A door that cannot be reached, one that lies, then one that answers; a clock that NTP keeps needs none."""
    box.says = [OSError("no line"), ValueError("another key"), Learnt(0, TRUE, 12, "bridge"), Learnt(0, TRUE, 12, "bridge")]
    box.later(LOOK)
    for _ in range(200):
        if box.later(LOOK):
            break
    assert (box.asked, round(box.seconds)) == (3, 100 + 10 + 30 + 60)
    assert not any(box.later(LOOK) for _ in range(100))
    box.quality = ClockQuality.SYNCED
    box.later(REFRESH_TENTHS / 10)
    box.quality = ClockQuality.UNKNOWN
    assert (box.asked, box.later(60)) == (3, False)
    assert box.later(REFRESH_TENTHS / 10)


def test_what_was_learnt_grows_uncertain(box: Box) -> None:
    """50 ppm: within two seconds for eleven hours, then no better than a battery clock."""
    box.says = [Learnt(int(box.seconds * 10), TRUE, 0, "bridge")]
    box.later(LOOK)
    box.seconds += 10.4 * 3600
    box.clock.look()
    assert box.clock.stamp().quality is ClockQuality.SYNCED
    box.seconds += 3600
    box.clock.look()
    assert box.clock.stamp().quality is ClockQuality.RTC


def test_a_persons_word_is_audited_and_a_machines_counts_more(box: Box) -> None:
    """The door is asked although somebody has typed a time."""
    now = box.clock.stamp()
    anchors.keep(box.station.conn, now, anchors.Anchor(now.boot, 1, now.ticks, TRUE, 600, anchors.TECHNICIAN), actor="kt")
    box.keeper = box.begin()
    assert box.clock.stamp().quality is ClockQuality.RTC
    assert "time.set" in [row[0] for row in box.station.conn.execute("SELECT action FROM audit").fetchall()]
    assert audit.start(box.station.conn) is not None
    box.says = [Learnt(900, TRUE + 900, 12, "bridge")]
    assert box.later(LOOK)
    assert [one.source for one in box.anchors] == ["technician", "bridge"]


def test_old_anchors_leave_the_station(box: Box) -> None:
    """The bridge has all of them; 64 stay for people."""
    now = box.clock.stamp()
    for number in range(70):
        anchors.keep(box.station.conn, now, anchors.Anchor(now.boot, 1, number, TRUE, 2, "ntp"))
    assert len(box.anchors) == 70
    assert [one.ticks for one in anchors.listing(box.station.conn)] == list(range(69, 5, -1))
    found = anchors.latest(box.station.conn, now.boot)
    assert found is not None and found.ticks == 69


# --- never backwards ------------------------------------------------------------------------------------------------------------------


def test_the_time_is_saved_every_ten_minutes_and_no_doubtful_clock_takes_it_back(box: Box) -> None:
    """A learnt time does: a clock that had run ahead by years does not stay the floor for ever."""
    data = box.station.settings.paths.data
    box.off = 6 * 315_576_000
    box.later(LOOK)
    first = saved_time(data)
    assert first == TRUE + box.off + int(box.seconds * 10)
    box.later(LOOK)
    assert saved_time(data) == first
    box.off = 0
    box.later(SAVE_SECONDS)
    assert saved_time(data) == first
    box.quality = ClockQuality.SYNCED
    box.later(SAVE_SECONDS)
    assert saved_time(data) == TRUE + int(box.seconds * 10)
    assert (data / "time.saved").stat().st_size == 8


def test_a_saved_time_the_card_has_changed_is_none(tmp_path: Path) -> None:
    """Any bit, any length: the floor is then the release of the software."""
    save_time(tmp_path, TRUE)
    good = (tmp_path / "time.saved").read_bytes()
    assert (saved_time(tmp_path), floor_of(tmp_path)) == (TRUE, TRUE)
    for at in range(64):
        spoilt = bytearray(good)
        spoilt[at // 8] ^= 1 << at % 8
        (tmp_path / "time.saved").write_bytes(spoilt)
        assert saved_time(tmp_path) is None
    for content in (b"", good[:7], good + b"\0"):
        (tmp_path / "time.saved").write_bytes(content)
        assert floor_of(tmp_path) == BUILT


@pytest.mark.parametrize("off", [-56 * 315_576_000, -315_576_000, LATEST])
def test_a_clock_nobody_vouches_for_never_steps_below_the_floor(tmp_path: Path, off: int) -> None:
    """Nor a century ahead: all processes of the boot shift it by the same amount, and it runs on from there."""
    save_time(tmp_path, TRUE)
    zeros = {zero_of(tmp_path, tmp_path, 7, ticks) for ticks in (300, 500, 900)}
    assert zeros == {TRUE - 300}
    seconds = [30.0]
    clock = Clock(
        1, boot=7, boottime=lambda: int(seconds[0] * 1e9), wall=lambda: (TRUE + off) * TICK_NS + int(seconds[0] * 1e9),
        quality=lambda: ClockQuality.RTC, zero=zeros.pop(),
    )  # fmt: skip
    first = clock.stamp()
    seconds[0] += 60
    second = clock.stamp()
    assert (first.wall, second.wall, second.quality) == (TRUE, TRUE + 600, ClockQuality.UNKNOWN)
    assert zero_of(tmp_path, tmp_path, 8, 100) == TRUE - 100


def test_the_real_clock_of_a_box_has_floor_and_learnt_time(tmp_path: Path) -> None:
    """As the command line makes it: the real kernel, and the files of the box."""
    clock = live_clock(4, data=tmp_path, run=tmp_path)
    stamp = clock.stamp()
    assert stamp.wall >= BUILT or stamp.quality is ClockQuality.SYNCED
    keep_learnt(tmp_path, clock.boot, Learnt(stamp.ticks, TRUE, 5, "bridge"))
    clock.look()
    assert clock.synced() or abs(clock.stamp().wall - TRUE) < 600


# --- a copied store -------------------------------------------------------------------------------------------------------------------


def places(station: Station) -> dict[tuple[bytes, int, int], bytes]:
    """Every number this store has given, with what it stands for."""
    rows = station.conn.execute("SELECT e.epoch, o.lane, o.seq, o.body FROM outbox AS o JOIN epoch AS e ON e.id = o.epoch").fetchall()
    return {(bytes(row[0]), row[1], row[2]): bytes(row[3]) for row in rows}


@pytest.fixture
def copy(station: Station, tmp_path: Path) -> Iterator[Station]:
    """The station's card, copied byte by byte into another box while something was still unsent."""
    station.saved(station.patient())
    station.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    folder = tmp_path / "copy"
    shutil.copytree(station.settings.paths.data.parent, folder, ignore=shutil.ignore_patterns("copy"))
    settings = settings_at(folder)
    hand = Hand(boot="boot-of-the-copy")
    other = Station(settings, open_store(settings, {}), hand, hand.clock(2), itertools.count(50))
    yield other
    other.conn.close()


@pytest.mark.parametrize("who", ["init", "carry"])
def test_a_card_copied_into_another_box_uses_no_number_twice(station: Station, copy: Station, who: str) -> None:
    """Whoever starts first there begins a new epoch before anything is written; both go on, and no number stands for two things."""
    if who == "init":
        report = init(copy.settings, copy.hand, machine="board-2")
        assert "epoch (machine)" in report.done
    else:
        log = io.StringIO()
        assert renew_on_another_machine(copy.conn, copy.clock, journal.open("carry", log), "board-2")
        assert "another machine" in log.getvalue()
    before = places(copy).keys() & places(station).keys()
    assert before
    for each in (station, copy):
        each.saved(each.patient("Thử Nghiệm Hai"))
    both = places(station).keys() & places(copy).keys()
    assert both == before
    assert all(places(station)[one] == places(copy)[one] for one in both)
    assert epoch(station.conn)[1] != epoch(copy.conn)[1]
    kinds = [row[0] for row in copy.conn.execute("SELECT kind FROM outbox WHERE epoch = (SELECT max(id) FROM epoch) ORDER BY id")]
    assert kinds[0] == KeyPublished.KIND
    assert not renew_on_another_machine(copy.conn, copy.clock, logging.getLogger("quiet"), "board-2")
