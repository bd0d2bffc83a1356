"""Two identifiers before anything is measured, sent or assigned: at the start, after two idle minutes, after a reconnect."""

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.contract.events import Identity
from appliance.kiosk import here, present
from appliance.kiosk.screens import choose

screen = Blueprint("confirm", __name__)


@screen.get("/patients/<int:patient>/confirm")
def ask(patient: int) -> Response:
    """What to ask the patient. ``device`` = start measuring with it afterwards; ``send`` = go on to a consult's review."""
    return _page(here.patient_or_404(patient), request.args.get("device", ""), request.args.get("send", ""))


@screen.post("/patients/<int:patient>/confirm")
def confirm(patient: int) -> Response:
    """Fields: id_name, id_birth, id_cccd, id_bhyt, id_phone, id_village (=1 each, at least two), device, send."""
    identity = here.patient_or_404(patient)
    device, send = request.form.get("device", ""), request.form.get("send", "")
    if not present.two_identifiers(ticked(), identity, here.speech()):
        return _page(identity, device, send, 422)
    here.confirm(identity)
    if device:
        return choose.begin(identity, device)
    return here.go(f"/patients/{patient}/ask/review" if send else f"/patients/{patient}")


ticked = choose.ticked
ERROR = choose.IDENTIFIERS


def _page(identity: Identity, device: str, send: str, status: int = 200) -> Response:
    t = here.speech()
    button = t("Bắt đầu đo", "Start measuring") if device else t("Đúng người này", "This is the person")
    back = f"/patients/{identity.patient}/measure" if device else f"/patients/{identity.patient}"
    return here.page(
        "confirm.html", status, banner=here.banner_of(identity), identifiers=present.identifiers(identity, t), button=button, back=back,
        namesakes=here.namesakes(identity),
        action=f"/patients/{identity.patient}/confirm", carried={"device": device, "send": send}, errors=ERROR if status != 200 else {},
    )  # fmt: skip
