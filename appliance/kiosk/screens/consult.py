"""Asking a doctor: write, check, send; follow the request by what is proved; read the signed answer and say so."""

from typing import Any

from flask import Blueprint, jsonify, request
from markupsafe import Markup
from werkzeug.wrappers import Response

from appliance import journal
from appliance.contract.events import Basis, Department, Identity, Urgency
from appliance.contract.ids import short_number, spell
from appliance.contract.readings import Reading
from appliance.kiosk import here, present, roster, rows
from appliance.kiosk.desk import Ask
from appliance.kiosk.forms import clean, short_text
from appliance.kiosk.screens import pictures as album
from appliance.kiosk.screens.correct import struck
from appliance.kiosk.speech import DEPARTMENTS, URGENCIES, WITHDRAWALS, Pair
from appliance.store import consent, consults, corrections, downlink, duty, pictures, strips
from appliance.store.consults import AnswerRow, ConsultDraft, ConsultRow
from appliance.store.errors import Taken
from appliance.store.measuring import ObservationRow

screen = Blueprint("consult", __name__)

_OFFERED = 12
"""So many of the latest saved readings are offered (the store's own limit for one request)."""
_FRESH_TENTHS = 2 * 3600 * 10
"""Readings of the last two hours are chosen beforehand: they belong to this visit."""
_TRIES = 4
_PARTS = ("department", "readings")
"""Pages of a request that are opened from its review, to change what was chosen beforehand."""


# --- lists --------------------------------------------------------------------------------------------------------------------------


def summaries(patient: int | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Requests as the lists show them, the newest first."""
    t, now = here.speech(), here.now()
    found = []
    for row in consults.listing(here.db(), patient=patient, limit=limit):
        line = consults.receipt_line(here.db(), row.consult)
        steps = [step for step in present.receipt_steps(_marks(line), now, t) if step.done]
        state = t("đã rút lại", "withdrawn") if row.withdrawn is not None else steps[-1].text
        found.append(
            {
                "id": row.consult, "name": row.requested.identity.name, "complaint": row.complaint, "at": present.moment(row.saved, now),
                "urgency": t(*URGENCIES[row.urgency]), "state": state, "to_read": line.answered is not None and line.read is None,
                "open": row.withdrawn is None and line.read is None,
            }
        )  # fmt: skip
    return found


def _marks(line: consults.ReceiptLine) -> dict[str, int | None]:
    return {"saved": line.saved, "received": line.received, "opened": line.opened, "answered": line.answered, "read": line.read}


@screen.get("/consults")
def listing() -> Response:
    """All requests of this station."""
    return here.page("consults.html", consults=summaries(), strays=strays())


def strays() -> list[dict[str, Any]]:
    """Verified answers nobody has read to requests that this box does not have: nothing that came is lost."""
    now = here.now()
    return [
        {"id": one.consult, "code": spell(one.consult), "doctor": one.content.practitioner_name, "at": present.moment(one.content.at, now)}
        for one in consults.unread(here.db())
        if one.stray == "unknown-consult"
    ]


# --- asking -------------------------------------------------------------------------------------------------------------------------


@screen.get("/patients/<int:patient>/ask")
def ask(patient: int) -> Response:
    """Complaint and urgency; ``part`` = department, readings: what is sent along and where to, for whoever changes it at the review."""
    part = request.args.get("part", "")
    return _form(here.patient_or_404(patient), _draft(patient), {}, part=part if part in _PARTS else "")


@screen.post("/patients/<int:patient>/ask")
def write(patient: int) -> Response:
    """Fields: complaint, department, urgency (names in lower case), reading_<measurement>=1 for each chosen one, readings=1.

    What a page does not ask stays as it was; from the beginning it is the examination department and this visit's readings,
    which the review shows before anything is sent.
    """
    identity, draft = here.patient_or_404(patient), _draft(patient)
    errors: dict[str, Pair] = {}
    if "complaint" in request.form:
        draft.complaint, too_long = short_text(request.form.get("complaint", ""), "complaint")
        if too_long:
            errors["complaint"] = too_long
    draft.department = _named(Department, "department") if "department" in request.form else draft.department or Department.GENERAL
    if "urgency" in request.form:
        draft.urgency = _named(Urgency, "urgency")
    if request.form.get("readings"):
        draft.readings, draft.waves = _chosen("reading_"), _chosen("wave_")
    elif draft.readings is None:
        draft.readings = _beforehand(_offered(patient))
    if not draft.complaint and draft.urgency is not Urgency.EMERGENCY:
        errors["complaint"] = ("Ghi lý do hỏi bác sĩ, một câu ngắn cũng được.", "Write what is asked, one short sentence will do.")
    if draft.department is None:
        errors["department"] = (
            "Chọn khoa nhận. Không chắc thì chọn “Khám bệnh”.",
            "Choose a department. If not sure, choose “Examination”.",
        )
    if draft.urgency is None:
        errors["urgency"] = ("Chọn mức khẩn: Thường, Khẩn hay Cấp cứu.", "Choose how urgent it is: routine, urgent or emergency.")
    if errors:
        return _form(identity, draft, errors, 422, part="department" if set(errors) == {"department"} else "")
    return here.go(f"/patients/{patient}/ask/review")


@screen.get("/patients/<int:patient>/ask/review")
def review(patient: int) -> Response:
    """Check before sending."""
    return _review(here.patient_or_404(patient), _draft(patient), {})


def _review(identity: Identity, draft: Ask, errors: dict[str, Pair], status: int = 200) -> Response:
    t, patient = here.speech(), identity.patient
    if draft.department is None or draft.urgency is None:
        return here.go(f"/patients/{patient}/ask")
    chosen = [rows.shown(one, here.now(), t) for one in _offered(patient) if one.measurement in (draft.readings or ())]
    shown = {
        "complaint": draft.complaint or t("(không ghi)", "(none)"), "department": t(*DEPARTMENTS[draft.department]),
        "duty": roster.choice(here.rota_now(), draft.department, t),
        "urgency": t(*URGENCIES[draft.urgency]), "readings": chosen, "consult": draft.consult, "waves": len(_waves(draft)),
        "pictures": album.shown(draft.consult),
        "basis": consent.basis(here.db(), patient, draft.urgency).name.lower(), "asked": consent.TREAT in consent.words(here.db(), patient),
    }  # fmt: skip
    return here.page("review.html", status, banner=here.banner_of(identity), draft=shown, errors=errors)


@screen.post("/patients/<int:patient>/ask/send")
def send(patient: int) -> Response:
    """Fields: consult (the number on the review page), emergency=1: nobody could be asked for consent.

    Two idle minutes before it: the patient is confirmed again first. Without consent and not an emergency: ask first.
    """
    number = here.number("consult")
    draft = here.desk().ask
    if draft is None or draft.consult != number or draft.patient != patient:
        known = consults.get(here.db(), number)
        if known is not None and known.patient == patient:  # the second tap on the same button
            return here.go(f"/consults/{number}")
        raise here.Conflict(
            ("Yêu cầu này không còn ở màn hình này. Viết lại.", "This request is no longer on this screen. Write it again."),
            f"/patients/{patient}/ask",
        )
    if request.form.get("emergency"):
        draft.basis = Basis.EMERGENCY
    if draft.urgency is not None and consent.basis(here.db(), patient, draft.urgency, draft.basis) is Basis.UNSAID:
        return _review(here.patient_or_404(patient), draft, {"basis": _ASK_FIRST}, 422)
    if not here.is_confirmed(here.patient_or_404(patient)):
        return here.go(f"/patients/{patient}/confirm?send=1")
    number = _request(draft)
    here.desk().ask = None
    return here.go(f"/consults/{number}")


_ASK_FIRST: Pair = (
    "Người bệnh chưa đồng ý gửi cho bác sĩ. Bấm “Đọc và hỏi”; không hỏi được vì cấp cứu thì chạm vào ô đó.",
    "The patient has not agreed yet. Tap “Read and ask”; if nobody can be asked in an emergency, tap that box.",
)


def _request(draft: Ask) -> int:
    """Commit it under its number; one that is another request's is drawn again."""
    if draft.department is None or draft.urgency is None:
        raise here.Unready(
            ("Chọn khoa và mức khẩn trước khi gửi.", "Choose department and urgency first."), f"/patients/{draft.patient}/ask"
        )
    said = ConsultDraft(
        draft.patient, draft.urgency, draft.department, draft.complaint, draft.readings or (), basis=draft.basis, waves=_waves(draft)
    )
    for _ in range(_TRIES):
        try:
            consults.request(here.db(), said, consult=draft.consult, staff=here.desk().staff, now=here.stamp())
            return draft.consult
        except Taken:
            taken, draft.consult = draft.consult, short_number(here.kiosk().urandom(5))
            pictures.move(here.db(), taken, draft.consult)
    raise RuntimeError("no free consult number in four draws of 40 bits")


def _draft(patient: int) -> Ask:
    """What this window is writing for this patient; a new one for another patient."""
    window = here.desk()
    if window.ask is None or window.ask.patient != patient:
        window.ask = Ask(patient, short_number(here.kiosk().urandom(5)))
    return window.ask


def _offered(patient: int) -> list[ObservationRow]:
    return rows.readings(here.db(), patient, _OFFERED)


def _wave(it: ObservationRow) -> strips.Kept | None:
    """The pulse wave of a reading, while the run directory still holds it."""
    return strips.kept(here.kiosk().settings.paths.run, it.key)


def _waves(draft: Ask) -> tuple[strips.Kept, ...]:
    """What goes along: waves that were ticked, of readings that go along too and that are this patient's."""
    mine = [one for one in _offered(draft.patient) if one.measurement in draft.waves and one.measurement in (draft.readings or ())]
    return tuple(found for one in mine if (found := _wave(one)) is not None)


def _named(kind: Any, name: str) -> Any:
    return kind.__members__.get(request.form.get(name, "").upper())


def _beforehand(offered: list[ObservationRow]) -> tuple[int, ...]:
    """What is chosen until somebody chooses: this visit's readings, else the latest one."""
    fresh = [one.measurement for one in offered if here.now() - one.reading.stamp.wall <= _FRESH_TENTHS]
    return tuple(fresh or [one.measurement for one in offered[:1]])


def _form(identity: Identity, draft: Ask, errors: dict[str, Pair], status: int = 200, part: str = "") -> Response:
    t, now = here.speech(), here.now()
    offered = _offered(identity.patient)
    chosen = _beforehand(offered) if draft.readings is None else draft.readings
    readings = [
        {
            "measurement": one.measurement, "shown": rows.shown(one, now, t), "chosen": one.measurement in chosen,
            "wave": bool(part) and _wave(one) is not None, "sent": one.measurement in draft.waves,
        }
        for one in offered
    ]  # fmt: skip
    typed = {
        "complaint": draft.complaint, "department": (draft.department or Department.GENERAL).name.lower(),
        "urgency": "" if draft.urgency is None else draft.urgency.name.lower(),
    }  # fmt: skip
    return here.page(
        "ask.html", status, banner=here.banner_of(identity), typed=typed, errors=errors, readings=readings, part=part,
        back=f"/patients/{identity.patient}" + ("/ask/review" if part else ""),
        departments=[(one.name.lower(), _with_duty(one)) for one in DEPARTMENTS],
        urgencies=[(one.name.lower(), t(*words)) for one, words in URGENCIES.items()],
    )  # fmt: skip


# --- following ----------------------------------------------------------------------------------------------------------------------


@screen.get("/consults/<int:consult>")
def show(consult: int) -> Response:
    """How far it has come, and the answer. Showing a verified answer for the first time is told to the bridge."""
    answers = consults.answers(here.db(), consult)
    row = None if answers and consults.get(here.db(), consult) is None else _consult_or_404(consult)
    for one in answers:
        if one.shown is None and consults.show(here.db(), consult, one.answer, now=here.stamp()):
            journal.step(here.kiosk().log, "shown", consult=consult, answer=one.answer)
    for said in consults.messages(here.db(), consult):
        if said.reply == 0 and said.shown is None:
            consults.show_question(here.db(), consult, said.question, staff=here.desk().staff, now=here.stamp())
    return _stray(consult, answers) if row is None else _page(row)


def _stray(consult: int, answers: list[AnswerRow]) -> Response:
    """An answer to a request this box does not have, whole and without a patient."""
    to_read = next((one.answer for one in answers if one.read is None and one.replaced_by is None), None)
    shown = [_answer(one) for one in reversed(answers)]
    return here.page("stray.html", consult=consult, code=spell(consult), answers=shown, to_read=to_read)


def _page(row: ConsultRow, errors: dict[str, Pair] | None = None, typed: dict[str, str] | None = None, status: int = 200) -> Response:
    t, now = here.speech(), here.now()
    line = consults.receipt_line(here.db(), row.consult)
    answers = consults.answers(here.db(), row.consult)
    messages = consults.messages(here.db(), row.consult)
    asked = {one.question for one in messages if one.reply == 0} - {one.question for one in messages if one.reply > 0}
    to_read = next((one.answer for one in answers if one.read is None and one.replaced_by is None), None)
    shown = {
        "id": row.consult, "code": spell(row.consult), "mark": _mark(row.consult), "steps": present.receipt_steps(_marks(line), now, t),
        "complaint": row.complaint or t("(không ghi)", "(none)"), "department": t(*DEPARTMENTS[row.department]),
        "urgency": t(*URGENCIES[row.urgency]), "staff": rows.staff_name(here.db(), row.staff),
        "safe": line.safe, "withdrawn": present.moment(row.withdrawn, now), "withdrawn_why": _why(row.withdrawn_why),
        "answers": [_answer(one) for one in reversed(answers)], "to_read": to_read, "question": max(asked, default=None),
        "unverified": downlink.unverified(here.db()) > 0 and not answers, "set_aside": line.set_aside,
        "messages": [_message(one) for one in messages],
        "readings": _readings(row), "waiting": _waiting(row, line),
        "went_on": roster.upwards(duty.went_on(here.db(), row.consult), now, t) if line.opened is None and line.answered is None else "",
        "duty": here.duty_now(row.department),
        "may_withdraw": row.withdrawn is None and line.answered is None, "pictures": album.shown(row.consult),
        "pictures_state": album.progress(row.consult), "offered": _since(row, max(asked, default=None), messages),
    }  # fmt: skip
    return here.page(
        "consult.html", status, banner=here.banner_of(row.requested.identity), consult=shown, errors=errors or {}, typed=typed or {}
    )


def _with_duty(department: Department) -> str:
    """A department to choose, with who is on duty for it."""
    t = here.speech()
    who, words = roster.choice(here.rota_now(), department, t), t(*DEPARTMENTS[department])
    return Markup('<span class="stack">{}<small>{}</small></span>').format(words, who) if who else words


def _chosen(prefix: str) -> tuple[int, ...]:
    """The measurements that were ticked."""
    chosen = (name.removeprefix(prefix) for name in request.form if name.startswith(prefix))
    return tuple(int(one) for one in chosen if one.isascii() and one.isdigit() and len(one) < 18)


def _since(row: ConsultRow, question: int | None, messages: list[consults.Message]) -> list[dict[str, Any]]:
    """Readings saved since the doctor asked: a reply may take them along."""
    asked = next((one.at for one in messages if one.question == question and one.reply == 0), None)
    if asked is None:
        return []
    fresh = [one for one in _offered(row.patient) if one.reading.stamp.wall >= asked]
    return [{"measurement": one.measurement, "shown": rows.shown(one, here.now(), here.speech())} for one in fresh]


def _message(it: consults.Message) -> dict[str, str]:
    who = it.who if it.reply == 0 else rows.staff_name(here.db(), it.who)
    return {"who": who, "text": it.text, "at": present.moment(it.at, here.now()), "way": _way(it)}


def _way(it: consults.Message) -> str:
    """How far a reply has come; nothing for a question."""
    t, now = here.speech(), here.now()
    if it.reply == 0:
        return ""
    if it.seen is not None:
        return t(f"bác sĩ đã xem {present.moment(it.seen, now)}", f"seen by the doctor {present.moment(it.seen, now)}")
    if it.received is not None:
        return t(f"đã lên máy chủ {present.moment(it.received, now)}", f"on the server {present.moment(it.received, now)}")
    return t("đã lưu, chờ gửi", "saved, waiting to be sent")


def _why(reason: str) -> str:
    return here.speech()(*WITHDRAWALS[reason]) if reason in WITHDRAWALS else reason


def _waiting(row: ConsultRow, line: consults.ReceiptLine) -> str:
    """One sentence about what is being waited for; nothing is promised."""
    t = here.speech()
    if row.withdrawn is not None or line.answered is not None or line.set_aside:
        return ""
    if row.claimed_by and row.claimed_until == 0:
        return t(
            f"{row.claimed_by} đã mở rồi trả lại; đang chờ bác sĩ.", f"{row.claimed_by} opened it and gave it back; waiting for a doctor."
        )
    if line.opened is not None:
        who = row.claimed_by or line.opened_by
        return t(f"{who} đang xem.", f"{who} is looking at it.") if who else t("Bác sĩ đang xem.", "A doctor is looking at it.")
    if line.received is not None:
        return t("Đã tới máy chủ, chờ bác sĩ mở.", "On the server, waiting for a doctor.")
    return t("Đã lưu an toàn tại trạm, chờ mạng để gửi.", "Saved safely here, waiting for the network.")


def _readings(row: ConsultRow) -> list[dict[str, Any]]:
    """What the request cites, as it was sent; what was corrected since says so."""
    said = corrections.of_keys(here.db(), [one.key for one in row.requested.readings], row.patient)
    return [{"shown": _cited(row, one), "struck": struck(said.get(one.key), here.speech())} for one in row.requested.readings]


def _cited(row: ConsultRow, one: Reading) -> present.ReadingShown:
    name = next((label.name for label in row.requested.devices if label.device == one.device), "")
    return present.reading(one, name, here.now(), here.speech(), due=here.calibration_due(one.device))


def _answer(row: AnswerRow) -> dict[str, Any]:
    t, now, it = here.speech(), here.now(), row.content
    facts = (
        (t("Nhận định", "Assessment"), it.diagnosis), (t("Thuốc", "Medicine"), it.medicine), (t("Chuyển tuyến", "Refer"), it.refer),
        (t("Hẹn khám lại", "Follow-up"), it.follow_up),
    )  # fmt: skip
    return {
        "doctor": it.practitioner_name or it.practitioner, "at": present.moment(it.at, now), "advice": it.advice, "test_data": it.test_data,
        "facts": [(label, words) for label, words in facts if words], "replaced": row.replaced_by is not None,
        "read": present.moment(row.read, now), "read_by": rows.staff_name(here.db(), row.read_by) if row.read_by else "",
    }  # fmt: skip


def _mark(consult: int) -> str:
    """All that can change on the page, in one word."""
    line = consults.receipt_line(here.db(), consult)
    answers, messages = consults.answers(here.db(), consult), consults.messages(here.db(), consult)
    row = consults.get(here.db(), consult)
    claimed = "" if row is None else f"{row.claimed_by}{row.claimed_until == 0:d}"
    steps = (
        line.received,
        line.opened,
        line.answered,
        line.read,
        line.withdrawn,
        int(line.set_aside),
        int(line.safe),
        len(answers),
        len(messages),
        len(duty.went_on(here.db(), consult)),
        claimed,
        album.mark(row.consult) if row else "",
        "-".join(f"{int(one.received is not None)}{int(one.seen is not None)}" for one in messages if one.reply),
    )
    return ".".join(str(one) for one in steps)


@screen.get("/consults/<int:consult>.json")
def follow(consult: int) -> Response:
    """For the page's script, and for the demo: the receipt line in times, without a patient."""
    if not here.desk().staff:
        return jsonify({"page": "gone"})
    _consult_or_404(consult)
    line = consults.receipt_line(here.db(), consult)
    unread = [one.answer for one in consults.answers(here.db(), consult) if one.read is None]
    return jsonify({"page": _mark(consult), **_marks(line), "shown": line.shown, "answers": unread})


@screen.post("/consults/<int:consult>/read")
def read(consult: int) -> Response:
    """*Đã đọc và xác nhận*. Field: answer."""
    if not consults.answers(here.db(), consult):
        _consult_or_404(consult)
    consults.confirm_read(here.db(), consult, here.number("answer"), here.desk().staff, here.stamp())
    return here.go(f"/consults/{consult}")


@screen.post("/consults/<int:consult>/reply")
def reply(consult: int) -> Response:
    """Fields: question, text, reading_<measurement>=1 for each reading that goes along."""
    row, question = _consult_or_404(consult), here.number("question")
    text, error = short_text(request.form.get("text", ""), "reply")
    readings = _chosen("reading_")
    if not text and not readings:
        error = ("Ghi câu trả lời cho bác sĩ.", "Write a reply to the doctor.")
    if error:
        return _page(row, {"reply": error}, {"text": text}, 422)
    consults.reply(here.db(), consult, question=question, text=text, measurements=readings, staff=here.desk().staff, now=here.stamp())
    return here.go(f"/consults/{consult}")


@screen.get("/consults/<int:consult>/withdraw")
def why(consult: int) -> Response:
    """Why is it taken back?"""
    row, t = _consult_or_404(consult), here.speech()
    reasons = [(value, t(*words)) for value, words in WITHDRAWALS.items()]
    return here.page("withdraw.html", banner=here.banner_of(row.requested.identity), consult=consult, reasons=reasons)


@screen.post("/consults/<int:consult>/withdraw")
def withdraw(consult: int) -> Response:
    """Field: reason (one of `speech.WITHDRAWALS`)."""
    _consult_or_404(consult)
    reason = clean(request.form.get("reason", ""))
    if reason not in WITHDRAWALS:
        raise here.Unready(("Chọn một lý do.", "Choose a reason."), f"/consults/{consult}/withdraw")
    consults.withdraw(here.db(), consult, reason=reason, staff=here.desk().staff, now=here.stamp())
    return here.go(f"/consults/{consult}")


def _consult_or_404(consult: int) -> ConsultRow:
    row = consults.get(here.db(), consult)
    if row is None:
        raise here.Gone(("Không có yêu cầu này ở trạm.", "There is no such request at this station."), "/consults")
    return row
