"""The keys of the demo: single key presses from a terminal in front, nothing when there is none."""

import os
import selectors
import sys
import termios
import tty
from collections.abc import Callable

from appliance.demo.loop import Loop


class Keys:
    """Calls `press(letter)` for every key while the demo has a terminal. `close` gives the terminal back as it was."""

    def __init__(self, loop: Loop, press: Callable[[str], None]) -> None:
        self._loop = loop
        self._press = press
        self._before: list[object] | None = None
        self._file = -1

    def open(self) -> bool:
        """Listen to the terminal; False when standard input is none or the demo is not in its foreground."""
        if not sys.stdin or not sys.stdin.isatty():
            return False
        self._file = sys.stdin.fileno()
        if os.tcgetpgrp(self._file) != os.getpgrp():
            return False  # in the background a change of the terminal would stop us
        self._before = termios.tcgetattr(self._file)
        tty.setcbreak(self._file)  # Ctrl-C stays a signal
        self._loop.watch(self._file, selectors.EVENT_READ, self._read)
        return True

    def close(self) -> None:
        """Give the terminal back."""
        if self._before is None:
            return
        self._loop.forget(self._file)
        termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]  # as tcgetattr gave it
        self._before = None

    def _read(self, _mask: int) -> None:
        try:
            pressed = os.read(self._file, 64)
        except OSError:
            pressed = b""  # the terminal is gone
        if not pressed:
            self._loop.forget(self._file)
        for letter in pressed.decode(errors="replace"):
            self._press(letter)
