"""The trail of steps, shared by the demo's loop (which hears) and the person of ``--once`` (who waits for what has happened)."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from appliance.demo.children import Stopped
from appliance.demo.steps import Line, Trail, Way

T = TypeVar("T")


class LateError(OSError):
    """Something did not happen in time; `step` is the step that was waited for."""

    def __init__(self, step: str, text: str) -> None:
        super().__init__(text)
        self.step = step


class Watch:
    """A `Trail` behind a lock. `hear` belongs to the loop's thread, `wait` to the person's."""

    def __init__(self) -> None:
        self._trail = Trail()
        self._news = threading.Condition()
        self._over = False

    def hear(self, line: Line) -> list[tuple[Way, Line]]:
        """As `Trail.hear`; whoever waits looks again."""
        with self._news:
            found = self._trail.hear(line)
            self._news.notify_all()
        return found

    def end(self) -> None:
        """Nothing more will be heard: whoever waits gets Stopped."""
        with self._news:
            self._over = True
            self._news.notify_all()

    @property
    def over(self) -> bool:
        """True when `end` was called."""
        return self._over

    def wait(self, ask: Callable[[Trail], T | None], within: float, step: str, what: str) -> T:
        """The first answer of `ask(trail)` that is not None; LateError naming `step` and `what` after `within` seconds."""
        deadline = time.monotonic() + within
        with self._news:
            while True:
                answer = ask(self._trail)
                if answer is not None:
                    return answer
                if self._over:
                    raise Stopped
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LateError(step, f"{what}: not within {within:g} s")
                self._news.wait(left)

    def way(self, answer: bool = False, **ids: object) -> Way | None:
        """The way that carries these ids now."""
        with self._news:
            return next((w for w in self._trail.ways if w.answer is answer and all(w.ids.get(k) == v for k, v in ids.items())), None)
