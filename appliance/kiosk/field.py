"""The kiosk's end of the field door (`tram field`): one errand at a time, done by a thread, so that the page can say how far it is.

The kiosk has no network and no device; what a technician wants of those goes as one of a few verbs through ``<run>/field.sock``.
Where no door is, nothing of it is offered.
"""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import current_app

from appliance.kiosk import here
from appliance.kiosk.here import Kiosk

SOCKET = "field.sock"
LARGEST = 64 * 1024
WAIT_S = 150.0
"""Enrolment over a thin line: three exchanges of 20 s at most, then the disk; a modem registers in 30 s."""

Pair = tuple[str, str]
_GONE: Pair = ("Chương trình tram field không trả lời. Thử lại sau một phút.", "tram field does not answer. Try again in a minute.")
_BUG: Pair = ("Phần mềm gặp lỗi ở việc này. Thử lại.", "The software failed. Try again.")


@dataclass
class Errand:
    """What the page shows. `state`: ``idle``, ``busy``, ``done`` or ``failed``; `answer` is what came of it, `why` why nothing did."""

    verb: str = ""
    state: str = "idle"
    answer: dict[str, Any] = field(default_factory=dict)
    why: Pair = ("", "")
    number: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def mark(self) -> str:
        """When it changes the page is drawn anew."""
        return f"{self.number}.{self.state}"


def errand() -> Errand:
    """The one errand of this kiosk: the last one, or the one under way."""
    found: Errand = current_app.extensions.setdefault("field", Errand())
    return found


def there() -> bool:
    """Whether there is a door to ask at."""
    return (here.kiosk().settings.paths.run / SOCKET).exists()


def start(verb: str, said: Mapping[str, str], then: Callable[[Kiosk, dict[str, Any]], None] | None = None) -> None:
    """Send somebody with a wish, unless somebody is on the way; `then` is done with the answer of a wish that was granted."""
    one, parts, code = errand(), here.kiosk(), here.desk().staff
    with one.lock:
        if one.state == "busy":
            return
        one.verb, one.state, one.answer, one.why, one.number = verb, "busy", {}, ("", ""), one.number + 1
    wish = {"do": verb, "staff": code, **said}
    threading.Thread(target=_go, args=(one, parts, wish, then), name="field", daemon=True).start()


def ask(verb: str, said: Mapping[str, str] | None = None, wait_s: float = 10.0) -> dict[str, Any]:
    """A question that is answered at once. OSError where nobody answers; the answer says itself whether it is a good one."""
    return _asked(here.kiosk(), {"do": verb, "staff": here.desk().staff, **(said or {})}, wait_s)


def _asked(parts: Kiosk, wish: Mapping[str, str], wait_s: float) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as line:
        line.settimeout(wait_s)
        line.connect(str(parts.settings.paths.run / SOCKET))
        line.send(json.dumps(wish).encode())
        try:
            found = json.loads(line.recv(LARGEST))
        except ValueError as error:
            raise OSError("the field door said nothing that can be read") from error
    if not isinstance(found, dict):
        raise OSError("the field door said nothing that can be read")
    return found


def _go(one: Errand, parts: Kiosk, wish: Mapping[str, str], then: Callable[[Kiosk, dict[str, Any]], None] | None) -> None:
    try:
        found = _asked(parts, wish, WAIT_S)
        if found.get("ok") is True and then is not None:
            then(parts, found)
    except OSError as error:
        parts.log.error("field: %s", type(error).__name__)
        one.why, one.state = _GONE, "failed"
    except Exception as error:
        parts.log.error("field: %s", type(error).__name__)  # its message may hold what somebody typed
        one.why, one.state = _BUG, "failed"
        raise
    else:
        if found.get("ok") is True:
            one.answer, one.state = found, "done"
        else:
            one.why, one.state = (str(found.get("vi", _GONE[0])), str(found.get("en", _GONE[1]))), "failed"
