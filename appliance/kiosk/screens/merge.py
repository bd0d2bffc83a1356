"""Two records of one person: find the second, identify both by two identifiers, say why; and take them apart again."""

from collections.abc import Mapping

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.contract.events import Identity
from appliance.kiosk import here, present, rows
from appliance.kiosk.forms import clean
from appliance.kiosk.speech import APART, SAME, Pair
from appliance.store import merging, patients

screen = Blueprint("merge", __name__)

_ERRORS: dict[str, Pair] = {
    "identifiers": (
        "Chạm ít nhất hai điều đúng ở MỖI hồ sơ: cả hai phải là của người này.",
        "Tap at least two right things in EACH record: both must be this person's.",
    ),
    "reason": ("Chọn một lý do.", "Choose a reason."),
}


@screen.get("/patients/<int:patient>/merge")
def search(patient: int) -> Response:
    """Which record is the second one? Those that look alike are offered."""
    identity = _standing(patient)
    draft = patients.draft_of(identity)
    alike = [here.banner_of(one) for one in patients.same(here.db(), draft) if one.patient != patient]
    return _choose(identity, alike, "", ())


@screen.post("/patients/<int:patient>/merge/find")
def find(patient: int) -> Response:
    """Field: q, as on the home page."""
    here.desk().found = clean(request.form.get("q", ""))[:600]
    return here.go(f"/patients/{patient}/merge/found")


@screen.get("/patients/<int:patient>/merge/found")
def found(patient: int) -> Response:
    """Who it may be."""
    identity, text = _standing(patient), here.desk().found
    people, said = rows.search(here.db(), text) if text else ([], ())
    return _choose(identity, [here.banner_of(one) for one in people if one.patient != patient], text, said)


def _choose(identity: Identity, people: list[present.Banner], text: str, said: tuple[Pair, ...]) -> Response:
    t, at = here.speech(), f"/patients/{identity.patient}/merge"
    return here.page(
        "merge_find.html", banner=here.banner_of(identity), people_found=people, text=text, said=said, at=at,
        title=t("Hồ sơ nào cũng là của người này?", "Which record is this person's too?"),
    )  # fmt: skip


@screen.get("/patients/<int:patient>/merge/<int:duplicate>")
def ask(patient: int, duplicate: int) -> Response:
    """Two identifiers of each record, and the reason."""
    return _page(_standing(patient), _standing(duplicate), {})


@screen.post("/patients/<int:patient>/merge/<int:duplicate>")
def join(patient: int, duplicate: int) -> Response:
    """Fields: one_name … and two_name … (=1, at least two of each record), reason (one of `speech.SAME`)."""
    one, two = _standing(patient), here.patient_or_404(duplicate)
    errors = {}
    if not (_ticked("one_", one) and _ticked("two_", two)):
        errors["identifiers"] = _ERRORS["identifiers"]
    why = SAME.get(request.form.get("reason", ""))
    if why is None:
        errors["reason"] = _ERRORS["reason"]
    if errors or why is None:
        return _page(one, two, errors, 422)
    merging.merge(here.db(), patient=patient, duplicate=duplicate, reason=why[0], staff=here.desk().staff, now=here.stamp())
    here.kiosk().desks.unconfirm([patient, duplicate])
    here.desk().notice = (
        "Đã gộp hai hồ sơ. Kết quả cũ vẫn ở hồ sơ gốc; muốn tách, xem mục Hồ sơ ở cuối trang.",
        "The records are merged. Old readings stay with their record; to take them apart, see the end of the page.",
    )
    return here.go(f"/patients/{patient}")


def _ticked(prefix: str, identity: Identity) -> bool:
    ticked = [name.removeprefix(prefix) for name in request.form if name.startswith(prefix)]
    return present.two_identifiers(ticked, identity, here.speech())


def _page(one: Identity, two: Identity, errors: Mapping[str, Pair], status: int = 200) -> Response:
    t = here.speech()
    both = [
        {"prefix": prefix, "shown": here.banner_of(who), "identifiers": present.identifiers(who, t), "label": t(*label)}
        for prefix, who, label in (
            ("one_", one, ("Hồ sơ được giữ lại", "The record that stands")), ("two_", two, ("Hồ sơ gộp vào", "The record that joins it")),
        )
    ]  # fmt: skip
    return here.page(
        "merge.html", status, banner=here.banner_of(one), both=both, errors=errors, typed=request.form, other=two.patient,
        reasons=[(value, t(*words)) for value, words in SAME.items()],
    )  # fmt: skip


@screen.get("/patients/<int:patient>/unmerge/<int:duplicate>")
def why(patient: int, duplicate: int) -> Response:
    """Why were they two people after all?"""
    return _apart(*_joined(patient, duplicate), {})


@screen.post("/patients/<int:patient>/unmerge/<int:duplicate>")
def part(patient: int, duplicate: int) -> Response:
    """Field: reason (one of `speech.APART`)."""
    one, two = _joined(patient, duplicate)
    reason = APART.get(request.form.get("reason", ""))
    if reason is None:
        return _apart(one, two, {"reason": _ERRORS["reason"]}, 422)
    merging.unmerge(here.db(), duplicate=duplicate, reason=reason[0], staff=here.desk().staff, now=here.stamp())
    here.kiosk().desks.unconfirm([patient, duplicate])
    here.desk().notice = (
        "Đã tách. Mỗi hồ sơ lại như trước; hỏi lại dị ứng của cả hai người.",
        "Taken apart. Each record is as before; ask both people about allergies again.",
    )
    return here.go(f"/patients/{patient}")


def _apart(one: Identity, two: Identity, errors: Mapping[str, Pair], status: int = 200) -> Response:
    t = here.speech()
    return here.page(
        "unmerge.html", status, banner=here.banner_of(one), other=here.banner_of(two), errors=errors,
        reasons=[(value, t(*words)) for value, words in APART.items()],
    )  # fmt: skip


def _standing(patient: int) -> Identity:
    """A record that stands for itself; Conflict for one that was merged."""
    identity = here.patient_or_404(patient)
    top = patients.root(here.db(), patient)
    if top != patient:
        raise here.Conflict(
            ("Hồ sơ này đã gộp rồi. Mở hồ sơ được giữ lại.", "This record was merged already. Open the one that stands."),
            f"/patients/{top}",
        )
    return identity


def _joined(patient: int, duplicate: int) -> tuple[Identity, Identity]:
    """The two of a merge that stands."""
    one, two = here.patient_or_404(patient), here.patient_or_404(duplicate)
    if all(each.duplicate.patient != duplicate for each in merging.merged(here.db(), patient)):
        raise here.Conflict(("Hai hồ sơ này không gộp với nhau.", "These two records are not merged."), f"/patients/{patient}")
    return one, two
