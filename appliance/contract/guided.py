"""How vital signs are taken by hand: blood pressure in a series, breaths by counting. The rules are rows of data, each with a number.

A number travels with every value that was made by its rule and is never given to another rule. Pure: times in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class Arm(IntEnum):
    """The arm that the cuff was on."""

    UNSAID = 0
    LEFT = 1
    RIGHT = 2


class Cuff(IntEnum):
    """The size of the cuff, by the marks on it; arm circumferences of `CUFF_CM` where the cuff says nothing."""

    UNSAID = 0
    NEWBORN = 1
    CHILD = 2
    SMALL_ADULT = 3
    ADULT = 4
    LARGE_ADULT = 5
    THIGH = 6


CUFF_CM: dict[Cuff, tuple[int, int]] = {
    Cuff.SMALL_ADULT: (22, 26),
    Cuff.ADULT: (27, 34),
    Cuff.LARGE_ADULT: (35, 44),
    Cuff.THIGH: (45, 52),
}
"""Arm circumference in cm for each adult cuff (American Heart Association, recommendations for blood pressure measurement, 2005)."""


class Posture(IntEnum):
    """How the patient was while it was measured."""

    UNSAID = 0
    SITTING = 1
    LYING = 2
    STANDING = 3


class Unrested(IntEnum):
    """Why the rest before the first reading was cut short; NO: it was not."""

    NO = 0
    URGENT = 1
    RESTED_BEFORE = 2
    PATIENT_WISHES = 3
    OTHER = 9


@dataclass(frozen=True, slots=True)
class Protocol:
    """A way to take a blood pressure: rest, then `least` readings `gap_s` apart, up to `most`; which of them count, in words.

    One more than `least` is taken where two differ by more than `spread` mmHg, or at a patient's first visit.
    `skip` readings from the front do not count, and of the others the last `last` (0: all) do.
    """

    number: int
    rest_s: int
    gap_s: int
    least: int
    most: int
    spread: int
    skip: int
    last: int
    vi: str
    en: str


PROTOCOLS: dict[int, Protocol] = {
    1: Protocol(1, 300, 60, 2, 3, 10, 0, 2, "trung bình hai lần cuối", "mean of the last two"),
    2: Protocol(2, 300, 60, 2, 3, 10, 1, 0, "bỏ lần đầu, trung bình các lần sau", "mean of all but the first"),
}
"""1 is the station's own (clinical fact sheet 2.2: rest 5 min, two readings 60 s apart, a third where they differ or at the first
visit, mean of the last two; International Society of Hypertension 2020). 2 is the other public one: it drops the first reading.
With three readings both give the same; with two they do not, so the number stands beside every mean."""
STATION = PROTOCOLS[1]

Pressure = tuple[int, int, int | None]
"""Systolic and diastolic in mmHg, pulse per minute where there is one."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean in tenths of the unit, and the places of the readings it was made of."""

    systolic: int
    diastolic: int
    pulse: int | None
    used: tuple[int, ...]


def wanted(protocol: Protocol, taken: Sequence[Pressure], *, first_visit: bool) -> int:
    """How many readings the series needs, as far as these say.

    >>> wanted(STATION, [(134, 82, 70), (146, 84, 71)], first_visit=False)
    3
    """
    if len(taken) < protocol.least:
        return protocol.most if first_visit else protocol.least
    (high, low, _), (next_high, next_low, _) = taken[0], taken[1]
    apart = abs(high - next_high) > protocol.spread or abs(low - next_low) > protocol.spread
    return protocol.most if first_visit or apart else protocol.least


def mean(protocol: Protocol, taken: Sequence[Pressure]) -> Mean | None:
    """The mean of those readings that count; None before there are as many as the protocol wants at least.

    >>> mean(STATION, [(150, 90, 80), (134, 82, 70), (139, 84, 71)])
    Mean(systolic=1365, diastolic=830, pulse=705, used=(1, 2))
    """
    if len(taken) < protocol.least:
        return None
    places = tuple(range(len(taken)))[protocol.skip :]
    used = places[-protocol.last :] if protocol.last else places
    pulses = [taken[one][2] for one in used]
    known = [one for one in pulses if one is not None]
    return Mean(
        _tenths([taken[one][0] for one in used]), _tenths([taken[one][1] for one in used]),
        _tenths(known) if len(known) == len(used) else None, used,
    )  # fmt: skip


def _tenths(values: Sequence[int]) -> int:
    """The mean in tenths, half rounded up."""
    return (20 * sum(values) + len(values)) // (2 * len(values))


Pair = tuple[str, str]
"""Vietnamese, English."""

POSTURES: dict[Posture, Pair] = {
    Posture.SITTING: ("Ngồi", "Sitting"),
    Posture.LYING: ("Nằm", "Lying"),
    Posture.STANDING: ("Đứng", "Standing"),
}
ARMS: dict[Arm, Pair] = {Arm.LEFT: ("Tay trái", "Left arm"), Arm.RIGHT: ("Tay phải", "Right arm")}
CUFFS: dict[Cuff, Pair] = {
    Cuff.NEWBORN: ("Sơ sinh", "Newborn"),
    Cuff.CHILD: ("Trẻ em", "Child"),
    Cuff.SMALL_ADULT: ("Nhỏ", "Small"),
    Cuff.ADULT: ("Người lớn", "Adult"),
    Cuff.LARGE_ADULT: ("Lớn", "Large"),
    Cuff.THIGH: ("Rất lớn", "Extra large"),
}
REASONS: dict[Unrested, Pair] = {
    Unrested.URGENT: ("Cần biết ngay", "Needed at once"),
    Unrested.RESTED_BEFORE: ("Đã ngồi nghỉ đủ trước đó", "Has rested already"),
    Unrested.PATIENT_WISHES: ("Người bệnh không chờ được", "The patient cannot wait"),
    Unrested.OTHER: ("Lý do khác", "Another reason"),
}


def cuff_pair(cuff: Cuff) -> Pair:
    """A cuff's size, with the arm it is for.

    >>> cuff_pair(Cuff.ADULT)
    ('Người lớn (27–34 cm)', 'Adult (27–34 cm)')
    """
    vi, en = CUFFS[cuff]
    bounds = CUFF_CM.get(cuff)
    arm = "" if bounds is None else f" ({bounds[0]}–{bounds[1]} cm)"
    return vi + arm, en + arm


def taken_pair(posture: Posture, arm: Arm, cuff: Cuff, rested: int | None, unrested: Unrested) -> Pair:
    """How a pressure was taken, in one line; `rested` in seconds, None where the rest is still to come. What was not said is left out."""
    parts: list[Pair] = []
    if posture in POSTURES:
        parts.append(POSTURES[posture])
    if arm in ARMS:
        parts.append((ARMS[arm][0].lower(), ARMS[arm][1].lower()))
    if cuff in CUFFS:
        vi, en = cuff_pair(cuff)
        parts.append((f"vòng bít {vi.lower()}", f"cuff {en.lower()}"))
    if rested is not None:
        why = REASONS.get(unrested)
        minutes, seconds = divmod(rested, 60)
        vi_span = " ".join(
            one for one in (f"{minutes} phút" if minutes else "", f"{seconds} giây" if seconds or not minutes else "") if one
        )
        en_span = " ".join(one for one in (f"{minutes} min" if minutes else "", f"{seconds} s" if seconds or not minutes else "") if one)
        parts.append((
            f"nghỉ {vi_span}" + (f" ({why[0].lower()})" if why else ""), f"rested {en_span}" + (f" ({why[1].lower()})" if why else ""),
        ))  # fmt: skip
    return " · ".join(vi for vi, _ in parts), " · ".join(en for _, en in parts)


def mean_pair(rule: int, count: int) -> Pair:
    """What must stand beside every mean: of how many readings, by which rule; a rule of a later version by its number alone."""
    known = PROTOCOLS.get(rule)
    vi, en = ("", "") if known is None else (f": {known.vi}", f": {known.en}")
    return f"trung bình của {count} lần (quy tắc {rule}{vi})", f"mean of {count} readings (rule {rule}{en})"


TYPED, BREATHS_60, BREATHS_30 = 100, 101, 102
"""Numbers of the rules by which a person made a value; those of settling devices are below 100 (`devices.settle.RULES`)."""
COUNTS: dict[int, int] = {BREATHS_60: 60, BREATHS_30: 30}
"""Seconds over which breaths were counted. A whole minute is the usual way; half a minute counts double."""
HAND_RULES: dict[int, tuple[str, str]] = {
    TYPED: ("", ""),
    BREATHS_60: ("đếm 60 giây", "counted over 60 s"),
    BREATHS_30: ("đếm 30 giây × 2", "counted over 30 s, doubled"),
}
"""What is said beside a value, in Vietnamese and English."""


def rate(rule: int, count: int) -> int:
    """Breaths per minute from what was counted."""
    return count * 60 // COUNTS[rule]
