"""Records of a device's memory and waves at the doctor's: linked, with the device's own time, drawn when they were sent along."""

from dataclasses import replace
from datetime import datetime

import pytest

from appliance.contract import events as ev
from appliance.contract.duplicates import ZONE
from appliance.contract.metrics import Metric
from appliance.contract.readings import Source
from appliance.contract.strips import Strip, write
from cloud_bridge import intake
from cloud_bridge.console import present
from cloud_bridge.console.words import Say
from cloud_bridge.store import review, series
from cloud_bridge.store.engine import reading as looking
from cloud_bridge.store.engine import writing
from tests.bridge import story
from tests.bridge.story import PATIENT, STATION, event, place
from tests.bridge.test_present import seen

VI = Say("vi")
WAVE = Strip(60, 8, tuple(abs(40 - at % 80) for at in range(1800)))
SECONDS = Strip(1, 9, (0, *[97, 98] * 14))


def take(engine, *bodies: tuple[object, float]) -> None:
    """Bodies and the second of their making, in one transaction."""
    with writing(engine) as tx:
        for number, (body, seconds) in enumerate(bodies):
            each = event(body, seconds)
            intake.apply(tx, STATION, each, story.T0 + 5000, place(number, each))


def stored(live, said: str = "2026-05-28T12:00:00"):
    """The memory's copy of a live reading."""
    return replace(live, source=Source.MEMORY, device_time=said, ordinal=3)


@pytest.mark.parametrize("how", ["saved", "discarded", "nobody's"])
def test_a_linked_copy_is_not_listed_beside_the_one_it_copies(engine, how):
    """The live reading is in a record, was discarded, or is nobody's itself: it is listed where it belongs, its copy nowhere."""
    live = story.pressure(0)
    body = {
        "saved": ev.ObservationRecorded(PATIENT, live), "discarded": ev.MeasurementDiscarded(live, "moved", PATIENT),
        "nobody's": ev.MeasurementUnassigned(live, "no-session"),
    }[how]  # fmt: skip
    take(engine, (body, 0), (ev.MeasurementUnassigned(stored(live), "no-session", live.key), 60))
    with looking(engine) as tx:
        found = [one.reading.source for one in review.nobodys(tx, [STATION])]
    assert found == ([Source.LIVE] if how == "nobody's" else [])


def test_a_copy_whose_live_reading_never_came_is_listed(engine):
    """Nobody saved the live one, so it stayed at the station: what was measured must not be hidden."""
    live = story.pressure(0)
    take(engine, (ev.MeasurementUnassigned(stored(live), "no-session", live.key), 60))
    with looking(engine) as tx:
        assert [one.reading.source for one in review.nobodys(tx, [STATION])] == [Source.MEMORY]


def test_the_doctor_reads_how_far_the_devices_clock_was_off(engine):
    """By what the station measured within the hour of the download; of another hour nothing is said."""
    take(engine, (ev.DeviceClockRead(story.CUFF, "2026-05-28T12:03:00", 180), 0.0))
    with looking(engine) as tx:
        clocks = series.ahead(tx, STATION, {story.CUFF, story.CLIP})
    assert series.at(clocks, story.CUFF, story.T0 + 100) == 180
    assert series.at(clocks, story.CUFF, story.T0 + 40_000) is None
    assert series.at(clocks, story.CLIP, story.T0 + 100) is None
    record = stored(story.pressure(0))
    assert "giờ trên máy đo lệch 3 phút (nhanh)" in present.own_time(record, 180, VI)
    assert "giờ trên máy đo lệch 2 ngày (chậm)" in present.own_time(record, -2 * 86400, VI)
    assert present.own_time(record, 30, VI) == [f"giờ của máy đo: {record.device_time}"]


@pytest.mark.parametrize("said", ["2004-01-07T11:24:52", "2044-06-01T13:19:00"])
def test_a_date_that_cannot_be_is_flagged_and_shown_as_it_was_said(said):
    """2004 and 2044: the device's battery had been dead."""
    words = present.own_time(stored(story.pressure(0), said), None, VI)
    assert words == [f"giờ của máy đo: {said}", "ngày trên máy đo không thể đúng"]


@pytest.mark.parametrize(("off", "rows"), [(0, [(Source.LIVE, 2)]), (89, [(Source.LIVE, 2)]), (92, [(Source.LIVE, 1), (Source.MEMORY, 1)])])
def test_copies_in_one_record_are_one_row(off, rows):
    """By the contract's own rule, the same as at the station; the memory's copy may lack the mean."""
    one = seen(story.pressure(0))
    said = datetime.fromtimestamp(one.when // 10 + off, ZONE).replace(tzinfo=None).isoformat()
    memory = replace(stored(one.reading, said), numerics=tuple(each for each in one.reading.numerics if each.metric is not Metric.MEAN))
    shown = present.folded([one, replace(one, key=memory.key, reading=memory)])
    assert [(each.reading.source, copies) for each, copies in shown] == rows


def test_a_wave_is_kept_as_it_came_and_drawn(engine):
    """Once, with the request it came with; what cannot be read is not drawn."""
    strip = ev.ConsultStrip(77, b"k" * 16, write(WAVE), write(SECONDS), b"")
    take(engine, (strip, 0.0), (strip, 1.0), (ev.ConsultStrip(77, b"m" * 16, b"\xff\xff", b"", b""), 2.0))
    with looking(engine) as tx:
        found = series.of_consult(tx, STATION, 77)
        assert series.of_consult(tx, STATION, 78) == {}
    assert found[b"k" * 16] == series.Wave(WAVE, SECONDS, None)
    drawn = present.wave_shown(found[b"k" * 16])
    assert drawn is not None
    points = [tuple(map(int, one.split(","))) for one in drawn.points.split()]
    assert (drawn.seconds, drawn.width, drawn.spo2, drawn.pulse) == (30, 600, "97–98", "")
    assert len(points) == 600
    assert all(0 <= x <= 600 and 0 <= y <= 60 for x, y in points)
    assert {0, 60} <= {y for _, y in points}
    assert present.wave_shown(found[b"m" * 16]) is None


def test_an_erased_patients_wave_is_gone(engine):
    """Whether the tombstone comes before or after."""
    request = ev.ConsultRequested(77, story.who(PATIENT), ev.Urgency.ROUTINE, ev.Department.GENERAL, "ho", ())
    strip = ev.ConsultStrip(77, b"k" * 16, write(WAVE), write(SECONDS), b"")
    take(engine, (request, 0.0), (strip, 1.0), (ev.Tombstone(PATIENT, "asked"), 2.0))
    with looking(engine) as tx:
        assert series.of_consult(tx, STATION, 77) == {}
