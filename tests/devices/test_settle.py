"""When samples become one measurement."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Numeric, ReadingKind
from appliance.devices.events import Measurement, Sample, numeric
from appliance.devices.settle import FULL, MOST, RESULT, RULES, SHORT, UNSTABLE, Settler

SECOND = 1_000_000_000
PERIOD = SECOND // 60


def good(spo2: int = 98, pulse: int = 72, perfusion: int | None = 300) -> Sample:
    """A usable sample."""
    numerics = (Numeric(Metric.SPO2, spo2), Numeric(Metric.PULSE_RATE, pulse), numeric(Metric.PERFUSION, perfusion, scale=2))
    return Sample(ReadingKind.SPO2, numerics, b"good")


def bad(why: str) -> Sample:
    """A sample without a value."""
    return Sample(ReadingKind.SPO2, (numeric(Metric.SPO2, None), numeric(Metric.PULSE_RATE, None)), b"bad", invalid=why)


class Stream:
    """A settler with samples 1/60 s apart."""

    def __init__(self) -> None:
        self.settler = Settler()
        self.now = 100 * SECOND
        self.made: list[Measurement] = []

    def give(self, samples: Iterable[Sample]) -> "Stream":
        """These samples, 1/60 s apart."""
        for sample in samples:
            self.keep(self.settler.offer(sample, self.now))
            self.now += PERIOD
        return self

    def seconds(self, length: float, sample: Sample) -> "Stream":
        """So many seconds of one sample."""
        return self.give([sample] * round(length * 60))

    def silence(self, length: float) -> "Stream":
        """So many seconds of nothing."""
        for _ in range(round(length * 10)):
            self.now += SECOND // 10
            self.keep(self.settler.tick(self.now))
        return self

    def keep(self, made: Measurement | None) -> None:
        """Note what was settled."""
        if made is not None:
            self.made.append(made)


def value(measurement: Measurement, metric: Metric) -> int | None:
    """One value of a measurement."""
    return next((each.value for each in measurement.numerics if each.metric is metric), None)


def status(measurement: Measurement) -> Status:
    """The one status that all its numerics have."""
    (only,) = {each.status for each in measurement.numerics}
    return only


def test_ten_seconds_make_a_full_measurement() -> None:
    """600 samples at 60/s settle with the last of them; the numbers say how they were made."""
    stream = Stream().seconds(10, good())
    (made,) = stream.made
    assert [each.metric for each in made.numerics] == [
        Metric.SPO2, Metric.PULSE_RATE, Metric.PERFUSION, Metric.SPO2_LOW, Metric.SPO2_HIGH, Metric.PULSE_LOW, Metric.PULSE_HIGH,
        Metric.WINDOW, Metric.USABLE,
    ]  # fmt: skip
    assert (value(made, Metric.WINDOW), value(made, Metric.USABLE)) == (100, 100)
    assert status(made) == Status(0)
    assert made.rule == FULL
    assert made.first_ns == 100 * SECOND
    assert made.settled_ns == stream.now - PERIOD


def test_nine_point_nine_seconds_do_not() -> None:
    """Nothing settles before ten seconds while the stream goes on."""
    assert Stream().seconds(9.9, good()).made == []


@pytest.mark.parametrize(("length", "many"), [(0.9, 0), (1.0, 1), (1.7, 1), (9.9, 1)])
def test_a_short_stream_is_an_early_indication_when_it_ends(length: float, many: int) -> None:
    """Between one and ten seconds count only when nothing follows; less than one is nothing."""
    stream = Stream().seconds(length, good(99, 60, None))
    assert stream.made == []
    stream.keep(stream.settler.end())
    assert len(stream.made) == many
    for made in stream.made:
        assert status(made) == Status.EARLY_INDICATION
        assert made.rule == SHORT
        assert value(made, Metric.SPO2) == 99
        assert value(made, Metric.PERFUSION) is None
        assert value(made, Metric.WINDOW) == round(length * 10)


@pytest.mark.parametrize("how", ["finger", "silence", "searching"])
def test_what_ends_a_stream(how: str) -> None:
    """The finger out, silence, and searching that lasts each end it; each time once."""
    stream = Stream().seconds(3, good())
    if how == "silence":
        stream.silence(3)
    else:
        stream.seconds(3, bad("probe-error" if how == "finger" else "searching"))
    (made,) = stream.made
    assert status(made) == Status.EARLY_INDICATION
    assert stream.silence(5).made == [made]


def test_one_measurement_per_placement() -> None:
    """A finger that stays in is measured once; out and in again, once more."""
    stream = Stream().seconds(45, good(98))
    assert len(stream.made) == 1
    stream.seconds(1, bad("probe-error")).seconds(12, good(95))
    assert [value(each, Metric.SPO2) for each in stream.made] == [98, 95]


def test_two_fingers_never_meet_in_one_measurement() -> None:
    """Six seconds of one and six of another, half a second apart, are two short measurements and no full one."""
    stream = Stream().seconds(6, good(99)).seconds(0.6, bad("no-value")).seconds(6, good(91))
    stream.keep(stream.settler.end())
    assert [(value(each, Metric.SPO2), status(each)) for each in stream.made] == [
        (99, Status.EARLY_INDICATION), (91, Status.EARLY_INDICATION),
    ]  # fmt: skip


def test_a_short_interruption_is_counted_and_forgiven() -> None:
    """A tenth of a second of searching does not begin a new placement; the share of usable samples shows it."""
    stream = Stream().seconds(5, good()).seconds(0.1, bad("searching")).seconds(5.1, good())
    (made,) = stream.made
    assert 98 <= (value(made, Metric.USABLE) or 0) <= 99
    assert status(made) == Status(0)


def test_many_interruptions_are_questionable() -> None:
    """Fewer than nine usable samples in ten: a person is asked to measure again."""
    stream = Stream()
    for _ in range(60):
        stream.seconds(0.2, good()).give([bad("searching")] * 2)
    (made, *_) = stream.made
    assert status(made) == Status.QUESTIONABLE
    assert (value(made, Metric.USABLE) or 100) < 90


def test_noise_on_the_line_counts_as_unusable() -> None:
    """Frames lost in noise lower the share of usable samples."""
    stream = Stream()
    for _ in range(10):
        stream.seconds(1, good())
        stream.settler.noise(20, stream.now)
    stream.seconds(0.2, good())
    (made,) = stream.made
    assert (value(made, Metric.USABLE) or 100) < 85
    assert status(made) == Status.QUESTIONABLE


def test_the_median_not_the_first_number() -> None:
    """An oximeter that begins too low and recovers is measured after it has."""
    stream = Stream().seconds(3, good(88)).seconds(12, good(97))
    (made,) = stream.made
    assert [value(made, each) for each in (Metric.SPO2, Metric.SPO2_LOW, Metric.SPO2_HIGH)] == [97, 97, 97]
    assert made.first_ns == 100 * SECOND, "the session is that of the placement's first sample, though the window moved"


def test_low_and_high_tell_the_range() -> None:
    """The median of a stable window beside its lowest and highest."""
    stream = Stream().give([good(96, 70)] * 200 + [good(97, 75)] * 300 + [good(98, 80)] * 110)
    (made,) = stream.made
    assert [value(made, each) for each in (Metric.SPO2, Metric.SPO2_LOW, Metric.SPO2_HIGH)] == [97, 96, 98]
    assert [value(made, each) for each in (Metric.PULSE_RATE, Metric.PULSE_LOW, Metric.PULSE_HIGH)] == [75, 70, 80]


def test_one_damaged_package_is_neither_lowest_nor_highest() -> None:
    """A single package with a damaged byte changes no number of the measurement: a line without checksums has them."""
    samples = [good(97, 70)] * 610
    samples[300] = good(37, 70)
    samples[400] = good(97, 198)
    (made,) = Stream().give(samples).made
    assert [value(made, each) for each in (Metric.SPO2_LOW, Metric.SPO2_HIGH, Metric.PULSE_LOW, Metric.PULSE_HIGH)] == [97, 97, 70, 70]
    assert made.rule == FULL


def test_a_finger_that_never_gets_stable_is_questionable_after_thirty_seconds() -> None:
    """Falling and rising all the time: settled at last, with its range, and marked."""
    stream = Stream()
    for turn in range(40):
        stream.seconds(1, good(85 + 10 * (turn % 2)))
    (made,) = stream.made
    assert made.rule == UNSTABLE
    assert status(made) == Status.QUESTIONABLE
    assert (value(made, Metric.SPO2_LOW), value(made, Metric.SPO2_HIGH)) == (85, 95)
    assert made.settled_ns - made.first_ns <= 31 * SECOND


def test_twenty_unstable_seconds_are_not_called_early() -> None:
    """Long enough but never stable, then the finger is out: questionable, not an early indication."""
    stream = Stream()
    for turn in range(20):
        stream.seconds(1, good(85 + 10 * (turn % 2)))
    stream.keep(stream.settler.end())
    (made,) = stream.made
    assert (made.rule, status(made)) == (UNSTABLE, Status.QUESTIONABLE)


def test_low_perfusion_is_questionable() -> None:
    """Hardly any pulse in the finger: the number is shown and questioned."""
    (made,) = Stream().seconds(10, good(perfusion=20)).made
    assert status(made) == Status.QUESTIONABLE


def test_a_low_value_is_not_questionable() -> None:
    """Being ill is no reason to doubt the device."""
    (made,) = Stream().seconds(10, good(64, 190)).made
    assert (value(made, Metric.SPO2), status(made)) == (64, Status(0))


def test_a_devices_own_result_passes_at_once() -> None:
    """A cuff's result is a measurement of that moment, its numbers untouched."""
    sample = Sample(ReadingKind.BLOOD_PRESSURE, (Numeric(Metric.SYSTOLIC, 115), Numeric(Metric.DIASTOLIC, 74)), b"frame", result=True)
    made = Settler().offer(sample, 7 * SECOND)
    assert made is not None
    assert (made.numerics, made.first_ns, made.settled_ns, made.rule, made.raw) == (
        sample.numerics,
        7 * SECOND,
        7 * SECOND,
        RESULT,
        b"frame",
    )


def test_a_result_without_a_value_is_no_measurement() -> None:
    """A cuff that failed gives nothing to save."""
    failed = Sample(ReadingKind.BLOOD_PRESSURE, (numeric(Metric.SYSTOLIC, None),), b"", invalid="device-error-87", result=True)
    assert Settler().offer(failed, 0) is None


def test_samples_that_arrive_in_bursts_settle_too() -> None:
    """Reads bring several packages at once, with one time for all: ten seconds are still ten seconds."""
    stream = Stream()
    for _ in range(260):
        for _ in range(3):
            stream.keep(stream.settler.offer(good(), stream.now))
        stream.now += SECOND // 20
    (made,) = stream.made
    assert 9.9 <= (made.settled_ns - made.first_ns) / SECOND <= 10.3
    assert value(made, Metric.WINDOW) == 100


def test_every_rule_has_words() -> None:
    """Each number that travels with a reading can be explained."""
    assert set(RULES) == {RESULT, FULL, SHORT, UNSTABLE}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_every_measurement_lies_within_what_was_measured(seed: int) -> None:
    """Whatever comes, the median lies between low and high, the window is 1 to 32 s, and nothing is kept for ever."""
    chance = random.Random(seed)
    stream = Stream()
    for _ in range(40):
        kind = chance.choice(["good", "good", "good", "searching", "probe-error", "quiet"])
        if kind == "quiet":
            stream.silence(chance.random() * 3)
        elif kind == "good":
            spo2, pulse = chance.randint(80, 99), chance.randint(50, 120)
            stream.give([good(spo2 - chance.randint(0, 2), pulse)] * chance.randint(1, 200))
        else:
            stream.give([bad(kind)] * chance.randint(1, 60))
        assert len(stream.settler._points) <= MOST
    for made in stream.made:
        low, middle, high = (value(made, each) or 0 for each in (Metric.SPO2_LOW, Metric.SPO2, Metric.SPO2_HIGH))
        assert low <= middle <= high
        assert 10 <= (value(made, Metric.WINDOW) or 0) <= 325
        assert bool(status(made) & Status.EARLY_INDICATION) == ((value(made, Metric.WINDOW) or 0) < 100)
