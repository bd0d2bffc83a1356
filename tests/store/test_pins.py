"""PINs: what is refused, what is kept, and the lock that no power cut, reboot or clock opens earlier."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.database import StoreError
from appliance.store import audit, pins, staff
from appliance.store.errors import Damaged, Refused
from appliance.store.opening import secret_file
from appliance.store.pins import Cost, Locked, Unset, Wrong
from tests.store.station import Station, station_at

LIGHT = Cost(1, 8, 1)
"""As Argon2id as the real one, and quick."""
PIN, OTHER = "480713", "915304"


@pytest.fixture
def secret(station: Station) -> bytes:
    """The device's secret, with somebody who has a PIN."""
    found = pins.read_secret(secret_file(station.settings))
    staff.add(station.conn, code="an", name="Thử Nghiệm An", now=station.now)
    pins.give(station.conn, found, "an", PIN, by="tt", now=station.now, cost=LIGHT)
    return found


def wrong(station: Station, secret: bytes, code: str = "an", pin: str = OTHER) -> Refused:
    """What a try with this PIN is told."""
    with pytest.raises(Refused) as said:
        pins.attempt(station.conn, secret, code, pin, now=station.now)
    return said.value


@pytest.mark.parametrize("pin", ["000000", "777777", "123456", "012345", "654321", "987654", "890123", "121212", "123123"])
def test_a_pin_anybody_would_try_first_is_refused(station: Station, secret: bytes, pin: str) -> None:
    """Equal, ascending, descending, repeated: a sentence that says so; the old PIN stays."""
    with pytest.raises(Refused, match="easy to guess") as said:
        pins.give(station.conn, secret, "an", pin, by="an", now=station.now, cost=LIGHT)
    assert "dễ đoán" in said.value.vi
    pins.attempt(station.conn, secret, "an", PIN, now=station.now)


@pytest.mark.parametrize("pin", ["", "48071", "4807131", "48O713", "abcdef", "٤٨٠٧١٣", "48071 "])
def test_a_pin_of_five_digits_or_letters_says_so_and_counts_nothing(station: Station, secret: bytes, pin: str) -> None:
    """Neither when it is set nor when it is tried."""
    for _ in range(20):
        assert "6 chữ số" in wrong(station, secret, pin=pin).vi
    with pytest.raises(Refused):
        pins.give(station.conn, secret, "an", pin, by="an", now=station.now, cost=LIGHT)
    pins.attempt(station.conn, secret, "an", PIN, now=station.now)


def test_what_is_kept_is_argon2id_of_the_pin_and_the_devices_secret(station: Station, secret: bytes) -> None:
    """At the floor OWASP names; without the secret the right PIN does not fit the hash."""
    from argon2 import PasswordHasher, Type, extract_parameters
    from argon2.exceptions import VerifyMismatchError

    pins.give(station.conn, secret, "an", PIN, by="an", now=station.now)
    hashed = station.conn.execute("SELECT hash FROM staff_pin").fetchone()[0]
    said = extract_parameters(hashed)
    assert (said.type, said.memory_cost >= 19 * 1024, said.time_cost >= 2, said.parallelism) == (Type.ID, True, True, 1)
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(hashed, PIN)
    assert PIN not in str([tuple(row) for row in station.conn.execute("SELECT * FROM staff_pin")])
    pins.attempt(station.conn, secret, "an", PIN, now=station.now)


def test_the_devices_secret_is_made_once_and_for_its_group_alone(station: Station) -> None:
    """0640, 32 bytes, and the same after another `tram init`; where others may read it, it is not used."""
    file = secret_file(station.settings)
    before = pins.read_secret(file)
    assert file.stat().st_mode & 0o777 == 0o640
    station.power_cut()
    assert pins.read_secret(file) == before
    file.chmod(0o644)
    with pytest.raises(StoreError, match="others may read it"):
        pins.read_secret(file)


def test_with_another_secret_every_pin_asks_to_be_set_again(station: Station, secret: bytes) -> None:
    """The secret's file was lost: nobody is told that the PIN is wrong, and nothing is counted."""
    for _ in range(9):
        error = wrong(station, bytes(32), pin=PIN)
        assert isinstance(error, Unset)
    assert "đặt lại" in error.vi
    pins.attempt(station.conn, secret, "an", PIN, now=station.now)


def test_who_has_no_pin_or_works_here_no_more_is_told_whom_to_ask(station: Station, secret: bytes) -> None:
    """Also the unknown: the sentence is the same."""
    staff.add(station.conn, code="binh", name="Thử Nghiệm Bình", now=station.now)
    staff.retire(station.conn, "an", now=station.now)
    for code in ("an", "binh", "nobody"):
        error = wrong(station, secret, code, PIN)
        assert isinstance(error, Unset)
        assert "Nhờ trưởng trạm" in error.vi
    with pytest.raises(Refused, match="no active staff"):
        pins.give(station.conn, secret, "an", PIN, by="", now=station.now, cost=LIGHT)


def test_a_wrong_pin_eleven_times(station: Station, secret: bytes) -> None:
    """Five free tries, then 1, 2, 4, 8, 16 minutes; the eleventh is refused until an hour after the first has passed."""
    began = station.now.ticks
    for left in (4, 3, 2, 1):
        error = wrong(station, secret)
        assert isinstance(error, Wrong)
        assert error.left == left
    waits = []
    for _ in range(6):
        error = wrong(station, secret)
        assert isinstance(error, Locked)
        waits.append(error.wait // 600)
        assert "Nhờ trưởng trạm" in error.vi or "nhờ trưởng trạm" in error.vi
        assert isinstance(wrong(station, secret, pin=PIN), Locked)  # the right one does not help either
        station.later(error.wait / 10 - 1)
        assert isinstance(wrong(station, secret, pin=PIN), Locked)
        station.later(1)
    assert waits == [1, 2, 4, 8, 16, 32]
    assert station.now.ticks - began >= 36_000
    error = wrong(station, secret)
    assert isinstance(error, Locked)
    assert error.wait == 36_000
    station.later(3600)
    pins.attempt(station.conn, secret, "an", PIN, now=station.now)


def test_a_reboot_between_tries_begins_the_wait_again(station: Station, secret: bytes) -> None:
    """Neither the count nor the wait is lost, and the wait is never shorter for it."""
    for _ in range(5):
        wrong(station, secret)
    station.later(50)
    station.power_cut()  # 5 s after boot
    error = wrong(station, secret, pin=PIN)
    assert isinstance(error, Locked)
    assert error.wait == 550
    station.later(55)
    pins.attempt(station.conn, secret, "an", PIN, now=station.now)


@pytest.mark.parametrize("off", [-31_536_000, 3600, 31_536_000])
def test_a_clock_that_is_set_changes_nothing(station: Station, secret: bytes, off: int) -> None:
    """A year back, an hour on, a year on: the wait counts ticks of the boot."""
    for _ in range(5):
        wrong(station, secret)
    station.hand.wall += off * 10
    error = wrong(station, secret, pin=PIN)
    assert isinstance(error, Locked)
    assert error.wait == 600
    station.later(60)
    pins.attempt(station.conn, secret, "an", PIN, now=station.now)


def test_a_comparison_that_breaks_off_gives_no_try_back(station: Station, secret: bytes) -> None:
    """The try is on the card before the hash is looked at: here the hash is damaged, then the power goes."""
    kept = station.conn.execute("SELECT hash FROM staff_pin").fetchone()[0]
    station.conn.execute("UPDATE staff_pin SET hash = 'torn'")
    for _ in range(5):
        with pytest.raises(Damaged):
            pins.attempt(station.conn, secret, "an", PIN, now=station.now)
    station.conn.execute("UPDATE staff_pin SET hash = ?", (kept,))
    station.power_cut()
    assert isinstance(wrong(station, secret, pin=PIN), Locked)


def test_the_lead_unlocks_and_the_pin_stays(station: Station, secret: bytes) -> None:
    """At once; who has no PIN cannot be unlocked. It is written down who did it."""
    for _ in range(5):
        wrong(station, secret)
    assert pins.states(station.conn, station.now)["an"].wait == 600
    pins.unlock(station.conn, "an", by="tt", now=station.now)
    pins.attempt(station.conn, secret, "an", PIN, now=station.now)
    with pytest.raises(Refused):
        pins.unlock(station.conn, "nobody", by="tt", now=station.now)
    said = [(one.actor, one.action, one.subject) for one in audit.entries(station.conn)]
    assert ("tt", "pin.unlock", "staff:an") in said
    assert ("", "pin.locked", "staff:an") in said
    assert ("an", "staff.login", "") in said


def test_the_lock_of_one_is_not_the_lock_of_another(station: Station, secret: bytes) -> None:
    """Whoever mistypes shuts out nobody else."""
    staff.add(station.conn, code="binh", name="Thử Nghiệm Bình", now=station.now)
    pins.give(station.conn, secret, "binh", OTHER, by="tt", now=station.now, cost=LIGHT)
    for _ in range(5):
        wrong(station, secret)
    pins.attempt(station.conn, secret, "binh", OTHER, now=station.now)
    assert isinstance(wrong(station, secret, pin=PIN), Locked)


def test_two_windows_at_once_share_one_count(station: Station, secret: bytes) -> None:
    """Twenty tries in four threads: no more than five are compared."""
    said: list[Refused] = []

    def guess() -> None:
        conn = station.second()
        for _ in range(5):
            try:
                pins.attempt(conn, secret, "an", OTHER, now=station.now)
            except Refused as error:
                said.append(error)
        conn.close()

    threads = [threading.Thread(target=guess) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(said) == 20
    assert sum(1 for one in audit.entries(station.conn) if one.action in ("pin.wrong", "pin.locked")) == 5


def test_an_invented_pin_is_never_weak() -> None:
    """Whatever the dice say."""
    numbers: Iterator[int] = iter([123456, 777777, 480713])
    assert pins.invent(lambda size: next(numbers).to_bytes(size)) == PIN


# --- any history ----------------------------------------------------------------------------------------------------------------------

PEOPLE = {"an": PIN, "binh": OTHER}


class AnyHistory(RuleBasedStateMachine):
    """Right and wrong tries, reboots, clocks that are set, time, the lead: what must hold whatever happens in whatever order.

    `real` is the time that really passes, in tenths of a second, through all boots; `guesses` when a wrong PIN was compared.
    """

    @initialize()
    def begin(self) -> None:
        """A station with two people."""
        self.folder = TemporaryDirectory()
        self.station = station_at(Path(self.folder.name))
        self.secret = pins.read_secret(secret_file(self.station.settings))
        for code, pin in PEOPLE.items():
            staff.add(self.station.conn, code=code, name=code, now=self.station.now)
            pins.give(self.station.conn, self.secret, code, pin, by="", now=self.station.now, cost=LIGHT)
        self.real = 0
        self.guesses: dict[str, list[int]] = {code: [] for code in PEOPLE}
        self.unlocked = dict.fromkeys(PEOPLE, 0)

    def wait(self, code: str) -> int:
        """How long the lead's page says."""
        return pins.states(self.station.conn, self.station.now)[code].wait

    @rule(code=st.sampled_from(sorted(PEOPLE)), times=st.integers(1, 4))
    def wrong_tries(self, code: str, times: int) -> None:
        """A guess is compared exactly when there is no wait."""
        for _ in range(times):
            shut = self.wait(code) > 0
            before = self.entries()
            with pytest.raises((Wrong, Locked)):
                pins.attempt(self.station.conn, self.secret, code, "357140", now=self.station.now)
            compared = self.entries() - before
            assert compared == (0 if shut else 1)
            if compared:
                self.guesses[code].append(self.real)

    def entries(self) -> int:
        """How many wrong PINs were compared so far."""
        return sum(
            int(self.station.conn.execute("SELECT count(*) FROM audit WHERE action = ?", (action,)).fetchone()[0])
            for action in ("pin.wrong", "pin.locked")
        )

    @rule(code=st.sampled_from(sorted(PEOPLE)))
    def right_try(self, code: str) -> None:
        """The right PIN never works during a wait and always works after it; it opens nobody else's lock."""
        shut = self.wait(code) > 0
        others = {other: self.wait(other) for other in PEOPLE if other != code}
        try:
            pins.attempt(self.station.conn, self.secret, code, PEOPLE[code], now=self.station.now)
        except Locked:
            assert shut
        else:
            assert not shut
        assert others == {other: self.wait(other) for other in others}

    @rule(seconds=st.sampled_from((1, 29, 61, 300, 1000, 3601)))
    def time_passes(self, seconds: int) -> None:
        """It runs down what is left of every wait, and no faster than itself."""
        before = {code: self.wait(code) for code in PEOPLE}
        self.station.later(seconds)
        self.real += seconds * 10
        for code, was in before.items():
            assert self.wait(code) == max(0, was - seconds * 10)

    @rule(seconds=st.integers(-(10**9), 10**9))
    def clock_is_set(self, seconds: int) -> None:
        """It is not looked at."""
        before = {code: self.wait(code) for code in PEOPLE}
        self.station.hand.wall += seconds * 10
        assert before == {code: self.wait(code) for code in PEOPLE}

    @rule(off=st.sampled_from((-(10**8), 0, 10**8)))
    def reboot(self, off: float) -> None:
        """Five seconds dark and five to start; no wait is shorter for it than those ten seconds."""
        before = {code: self.wait(code) for code in PEOPLE}
        self.station.power_cut(off=off)
        self.real += 100
        for code, was in before.items():
            assert self.wait(code) >= was - 100

    @precondition(lambda self: any(self.wait(code) for code in PEOPLE))
    @rule(data=st.data())
    def lead_unlocks(self, data: st.DataObject) -> None:
        """One person may try again at once; what was guessed before is the lead's to answer for."""
        code = data.draw(st.sampled_from([code for code in sorted(PEOPLE) if self.wait(code)]))
        others = {other: self.wait(other) for other in PEOPLE if other != code}
        pins.unlock(self.station.conn, code, by="tt", now=self.station.now)
        self.guesses[code] = []
        assert self.wait(code) == 0
        assert others == {other: self.wait(other) for other in others}

    @rule(code=st.sampled_from(sorted(PEOPLE)))
    def everything_waits_out(self, code: str) -> None:
        """After what the page says the right PIN works, always."""
        left = self.wait(code)
        self.station.later(left / 10)
        self.real += left
        pins.attempt(self.station.conn, self.secret, code, PEOPLE[code], now=self.station.now)

    @invariant()
    def no_more_than_ten_guesses_an_hour(self) -> None:
        """For anybody at the screen, through reboots and changed clocks, and however often the owner signs in in between."""
        for guesses in getattr(self, "guesses", {}).values():
            for first in guesses:
                assert sum(1 for each in guesses if first <= each < first + 36_000) <= pins.MOST_PER_HOUR

    def teardown(self) -> None:
        """Close the store."""
        if hasattr(self, "station"):
            self.station.conn.close()
            self.folder.cleanup()


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))


def test_the_tries_in_the_store_never_grow(station: Station, secret: bytes) -> None:
    """Ten numbers at most, whatever is tried."""
    for _ in range(40):
        wrong(station, secret)
        station.later(700)
    assert len(json.loads(station.conn.execute("SELECT tries FROM staff_pin").fetchone()[0])) <= pins.MOST_PER_HOUR
