"""With what a patient is measured: the station's devices and what each is doing, a guided blood pressure, typing."""

from flask import Blueprint, request
from werkzeug.wrappers import Response

from appliance.contract.events import Identity
from appliance.contract.metrics import TABLE, Metric
from appliance.kiosk import here, live, present
from appliance.kiosk.screens import guided as guiding
from appliance.kiosk.screens import manual as typing
from appliance.kiosk.screens import measure
from appliance.kiosk.speech import Pair
from appliance.store import guided, manual

screen = Blueprint("choose", __name__)


@screen.get("/patients/<int:patient>/measure")
def devices(patient: int) -> Response:
    """The devices of this station and what each is doing; two identifiers on the same page for a patient not confirmed yet."""
    return _devices(here.patient_or_404(patient))


def _devices(identity: Identity, errors: dict[str, Pair] | None = None, status: int = 200) -> Response:
    asked = [] if here.desk().is_confirmed(identity.patient) else present.identifiers(identity, here.speech())
    return here.page(
        "devices.html", status, banner=here.banner_of(identity), identifiers=asked, errors=errors or {},
        namesakes=here.namesakes(identity) if asked else "",
        devices=[_device(name) for name in here.kiosk().settings.devices], typing=manual.DEVICE,
        guided=[(f"{measure.GUIDED}{name}", here.device_name(name)) for name in _offered()], going_on=_going_on(identity.patient),
    )  # fmt: skip


def _cuffs() -> list[str]:
    """What a guided blood pressure can be taken with: every device that declares a systolic pressure, and typing."""
    return [*(name for name in here.kiosk().settings.devices if Metric.SYSTOLIC in measure.metrics_of(name)), manual.DEVICE]


def _offered() -> list[str]:
    """Those that have a tile of their own: with a cuff at hand the typed one stands on the page of what can be typed."""
    return _cuffs() if len(_cuffs()) == 1 else _cuffs()[:-1]


def _going_on(patient: int) -> str:
    """The guided series of this patient that the person at this window has begun, as the tile's value; empty where there is none."""
    found = guided.going_on(here.db(), patient=patient, staff=here.desk().staff, now=here.stamp())
    return "" if found is None else measure.GUIDED + (manual.DEVICE if manual.is_manual(found.device) else found.device)


def _device(name: str) -> dict[str, str]:
    t, parts = here.speech(), here.kiosk()
    metrics = measure.metrics_of(name)
    shown = present.live(live.read(parts.settings.paths.run, name), parts.clock.boottime_ns(), metrics, t)
    labels = " · ".join(t(TABLE[one].vi, TABLE[one].en) for one in metrics)
    return {"device": name, "name": here.device_name(name), "metrics": labels, "state": shown.text}


@screen.post("/patients/<int:patient>/measure")
def choose(patient: int) -> Response:
    """Fields: device; id_<name>=1 for what the patient said; done: a session that is over with it.

    A patient confirmed a moment ago goes straight on, as does one with two identifiers here; otherwise they are asked first.
    """
    identity, device, said = here.patient_or_404(patient), request.form.get("device", ""), ticked()
    window = here.desk()
    if said and not present.two_identifiers(said, identity, here.speech()):
        return _devices(identity, IDENTIFIERS, 422)
    if said:
        window.confirmed[patient] = here.kiosk().clock.monotonic()
    if not window.is_confirmed(patient) or measure.reconnected(device, window.confirmed[patient]):
        window.confirmed.pop(patient, None)
        return here.go(f"/patients/{patient}/confirm?device={device}")
    done = request.form.get("done", "")
    if done.isascii() and done.isdigit() and len(done) < 18 and int(done) in window.sessions:
        measure.close(window, int(done), "finished")
    return begin(identity, device)


def ticked() -> list[str]:
    """The identifiers that were ticked on a form."""
    return [name.removeprefix("id_") for name in request.form if name.startswith("id_")]


IDENTIFIERS: dict[str, Pair] = {
    "identifiers": (
        "Chạm vào ít nhất hai điều mà người bệnh đã tự nói và đúng với hồ sơ.",
        "Tap at least two things that the patient said and that agree with the record.",
    )
}
"""The one thing that can be wrong on a page with identifiers."""


def begin(identity: Identity, device: str) -> Response:
    """Open what was chosen for a confirmed patient and show its page; whoever had the device loses it."""
    series = device.removeprefix(measure.GUIDED)
    if series != device and series in _cuffs():
        return guiding.begin(identity, series)
    if manual.is_manual(device):
        return typing.begin(identity)
    if device not in here.kiosk().settings.devices:
        raise here.Gone(
            ("Trạm không có máy đo này. Chọn lại máy.", "This station has no such device. Choose again."),
            f"/patients/{identity.patient}/measure",
        )
    return here.go(f"/sessions/{measure.opened(identity, device).id}")
