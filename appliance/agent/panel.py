"""The box's panel as a program (`tram panel`): a lamp, a buzzer, a call button and the UPS's line; one thread, the store, the run folder.

The lamp says the most important of what is true now; the button is the same call as the button on the screens. What the line of the UPS
says is audited, and stands in ``<run>/_panel.live`` while this program runs: the kiosk reads it there. After `shutdown_after_s` on
the battery ``<run>/shutdown`` appears once, for whatever the box has to end it in good order; it goes when the mains come back.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from appliance import journal
from appliance.agent.clock import Clock
from appliance.agent.live import LiveFile
from appliance.database import Connection, StoreError
from appliance.devices.driver import SECOND
from appliance.devices.panel import Board, Steady, Wire, Wiring, lit
from appliance.settings import Emergency, Panel
from appliance.store import audit, consults, emergencies

NAME = "_panel"
"""The live file's name; no device can be called so."""
SHUTDOWN = "shutdown"
TRY = "panel.try"
"""A technician at the screen asks for a try of lamp, buzzer and button: ``{"boottime_ns"}``, written beside and renamed."""
TRY_NS = 20 * SECOND
"""How long a press is awaited then; it ends with the press, and is no call."""
ASKED_NS = 5 * SECOND
"""A wish that is older is not obeyed: nobody stands there any more."""
TURN_S = 0.02
"""Fifty looks a second: the shortest press of a finger lasts about 50 ms."""
PRESS_NS = SECOND // 25
"""A contact bounces for at most some 10-20 ms; the level must stand for 40 ms."""
MAINS_NS = SECOND
"""A dip that is over within a second is not told."""
STUCK_NS = 30 * SECOND
ASK_NS = SECOND
"""How often the store is asked."""
HEARD_TENTHS = 6_000
"""For ten minutes the lamp says that a call has reached the server."""


class State(Enum):
    """What the lamp says, the most important first."""

    ALARM = "alarm"
    CALLING = "calling"
    HEARD = "heard"
    FAULT = "fault"
    BATTERY = "battery"
    OFFLINE = "offline"
    SENDING = "sending"
    READY = "ready"


LAMP: dict[State, tuple[float, ...]] = {
    State.ALARM: (0.1, 0.1),
    State.CALLING: (0.25, 0.25),
    State.HEARD: (0.15, 0.15, 0.15, 1.55),
    State.FAULT: (0.1, 0.1, 0.1, 0.1, 0.1, 1.5),
    State.BATTERY: (1.8, 0.2),
    State.OFFLINE: (0.1, 2.9),
    State.SENDING: (1.0, 1.0),
    State.READY: (1.0,),
}
"""Seconds on, off, on, off …: steady = all is well and sent; the faster, the more urgent; dark = the box is off."""
BUZZER: dict[State, tuple[float, ...]] = {
    State.ALARM: (0.4, 0.6),
    State.FAULT: (0.05, 59.95),
    State.BATTERY: (0.05, 29.95),
}
"""An unseen emergency sounds until a person says that they have telephoned (decision 23); the others tick."""
CLICK_NS = SECOND // 5
"""So long the buzzer answers a press."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the store says. `call` is None, ``calling`` or ``heard``; `online` that our bridge answers."""

    alarm: bool = False
    call: str | None = None
    waiting: int = 0
    online: bool = False


def state_of(seen: Seen | None, mains: bool | None) -> State:
    """The most important of what is true; without a word from the store, a fault."""
    if seen is None:
        return State.FAULT
    if seen.alarm:
        return State.ALARM
    if seen.call is not None:
        return State(seen.call)
    if mains is False:
        return State.BATTERY
    if not seen.online:
        return State.OFFLINE
    return State.SENDING if seen.waiting else State.READY


def look(conn: Connection, clock: Clock, limits: Emergency) -> Seen:
    """What the store says now."""
    now = clock.stamp()
    unseen = consults.unseen(conn, now, limits.unreceived_s, limits.unopened_s)
    carrier = conn.execute("SELECT state FROM carrier WHERE id = 1").fetchone()
    waiting = int(conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0])
    call = emergencies.latest(conn)
    word = None
    if call is not None and call.received is None:
        word = "calling"
    elif call is not None and call.received is not None and 0 <= now.wall - call.received < HEARD_TENTHS:
        word = "heard"
    return Seen(any(not one.acknowledged for one in unseen), word, waiting, carrier is not None and carrier[0] == "online")


@dataclass
class Watch:
    """The panel, one turn at a time."""

    conn: Connection
    board: Board
    clock: Clock
    limits: Emergency
    run: Path
    shutdown_after_s: int
    log: logging.Logger
    random: Callable[[int], bytes] = os.urandom
    test: bool = False
    seen: Seen | None = None
    state: State = State.FAULT
    _button: Steady = field(default_factory=lambda: Steady(PRESS_NS))
    _mains: Steady = field(default_factory=lambda: Steady(MAINS_NS))
    _owed: bool = False
    """A press that the store has not taken yet."""
    _asked_ns: int | None = None
    _since_ns: int = 0
    _click_ns: int | None = None
    _stuck: bool = False
    _try_ns: int | None = None
    """Until when a try goes on."""
    _tried_ns: int = 0
    """When the button was pressed in a try."""

    def __post_init__(self) -> None:
        self._live = LiveFile(self.run, NAME)

    def turn(self, now_ns: int) -> None:
        """Look at the lines, ask the store when that is due, set lamp and buzzer. A store that cannot be used is a fault to show."""
        self._finger(now_ns)
        self._power(now_ns)
        if self._asked_ns is None or now_ns - self._asked_ns >= ASK_NS:
            self._asked_ns = now_ns
            if self._owed:
                self._call()
            self._ask()
            self._wish(now_ns)
        state = state_of(None if self._owed else self.seen, self._mains.level)
        if state is not self.state:
            self.log.info("panel: %s -> %s", self.state.value, state.value)
            self.state, self._since_ns = state, now_ns
        if self._trying(now_ns):
            self.board.show(lit(LAMP[State.CALLING], now_ns))
            self.board.sound(lit(BUZZER[State.ALARM], now_ns))
            self._tell(now_ns)
            return
        clicking = self._click_ns is not None and now_ns - self._click_ns < CLICK_NS
        self.board.show(lit(LAMP[self.state], now_ns, self._since_ns))
        self.board.sound(clicking or lit(BUZZER.get(self.state, ()), now_ns, self._since_ns))
        self._tell(now_ns)

    def close(self) -> None:
        """Lamp dark, pins given back, nothing left to be shown."""
        self._live.remove()
        self.board.close()

    def _finger(self, now_ns: int) -> None:
        """One call for one press, however long it is held; in a try it only ends the try."""
        pressed = self._button.look(self.board.pressed, now_ns) and bool(self._button.level)
        if pressed and self._try_ns is not None:
            self._tried_ns, self._try_ns, self._click_ns = now_ns, None, now_ns
        elif pressed:
            self._owed, self._click_ns, self._asked_ns = True, now_ns, None
        stuck = bool(self._button.level) and now_ns - self._button.since_ns >= STUCK_NS
        if stuck and not self._stuck:
            self.log.warning("call button: down for %d s; stuck, or its wire is shorted", STUCK_NS // SECOND)
        self._stuck = stuck

    def _wish(self, now_ns: int) -> None:
        """A technician's wish for a try is taken from the run folder, and obeyed when it is fresh."""
        file = self.run / TRY
        try:
            said = file.read_bytes()[:1024]
            file.unlink()
            asked = int(json.loads(said)["boottime_ns"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.log.error("panel: the wish for a try: %s", type(error).__name__)
            return
        if 0 <= now_ns - asked < ASKED_NS:
            self._try_ns, self._tried_ns = now_ns + TRY_NS, 0

    def _trying(self, now_ns: int) -> bool:
        """Whether a try goes on. An emergency ends it at once: its lamp and its button come first."""
        if self._try_ns is not None and (now_ns >= self._try_ns or self.state in (State.ALARM, State.CALLING)):
            self._try_ns = None
        return self._try_ns is not None

    def _call(self) -> None:
        """The press goes into the store; where that fails it stays owed, and the lamp says so."""
        try:
            call = emergencies.press(self.conn, actor="", now=self.clock.stamp(), random=self.random, test=self.test)
        except StoreError as error:
            self.log.error("call button: %s", error)
            return
        self._owed = False
        journal.step(self.log, "called", call=call.call)

    def _power(self, now_ns: int) -> None:
        level = self.board.mains
        if level is None:
            return
        first = self._mains.level is None
        if self._mains.look(level, now_ns) or (first and not level):
            self._note("power.restored" if level else "power.lost")
        signal = self.run / SHUTDOWN
        if self._mains.level:
            signal.unlink(missing_ok=True)
        elif self.shutdown_after_s and now_ns - self._mains.since_ns >= self.shutdown_after_s * SECOND and not signal.exists():
            signal.write_text(json.dumps({"why": "battery", "boottime_ns": now_ns}))
            self._note("power.shutdown")

    def _note(self, action: str) -> None:
        journal.step(self.log, action)
        try:
            audit.note(self.conn, actor="", action=action, now=self.clock.stamp())
        except StoreError as error:
            self.log.error("%s was not audited: %s", action, error)

    def _ask(self) -> None:
        try:
            self.seen = look(self.conn, self.clock, self.limits)
        except StoreError as error:
            if self.seen is not None:
                self.log.error("panel: %s", error)
            self.seen = None

    def _tell(self, now_ns: int) -> None:
        try:
            said = {"trying": self._try_ns is not None, "tried_ns": self._tried_ns}
            self._live.show({"state": self.state.value, "mains": self._mains.level, "stuck": self._stuck, **said}, now_ns)
        except OSError as error:
            self.log.error("panel: the live file: %s", error)


def wiring_of(said: Panel) -> Wiring:
    """The wiring that the settings describe."""
    return Wiring(
        lamp=Wire(said.lamp, said.lamp_active_low),
        buzzer=Wire(said.buzzer, said.buzzer_active_low),
        button=Wire(said.button, said.button_active_low),
        mains=Wire(said.mains, said.mains_active_low),
    )


def run(watch: Watch, *, stopping: Callable[[], bool]) -> None:
    """Turn until told to stop."""
    try:
        while not stopping():
            watch.turn(watch.clock.boottime_ns())
            time.sleep(TURN_S)
    finally:
        watch.close()


# --- the technician's look at it -----------------------------------------------------------------------------------------------------

STEP_NS = 4 * SECOND
"""How long each state is shown."""
WAIT_NS = 15 * SECOND
"""How long a press is awaited."""


def steps(board: Board, wiring: Wiring, now: Callable[[], int]) -> Iterator[tuple[str, str] | None]:
    """Go through lamp, buzzer, button and mains: a sentence (Vietnamese, English) for each step, None while one goes on.

    Nothing is called and nothing is stored. Between two steps the caller sleeps a turn; `now` is CLOCK_BOOTTIME in nanoseconds.
    """
    if wiring.lamp != Wire():
        for state, pattern in LAMP.items():
            yield f"Đèn: {WORDS[state][0]}", f"Lamp: {WORDS[state][1]}"
            yield from _during(
                STEP_NS,
                now,
                lambda at, pattern=pattern: board.show(lit(pattern, at)),  # type: ignore[misc]  # the default keeps this turn's pattern
            )
        board.show(False)
    if wiring.buzzer != Wire():
        yield "Còi: ba tiếng", "Buzzer: three times"
        yield from _during(3 * SECOND, now, lambda at: board.sound(lit(BUZZER[State.ALARM], at)))
        board.sound(False)
    if wiring.button != Wire():
        yield "Nút gọi: hãy bấm và thả trong 15 giây", "Call button: press and let go within 15 seconds"
        yield from _pressed(board, now)
    if board.mains is not None:
        yield ("Điện lưới: có", "Mains: present") if board.mains else ("Điện lưới: MẤT, đang chạy pin", "Mains: LOST, on battery")


def try_out(board: Board, wiring: Wiring, now: Callable[[], int], *, stopping: Callable[[], bool], say: Callable[[str], object]) -> None:
    """Go through `steps`, say each, end with the pins given back."""
    try:
        for step in steps(board, wiring, now):
            if stopping():
                break
            if step is None:
                time.sleep(TURN_S)
            else:
                say(f"{step[0]}\n  {step[1]}")
    finally:
        board.close()


WORDS: dict[State, tuple[str, str]] = {
    State.ALARM: ("cấp cứu chưa ai xem (nháy rất nhanh)", "an emergency that nobody has seen (very fast)"),
    State.CALLING: ("đang gọi cấp cứu, chưa tới máy chủ (nháy nhanh)", "a call on its way (fast)"),
    State.HEARD: ("máy chủ đã nhận lời gọi (hai nháy)", "the call has reached the server (two flashes)"),
    State.FAULT: ("lỗi kho dữ liệu (ba nháy)", "the store cannot be used (three flashes)"),
    State.BATTERY: ("chạy bằng pin (tắt thoáng mỗi 2 giây)", "on battery (a short gap every 2 s)"),
    State.OFFLINE: ("chờ mạng (một nháy mỗi 3 giây)", "no link (a flash every 3 s)"),
    State.SENDING: ("đang gửi (nháy chậm)", "sending (slow)"),
    State.READY: ("sẵn sàng (sáng đều)", "ready (steady)"),
}
"""What each state is called for people."""


def _during(length_ns: int, now: Callable[[], int], do: Callable[[int], None]) -> Iterator[None]:
    began = now()
    while (at := now() - began) < length_ns:
        do(at)
        yield None


def _pressed(board: Board, now: Callable[[], int]) -> Iterator[tuple[str, str] | None]:
    button, began = Steady(PRESS_NS), now()
    while now() - began < WAIT_NS:
        if button.look(board.pressed, now()) and button.level:
            yield "Nút gọi: tốt", "Call button: good"
            return
        yield None
    stuck = "Nút đang bị giữ" if board.pressed else "Không thấy bấm"
    yield (
        f"Nút gọi: {stuck}. Kiểm tra dây.",
        f"Call button: {'it is held down' if board.pressed else 'no press was seen'}. Check the wires.",
    )
