"""One selectors loop for everything the demo waits for: pipes, sockets, keys, signals.

Single-threaded; only `wake` may be called from elsewhere.
"""

import os
import selectors
from collections.abc import Callable

Call = Callable[[int], None]
"""What is called when a file is ready; the argument is the mask of selectors.EVENT_READ and EVENT_WRITE."""


class Loop:
    """Files and the functions to call when they are ready. Close it when done."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._hear, self._speak = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._hear, selectors.EVENT_READ, self._woken)

    def watch(self, file: int, events: int, call: Call) -> None:
        """Call `call(mask)` when the descriptor `file` is ready; no events = forget the file. Replaces what was said before."""
        known = file in self._selector.get_map()
        if not events:
            if known:
                self._selector.unregister(file)
        elif known:
            self._selector.modify(file, events, call)
        else:
            self._selector.register(file, events, call)

    def forget(self, file: int) -> None:
        """Stop watching a descriptor (before it is closed); harmless when it was not watched."""
        self.watch(file, 0, self._woken)

    def turn(self, seconds: float) -> None:
        """Wait at most `seconds` for anything and call what is ready."""
        for key, mask in self._selector.select(seconds):
            # an earlier call of this turn may have forgotten or replaced this file
            now = self._selector.get_map().get(key.fd)
            if now is not None and now.data is key.data:
                key.data(mask)

    def wake(self) -> None:
        """End the waiting of `turn` at once; may be called from another thread."""
        try:
            os.write(self._speak, b"!")
        except BlockingIOError:
            pass  # the pipe is full of wake-ups already

    @property
    def alarm(self) -> int:
        """The descriptor for signal.set_wakeup_fd: a signal wakes the loop."""
        return self._speak

    def close(self) -> None:
        """Forget everything."""
        self._selector.close()
        os.close(self._hear)
        os.close(self._speak)

    def _woken(self, _mask: int) -> None:
        try:
            while os.read(self._hear, 4096):
                pass
        except BlockingIOError:
            return
