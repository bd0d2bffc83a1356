"""The emergency button: on every page, for anybody, without a PIN. First the telephone, then the software."""

from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request
from werkzeug.wrappers import Response

from appliance.contract.ids import spell
from appliance.kiosk import here, present
from appliance.store import emergencies
from appliance.store.emergencies import AGAIN

if TYPE_CHECKING:
    from appliance.store.sms import Text

screen = Blueprint("emergency", __name__)

_FRESH = 6 * AGAIN
"""So long a call of this box is shown on the page: later the next press is another emergency."""


@screen.get("/emergency")
def show() -> Response:
    """115 and the number on duty, large; a second tap tells the doctor on duty. Nothing here is about a patient."""
    window, call = here.desk(), _fresh()
    back = here.back_to(request.args.get("back", "/home"), "/home") if window.staff else "/"
    shown = None
    if call is not None:
        at, text = present.moment(call.pressed, here.now()), _text(call)
        words = "" if text is None else present.texted(text.state.name.lower(), text.acknowledged, here.now(), here.speech())
        shown = {"code": spell(call.call), "at": at, "received": call.received is not None, "text": words}
    return here.page("emergency.html", back="/home" if back == "/emergency" else back, state=_state(call), call=shown)


@screen.post("/emergency")
def press() -> Response:
    """Tell the doctor on duty that help is needed here. A second press within a minute is the same call."""
    test = here.kiosk().settings.environment != "production"
    emergencies.press(here.db(), actor=here.desk().staff, now=here.stamp(), random=here.kiosk().urandom, test=test)
    return here.go("/emergency")


@screen.get("/emergency.json")
def follow() -> Response:
    """Whether the page still says what is so."""
    return jsonify({"page": _state(_fresh())})


def _text(call: emergencies.Call) -> "Text | None":
    """The text message of a call. Its module brings a cipher that most windows never need: it is loaded with the first call."""
    from appliance.store import sms

    return sms.of_call(here.db(), call.call)


def _fresh() -> emergencies.Call | None:
    """The call of the last minutes, if there is one."""
    call = emergencies.latest(here.db())
    return call if call is not None and 0 <= here.now() - call.pressed < _FRESH else None


def _state(call: emergencies.Call | None) -> str:
    if call is None:
        return ""
    text = _text(call)
    return f"{spell(call.call)}-{'received' if call.received is not None else 'saved'}-{'' if text is None else int(text.state)}"
