"""A whole system for the benches: broker, bridge and box as real processes on loopback, with one wire that the bench writes.

The programs are those of the demo (`demo.places`); the device is a pseudo-terminal whose other end the bench holds, so
that it knows to the microsecond when a reading went into the serial line.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from appliance.demo import broker, places
from appliance.demo.browser import Browser
from appliance.demo.children import Children, Program
from appliance.demo.loop import Loop
from appliance.demo.person import Doctor
from appliance.demo.proxy import Proxy
from appliance.demo.state import open_state
from appliance.devices.sim.pty import Terminal
from appliance.devices.sim.suntech_nibp import result
from appliance.settings import Settings, load

DEVICE = "bench"
READY_S = 30.0
MEMORY = Path("/dev/shm")  # noqa: S108 - a tmpfs is meant; what is put there has a name of its own and a mode of 0700


class Stand:
    """Both ends running. `turn` must be called often: it reads what the programs say."""

    def __init__(
        self, loop: Loop, children: Children, laid: places.Places, terminal: Terminal, run: Path, console: str, kiosk: str, password: str
    ) -> None:
        self._children, self._laid = children, laid
        self.loop = loop
        self.proxy: Proxy | None = None
        """Between the box and the broker, where it was asked for."""
        self.terminal, self.run = terminal, run
        self.console, self.kiosk, self._password = console, kiosk, password
        self.steps: list[dict[str, Any]] = []
        self._frames = _frames()

    def turn(self, seconds: float) -> None:
        """Let time pass, at most `seconds`."""
        self.loop.turn(seconds)

    def wait(self, done: Any, what: str, within: float = READY_S) -> None:
        """Turn until `done()`; TimeoutError says what was waited for."""
        deadline = time.monotonic() + within
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {within:g} s: {what}")
            self.turn(0.02)

    def rest(self, seconds: float) -> None:
        """Turn for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.turn(min(left, 0.05))

    def command(self, *words: str) -> dict[str, Any]:
        """Run one ``tram`` command of the station and read its JSON line."""
        done = subprocess.run(places.tram("--config", self._laid.station, *words), capture_output=True, text=True, check=True, timeout=60)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def start(self, name: str, *words: str) -> int:
        """Start a program of the station; its process id."""
        return self._children.start(Program(name, places.tram("--config", self._laid.station, *words)))

    @property
    def settings(self) -> Settings:
        """The station's."""
        return load([self._laid.station])

    @property
    def bridge_database(self) -> str:
        """The bridge's database, as its settings name it."""
        return load([self._laid.bridge]).bridge.database

    def kill(self, *names: str) -> None:
        """SIGKILL programs, as a power cut does."""
        running = self.pids()
        for name in names:
            os.killpg(running[name], signal.SIGKILL)

    def restart(self, *names: str) -> None:
        """Start again what was killed."""

        def back() -> bool:
            self._children.look()
            return all(self._children.alive(name) for name in names)

        self._children.look()  # notices that they are dead
        self.wait(back, "the programs to come back")

    def pids(self) -> dict[str, int]:
        """Process ids by program."""
        return self._children.pids()

    def patient(self) -> int:
        """An invented patient."""
        return int(self.command("patient", "add", "--name", "Thử Nghiệm Đo", "--birth", "1961")["patient"])

    def headless(self, patient: int, minutes: int = 10) -> int:
        """A session of the bench's device, and a collector that records in it at once."""
        session = int(self.command("session", "open", "--patient", str(patient), "--device", DEVICE, "--minutes", str(minutes))["session"])
        self.start(f"collect-{DEVICE}", "collect", DEVICE, "--session", str(session))
        self.wait(self.terminal.opened, "the collector to open the line")
        self.rest(1.5)  # it flushes what stood in the line when it opened it
        return session

    def doctor(self) -> Browser:
        """A browser in which the doctor has logged in."""
        doctor = Doctor(self.console)
        doctor.log_in(places.DOCTOR, self._password)
        return doctor.browser

    def send(self) -> int:
        """One result frame, unlike every other, into the serial line; the moment (monotonic ns) before its first byte."""
        frame = next(self._frames)
        at = time.monotonic_ns()
        self.terminal.write(frame)
        return at

    def hear(self, _name: str, line: bytes) -> None:
        """Keep the steps the programs write into their journals."""
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and "step" in said:
                self.steps.append(said)

    def recorded(self) -> int:
        """How many readings the collector has recorded so far."""
        return sum(1 for said in self.steps if said["step"] == "record")


def _frames() -> Iterator[bytes]:
    """25,200 results, no two alike: more than any bench writes."""
    for more, systolic, diastolic in product(range(4), range(100, 240), range(50, 95)):
        yield result(systolic, diastolic, (systolic + 2 * diastolic) // 3, 60 + (systolic + diastolic + 15 * more) % 60)


@contextmanager
def stand(*, driver: str = "suntech-nibp-unasked", metered: bool = False, proxied: bool = False) -> Iterator[Stand]:
    """Start everything but the collector; end everything. `proxied`: the box reaches the broker through a proxy that can be cut."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tram-bench-")))
        state = open_state(folder / "state", fresh=False)
        stack.callback(state.close)
        _in_memory(state.run, stack)
        loop = Loop()
        stack.callback(loop.close)
        terminal = Terminal(state.short / "tty-bench")
        terminal.plug()
        stack.callback(terminal.unplug)
        broker_port, kiosk_port, console_port = broker.free_ports(3)
        proxy = Proxy(loop, broker_port) if proxied else None
        if proxy is not None:
            stack.callback(proxy.close)
        link_port = broker_port if proxy is None else proxy.port
        laid = places.lay_out(state, places.Ports(broker_port, link_port, kiosk_port, console_port))
        _settle(laid, terminal_at=state.short / "tty-bench", driver=driver, metered=metered)
        heard: list[Stand] = []
        children = Children(loop, state.logs, lambda name, line: heard[0].hear(name, line) if heard else None, lambda _text: None)
        stack.callback(children.stop)
        kind = broker.find("auto")
        children.start(broker.program(kind, broker_port, state.short))
        made = Stand(
            loop,
            children,
            laid,
            terminal,
            state.run,
            f"http://127.0.0.1:{console_port}",
            f"http://127.0.0.1:{kiosk_port}",
            state.password(places.DOCTOR),
        )
        made.proxy = proxy
        heard.append(made)
        made.wait(lambda: broker.answers(broker_port), "the broker")
        for program, given in places.set_up(laid, state):
            children.run(program, given, ended=lambda: False)
        for program in [*places.bridge(laid), *(one for one in places.box(laid) if one.name in ("carry", "kiosk"))]:
            children.start(replace(program, box=False))
        made.wait(lambda: broker.answers(console_port) and broker.answers(kiosk_port), "the two screens")
        yield made


def _in_memory(run: Path, stack: ExitStack) -> None:
    """Put the run directory where the box has it: on a tmpfs (``/run``); where there is none it stays on the disk."""
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        run.rmdir()
        run.symlink_to(stack.enter_context(TemporaryDirectory(prefix="tram-run-", dir=MEMORY)))


def _settle(laid: places.Places, *, terminal_at: Path, driver: str, metered: bool) -> None:
    """The demo's station settings with the bench's device and link."""
    text = laid.station.read_text(encoding="utf-8").replace("metered = false", f"metered = {json.dumps(metered)}")
    text += f'\n[devices.{DEVICE}]\ndriver = "{driver}"\nport = "{terminal_at}"\nname = "Máy thử"\nsimulated = true\n'
    laid.station.write_text(text, encoding="utf-8")
