"""An overdue calibration stands beside the value, everywhere a reading is shown, and keeps nobody from working."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from appliance.kiosk import present, rows
from appliance.kiosk.speech import say
from appliance.store import devices, measuring
from tests.store.station import Station, station_at

DUE = "2026-05-01"


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """A new station."""
    made = station_at(tmp_path)
    yield made
    made.conn.close()


@pytest.mark.parametrize(("day", "said"), [((2026, 5, 1, 23, 59), ()), ((2026, 5, 2, 0, 0), ("quá hạn hiệu chuẩn từ 01/05/2026",))])
def test_it_is_overdue_from_the_next_day_on(station: Station, day: tuple[int, ...], said: tuple[str, ...]) -> None:
    """By the day of the measurement in Viet Nam, not by today: what was measured in time stays what it was."""
    at = int(datetime(*day, tzinfo=present.ZONE).timestamp() * 10)
    one = station.reading()
    one = replace(one, stamp=replace(one.stamp, wall=at))
    assert present.reading(one, "Máy", at, say("vi"), due=DUE).said == said
    assert present.reading(one, "Máy", at, say("vi")).said == ()
    assert present.reading(one, "Máy", at, say("vi"), due="soon").said == ()


def test_a_saved_reading_brings_the_date_of_its_device(station: Station) -> None:
    """The register's date reaches the patient's page; the reading was saved like any other."""
    number = devices.register(
        station.conn, name="Máy thử", driver="suntech-nibp", identity="suntech-nibp#TB-9", inventory="TB-9", calibrated="2025-05-01",
        next_calibration="2026-01-01", now=station.now,
    )  # fmt: skip
    patient = station.patient()
    seen = station.observe(station.session(patient), replace(station.reading(), device=number))
    measuring.record(station.conn, seen.measurement, staff="an", now=station.later(1))
    (row,) = measuring.observations(station.conn, patient, 5)
    assert row.calibration_due == "2026-01-01"
    assert rows.shown(row, station.now.wall, say("en")).said == ("calibration overdue since 01/01/2026",)
