"""Both ends of a whole system as real processes, for people with real browsers: broker, link, bridge, box, simulated devices.

The programs and their settings are those of the demo (`demo.places`); the link to the broker is the demo's proxy, so that a
test can cut it. Everything ends with the block, and with the test process if that dies.
"""

import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from appliance.demo import places
from appliance.demo.broker import free_ports
from appliance.demo.children import Program
from appliance.demo.loop import Loop
from appliance.demo.proxy import Proxy
from appliance.demo.state import open_state
from tests import servers
from tests.polling import until

OURSELVES = servers.Person("", None, None)
READY_S = 60.0
"""A whole system on a busy machine."""


class Cable:
    """The network between the box and the broker, in a thread of its own."""

    def __init__(self, target: int) -> None:
        self._loop, self._wishes, self._over = Loop(), deque[Callable[[], None]](), False
        self._proxy = Proxy(self._loop, target)
        self.port = self._proxy.port
        self._thread = threading.Thread(target=self._run, name="cable")
        self._thread.start()

    def cut(self) -> None:
        """Nothing goes through any more."""
        self._do(self._proxy.cut)

    def mend(self) -> None:
        """It works again."""
        self._do(self._proxy.up)

    def close(self) -> None:
        """End it."""
        self._over = True
        self._loop.wake()
        self._thread.join(10)
        self._proxy.close()
        self._loop.close()

    def _do(self, wish: Callable[[], None]) -> None:
        done = threading.Event()
        self._wishes += (wish, done.set)
        self._loop.wake()
        assert done.wait(10), "the link does not obey"

    def _run(self) -> None:
        while not self._over:
            self._loop.turn(0.2)
            while self._wishes:
                self._wishes.popleft()()


class Stage:
    """What a test sees of the running system: two addresses, two logins, a link to cut, a finger to put in."""

    def __init__(
        self, kiosk: str, console: str, pin: str, password: str, cable: Cable, finger: Callable[[str], None], again: Callable[[str], None]
    ) -> None:
        self.kiosk, self.console = kiosk, console
        self.pin, self.password = pin, password
        self.cable = cable
        self.finger = finger
        """``in`` or ``out`` of the oximeter."""
        self.again = again
        """Kill the program of this name (no goodbye) and start it again."""


@contextmanager
def stage(folder: Path, broker: int, settings: str = "") -> Iterator[Stage]:
    """Start everything on the broker at port `broker`; `settings` are lines of TOML added to the station's file."""
    with ExitStack() as stack:
        state = open_state(folder)
        stack.callback(state.close)
        cable = Cable(broker)
        stack.callback(cable.close)
        kiosk, console = free_ports(2)
        laid = places.lay_out(state, places.Ports(broker, cable.port, kiosk, console))
        laid.station.write_text(f"{laid.station.read_text(encoding='utf-8')}\n{settings}\n", encoding="utf-8")
        fingers = {name: _simulator(stack, laid, name, state.logs) for name in places.DEVICES}
        for program, given in places.set_up(laid, state):
            done = subprocess.run(program.command, input=given.encode(), capture_output=True, check=False, timeout=READY_S)
            assert done.returncode == 0, f"{program.name}: {done.stderr.decode()}"
        programs = {each.name: each for each in (*places.bridge(laid), *places.box(laid))}
        running = {name: _start(stack, each, state.logs) for name, each in programs.items()}

        def again(name: str) -> None:
            servers.stop(running[name], signal.SIGKILL)
            running[name] = _start(stack, programs[name], state.logs)

        def up() -> bool:
            for name, process in running.items():
                assert process.poll() is None, f"{name} ended: {(state.logs / f'{name}.log').read_text(errors='replace')[-2000:]}"
            return servers.listens(kiosk) and servers.listens(console) and all(places.ready(state, name) for name in places.DEVICES)

        until(up, within=READY_S, every=0.1, what="both ends to be ready")
        finger = fingers[places.OXIMETER]
        yield Stage(
            f"http://127.0.0.1:{kiosk}", f"http://127.0.0.1:{console}", state.pin(places.STAFF), state.password(places.DOCTOR), cable,
            lambda where: finger(f"finger {where}"), again,
        )  # fmt: skip


def _start(stack: ExitStack, program: Program, logs: Path) -> subprocess.Popen[bytes]:
    logs.mkdir(exist_ok=True)
    process = servers.start(servers.as_person(OURSELVES, program.command), logs / f"{program.name}.log")
    stack.callback(servers.stop, process)
    return process


def _simulator(stack: ExitStack, laid: places.Places, name: str, logs: Path) -> Callable[[str], None]:
    """A simulated device on its pseudo-terminal; the function gives it an order."""
    program = next(each for each in places.simulators(laid) if each.name.endswith(name))
    logs.mkdir(exist_ok=True)
    log = stack.enter_context((logs / f"{program.name}.log").open("ab"))
    process = subprocess.Popen(
        servers.as_person(OURSELVES, program.command), stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
    )
    assert process.stdin is not None
    pipe = process.stdin
    stack.callback(servers.stop, process)
    stack.callback(pipe.close)
    until(laid.ends[name].is_symlink, within=READY_S, what=f"the line of the {name}")

    def order(line: str) -> None:
        pipe.write(f"{line}\n".encode())
        pipe.flush()

    return order
