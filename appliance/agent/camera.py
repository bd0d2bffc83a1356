"""The box's own camera as a program: whoever may command devices asks ``<run>/camera.sock`` and gets one photo.

The line is opened, the photo comes as JPEG bytes, the line is closed: nothing is said, nothing is kept, nothing is stored
(decision 15). An empty answer means that there was no photo; the journal has the reason.
"""

import logging
import select
import socket
from collections.abc import Callable
from pathlib import Path

from appliance import journal
from appliance.agent import doors

NAME = "camera.sock"
TURN_S = 0.5
SEND_S = 10.0
"""A kiosk that does not take its photo within this time has gone away."""


class Shutter:
    """The listening end. `take` makes one photo (OSError when it cannot), `allowed(uid, gid)` says who may ask."""

    def __init__(
        self, path: Path, *, take: Callable[[], bytes], allowed: Callable[[int, int], bool], log: logging.Logger | None = None
    ) -> None:
        self.path = path
        self._take = take
        self._allowed = allowed
        self._log = log or logging.getLogger("tram.camera")
        self._door = doors.listening(path, socket.SOCK_STREAM, 2)

    def turn(self, wait_s: float = TURN_S) -> bool:
        """Answer one who asks, if somebody does within `wait_s`; True when somebody did."""
        if not select.select([self._door], [], [], wait_s)[0]:
            return False
        line, _address = self._door.accept()
        with line:
            line.settimeout(SEND_S)
            if self._allowed(*doors.peer(line)):
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
