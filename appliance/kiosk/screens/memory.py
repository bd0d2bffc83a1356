"""What a device holds in its memory: read when a person asks for it. What comes lands in the tray, without a name.

No machine gives such a record to a patient: who it was measured on, only people know. Nothing in the device is changed.
"""

from typing import Any

from flask import Blueprint
from werkzeug.wrappers import Response

from appliance.devices import recall as door
from appliance.devices.registry import ROWS
from appliance.kiosk import here, live, present
from appliance.kiosk.speech import Pair

screen = Blueprint("memory", __name__)

READING: Pair = (
    "Đang đọc bộ nhớ máy. Kết quả đọc được nằm trong khay, chưa có tên.",
    "Reading the device's memory. What comes lies in the tray, without a name.",
)


def with_memory() -> list[str]:
    """The devices of this station whose driver can ask for a memory."""
    found = here.kiosk().settings.devices.items()
    return [name for name, one in found if one.driver in ROWS and hasattr(ROWS[one.driver].listen(), "recall")]


@screen.get("/memory")
def devices() -> Response:
    """Each device with a memory, what it is doing and what the latest download gave."""
    return here.page("memory.html", devices=[_device(name) for name in with_memory()])


def _device(name: str) -> dict[str, str]:
    t, parts = here.speech(), here.kiosk()
    said = live.read(parts.settings.paths.run, name)
    shown = present.live(said, parts.clock.boottime_ns(), (), t)
    counts = (said or {}).get("memory")
    got = _got(counts) if isinstance(counts, dict) and not shown.lost else ("", "")
    return {"device": name, "name": here.device_name(name), "state": shown.text, "got": t(*got)}


def _got(counts: dict[str, Any]) -> Pair:
    """What came of the latest download; nothing while it is under way without a result yet."""
    records, new = counts.get("records", 0), counts.get("new", 0)
    if records:
        return (f"Đã đọc {records} kết quả, {new} kết quả mới.", f"{records} results read, {new} of them new.")
    return door.nothing(counts.get("read"), records) or ("", "")


@screen.post("/memory/<device>")
def recall(device: str) -> Response:
    """Ask one device; it answers at once whether it will, and the results come within a minute or so."""
    if device not in with_memory():
        raise here.Gone(("Trạm không có máy này.", "This station has no such device."), "/memory")
    why = door.ask(here.kiosk().settings.paths.run, device)
    here.desk().notice = door.REFUSED.get(why, door.NOT_READ) if why else READING
    return here.go("/memory")
