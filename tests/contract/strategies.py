"""Hypothesis strategies for everything the contract can say: one per kind, and runs of mixed events."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from appliance.contract import cbor, events
from appliance.contract.events import KINDS, Event, Marks, Unknown
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Source, Stamp
from appliance.contract.wiring import plan

calm = settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
)
"""For tests of mixed events: a busy machine is no failure, and a whole event is large for Hypothesis (so half its examples)."""

STATIONS = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,14}[a-z0-9])?", fullmatch=True)
SHORTS = st.integers(1, (1 << 40) - 1)
WHOLE = st.integers(-(1 << 63), (1 << 63) - 1)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)
STATUSES = st.integers(0, 0xFFFF).map(Status)

STAMPS = st.builds(
    Stamp,
    boot=st.one_of(SHORTS, WHOLE),
    boot_seq=st.one_of(st.integers(0, 99), WHOLE),
    ticks=st.one_of(st.integers(0, 10**7), WHOLE),
    wall=st.one_of(st.integers(17_000_000_000, 18_000_000_000), WHOLE),
    quality=st.sampled_from(ClockQuality),
)

NUMERICS = st.builds(
    Numeric,
    metric=st.sampled_from(Metric),
    value=st.one_of(st.none(), st.integers(-5, 300), WHOLE),
    status=st.one_of(st.just(Status(0)), STATUSES),
    scale=st.one_of(st.sampled_from([0, 1, 2]), st.integers(-9, 40), WHOLE),
)


def _shaped(*pairs: tuple[Metric, int]) -> st.SearchStrategy[tuple[Numeric, ...]]:
    values = st.one_of(st.none(), st.integers(0, 3000), st.integers(-99999, 99999))
    return st.tuples(
        *[
            st.builds(Numeric, st.just(metric), values, st.sampled_from([Status(0), Status.TEST_DATA]), st.just(scale))
            for metric, scale in pairs
        ]
    )


_BP = _shaped((Metric.SYSTOLIC, 0), (Metric.DIASTOLIC, 0), (Metric.MEAN, 0), (Metric.PULSE_RATE, 0))
_SPO2 = _shaped(
    (Metric.SPO2, 0), (Metric.PULSE_RATE, 0), (Metric.PERFUSION, 2), (Metric.SPO2_LOW, 0), (Metric.SPO2_HIGH, 0),
    (Metric.PULSE_LOW, 0), (Metric.PULSE_HIGH, 0), (Metric.WINDOW, 1), (Metric.USABLE, 0),
)  # fmt: skip


def _reading(kind: Any, numerics: st.SearchStrategy[tuple[Numeric, ...]]) -> st.SearchStrategy[Reading]:
    return st.builds(
        Reading,
        kind=kind,
        device=st.one_of(st.sampled_from([5, 1 << 39]), SHORTS, WHOLE),
        numerics=numerics,
        stamp=STAMPS,
        source=st.sampled_from(Source),
        device_time=st.one_of(st.none(), st.just("2026-03-02T07:15:00"), TEXTS),
        ordinal=st.one_of(st.none(), st.integers(0, 200), WHOLE),
        rule=st.one_of(st.just(0), st.integers(0, 9), WHOLE),
    )


READINGS = st.one_of(
    _reading(st.just(ReadingKind.BLOOD_PRESSURE), _BP),
    _reading(st.just(ReadingKind.SPO2), _SPO2),
    _reading(st.just(ReadingKind.TEMPERATURE), _shaped((Metric.TEMPERATURE, 1))),
    _reading(st.just(ReadingKind.GLUCOSE), _shaped((Metric.GLUCOSE, 1))),
    _reading(st.sampled_from(ReadingKind), st.lists(NUMERICS, max_size=5).map(tuple)),
)

_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: st.one_of(st.integers(0, 300), SHORTS, WHOLE),
    str: TEXTS,
    bytes: st.binary(max_size=40),
    bool: st.booleans(),
    Stamp: STAMPS,
    Reading: READINGS,
    Marks: st.integers(0, 7).map(Marks),
}


def _value(kind: Any) -> st.SearchStrategy[Any]:
    if kind in _PLAIN:
        return _PLAIN[kind]
    if hasattr(kind, "__dataclass_fields__"):
        return structure(kind)
    return st.sampled_from(kind)


def structure(cls: type) -> st.SearchStrategy[Any]:
    """Any value of a wire dataclass: every field drawn by its type."""
    fields = {}
    for p in plan(cls):
        one = _value(p.kind)
        if p.many:
            one = st.lists(one, max_size=3).map(tuple)
        fields[p.name] = st.one_of(st.none(), one) if p.optional else one
    return st.builds(cls, **fields)


_LEAVES = st.one_of(st.none(), st.booleans(), WHOLE, TEXTS, st.binary(max_size=9))
LATER = st.dictionaries(st.integers(100, 130), st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=4), max_size=2)
"""Entries of a later version of the contract, by their numbers."""

UNKNOWN = st.builds(
    Unknown,
    kind=st.integers(200, 1 << 20),
    raw=st.dictionaries(st.integers(1, 9), _LEAVES, max_size=3).map(cbor.dump),
)


def bodies(kind: int) -> st.SearchStrategy[Any]:
    """Bodies of one kind."""
    return structure(KINDS[kind])


def events_of(kind: int) -> st.SearchStrategy[Event]:
    """Events of one kind, some with entries of a later version."""
    return _events(bodies(kind), st.one_of(st.just({}), LATER))


def _events(body: st.SearchStrategy[Any], extra: st.SearchStrategy[dict[int, Any]]) -> st.SearchStrategy[Event]:
    return st.builds(Event, STAMPS, st.one_of(st.sampled_from(["", "ys-hoa"]), TEXTS), st.one_of(st.just("0.1.0"), TEXTS), body, extra)


@st.composite
def _usual(draw: st.DrawFn) -> Event:
    """What a station mostly says: an observation stamped like its reading, near others in time."""
    reading = draw(READINGS)
    stamp = Stamp(7, 1, draw(st.integers(0, 10**6)), 17_500_000_000 + draw(st.integers(0, 10**6)), ClockQuality.RTC)
    reading = Reading(reading.kind, draw(st.sampled_from([11, 12])), reading.numerics, stamp)
    patient = draw(st.one_of(st.sampled_from([1, 2, 3]), SHORTS))
    body = events.ObservationRecorded(patient, reading, draw(st.integers(0, 600)), draw(st.sampled_from([Marks(0), Marks.LATE])))
    return Event(stamp, draw(st.sampled_from(["ys-hoa", "ys-lan"])), "0.1.0", body)


USUAL = _usual()
"""Observations as a station mostly says them."""

EVENTS = st.one_of(USUAL, *[events_of(kind) for kind in KINDS], _events(UNKNOWN, st.just({})))
"""Any event."""

RUNS = st.lists(st.one_of(USUAL, EVENTS), min_size=1, max_size=8)
"""Mixed events in any order, as one parcel holds them."""
