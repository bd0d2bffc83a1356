"""Everything a screen shows, computed from rows and live values. Pure: no clock, no file, no Flask.

Times come in tenths of a second since 1970 (`Stamp.wall`) and are shown in Viet Nam's time (UTC+7, no summer time).
No value is graded, coloured or compared with a limit here: values are shown as measured, with device, time, source and
status (docs/decisions: interpretation is off). A value that is missing is named, never shown as 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from appliance.contract.duplicates import DEAD_CLOCK, FUTURE, NO_DATE, doubt
from appliance.contract.events import Allergies, Identity, Marks, Sex, Urgency
from appliance.contract.guided import HAND_RULES
from appliance.contract.identifiers import station_text
from appliance.contract.ids import spell
from appliance.contract.metrics import STATUS_WORDS, TABLE, Metric, Status, coded
from appliance.contract.readings import Numeric, Reading, Source
from appliance.kiosk.speech import ALLERGIES, SEX, SOURCES, STATES, STATUSES, URGENCIES, Pair, Say, invalid, pair

ZONE = timezone(timedelta(hours=7), "+07")
"""Viet Nam's time, the whole year."""

LIVE_LIMIT_NS = 2_000_000_000
"""A live file older than this shows nothing of what it holds (decision 15)."""

CUFF_EMPTY_MMHG = 15
"""Above this the cuff still holds air: when the line dies now, a person has to take it off (devices.md §23.1)."""

TAKE_OFF = "take-the-cuff-off"
"""The collector's message when it cannot reach a cuff that may be inflated."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# --- time ---------------------------------------------------------------------------------------------------------------------------


def local(tenths: int) -> datetime:
    """The station's wall time of a stamp."""
    return datetime.fromtimestamp(tenths / 10, UTC).astimezone(ZONE)


def moment(tenths: int | None, now: int) -> str:
    """A time short enough for a screen: ``10:05`` today, ``10:05 30/04`` this year, ``10:05 30/04/2025`` else; empty for None."""
    if tenths is None:
        return ""
    at, today = local(tenths), local(now)
    if at.date() == today.date():
        return f"{at:%H:%M}"
    return f"{at:%H:%M %d/%m}" if at.year == today.year else f"{at:%H:%M %d/%m/%Y}"


def second(tenths: int, now: int) -> str:
    """As `moment`, with seconds: two readings in the same minute are legal and must be told apart."""
    at = local(tenths)
    return f"{at:%H:%M:%S}" if at.date() == local(now).date() else f"{at:%H:%M:%S %d/%m/%Y}"


def span(tenths: int, t: Say) -> str:
    """How long, in the one unit that fits: ``12 giây``, ``3 phút``, ``2 giờ``, ``4 ngày``."""
    seconds = max(0, tenths // 10)
    for size, vi, en in ((86400, "ngày", "d"), (3600, "giờ", "h"), (60, "phút", "min")):
        if seconds >= size:
            return f"{seconds // size} {t(vi, en)}"
    return f"{seconds} {t('giây', 's')}"


def ago(tenths: int, now: int, t: Say) -> str:
    """``3 phút trước``; a stamp of the last ten seconds, or of a clock that was set back, is *vừa xong*."""
    return t("vừa xong", "just now") if now - tenths < 100 else t(f"{span(now - tenths, t)} trước", f"{span(now - tenths, t)} ago")


# --- who ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Banner:
    """The patient on every measuring and sending screen (NHS CUI patient banner): values heavier than labels, *Không rõ*, never ``?``."""

    patient: int
    name: str
    birth: str
    age: str
    sex: str
    id_label: str
    id_text: str
    allergies: str
    allergic: bool
    village: str
    on_the_way: bool = False


@dataclass(frozen=True, slots=True)
class Identifier:
    """One thing to ask the patient for, to be compared with what the screen says."""

    name: str
    label: str
    value: str


def unknown(t: Say) -> str:
    """The word for what nobody knows."""
    return t("Không rõ", "Unknown")


def birth_text(birth: str, t: Say) -> str:
    """dd-Mmm-yyyy, so that day and month are never exchanged: ``30-Thg4-1961`` / ``30-Apr-1961``; the year alone where that is all."""
    parts = birth.split("-") if birth else []
    if not parts:
        return unknown(t)
    if len(parts) == 1:
        return parts[0]
    month = t(f"Thg{int(parts[1])}", _MONTHS[int(parts[1]) - 1])
    return "-".join([*parts[2:], month, parts[0]])


def age_text(birth: str, today: date, t: Say) -> str:
    """The age: in days up to a month, in months up to two years, else in years; *khoảng* where the day of birth is not known."""
    parts = [int(part) for part in birth.split("-")] if birth else []
    if not parts:
        return unknown(t)
    if len(parts) < 3:
        years = today.year - parts[0]
        return t(f"khoảng {years} tuổi", f"about {years} y")
    born = date(*parts)
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    if months < 1:
        days = max(0, (today - born).days)
        return t(f"{days} ngày tuổi", f"{days} d")
    if months < 24:
        return t(f"{months} tháng tuổi", f"{months} months")
    return t(f"{months // 12} tuổi", f"{months // 12} y")


NEWBORN_DAYS, ADULT_PROGRAMME_YEARS = 28, 3
"""Up to 28 days a child is a newborn (WHO). Under three years no maker's adult programme is meant (judgement: SunTech-type modules
begin their child programme there); adult pressure on a newborn is the worst error a cuff can be told to make (devices facts 23.1)."""


def programme_error(birth: str, today: date, wanted: str) -> tuple[str, str] | None:
    """Why the cuff programme `wanted` is not for somebody born then, as a pair vi/en; None when it may be.

    Only what is certain is refused: of a birth year or month the earliest day counts; an unknown birth, or one that lies ahead
    (this box's clock may be behind), says nothing.
    """
    parts = [int(part) for part in birth.split("-")] if birth else []
    born = date(*[*parts, 1, 1][:3]) if parts else None
    if born is None or born > today:
        return None
    if (today - born).days < NEWBORN_DAYS and wanted != "neonate":
        return (
            "Theo ngày sinh đây là trẻ sơ sinh: chỉ bơm ở mức Sơ sinh. Ngày sinh ghi sai thì sửa hồ sơ trước.",
            "By the birth date this is a newborn: only Newborn may be used. If the birth date is wrong, correct the record first.",
        )
    if today.year - born.year - ((today.month, today.day) < (born.month, born.day)) < ADULT_PROGRAMME_YEARS and wanted == "adult":
        return (
            "Theo ngày sinh đây là trẻ dưới 3 tuổi: không bơm ở mức Người lớn. Ngày sinh ghi sai thì sửa hồ sơ trước.",
            "By the birth date this child is under 3: Adult may not be used. If the birth date is wrong, correct the record first.",
        )
    return None


def grouped(number: str) -> str:
    """A number in groups that can be read aloud: 10 digits 3-3-4, 12 digits 3-3-3-3, the legacy BHYT form as printed on the card.

    >>> grouped("0123456789"), grouped("001061012345"), grouped("DN4010123456789")
    ('012 345 6789', '001 061 012 345', 'DN 4 01 012 345 6789')
    """
    sizes = {10: (3, 3, 4), 12: (3, 3, 3, 3), 15: (2, 1, 2, 3, 3, 4)}.get(len(number))
    if sizes is None:
        return number
    groups, at = [], 0
    for size in sizes:
        groups.append(number[at : at + size])
        at += size
    return " ".join(groups)


def banner(identity: Identity, today: date, t: Say) -> Banner:
    """The banner of a patient. Without CCCD and BHYT it shows the station's own number."""
    if identity.cccd:
        label, text = "CCCD", grouped(identity.cccd)
    elif identity.bhyt:
        label, text = "BHYT", grouped(identity.bhyt)
    else:
        label, text = t("Mã tại trạm", "Station code"), identity.station_number or station_text(identity.patient)
    allergic = identity.allergies is Allergies.KNOWN
    return Banner(
        patient=identity.patient,
        name=identity.name or unknown(t),
        birth=birth_text(identity.birth, t),
        age=age_text(identity.birth, today, t),
        sex=t(*SEX.get(identity.sex, SEX[Sex.UNKNOWN])),
        id_label=label,
        id_text=text,
        allergies=identity.allergy_text if allergic and identity.allergy_text else t(*ALLERGIES[identity.allergies]),
        allergic=allergic,
        village=identity.village,
    )


def identifiers(identity: Identity, t: Say) -> list[Identifier]:
    """What this patient can be identified by, in the order it is asked for; what is not known is not offered."""
    whole, born = len(identity.birth) == 10, birth_text(identity.birth, t) if identity.birth else ""
    rows = [
        ("name", t("Họ và tên", "Full name"), identity.name),
        ("birth", t("Ngày sinh", "Birth date") if whole else t("Năm sinh", "Birth year"), born),
        ("cccd", "CCCD", grouped(identity.cccd)),
        ("bhyt", "BHYT", grouped(identity.bhyt) if identity.bhyt != identity.cccd else ""),
        ("phone", t("Số điện thoại", "Phone"), identity.phone),
        ("village", t("Thôn, bản", "Village"), identity.village),
    ]
    return [Identifier(name, label, value) for name, label, value in rows if value]


def two_identifiers(ticked: Iterable[str], identity: Identity, t: Say) -> bool:
    """True when at least two different identifiers that this patient has were ticked."""
    return len({one.name for one in identifiers(identity, t)} & set(ticked)) >= 2


def namesakes(others: Iterable[Identity], t: Say) -> str:
    """Who else here has this name, in one line with what tells them apart; empty when nobody has."""
    said = [f"{one.name} ({birth_text(one.birth, t)})" if one.birth else f"{one.name} ({unknown(t)})" for one in others]
    return t("Trạm còn có người cùng tên:", "There is somebody else of this name:") + f" {'; '.join(said)}" if said else ""


# --- what was measured --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a reading: ``text`` is empty when there is none, and `said` then says why.

    `range` is the lowest and highest of the measuring window, where the device gave them.
    """

    metric: str
    label: str
    text: str
    unit: str
    said: tuple[str, ...]
    range: str = ""
    words: bool = False


@dataclass(frozen=True, slots=True)
class ReadingShown:
    """A reading as every screen shows it: the values, then device, time, source and what must be said about it."""

    values: tuple[Value, ...]
    details: tuple[Value, ...]
    headline: str
    missing: str
    at: str
    device: str
    source: str
    said: tuple[str, ...]
    test_data: bool


MAIN = (
    Metric.SPO2, Metric.SYSTOLIC, Metric.DIASTOLIC, Metric.PULSE_RATE, Metric.TEMPERATURE,
    Metric.RESPIRATION, Metric.GLUCOSE, Metric.WEIGHT, Metric.HEIGHT, Metric.OXYGEN_FLOW, Metric.CONSCIOUSNESS,
)  # fmt: skip
"""The metrics shown huge, in this order; every other metric stands below them, small."""


def number_text(value: Decimal | float, t: Say) -> str:
    """A number in the reader's notation: a comma in Vietnamese."""
    text = format(value, "f") if isinstance(value, Decimal) else f"{value:g}" if isinstance(value, float) else str(value)
    return t(text.replace(".", ","), text)


def status_words(status: int, t: Say, leave: Status = Status(0)) -> tuple[str, ...]:
    """The flags of a status as words, those of `leave` left out."""
    return tuple(t(*STATUSES[flag]) for flag in STATUS_WORDS if status & flag and not leave & flag)


_RANGES: dict[Metric, tuple[Metric, Metric]] = {
    Metric.SPO2: (Metric.SPO2_LOW, Metric.SPO2_HIGH),
    Metric.PULSE_RATE: (Metric.PULSE_LOW, Metric.PULSE_HIGH),
}
"""The metrics that say how far another one moved during the measurement: shown with it."""


def _value(one: Numeric, it: Reading, t: Say) -> Value:
    row, number = TABLE[one.metric], one.number
    spoken = coded_text(one.metric, one.value, t)
    text = "" if number is None else spoken or number_text(number, t)
    ends = [it.value(metric) for metric in _RANGES.get(one.metric, ())]
    low_high = [number_text(end, t) for end in ends if end is not None]
    moved = t("từ ", "from ") + t(" đến ", " to ").join(low_high) if len(low_high) == 2 else ""
    unit = "" if spoken else t(row.unit_vi, row.unit)
    return Value(one.metric.name, t(row.vi, row.en), text, unit, status_words(one.status, t, Status.TEST_DATA), moved, bool(spoken))


def coded_text(metric: Metric, value: int | None, t: Say) -> str:
    """The words that a value stands for: ``V – Đáp ứng khi gọi``; empty for a number like any other."""
    found = coded(metric, value)
    return "" if found is None else " – ".join(part for part in (found.letter, t(found.vi, found.en)) if part)


def own_time(it: Reading, ahead: int | None, t: Say) -> tuple[str, ...]:
    """What must be said about a record from a device's memory: the device's own time as it was said, how far its clock is off, doubts.

    `ahead` is the measured distance in seconds, None where the device was not asked. Nothing is corrected.
    """
    if it.source is not Source.MEMORY:
        return ()
    said = (it.device_time or "").replace("T", " ")
    words = [t(f"giờ trên máy đo: {said}", f"the device's own time: {said}")] if said else []
    if ahead is not None and abs(ahead) >= OFF_S:
        off = span(abs(ahead) * 10, t)
        fast = t("nhanh", "ahead") if ahead > 0 else t("chậm", "behind")
        words.append(t(f"giờ trên máy đo lệch {off} ({fast})", f"the device's clock is {off} {fast}"))
    why = doubt(it, ahead)
    return (*words, t(*DOUBTS[why])) if why else tuple(words)


OFF_S = 60
"""A clock that is off by less than this is right: such devices show whole minutes."""
DOUBTS: dict[str, Pair] = {
    NO_DATE: ("máy đo không nói ngày giờ", "the device gives no date"),
    DEAD_CLOCK: ("ngày trên máy đo không thể đúng: đồng hồ của máy chưa chỉnh", "the device's date cannot be right: clock not set"),
    FUTURE: ("ngày trên máy đo nằm ở tương lai", "the device's date lies in the future"),
}
"""What is the matter with a device's time, in words."""


def reading(it: Reading, device: str, now: int, t: Say, marks: int = 0, ahead: int | None = None, due: str = "") -> ReadingShown:
    """A reading for the screen. `device` is the name people know the device by, `marks` say how it came to its patient.

    `ahead`: by how many seconds the device's clock was off when its memory was read, where that is known. `due`: the date until
    which the device's calibration is good (``2026-05-01``), empty where that is not known.
    """
    by_rank = sorted(it.numerics, key=lambda one: MAIN.index(one.metric) if one.metric in MAIN else len(MAIN) + one.metric)
    ranges = {metric for one in it.numerics for metric in _RANGES.get(one.metric, ())}
    shown = [(one.metric in MAIN, _value(one, it, t)) for one in by_rank if one.metric not in ranges]
    missing = [value.label for _main, value in shown if not value.text]
    return ReadingShown(
        values=tuple(value for main, value in shown if main),
        details=tuple(value for main, value in shown if not main),
        headline=headline(it, t),
        missing=t("Thiếu: ", "Missing: ") + ", ".join(missing) if missing else "",
        at=second(it.stamp.wall, now),
        device=device,
        source=t(*SOURCES[it.source]),
        said=status_words(it.status, t, Status.NOT_AVAILABLE)
        + mark_words(marks, t)
        + _made_words(it, t)
        + own_time(it, ahead, t)
        + overdue(it.stamp.wall, due, t),
        test_data=bool(it.status & (Status.TEST_DATA | Status.DEMO_DATA)),
    )


def _made_words(it: Reading, t: Say) -> tuple[str, ...]:
    """How a person made the value, where that has to be said: over how long breaths were counted."""
    words = t(*HAND_RULES.get(it.rule, ("", ""))) if it.source is Source.MANUAL else ""
    return (words,) if words else ()


def overdue(wall: int, due: str, t: Say) -> tuple[str, ...]:
    """Beside a value measured at `wall`: the device was to be calibrated before. It is said and blocks nothing."""
    try:
        last = date.fromisoformat(due)
    except ValueError:
        return ()
    if local(wall).date() <= last:
        return ()
    return (t(f"quá hạn hiệu chuẩn từ {last:%d/%m/%Y}", f"calibration overdue since {last:%d/%m/%Y}"),)


def headline(it: Reading, t: Say) -> str:
    """A reading in one line, as nurses write it: ``115/74 mmHg · Mạch 85 lần/phút``. Missing parts are a dash with their name."""
    parts = []
    systolic, diastolic = it.value(Metric.SYSTOLIC), it.value(Metric.DIASTOLIC)
    metrics = [one.metric for one in it.numerics]
    if Metric.SYSTOLIC in metrics:
        parts.append(f"{_or_dash(systolic, t)}/{_or_dash(diastolic, t)} mmHg")
    for metric in MAIN:
        if metric in metrics and metric not in (Metric.SYSTOLIC, Metric.DIASTOLIC):
            row = TABLE[metric]
            unit = t(row.unit_vi, row.unit)
            gap = "" if unit == "%" else " "
            number = it.value(metric)
            value = next(one.value for one in it.numerics if one.metric is metric)
            if spoken := coded_text(metric, value, t):
                parts.append(f"{t(row.vi, row.en)}: {spoken}")
                continue
            parts.append(f"{t(row.vi, row.en)} {_or_dash(number, t)}{gap + unit if number is not None else ''}")
    return " · ".join(parts)


def _or_dash(number: Decimal | None, t: Say) -> str:
    return "—" if number is None else number_text(number, t)


_FLAGS = Status.INVALID | Status.QUESTIONABLE | Status.CALIBRATION_ONGOING | Status.IN_ALARM


def questions(it: Reading, t: Say) -> tuple[str, ...]:
    """Why *đo lại / giữ* is asked: instability, low perfusion, a device flag, a broken relation between values (decision 21).

    Never because a value is clinically low or high.
    """
    asked: list[str] = []
    for flag in STATUS_WORDS:
        flagged = [TABLE[one.metric] for one in it.numerics if one.status & _FLAGS & flag and one.metric in MAIN]
        if flagged:
            asked.append(", ".join(t(row.vi, row.en) for row in flagged) + ": " + t(*STATUSES[flag]))
    systolic, mean, diastolic = (it.value(metric) for metric in (Metric.SYSTOLIC, Metric.MEAN, Metric.DIASTOLIC))
    if systolic is not None and mean is not None and diastolic is not None and not diastolic < mean < systolic:
        asked.append(
            t("Huyết áp trung bình không nằm giữa tâm thu và tâm trương", "The mean pressure does not lie between systolic and diastolic")
        )
    return tuple(asked)


def mark_words(marks: int, t: Say) -> tuple[str, ...]:
    """What must be said about how an observation came to its patient."""
    rows = ((Marks.LATE, ("gán sau", "assigned later")), (Marks.KEPT, ("giữ dù máy hỏi lại", "kept although asked to repeat")))
    return tuple(t(*words) for mark, words in rows if marks & mark)


# --- the moving number --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LiveShown:
    """The live view of a device. `numbers` holds text by metric name, empty = no value; with `lost` all are empty."""

    state: str
    text: str
    lost: bool
    numbers: dict[str, str]
    pressure: str
    signal: int | None
    note: str
    cuff_off: bool
    inflated: bool
    test_data: bool


def is_lost(data: Mapping[str, Any] | None, boottime_ns: int) -> bool:
    """True when nothing in a live file may be shown: no file, older than 2 s, or the device is not connected."""
    if data is None or not isinstance(data.get("boottime_ns"), int) or boottime_ns - data["boottime_ns"] > LIVE_LIMIT_NS:
        return True
    return data.get("state") not in ("ready", "measuring", "identifying", "stale")


def live(
    data: Mapping[str, Any] | None,
    boottime_ns: int,
    metrics: Sequence[Metric],
    t: Say,
    *,
    session: int | None = None,
    inflated: bool = False,
) -> LiveShown:
    """What the measuring page of `session` shows of a live file. `inflated` says that the cuff held air when it was last heard.

    What began before this session (a finger that was in the probe already) is not shown as this patient's.

    The last value never stays on the screen: stale, lost and *no value* each clear the numbers and say what is the matter.
    """
    lost, row = is_lost(data, boottime_ns), data or {}
    state = str(row.get("state", "absent"))
    if lost and state in ("ready", "measuring", "identifying", "stale"):
        state = "lost"
    signals = row.get("signals") or {}
    pressure = signals.get("cuff_pressure")
    seen = {each["metric"]: each for each in row.get("numerics") or () if each.get("value") is not None}
    stray = not lost and state == "measuring" and session is not None and row.get("session") != session
    quiet = lost or stray or state == "stale" or bool(row.get("invalid"))
    held = not lost and isinstance(pressure, int) and pressure > CUFF_EMPTY_MMHG
    died = lost and (inflated or (isinstance(pressure, int) and pressure > CUFF_EMPTY_MMHG))
    return LiveShown(
        state=state,
        text=t(*STATES["lost"]) if state == "lost" else pair(STATES, state, t, ("Trạng thái máy", "Device state")),
        lost=lost,
        numbers={m.name: number_text(seen[m.name]["value"], t) if not quiet and m.name in seen else "" for m in metrics},
        pressure="" if lost or pressure is None else str(pressure),
        signal=None if lost or row.get("invalid") in _NO_FINGER or signals.get("pleth") is None else int(signals["pleth"]),
        note=t(*_STRAY) if stray else _note(row, t, lost=lost),
        cuff_off=died or row.get("message") == TAKE_OFF,
        inflated=held,
        test_data=bool(row.get("test_data")),
    )


_NO_FINGER = frozenset({"probe-error", "finger-out", "sensor-off"})
"""Reasons with which a device's signal is no pulse."""

_STRAY: Pair = (
    "Lần đo này bắt đầu trước khi xác nhận người bệnh nên không tính. Lấy máy ra, rồi đo lại từ đầu.",
    "This measurement began before the patient was confirmed and does not count. Take the device off and start again.",
)


def _note(row: Mapping[str, Any], t: Say, *, lost: bool) -> str:
    """The one thing to say beside the numbers: why there are none, else what the collector has to tell (of a lost device only that)."""
    word = (not lost and row.get("invalid")) or row.get("message") or ""
    return invalid(str(word), t) if word and word != TAKE_OFF else ""


# --- how far a request has come -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the receipt line. `at` is empty when it is not known, `done` only when it is true."""

    name: str
    text: str
    at: str
    done: bool


def receipt_steps(marks: Mapping[str, int | None], now: int, t: Say) -> tuple[Step, ...]:
    """``đã lưu → đã lên máy chủ → bác sĩ đã mở → đã trả lời → đã đọc`` out of the times of saved, received, opened, answered, read.

    A step is done by its own mark. A doctor cannot open what is not on the server, nor answer what is not open: a later
    mark shows the earlier steps as done without inventing their time. Nothing is ever derived forwards.
    """
    rows = (
        ("saved", t("đã lưu", "saved")),
        ("received", t("đã lên máy chủ", "on the server")),
        ("opened", t("bác sĩ đã mở", "opened by a doctor")),
        ("answered", t("đã trả lời", "answered")),
        ("read", t("đã đọc", "read")),
    )
    last = max((at for at, (name, _text) in enumerate(rows) if marks.get(name) is not None), default=-1)
    return tuple(Step(name, text, moment(marks.get(name), now), at <= last) for at, (name, text) in enumerate(rows))


# --- the status bar -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Queue:
    """The way up in numbers: rows not yet receipted by the bridge, of those on their way, the oldest one's time, what was set aside.

    `online` means that our bridge answers, not that some network is there. `received` is the time of the last receipt.
    """

    waiting: int = 0
    oldest: int | None = None
    quarantined: int = 0
    online: bool = False
    received: int | None = None
    retry: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """The status bar: one sentence and a look (``sent``, ``sending``, ``waiting`` grey, ``error`` yellow)."""

    look: str
    text: str
    more: str
    quarantine: str


_AT_ONCE = 100
"""Tenths of a second that need no saying: a row that is younger is simply on its way."""


def bar(queue: Queue, most: int, now: int, t: Say) -> Bar:
    """The sentence about the way up. `most` is the longest the queue has been since it was last empty.

    It says *sent* only for what the bridge's receipt covers.
    """
    aside = t(f"Cần kiểm tra {queue.quarantined} mục", f"{queue.quarantined} to check") if queue.quarantined else ""
    oldest = ""
    if queue.waiting and queue.oldest is not None and now - queue.oldest >= _AT_ONCE:
        oldest = t(f"lâu nhất {span(now - queue.oldest, t)}", f"oldest {span(now - queue.oldest, t)}")
    heard = "" if queue.received is None else ago(queue.received, now, t)
    if queue.error and queue.waiting and not queue.online:
        again = "" if queue.retry is None else t(f" — thử lại lúc {moment(queue.retry, now)}", f" — next try at {moment(queue.retry, now)}")
        return Bar("error", t("Gửi lỗi", "Sending failed") + again, oldest, aside)
    if queue.waiting and not queue.online:
        n = queue.waiting
        text = t(f"Chờ mạng — {n} mục đã lưu an toàn tại trạm", f"Waiting for network — {n} saved safely here")
        return Bar("waiting", text, oldest, aside)
    if queue.waiting:
        most = max(most, queue.waiting)
        return Bar("sending", t(f"Đang gửi {most - queue.waiting}/{most}", f"Sending {most - queue.waiting}/{most}"), oldest, aside)
    if not queue.online:
        return Bar("waiting", t("Chờ mạng — không có gì phải gửi", "Waiting for network — nothing to send"), heard, aside)
    return Bar("sent", t("Đã gửi hết", "All sent") + (f" · {heard}" if heard else ""), "", aside)


# --- emergency ----------------------------------------------------------------------------------------------------------------------

EMERGENCY_NUMBER = "115"
"""Viet Nam's ambulance."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The unseen-emergency screen (decision 23): no patient on it, readable across the room, needs no link."""

    consult: int
    code: str
    kind: str
    since: str
    duty: str
    text: str
    acknowledged: bool


_TEXTED: dict[str, Pair] = {
    "waiting": ("Tin nhắn SMS: đang chờ sóng điện thoại", "Text message: waiting for the telephone network"),
    "sent": ("Tin nhắn SMS: đã gửi đi, chưa ai xác nhận", "Text message: sent, nobody has confirmed it"),
    "acknowledged": ("Tin nhắn SMS: máy chủ xác nhận đã nhận lúc {at}", "Text message: the server confirmed it at {at}"),
    "failed": ("Tin nhắn SMS KHÔNG tới: chỉ còn gọi điện thoại", "The text message did NOT arrive: only the telephone is left"),
    "needless": ("Đường truyền đã đưa lời báo đi, không cần tin nhắn", "The line has carried the call, no text message was needed"),
}


def texted(state: str, acknowledged: int | None, now: int, t: Say) -> str:
    """How far the text message of a press has come; empty where none was raised. Sent is not arrived, and the words say so."""
    vi, en = _TEXTED.get(state, ("", ""))
    at = moment(acknowledged, now) if acknowledged is not None else ""
    return t(vi.format(at=at), en.format(at=at))


_UNSEEN: dict[str, Pair] = {
    "unreceived": ("chưa tới máy chủ", "not on the server"),
    "set-aside": ("máy chủ không đọc được", "the server could not read it"),
    "unopened": ("chưa bác sĩ nào mở", "no doctor has opened it"),
}


def alarm(consult: int, why: str, waited_s: int | None, urgency: Urgency, duty: tuple[str, str], t: Say, *, acknowledged: bool) -> Alarm:
    """The words of the screen. `duty` is (name, number) of the settings; without a number only 115 stands there."""
    name, phone = duty
    whole = phone.replace(" ", "\u00a0").replace(",\u00a0", ", ")  # a number that is read aloud is not broken over two lines
    numbers = f"{whole}, {EMERGENCY_NUMBER}" if phone else EMERGENCY_NUMBER
    text = t(f"CHƯA AI XEM. Gọi ngay: {numbers}. Không chờ phần mềm.", f"NOBODY HAS SEEN IT. Call now: {numbers}. Do not wait for it.")
    since = t("đã chờ từ trước khi máy khởi động lại", "waiting since before the restart")
    if waited_s is not None:
        since = t("đã chờ ", "waiting ") + span(waited_s * 10, t)
    reason = t(*_UNSEEN[why]) if why in _UNSEEN else why
    return Alarm(consult, spell(consult), t(*URGENCIES[urgency]), f"{reason} · {since}", name, text, acknowledged)


def squares(text: str) -> dict[str, Any]:
    """A QR code as an SVG path: `size` modules a side with a border of four (ISO/IEC 18004), `path` the dark ones."""
    import segno  # 2 MiB that only such a page needs

    matrix = segno.make(text, error="m", micro=False).matrix
    path = "".join(f"M{x + 4} {y + 4}h1v1h-1z" for y, row in enumerate(matrix) for x, dark in enumerate(row) if dark)
    return {"size": len(matrix) + 8, "path": path}
