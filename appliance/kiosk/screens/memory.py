"""What a device holds in its memory: read when a person asks for it. What comes lands in the tray, without a name.

No machine gives such a record to a patient: who it was measured on, only people know. Nothing in the device is changed.
"""

import json
import socket

from flask import Blueprint
from werkzeug.wrappers import Response

from appliance.devices.registry import ROWS
from appliance.kiosk import here, live, present
from appliance.kiosk.speech import Pair

screen = Blueprint("memory", __name__)

WAIT_S = 3.0
"""A collector that has not answered by then is busy with something else; asking again harms nothing."""
_ANSWER = 2048

REFUSED: dict[str, Pair] = {
    "no-memory": ("Máy này không có bộ nhớ.", "This device has no memory."),
    "no-device": (
        "Chưa nối được với máy. Xem dây nối, bật máy, rồi bấm lại.",
        "The device is not connected. Check the cable, switch it on, try again.",
    ),
    "busy": (
        "Máy đang đo hoặc đang đọc bộ nhớ. Chờ xong rồi bấm lại.",
        "The device is measuring or reading its memory. Wait, then try again.",
    ),
    "no-collector": (
        "Phần mềm đọc máy này không chạy. Gọi kỹ thuật.",
        "The program that reads this device is not running. Call the technician.",
    ),
}
"""Why the memory was not asked for."""
NOT_READ: Pair = ("Chưa đọc được bộ nhớ máy. Bấm lại.", "The memory could not be read. Try again.")
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
    records, new = (counts.get("records", 0), counts.get("new", 0)) if isinstance(counts, dict) and not shown.lost else (0, 0)
    got = t(f"Đã đọc {records} kết quả, {new} kết quả mới.", f"{records} results read, {new} of them new.") if records else ""
    return {"device": name, "name": here.device_name(name), "state": shown.text, "got": got}


@screen.post("/memory/<device>")
def recall(device: str) -> Response:
    """Ask one device; it answers at once whether it will, and the results come within a minute or so."""
    if device not in with_memory():
        raise here.Gone(("Trạm không có máy này.", "This station has no such device."), "/memory")
    why = _ask(device)
    here.desk().notice = REFUSED.get(why, NOT_READ) if why else READING
    return here.go("/memory")


def _ask(device: str) -> str:
    """Tell the collector; the word of its refusal, or ``""``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as line:
        line.settimeout(WAIT_S)
        try:
            line.connect(str(here.kiosk().settings.paths.run / f"{device}.sock"))
            line.send(b'{"do": "recall"}')
            said = json.loads(line.recv(_ANSWER))
        except OSError:
            return "no-collector"
        except ValueError:
            return "busy"
    if not isinstance(said, dict) or said.get("accepted") is True:
        return ""
    return str(said.get("reason") or "busy")[:40]
