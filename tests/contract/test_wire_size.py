"""What a reading may take on the wire: byte counts of the measured day, the same on every machine."""

import hashlib

import pytest

from appliance.bench.wire import LIMITS, json_text, numeric, parcel
from appliance.contract.codec import write_event
from appliance.contract.events import ConsultRequested, Event
from appliance.contract.parcels import read_parcel
from appliance.simulate import day, entropy


@pytest.fixture(scope="module")
def readings() -> list[Event]:
    """The 360 readings of the measured day."""
    return numeric(day(1))


def _bytes_per_reading(readings: list[Event], batch: int) -> float:
    whole = len(readings) // batch * batch
    return sum(len(parcel(readings[start : start + batch])) for start in range(0, whole, batch)) / whole


@pytest.mark.parametrize("batch", sorted(LIMITS))
def test_a_reading_takes_no_more_than_its_limit(readings: list[Event], batch: int) -> None:
    """Whole parcels before sealing: 7.2 bytes a reading at 30 a parcel, 6.0 at 100."""
    assert _bytes_per_reading(readings, batch) <= LIMITS[batch]


def test_no_parcel_goes_below_the_floor(readings: list[Event]) -> None:
    """A parcel of all readings is above what the day's numbers are worth: nothing was coarsened or forgotten on the way."""
    assert _bytes_per_reading(readings, len(readings)) > entropy.floor()["bytes_per_reading"]
    assert read_parcel(parcel(readings))[1] == readings


def test_other_days_hold_the_limits_too() -> None:
    """The limits do not hang on one seed: the mean of five other days."""
    days = [numeric(day(seed)) for seed in range(2, 7)]
    for batch, limit in LIMITS.items():
        assert sum(_bytes_per_reading(readings, batch) for readings in days) / len(days) <= limit


def test_a_single_reading_takes_half_of_its_json(readings: list[Event]) -> None:
    """Even without anything to lean on."""
    assert _bytes_per_reading(readings, 1) < sum(len(json_text([one])) for one in readings) / len(readings) / 2


def test_the_measured_day_is_what_the_decisions_say(readings: list[Event]) -> None:
    """388 events of 60 patients, 180 of them blood pressures; times at a tenth of a second; all of it test data."""
    events = day(1)
    assert (len(events), len(readings)) == (388, 360)
    assert len({event.body.patient for event in readings}) == 60
    assert sum(event.body.reading.kind == 2 for event in readings) == 180
    assert sum(isinstance(event.body, ConsultRequested) for event in events) == 14
    assert len({event.stamp.ticks % 10 for event in readings}) == 10
    assert all("test-data" in _words(event) for event in readings)


def _words(event: Event) -> list[str]:
    from appliance.contract.metrics import words

    return words(event.body.reading.status)


def test_a_seed_is_a_day() -> None:
    """The same seed gives the same events; the measured one never changes, or the figures in the documents mean nothing."""
    assert day(7) == day(7) != day(8)
    assert (
        hashlib.sha256(b"".join(map(write_event, day(1)))).hexdigest() == "f0c76d210dde14f634f4130a0652c35309afabc5df207f38fbce07b464410050"
    )
