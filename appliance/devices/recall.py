"""Asking the collector of a device for what is in the device's memory: one packet on its socket, one answer.

The collector stays the only opener of the port. The kiosk's page and ``tram device recall`` both ask here.
"""

import json
import socket
from pathlib import Path

WAIT_S = 3.0
"""A collector that has not answered by then is busy with something else; asking again harms nothing."""
READ = frozenset({"memory-read", "end-of-memory"})
"""With these words of a state a driver says that a download has ended; the number beside it is how many records came."""
_ANSWER = 2048

NO_COLLECTOR, BUSY = "no-collector", "busy"
REFUSED: dict[str, tuple[str, str]] = {
    "no-memory": ("Máy này không có bộ nhớ.", "This device has no memory."),
    "no-device": (
        "Chưa nối được với máy. Xem dây nối, bật máy, rồi bấm lại.",
        "The device is not connected. Check the cable, switch it on, try again.",
    ),
    BUSY: (
        "Máy đang đo hoặc đang đọc bộ nhớ. Chờ xong rồi bấm lại.",
        "The device is measuring or reading its memory. Wait, then try again.",
    ),
    NO_COLLECTOR: (
        "Phần mềm đọc máy này không chạy. Gọi kỹ thuật.",
        "The program that reads this device is not running. Call the technician.",
    ),
}
"""Why the memory was not asked for, Vietnamese and English."""
NOT_READ = ("Chưa đọc được bộ nhớ máy. Bấm lại.", "The memory could not be read. Try again.")
EMPTY = ("Máy không có số đo nào trong bộ nhớ.", "There is no measurement in the device's memory.")
UNUSABLE = ("Trong bộ nhớ máy không có số đo nào dùng được.", "No measurement in the device's memory can be used.")


def ask(run: Path, device: str) -> str:
    """Tell the collector of `device`, whose socket is in `run`; the word of its refusal, or ``""``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as line:
        line.settimeout(WAIT_S)
        try:
            line.connect(str(run / f"{device}.sock"))
            line.send(b'{"do": "recall"}')
            said = json.loads(line.recv(_ANSWER))
        except OSError:
            return NO_COLLECTOR
        except ValueError:
            return BUSY
    if not isinstance(said, dict) or said.get("accepted") is True:
        return ""
    return str(said.get("reason") or BUSY)[:40]


def nothing(read: object, records: int) -> tuple[str, str] | None:
    """What is to be said of a download that has ended without a result: `read` records came, `records` were measurements."""
    if not isinstance(read, int) or records:
        return None
    return UNUSABLE if read else EMPTY
