"""The console's twelve months: out of number columns, only what stands, gaps as gaps."""

import time

import pytest
from sqlalchemy import Engine

from appliance.contract import events as ev
from appliance.contract.metrics import Status
from appliance.contract.readings import Source
from cloud_bridge.console.words import Say
from cloud_bridge.console.year import GAP, THIN_FROM, year
from cloud_bridge.store import history
from cloud_bridge.store.engine import reading as looking
from cloud_bridge.store.history import Vital
from tests.bridge.story import OTHER, PATIENT, STATION, T0, asked, event, oxygen, pressure, recorded, who
from tests.bridge.test_corrections import hear, keyed

VI = Say("vi")
DAY = 864_000


def drawn(engine: Engine, patient: int, since: int = 0) -> list[float | None]:
    """The systolic values of a patient's year, in order of time."""
    with looking(engine) as tx:
        return [one.systolic for one in sorted(history.year(tx, STATION, patient, since))]


def vital(days: float, spo2: float = 97, *, device: int = 1, source: Source = Source.LIVE, status: Status = Status(0)) -> Vital:
    """An SpO₂ so many days after T0."""
    return Vital(T0 + int(days * DAY), None, device, int(source), int(status), None, None, spo2, None, None)


def spo2(found: list[Vital]) -> list[list[float | None]]:
    """The points of the SpO₂ panel."""
    return next(panel["points"] for panel in year(found, VI)["panels"] if panel["id"] == "spo2")


def test_only_what_stands_is_drawn_where_it_belongs(engine: Engine) -> None:
    """Plain readings of the year; not what was taken back, moved away, in dispute or older; what was moved here is."""
    plain, wrong, moved, disputed, old = (pressure(at, 110 + at) for at in (1, 2, 3, 4, 5))
    old = pressure(-400 * 86_400, 99)
    hear(
        engine,
        *keyed([
            *(recorded(one) for one in (plain, wrong, moved, disputed, old)),
            event(ev.ObservationEnteredInError(PATIENT, wrong.key, "x"), 90),
            event(ev.ObservationReassigned(PATIENT, moved.key, OTHER, "x"), 91),
            asked(901, (disputed,), identity=who(OTHER)),
        ]),
    )  # fmt: skip
    assert drawn(engine, PATIENT, T0 - history.YEAR) == [111]
    assert drawn(engine, OTHER, T0 - history.YEAR) == [113]
    assert drawn(engine, PATIENT) == [99, 111]


def test_gaps_devices_hands_and_test_data_part_the_line() -> None:
    """A point without a value stands where no line may cross."""
    span = GAP / DAY
    assert [one[1] for one in spo2([vital(0), vital(span)])] == [97, 97]
    assert [one[1] for one in spo2([vital(0), vital(span + 0.1)])] == [97, None, 97]
    for other in (vital(1, device=2), vital(1, source=Source.MANUAL), vital(1, status=Status.TEST_DATA)):
        assert [one[1] for one in spo2([vital(0), other])] == [97, None, 97]
    assert [one[2] for one in spo2([vital(0, source=Source.MANUAL), vital(1, status=Status.TEST_DATA)])] == [1, 0, 2]


def test_a_memorys_reading_stands_at_its_devices_time() -> None:
    """By the device's clock; where that cannot be read, by the box's."""
    late = vital(9)._replace(device_time="2026-05-28T10:00:00", source=int(Source.MEMORY))
    odd = vital(9)._replace(device_time="gestern", source=int(Source.MEMORY))
    assert spo2([late])[0][0] == 1_779_937_200
    assert spo2([odd])[0][0] == (T0 + 9 * DAY) / 10


def test_a_long_series_keeps_each_days_extremes() -> None:
    """Six a day for 200 days: two a day are left, the lowest and the highest."""
    found = [vital(day + at / 10, 70 + (day * 7 + at * 5) % 30) for day in range(200) for at in range(6)]
    points = spo2(found)
    assert len(found) > THIN_FROM and len(points) <= 402
    assert {one[1] for one in points} >= {min(one.spo2 or 0 for one in found), max(one.spo2 or 0 for one in found)}


def test_the_patients_page_draws_the_year(office) -> None:
    """Also what is older than the newest 500 readings; the words say how far a line goes."""
    office.hear(recorded(pressure(-300 * 86_400, 142)), recorded(oxygen(5)), event(ev.PatientRegistered(who())))
    from appliance.contract.ids import spell

    text = office.doctor().get(f"/patients/{STATION}/{spell(PATIENT)}").text
    assert "Diễn biến 12 tháng" in text and "trên 45 ngày" in text
    assert "142" in text.split('data-trend="')[1].split('"')[0]


@pytest.mark.slow
def test_a_year_of_two_thousand_is_read_in_time(lite: Engine) -> None:
    """Under the 45 ms of processor that 300 ms at 15 % of a core are, with room for the rest of the page."""
    with lite.begin() as tx:
        from cloud_bridge.store.observations import Claim, claim

        readings = [pressure(-number * 15_000) for number in range(2000)]
        claim(tx, [Claim(STATION, one.key, PATIENT, one, 2, "an", T0) for one in readings])
    best = 1.0
    for _ in range(5):
        began = time.process_time()
        with looking(lite) as tx:
            data = year(history.year(tx, STATION, PATIENT, T0 - history.YEAR), VI)
        best = min(best, time.process_time() - began)
    assert data["panels"][0]["points"] and best < 0.045, best
