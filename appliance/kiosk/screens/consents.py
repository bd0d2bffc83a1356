"""What a patient agrees to: the text that is read out, then yes or no. Nothing is ticked beforehand."""

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.kiosk import here, present, rows
from appliance.kiosk.speech import PURPOSES, Pair
from appliance.store import consent

screen = Blueprint("consents", __name__)

_ANSWERS = {"yes": True, "no": False}
SAID: dict[bool, Pair] = {
    True: ("Đã ghi: người bệnh đồng ý.", "Recorded: the patient agrees."),
    False: ("Đã ghi: người bệnh không đồng ý.", "Recorded: the patient does not agree."),
}


@screen.get("/patients/<int:patient>/consent")
def listing(patient: int) -> Response:
    """Every purpose with the patient's latest word about it."""
    identity = here.patient_or_404(patient)
    t, words = here.speech(), consent.words(here.db(), patient)
    shown = [{"purpose": one, "name": t(*PURPOSES[one]), "state": state(words.get(one))} for one in consent.PURPOSES]
    return here.page("consents.html", banner=here.banner_of(identity), purposes=shown)


def state(word: consent.Word | None) -> str:
    """The latest word as a sentence, with when and who wrote it down."""
    t = here.speech()
    if word is None:
        return t("chưa hỏi", "not asked")
    said = t("đồng ý", "agrees") if word.given else t("không đồng ý", "does not agree")
    return f"{said} · {present.moment(word.wall, here.now())} · {rows.staff_name(here.db(), word.staff)}"


@screen.get("/patients/<int:patient>/consent/<purpose>")
def ask(patient: int, purpose: str) -> Response:
    """What is read to the patient. ``back=ask``: a request waits for the answer."""
    identity, t, back = here.patient_or_404(patient), here.speech(), request.args.get("back", "")
    _known(patient, purpose)
    word = consent.words(here.db(), patient).get(purpose)
    return here.page(
        "consent.html", banner=here.banner_of(identity), purpose=purpose, name=t(*PURPOSES[purpose]), words=t(*consent.TEXTS[purpose]),
        state=state(word), given=word is not None and word.given, carried=_back(back), back=_where(patient, back),
    )  # fmt: skip


@screen.post("/patients/<int:patient>/consent/<purpose>")
def say(patient: int, purpose: str) -> Response:
    """Fields: answer (yes, no), back (``ask``: on to the review of the request)."""
    here.patient_or_404(patient)
    _known(patient, purpose)
    given = _ANSWERS.get(request.form.get("answer", ""))
    if given is None:
        raise here.Unready(("Chọn Đồng ý hoặc Không đồng ý.", "Choose yes or no."), f"/patients/{patient}/consent/{purpose}")
    consent.say(here.db(), patient=patient, purpose=purpose, given=given, staff=here.desk().staff, now=here.stamp())
    here.desk().notice = SAID[given]
    return here.go(_where(patient, request.form.get("back", "")))


def _known(patient: int, purpose: str) -> None:
    if purpose not in consent.PURPOSES:
        raise here.Gone(("Không có mục đích này. Chọn trong danh sách.", "There is no such purpose."), f"/patients/{patient}/consent")


def _back(back: str) -> str:
    return "ask" if back == "ask" else ""


def _where(patient: int, back: str) -> str:
    return f"/patients/{patient}/ask/review" if _back(back) else f"/patients/{patient}/consent"
