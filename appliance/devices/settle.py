"""When a stream of samples becomes one measurement. Pure: time is an argument.

A spot measurement of a stream (oximeter) is taken once per placement of the finger. A placement begins with the first
usable sample and ends when the finger is out, or the stream is. Samples of two placements never meet in one measurement,
because between two placements there may be two people.

A device that says itself that it has finished (`Sample.result`: a cuff) is passed through at once. A series from a device's
memory settles by the device's own time between two records, however fast it is read out.

Constants are judgements unless a source is named; the fact sheet asks for "at least 10 s of stable, unflagged samples;
median and range, not the first number".
"""

from collections import deque
from collections.abc import Iterable
from itertools import pairwise

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Numeric, ReadingKind, Source
from appliance.devices.driver import SECOND
from appliance.devices.events import Measurement, Sample

FULL_NS = 10 * SECOND
"""A full spot measurement: so much of usable, stable samples (fact sheet, averaging)."""
SHORT_NS = SECOND
"""Less than this is no measurement at all (decision: short windows)."""
LONGEST_NS = 30 * SECOND
"""A finger that never gets stable is settled after this, and marked questionable: a person is asked to measure again."""
SPO2_SPREAD, PULSE_SPREAD = 3, 20
"""Stable: SpO2 within 3 points and pulse within 20/min over the window. Beats of the heart vary, saturation hardly does."""
LOW_PERFUSION = 30
"""Below 0.30 % perfusion index the reading is marked questionable (judgement: makers state no accuracy below about that)."""
LEAST_PERCENT = 50
"""With fewer usable samples than this the window does not count as stable."""
USABLE_PERCENT = 90
"""Fewer usable samples than this mark the reading questionable (the fact sheet's alarm: 10 % bad frames)."""
OUT_NS = SECOND // 2
"""The device itself says *no finger* for this long: the placement has ended."""
LOST_NS = 2 * SECOND
"""No usable sample for this long, whatever the reason, or silence: the placement has ended."""
SQUEEZED_NS = 10 * SECOND
"""So long after the cuff on the same arm has let go the pulse at the finger counts as not itself yet (judgement; the fact sheet
says that SpO2 on the cuff's arm drops during inflation, not for how long afterwards)."""
SLACK_NS = SECOND // 1000
"""Rounding of sample times: 600 samples at 60/s are 10 s."""
CHECK_NS = SECOND // 4
"""How often stability is looked at."""
MOST = 75 * 31
"""The most samples ever held: 75 a second (the fastest oximeter known) over the longest window, and one second more."""

OUT = frozenset({"probe-error", "no-value", "searching-too-long", "sensor-disconnected", "sensor-alarm", "sensor-off", "no-sensor"})
"""Reasons with which a device says that the finger is out."""

RESULT, FULL, SHORT, UNSTABLE = 0, 1, 2, 3
"""Numbers of the settling rules as they travel with a reading."""
RULES = {
    RESULT: "the device's own finished measurement",
    FULL: "median of the last 10 s of stable usable samples",
    SHORT: "median of 1 to 10 s, when the stream ended (early-indication)",
    UNSTABLE: "median of up to 30 s that never got stable (questionable)",
}

STEP = 10
"""A reading's rule is one of `RULES` plus this times a number of `AVERAGING`."""
AVERAGING = {
    0: "the device's own average; its length is not stated",
    1: "the device's 4-beat average, not the field that holds the last value for its display",
    2: "the averaging time that is set at the monitor",
}
"""Which field of the device was used, as it travels with a reading: same finger, same second, other numbers (fact sheet, averaging)."""


def rule_words(rule: int) -> str:
    """What a reading's rule number says.

    >>> rule_words(11)
    "median of the last 10 s of stable usable samples; the device's 4-beat average, not the field that holds the last value for its display"
    """
    window, averaging = RULES[rule % STEP], AVERAGING[rule // STEP]
    return f"{window}; {averaging}" if rule // STEP else window


_Point = tuple[int, int, int, int | None, bool]  # at_ns, SpO2, pulse, perfusion, flagged by the device


class Settler:
    """Turns the samples of one device into measurements; holds at most `MOST` of them. `averaging`: what the samples are (`AVERAGING`)."""

    def __init__(self, averaging: int = 0) -> None:
        self._averaging = STEP * averaging
        self._points: deque[_Point] = deque(maxlen=MOST)
        self._bad: deque[int] = deque(maxlen=MOST)  # when samples were unusable, within the window
        self._first: Sample | None = None
        self._first_ns = 0
        self._last_ns = 0  # of the last usable sample, of any placement
        self._lost_ns = LOST_NS  # longer where the device itself speaks more rarely
        self._bad_since: int | None = None
        self._squeezed_ns: int | None = None  # when a cuff on the same arm last held air
        self._look_ns = 0  # when to look next whether it is stable
        self._done = False  # this placement has been measured
        self._frame = b""
        self._stored_ns: int | None = None  # the time of a series from the memory; None while the samples are live
        self._read_ns = 0  # when the latest record of it came

    @property
    def measuring_since(self) -> int | None:
        """When the first usable sample of this placement came; None between placements."""
        return self._first_ns if self._first is not None else None

    @property
    def collecting(self) -> bool:
        """True while a placement is under way that has not been measured yet."""
        return self._first is not None and not self._done

    def offer(self, sample: Sample, at_ns: int) -> Measurement | None:
        """One sample; the measurement it settles, if it does."""
        if sample.result:
            return _own(sample, at_ns) if sample.valid else None
        if sample.kind is ReadingKind.BLOOD_PRESSURE:
            return None  # a pressure that is no result (the average of a week) is no measurement, and pressures do not stream
        if sample.numerics and all(each.metric is not Metric.SPO2 for each in sample.numerics):
            return None  # a board with several probes on one line: this packet says nothing of the finger
        before = self._turn(sample, at_ns)
        now = self._live(sample, at_ns if self._stored_ns is None else self._stored_ns)
        return before or now

    def _turn(self, sample: Sample, at_ns: int) -> Measurement | None:
        """Follow the device into its memory and out again; what was being measured before has ended then."""
        if sample.source is not Source.MEMORY or sample.every_ns is None:
            if self._stored_ns is None:
                return None
            ended, self._stored_ns = self.end(), None
            return ended
        self._read_ns = at_ns
        if self._stored_ns is None or sample.ordinal == 0:
            ended, self._stored_ns = self.end(), at_ns
            return ended
        self._stored_ns += sample.every_ns
        return None

    def _live(self, sample: Sample, at_ns: int) -> Measurement | None:
        ended = self._lost(at_ns)
        if sample.valid and _whole(sample):
            return self._usable(sample, at_ns) or ended
        return self._unusable(sample.invalid or "no-value", at_ns) or ended

    def tick(self, now_ns: int) -> Measurement | None:
        """Time has passed: silence ends a placement, and a series."""
        if self._stored_ns is None:
            return self._lost(now_ns)
        if now_ns - self._read_ns < LOST_NS:
            return None
        ended, self._stored_ns = self.end(), None
        return ended

    def _lost(self, now_ns: int) -> Measurement | None:
        return self.end() if self._first is not None and now_ns - self._last_ns >= self._lost_ns else None

    def noise(self, frames: int, at_ns: int) -> None:
        """About so many frames were lost in noise: they count as unusable samples."""
        if self.collecting:
            self._bad.extend([at_ns] * min(frames, MOST))

    def squeezed(self, at_ns: int) -> None:
        """A cuff on this probe's arm holds air: what is measured now, and a little later, is questionable."""
        self._squeezed_ns = at_ns

    def end(self) -> Measurement | None:
        """The stream has ended: a short measurement if there is enough of it. The next usable sample is a new placement."""
        made = self._make(list(self._points), SHORT) if self.collecting else None
        self._points.clear()
        self._bad.clear()
        self._first, self._bad_since, self._done = None, None, False
        return made

    def _usable(self, sample: Sample, at_ns: int) -> Measurement | None:
        self._bad_since = None
        self._last_ns = at_ns
        self._lost_ns = max(LOST_NS, 2 * (sample.every_ns or 0))
        if self._first is None:
            self._first, self._first_ns, self._look_ns = sample, at_ns, at_ns + FULL_NS - SECOND
        if self._done:
            return None
        self._points.append(_point(sample, at_ns))
        self._frame = sample.frame
        return self._look(at_ns) if at_ns >= self._look_ns else None

    def _unusable(self, why: str, at_ns: int) -> Measurement | None:
        if self._first is None:
            return None
        if not self._done:
            self._bad.append(at_ns)
        if why not in OUT:
            return None  # `tick` ends the placement when this lasts
        if self._bad_since is None:
            self._bad_since = at_ns
        return self.end() if at_ns - self._bad_since >= OUT_NS else None

    def _look(self, at_ns: int) -> Measurement | None:
        """Is it stable by now, or has it been tried for long enough?"""
        points = list(self._points)
        if _length(points) < FULL_NS - SLACK_NS:
            return None
        recent = [point for point in points if point[0] > at_ns - FULL_NS]
        if self._stable(recent):
            return self._settled(recent, FULL)
        if at_ns - self._first_ns >= LONGEST_NS:
            return self._settled(points, UNSTABLE)
        self._look_ns = at_ns + CHECK_NS
        return None

    def _settled(self, points: list[_Point], rule: int) -> Measurement | None:
        made = self._make(points, rule)
        self._done = True
        self._points.clear()
        self._bad.clear()
        return made

    def _stable(self, points: list[_Point]) -> bool:
        return _still(points) and self._share(points) >= LEAST_PERCENT

    def _share(self, points: list[_Point]) -> int:
        """Usable samples of all samples from the first to the last of `points`, in whole per cent."""
        bad = sum(points[0][0] <= at <= points[-1][0] for at in self._bad)
        return 100 * len(points) // (len(points) + bad)

    def _make(self, points: list[_Point], rule: int) -> Measurement | None:
        """The measurement in `points`, or None when they are too few. `self._first` is the placement's first sample."""
        length = _length(points)
        if self._first is None or length < SHORT_NS - SLACK_NS:
            return None
        if rule == SHORT and length >= FULL_NS - SLACK_NS:
            rule = UNSTABLE  # long enough, but it never got stable before the stream ended
        share, perfusion = self._share(points), _median([point[3] for point in points if point[3] is not None])
        status = Status.EARLY_INDICATION if rule == SHORT else Status(0)
        poor = perfusion is not None and perfusion < LOW_PERFUSION
        flagged = 100 * sum(point[4] for point in points) > (100 - USABLE_PERCENT) * len(points)
        arm = self._stored_ns is None and self._squeezed_ns is not None and self._squeezed_ns + SQUEEZED_NS > points[0][0]
        if rule == UNSTABLE or arm or poor or flagged or share < USABLE_PERCENT or not _still(points):
            status |= Status.QUESTIONABLE
        spo2, pulse = _seen([point[1] for point in points]), _seen([point[2] for point in points])
        numerics = [
            (Metric.SPO2, _median([point[1] for point in points]), 0),
            (Metric.PULSE_RATE, _median([point[2] for point in points]), 0),
            (Metric.PERFUSION, perfusion, 2),
            (Metric.SPO2_LOW, min(spo2), 0),
            (Metric.SPO2_HIGH, max(spo2), 0),
            (Metric.PULSE_LOW, min(pulse), 0),
            (Metric.PULSE_HIGH, max(pulse), 0),
            (Metric.WINDOW, (FULL_NS if rule == FULL else length + SLACK_NS) * 10 // SECOND, 1),
            (Metric.USABLE, share, 0),
        ]
        return Measurement(
            kind=self._first.kind,
            numerics=tuple(Numeric(metric, value, status, scale) for metric, value, scale in numerics if value is not None),
            first_ns=self._first_ns if self._stored_ns is None else self._read_ns,
            settled_ns=points[-1][0] if self._stored_ns is None else self._read_ns,
            source=self._first.source,
            device_time=self._first.device_time,
            ordinal=self._first.ordinal,
            rule=rule + self._averaging,
            raw=self._frame,
        )


def _point(sample: Sample, at_ns: int) -> _Point:
    values = {each.metric: each.value for each in sample.numerics}
    flagged = any(each.status & Status.QUESTIONABLE for each in sample.numerics)
    return at_ns, values[Metric.SPO2] or 0, values[Metric.PULSE_RATE] or 0, values.get(Metric.PERFUSION), flagged


def _whole(sample: Sample) -> bool:
    """A point needs a saturation and a pulse: a monitor may have one of them, or neither, and other numbers beside."""
    values = {each.metric: each.value for each in sample.numerics}
    return values.get(Metric.SPO2) is not None and values.get(Metric.PULSE_RATE) is not None


def _own(sample: Sample, at_ns: int) -> Measurement:
    """A finished measurement as the device says it."""
    return Measurement(sample.kind, sample.numerics, at_ns, at_ns, sample.source, sample.device_time, sample.ordinal, RESULT, sample.frame)


def _length(points: list[_Point]) -> int:
    """How long the points last, in ns: each lasts as long as the mean distance between two of them."""
    count = len(points)
    return (points[-1][0] - points[0][0]) * count // (count - 1) if count > 1 else 0


def _still(points: list[_Point]) -> bool:
    spo2, pulse = _seen([point[1] for point in points]), _seen([point[2] for point in points])
    return max(spo2) - min(spo2) <= SPO2_SPREAD and max(pulse) - min(pulse) <= PULSE_SPREAD


def _seen(values: list[int]) -> list[int]:
    """The values that were said at least twice in a row; all values when none was.

    On a line without checksums one damaged package would otherwise be the lowest or highest value of the whole window; the
    device itself repeats each value for a beat or longer (60 packages a second).
    """
    return [value for before, value in pairwise(values) if before == value] or values


def _median(values: Iterable[int]) -> int | None:
    """The lower median: always a value that was measured."""
    ranked = sorted(values)
    return ranked[(len(ranked) - 1) // 2] if ranked else None
