"""The hand on the cuff: start it for a person's press, keep it only while that person's page is there, let go otherwise.

The collector aborts when this side's socket closes (decision 15). So the socket stays open from the accepted start until
the cycle ends, and is closed as soon as the page has not asked for live values for `SILENT_S`: browser closed, page
left, machine asleep. If the kiosk itself dies, the kernel closes the socket. No start is ever repeated here.

A measuring page that has been silent for `LEFT_S` has been left: its session is ended, so that nothing that is measured
later is taken for that patient's.
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
LEFT_S = 6.0
"""After so long it has been left for good: long enough for a reload on a slow box, shorter than a full spot measurement (10 s)."""
TURN_S = 0.25
"""How often the watch looks."""
_ANSWER = 2048


@dataclass(frozen=True, slots=True)
class Told:
    """What the collector said to a start: `reason` is its word when it refused, or ours (``no-collector``, ``no-answer``)."""

    accepted: bool
    reason: str = ""


@dataclass(slots=True)
class _Page:
    """A measuring page: when it last asked; whether its device was ever there, and whether it went away since."""

    device: str
    asked: float
    there: bool = False
    away: bool = False
    inflated: bool = False
    patient_type: str = ""


class Cuffs:
    """The measuring pages of this kiosk and the cuffs they have started, one cycle at a time per device.

    `now` gives seconds and `boottime_ns` nanoseconds of CLOCK_BOOTTIME. `left(session)` is called (from the watch's thread)
    when a page has been left; it may be set after the making.
    """

    def __init__(self, run: Path, now: Callable[[], float], boottime_ns: Callable[[], int], urandom: Callable[[int], bytes]) -> None:
        self._run, self._now, self._boottime_ns, self._urandom = run, now, boottime_ns, urandom
        self._lock = threading.Lock()
        self._held: dict[str, tuple[int, socket.socket]] = {}
        self._pages: dict[int, _Page] = {}
        self._watch: threading.Thread | None = None
        self._closed = threading.Event()
        self.left: Callable[[int], object] = lambda session: session

    # --- pages ------------------------------------------------------------------------------------------------------

    def opened(self, session: int, device: str) -> None:
        """A measuring page is about to be shown."""
        with self._lock:
            self._pages[session] = _Page(device, self._now())
            if self._watch is None or not self._watch.is_alive():
                self._watch = threading.Thread(target=self._look, name="cuff-watch", daemon=True)
                self._watch.start()

    def asked(self, session: int, *, lost: bool, pressure: bool | None) -> bool:
        """The page has just asked for live values: whether the device is away, whether its cuff holds air (None: it did not say).

        True when the device went away and has come back: the patient must be confirmed again.
        """
        with self._lock:
            page = self._pages.get(session)
            if page is None:
                return False
            page.asked = self._now()
            if lost:
                page.away = page.there
                return False
            if pressure is not None:
                page.inflated = pressure
            back = page.away
            page.there, page.away = True, False
            return back

    def knows(self, session: int) -> bool:
        """True for a page that is open in this run of the kiosk."""
        with self._lock:
            return session in self._pages

    def inflated(self, session: int) -> bool:
        """Whether the cuff held air when the page last heard of it."""
        with self._lock:
            page = self._pages.get(session)
            return page is not None and page.inflated

    def taken_off(self, session: int) -> None:
        """A person says that the cuff is off the arm."""
        with self._lock:
            page = self._pages.get(session)
            if page is not None:
                page.inflated = False

    def patient_type(self, session: int) -> str:
        """The programme chosen at the last start of this session: the same patient, so it stays chosen."""
        with self._lock:
            page = self._pages.get(session)
            return "" if page is None else page.patient_type

    def shut(self, session: int) -> None:
        """The page is done with: let go of its cuff, forget it."""
        with self._lock:
            page = self._pages.pop(session, None)
        if page is not None:
            self.stop(page.device, session)

    # --- the cuff ---------------------------------------------------------------------------------------------------

    def start(self, device: str, session: int, patient_type: str) -> Told:
        """A person pressed start: tell the collector, once, with a deadline; hold the line when it accepts."""
        if self.holds(device):
            return Told(False, "busy")
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        line.settimeout(START_S)
        try:
            line.connect(str(self._run / f"{device}.sock"))
        except OSError:
            line.close()
            return Told(False, "no-collector")
        try:
            line.send(json.dumps(self._command(session, patient_type)).encode())
            told = _told(line.recv(_ANSWER))
        except (OSError, ValueError):
            told = Told(False, "no-answer")  # whatever the collector did: a closed line makes it abort
        if told.accepted:
            with self._lock:
                page = self._pages.get(session)
                if page is not None and device not in self._held:
                    page.asked, page.patient_type = self._now(), patient_type
                    line.setblocking(False)  # with a timeout even MSG_DONTWAIT would wait
                    self._held[device] = (session, line)
                    return told
            told = Told(False, "page-closed")
        line.close()
        return told

    def _command(self, session: int, patient_type: str) -> dict[str, object]:
        deadline = self._boottime_ns() + int(START_S * 1e9)
        return {
            "do": "start", "session": session, "patient_type": patient_type, "deadline_boottime_ns": deadline,
            "nonce": self._urandom(8).hex(),
        }  # fmt: skip

    def stop(self, device: str, session: int | None = None) -> bool:
        """Let go: the collector aborts. True when a cuff was held (for `session`, if one is named)."""
        return self._let_go(device, session, json.dumps({"do": "abort"}).encode())

    def _let_go(self, device: str, session: int | None, last: bytes = b"") -> bool:
        """Close the line, with a last word or without: the collector then tells a press from a page that is gone."""
        with self._lock:
            held = self._held.get(device)
            if held is None or session not in (None, held[0]):
                return False
            del self._held[device]
        try:
            if last:
                held[1].send(last)
        except OSError:
            pass  # the collector has gone: the closed line says the same
        held[1].close()
        return True

    def holds(self, device: str, session: int | None = None) -> bool:
        """True while a cycle is held on the device (for `session`, if one is named)."""
        self._ended(device)
        with self._lock:
            held = self._held.get(device)
            return held is not None and session in (None, held[0])

    def close(self) -> None:
        """Let go of everything."""
        self._closed.set()
        for device in list(self._held):
            self.stop(device)
        watch = self._watch
        if watch is not None and watch is not threading.current_thread():
            watch.join(2 * TURN_S + 1)

    # --- the watch --------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Run while any page is open. Should this thread ever fail, no cuff is held on without it."""
        try:
            while not self._closed.wait(TURN_S):
                with self._lock:
                    if not self._pages:
                        self._watch = None
                        return
                    rows, now = list(self._pages.items()), self._now()
                for session, page in rows:
                    self._see(session, page, now)
        finally:
            for device in list(self._held):
                self._let_go(device, None)

    def _see(self, session: int, page: _Page, now: float) -> None:
        self._ended(page.device)
        if now - page.asked > SILENT_S:
            self._let_go(page.device, session)
        if now - page.asked > LEFT_S:
            self.shut(session)
            self.left(session)

    def _ended(self, device: str) -> None:
        """Forget a line that the collector has closed: the cycle has ended."""
        with self._lock:
            held = self._held.get(device)
            if held is None or not _hung_up(held[1]):
                return
            del self._held[device]
        held[1].close()


def _told(answer: bytes) -> Told:
    data = json.loads(answer)
    if not isinstance(data, dict):
        raise ValueError("an answer is an object")
    accepted = data.get("accepted") is True
    return Told(accepted, "" if accepted else str(data.get("reason") or "refused")[:40])


def _hung_up(line: socket.socket) -> bool:
    """True when the collector has closed the line."""
    try:
        return line.recv(_ANSWER) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
