"""Patients: register, and the page of one."""

from dataclasses import asdict
from typing import cast

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.contract.events import Allergies, Sex
from appliance.contract.identifiers import Unreadable
from appliance.contract.ids import short_number
from appliance.kiosk import here, present
from appliance.kiosk.desk import Enrol
from appliance.kiosk.forms import Card, clean, read_card, read_patient
from appliance.kiosk.screens.consult import summaries
from appliance.kiosk.screens.correct import record
from appliance.kiosk.speech import ALLERGIES, SEX
from appliance.store import measuring, patients
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
    """What the station knows of one patient: the last readings and consults."""
    t, now = here.speech(), here.now()
    identity = here.patient_or_404(patient)
    readings = record(patient, _READINGS)
    waiting = [
        {"measurement": one.id, "shown": present.reading(one.reading, here.device_name(one.device), now, t)}
        for one in measuring.undecided(here.db(), patient)
        if measuring.assignable(one.reading.stamp, here.stamp())
    ]
    asked = summaries(patient=patient, limit=10)
    return here.page("patient.html", banner=here.banner_of(identity), readings=readings, consults=asked, undecided=waiting)


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
