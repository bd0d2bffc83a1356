"""A blood pressure with guidance: posture, arm and cuff; five minutes of rest; two or three readings a minute apart; their mean.

The steps are those of `contract.guided`; nobody is hurried past one, and a rest that is cut short says why. Each reading is measured
and saved on the measuring page, with a press for each start. The mean stands beside the readings and never for them.
"""

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.contract.events import Identity
from appliance.contract.guided import (
    ARMS,
    CUFFS,
    POSTURES,
    REASONS,
    Arm,
    Cuff,
    Mean,
    Posture,
    Unrested,
    cuff_pair,
    mean_pair,
)
from appliance.kiosk import here, present
from appliance.kiosk.screens import measure
from appliance.kiosk.series import taken_words
from appliance.kiosk.speech import Pair, Say
from appliance.store import guided, manual
from appliance.store.guided import Series, State

screen = Blueprint("guided", __name__)

ASKED: dict[str, Pair] = {
    "posture": ("Chọn tư thế.", "Choose the posture."),
    "arm": ("Chọn tay quấn vòng bít.", "Choose the arm with the cuff."),
    "cuff": ("Chọn cỡ vòng bít, theo vạch in trên vòng bít.", "Choose the cuff size by the marks on the cuff."),
}


def begin(identity: Identity, device: str) -> Response:
    """Begin the series of a confirmed patient, or go on with the one that this person had begun."""
    staff = here.desk().staff
    slot = manual.slot(staff) if manual.is_manual(device) else device
    found = guided.begin(here.db(), patient=identity.patient, staff=staff, device=slot, now=here.stamp())
    return here.go(f"/guided/{found.id}")


@screen.get("/guided/<int:series>")
def show(series: int) -> Response:
    """The step at which the series is."""
    found = _mine(series)
    return found if isinstance(found, Response) else _page(*found)


def _page(it: Series, identity: Identity, errors: dict[str, Pair] | None = None, status: int = 200) -> Response:
    t, now = here.speech(), here.stamp()
    rows = guided.taken(here.db(), it)
    needed, left = guided.needed(it, rows), guided.gap_left(here.db(), it, now)
    made = guided.result(it, rows)
    if it.state is State.DONE:
        step = "done"
    elif not it.open_at(now):
        step = "left"
    elif it.resting is None:
        step = "prepare"
    elif it.rested is None:
        step = "rest"
    elif len(rows) >= needed and made is not None:
        step = "enough"
    else:
        step = "next"
    return here.page(
        "guided.html", status, banner=here.banner_of(identity), series=it.id, step=step, errors=errors or {}, typed=request.form,
        labels={"posture": t("Tư thế", "Posture"), "arm": t("Tay", "Arm"), "cuff": t("Vòng bít", "Cuff")},
        postures=[(str(int(one)), t(*words)) for one, words in POSTURES.items()],
        arms=[(str(int(one)), t(*words)) for one, words in ARMS.items()],
        sizes=[(str(int(one)), _unbroken(cuff_words(one, t))) for one in CUFFS],
        seconds=it.rest_left(now) if step == "rest" else left if step == "next" else 0,
        rest_s=it.protocol.rest_s, gap_s=it.protocol.gap_s, number=len(rows) + 1, needed=needed, first_visit=it.first_visit,
        rows=[
            present.reading(one.reading, one.device_name or here.device_name(it.device), here.now(), t, one.marks, due=one.calibration_due)
            for one in rows
        ],
        mean=None if made is None else mean_words(it, made, t), taken=taken_words(it, t), device=here.device_name(it.device),
        corrected=bool(rows) and made is None and step == "done",
    )  # fmt: skip


@screen.post("/guided/<int:series>/prepare")
def prepare(series: int) -> Response:
    """Fields: posture, arm, cuff (numbers of their enumerations)."""
    found = _mine(series)
    if isinstance(found, Response):
        return found
    it, identity = found
    posture, arm, cuff = (_choice(name, rows) for name, rows in (("posture", POSTURES), ("arm", ARMS), ("cuff", CUFFS)))
    missing = {name: ASKED[name] for name, value in (("posture", posture), ("arm", arm), ("cuff", cuff)) if not value}
    if missing:
        return _page(it, identity, missing, 422)
    guided.prepare(here.db(), it, arm=Arm(arm), cuff=Cuff(cuff), posture=Posture(posture), now=here.stamp())
    return here.go(f"/guided/{series}")


def _choice(name: str, rows: dict[Posture, Pair] | dict[Arm, Pair] | dict[Cuff, Pair]) -> int:
    """The number that was chosen; 0 for none of them."""
    text = request.form.get(name, "")
    return next((int(one) for one in rows if str(int(one)) == text), 0)


@screen.get("/guided/<int:series>/unrested")
def why(series: int) -> Response:
    """Why is the rest cut short?"""
    found = _mine(series)
    if isinstance(found, Response):
        return found
    it, identity = found
    t = here.speech()
    reasons = [(int(one), t(*words)) for one, words in REASONS.items()]
    return here.page("unrested.html", banner=here.banner_of(identity), series=it.id, reasons=reasons)


@screen.post("/guided/<int:series>/rested")
def rested(series: int) -> Response:
    """The rest is over. Field: unrested, the reason where it was cut short."""
    found = _mine(series)
    if isinstance(found, Response):
        return found
    it, _identity = found
    said = request.form.get("unrested", "")
    reason = next((one for one in REASONS if str(int(one)) == said), Unrested.NO)
    if it.resting is None or (reason is Unrested.NO and it.rest_left(here.stamp()) > 0):
        return here.go(f"/guided/{series}")
    guided.end_rest(here.db(), it, unrested=reason, now=here.stamp())
    return here.go(f"/guided/{series}")


@screen.post("/guided/<int:series>/measure")
def start(series: int) -> Response:
    """On to the measuring page for the next reading: a session of its own. The cuff is started there, by a press."""
    found = _mine(series)
    if isinstance(found, Response):
        return found
    it, identity = found
    if it.rested is None or not it.open_at(here.stamp()) or guided.gap_left(here.db(), it, here.stamp()) > 0:
        return here.go(f"/guided/{series}")
    opened = measure.opened(identity, it.device)
    guided.attach(here.db(), it, opened.id, here.stamp())
    return here.go(f"/sessions/{opened.id}")


@screen.post("/guided/<int:series>/finish")
def finish(series: int) -> Response:
    """The readings are enough: their mean is told with them."""
    found = _mine(series)
    if isinstance(found, Response):
        return found
    it, _identity = found
    _close(it)
    guided.finish(here.db(), it, staff=here.desk().staff, now=here.stamp())
    return here.go(f"/guided/{series}")


@screen.post("/guided/<int:series>/leave")
def leave(series: int) -> Response:
    """Given up: what was saved stays, there is no mean. It needs no confirmed patient."""
    it = guided.get(here.db(), series)
    if it is None or it.staff != here.desk().staff:
        raise here.Conflict(_NOT_YOURS)
    _close(it)
    guided.leave(here.db(), it, "given-up", here.stamp())
    return here.go(f"/patients/{it.patient}")


def _close(it: Series) -> None:
    """No session of this window stays open at the series' device."""
    for session in list(here.desk().sessions):
        series = guided.of_session(here.db(), session)
        if series is not None and series.id == it.id:
            measure.close(here.desk(), session, "finished")


_NOT_YOURS: Pair = (
    "Lượt đo này do người khác bắt đầu. Mở người bệnh và bắt đầu lượt mới; kết quả đã lưu vẫn còn.",
    "Somebody else began this series. Open the patient and begin a new one; what was saved stays.",
)


def _mine(series: int) -> tuple[Series, Identity] | Response:
    """The series of whoever is at this window, and its confirmed patient; or the page where the patient is confirmed again."""
    it = guided.get(here.db(), series)
    if it is None:
        raise here.Gone(("Không có lượt đo này. Chọn lại người bệnh.", "There is no such series. Choose the patient again."))
    here.about(patient=it.patient, subject=f"guided:{it.id}")
    identity = here.patient_or_404(it.patient)
    if it.staff != here.desk().staff:
        raise here.Conflict(_NOT_YOURS, f"/patients/{it.patient}")
    if not here.desk().is_confirmed(it.patient):
        device = manual.DEVICE if manual.is_manual(it.device) else it.device
        return here.go(f"/patients/{it.patient}/confirm?device={measure.GUIDED}{device}")
    return it, identity


# --- words --------------------------------------------------------------------------------------------------------------------------


def _unbroken(words: str) -> str:
    """A range and its unit are not broken between two lines."""
    return words.replace(" cm", "\N{NO-BREAK SPACE}cm").replace("–", "–\N{WORD JOINER}")


def cuff_words(cuff: Cuff, t: Say) -> str:
    """A cuff's size, with the arm it is for: ``Người lớn (27–34 cm)``."""
    return t(*cuff_pair(cuff))


def mean_words(it: Series, made: Mean, t: Say) -> dict[str, str]:
    """The mean, marked as what it is: of how many readings, by which rule."""
    return {
        "pressure": f"{tenths(made.systolic, t)}/{tenths(made.diastolic, t)}",
        "pulse": "" if made.pulse is None else tenths(made.pulse, t),
        "said": t(*mean_pair(it.protocol.number, len(made.used))),
    }


def means(patients: list[int], since: int = 0) -> list[dict[str, str]]:
    """The means of these records that still hold, measured after `since` (tenths since 1970), the newest first, with when that was."""
    t, conn, found = here.speech(), here.db(), []
    for it in (one for patient in patients for one in guided.finished(conn, patient)):
        rows = guided.taken(conn, it)
        made = guided.result(it, rows)
        if made is not None and rows[-1].wall >= since:
            at = present.moment(rows[-1].wall, here.now())
            found.append((rows[-1].wall, {**mean_words(it, made, t), "at": at, "taken": taken_words(it, t)}))
    return [words for _wall, words in sorted(found, key=lambda one: -one[0])]


def tenths(value: int, t: Say) -> str:
    """A number of tenths: ``134`` or ``134,5``."""
    return str(value // 10) if value % 10 == 0 else present.number_text(value / 10, t)
