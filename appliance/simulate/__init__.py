"""The measured day: what one health station says in a day, invented, from a seed.

60 patients; each a temperature, a weight, an oximeter summary of 30-60 s and three blood pressures a minute or two
apart; about one in five also asks for a consult and reads its answer: 388 events. The distributions are those of
docs/decisions (the measured day); `ENTROPY` says what they are worth in bits. Times are drawn in tenths of a second.
Everything carries the status *test-data*.
"""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from appliance.contract.events import (
    AnswerRead,
    Body,
    ConsultRequested,
    Department,
    DeviceLabel,
    Event,
    Identity,
    ObservationRecorded,
    Sex,
    Urgency,
)
from appliance.contract.ids import short_number
from appliance.contract.metrics import Metric, Status
from appliance.contract.readable import readable
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Source, Stamp
from appliance.simulate import texts

PATIENTS = 60
CONSULTS = 14
SOFTWARE = "0.1.0"
STATION = "tram-0001"

# The measured day's distributions, in the units of the wire (times in tenths of a second).
SYSTOLIC, DIASTOLIC = (134, 21), (82, 11)
SYSTOLIC_NOISE, DIASTOLIC_NOISE, MEAN_NOISE = 5, 4, 1.5
PULSE, PULSE_NOISE = (76, 11), 3
STATUS_SHARE = 0.07
SPO2, SPO2_TOP = (97, 1.6), 100
PERFUSION, PERFUSION_SPREAD = 320, 0.5
SPO2_DIP, SPO2_RISE, PULSE_SWING, LOST = 1.2, 0.8, 3.0, 4.0
WINDOW = (300, 600)
TEMPERATURE, WEIGHT = (368, 4.5), (560, 95)
ARRIVAL, TO_WEIGHT, TO_FINGER, TO_CUFF = (300, 1800), (200, 600), (150, 450), (600, 1200)
OVERLAP = 0.15
SAVE, SAVE_SPREAD = 4.0, 0.5


@dataclass(frozen=True, slots=True)
class _Station:
    """What stays the same through one simulated day: clock, boot and devices."""

    boot: int
    boot_seq: int
    offset: int
    cuff: int
    oximeter: int
    thermometer: int
    scale: int

    def stamp(self, ticks: int) -> Stamp:
        return Stamp(self.boot, self.boot_seq, ticks, ticks + self.offset, ClockQuality.SYNCED)


def day(seed: int) -> list[Event]:
    """The events of one day in the order in which they were saved."""
    chance = random.Random(f"tram day {seed}")  # noqa: S311 - simulation, nothing secret
    return [event for _, _, event in sorted(_moments(chance, seed), key=lambda one: one[:2])]


def write_day(seed: int, path: Path) -> int:
    """The day as JSON lines, one event a line in readable form; how many there are."""
    events = day(seed)
    with path.open("w", encoding="utf-8") as out:
        for event in events:
            out.write(json.dumps(readable(event), ensure_ascii=False) + "\n")
    return len(events)


def _moments(chance: random.Random, seed: int) -> Iterator[tuple[int, int, Event]]:
    """Every event with the tick at which it was saved and a running number."""
    station = _station(chance, seed)
    consults = set(chance.sample(range(PATIENTS), CONSULTS))
    shift = chance.randint(20, 40)
    ticks, serial = chance.randint(12_000, 30_000), 0
    for number in range(PATIENTS):
        actor = "ys-hoa" if number < shift else "ys-lan"
        patient = _short(chance)
        readings = list(_readings(chance, station, ticks))
        last = 0
        for reading in readings:
            saved = max(1, round(chance.lognormvariate(math.log(SAVE), SAVE_SPREAD)))
            last = reading.stamp.ticks + 10 * saved
            yield last, serial, Event(reading.stamp, actor, SOFTWARE, ObservationRecorded(patient, reading, saved))
            serial += 1
        if number in consults:
            for body, after in _consult(chance, seed, number, patient, readings, station, actor):
                yield last + after, serial, Event(station.stamp(last + after), actor, SOFTWARE, body)
                serial += 1
        # The next patient sits down while this one's cuff is still at work, now and then.
        end = readings[-2].stamp.ticks if chance.random() < OVERLAP else readings[-1].stamp.ticks
        ticks = end + chance.randint(*ARRIVAL)


def _station(chance: random.Random, seed: int) -> _Station:
    morning = datetime(2026, 3, 2, 23, 10, tzinfo=UTC) + timedelta(days=seed % 300, seconds=chance.randint(0, 1800))
    return _Station(
        _short(chance), 12 + seed % 300, round(morning.timestamp() * 10) + chance.randint(0, 9), *[_short(chance) for _ in range(4)]
    )


def _readings(chance: random.Random, station: _Station, ticks: int) -> Iterator[Reading]:
    """One patient's six readings, begun at `ticks`."""

    def reading(kind: ReadingKind, device: int, rule: int, *numerics: Numeric) -> Reading:
        return Reading(kind, device, numerics, station.stamp(ticks), Source.LIVE, rule=rule)

    pulse = chance.gauss(*PULSE)
    yield reading(ReadingKind.TEMPERATURE, station.thermometer, 0, _number(Metric.TEMPERATURE, chance.gauss(*TEMPERATURE), 1))
    ticks += chance.randint(*TO_WEIGHT)
    yield reading(ReadingKind.WEIGHT, station.scale, 0, _number(Metric.WEIGHT, max(80, chance.gauss(*WEIGHT)), 1))
    window = chance.randint(*WINDOW)
    ticks += chance.randint(*TO_FINGER) + window
    yield reading(ReadingKind.SPO2, station.oximeter, 1, *_oximeter(chance, pulse, window))
    systolic = chance.gauss(*SYSTOLIC)
    diastolic = chance.gauss(*DIASTOLIC) + (systolic - SYSTOLIC[0]) / 4
    for _ in range(3):
        ticks += chance.randint(*TO_CUFF)
        yield reading(ReadingKind.BLOOD_PRESSURE, station.cuff, 0, *_cuff(chance, systolic, diastolic, pulse))


def _cuff(chance: random.Random, systolic: float, diastolic: float, pulse: float) -> list[Numeric]:
    high = round(chance.gauss(systolic, SYSTOLIC_NOISE))
    low = min(round(chance.gauss(diastolic, DIASTOLIC_NOISE)), high - 10)
    mean = round(low + (high - low) / 3 + chance.gauss(0, MEAN_NOISE))
    numbers = [
        _number(Metric.SYSTOLIC, high),
        _number(Metric.DIASTOLIC, low),
        _number(Metric.MEAN, mean),
        _number(Metric.PULSE_RATE, chance.gauss(pulse, PULSE_NOISE)),
    ]
    if chance.random() < STATUS_SHARE:
        which = chance.choice((Metric.SYSTOLIC, Metric.PULSE_RATE, Metric.MEAN))
        numbers = [_marked(one, which) for one in numbers]
    return numbers


def _marked(one: Numeric, which: Metric) -> Numeric:
    """A number of a doubtful cuff: all questionable, or the pulse alone, or no mean pressure."""
    questionable = Status.TEST_DATA | Status.QUESTIONABLE
    if which is Metric.SYSTOLIC or (which is Metric.PULSE_RATE and one.metric is which):
        return Numeric(one.metric, one.value, questionable, one.scale)
    if which is Metric.MEAN and one.metric is which:
        return Numeric(one.metric, None, Status.TEST_DATA | Status.NOT_AVAILABLE, one.scale)
    return one


def _oximeter(chance: random.Random, pulse: float, window: int) -> list[Numeric]:
    spo2 = min(SPO2_TOP, round(chance.gauss(*SPO2)))
    rate = round(chance.gauss(pulse, PULSE_NOISE))
    return [
        _number(Metric.SPO2, spo2),
        _number(Metric.PULSE_RATE, rate),
        _number(Metric.PERFUSION, max(20, chance.lognormvariate(math.log(PERFUSION), PERFUSION_SPREAD)), 2),
        _number(Metric.SPO2_LOW, spo2 - int(chance.expovariate(1 / SPO2_DIP))),
        _number(Metric.SPO2_HIGH, min(SPO2_TOP, spo2 + int(chance.expovariate(1 / SPO2_RISE)))),
        _number(Metric.PULSE_LOW, rate - int(chance.expovariate(1 / PULSE_SWING))),
        _number(Metric.PULSE_HIGH, rate + int(chance.expovariate(1 / PULSE_SWING))),
        _number(Metric.WINDOW, window, 1),
        _number(Metric.USABLE, max(50, 100 - int(chance.expovariate(1 / LOST)))),
    ]


def _number(metric: Metric, value: float, scale: int = 0) -> Numeric:
    return Numeric(metric, round(value), Status.TEST_DATA, scale)


def _consult(
    chance: random.Random, seed: int, number: int, patient: int, readings: list[Reading], station: _Station, actor: str
) -> Iterator[tuple[Body, int]]:
    """A request and, later, the confirmation that its answer was read; ticks after the last reading was saved."""
    consult = _short(chance)
    request = ConsultRequested(
        consult,
        _identity(chance, seed, number, patient),
        chance.choices((Urgency.ROUTINE, Urgency.URGENT, Urgency.EMERGENCY), (12, 3, 1))[0],
        chance.choice((Department.GENERAL, Department.INTERNAL)),
        complaint(chance, seed),
        tuple(readings[-2:]),
        (DeviceLabel(station.cuff, "Máy đo huyết áp mô phỏng"),),
    )
    asked = chance.randint(300, 900)
    yield request, asked
    yield AnswerRead(consult, 1, actor), asked + chance.randint(3_000, 30_000)


def complaint(chance: random.Random, seed: int) -> str:
    """The words of a consult: sentences in any order until about 458 characters are reached."""
    pool = texts.TRAINING if seed >= texts.FIRST_TRAINING_SEED else texts.MEASURED
    told, length = [], 0
    for sentence in chance.sample(pool, len(pool)):
        told.append(filled(chance, sentence))
        length += len(told[-1]) + 1
        if length > 425:
            break
    return " ".join(told)


def filled(chance: random.Random, sentence: str) -> str:
    """The sentence with small numbers in its braces."""
    ranges = {"a": (19, 86), "d": (2, 9), "g": (85, 260), "k": (12, 70), "y": (3, 40), "h": (9, 16), "w": (12, 39)}
    numbers = {name: chance.randint(*bounds) for name, bounds in ranges.items()}
    return sentence.format(**numbers, t=f"{chance.randint(375, 395) / 10:.1f}".replace(".", ","))


def _identity(chance: random.Random, seed: int, number: int, patient: int) -> Identity:
    names = texts.TRAINING_NAMES if seed >= texts.FIRST_TRAINING_SEED else texts.MEASURED_NAMES
    place = chance.randrange(len(names))
    return Identity(
        patient,
        1,
        f"{names[place]} {texts.count(number + 1)}",
        f"{chance.randint(1938, 2008)}-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}",
        Sex.FEMALE if place % 2 else Sex.MALE,
        f"000{chance.randrange(10**9):09d}",
        village=f"Bản Giả {chance.randint(1, 9)}",
    )


def _short(chance: random.Random) -> int:
    return short_number(chance.randbytes(5))
