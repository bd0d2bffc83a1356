"""Typing what was measured without a cable. It becomes a measurement of the device *manual*: from there on everything is as with a device.

One thing a page, from the table `FORMS`. A number is taken as written in Viet Nam, with a comma or a point; what cannot be true is refused
with a sentence that says what can be, and nothing is graded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.contract.events import Identity
from appliance.contract.guided import BREATHS_30, BREATHS_60, COUNTS, TYPED, rate
from appliance.contract.metrics import TABLE, WORDS, Metric
from appliance.contract.readings import Numeric, ReadingKind
from appliance.kiosk import here
from appliance.kiosk.screens import measure, status
from appliance.kiosk.speech import Pair, Say
from appliance.store import guided, manual, measuring
from appliance.store.measuring import Session

screen = Blueprint("manual", __name__)


@dataclass(frozen=True, slots=True)
class Form:
    """One page: what it makes, and its numbers. `must` have to be typed; where it is empty, at least one of `may`."""

    kind: ReadingKind
    must: tuple[Metric, ...]
    may: tuple[Metric, ...]
    vi: str
    en: str


FORMS: dict[str, Form] = {
    "pressure": Form(ReadingKind.BLOOD_PRESSURE, (Metric.SYSTOLIC, Metric.DIASTOLIC), (Metric.PULSE_RATE,), "Huyết áp", "Blood pressure"),
    "spo2": Form(ReadingKind.SPO2, (Metric.SPO2,), (Metric.PULSE_RATE,), "SpO₂ và oxy", "SpO₂ and oxygen"),
    "pulse": Form(ReadingKind.VITAL_SIGNS, (Metric.PULSE_RATE,), (), "Mạch", "Pulse"),
    "breaths": Form(ReadingKind.VITAL_SIGNS, (Metric.RESPIRATION,), (), "Nhịp thở", "Respiration"),
    "temperature": Form(ReadingKind.TEMPERATURE, (Metric.TEMPERATURE,), (), "Nhiệt độ", "Temperature"),
    "body": Form(ReadingKind.WEIGHT, (), (Metric.WEIGHT, Metric.HEIGHT), "Cân nặng, chiều cao", "Weight, height"),
    "mind": Form(ReadingKind.VITAL_SIGNS, (Metric.CONSCIOUSNESS,), (), "Tri giác", "Consciousness"),
}
"""What can be typed, in the order of the page."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A form as it was read: the numbers with the rule that made them, or what is wrong with which field."""

    numerics: tuple[Numeric, ...]
    rule: int
    errors: dict[str, Pair]


def begin(identity: Identity) -> Response:
    """Open a session at the device *manual* for a confirmed patient and show what can be typed."""
    window = here.desk()
    opened = measuring.open_session(
        here.db(), patient=identity.patient, staff=window.staff, device=manual.slot(window.staff), now=here.stamp()
    )
    window.sessions.add(opened.id)
    return here.go(f"/sessions/{opened.id}/type")


@screen.get("/sessions/<int:session>/type")
def choose(session: int) -> Response:
    """What shall be typed? Beside it what was typed in this session already."""
    found = _mine(session)
    if isinstance(found, Response):
        return found
    it, identity = found
    t = here.speech()
    attempts = [measure.attempt(one) for one in measuring.latest(here.db(), it.id)]
    forms = [(name, t(one.vi, one.en)) for name, one in FORMS.items()]
    return here.page("manual.html", banner=here.banner_of(identity), session=session, forms=forms, attempts=attempts)


@screen.get("/sessions/<int:session>/type/<form>")
def ask(session: int, form: str) -> Response:
    """One thing to type."""
    found = _mine(session)
    return found if isinstance(found, Response) else _page(*found, form)


@screen.post("/sessions/<int:session>/type/<form>")
def take(session: int, form: str) -> Response:
    """Fields: the metrics of the form by name in lower case; oxygen (air, flow), oxygen_flow; seconds (60, 30) and count for breaths."""
    found = _mine(session)
    if isinstance(found, Response):
        return found
    it, identity = found
    typed = read(_known(form), request.form)
    if typed.errors:
        return _page(it, identity, form, typed.errors, 422)
    manual.enter(here.db(), it, FORMS[form].kind, typed.numerics, now=here.stamp(), rule=typed.rule, test=status.simulated())
    return here.go(f"/sessions/{session}")


def _mine(session: int) -> tuple[Session, Identity] | Response:
    """The session and its patient, or the page to go to instead: something waits for *Lưu*, it is over, or nobody is confirmed."""
    it = measuring.session(here.db(), session)
    if it is None or not manual.is_manual(it.device):
        raise here.Gone(("Không có lượt nhập tay này. Chọn lại người bệnh.", "There is no such session. Choose the patient again."))
    identity, window = here.patient_or_404(it.patient), here.desk()
    if session not in window.sessions or not window.is_confirmed(it.patient):
        return here.go(f"/patients/{it.patient}/confirm?device={manual.DEVICE}")
    if not it.standing(here.stamp()) or manual.pending(here.db(), session) is not None:
        return here.go(f"/sessions/{session}")
    return it, identity


def _known(form: str) -> str:
    if form not in FORMS:
        raise here.Gone(("Không có mục nhập này.", "There is no such form."))
    return form


def _page(it: Session, identity: Identity, form: str, errors: dict[str, Pair] | None = None, status: int = 200) -> Response:
    t, row = here.speech(), FORMS[_known(form)]
    series = guided.of_session(here.db(), it.id)
    back = f"/guided/{series.id}" if series is not None else f"/sessions/{it.id}/type"
    numbers = [_number(one, t, optional=one in row.may and bool(row.must)) for one in (*row.must, *row.may)]
    minds = [(str(code), f"{one.letter} – {t(one.vi, one.en)}") for code, one in WORDS[Metric.CONSCIOUSNESS].items()]
    labels = {str(one["name"]): str(one["label"]) for one in numbers} | {name: t(*words) for name, words in _LABELS.items()}
    return here.page(
        "typing.html", status, banner=here.banner_of(identity), session=it.id, form=form, title=t(row.vi, row.en), numbers=numbers,
        minds=minds, back=back, errors=errors or {}, labels=labels, typed=request.form,
    )  # fmt: skip


_LABELS: dict[str, Pair] = {
    "oxygen_flow": ("Oxy", "Oxygen"), "oxygen": ("Oxy", "Oxygen"), "count": ("Số nhịp", "Breaths"), "seconds": ("Đếm trong", "Time"),
}  # fmt: skip


def _number(metric: Metric, t: Say, *, optional: bool) -> dict[str, object]:
    """One field for a number: its unit, an example, and the keys it needs."""
    row = TABLE[metric]
    sample = (
        "" if optional or metric not in _EXAMPLES else t(f"ví dụ {_EXAMPLES[metric]}", f"such as {_EXAMPLES[metric].replace(',', '.')}")
    )
    hint = " · ".join(part for part in (t(row.unit_vi, row.unit), sample, t("không bắt buộc", "optional") if optional else "") if part)
    return {
        "name": metric.name.lower(), "label": t(row.vi, row.en), "hint": hint, "pad": "decimal" if row.scale else "digits",
    }  # fmt: skip


_EXAMPLES: dict[Metric, str] = {
    Metric.SYSTOLIC: "128", Metric.DIASTOLIC: "79", Metric.PULSE_RATE: "76", Metric.SPO2: "97", Metric.TEMPERATURE: "36,8",
    Metric.WEIGHT: "54,5", Metric.HEIGHT: "158", Metric.OXYGEN_FLOW: "2,5",
}  # fmt: skip


# --- reading a form, pure -----------------------------------------------------------------------------------------------------------


def read(form: str, said: Mapping[str, str]) -> Typed:
    """The numbers of a form, or what is wrong and what to do."""
    if form == "breaths":
        return _breaths(said)
    if form == "mind":
        return _mind(said)
    row, errors, numerics = FORMS[form], dict[str, Pair](), []
    for metric in (*row.must, *row.may):
        text = said.get(metric.name.lower(), "").strip()
        if not text and metric not in row.must:
            continue
        value, error = read_number(metric, text)
        if error is not None:
            errors[metric.name.lower()] = error
        elif value is not None:
            numerics.append(Numeric(metric, value, scale=TABLE[metric].scale))
    if form == "spo2":
        _oxygen(said, numerics, errors)
    if not numerics and not errors:
        errors[row.may[0].name.lower()] = ("Gõ ít nhất một số.", "Type at least one number.")
    values = {one.metric: one.value for one in numerics}
    high, low = values.get(Metric.SYSTOLIC), values.get(Metric.DIASTOLIC)
    if high is not None and low is not None and high <= low:
        errors["systolic"] = (
            "Tâm thu phải lớn hơn tâm trương. Xem lại hai số, có thể đã gõ đổi chỗ.",
            "Systolic must be above diastolic. Check both: they may have been exchanged.",
        )
    return Typed(tuple(numerics), TYPED, errors)


def read_number(metric: Metric, text: str) -> tuple[int | None, Pair | None]:
    """A typed number in units of 10**-scale of its metric, and what is wrong with it. Comma and point mean the same.

    >>> read_number(Metric.TEMPERATURE, "36,8"), read_number(Metric.TEMPERATURE, "37")
    ((368, None), (370, None))
    """
    row = TABLE[metric]
    bare = text.replace(" ", "").replace(",", ".")
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", bare):
        sample = _EXAMPLES[metric]
        return None, (f"{row.vi}: gõ một số, ví dụ {sample}.", f"{row.en}: type a number, such as {sample.replace(',', '.')}.")
    if not row.low <= float(bare) <= row.high:
        return None, _beyond(metric, float(bare))
    whole, _, part = bare.partition(".")
    if len(part.rstrip("0")) > row.scale:
        if row.scale == 0:
            return None, (f"{row.vi}: gõ số nguyên, không có dấu phẩy.", f"{row.en}: type a whole number.")
        return None, (f"{row.vi}: chỉ một số sau dấu phẩy.", f"{row.en}: one digit after the point.")
    return int(whole) * 10**row.scale + int((part + "0" * row.scale)[: row.scale] or "0"), None


def _beyond(metric: Metric, value: float) -> Pair:
    row = TABLE[metric]
    bounds = f"{row.low:g}–{row.high:g}"
    more = ("", "")
    if metric is Metric.TEMPERATURE and 77 <= value <= 113:
        more = (" Nếu nhiệt kế hiện độ F, đổi sang °C trên nhiệt kế rồi đo lại.", " If it shows °F, switch it to °C and measure again.")
    if metric is Metric.HEIGHT and value < 3:
        more = (" Gõ bằng cm: 1,58 m là 158.", " Type centimetres: 1.58 m is 158.")
    return (
        f"{row.vi} chỉ có thể trong {bounds.replace('.', ',')} {row.unit_vi}. Xem lại số rồi gõ lại.{more[0]}",
        f"{row.en} can only be {bounds} {row.unit}. Check it and type it again.{more[1]}",
    )


def _oxygen(said: Mapping[str, str], numerics: list[Numeric], errors: dict[str, Pair]) -> None:
    """On air or on how many litres: asked every time, because SpO₂ without it cannot be read."""
    chosen, text = said.get("oxygen", ""), said.get("oxygen_flow", "").strip()
    if chosen == "air":
        numerics.append(Numeric(Metric.OXYGEN_FLOW, 0, scale=1))
    elif chosen == "flow":
        value, error = read_number(Metric.OXYGEN_FLOW, text)
        if error is not None or not value:
            errors["oxygen_flow"] = error or ("Gõ số lít oxy mỗi phút, ví dụ 2,5.", "Type the litres per minute, such as 2.5.")
        else:
            numerics.append(Numeric(Metric.OXYGEN_FLOW, value, scale=1))
    else:
        errors["oxygen"] = ("Chọn người bệnh thở khí trời hay thở oxy.", "Choose whether the patient breathes air or oxygen.")


def _breaths(said: Mapping[str, str]) -> Typed:
    rule = {"60": BREATHS_60, "30": BREATHS_30}.get(said.get("seconds", ""))
    text = said.get("count", "").strip()
    errors: dict[str, Pair] = {}
    if rule is None:
        errors["seconds"] = ("Chọn đã đếm trong 60 hay 30 giây.", "Choose whether you counted for 60 or 30 seconds.")
    if not re.fullmatch(r"[0-9]{1,3}", text):
        errors["count"] = ("Gõ số nhịp thở đã đếm được, ví dụ 18.", "Type how many breaths you counted, such as 18.")
    if rule is None or errors:
        return Typed((), TYPED, errors)
    value, row = rate(rule, int(text)), TABLE[Metric.RESPIRATION]
    if not row.low <= value <= row.high:
        errors["count"] = (
            f"{text} nhịp trong {COUNTS[rule]} giây là {value}/phút: không thể có. Đếm lại.",
            f"{text} breaths in {COUNTS[rule]} s are {value} a minute, which cannot be. Count again.",
        )
    return Typed((Numeric(Metric.RESPIRATION, value),), rule, errors)


def _mind(said: Mapping[str, str]) -> Typed:
    code = said.get("consciousness", "")
    known = code.isdigit() and len(code) == 1 and int(code) in WORDS[Metric.CONSCIOUSNESS]
    if not known:
        return Typed((), TYPED, {"consciousness": ("Chọn một mức tri giác.", "Choose one level.")})
    return Typed((Numeric(Metric.CONSCIOUSNESS, int(code)),), TYPED, {})
