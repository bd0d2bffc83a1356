"""``tram demo``: starts everything, shows how a reading travels, ends everything. The demo's composition root.

One loop in one thread does all the watching (children, link, keys, signals). With ``--once`` a second thread is the person
who measures and the doctor who answers; it only uses HTTP and waits for steps.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from appliance.agent.clock import kernel_quality
from appliance.contract.readings import ClockQuality
from appliance.demo import broker, places
from appliance.demo.children import Children, SetupError, Stopped
from appliance.demo.finger import Finger
from appliance.demo.loop import Loop
from appliance.demo.person import Round
from appliance.demo.proxy import Link, Proxy
from appliance.demo.state import FolderError, State, open_state
from appliance.demo.steps import read_line
from appliance.demo.terminal import Keys
from appliance.demo.voice import Voice
from appliance.demo.watch import Watch

READY_S = 30.0
"""How long a program may take to answer on its port."""
ROUND_S = 58.0
"""How long one whole round may take after the set-up; the issue allows 60 s, and the end takes a moment."""
NOISE_S = 3.0
"""How long the key ``n`` makes the wires noisy."""
TURN_S = 0.2


@dataclass(frozen=True)
class Wish:
    """What the command line asked for."""

    state: Path
    fresh: bool = False
    once: bool = False
    json: bool = False
    broker: str = "auto"


def main(args: argparse.Namespace) -> int:
    """``tram demo`` with the command line's arguments; its exit status."""
    return run(Wish(args.state, args.fresh, args.once, args.json, args.broker))


def run(wish: Wish) -> int:
    """The whole demo; its exit status: 0 when it ended as wished, 1 when it failed."""
    voice = Voice(sys.stdout, sys.stderr, as_json=wish.json, once=wish.once)
    reason = ""
    try:
        return _run(wish, voice)
    except Stopped:
        if not wish.once:
            return 0
        reason = "ended by a signal"
    except OSError as error:  # BrokerError, SetupError, a full disk: the text says what and where
        reason = str(error)
    except FolderError as error:
        reason = str(error)
    voice.ended({"ok": False, "failed_step": "set-up", "reason": reason})
    return 1


def _run(wish: Wish, voice: Voice) -> int:
    kind = broker.find(wish.broker)
    with ExitStack() as stack:
        state = open_state(wish.state, wish.fresh)
        stack.callback(state.close)
        loop = Loop()
        stack.callback(loop.close)
        demo = Demo(voice, state, loop, kind)
        stack.enter_context(_signals(demo.ask_to_end, loop.alarm))
        stack.callback(demo.close)
        demo.set_up()
        return demo.once() if wish.once else demo.stay()


@contextmanager
def _signals(end: Callable[[], None], alarm: int) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal ask the demo to end; they never break it off in the middle."""

    def asked(_number: int, _frame: FrameType | None) -> None:
        end()

    wakeup = signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)


class Demo:
    """One running demo: both ends, the link between them, and the hand that disturbs it."""

    def __init__(self, voice: Voice, state: State, loop: Loop, kind: str) -> None:
        self._voice, self._state, self._loop, self._kind = voice, state, loop, kind
        self._watch = Watch()
        self._children = Children(loop, state.logs, self._hear, voice.tell)
        self._proxy: Proxy | None = None
        self._keys = Keys(loop, self._press)
        self._ending = False
        self._unplugged = False
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._origins = {"kiosk": "", "console": ""}

    def ask_to_end(self) -> None:
        """End soon; harmless at any time and from a signal."""
        self._ending = True

    def set_up(self) -> None:
        """Start everything and wait until both screens answer and both devices are ready."""
        began = time.monotonic()
        broker_port, kiosk_port, console_port = broker.free_ports(3)
        self._voice.tell(f"tram demo: broker {self._kind}, state in {self._state.root}, what the programs say in {self._state.logs}")
        self._children.start(broker.program(self._kind, broker_port, self._state.short))
        self._until(lambda: broker.answers(broker_port), f"the broker ({self._kind}) to answer", "broker")
        self._proxy = Proxy(self._loop, broker_port)
        laid = places.lay_out(self._state, places.Ports(broker_port, self._proxy.port, kiosk_port, console_port))
        synced = kernel_quality() is ClockQuality.SYNCED
        if not synced:
            self._voice.tell("tram demo: nothing keeps this machine's clock (no NTP): the demo takes it as right to the second")
        for program, given in places.set_up(laid, self._state, synced=synced):
            self._children.run(program, given, ended=lambda: self._ending)
        for program in [*places.simulators(laid), *places.bridge(laid), *places.box(laid)]:
            self._children.start(program)
        self._until(lambda: broker.answers(console_port), "the doctor's console to answer", "console")
        self._until(lambda: broker.answers(kiosk_port), "the kiosk to answer", "kiosk")
        for name in places.DEVICES:
            self._until(lambda name=name: places.ready(self._state, name), f"the {name} to be ready", f"collect-{name}")  # type: ignore[misc]  # a lambda with a default has no type
        self._origins = {"kiosk": f"http://127.0.0.1:{kiosk_port}", "console": f"http://127.0.0.1:{console_port}"}
        self._voice.tell(f"tram demo: ready after {time.monotonic() - began:.1f} s")

    def stay(self) -> int:
        """Run until somebody ends it."""
        logins = {
            "kiosk": (places.STAFF_NAME, self._state.pin(places.STAFF)),
            "lead": (places.LEAD_NAME, self._state.pin(places.LEAD)),
            "console": (places.DOCTOR, self._state.password(places.DOCTOR)),
        }
        self._voice.addresses(self._origins["kiosk"] + "/", self._origins["console"] + "/", logins)
        if self._keys.open():
            self._voice.keys()
        else:
            self._voice.tell("  Ctrl-C ends it\n")
        finger = Finger()
        while not (self._ending or self._voice.gone):
            self._turn()
            word = finger.look(places.live(self._state, places.OXIMETER), time.monotonic())
            if word is not None:
                self._finger(word)
        return 0

    def once(self) -> int:
        """One whole round, driven by a person in a thread of its own; 0 when the answer is on the kiosk."""
        visit = Round(
            self._watch,
            self._origins["kiosk"],
            self._origins["console"],
            self._state.pin(places.STAFF),
            (places.DOCTOR, self._state.password(places.DOCTOR)),
            self._finger,
            time.monotonic() + ROUND_S,
        )
        person = threading.Thread(target=visit.run, name="person", daemon=True)
        person.start()
        deadline = time.monotonic() + ROUND_S
        while person.is_alive() and not self._ending and time.monotonic() < deadline:
            self._turn()
        reason = "ended by a signal" if self._ending else f"the round took longer than {ROUND_S:g} s"
        result = visit.result or {"ok": False, "failed_step": visit.step, "reason": f"{reason}, while: {visit.doing}"}
        # nothing is said before everything is stopped: whoever reads the object may look for processes
        self.close()
        self._voice.ended(result)
        return 0 if result["ok"] else 1

    def close(self) -> None:
        """End everything; harmless when it has ended."""
        self._keys.close()
        self._watch.end()
        self._children.stop()
        if self._proxy is not None:
            self._proxy.close()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._loop.turn(TURN_S)
        self._children.look()
        due = [call for at, call in self._timers if at <= time.monotonic()]
        self._timers = [(at, call) for at, call in self._timers if at > time.monotonic()]
        for call in due:
            call()

    def _until(self, ask: Callable[[], bool], what: str, name: str) -> None:
        deadline = time.monotonic() + READY_S
        while not ask():
            if self._ending:
                raise Stopped
            if time.monotonic() > deadline:
                said = "\n".join(self._children.tail(name))
                raise SetupError(name, 0, f"waited {READY_S:g} s for {what}" + (f"\n{said}" if said else ""))
            self._loop.turn(0.05)
            self._children.look()

    def _hear(self, _name: str, raw: bytes) -> None:
        line = read_line(raw)
        if line is not None:
            for way, found in self._watch.hear(line):
                self._voice.step(way, found)

    def _finger(self, place: str) -> None:
        """The person puts a finger into the oximeter, or takes it out. With --once called from the person's thread."""
        self._children.say(f"sim-{places.OXIMETER}", f"finger {place}")

    def _wires(self, word: str) -> None:
        for name in places.DEVICES:
            self._children.say(f"sim-{name}", word)

    def _press(self, letter: str) -> None:
        {"n": self._noise, "u": self._unplug, "c": self._cut, "p": self._power, "q": self.ask_to_end}.get(letter, lambda: None)()

    def _noise(self) -> None:
        self._voice.tell(f"  n: noise on both wires for {NOISE_S:g} s")
        self._wires("noise")
        self._timers.append((time.monotonic() + NOISE_S, self._quiet))

    def _quiet(self) -> None:
        self._wires("resume")
        if self._unplugged:
            self._wires("unplug")  # `resume` forgets every fault
        self._voice.tell("  n: the wires are quiet again")

    def _unplug(self) -> None:
        self._unplugged = not self._unplugged
        self._wires("unplug" if self._unplugged else "replug")
        self._voice.tell(
            "  u: both devices are unplugged (u again: plug them in)" if self._unplugged else "  u: both devices are plugged in again"
        )

    def _cut(self) -> None:
        assert self._proxy is not None
        if self._proxy.link is Link.UP:
            self._proxy.cut()
            self._voice.tell("  c: the link to the broker is cut (c again: restore it)")
        else:
            self._proxy.up()
            self._voice.tell("  c: the link is back")

    def _power(self) -> None:
        killed = self._children.kill()
        self._voice.tell(f"  p: SIGKILL to {', '.join(killed)}")
