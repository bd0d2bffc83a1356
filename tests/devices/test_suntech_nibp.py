"""The SunTech driver: vendor frames, every error, and the rules that keep a cuff from hurting anybody."""

import ast
import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract.metrics import Metric
from appliance.devices.drivers import suntech_nibp as suntech
from appliance.devices.drivers.suntech_nibp import ABORT, ASK_PRESSURE, ASK_RESULT, COMMANDS, ROW, START, State, SuntechNibp
from appliance.devices.events import Notice, Said, Sample, Send, Word
from appliance.devices.sim.suntech_nibp import SuntechNibp as Module
from appliance.devices.sim.suntech_nibp import frame, numbered, result
from tests.lines import GARBAGE, every_way, feed, one_frame, samples

SECOND = 1_000_000_000
STEP = SECOND // 50
VENDOR = bytes.fromhex("3E1873004A001E01000000000000310755005800000000E9")


def values(sample: Sample) -> list[tuple[str, int | None]]:
    """The numbers of a sample in their order."""
    return [(each.metric.name, each.value) for each in sample.numerics]


# --- frames ---------------------------------------------------------------------------------------------------------


def test_the_vendors_result() -> None:
    """115/74, mean 88, pulse 85, however the bytes arrive and whatever surrounds them."""
    sample = one_frame(ROW, VENDOR, tail=VENDOR[:7])
    assert sample.valid
    assert sample.result
    assert values(sample) == [("SYSTOLIC", 115), ("DIASTOLIC", 74), ("MEAN", 88), ("PULSE_RATE", 85)]
    assert every_way(ROW, GARBAGE + VENDOR + GARBAGE) == [sample]


def test_the_recorded_vectors(captures: Path) -> None:
    """Of the vendor's module frames, the wrong checksum and the zero length are noise and the rest are frames."""
    lines = (captures / "suntech_nibp_vectors" / "vectors.txt").read_text().splitlines()
    data = b"".join(bytes.fromhex(line.split()[1]) for line in lines if line.startswith("<"))
    said = feed(SuntechNibp(listen=True), [data], bound=ROW.bound)
    (sample,) = samples(said)
    assert sample.numerics[0].value == 115
    assert [each.value for each in said if isinstance(each, Notice) and each.word is Word.PRESSURE] == [258]
    assert [each.text for each in said if isinstance(each, Notice) and each.word is Word.STATE] == ["complete"]


@pytest.mark.parametrize("error", range(1, 256))
def test_an_error_takes_the_numbers_away(error: int) -> None:
    """Any error byte but 0 leaves no number, whatever stands in the places of the numbers."""
    (sample,) = samples(feed(SuntechNibp(listen=True), [result(115, 74, 88, 85, error=error)], bound=ROW.bound))
    assert sample.invalid == f"device-error-{error}"
    assert all(each.value is None for each in sample.numerics)


def test_every_documented_error_has_words() -> None:
    """The thirteen decimal codes of the guide are named."""
    assert sorted(suntech.ERRORS) == [1, 2, 3, 4, 85, 86, 87, 88, 89, 90, 91, 97, 99]


def test_every_number_of_a_result() -> None:
    """All two-byte pressures in all three places, every pulse from 0 to 255: as they stand there, or missing (0, 255; FFFF)."""
    driver = SuntechNibp(listen=True)
    for number in range(0x10000):
        (sample,) = samples(driver.feed(result(number, number, number, number % 256), 0))
        there = number not in (0, 0xFFFF)
        pulse = None if number % 256 in (0, 255) else number % 256
        expected = [number, number, number, pulse] if there else [None] * 4
        assert [each.value for each in sample.numerics] == expected
        assert sample.valid == there


@pytest.mark.parametrize(("systolic", "diastolic"), [(0, 74), (115, 0), (0xFFFF, 74), (115, 0xFFFF)])
def test_zero_and_ffff_are_no_pressures(systolic: int, diastolic: int) -> None:
    """A result without an error but with an empty place has no value."""
    assert one_frame(ROW, result(systolic, diastolic, 88, 85)).invalid == "no-value"


def test_a_missing_mean_or_pulse_leaves_the_rest() -> None:
    """Only what is missing is missing."""
    assert values(one_frame(ROW, result(115, 74, 0, 0))) == [("SYSTOLIC", 115), ("DIASTOLIC", 74), ("MEAN", None), ("PULSE_RATE", None)]


@pytest.mark.parametrize("bad", ["3E050201B1", "3E000201BA", "3E044B74", "3E064B6F"])
def test_wrong_checksums_and_lengths_are_noise(bad: str) -> None:
    """A frame that fails is noise, and a true frame right behind it is found."""
    assert every_way(ROW, bytes.fromhex(bad) + VENDOR) == every_way(ROW, VENDOR)


@given(
    st.lists(
        st.one_of(st.binary(max_size=20), st.sampled_from([VENDOR, frame(b"K"), frame(b"\x02\x01"), b"\x3e\x18", b"\x3e"])), max_size=20
    )
)
def test_no_byte_disappears(chunks: list[bytes]) -> None:
    """Whatever the line brings: nothing raises, nothing grows, every byte is a frame's, noise, or pending."""
    feed(SuntechNibp(listen=True), chunks, bound=ROW.bound)
    driver = SuntechNibp()
    driver.begin(0)
    feed(driver, chunks, bound=ROW.bound)


def test_line_noise_gives_no_value() -> None:
    """Two megabytes of noise, and not one number."""
    chance = random.Random(20)
    driver = SuntechNibp(listen=True)
    for _ in range(32):
        assert not [each for each in driver.feed(chance.randbytes(65536), 0) if isinstance(each, Sample) and each.valid]
    assert driver.pending <= ROW.bound


# --- commands -------------------------------------------------------------------------------------------------------


def test_commands_are_the_guides() -> None:
    """Byte for byte; and nothing else can be sent."""
    assert {kind: frame.hex().upper() for kind, frame in START.items()} == {"adult": "3A20A6", "paediatric": "3A873F", "neonate": "3A289E"}
    assert (ABORT.hex().upper(), ASK_PRESSURE.hex().upper(), ASK_RESULT.hex().upper()) == ("3A7901004C", "3A79050048", "3A7903004A")
    assert {each[1] for each in COMMANDS} == {0x20, 0x87, 0x28, 0x79}


def test_calibration_and_pneumatics_do_not_exist() -> None:
    """No command with code 04 or 0C is built anywhere in the driver, and none is written out as bytes."""
    tree = ast.parse(Path(suntech.__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "command"]
    codes = [node.args[0].value for node in calls if isinstance(node.args[0], ast.Constant)]
    assert len(codes) == len(calls), "a command whose code cannot be read from the source"
    assert set(codes) == {0x20, 0x87, 0x28, 0x79}
    sends = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Send"]
    assert len(sends) == 1, "one place sends"
    assert not any(isinstance(node, ast.Constant) and isinstance(node.value, bytes) and b"\x3a" in node.value for node in ast.walk(tree))


# --- the cycle, with the simulated module on the other end -------------------------------------------------------------


class Bench:
    """A driver and a simulated module on one wire, with a hand-turned clock. `cut` loses what the module says."""

    def __init__(self, *, rest_s: float = 30.0, **module: object) -> None:
        self.module = Module(random.Random(3), **({"cycle": 4.0} | module))
        self.driver = SuntechNibp(rest_s)
        self.now = SECOND
        self.said: list[Said] = []
        self.sent: list[tuple[int, bytes]] = []
        self.cut = False
        self.deaf = False
        self.lose: set[bytes] = set()

    def take(self, said: list[Said]) -> list[Said]:
        """Note what the driver says and carry what it sends."""
        self.said += said
        for each in said:
            if isinstance(each, Send):
                assert each.data in COMMANDS
                self.sent.append((self.now, each.data))
                if not self.deaf:
                    self.module.feed(each.data, self.now)
        return said

    def run(self, seconds: float) -> "Bench":
        """Turn the clock, a fiftieth of a second at a time."""
        stop = self.now + int(seconds * SECOND)
        while self.now < stop:
            self.now += STEP
            frames = [each for each in self.module.output(self.now) if each not in self.lose]
            if not self.cut:
                self.take(self.driver.feed(b"".join(frames), self.now))
            self.take(self.driver.tick(self.now))
        return self

    def ready(self) -> "Bench":
        """Open the port and wait until the cuff is known to be empty."""
        self.take(self.driver.begin(self.now))
        self.run(1)
        assert self.driver.state is State.IDLE
        self.said.clear()
        self.sent.clear()
        return self

    def press(self, patient_type: str = "adult", within: float = 3.0) -> list[Said]:
        """A person presses *start*."""
        return self.take(self.driver.start(patient_type, self.now, self.now + int(within * SECOND)))

    def words(self) -> list[tuple[Word, str]]:
        """What people are told, in its order."""
        return [(each.word, each.text) for each in self.said if isinstance(each, Notice) and each.word not in (Word.PRESSURE, Word.STATE)]

    def count(self, command: bytes) -> int:
        """How often a command was sent."""
        return sum(each == command for _, each in self.sent)

    def starts(self) -> int:
        """How many starts were sent, of any kind."""
        return sum(each in START.values() for _, each in self.sent)


def test_one_press_gives_one_reading() -> None:
    """Start, received, pressure polled every 200 ms, complete, result heard twice alike; then the cuff is seen to be empty."""
    bench = Bench().ready()
    bench.press()
    bench.run(6)
    (sample,) = samples(bench.said)
    assert sample.valid
    assert sample.result
    assert [each.metric for each in sample.numerics] == [Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.PULSE_RATE]
    assert bench.words() == [(Word.STARTED, "adult")]
    began = bench.sent[0][0]
    polls = [at for at, each in bench.sent if each == ASK_PRESSURE and at < began + 4 * SECOND]
    assert 18 <= len(polls) <= 20
    assert bench.starts() == bench.module.starts == 1
    assert bench.count(ASK_RESULT) == 2
    assert bench.count(ABORT) == 0
    assert bench.driver.state is State.IDLE


def test_commands_keep_their_distance() -> None:
    """Two commands are never closer than a tenth of a second, except an abort, which does not wait."""
    bench = Bench().ready()
    bench.press()
    bench.run(6)
    times = [at for at, _ in bench.sent]
    assert min(b - a for a, b in pairwise(times)) >= SECOND // 10


@pytest.mark.parametrize("patient_type", ["", "ADULT", "child", "infant"])
def test_a_patient_type_must_be_said(patient_type: str) -> None:
    """Without one of the three words nothing is started: there is no default."""
    bench = Bench().ready()
    assert bench.press(patient_type) == [Notice(Word.REFUSED, "patient-type")]
    bench.run(1)
    assert bench.module.starts == 0


def test_a_press_that_is_too_old_is_refused() -> None:
    """At its deadline a press has become no press."""
    bench = Bench().ready()
    assert bench.take(bench.driver.start("adult", bench.now, bench.now)) == [Notice(Word.REFUSED, "too-late")]
    assert bench.starts() == 0


def test_one_cycle_at_a_time_and_a_rest_between() -> None:
    """A second press during a cycle is refused, and so is one before the arm has rested."""
    bench = Bench(rest_s=10).ready()
    bench.press()
    bench.run(2)
    assert bench.press() == [Notice(Word.REFUSED, "busy")]
    bench.run(4)
    assert bench.press() == [Notice(Word.REFUSED, "rest")]
    bench.run(10)
    bench.press()
    bench.run(6)
    assert bench.module.starts == len(samples(bench.said)) == 2


def test_busy_is_tried_again_within_the_press() -> None:
    """B says that the module did not start: the same press may try again, until its deadline."""
    bench = Bench(busy=2).ready()
    bench.press()
    bench.run(6)
    assert bench.starts() == 3
    assert bench.module.starts == 1
    assert len(samples(bench.said)) == 1


def test_busy_until_the_deadline_is_refused() -> None:
    """After the deadline nothing is tried any more."""
    bench = Bench(busy=1000).ready()
    bench.press(within=1.0)
    bench.run(5)
    assert bench.module.starts == 0
    assert 2 <= bench.starts() <= 4
    assert max(at for at, each in bench.sent if each in START.values()) < 2 * SECOND + SECOND
    assert bench.words() == [(Word.REFUSED, "busy")]


def test_a_lost_reply_to_start_asks_the_pressure_first() -> None:
    """The module obeyed and its answer was lost: the rising pressure says so, and the start is not sent again."""
    bench = Bench(mute_starts=1).ready()
    bench.press()
    bench.run(6)
    assert bench.starts() == bench.module.starts == 1
    first = next(each for at, each in bench.sent[1:])
    assert first == ASK_PRESSURE
    assert (Word.STARTED, "adult") in bench.words()
    assert len(samples(bench.said)) == 1


def test_a_start_that_never_arrived_fails_and_is_never_repeated() -> None:
    """No reply and no pressure within three seconds: abort, say so, and wait for a person to press again."""
    bench = Bench().ready()
    bench.deaf = True
    bench.press()
    bench.deaf = False
    bench.run(6)
    assert bench.starts() == 1
    assert bench.module.starts == 0
    assert bench.words() == [(Word.FAILED, "start-not-confirmed")]
    assert bench.count(ABORT) >= 1
    assert bench.driver.state is State.IDLE


def test_a_line_that_dies_with_the_start_says_take_the_cuff_off() -> None:
    """The start went out and nothing is heard any more: it may be squeezing. People are told, until the cuff says that it is empty."""
    bench = Bench(cycle=20.0).ready()
    bench.press()
    bench.cut = True
    bench.run(10)
    assert bench.module.starts == 1
    assert (Word.CUFF, "no-reply") in bench.words()
    assert bench.count(ABORT) >= 3
    bench.cut = False
    bench.run(4)
    assert bench.words()[-1] == (Word.FAILED, "start-not-confirmed")
    assert not bench.driver.busy


def test_a_module_that_is_switched_off_alarms_nobody() -> None:
    """No word since the port was opened, and no press: it is off, and there is no cuff to take off."""
    bench = Bench()
    bench.cut = True
    bench.run(60)
    assert bench.words() == []


def test_a_failed_start_needs_no_rest() -> None:
    """The cuff never squeezed: the person may press again at once."""
    bench = Bench().ready()
    bench.deaf = True
    bench.press()
    bench.deaf = False
    bench.run(6)
    bench.press()
    bench.run(6)
    assert bench.module.starts == 1


def test_abort_lets_the_air_out() -> None:
    """Abort is sent at once, repeated until the pressure is gone, and then reported; the press gives no reading."""
    bench = Bench().ready()
    bench.press()
    bench.run(1.5)
    assert bench.module.pressure(bench.now) > 100
    bench.take(bench.driver.abort(bench.now, "line-closed"))
    assert bench.sent[-1] == (bench.now, ABORT)
    bench.run(3)
    assert bench.module.pressure(bench.now) == 0
    assert bench.words()[-1] == (Word.ABORTED, "line-closed")
    assert samples(bench.said) == []


def test_an_abort_that_was_not_heard_is_repeated() -> None:
    """As long as the cuff holds pressure, abort is sent every second."""
    bench = Bench(cycle=20.0).ready()
    bench.press()
    bench.run(3)
    bench.deaf = True
    bench.take(bench.driver.abort(bench.now, "stop"))
    bench.run(0.5)
    bench.deaf = False
    bench.run(4)
    assert bench.count(ABORT) >= 2
    assert bench.module.pressure(bench.now) == 0
    assert bench.driver.state is State.IDLE


def test_a_dead_link_in_a_cycle_says_take_the_cuff_off() -> None:
    """After three seconds without a word: abort into the dark, and tell the people, because software can do no more."""
    bench = Bench(cycle=20.0).ready()
    bench.press()
    bench.run(2)
    bench.cut = True
    bench.run(10)
    assert bench.count(ABORT) >= 3
    assert (Word.CUFF, "no-reply") in bench.words()
    assert bench.driver.busy
    bench.cut = False
    bench.run(3)
    assert bench.words()[-1] == (Word.FAILED, "no-reply")
    assert not bench.driver.busy


def test_a_cuff_that_does_not_empty_is_reported() -> None:
    """Pressure that stays in spite of abort needs a person."""
    bench = Bench(cycle=100.0).ready()
    bench.press()
    bench.run(5)
    bench.deaf = True
    held = frame((90).to_bytes(2, "little"))
    bench.take(bench.driver.abort(bench.now, "stop"))
    for _ in range(120):
        bench.now += SECOND // 5
        bench.take(bench.driver.feed(held, bench.now))
        bench.take(bench.driver.tick(bench.now))
    assert (Word.CUFF, "still-inflated") in bench.words()
    assert bench.count(ABORT) >= 20


@pytest.mark.parametrize(("patient_type", "too_high"), [("adult", 301), ("paediatric", 301), ("neonate", 151)])
def test_overpressure_aborts(patient_type: str, too_high: int) -> None:
    """The ceiling of each patient type is kept by this side too."""
    bench = Bench(cycle=30.0).ready()
    bench.press(patient_type)
    bench.run(1)
    bench.take(bench.driver.feed(frame((too_high - 1).to_bytes(2, "little")), bench.now))
    assert bench.count(ABORT) == 0
    bench.take(bench.driver.feed(frame(too_high.to_bytes(2, "little")), bench.now))
    assert bench.count(ABORT) == 1
    bench.run(5)
    assert bench.words()[-1] == (Word.FAILED, "overpressure")


@pytest.mark.parametrize(("patient_type", "limit"), [("adult", 180), ("neonate", 90)])
def test_a_cycle_has_a_longest_time(patient_type: str, limit: int) -> None:
    """A module that keeps squeezing is stopped."""
    bench = Bench(cycle=1000.0).ready()
    bench.press(patient_type)
    bench.run(limit - 1)
    assert bench.count(ABORT) == 0
    bench.run(5)
    assert bench.words()[-1] == (Word.FAILED, "cycle-too-long")
    assert bench.module.pressure(bench.now) == 0


def test_a_lost_complete_reads_no_result() -> None:
    """Without the module's own *complete* nobody knows whose result it holds: abort, and measure again."""
    bench = Bench().ready()
    bench.lose = {frame(b"K")}
    bench.press()
    bench.run(12)
    assert bench.count(ASK_RESULT) == 0
    assert samples(bench.said) == []
    assert bench.words()[-1] == (Word.FAILED, "end-not-heard")


def test_a_lost_result_is_asked_again() -> None:
    """Asking is harmless: five times, then failure."""
    bench = Bench().ready()
    bench.lose = {VENDOR}
    bench.module._measured = lambda: VENDOR
    bench.press()
    bench.run(12)
    assert bench.count(ASK_RESULT) == 5
    assert bench.words()[-1] == (Word.FAILED, "no-result")


def test_a_result_nobody_asked_for_is_nobodys() -> None:
    """A result frame outside our own question is counted and has no value: it may be the patient's before."""
    bench = Bench().ready()
    bench.take(bench.driver.feed(VENDOR, bench.now))
    bench.press()
    bench.run(1)
    bench.take(bench.driver.feed(VENDOR, bench.now))
    assert [each.invalid for each in samples(bench.said)] == ["unasked", "unasked"]
    assert all(number.value is None for each in samples(bench.said) for number in each.numerics)


def test_good_numbers_without_a_squeeze_are_refused() -> None:
    """*Complete* at once and a perfect result, but the pressure never rose: that result is an old one."""
    bench = Bench().ready()
    bench.press()
    bench.take(bench.driver.feed(frame(b"O"), bench.now))
    bench.take(bench.driver.feed(frame(b"K"), bench.now))
    bench.cut = True
    bench.run(0.3)
    for _ in range(2):
        bench.take(bench.driver.feed(VENDOR, bench.now))
    assert [each.invalid for each in samples(bench.said)] == ["pressure-never-rose"]


def test_a_damaged_result_whose_sum_is_right_by_chance_is_not_believed() -> None:
    """The sum of bytes misses one damaged frame in 256: only what is heard twice alike counts."""
    bench = Bench().ready()
    bench.module._measured = lambda: VENDOR
    damaged = bytearray(VENDOR)
    damaged[2] -= 10
    damaged[18] += 10
    bench.press()
    while bench.driver.state is not State.READING:
        bench.run(0.05)
    bench.take(bench.driver.feed(bytes(damaged), bench.now))
    bench.run(3)
    (sample,) = samples(bench.said)
    assert sample.frame == VENDOR


def test_a_failed_cycle_says_the_devices_reason() -> None:
    """A loose cuff: no numbers, the reason as a sample and as a notice, and no abort is needed."""
    bench = Bench(error=87).ready()
    bench.press()
    bench.run(7)
    (sample,) = samples(bench.said)
    assert sample.invalid == "device-error-87"
    assert bench.words()[-1] == (Word.FAILED, "device-error-87")


def test_the_modules_own_button_ends_the_cycle() -> None:
    """*Stop* pressed on the device: aborted, and seen to be empty."""
    bench = Bench().ready()
    bench.press()
    bench.run(1.5)
    bench.module.order(["button"], bench.now)
    bench.run(3)
    assert bench.words()[-1] == (Word.ABORTED, "aborted")
    assert samples(bench.said) == []


@pytest.mark.parametrize("letter", [b"E", b"D", b"N", b"S", b"T"])
def test_other_replies_to_a_start_fail_through_abort(letter: bytes) -> None:
    """Anything but *received* or *busy* ends the press, and through abort."""
    bench = Bench().ready()
    bench.deaf = True
    bench.press()
    bench.take(bench.driver.feed(frame(letter), bench.now))
    bench.deaf = False
    bench.run(3)
    assert bench.starts() == 1
    assert bench.count(ABORT) >= 1
    assert bench.words()[-1][0] is Word.FAILED


def test_opening_the_port_aborts_whatever_was_going_on() -> None:
    """The agent came back in mid-cycle: nobody watches that cuff, so it is emptied before anything else."""
    bench = Bench(cycle=60.0)
    bench.module.feed(START["adult"], bench.now)
    bench.run(3)
    bench.said.clear()
    bench.take(bench.driver.begin(bench.now))
    assert bench.sent[0][1] == ABORT
    bench.run(3)
    assert bench.module.pressure(bench.now) == 0
    assert bench.driver.state is State.IDLE


def test_a_module_that_is_switched_off_is_no_emergency() -> None:
    """Nothing answers and nothing ever squeezed: no alarm, and no flood of commands."""
    bench = Bench()
    bench.cut = True
    bench.take(bench.driver.begin(bench.now))
    bench.run(60)
    assert bench.words() == []
    assert len(bench.sent) < 100


def test_pressure_without_a_cycle_of_ours_is_aborted() -> None:
    """Somebody started the module by hand: this side did not, so it lets the air out."""
    bench = Bench(cycle=60.0).ready()
    bench.module.feed(START["adult"], bench.now)
    bench.run(10)
    assert bench.count(ABORT) >= 1
    assert bench.module.pressure(bench.now) == 0


def test_a_frame_that_never_ends_does_not_swallow_the_next_reply() -> None:
    """A false beginning from noise is given up after half a second of silence."""
    bench = Bench().ready()
    bench.take(bench.driver.feed(b"\x3e\x18", bench.now))
    bench.cut = True
    bench.run(1)
    bench.cut = False
    assert bench.driver.pending == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.0, 0.3))
def test_no_noise_makes_it_start_or_send_anything_else(seed: int, share: float) -> None:
    """Through a cycle on a line that loses and adds bytes: one start at most, only known commands, and the cuff ends empty."""
    chance = random.Random(seed)
    bench = Bench(rest_s=0)
    bench.take(bench.driver.begin(bench.now))
    bench.run(1)
    bench.press()
    for _ in range(600):
        bench.now += STEP
        heard = b"".join(bench.module.output(bench.now))
        bad = bytes(each for each in heard if chance.random() >= share) + chance.randbytes(chance.randint(0, 3) if share else 0)
        bench.take(bench.driver.feed(bad, bench.now))
        bench.take(bench.driver.tick(bench.now))
    assert bench.starts() <= 1
    assert bench.module.violations == 0
    for sample in samples(bench.said):
        assert sample.invalid or sample.frame == bench.module._result
    bench.run(30)
    assert bench.module.pressure(bench.now) == 0
    assert not bench.driver.busy


def test_numbered_results_are_all_different() -> None:
    """The bench's results can be told apart: 28,000 of them, all valid."""
    frames = [numbered(count) for count in range(28_000)]
    assert len(set(frames)) == 28_000
    assert all(each.valid for each in samples(feed(SuntechNibp(listen=True), [b"".join(frames[:50])], bound=ROW.bound)))
