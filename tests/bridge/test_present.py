from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.events import Allergies, Identity, Marks, Sex, Urgency
from appliance.contract.identifiers import station_text
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Source
from cloud_bridge.console import present
from cloud_bridge.console.words import Say
from cloud_bridge.store.observations import Observation
from tests.bridge import story
from tests.bridge.story import PATIENT, STATION, oxygen, pressure, stamp, warmth, who

VI, EN = Say("vi"), Say("en")
TODAY = date(2026, 5, 28)


def seen(reading: Reading, **more) -> Observation:
    """An observation of the story's patient."""
    usual = Observation(STATION, reading.key, PATIENT, reading, Marks(0), 3, "ys01", 0, story.T0 + 100, None)
    return replace(usual, **more)


def row(reading: Reading, t: Say = VI, **more) -> present.ReadingRow:
    """Its row in the table."""
    return present.reading_row(seen(reading, **more), PATIENT, {story.CUFF: "Máy đo huyết áp"}, t)


def test_a_blood_pressure_is_shown_as_a_pair_with_everything_around_it():
    """115/74 mmHg, mean and pulse, device, source, time with seconds, clock."""
    shown = row(pressure())
    assert [(v.label, v.text, v.unit) for v in shown.values] == [
        ("Huyết áp", "115/74", "mmHg"), ("Trung bình", "88", "mmHg"), ("Mạch", "85", "lần/phút"),
    ]  # fmt: skip
    assert (shown.device, shown.source, shown.quality, shown.certain) == ("Máy đo huyết áp", "máy đo", "giờ đã đồng bộ", True)
    assert (shown.clock, shown.day) == (present.clock(story.T0), present.day(story.T0))
    assert shown.test_data


@pytest.mark.parametrize(
    ("systolic", "diastolic", "label", "text", "why"),
    [
        (None, None, "Huyết áp", "", "không có giá trị"),
        (115, None, "Tâm thu", "115", "tâm trương: không có giá trị"),
        (None, 74, "Tâm trương", "74", "tâm thu: không có giá trị"),
    ],
)
def test_a_missing_pressure_is_named_and_never_zero(systolic, diastolic, label, text, why):
    """Half a blood pressure is half a blood pressure, with the other half named."""
    value = row(pressure(0, systolic, diastolic)).values[0]
    assert (value.label, value.text, value.why) == (label, text, why)


def test_what_a_reading_does_not_even_mention_is_named():
    """An oximeter reading without a pulse says that the pulse is missing."""
    reading = Reading(ReadingKind.SPO2, story.CLIP, (Numeric(Metric.SPO2, 98),), stamp())
    assert present.missing(reading, VI) == ("Mạch",)
    assert present.not_measured([reading], VI) == ("Huyết áp", "Mạch", "Nhiệt độ", "Nhịp thở")


def test_a_value_without_number_says_why_the_device_has_none():
    """The status of a missing value stands in words, in both languages."""
    numeric = Numeric(Metric.SPO2, None, Status.NOT_AVAILABLE | Status.QUESTIONABLE)
    reading = Reading(ReadingKind.SPO2, story.CLIP, (numeric, Numeric(Metric.PULSE_RATE, 61)), stamp())
    assert row(reading).values[0].why == "không có giá trị, máy báo đáng ngờ"
    assert row(reading, EN).values[0].why == "no value, device says questionable"


def test_short_late_and_kept_are_said():
    """đo ngắn, gán sau, kept although asked again: words beside the value, no colours."""
    shown = row(oxygen(status=Status.EARLY_INDICATION), marks=Marks.LATE | Marks.KEPT)
    assert shown.notes == ("đo ngắn", "gán sau", "trạm giữ dù máy hỏi đo lại")
    assert not shown.test_data


def test_nothing_grades_a_vital_sign():
    """However ill the patient is, a row carries the same words as for a healthy one (decision 22)."""
    ill, well = row(pressure(0, 240, 140)), row(pressure(0, 118, 76))
    assert (ill.notes, ill.warnings, ill.struck) == (well.notes, well.warnings, well.struck)
    assert {v.label for v in ill.values} == {v.label for v in well.values}


def test_typed_in_values_say_so_and_name_no_device():
    """Manual entry is always marked."""
    shown = row(warmth())
    assert (shown.source, shown.device, shown.values[0].text) == ("nhập tay", "không có máy", "37,2")
    assert row(warmth(), EN).values[0].text == "37.2"


def test_an_uncertain_clock_is_said():
    """A time nobody can vouch for is not shown as if somebody could."""
    shown = row(pressure(stamp=stamp(quality=ClockQuality.UNKNOWN)))
    assert (shown.quality, shown.certain) == ("giờ chưa chắc chắn", False)


def test_a_corrected_time_is_shown_with_its_error():
    """From a minute on the bar stands beside it, rounded up; a station's clock that was never compared is called wrong."""
    wrong = pressure(stamp=stamp(quality=ClockQuality.UNKNOWN))
    right = row(wrong, at=story.T0 + 36_000, bar=30)
    assert (right.clock, right.quality, right.certain) == (present.clock(story.T0 + 36_000), "giờ đã chỉnh", False)
    shown = row(wrong, at=story.T0, bar=1201, anchored=False)
    assert shown.quality == "giờ của máy trạm chưa chắc, ± 3 phút"
    synced = pressure(stamp=stamp(quality=ClockQuality.SYNCED))
    assert row(synced, at=story.T0, bar=160).certain
    assert not row(synced, at=story.T0, bar=700).certain
    said = [present.bar_text(tenths, VI) for tenths in (599, 600, 72_001, 36_000 * 48 + 1, 864_000 * 60 + 1, 1 << 40)]
    assert said == ["", "± 1 phút", "± 3 giờ", "± 3 ngày", "± 1 năm", "± nhiều năm"]


def test_what_speaks_against_a_reading_is_a_sentence_and_it_is_struck():
    """In error, moved away, in dispute; moved here is said and stands."""
    assert row(pressure(), in_error="nhầm").warnings == ("Trạm báo ghi nhầm: nhầm",)
    assert row(pressure(), in_error="nhầm").struck
    away = row(pressure(), patient=12, moved_from=PATIENT, moved_to=12, moved_why="nhầm người")
    assert (away.warnings, away.struck) == (("Trạm đã chuyển sang người khác: nhầm người",), True)
    here = row(pressure(), moved_from=12, moved_to=PATIENT, moved_why="nhầm người")
    assert (here.warnings, here.struck) == (("Trạm chuyển từ người khác sang: nhầm người",), False)
    disputed = row(pressure(), patient=None, claimants=(PATIENT, 12))
    assert disputed.struck
    assert "gán cho hai người" in disputed.warnings[0]


def test_readings_the_doctor_had_not_seen_are_flagged():
    """Measured after signing, arrived after signing, not on the page; what was seen is not flagged."""
    signed = story.T0 + 600
    later, early = seen(pressure(90)), seen(pressure(0), received=signed + 5)
    assert present.after_signing(later, signed, set(), False, VI) == "đo sau khi ký"
    assert present.after_signing(early, signed, set(), False, VI) == "đến sau khi ký"
    assert present.after_signing(seen(pressure(0)), signed, set(), True, VI) == "không có trên trang lúc ký"
    assert present.after_signing(later, signed, {later.key}, True, VI) == ""
    assert present.after_signing(later, None, set(), True, VI) == ""


def test_a_live_and_a_memory_copy_of_one_measurement_are_shown_once():
    """Same device, same values, at most 90 s apart: one row, the live one, that says two copies; anything else stays apart."""
    at = present.local(story.T0 + 300)
    live = seen(oxygen(0))
    memory = seen(oxygen(4000, source=Source.MEMORY, device_time=at.replace(tzinfo=None).isoformat(), ordinal=1))
    late = seen(oxygen(4000, source=Source.MEMORY, device_time=present.local(story.T0 + 1000).replace(tzinfo=None).isoformat(), ordinal=2))
    other = seen(oxygen(0, spo2=97, source=Source.MEMORY, device_time=at.replace(tzinfo=None).isoformat(), ordinal=3))
    assert present.folded([memory, live]) == [(live, 2)]
    assert present.folded([live, late, other]) == [(live, 1), (late, 1), (other, 1)]


def test_the_chart_has_values_alone_and_no_line_crosses_a_gap():
    """Points in order of time; between two readings more than 12 h apart, or of two devices, stands a point without values."""
    readings = [seen(pressure(0)), seen(pressure(-90_000, 130, 80)), seen(pressure(30, 120, None)), seen(oxygen(10))]
    panels = {panel["id"]: panel for panel in present.trend(readings, PATIENT, VI)["panels"]}
    assert set(panels) == {"bp", "spo2", "pulse_rate"}
    assert panels["bp"]["points"] == [
        [story.T0 / 10 - 90_000, 130.0, 80.0, 2], [story.T0 / 10 - 45_000, None, None, 0], [story.T0 / 10, 115.0, 74.0, 2],
        [story.T0 / 10 + 30, 120.0, None, 2],
    ]  # fmt: skip
    assert [point[1] for point in panels["pulse_rate"]["points"]] == [85.0, None, 85.0, None, 72.0, None, 85.0]
    assert set(panels["bp"]) == {"id", "name", "unit", "points", "labels"}


def test_no_line_of_the_chart_joins_test_data_with_what_is_real():
    """Each point of test data carries its mark; between it and a real one, of the same device and minute, stands a gap."""
    readings = [seen(oxygen(0, status=Status(0))), seen(oxygen(20)), seen(oxygen(40, status=Status(0))), seen(oxygen(60, status=Status(0)))]
    (panel,) = [one for one in present.trend(readings, PATIENT, VI)["panels"] if one["id"] == "spo2"]
    assert [(point[1], point[2]) for point in panel["points"]] == [(98, 0), (None, 0), (98, 2), (None, 0), (98, 0), (98, 0)]


def test_a_reading_that_does_not_stand_is_not_drawn():
    """Entered in error or in dispute: in the table struck through, in the chart not at all."""
    assert present.trend([seen(pressure(), in_error="x"), seen(oxygen(), claimants=(1, 2), patient=None)], PATIENT, VI)["panels"] == []


def test_the_banner_says_unknown_and_never_a_question_mark():
    """An identity with nothing but a name."""
    shown = present.banner(Identity(PATIENT, 1, "Lò Thử Nghiệm"), TODAY, VI)
    assert (shown.birth, shown.age, shown.sex, shown.allergies) == ("Không rõ", "tuổi không rõ", "Không rõ", "Chưa rõ: trạm chưa hỏi")
    assert (shown.id_label, shown.id_text, shown.allergic, shown.asked) == ("Mã tại trạm", station_text(PATIENT), False, False)
    assert present.banner(Identity(PATIENT, 1, ""), TODAY, VI).name == "Không rõ"


def test_the_banner_of_a_whole_identity():
    """Family name first, dd-Mmm-yyyy with age, sex, numbers in groups, allergies."""
    shown = present.banner(who(), TODAY, VI)
    assert (shown.name, shown.birth, shown.age, shown.sex) == ("Nguyễn Thử Nghiệm Một", "30-Thg4-1961", "65 tuổi", "Nữ")
    assert (shown.id_label, shown.id_text) == ("CCCD", "001 161 000 001")
    assert (shown.allergies, shown.allergic) == ("Penicillin", True)
    assert present.banner(who(allergies=Allergies.NONE_KNOWN), TODAY, EN).allergies == "No known allergies"
    assert present.banner(who(sex=Sex.MALE), TODAY, EN).birth == "30-Apr-1961"


@pytest.mark.parametrize(
    ("birth", "text", "age"),
    [
        ("2026-05-20", "20-Thg5-2026", "8 ngày tuổi"), ("2025-11-29", "29-Thg11-2025", "5 tháng tuổi"),
        ("2025-03", "Thg3-2025", "khoảng 1 tuổi"), ("1950", "1950", "khoảng 76 tuổi"), ("1961-13-45", "1961-13-45", "tuổi không rõ"),
        ("hôm qua", "hôm qua", "tuổi không rõ"),
    ],
)  # fmt: skip
def test_births_of_every_kind(birth, text, age):
    """Days, months, years, part of a date; a station's typing slip is shown as it is."""
    shown = present.banner(who(birth=birth), TODAY, VI)
    assert (shown.birth, shown.age) == (text, age)


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_any_box_clock_can_be_shown(wall):
    """A wall time of any size makes a line, never an error."""
    assert present.clock(wall)
    assert present.day(wall)
    assert present.moment(wall, story.T0)


@pytest.mark.parametrize(
    ("urgency", "waited", "look"),
    [
        (Urgency.EMERGENCY, 2990, "calm"), (Urgency.EMERGENCY, 3000, "soon"), (Urgency.EMERGENCY, 6000, "late"),
        (Urgency.URGENT, 99_999, "calm"), (Urgency.ROUTINE, 99_999, "calm"),
    ],
)  # fmt: skip
def test_only_the_waiting_of_an_emergency_presses(urgency, waited, look):
    """From half of the limit amber, from the limit red: the wait, not the patient, is coloured."""
    assert present.pressing(urgency, waited, 600) == look


def test_waiting_times_read_like_a_clock():
    """Minutes, hours, days."""
    assert [present.waited(seconds * 10) for seconds in (0, 65, 3605, 90_061)] == ["0:00", "1:05", "1:00:05", "1 d 1:01:01"]
