"""The box's own camera as a program: whoever may command devices asks ``<run>/camera.sock`` and gets one photo.

The line is opened, the photo comes as JPEG bytes, the line is closed: nothing is said, nothing is kept, nothing is stored
(decision 15). An empty answer means that there was no photo; the journal has the reason.
"""

import logging
import os
import select
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from appliance import journal
from appliance.agent.commands import PATH_BYTES
from appliance.store.errors import Refused

NAME = "camera.sock"
TURN_S = 0.5
SEND_S = 10.0
"""A kiosk that does not take its photo within this time has gone away."""


class Shutter:
    """The listening end. `take` makes one photo (OSError when it cannot), `allowed(uid, gid)` says who may ask."""

    def __init__(
        self, path: Path, *, take: Callable[[], bytes], allowed: Callable[[int, int], bool], log: logging.Logger | None = None
    ) -> None:
        if len(os.fsencode(path)) > PATH_BYTES:
            raise Refused(
                f"Đường dẫn {path} quá dài: đặt paths.run ngắn hơn.",
                f"{path}: a socket's path has at most {PATH_BYTES} bytes; use a shorter paths.run",
            )
        self.path = path
        self._take = take
        self._allowed = allowed
        self._log = log or logging.getLogger("tram.camera")
        path.unlink(missing_ok=True)
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            self._door.bind(str(path))
        finally:
            os.umask(before)
        path.chmod(0o660)
        self._door.listen(2)

    def turn(self, wait_s: float = TURN_S) -> bool:
        """Answer one who asks, if somebody does within `wait_s`; True when somebody did."""
        if not select.select([self._door], [], [], wait_s)[0]:
            return False
        line, _address = self._door.accept()
        with line:
            line.settimeout(SEND_S)
            _pid, uid, gid = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
            if self._allowed(uid, gid):
                self._answer(line)
        return True

    def _answer(self, line: socket.socket) -> None:
        try:
            photo = self._take()
            line.sendall(photo)
        except OSError as error:
            self._log.error("camera: %s", error)
            return
        journal.step(self._log, "photographed", bytes=len(photo))

    def close(self) -> None:
        """Nobody is answered any more."""
        self._door.close()
        self.path.unlink(missing_ok=True)


def run(shutter: Shutter, *, stopping: Callable[[], bool]) -> None:
    """Answer until told to stop."""
    try:
        while not stopping():
            shutter.turn()
    finally:
        shutter.close()
