"""Patients: register, the page of one, changing what is known."""

from dataclasses import asdict, replace
from typing import Any, cast

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.contract.events import Allergies, Identity, Sex
from appliance.contract.identifiers import Unreadable, station_text
from appliance.contract.ids import short_number
from appliance.kiosk import here, present
from appliance.kiosk.desk import Enrol
from appliance.kiosk.forms import Card, clean, read_card, read_patient
from appliance.kiosk.screens import guided
from appliance.kiosk.screens.consents import state
from appliance.kiosk.screens.consult import summaries
from appliance.kiosk.screens.correct import words
from appliance.kiosk.speech import ALLERGIES, CHANGES, SEX, Pair
from appliance.store import consent, corrections, measuring, merging, patients
from appliance.store.errors import Taken
from appliance.store.patients import PatientDraft

screen = Blueprint("people", __name__)

FIELDS = ("name", "birth", "sex", "cccd", "bhyt", "phone", "village", "allergies", "allergy_text")
_READINGS = 20
_TRIES = 4


@screen.get("/patients/new")
def form() -> Response:
    """The form, filled with what was searched for or scanned (``from=found``), or with what was typed before (``from=typed``)."""
    window = here.desk()
    came = request.args.get("from", "")
    if came == "typed" and window.enrol is not None:
        return _form(window.enrol.typed, {})
    window.enrol = Enrol(_number(), _typed(window.found) if came == "found" else {})
    return _form(window.enrol.typed, {})


@screen.post("/patients/new")
def register() -> Response:
    """Fields: patient (the number of the form), those of `FIELDS`, and different=1 to register beside a possible duplicate."""
    window = here.desk()
    typed = {name: clean(request.form.get(name, ""))[:400] for name in FIELDS}
    number = here.number("patient")
    if window.enrol is None or window.enrol.patient != number:
        if patients.get(here.db(), number) is not None:  # the second tap on the same button
            return here.go(f"/patients/{number}")
        window.enrol = Enrol(_number())
    window.enrol.typed = typed
    filled = read_patient(typed, present.local(here.now()).date())
    if filled.errors:
        return _form(typed, filled.errors, 422)
    draft = PatientDraft(**filled.values)  # type: ignore[arg-type] # the form's fields are the draft's
    if not request.form.get("different"):
        alike = patients.same(here.db(), draft)
        if alike:
            return here.page("same.html", people_found=[here.banner_of(one) for one in alike], typed=typed, number=window.enrol.patient)
    patient = _register(draft, window.enrol)
    window.enrol, window.found = None, ""
    window.notice = ("Đã đăng ký.", "Registered.")
    return here.go(f"/patients/{patient}")


@screen.get("/patients/<int:patient>")
def show(patient: int) -> Response:
    """What the station knows of one patient, in all their records: the last readings and consults."""
    t, now = here.speech(), here.now()
    identity = here.patient_or_404(patient)
    same = patients.group(here.db(), patient)
    waiting = [
        {
            "patient": who,
            "measurement": one.id,
            "shown": present.reading(one.reading, here.device_name(one.device), now, t, due=here.calibration_due(one.reading.device)),
        }
        for who in same
        for one in measuring.undecided(here.db(), who)
        if measuring.assignable(one.reading.stamp, here.stamp())
    ]
    asked = [one for who in same for one in summaries(patient=who, limit=10)]
    return here.page(
        "patient.html", banner=here.banner_of(identity), readings=_readings(same), consults=asked, undecided=waiting,
        merged=[_merged(one) for one in merging.merged(here.db(), patient)], number=station_text(patient),
        means=guided.means(same)[:1], treat=state(consent.words(here.db(), patient).get(consent.TREAT)),
    )  # fmt: skip


def _readings(same: list[int]) -> list[dict[str, Any]]:
    """The latest of all records of one person, each with the record it was saved in."""
    found = [(one, who) for who in same for one in corrections.listing(here.db(), who, _READINGS)]
    latest = sorted(found, key=lambda one: (-one[0].row.wall, -one[0].row.id))[:_READINGS]
    return [_reading(one, who, joined=who != same[0]) for one, who in latest]


def _reading(one: corrections.Listed, patient: int, *, joined: bool) -> dict[str, Any]:
    shown = {**words(one), "patient": patient}
    if joined and not shown["came"]:
        shown["came"] = here.speech()("ở hồ sơ đã gộp", "in a merged record")
    return shown


def _merged(one: merging.Merge) -> dict[str, Any]:
    return {"shown": here.banner_of(one.duplicate), "why": one.reason, "at": present.moment(one.wall, here.now())}


# --- changing -----------------------------------------------------------------------------------------------------------------------


@screen.get("/patients/<int:patient>/edit")
def edit(patient: int) -> Response:
    """The form with what is known now."""
    identity = here.patient_or_404(patient)
    return _change_form(identity, _as_typed(identity), {})


@screen.post("/patients/<int:patient>/edit")
def change(patient: int) -> Response:
    """Fields: those of `FIELDS` without allergies, version (that of the form), reason (one of `speech.CHANGES`)."""
    identity = here.patient_or_404(patient)
    typed = {name: clean(request.form.get(name, ""))[:400] for name in (*FIELDS, "reason")}
    typed |= {name: value for name, value in _as_typed(identity).items() if name.startswith("allerg")}
    filled = read_patient(typed, present.local(here.now()).date())
    why = CHANGES.get(typed["reason"])
    errors = filled.errors | ({} if why else {"reason": _REASON})
    if errors or why is None:
        return _change_form(identity, typed, errors, 422)
    _same_version(identity)
    draft = PatientDraft(**filled.values, station_number=identity.station_number)  # type: ignore[arg-type] # the form's fields are the draft's
    patients.change(here.db(), draft, patient=patient, reason=why[0], staff=here.desk().staff, now=here.stamp())
    here.kiosk().desks.unconfirm([patient])
    here.desk().notice = ("Đã sửa hồ sơ.", "The record was changed.")
    return here.go(f"/patients/{patient}")


@screen.get("/patients/<int:patient>/allergies")
def allergies(patient: int) -> Response:
    """Known, none known, or not asked."""
    identity = here.patient_or_404(patient)
    return _allergies_form(identity, _as_typed(identity), {})


@screen.post("/patients/<int:patient>/allergies")
def say_allergies(patient: int) -> Response:
    """Fields: allergies (known, none_known, unknown), allergy_text, version (that of the form)."""
    identity = here.patient_or_404(patient)
    typed = _as_typed(identity) | {name: clean(request.form.get(name, ""))[:400] for name in ("allergies", "allergy_text")}
    filled = read_patient(typed, present.local(here.now()).date())
    errors = {name: words for name, words in filled.errors.items() if name.startswith("allerg")}
    if errors:
        return _allergies_form(identity, typed, errors, 422)
    _same_version(identity)
    known, text = cast("Allergies", filled.values["allergies"]), str(filled.values["allergy_text"])
    draft = replace(patients.draft_of(identity), allergies=known, allergy_text=text)
    patients.change(here.db(), draft, patient=patient, reason="hỏi dị ứng", staff=here.desk().staff, now=here.stamp())
    here.desk().notice = ("Đã ghi dị ứng.", "Allergies were recorded.")
    return here.go(f"/patients/{patient}")


_REASON: Pair = ("Chọn lý do sửa.", "Choose why it is changed.")


def _same_version(identity: Identity) -> None:
    """Conflict when somebody else has changed the record since the form was opened: nobody's change is lost unseen."""
    if here.number("version") != identity.version:
        raise here.Conflict(
            ("Có người vừa sửa hồ sơ này. Mở lại, xem rồi sửa tiếp.", "Somebody has just changed this record. Open it again, look, go on."),
            f"/patients/{identity.patient}",
        )


def _as_typed(identity: Identity) -> dict[str, str]:
    """What is known, as a form holds it."""
    return {
        **{name: getattr(identity, name) for name in ("name", "cccd", "bhyt", "phone", "village", "allergy_text")},
        "birth": "/".join(reversed(identity.birth.split("-"))),
        "sex": identity.sex.name.lower(),
        "allergies": identity.allergies.name.lower(),
    }


def _change_form(identity: Identity, typed: dict[str, str], errors: dict[str, Pair], status: int = 200) -> Response:
    t = here.speech()
    return here.page(
        "edit.html", status, banner=here.banner_of(identity), version=identity.version, typed=typed, errors=errors,
        sexes=[(one.name.lower(), t(*words)) for one, words in SEX.items()],
        reasons=[(value, t(*words)) for value, words in CHANGES.items()],
    )  # fmt: skip


def _allergies_form(identity: Identity, typed: dict[str, str], errors: dict[str, Pair], status: int = 200) -> Response:
    t = here.speech()
    return here.page(
        "allergies.html", status, banner=here.banner_of(identity), version=identity.version, typed=typed, errors=errors,
        allergies=[(one.name.lower(), t(*words)) for one, words in ALLERGIES.items()],
    )  # fmt: skip


# --- the form -----------------------------------------------------------------------------------------------------------------------


def _form(typed: dict[str, str], errors: dict[str, tuple[str, str]], status: int = 200) -> Response:
    t = here.speech()
    enrol = here.desk().enrol
    return here.page(
        "register.html", status, typed=typed, errors=errors, number=enrol.patient if enrol is not None else 0,
        sexes=[(one.name.lower(), t(*words)) for one, words in SEX.items()],
        allergies=[(one.name.lower(), t(*words)) for one, words in ALLERGIES.items()],
    )  # fmt: skip


def _number() -> int:
    return short_number(here.kiosk().urandom(5))


def _register(draft: PatientDraft, enrol: Enrol) -> int:
    """Register under the form's number; a number that is somebody else's is drawn again."""
    for _ in range(_TRIES):
        try:
            return patients.register(here.db(), draft, patient=enrol.patient, staff=here.desk().staff, now=here.stamp()).patient
        except Taken:
            enrol.patient = _number()
    return patients.register(here.db(), draft, patient=enrol.patient, staff=here.desk().staff, now=here.stamp()).patient


def _typed(found: str) -> dict[str, str]:
    """What a search says about a patient who is not registered yet: a card's facts, a number, or a name."""
    try:
        card = read_card(found)
    except Unreadable:
        return {}
    if card is None:
        return {"name": found} if found and not any(sign.isdigit() for sign in found) else {}
    return _of_card(card)


def _of_card(card: Card) -> dict[str, str]:
    facts = asdict(card)
    del facts["doubts"]
    birth = "/".join(reversed(card.birth.split("-")))
    sex = cast("Sex | None", facts.pop("sex"))
    return {**facts, "birth": birth, "sex": "" if sex is None else sex.name.lower(), "allergies": Allergies.UNKNOWN.name.lower()}
