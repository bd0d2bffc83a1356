"""The hand on the cuff: start it for a person's press, keep it only while that person's page is there, let go otherwise.

The collector aborts when this side's socket closes (decision 15). So the socket stays open from the accepted start until
the cycle ends, and is closed as soon as the page has not asked for live values for `SILENT_S`: browser closed, page
left, machine asleep. If the kiosk itself dies, the kernel closes the socket. No start is ever repeated here.
"""

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

START_S = 3.0
"""A press counts for so long; after that it is a new press or none."""
SILENT_S = 3.0
"""A page that has not asked for live values for so long is not looked at by anybody."""
TURN_S = 0.25
"""How often the watch looks."""
_ANSWER = 2048


@dataclass(frozen=True, slots=True)
class Told:
    """What the collector said to a start: `reason` is its word when it refused, or ours (``no-collector``, ``no-answer``)."""

    accepted: bool
    reason: str = ""


@dataclass(slots=True)
class _Held:
    line: socket.socket
    session: int
    asked: float
    running: bool = False
    """The live file has shown the cycle going on; when it no longer does, the cycle has ended."""


class Cuffs:
    """The cuffs this kiosk has started, one at a time per device.

    `now` gives seconds and `boottime_ns` nanoseconds of CLOCK_BOOTTIME. `inflated` remembers of each device whether its
    cuff held air when it was last heard: the page says *take the cuff off* when the line dies then.
    """

    def __init__(self, run: Path, now: Callable[[], float], boottime_ns: Callable[[], int], urandom: Callable[[int], bytes]) -> None:
        self._run, self._now, self._boottime_ns, self._urandom = run, now, boottime_ns, urandom
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._inflated: dict[str, bool] = {}
        self._watch: threading.Thread | None = None
        self._wake = threading.Event()

    def start(self, device: str, session: int, patient_type: str) -> Told:
        """A person pressed start: tell the collector, once, with a deadline; hold the line when it accepts."""
        with self._lock:
            if device in self._held:
                return Told(False, "busy")
        deadline = self._boottime_ns() + int(START_S * 1e9)
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        line.settimeout(START_S)
        ask = {
            "do": "start", "session": session, "patient_type": patient_type, "deadline_boottime_ns": deadline, "nonce": self._urandom(8).hex(),
        }  # fmt: skip
        try:
            line.connect(str(self._run / f"{device}.sock"))
        except OSError:
            line.close()
            return Told(False, "no-collector")
        try:
            line.send(json.dumps(ask).encode())
            told = _told(line.recv(_ANSWER))
        except (OSError, ValueError):
            line.close()  # whatever the collector did: a closed line makes it abort
            return Told(False, "no-answer")
        if not told.accepted:
            line.close()
            return told
        self._hold(device, _Held(line, session, self._now()))
        return told

    def asked(self, device: str, session: int, *, measuring: bool, inflated: bool | None) -> None:
        """The page of `session` has just asked for live values, which say whether the cuff is at work and holds air (None: unheard)."""
        with self._lock:
            if inflated is not None:
                self._inflated[device] = inflated
            held = self._held.get(device)
            if held is None or held.session != session:
                return
            held.asked = self._now()
            if measuring:
                held.running = True
                return
            if not (held.running and inflated is False):
                return
            self._held.pop(device)
        held.line.close()

    def stop(self, device: str, session: int | None = None) -> bool:
        """Let go: the collector aborts. True when a cuff was held (for `session`, if one is named)."""
        with self._lock:
            held = self._held.get(device)
            if held is None or session not in (None, held.session):
                return False
            self._held.pop(device)
        try:
            held.line.send(json.dumps({"do": "abort", "session": held.session}).encode())
        except OSError:
            pass  # the collector has gone: the closed line below says the same
        held.line.close()
        return True

    def holds(self, device: str, session: int) -> bool:
        """True while this session's cycle is held."""
        with self._lock:
            held = self._held.get(device)
            return held is not None and held.session == session

    def inflated(self, device: str) -> bool:
        """Whether the cuff held air when it was last heard."""
        with self._lock:
            return self._inflated.get(device, False)

    def taken_off(self, device: str) -> None:
        """A person says that the cuff is off the arm."""
        with self._lock:
            self._inflated[device] = False

    def close(self) -> None:
        """Let go of everything."""
        for device in list(self._held):
            self.stop(device)
        self._wake.set()

    def _hold(self, device: str, held: _Held) -> None:
        with self._lock:
            self._held[device] = held
            if self._watch is None or not self._watch.is_alive():
                self._wake.clear()
                self._watch = threading.Thread(target=self._look, name="cuff-watch", daemon=True)
                self._watch.start()

    def _look(self) -> None:
        """Run while anything is held: let go of what nobody looks at, forget what the collector has ended."""
        while not self._wake.wait(TURN_S):
            with self._lock:
                rows = list(self._held.items())
                if not rows:
                    self._watch = None
                    return
            for device, held in rows:
                if self._now() - held.asked > SILENT_S:
                    self.stop(device, held.session)
                elif _ended(held.line):
                    self._drop(device, held)

    def _drop(self, device: str, held: _Held) -> None:
        with self._lock:
            if self._held.get(device) is held:
                self._held.pop(device)
        held.line.close()


def _told(answer: bytes) -> Told:
    data = json.loads(answer)
    if not isinstance(data, dict):
        raise ValueError("an answer is an object")
    accepted = data.get("accepted") is True or data.get("answer") == "accepted"
    return Told(accepted, "" if accepted else str(data.get("reason") or "refused"))


def _ended(line: socket.socket) -> bool:
    """True when the collector has closed the line."""
    try:
        return line.recv(_ANSWER, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
