"""Corrections: *sai người* (whose is it?), *sai số* (why?). From a saved reading to the corrected one in at most five taps.

The reading stays where it was, struck out with the reason; who has cited it in a request is told what that means.
"""

from typing import Any

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.contract.events import Identity
from appliance.contract.ids import spell
from appliance.kiosk import here, present, rows
from appliance.kiosk.screens.confirm import ERROR, ticked
from appliance.kiosk.speech import MISTAKES, WRONG_PERSON, Pair, Say
from appliance.store import consults, corrections, patients
from appliance.store.corrections import MOST_LETTERS, Correction, Listed
from appliance.store.patients import clean

screen = Blueprint("correct", __name__)

_RECENT = 6
"""So many of those measured last are offered: a mix-up is nearly always with the one before or the one after."""


# --- words --------------------------------------------------------------------------------------------------------------------------


def record(patient: int, limit: int) -> list[dict[str, Any]]:
    """A patient's saved readings with what was said about them, as lists show them."""
    return [words(one) for one in corrections.listing(here.db(), patient, limit)]


def words(one: Listed) -> dict[str, Any]:
    """One saved reading: `id`, `shown`, `struck` and `came` (sentences, empty where there is nothing to say)."""
    t = here.speech()
    came = "" if one.came is None else t("chuyển từ hồ sơ khác", "moved here from another record")
    return {"id": one.row.id, "shown": rows.shown(one.row, here.now(), t), "struck": struck(one.struck, t), "came": came}


def struck(said: Correction | None, t: Say) -> str:
    """Why a reading does not stand, as a sentence without anybody else's name; empty while it stands."""
    if said is None:
        return ""
    why = reason(said.reason, t)
    if said.to_patient is None:
        return t(f"Đã gạch bỏ: {why}", f"Struck out: {why}")
    return t(f"Đã chuyển sang hồ sơ khác: {why}", f"Moved to another record: {why}")


def reason(text: str, t: Say) -> str:
    """A reason in the reader's language where it is one of ours, else as it was written."""
    known: dict[str, Pair] = {pair[0]: pair for pair in (*MISTAKES.values(), WRONG_PERSON)}
    return t(*known[text]) if text in known else text


# --- what is wrong? -----------------------------------------------------------------------------------------------------------------


@screen.get("/patients/<int:patient>/readings/<int:observation>")
def show(patient: int, observation: int) -> Response:
    """A saved reading: what is wrong with it; after the correction, what was said and whom it concerns."""
    identity, one = here.patient_or_404(patient), _listed(patient, observation)
    same = patients.group(here.db(), patient)
    others = [each for each in rows.recent(here.db(), _RECENT + len(same)) if each.patient not in same][:_RECENT]
    at = f"/patients/{patient}/readings/{observation}"
    return here.page(
        "correct.html", banner=here.banner_of(identity), one=words(one), may=_may(one), here_at=at,
        people_found=[here.banner_of(each) for each in others], cited=_cited(observation), back=f"/patients/{patient}",
        who="" if one.struck is None else rows.staff_name(here.db(), one.struck.staff),
        at="" if one.struck is None else present.moment(one.struck.at, here.now()),
    )  # fmt: skip


def _may(one: Listed) -> bool:
    return one.struck is None


def _cited(observation: int) -> list[dict[str, Any]]:
    """The requests that cite it: a doctor waits with, or has answered on, what is not so."""
    t, found = here.speech(), []
    for row in corrections.citing(here.db(), observation):
        line = consults.receipt_line(here.db(), row.consult)
        answered = line.answered is not None
        state = t("bác sĩ đã trả lời", "answered") if answered else t("đang chờ bác sĩ", "waiting for a doctor")
        found.append(
            {"id": row.consult, "code": spell(row.consult), "complaint": row.complaint, "state": state, "may_withdraw": not answered}
        )
    return found


def _listed(patient: int, observation: int) -> Listed:
    one = corrections.listed(here.db(), observation, patient)
    if one is None:
        raise here.Gone(
            ("Hồ sơ này không có kết quả đó. Mở lại hồ sơ người bệnh.", "This record has no such reading. Open the record again."),
            f"/patients/{patient}",
        )
    return one


# --- wrong value --------------------------------------------------------------------------------------------------------------------


@screen.get("/patients/<int:patient>/readings/<int:observation>/error")
def why(patient: int, observation: int) -> Response:
    """Why is the value wrong?"""
    return _why(here.patient_or_404(patient), observation)


def _why(identity: Identity, observation: int, errors: dict[str, Pair] | None = None, typed: str = "", status: int = 200) -> Response:
    t, one = here.speech(), _listed(identity.patient, observation)
    if not _may(one):
        return here.go(f"/patients/{identity.patient}/readings/{observation}")
    return here.page(
        "mistake.html", status, banner=here.banner_of(identity), one=words(one), errors=errors or {}, typed={"reason": typed},
        reasons=[(word, t(*pair)) for word, pair in MISTAKES.items()], here_at=f"/patients/{identity.patient}/readings/{observation}",
    )  # fmt: skip


@screen.post("/patients/<int:patient>/readings/<int:observation>/error")
def enter(patient: int, observation: int) -> Response:
    """Fields: word (one of `speech.MISTAKES`), or reason (a short text)."""
    identity = here.patient_or_404(patient)
    word, text = request.form.get("word", ""), clean(request.form.get("reason", ""))
    said = MISTAKES[word][0] if word in MISTAKES else text
    if not said or len(said) > MOST_LETTERS:
        error: Pair = (
            f"Chọn một lý do, hoặc ghi ngắn dưới {MOST_LETTERS} chữ.",
            f"Choose a reason, or write one of fewer than {MOST_LETTERS} letters.",
        )
        return _why(identity, observation, {"reason": error}, text[:MOST_LETTERS], 422)
    _listed(patient, observation)
    corrections.enter_in_error(here.db(), observation, said, here.desk().staff, here.stamp(), patient=patient)
    here.desk().notice = ("Đã gạch bỏ kết quả này.", "The reading was struck out.")
    return here.go(f"/patients/{patient}/readings/{observation}")


# --- wrong person -------------------------------------------------------------------------------------------------------------------


@screen.get("/patients/<int:patient>/readings/<int:observation>/find")
def search(patient: int, observation: int) -> Response:
    """Whose is it, when it is nobody of those measured last?"""
    identity, one = here.patient_or_404(patient), _listed(patient, observation)
    at = f"/patients/{patient}/readings/{observation}"
    return here.page("whose.html", banner=here.banner_of(identity), one=words(one), here_at=at)


@screen.post("/patients/<int:patient>/readings/<int:observation>/find")
def find(patient: int, observation: int) -> Response:
    """Field: q, as on the home page. One person found goes straight on to the two identifiers."""
    here.desk().found = clean(request.form.get("q", ""))[:600]
    people = _found(patient)
    at = f"/patients/{patient}/readings/{observation}"
    return here.go(f"{at}/to/{people[0].patient}" if len(people) == 1 else f"{at}/found")


@screen.get("/patients/<int:patient>/readings/<int:observation>/found")
def found(patient: int, observation: int) -> Response:
    """Who it may be."""
    t, at = here.speech(), f"/patients/{patient}/readings/{observation}"
    people = [here.banner_of(one) for one in _found(patient)]
    return here.page(
        "found.html", title=t("Kết quả này của ai?", "Whose reading is this?"), people_found=people,
        target=f"{at}/to/", target_end="", back=f"{at}/find", may_register=False,
    )  # fmt: skip


def _found(patient: int) -> list[Identity]:
    text = here.desk().found
    return [one for one in rows.search(here.db(), text)[0] if one.patient != patient] if text else []


@screen.get("/patients/<int:patient>/readings/<int:observation>/to/<int:other>")
def ask(patient: int, observation: int, other: int) -> Response:
    """Two identifiers of the person it is to be given to."""
    here.patient_or_404(patient)
    return _identify(patient, observation, here.patient_or_404(other))


def _identify(patient: int, observation: int, identity: Identity, status: int = 200) -> Response:
    t, at = here.speech(), f"/patients/{patient}/readings/{observation}"
    one = _listed(patient, observation)
    if not _may(one):
        return here.go(at)
    return here.page(
        "confirm.html", status, banner=here.banner_of(identity), identifiers=present.identifiers(identity, t), carried={},
        action=f"{at}/to/{identity.patient}", back=at, reading=rows.shown(one.row, here.now(), t),
        button=t("Chuyển cho người này", "Give to this person"), errors=ERROR if status != 200 else {},
    )  # fmt: skip


@screen.post("/patients/<int:patient>/readings/<int:observation>/to/<int:other>")
def reassign(patient: int, observation: int, other: int) -> Response:
    """Fields: id_name, id_birth … (=1 each, at least two)."""
    here.patient_or_404(patient)
    identity = here.patient_or_404(other)
    _listed(patient, observation)
    if not present.two_identifiers(ticked(), identity, here.speech()):
        return _identify(patient, observation, identity, 422)
    corrections.reassign(here.db(), observation, other, WRONG_PERSON[0], here.desk().staff, here.stamp(), patient=patient)
    here.desk().confirmed[other] = here.kiosk().clock.monotonic()
    here.desk().notice = (f"Đã chuyển kết quả sang hồ sơ {identity.name}.", f"The reading was given to {identity.name}.")
    return here.go(f"/patients/{patient}/readings/{observation}")
