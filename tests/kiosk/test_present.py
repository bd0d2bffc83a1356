from datetime import date
from itertools import product

import pytest

from appliance.contract.events import Allergies, Identity, Marks, Sex, Urgency
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Numeric, Reading, ReadingKind, Stamp
from appliance.kiosk import present
from appliance.kiosk.present import Queue
from appliance.kiosk.speech import say

VI, EN = say("vi"), say("en")
TODAY = date(2026, 3, 1)
NOW = 17723_592_000  # tenths of a second: 2026-03-01 10:00:00 UTC, 17:00 in Viet Nam
SECOND, MINUTE, HOUR, DAY = 10, 600, 36_000, 864_000
NS = 1_000_000_000


def pressure(*values: int | None, status: Status = Status(0)) -> Reading:
    """A blood pressure of systolic, diastolic, mean, pulse."""
    metrics = (Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.MEAN, Metric.PULSE_RATE)
    numerics = tuple(
        Numeric(metric, value, status if value is not None else status | Status.NOT_AVAILABLE)
        for metric, value in zip(metrics, values, strict=True)
    )
    return Reading(ReadingKind.BLOOD_PRESSURE, 7, numerics, Stamp(1, 1, 5000, NOW))


# --- time and who -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("birth", "refused"),
    [
        ("2026-03-01", {"adult", "paediatric"}),
        ("2026-02-02", {"adult", "paediatric"}),  # 27 days old
        ("2026-02-01", {"adult"}),  # 28 days old
        ("2026-02", {"adult"}),
        ("2026", {"adult"}),
        ("2023-03-02", {"adult"}),
        ("2023-03-01", set()),  # three today
        ("2024", {"adult"}),
        ("2023", set()),  # may be three
        ("1961-04-30", set()),
        ("", set()),
        ("2026-03-02", set()),  # a clock that is behind says nothing about anybody
    ],
)
def test_a_programme_too_strong_for_the_age_is_refused(birth: str, refused: set[str]) -> None:
    """A newborn gets the newborn's programme only, a child under three never the adult's; what is not certain is left to people."""
    programmes = ("adult", "paediatric", "neonate")
    assert {each for each in programmes if present.programme_error(birth, TODAY, each)} == refused


def test_times_are_those_of_viet_nam() -> None:
    """Today the hour is enough; another day says its date; another year its year."""
    assert present.moment(NOW, NOW) == "17:00"
    assert present.moment(NOW - DAY, NOW) == "17:00 28/02"
    assert present.moment(NOW - 365 * DAY, NOW) == "17:00 01/03/2025"
    assert present.moment(None, NOW) == ""
    assert present.second(NOW + 10, NOW) == "17:00:01"


def test_a_span_is_told_in_one_unit() -> None:
    """Seconds, minutes, hours, days; a clock that was set back is *just now*, not a negative time."""
    assert [present.span(x, VI) for x in (120, 3 * MINUTE, 2 * HOUR, 4 * DAY)] == ["12 giây", "3 phút", "2 giờ", "4 ngày"]
    assert present.ago(NOW + HOUR, NOW, VI) == "vừa xong"
    assert present.ago(NOW - 3 * MINUTE, NOW, EN) == "3 min ago"


@pytest.mark.parametrize(
    ("birth", "text", "age"),
    [
        ("1961-04-30", "30-Thg4-1961", "64 tuổi"),
        ("1961-03-01", "01-Thg3-1961", "65 tuổi"),
        ("1961-04", "Thg4-1961", "khoảng 65 tuổi"),
        ("1961", "1961", "khoảng 65 tuổi"),
        ("2025-05-02", "02-Thg5-2025", "9 tháng tuổi"),
        ("2026-02-20", "20-Thg2-2026", "9 ngày tuổi"),
        ("2026-03-01", "01-Thg3-2026", "0 ngày tuổi"),
        ("", "Không rõ", "Không rõ"),
    ],
)
def test_a_birth_date_cannot_be_misread(birth: str, text: str, age: str) -> None:
    """The month is a word; the age has the unit that matters; what is not known says so and is never a question mark."""
    assert present.birth_text(birth, VI) == text
    assert present.age_text(birth, TODAY, VI) == age


def test_the_banner_holds_what_the_patient_is_told_by() -> None:
    """Name, birth and age, sex, the grouped number, allergies."""
    shown = present.banner(
        Identity(5, 1, "Thử Nghiệm Một", "1961-04-30", Sex.FEMALE, "001061012345", "", Allergies.KNOWN, "penicillin"), TODAY, VI
    )
    assert (shown.name, shown.birth, shown.age, shown.sex) == ("Thử Nghiệm Một", "30-Thg4-1961", "64 tuổi", "Nữ")
    assert (shown.id_label, shown.id_text) == ("CCCD", "001 061 012 345")
    assert (shown.allergies, shown.allergic) == ("penicillin", True)


def test_a_banner_without_facts_says_unknown() -> None:
    """*Không rõ*, never a question mark and never an empty place; the station's number stands in for CCCD and BHYT."""
    shown = present.banner(Identity(5, 1, "Thử Nghiệm Một"), TODAY, VI)
    assert (shown.birth, shown.age, shown.sex) == ("Không rõ",) * 3
    assert shown.id_text == "000 000 0000 0059"
    assert shown.allergies == "Chưa hỏi / không rõ"
    assert "?" not in str(shown)


def test_two_identifiers_are_two_different_ones_the_patient_has() -> None:
    """One tick, an unknown word, or a number nobody has does not confirm anybody; CCCD used as BHYT counts once."""
    it = Identity(5, 1, "Thử Nghiệm Một", "1961", cccd="001061012345", bhyt="001061012345")
    assert [one.name for one in present.identifiers(it, VI)] == ["name", "birth", "cccd"]
    assert present.two_identifiers(["name", "birth"], it, VI)
    for wrong in (["name"], ["name", "name"], ["name", "phone"], ["cccd", "bhyt"], ["x", "y"], []):
        assert not present.two_identifiers(wrong, it, VI)


# --- readings -----------------------------------------------------------------------------------------------------------------------


def test_a_reading_shows_values_device_time_source_and_status() -> None:
    """The main values first, the others below, and the words of the status."""
    shown = present.reading(pressure(115, 74, 88, 85, status=Status.TEST_DATA | Status.EARLY_INDICATION), "Máy đo huyết áp", NOW, VI)
    assert [(value.label, value.text, value.unit) for value in shown.values] == [
        ("Tâm thu", "115", "mmHg"), ("Tâm trương", "74", "mmHg"), ("Mạch", "85", "lần/phút"),
    ]  # fmt: skip
    assert [(value.label, value.text) for value in shown.details] == [("Trung bình", "88")]
    assert (shown.at, shown.device, shown.source) == ("17:00:00", "Máy đo huyết áp", "máy")
    assert shown.said == ("dữ liệu thử", "đo ngắn")
    assert shown.test_data
    assert shown.headline == "115/74 mmHg · Mạch 85 lần/phút"


def test_a_missing_value_is_named_and_never_zero() -> None:
    """A part without a value is missing by name, and a dash in the headline."""
    shown = present.reading(pressure(115, 74, None, None), "x", NOW, VI)
    assert shown.missing == "Thiếu: Mạch, Trung bình"
    assert shown.headline == "115/74 mmHg · Mạch —"
    assert "0" not in [value.text for value in (*shown.values, *shown.details)]


def test_decimals_have_a_comma_in_vietnamese() -> None:
    """36,8 for the station, 36.8 in English."""
    it = Reading(ReadingKind.TEMPERATURE, 7, (Numeric(Metric.TEMPERATURE, 368, scale=1),), Stamp(1, 1, 1, NOW))
    assert present.headline(it, VI) == "Nhiệt độ 36,8 °C"
    assert present.headline(it, EN) == "Temperature 36.8 °C"


@pytest.mark.parametrize("values", [(30, 10, 20, 15), (300, 200, 250, 300), (220, 130, 160, 190), (70, 40, 50, 210)])
def test_no_value_is_questioned_for_being_high_or_low(values: tuple[int, ...]) -> None:
    """However ill the patient is, a steady reading is simply saved (decision 21)."""
    assert present.questions(pressure(*values), VI) == ()


def test_questions_come_from_flags_and_broken_relations() -> None:
    """Instability and device flags ask; a short measurement and test data alone do not; a mean outside its pressures asks."""
    shaky = pressure(115, 74, 88, 85, status=Status.QUESTIONABLE)
    assert present.questions(shaky, VI) == ("Tâm thu, Tâm trương, Mạch: chưa ổn định",)
    assert present.questions(pressure(115, 74, 88, 85, status=Status.EARLY_INDICATION | Status.TEST_DATA), VI) == ()
    assert len(present.questions(pressure(115, 74, 60, 85), VI)) == 1
    assert present.questions(pressure(115, 74, None, 85), VI) == ()


def test_marks_are_said() -> None:
    """*gán sau* and *giữ* stay with the observation."""
    assert present.mark_words(Marks.LATE | Marks.KEPT, VI) == ("gán sau", "giữ dù máy hỏi lại")


# --- the moving number --------------------------------------------------------------------------------------------------------------

METRICS = (Metric.SPO2, Metric.PULSE_RATE)


def alive(**more: object) -> dict[str, object]:
    """A live file of an oximeter that measures, written at 100 s of boot time."""
    numerics = [{"metric": "SPO2", "value": 98, "unit": "%"}, {"metric": "PULSE_RATE", "value": 60, "unit": "/min"}]
    return {
        "state": "measuring", "boottime_ns": 100 * NS, "invalid": None, "message": None, "test_data": False,
        "numerics": numerics, "signals": {"pleth": 64}, **more,
    }  # fmt: skip


def test_a_fresh_live_file_shows_its_numbers() -> None:
    """Numbers as text by metric, the pulse wave, and the state in words."""
    shown = present.live(alive(), 101 * NS, METRICS, VI)
    assert shown.numbers == {"SPO2": "98", "PULSE_RATE": "60"}
    assert (shown.text, shown.lost, shown.signal) == ("Đang đo", False, 64)


@pytest.mark.parametrize(
    ("data", "at"),
    [
        (None, 101 * NS),
        (alive(), 102 * NS + 1),
        (alive(state="lost"), 100 * NS),
        (alive(state="absent"), 100 * NS),
        (alive(state="opening"), 100 * NS),
        (alive(boottime_ns=None), 100 * NS),
    ],
)
def test_what_is_not_heard_now_is_not_shown(data: dict[str, object] | None, at: int) -> None:
    """No file, older than 2 s, or a device that is not there: no number stays on the screen."""
    shown = present.live(data, at, METRICS, VI)
    assert shown.lost
    assert set(shown.numbers.values()) == {""}
    assert shown.signal is None


def test_an_old_live_file_is_a_lost_device() -> None:
    """The words are *Mất kết nối máy*."""
    assert present.live(alive(), 103 * NS, METRICS, VI).text == "Mất kết nối máy"


@pytest.mark.parametrize("more", [{"invalid": "searching"}, {"state": "stale"}])
def test_no_value_clears_the_number(more: dict[str, object]) -> None:
    """A device without a usable value, or a silent one, shows none: never the last one, never 0."""
    shown = present.live(alive(**more), 101 * NS, METRICS, VI)
    assert set(shown.numbers.values()) == {""}
    assert not shown.lost


def test_an_unknown_reason_is_shown_behind_a_true_sentence() -> None:
    """A driver's new word is not hidden."""
    assert present.live(alive(invalid="device-error-123"), 101 * NS, METRICS, VI).note == "Máy chưa có số dùng được. (device-error-123)"


def test_a_line_that_dies_with_air_in_the_cuff_says_take_it_off() -> None:
    """Lost while inflated, by the last pressure in the file, by what was heard before, or by the collector's own message."""
    held = alive(signals={"cuff_pressure": 120})
    assert not present.live(held, 101 * NS, METRICS, VI).cuff_off
    assert present.live(held, 101 * NS, METRICS, VI).inflated
    assert present.live(held, 103 * NS, METRICS, VI).cuff_off
    assert present.live(alive(state="lost", signals={}), 101 * NS, METRICS, VI, inflated=True).cuff_off
    assert present.live(None, 101 * NS, METRICS, VI, inflated=True).cuff_off
    assert present.live(alive(message="take-the-cuff-off"), 101 * NS, METRICS, VI).cuff_off
    assert not present.live(alive(state="lost", signals={}), 101 * NS, METRICS, VI).cuff_off


# --- the receipt line ---------------------------------------------------------------------------------------------------------------

STEPS = ("saved", "received", "opened", "answered", "read")


def test_the_receipt_line_in_words() -> None:
    """The five steps in their order, each with its time."""
    steps = present.receipt_steps(dict.fromkeys(STEPS, NOW), NOW, VI)
    assert [step.text for step in steps] == ["đã lưu", "đã lên máy chủ", "bác sĩ đã mở", "đã trả lời", "đã đọc"]
    assert {step.at for step in steps} == {"17:00"}


@pytest.mark.parametrize("known", list(product((None, NOW), repeat=5)))
def test_the_receipt_line_never_claims_more_than_is_true(known: tuple[int | None, ...]) -> None:
    """In each of the 32 states: nothing is done beyond the last mark there is, and no time is shown that was not noted."""
    marks = dict(zip(STEPS, known, strict=True))
    steps = present.receipt_steps(marks, NOW, VI)
    last = max((at for at, one in enumerate(known) if one is not None), default=-1)
    for at, (step, one) in enumerate(zip(steps, known, strict=True)):
        assert step.done == (at <= last)
        assert bool(step.at) == (one is not None)


def test_shown_is_not_read() -> None:
    """An answer on the screen that nobody confirmed has not been read."""
    steps = present.receipt_steps({"saved": NOW, "answered": NOW, "shown": NOW}, NOW, VI)
    assert [step.done for step in steps] == [True, True, True, True, False]


# --- the status bar -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queue", "most", "look", "text"),
    [
        (Queue(12, NOW - 3 * HOUR), 12, "waiting", "Chờ mạng — 12 mục đã lưu an toàn tại trạm"),
        (Queue(0), 0, "waiting", "Chờ mạng — không có gì phải gửi"),
        (Queue(0, online=True, received=NOW - 3 * MINUTE), 0, "sent", "Đã gửi hết · 3 phút trước"),
        (Queue(0, online=True), 0, "sent", "Đã gửi hết"),
        (Queue(8, NOW, online=True), 12, "sending", "Đang gửi 4/12"),
        (Queue(8, NOW, online=True), 0, "sending", "Đang gửi 0/8"),
        (Queue(2, NOW, error="refused", retry=NOW + 5 * MINUTE), 2, "error", "Gửi lỗi — thử lại lúc 17:05"),
    ],
)
def test_the_status_bar_says_what_is_true(queue: Queue, most: int, look: str, text: str) -> None:
    """Waiting, sending, sent and failed, in the words of the guideline; without network it is grey, never red."""
    shown = present.bar(queue, most, NOW, VI)
    assert (shown.look, shown.text) == (look, text)


def test_the_status_bar_tells_the_age_of_the_oldest_item() -> None:
    """How long the first unsent item has been waiting."""
    assert present.bar(Queue(12, NOW - 3 * HOUR), 12, NOW, VI).more == "lâu nhất 3 giờ"


def test_set_aside_items_are_always_said() -> None:
    """Quarantine shows beside every other state."""
    for queue in (Queue(quarantined=1), Queue(3, NOW, 1), Queue(0, None, 1, online=True)):
        assert present.bar(queue, 3, NOW, VI).quarantine == "Cần kiểm tra 1 mục"


def test_all_sent_is_never_said_while_something_waits() -> None:
    """In every mixture of states *Đã gửi hết* needs an empty queue and a bridge that answers."""
    for waiting, online, error in product((0, 1, 5), (False, True), ("", "refused")):
        shown = present.bar(Queue(waiting, NOW, 0, online, NOW, None, error), 5, NOW, VI)
        assert (shown.look == "sent") == (waiting == 0 and online)


def test_the_alarm_has_the_numbers_in_plain_sight() -> None:
    """The duty number and 115 stand in the text itself; without a duty number 115 does."""
    shown = present.alarm(5, "unopened", 620, Urgency.EMERGENCY, ("Trực Nội", "0900 000 000"), VI, acknowledged=False)
    assert shown.text == "CHƯA AI XEM. Gọi ngay: 0900\u00a0000\u00a0000, 115. Không chờ phần mềm."
    assert shown.since == "chưa bác sĩ nào mở · đã chờ 10 phút"
    alone = present.alarm(5, "unreceived", None, Urgency.URGENT, ("", ""), VI, acknowledged=False)
    assert alone.text == "CHƯA AI XEM. Gọi ngay: 115. Không chờ phần mềm."
    assert "khởi động lại" in alone.since


def test_what_began_before_the_session_is_not_shown_as_this_patients() -> None:
    """A finger that was in the probe before the patient was confirmed: no number, and what to do."""
    before, during = alive(session=None), alive(session=7)
    assert present.live(before, 101 * NS, METRICS, VI, session=7).numbers == {"SPO2": "", "PULSE_RATE": ""}
    assert "bắt đầu trước" in present.live(before, 101 * NS, METRICS, VI, session=7).note
    assert present.live(during, 101 * NS, METRICS, VI, session=7).numbers["SPO2"] == "98"


def test_the_range_of_a_window_stands_with_its_value() -> None:
    """Lowest and highest are shown with the value they describe, not as values of their own."""
    numerics = tuple(Numeric(metric, value) for metric, value in ((Metric.SPO2, 97), (Metric.SPO2_LOW, 96), (Metric.SPO2_HIGH, 98)))
    shown = present.reading(Reading(ReadingKind.SPO2, 7, numerics, Stamp(1, 1, 1, NOW)), "x", NOW, VI)
    assert [(value.text, value.range) for value in shown.values] == [("97", "từ 96 đến 98")]
    assert shown.details == ()
