"""Twelve months at the kiosk: pictures without a script and without a judgement, gaps that stay gaps, a table with the same words."""

import re
from xml.etree import ElementTree as ET

import pytest

from appliance.contract.metrics import Status
from appliance.contract.readings import Source
from appliance.kiosk import trend
from appliance.kiosk.speech import say
from appliance.kiosk.trend import GAP_DAYS, THIN_FROM, Point
from appliance.store import history
from appliance.store.history import Vital
from tests.kiosk.station import Station, Window
from tests.kiosk.test_correct import save
from tests.kiosk.test_paper import opened, pages

T = say("vi")
DAY = 864_000
END = 17_800_000_000
BEGIN = END - 366 * DAY


def vital(days: float, *, source: Source = Source.LIVE, status: Status = Status(0), device: int = 1, **values: float) -> Vital:
    """A reading `days` before the end."""
    empty: dict[str, float | None] = dict.fromkeys(("systolic", "diastolic", "spo2", "pulse", "temperature"))
    return Vital(END - int(days * DAY), 1, device, source, status, **(empty | values))


def point(days: float, value: float = 97, device: int = 1, **more: bool) -> Point:
    """One value `days` before the end."""
    return Point(END - int(days * DAY), value, None, device, more.get("manual", False), more.get("test", False))


def drawn(points: list[Point]) -> tuple[int, int, ET.Element]:
    """(lines, marks, the picture) of a chart; it is well-formed XML."""
    svg = ET.fromstring(trend.chart("SpO₂", "%", points, BEGIN, END, T).svg)
    lines = [len(one.get("d", "").split("M")) - 1 for one in svg.iter("path") if one.get("stroke-width") == "1.4"]
    return sum(lines), len(marks(svg)), svg


def marks(svg: ET.Element) -> list[tuple[float, float]]:
    """Where the marks stand."""
    paths = [one.get("d", "") for one in svg.iter("path") if one.get("stroke-width") == "6.4"]
    return [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h0", "".join(paths))]


def test_no_line_crosses_a_gap_or_two_devices() -> None:
    """Joined up to the documented span; beyond it, to another device, or to what was typed in, there is none."""
    assert drawn([point(GAP_DAYS + 5), point(5)])[:2] == (1, 2)
    assert drawn([point(GAP_DAYS + 6), point(5)])[:2] == (0, 2)
    assert drawn([point(20), point(10, device=2)])[:2] == (0, 2)
    assert drawn([point(20), point(10, manual=True)])[:2] == (0, 2)
    assert drawn([point(200), point(190), point(20), point(10), point(5)])[:2] == (2, 5)


def test_few_values_are_shown_for_what_they_are() -> None:
    """None is said, one is one mark with its words, equal values stand in the middle and not on the frame."""
    assert drawn([])[:2] == (0, 0)
    assert "chưa có lần đo nào" in trend.chart("SpO₂", "%", [], BEGIN, END, T).summary
    assert drawn([point(3)])[:2] == (0, 1)
    assert trend.chart("SpO₂", "%", [point(3)], BEGIN, END, T).summary.startswith("một lần đo, 97 %")
    heights = {y for _, y in marks(drawn([point(30), point(20), point(10)])[2])}
    assert len(heights) == 1 and 40 < heights.pop() < 110


def test_a_long_series_keeps_each_days_lowest_and_highest() -> None:
    """Ten values a day for 200 days: at most two a day are left, and no day's extreme is lost; a short series stays whole."""
    values = [point(200 - day - hour / 24, 60 + (day * 7 + hour * 13) % 90) for day in range(200) for hour in range(10)]
    kept = trend.thinned(values)
    by_day: dict[int, list[float]] = {}
    for one in values:
        by_day.setdefault((one.at + 7 * 36_000) // DAY, []).append(one.value)
    left: dict[int, list[float]] = {}
    for one in kept:
        left.setdefault((one.at + 7 * 36_000) // DAY, []).append(one.value)
    assert {day: (min(found), max(found)) for day, found in by_day.items()} == {
        day: (min(found), max(found)) for day, found in left.items()
    }
    assert len(kept) <= 2 * len(by_day) < len(values)
    assert trend.thinned(values[:THIN_FROM]) == values[:THIN_FROM]


def test_blood_pressures_are_bars_and_half_a_pair_is_none() -> None:
    """Both values or no bar: a lone systolic value would look like a pressure that fell."""
    found = [vital(9, systolic=120, diastolic=80), vital(5, systolic=118)]
    points = trend.pressures(found)
    assert [(one.value, one.low) for one in points] == [(120, 80)]
    svg = ET.fromstring(trend.chart("Huyết áp", "mmHg", points, BEGIN, END, T).svg)
    assert len([one for one in svg.iter("path") if one.get("stroke-width") == "2"]) == 1


def test_nothing_in_a_picture_judges_or_needs_a_script() -> None:
    """Ink, soft ink, grid and white alone, whatever the values; no style, no script, no address: the page's policy lets it through."""
    found = [point(day, value) for day, value in ((300, 40), (200, 70), (100, 88), (2, 99))]
    text = trend.chart('SpO₂ <&"', "%", found, BEGIN, END, T).svg
    assert set(re.findall(r'"(#[0-9a-f]+)"', text)) <= {trend._INK, trend._SOFT, trend._GRID, "#fff"}
    assert not re.search(r"style|script|href|on[a-z]+=", text)
    ET.fromstring(text)


def test_sources_and_test_data_are_told_apart() -> None:
    """Hollow for what was typed in, a cross through test data, and the word."""
    svg = trend.chart("Mạch", "/min", [point(9, manual=True), point(5, test=True)], BEGIN, END, T)
    assert svg.svg.count('stroke="#fff"') == 1 and svg.svg.count("l10 10m0 -10l-10 10") == 1 and svg.test


def test_months_are_in_vietnamese_and_the_table_says_the_same() -> None:
    """The axis names months with the year where it begins; the table has each month's lowest and highest, the latest first."""
    found = [vital(2, systolic=130, diastolic=85), vital(3, systolic=110, diastolic=70), vital(100, systolic=125, diastolic=82, pulse=71)]
    series = [trend.pressures(found), trend.saturations(found), trend.pulses(found)]
    text = trend.chart("Huyết áp", "mmHg", series[0], BEGIN, END, T).svg
    assert ">Th6/25<" in text and ">Th1/26<" in text and ">Th5<" in text
    rows = trend.table(series, BEGIN, END, T)
    assert [(one.month, one.cells) for one in rows] == [
        ("05/2026", ("110–130 / 70–85 · 2 lần", "", "")), ("02/2026", ("125 / 82 · 1 lần", "", "71 · 1 lần")),
    ]  # fmt: skip


def test_test_data_is_joined_to_nothing_real_and_counted_apart() -> None:
    """No line, and no range of a month that holds both."""
    assert drawn([point(9), point(5, test=True)])[:2] == (0, 2)
    found = [vital(2, spo2=98), vital(3, spo2=60, status=Status.TEST_DATA)]
    (row,) = trend.table([trend.saturations(found)], BEGIN, END, T)
    assert row.cells == ("98 · 1 lần; thử: 60 · 1 lần",)


def test_a_merged_record_is_part_of_the_year_and_of_the_slip(station: Station) -> None:
    """The same person under two numbers: the record that stands draws and prints both."""
    window = station.window()
    save(station, window, station.first)
    station.hand.turn(30)
    save(station, window, station.second)
    station.conn.execute("UPDATE patient SET merged_into = ? WHERE id = ?", (station.first, station.second))
    assert _months(window, station.first) == ["98 · 2 lần", "60 · 2 lần"]
    text = pages(opened(window, f"/patients/{station.first}/slip.pdf"))[0]
    assert text.count("SpO₂ 98%") == 2


def test_a_reading_that_does_not_stand_is_not_in_the_trend(station: Station) -> None:
    """Struck out or moved: the old record's year is without it, the new one's has it; the table is there for readers of screens."""
    window = station.window()
    window.open(station.second)
    moved = save(station, window, station.first)
    station.hand.turn(30)
    wrong = save(station, window, station.first)
    assert _months(window, station.first) == ["98 · 2 lần", "60 · 2 lần"]
    window.post(f"/patients/{station.first}/readings/{moved}/to/{station.second}", id_name="1", id_birth="1")
    assert _months(window, station.first) == ["98 · 1 lần", "60 · 1 lần"] == _months(window, station.second)
    window.post(f"/patients/{station.first}/readings/{wrong}/error", word="fit")
    assert "Chưa có kết quả nào" in window.get(f"/patients/{station.first}/history").text
    assert window.get("/patients/999/history").status == 404


def _months(window: Window, patient: int) -> list[str]:
    window.get(f"/patients/{patient}/history")
    return [cell for cell in re.findall(r'<td class="number">([^<]+)</td>', window.text) if cell != "–"]


@pytest.mark.slow
def test_two_thousand_values_are_found_among_half_a_million_without_reading_the_others(station: Station) -> None:
    """A year of a patient measured six times a day costs SQLite as many steps whether others are in the store or not.

    How long the page takes is measured by `tram bench pages`.
    """
    fill(station, patients=1, each=2000)
    alone = steps(station)
    station.conn.execute("DELETE FROM vital")
    fill(station, patients=250, each=2000)
    assert steps(station) <= alone * 1.1
    shown = [re.fullmatch(r"97 · (\d+) lần", cell) for cell in _months(station.window(), station.first)]
    assert sum(int(one[1]) for one in shown if one) == 2000


def steps(station: Station) -> int:
    """Hundreds of steps of SQLite's machine for one patient's year."""
    found = 0

    def count() -> int:
        nonlocal found
        found += 1
        return 0

    now = station.now.wall
    station.conn.set_progress_handler(count, 100)
    try:
        assert len(history.vitals(station.conn, station.first, now - history.YEAR_TENTHS, now)) == 2000
    finally:
        station.conn.set_progress_handler(None, 100)
    assert found > 50
    return found


def fill(station: Station, patients: int, each: int) -> None:
    """So many rows of the projection, of patients measured by turns as in life; those of the first patient among them."""
    now, step = station.now.wall, 365 * DAY // (patients * each)
    tail = (1, 0, 0, 120.0, 80.0, 97.0, 70.0, None)
    rows = [
        (station.first if who == 0 else 5000 + who, now - 365 * DAY + (number * patients + who) * step, number * patients + who, *tail)
        for number in range(each)
        for who in range(patients)
    ]
    station.conn.execute("BEGIN")
    station.conn.executemany("INSERT INTO vital VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    station.conn.execute("COMMIT")
