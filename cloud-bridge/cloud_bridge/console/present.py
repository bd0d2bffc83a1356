"""What the pages show, computed from rows. Pure: no clock, no database, no Flask.

Values are shown as measured, each with device, time, clock quality and source. Nothing is graded, coloured or compared
with a limit (decision 22); what is missing is named, never shown as 0. Times are tenths of a second since 1970 and are
shown in Viet Nam's time (UTC+7, the whole year).
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from appliance.contract import guided
from appliance.contract.duplicates import DEAD_CLOCK, FUTURE, NO_DATE, doubt, measured_at, twins
from appliance.contract.events import Allergies, Identity, Marks, Sex, Urgency
from appliance.contract.guided import HAND_RULES, Arm, Cuff, Posture, Unrested
from appliance.contract.identifiers import station_text
from appliance.contract.ids import spell
from appliance.contract.metrics import TABLE, Metric, Status, coded
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Source
from cloud_bridge.console.words import ALLERGIES, CLOCKS, KINDS, SEXES, SOURCES, STATUSES, Say
from cloud_bridge.store.completeness import Completeness
from cloud_bridge.store.consults import Consult
from cloud_bridge.store.devices import Names
from cloud_bridge.store.observations import Observation
from cloud_bridge.store.pressures import Average, Taken
from cloud_bridge.store.series import Wave

ZONE = timezone(timedelta(hours=7), "+07")
_LAST = 2_533_706_784_000
"""The end of the year 9998 in tenths: what datetime can show in every zone."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
GAP = 12 * 36_000
"""Two readings further apart than this (12 hours) are not joined by a line: nobody knows what was between them."""
TWIN = 900
"""A live and a memory copy of one measurement are at most 90 s apart (decision 3)."""
EXPECTED: Mapping[ReadingKind, tuple[Metric, ...]] = {
    ReadingKind.SPO2: (Metric.SPO2, Metric.PULSE_RATE),
    ReadingKind.BLOOD_PRESSURE: (Metric.SYSTOLIC, Metric.DIASTOLIC),
    ReadingKind.TEMPERATURE: (Metric.TEMPERATURE,),
    ReadingKind.GLUCOSE: (Metric.GLUCOSE,),
    ReadingKind.WEIGHT: (Metric.WEIGHT,),
}
"""What a reading of a kind is for: without it the reading says by name what it lacks."""
VITALS = (Metric.SYSTOLIC, Metric.SPO2, Metric.PULSE_RATE, Metric.TEMPERATURE, Metric.RESPIRATION)
"""What a request is asked to have; the page names what it has not (systolic stands for the blood pressure)."""
SURE = 600
"""A time that may be off by less than a minute is shown without its error, in tenths."""
_UNITS = ((600, 120, "phút", "min"), (36_000, 48, "giờ", "h"), (864_000, 60, "ngày", "days"), (315_576_000, 99, "năm", "years"))
"""Tenths of a unit, how many of it are said before the next one, its name."""
_PRESSURE = (Metric.SYSTOLIC, Metric.DIASTOLIC)
_SAID = Status.TEST_DATA | Status.NOT_AVAILABLE
"""Statuses with a place of their own on the page, so that the notes do not repeat them."""


# --- time ---------------------------------------------------------------------------------------------------------------------------


def local(tenths: int) -> datetime:
    """Viet Nam's wall time of a moment; a box's clock outside of 1970-9998 is shown as the nearest of these."""
    return datetime.fromtimestamp(min(max(tenths, 0), _LAST) / 10, UTC).astimezone(ZONE)


def clock(tenths: int) -> str:
    """``10:32:05``: with seconds, since two readings in one minute are legal and must be told apart."""
    return f"{local(tenths):%H:%M:%S}"


def day(tenths: int) -> str:
    """``28/05/2026``."""
    return f"{local(tenths):%d/%m/%Y}"


def moment(tenths: int | None, now: int) -> str:
    """``10:05`` today, ``10:05 30/04`` this year, else with the year; empty for None."""
    if tenths is None:
        return ""
    at, today = local(tenths), local(now)
    if at.date() == today.date():
        return f"{at:%H:%M}"
    return f"{at:%H:%M %d/%m}" if at.year == today.year else f"{at:%H:%M %d/%m/%Y}"


def waited(tenths: int) -> str:
    """A waiting time: ``4:05`` minutes and seconds, from one hour on ``1:04:05``, from one day on ``2 d 1:04:05``."""
    seconds = max(0, tenths // 10)
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    text = f"{hours}:{minutes:02d}:{left:02d}" if hours or days else f"{minutes}:{left:02d}"
    return f"{days} d {text}" if days else text


def pressing(urgency: Urgency, tenths: int, limit_s: int) -> str:
    """How a waiting time looks: ``late`` from the limit on, ``soon`` from half of it, for emergencies alone; else ``calm``.

    It colours a waiting time, never a vital sign. The limit is the one after which the station's screen says that nobody
    has looked (decision 23).
    """
    if urgency is not Urgency.EMERGENCY:
        return "calm"
    return "late" if tenths >= limit_s * 10 else "soon" if tenths >= limit_s * 5 else "calm"


# --- who ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Banner:
    """The patient banner (NHS CUI): family name first, values heavier than labels, *Không rõ* and never a question mark."""

    name: str
    birth: str
    age: str
    sex: str
    id_label: str
    id_text: str
    more: tuple[tuple[str, str], ...]
    allergies: str
    allergic: bool
    asked: bool


def unknown(t: Say) -> str:
    """The word for what nobody knows."""
    return t("Không rõ", "Unknown")


def birth_text(birth: str, t: Say) -> str:
    """dd-Mmm-yyyy, so that day and month are never exchanged: ``30-Thg4-1961``; the year alone where that is all."""
    parts = birth.split("-") if birth else []
    if not parts:
        return unknown(t)
    if len(parts) == 1:
        return parts[0]
    month = t(f"Thg{int(parts[1])}", _MONTHS[int(parts[1]) - 1])
    return "-".join([*parts[2:], month, parts[0]])


def age_text(birth: str, today: date, t: Say) -> str:
    """Days up to a month, months up to two years, else years; *khoảng* where the day of birth is not known."""
    parts = [int(part) for part in birth.split("-")] if birth else []
    if not parts:
        return t("tuổi không rõ", "age unknown")
    if len(parts) < 3:
        return t(f"khoảng {today.year - parts[0]} tuổi", f"about {today.year - parts[0]} years")
    born = date(*parts)
    months = (today.year - born.year) * 12 + today.month - born.month - (today.day < born.day)
    if months < 1:
        return t(f"{max(0, (today - born).days)} ngày tuổi", f"{max(0, (today - born).days)} days")
    if months < 24:
        return t(f"{months} tháng tuổi", f"{months} months")
    return t(f"{months // 12} tuổi", f"{months // 12} years")


def grouped(number: str) -> str:
    """A number in groups that can be read aloud: 10 digits 3-3-4, 12 digits 3-3-3-3, a legacy BHYT number as printed.

    >>> grouped("0123456789"), grouped("001061012345"), grouped("DN4010123456789")
    ('012 345 6789', '001 061 012 345', 'DN 4 01 012 345 6789')
    """
    sizes = {10: (3, 3, 4), 12: (3, 3, 3, 3), 15: (2, 1, 2, 3, 3, 4)}.get(len(number), (len(number),))
    groups, at = [], 0
    for size in sizes:
        groups.append(number[at : at + size])
        at += size
    return " ".join(groups)


def banner(who: Identity, today: date, t: Say) -> Banner:
    """The banner of a patient; without CCCD and BHYT it shows the station's own number, as the station's screen and slip write it."""
    ids = [("CCCD", grouped(who.cccd)), ("BHYT", grouped(who.bhyt)), (t("Số tại trạm", "Station no."), who.station_number)]
    given = [one for one in ids if one[1]] or [(t("Mã tại trạm", "Station code"), station_text(who.patient))]
    more = [*given[1:], (t("Điện thoại", "Phone"), who.phone), (t("Thôn, bản", "Village"), who.village)]
    known = who.allergies is Allergies.KNOWN
    return Banner(
        name=who.name or unknown(t), birth=_birth(who, t), age=_age(who, today, t), sex=t(*SEXES.get(who.sex, SEXES[Sex.UNKNOWN])),
        id_label=given[0][0], id_text=given[0][1], more=tuple(one for one in more if one[1]),
        allergies=who.allergy_text if known and who.allergy_text else t(*ALLERGIES[who.allergies]), allergic=known,
        asked=who.allergies is not Allergies.UNKNOWN,
    )  # fmt: skip


def _birth(who: Identity, t: Say) -> str:
    try:
        return birth_text(who.birth, t)
    except (ValueError, IndexError):  # a station's typing slip is shown as it is, not hidden
        return who.birth


def _age(who: Identity, today: date, t: Say) -> str:
    try:
        return age_text(who.birth, today, t)
    except ValueError:
        return age_text("", today, t)


# --- what was measured --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Value:
    """One number with its unit; `text` is empty when there is none, and `why` then says so."""

    label: str
    text: str
    unit: str
    why: str = ""
    main: bool = False


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """A reading as the table shows it."""

    key: str
    values: tuple[Value, ...]
    missing: tuple[str, ...]
    device: str
    source: str
    clock: str
    day: str
    quality: str
    certain: bool
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    test_data: bool
    struck: bool
    cited: bool
    late: str
    copies: int
    wave: "WaveShown | None" = None


def number_text(numeric: Numeric, t: Say) -> str:
    """The value with as many decimals as it was measured with: ``37,2`` in Vietnamese, ``37.2`` in English."""
    number, spoken = numeric.number, coded(numeric.metric, numeric.value)
    assert number is not None
    if spoken is not None:
        return " – ".join(part for part in (spoken.letter, t(spoken.vi, spoken.en)) if part)
    return format(number, f".{numeric.scale}f").replace(".", t(",", "."))


def values(reading: Reading, t: Say) -> tuple[Value, ...]:
    """The numbers of a reading, the two of a blood pressure as one pair; metrics of a measuring window come last."""
    by_metric = {numeric.metric: numeric for numeric in reading.numerics}
    shown: list[Value] = []
    if any(metric in by_metric for metric in _PRESSURE):
        shown.append(_pair(by_metric, t))
    main = EXPECTED.get(reading.kind, ())
    rest = [numeric for numeric in reading.numerics if numeric.metric not in _PRESSURE]
    for numeric in sorted(rest, key=lambda one: (one.metric not in main, TABLE[one.metric].of is not None)):
        row = TABLE[numeric.metric]
        text = number_text(numeric, t) if numeric.value is not None else ""
        unit = "" if coded(numeric.metric, numeric.value) else t(row.unit_vi, row.unit)
        shown.append(Value(t(row.vi, row.en), text, unit, _why(numeric, t), numeric.metric in main))
    return tuple(shown)


def _pair(by_metric: Mapping[Metric, Numeric], t: Say) -> Value:
    parts = [by_metric.get(metric) for metric in _PRESSURE]
    texts = [number_text(one, t) if one is not None and one.value is not None else "" for one in parts]
    unit = TABLE[Metric.SYSTOLIC].unit
    label = t(*KINDS[ReadingKind.BLOOD_PRESSURE])
    if all(texts):
        return Value(label, "/".join(texts), unit, "", True)
    if not any(texts):
        return Value(label, "", unit, t("không có giá trị", "no value"), True)
    names = [t(TABLE[metric].vi, TABLE[metric].en) for metric in _PRESSURE]
    there, lacking = (0, 1) if texts[0] else (1, 0)
    why = t(f"{names[lacking].lower()}: không có giá trị", f"{names[lacking].lower()}: no value")
    return Value(names[there], texts[there], unit, why, True)


def _why(numeric: Numeric, t: Say) -> str:
    if numeric.value is not None:
        return ""
    said = [t(*STATUSES[flag]) for flag in STATUSES if numeric.status & flag and not flag & _SAID]
    return ", ".join([t("không có giá trị", "no value"), *said])


def missing(reading: Reading, t: Say) -> tuple[str, ...]:
    """The names of what a reading of this kind is for and does not even mention."""
    there = {numeric.metric for numeric in reading.numerics}
    return tuple(t(TABLE[metric].vi, TABLE[metric].en) for metric in EXPECTED.get(reading.kind, ()) if metric not in there)


def taken_pair(how: Taken) -> tuple[str, str]:
    """How a pressure was taken, in Vietnamese and English; a choice of a later version is left out."""
    known = [kind(value) if value in set(kind) else kind(0) for kind, value in ((Posture, how.posture), (Arm, how.arm), (Cuff, how.cuff))]
    why = Unrested(how.unrested) if how.unrested in set(Unrested) else Unrested.OTHER
    return guided.taken_pair(Posture(known[0]), Arm(known[1]), Cuff(known[2]), how.rested, why)


def mean_text(mean: Average, t: Say) -> str:
    """The mean of a series with what must stand beside it: ``147,5/88,5 mmHg, trung bình của 2 lần (quy tắc 1: …)``."""
    high, low = (f"{value / 10:g}".replace(".", t(",", ".")) for value in (mean.systolic, mean.diastolic))
    return f"{high}/{low} mmHg, {t(*guided.mean_pair(mean.rule, mean.used))}"


def not_measured(readings: Sequence[Reading], t: Say) -> tuple[str, ...]:
    """The vital signs that none of these readings has a value for, by name."""
    there = {numeric.metric for reading in readings for numeric in reading.numerics if numeric.value is not None}
    names = {Metric.SYSTOLIC: t(*KINDS[ReadingKind.BLOOD_PRESSURE])}
    return tuple(names.get(metric, t(TABLE[metric].vi, TABLE[metric].en)) for metric in VITALS if metric not in there)


def reading_row(
    one: Observation, patient: int, devices: Mapping[int, str], t: Say, *, cited: bool = False, late: str = "", copies: int = 1,
    ahead: int | None = None, wave: Wave | None = None,
) -> ReadingRow:  # fmt: skip
    """A reading of a patient's page. `ahead`: by how many seconds its device's clock was off; `wave`: what was sent along with it."""
    reading = one.reading
    stamp = reading.stamp
    notes = [t(*STATUSES[flag]) for flag in STATUSES if reading.status & flag and not flag & _SAID]
    if one.marks & Marks.LATE:
        notes.append(t("gán sau", "assigned later"))
    if one.marks & Marks.KEPT:
        notes.append(t("trạm giữ dù máy hỏi đo lại", "kept although asked to measure again"))
    notes += own_time(reading, ahead, t)
    overdue = _overdue(devices, reading.device, one.when, t)
    if overdue:
        notes.append(overdue)
    if copies > 1:
        notes.append(t(f"{copies} bản của cùng một lần đo", f"{copies} copies of one measurement"))
    if reading.source is Source.MANUAL and any(HAND_RULES.get(reading.rule, ("", ""))):
        notes.append(t(*HAND_RULES[reading.rule]))
    by_hand = t("không có máy", "no device") if reading.source is Source.MANUAL else ""
    return ReadingRow(
        key=one.key.hex(), values=values(reading, t), missing=missing(reading, t),
        device=devices.get(reading.device) or by_hand or t(f"máy {spell(reading.device)}", f"device {spell(reading.device)}"),
        source=t(*SOURCES[reading.source]), clock=clock(one.when), day=day(one.when), quality=quality_text(one, t),
        certain=bool(stamp.quality) and one.bar < SURE, notes=tuple(notes), warnings=tuple(warnings(one, patient, t)),
        test_data=bool(reading.status & Status.TEST_DATA), struck=not one.stands_for(patient), cited=cited, late=late, copies=copies,
        wave=wave_shown(wave),
    )  # fmt: skip


def _overdue(devices: Mapping[int, str], device: int, when: int, t: Say) -> str:
    """Beside the value: the device was to be calibrated before it measured this. It blocks nothing."""
    due = devices.due.get(device, "") if isinstance(devices, Names) else ""
    try:
        last = date.fromisoformat(due)
    except ValueError:
        return ""
    if local(when).date() <= last:
        return ""
    return t(f"quá hạn hiệu chuẩn từ {last:%d/%m/%Y}", f"calibration overdue since {last:%d/%m/%Y}")


OFF_S = 60
"""A device's clock that is off by less than this is right: such devices show whole minutes."""
DOUBTS = {
    NO_DATE: ("máy đo không nói ngày giờ", "the device gives no date"),
    DEAD_CLOCK: ("ngày trên máy đo không thể đúng", "the device's date cannot be right"),
    FUTURE: ("ngày trên máy đo nằm ở tương lai", "the device's date lies in the future"),
}


def own_time(reading: Reading, ahead: int | None, t: Say) -> list[str]:
    """What must be said about a record of a device's memory: its own time, how far its clock was off, doubts. Nothing is corrected."""
    if reading.source is not Source.MEMORY:
        return []
    said = []
    if reading.device_time:
        said.append(t(f"giờ của máy đo: {reading.device_time}", f"device's own time: {reading.device_time}"))
    if ahead is not None and abs(ahead) >= OFF_S:
        minutes = round(abs(ahead) / 60)
        size, vi, en = next(row for row in ((1440, "ngày", "d"), (60, "giờ", "h"), (1, "phút", "min")) if minutes >= row[0])
        way = t("nhanh", "ahead") if ahead > 0 else t("chậm", "behind")
        said.append(t(f"giờ trên máy đo lệch {minutes // size} {vi} ({way})", f"the device's clock is {minutes // size} {en} {way}"))
    why = doubt(reading, ahead)
    return [*said, t(*DOUBTS[why])] if why else said


@dataclass(frozen=True, slots=True)
class WaveShown:
    """A pulse wave as the page draws it: points of a line in a box of `width` × 60, one row a second of SpO2 and pulse beside it."""

    points: str
    width: int
    seconds: int
    spo2: str
    pulse: str


_HEIGHT = 60
_A_SECOND = 20
"""Units of the box and points of the line for each second: finer is not seen."""


def wave_shown(wave: Wave | None) -> WaveShown | None:
    """The line of a strip, stretched to the box's height as every monitor does: a pulse wave has no unit. None where nothing was sent."""
    if wave is None or (wave.wave is None and wave.spo2 is None):
        return None
    seconds, points = 0, ""
    if wave.wave is not None and wave.wave.samples:
        low, high = min(wave.wave.samples), max(wave.wave.samples)
        step, count = max(1, wave.wave.rate // _A_SECOND), len(wave.wave.samples)
        seconds = round(count / wave.wave.rate)
        points = " ".join(
            f"{at * _A_SECOND / wave.wave.rate:.0f},{_HEIGHT - (wave.wave.samples[at] - low) * _HEIGHT / max(1, high - low):.0f}"
            for at in range(0, count, step)
        )
    said = [_span(one.samples) if one is not None else "" for one in (wave.spo2, wave.pulse)]
    return WaveShown(points, max(1, seconds) * _A_SECOND, seconds or len(wave.spo2.samples if wave.spo2 else ()), said[0], said[1])


def _span(samples: Sequence[int]) -> str:
    """The values of a series once a second: lowest to highest, seconds without a value left out."""
    there = [one for one in samples if one]
    return f"{min(there)}–{max(there)}" if there else ""


def bar_text(tenths: int, t: Say) -> str:
    """How far a time may be off, rounded up: ``± 3 phút``; empty below a minute."""
    if tenths < SURE:
        return ""
    for unit, most, vi, en in _UNITS:
        count = -(-tenths // unit)
        if count <= most:
            return f"± {count} {t(vi, en)}"
    return t("± nhiều năm", "± many years")


def quality_text(one: Observation, t: Say) -> str:
    """What the time of a reading is worth, in words."""
    quality = one.reading.stamp.quality
    bar = bar_text(one.bar, t)
    if one.at is None or (quality is ClockQuality.SYNCED and not bar):
        return t(*CLOCKS[quality])
    words = CLOCKS[quality]
    if one.anchored:
        words = ("giờ đã chỉnh", "time corrected")
    elif quality is ClockQuality.UNKNOWN:
        words = ("giờ của máy trạm chưa chắc", "the station's clock is not certain")
    word = t(*words)
    return f"{word}, {bar}" if bar else word


def attempt(reading: Reading, why: str, wall: int, t: Say) -> str:
    """An attempt that somebody measured again, in one line: when, what the device said, why it was not kept."""
    said = ", ".join(f"{one.label} {one.text} {one.unit}".strip() for one in values(reading, t))
    test = t(" · dữ liệu thử", " · test data") if reading.status & Status.TEST_DATA else ""
    return f"{clock(wall)} {day(wall)} · {said}{test} · {why or t('không ghi lý do', 'no reason given')}"


def warnings(one: Observation, patient: int, t: Say) -> list[str]:
    """What speaks against a reading, as sentences."""
    said = []
    if one.disputed:
        said.append(
            t(
                "Lần đo này được gán cho hai người. Chưa thuộc về ai; hãy hỏi trạm.",
                "Claimed for two people. It belongs to nobody yet; ask the station.",
            )
        )
    if one.in_error is not None:
        said.append(t(f"Trạm báo ghi nhầm: {one.in_error}", f"Entered in error, says the station: {one.in_error}"))
    if one.moved_to is not None and one.moved_to != patient:
        said.append(t(f"Trạm đã chuyển sang người khác: {one.moved_why}", f"Moved to another person by the station: {one.moved_why}"))
    elif one.moved_to == patient:
        said.append(t(f"Trạm chuyển từ người khác sang: {one.moved_why}", f"Moved here from another person: {one.moved_why}"))
    return said  # fmt: skip


def after_signing(one: Observation, signed: int | None, seen: Collection[bytes], cited: bool, t: Say) -> str:
    """What must be said about a reading that the doctor had not in view when signing; empty for the others."""
    if signed is None or one.key in seen:
        return ""
    if one.when > signed:
        return t("đo sau khi ký", "measured after signing")
    if one.received > signed:
        return t("đến sau khi ký", "arrived after signing")
    return t("không có trên trang lúc ký", "not on the page when signed") if cited else ""


def folded(readings: Sequence[Observation]) -> list[tuple[Observation, int]]:
    """Readings with the number of their copies: a live and a memory copy of one measurement are shown as one (decision 3).

    Copies are of one device and kind, have the same values and lie at most 90 s apart; the live one is shown.
    """
    left = list(readings)
    shown: list[tuple[Observation, int]] = []
    used: set[bytes] = set()
    for one in left:
        if one.key in used:
            continue
        twin = next((other for other in left if other.key not in used and other is not one and _twins(one, other)), None)
        if twin is not None:
            used.add(twin.key)
        used.add(one.key)
        live = twin if twin is not None and twin.reading.source is Source.LIVE else one
        shown.append((live, 1 if twin is None else 2))
    return shown


def _twins(one: Observation, other: Observation) -> bool:
    return twins(one.reading, other.reading, measured(one) - measured(other))


def measured(one: Observation) -> int:
    """When it was measured, in tenths since 1970: by the device's own clock for what comes out of its memory, where that can be read."""
    return measured_at(one.reading, one.when)


# --- the chart ----------------------------------------------------------------------------------------------------------------------

Point = list[float | None]


def trend(readings: Sequence[Observation], patient: int, t: Say) -> dict[str, Any]:
    """The chart's data: per panel its name, unit and points ``[unix seconds, value(s) …, mark]``.

    Values alone, without limits or zones; the mark is 1 for typed in by hand, plus 2 for test data. A reading that does not
    stand is not drawn. Over a gap, between two devices and between test data and what is real stands a point without values,
    so that no line crosses it.
    """
    ordered = sorted((one for one in readings if one.stands_for(patient)), key=measured)
    panels = [
        {"id": "bp", "name": t(*KINDS[ReadingKind.BLOOD_PRESSURE]), "unit": "mmHg", "points": _points(ordered, _PRESSURE),
         "labels": [t(TABLE[metric].vi, TABLE[metric].en) for metric in _PRESSURE]},
        *({"id": metric.name.lower(), "name": t(TABLE[metric].vi, TABLE[metric].en), "unit": t(TABLE[metric].unit_vi, TABLE[metric].unit),
           "points": _points(ordered, (metric,)), "labels": [t(TABLE[metric].vi, TABLE[metric].en)]}
          for metric in (Metric.SPO2, Metric.PULSE_RATE, Metric.TEMPERATURE)),
    ]  # fmt: skip
    return {"panels": [panel for panel in panels if panel["points"]], "time": t("Lúc", "At")}


def _points(readings: Sequence[Observation], metrics: Sequence[Metric]) -> list[Point]:
    points: list[Point] = []
    last: tuple[int, int, bool] | None = None
    for one in readings:
        found = [one.reading.value(metric) for metric in metrics]
        if all(value is None for value in found):
            continue
        at, device, test = measured(one), one.reading.device, bool(one.reading.status & Status.TEST_DATA)
        if last is not None and (at - last[0] > GAP or (device, test) != last[1:]):
            points.append([(last[0] + at) / 20, *[None] * len(metrics), 0])
        points.append([at / 10, *[_float(value) for value in found], int(one.reading.source is Source.MANUAL) + 2 * test])
        last = at, device, test
    return points


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


# --- the way of a request -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the receipt line: `done` with its time, or not yet."""

    name: str
    done: bool
    at: str
    who: str = ""


def stages(found: Consult, names: Mapping[str, str], now: int, t: Say) -> list[Stage]:
    """The receipt line as the bridge sees it; each stage is said only when it is true."""
    rows: list[tuple[str, int | None, str]] = [
        (t("trạm đã lưu", "saved at the station"), found.requested, ""),
        (t("đã lên máy chủ", "received"), found.received, ""),
        (t("bác sĩ đã mở", "opened"), found.opened, names.get(found.opened_by, found.opened_by)),
        (t("đã trả lời", "answered"), found.answered, ""),
        (t("trạm đã hiện", "shown at the station"), found.shown, ""),
        (t("trạm đã đọc", "read at the station"), found.read, found.read_by),
    ]
    return [Stage(name, at is not None, moment(at, now), who) for name, at, who in rows]


SILENT = 18_000
"""Tenths of a second: 30 minutes, twice the longest time between two signs of life of a station (decision 9)."""


@dataclass(frozen=True, slots=True)
class Whole:
    """How complete a station's record is, in sentences. `sure` when nothing that is known to exist is missing."""

    claim: str
    rest: tuple[str, ...]
    heard: str
    sure: bool
    silent: bool


def completeness(found: Completeness, now: int, t: Say) -> Whole:
    """The sentences. They say up to when nothing is missing, and never that nothing newer exists."""
    rest = []
    if found.missing:
        rest.append(t(f"còn {found.missing} mục đang trên đường", f"{found.missing} entries still on their way"))
    if found.unread:
        rest.append(t(f"{found.unread} gói không đọc được, cần người xem", f"{found.unread} messages unreadable, somebody must look"))
    if found.pictures:
        rest.append(t(f"{found.pictures} ảnh đang trên đường", f"{found.pictures} pictures still on their way"))
    if found.restored is not None:
        back = moment(found.restored, now)
        rest.append(
            t(
                f"máy chủ được khôi phục {back}; trạm chưa gửi lại những gì sau bản sao dự phòng",
                f"this server was restored {back}; the station has not sent again what came after the backup",
            )
        )
    if not found.certain:
        rest.append(t("giờ của trạm chưa chắc", "the station's clock was not certain"))
    until = moment(found.unbroken, now)
    if found.unbroken is None:
        claim = t(
            "Chưa biết trạm còn thiếu gì: sổ số đo của trạm chưa tới", "What is missing is not known: the station's readings have not come"
        )
    elif found.missing or found.unread or found.restored is not None:
        claim = t(f"Số đo từ trạm này: liền mạch đến {until}", f"Readings from this station: unbroken until {until}")
    else:
        claim = t(f"Không thiếu gì từ trạm này đến {until}", f"Nothing is missing from this station until {until}")
    silent = found.heard is None or now - found.heard > SILENT
    if found.heard is None:
        heard = t("chưa nghe trạm lần nào", "the station has never been heard")
    elif silent:
        ago = moment(found.heard, now)
        heard = t(
            f"lần cuối nhận từ trạm: {ago}; trạm có thể đã ghi thêm mà chưa gửi tới",
            f"last received {ago}; there may be more that has not arrived",
        )
    else:
        heard = t(f"lần cuối nhận từ trạm: {moment(found.heard, now)}", f"last received {moment(found.heard, now)}")
    return Whole(claim, tuple(rest), heard, not (found.missing or found.unread or found.restored), silent)


AUDITS: Mapping[str, tuple[str, str]] = {
    "changed": ("một mục đã bị đổi", "an entry was changed"),
    "gone": ("một mục không còn", "an entry is gone"),
    "back": ("nhật ký ngắn hơn trước", "the log is shorter than it was"),
    "fork": (
        "nhật ký tách làm hai từ đây (khôi phục bản cũ hoặc có mục bị lấy đi)",
        "the log forks here (an old copy put back, or entries taken away)",
    ),
    "anew": ("có nhật ký thứ hai bắt đầu lại", "a second log began"),
}


def audit_alarm(why: str, t: Say) -> str:
    """Why heads of a station's audit log do not agree."""
    return t(*AUDITS.get(why, (why, why)))


def fingerprint(*parts: object) -> str:
    """A short text that changes when anything on a page changes: what the page asks for again and again."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
