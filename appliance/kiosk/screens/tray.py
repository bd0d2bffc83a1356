"""Readings that are nobody's yet: the tray, where a person may say within 15 minutes whose they are, by two identifiers.

Beside it: readings of a patient's own session that nobody saved before the page was left; they need two identifiers too.
"""

from dataclasses import replace

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance import journal
from appliance.contract.events import Identity
from appliance.contract.readings import Stamp
from appliance.kiosk import here, present, rows
from appliance.kiosk.forms import clean
from appliance.kiosk.screens.confirm import ERROR, ticked
from appliance.kiosk.screens.measure import commit
from appliance.kiosk.speech import WHY, pair
from appliance.store import boots, measuring, memory, patients
from appliance.store.measuring import ASSIGN_TENTHS, Held, MeasurementRow, State

screen = Blueprint("tray", __name__)

_GONE = 10
"""So many of those that were sent without a name are listed."""


@screen.get("/tray")
def tray() -> Response:
    """What lies in the tray, with the reason and the time left."""
    t, stamp = here.speech(), here.stamp()
    shown = []
    for row in reversed(measuring.unassigned(here.db())):
        left = present.span(_left(row, stamp), t)
        shown.append(
            {
                "id": row.id, "shown": _shown(row), "why": pair(WHY, row.why, t, ("không rõ vì sao", "reason unknown")),
                "may": measuring.assignable(row.reading.stamp, stamp), "left": t(f"còn {left}", f"{left} left"),
            }
        )  # fmt: skip
    gone = [_shown(one) for one in rows.sent_unassigned(here.db(), _GONE)]
    return here.page("tray.html", rows=shown, gone=gone, held=[_held(one) for one in measuring.held(here.db())])


def _held(it: Held) -> dict[str, object]:
    """The same reading came again while the device was another patient's: shown, never moved."""
    return {"id": it.id, "shown": _shown(it.measurement), "whose": _name(it.measurement.patient), "again": _name(it.session.patient)}


def _name(patient: int | None) -> str:
    known = None if patient is None else patients.get(here.db(), patient)
    return here.speech()("chưa có tên", "nobody yet") if known is None else known.name


@screen.post("/held/<int:held>/seen")
def seen(held: int) -> Response:
    """A person has looked at a repeated reading."""
    measuring.close_held(here.db(), held, staff=here.desk().staff, now=here.stamp())
    return here.go("/tray")


def _left(row: MeasurementRow, now: Stamp) -> int:
    """How long it may still be assigned, in tenths of a second."""
    measured = row.reading.stamp
    gone = now.ticks - measured.ticks if now.boot == measured.boot else now.wall - measured.wall
    return max(0, ASSIGN_TENTHS - gone)


def _shown(row: MeasurementRow) -> present.ReadingShown:
    conn, t = here.db(), here.speech()
    shown = present.reading(
        row.reading,
        here.device_name(row.device),
        here.now(),
        t,
        ahead=memory.offset(conn, row.reading),
        due=here.calibration_due(row.reading.device),
    )
    copies = memory.copies(conn, row.id)
    return replace(shown, said=(*shown.said, t("cũng có trong bộ nhớ máy", "also in the device's memory"))) if copies else shown


@screen.get("/tray/<int:measurement>")
def search(measurement: int) -> Response:
    """Whose is it? Search first."""
    row = _waiting(measurement)
    return here.page("assign.html", measurement=measurement, reading=_shown(row))


@screen.post("/tray/<int:measurement>/find")
def find(measurement: int) -> Response:
    """Field: q, as on the home page."""
    here.desk().found = clean(request.form.get("q", ""))[:600]
    return here.go(f"/tray/{measurement}/found")


@screen.get("/tray/<int:measurement>/found")
def found(measurement: int) -> Response:
    """Who it may be."""
    t = here.speech()
    text = here.desk().found
    people, said = rows.search(here.db(), text) if text else ([], ())
    return here.page(
        "found.html", title=t("Kết quả này của ai?", "Whose reading is this?"), people_found=[here.banner_of(one) for one in people],
        target=f"/tray/{measurement}/to/", target_end="", back=f"/tray/{measurement}", may_register=False,
        said=said, text=text, again=f"/tray/{measurement}/find",
    )  # fmt: skip


@screen.get("/tray/<int:measurement>/to/<int:patient>")
def ask(measurement: int, patient: int) -> Response:
    """Two identifiers of the person it is to be given to."""
    return _identify(_waiting(measurement), here.patient_or_404(patient), f"/tray/{measurement}/to/{patient}", f"/tray/{measurement}")


@screen.post("/tray/<int:measurement>/to/<int:patient>")
def assign(measurement: int, patient: int) -> Response:
    """Fields: id_name, id_birth … (=1 each, at least two). Marked *gán sau*; who did it is kept."""
    identity = here.patient_or_404(patient)
    if not present.two_identifiers(ticked(), identity, here.speech()):
        return _identify(_waiting(measurement), identity, f"/tray/{measurement}/to/{patient}", f"/tray/{measurement}", 422)
    done = measuring.assign(here.db(), measurement, patient=patient, staff=here.desk().staff, now=here.stamp())
    _epoch_id, epoch = boots.epoch(here.db())
    journal.step(here.kiosk().log, "record", reading_key=done.key, measurement=measurement, epoch=epoch, lane=done.lane, seq=done.seq)
    here.desk().confirmed[patient] = here.kiosk().clock.monotonic()
    here.desk().notice = (
        "Đã gán kết quả cho người bệnh này (ghi là gán sau).",
        "The reading was assigned to this patient (marked as assigned later).",
    )
    return here.go(f"/patients/{patient}")


@screen.get("/patients/<int:patient>/undecided/<int:measurement>")
def undecided(patient: int, measurement: int) -> Response:
    """A reading of this patient's session that nobody saved: two identifiers, then save or leave it."""
    identity, row = here.patient_or_404(patient), _undecided(patient, measurement)
    return _identify(row, identity, f"/patients/{patient}/undecided/{measurement}", f"/patients/{patient}", save=True)


@screen.post("/patients/<int:patient>/undecided/<int:measurement>")
def decide(patient: int, measurement: int) -> Response:
    """Fields: id_name, id_birth … (at least two)."""
    identity, row = here.patient_or_404(patient), _undecided(patient, measurement)
    if not present.two_identifiers(ticked(), identity, here.speech()):
        return _identify(row, identity, f"/patients/{patient}/undecided/{measurement}", f"/patients/{patient}", 422, save=True)
    commit(row, kept=bool(present.questions(row.reading, here.speech())))
    here.desk().confirmed[patient] = here.kiosk().clock.monotonic()
    here.desk().notice = ("Đã lưu.", "Saved.")
    return here.go(f"/patients/{patient}")


def _undecided(patient: int, measurement: int) -> MeasurementRow:
    row = measuring.measurement(here.db(), measurement)
    if row is None or row.patient != patient or row.state is not State.SETTLED:
        raise here.Conflict(("Kết quả này không còn chờ lưu.", "This reading is no longer waiting."), f"/patients/{patient}")
    if not measuring.assignable(row.reading.stamp, here.stamp()):
        raise here.Conflict(
            (
                "Đã quá 15 phút từ lúc đo nên không lưu được nữa. Hãy đo lại.",
                "More than 15 minutes have passed, it cannot be saved. Measure again.",
            ),
            f"/patients/{patient}",
        )
    return row


def _waiting(measurement: int) -> MeasurementRow:
    row = measuring.measurement(here.db(), measurement)
    if row is None or row.state is not State.UNASSIGNED:
        raise here.Conflict(("Kết quả này không còn ở khay.", "This reading is no longer in the tray."), "/tray")
    return row


def _identify(row: MeasurementRow, identity: Identity, action: str, back: str, status: int = 200, *, save: bool = False) -> Response:
    t = here.speech()
    button = t("Lưu cho người này", "Save for this person") if save else t("Gán cho người này", "Assign to this person")
    return here.page(
        "confirm.html", status, banner=here.banner_of(identity), identifiers=present.identifiers(identity, t), carried={}, action=action,
        back=back, reading=_shown(row), button=button, errors=ERROR if status != 200 else {},
    )  # fmt: skip
