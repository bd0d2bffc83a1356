"""The demo's processes: started, listened to, killed, started again, and all ended with the demo.

Each child is the leader of a session and process group of its own, so that Ctrl-C on the terminal reaches the demo alone and the demo
ends exactly what it started. ``setpriv --pdeathsig KILL`` (util-linux, part of every Debian) makes the kernel end a child when the
demo dies without a word; children must therefore be started by the demo's main thread.
"""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from appliance.demo.loop import Loop

LINE_BYTES = 65536
"""A longer line is cut: nothing of ours writes one, and a child gone mad must not fill the memory."""
TAIL = 15
BACKOFF = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Seconds before the first, second … restart in a row; the count starts again after CALM seconds of life."""
CALM = 10.0


class Stopped(Exception):  # noqa: N818 - a person asked for it, nothing is wrong
    """Somebody asked the demo to end while it was waiting."""


class SetupError(OSError):
    """A command of the set-up failed; `name` and `said` (its last lines) say which and why."""

    def __init__(self, name: str, status: int, said: str) -> None:
        super().__init__(f"{name} ended with status {status}: {said or 'it said nothing'}")
        self.name = name
        self.said = said


@dataclass(frozen=True)
class Program:
    """What to run under which name. `box` programs are killed by the key ``p``; a `talks` program gets a pipe as standard input."""

    name: str
    command: tuple[str, ...]
    box: bool = False
    talks: bool = False
    rights: tuple[str, ...] = ()
    """Options for setpriv: what rights the program keeps."""


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    started: float
    restarts: int = 0
    pipes: dict[int, bytearray] = field(default_factory=dict)


_IF_STILL_OURS = 'test "$PPID" = "$0" && exec "$@"'
"""The death signal is set now; whoever had lost its parent before that will never get one, and must not start."""


def guarded(command: Sequence[str], rights: Sequence[str] = ()) -> list[str]:
    """`command`, to be started by this process and ended by the kernel when the thread that starts it ends."""
    setpriv = shutil.which("setpriv", path=f"{os.environ.get('PATH', os.defpath)}:/usr/bin:/bin")
    if setpriv is None:
        raise FileNotFoundError("setpriv is missing: apt-get install util-linux")
    return [setpriv, *rights, "--pdeathsig", "KILL", "--", "/bin/sh", "-c", _IF_STILL_OURS, str(os.getpid()), *command]


class Children:
    """The running programs. `hear(name, line)` gets every line they say; `tell(text)` what a person should know."""

    def __init__(
        self,
        loop: Loop,
        logs: Path,
        hear: Callable[[str, bytes], None],
        tell: Callable[[str], None],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._loop = loop
        self._logs = logs
        self._hear = hear
        self._tell = tell
        self._env = dict(env if env is not None else os.environ)
        self._running: dict[str, _Child] = {}
        self._due: dict[str, tuple[float, Program, int]] = {}
        self._tails: dict[str, deque[str]] = {}
        self._ending = False
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, program: Program) -> int:
        """Start a program that is kept running until `stop`; its process id."""
        return self._start(program, 0).process.pid

    def alive(self, name: str) -> bool:
        """True while the program of that name runs."""
        return name in self._running

    def pids(self) -> dict[str, int]:
        """The process ids by name."""
        return {name: child.process.pid for name, child in self._running.items()}

    def say(self, name: str, text: str) -> None:
        """Write a line to a program that talks; silently nothing when it is not there to hear it."""
        child = self._running.get(name)
        if child is None or child.process.stdin is None:
            return
        with contextlib.suppress(BrokenPipeError):
            child.process.stdin.write(text.encode() + b"\n")
            child.process.stdin.flush()

    def run(self, program: Program, given: str = "", *, ended: Callable[[], bool], within: float = 60.0) -> str:
        """Run a command of the set-up to its end with `given` as its input; what it said.

        SetupError when it fails or takes too long, Stopped when `ended()` becomes true.
        """
        child = self._start(program, -1, given=given)
        deadline = time.monotonic() + within
        try:
            while not self._over(child):
                if ended():
                    raise Stopped
                if time.monotonic() > deadline:
                    raise SetupError(program.name, -1, f"not done within {within:g} s")
                self._loop.turn(0.05)
        finally:
            _signal(child, signal.SIGKILL)
            status = self._reap(child)
        said = "\n".join(self._tails[program.name])
        if status:
            raise SetupError(program.name, status, said)
        return said

    def kill(self, box: bool = True) -> list[str]:
        """SIGKILL every program (every box program): a power cut. Their names. `look` starts them again."""
        names = [name for name, child in self._running.items() if child.program.box or not box]
        for name in names:
            _signal(self._running[name], signal.SIGKILL)
        return names

    def look(self) -> None:
        """Notice programs that ended and start them again, with a message and a growing pause. Call it every turn of the loop."""
        for name, child in list(self._running.items()):
            if not self._over(child):
                continue
            _signal(child, signal.SIGKILL)  # whatever the leader left in its group
            status = self._reap(child)
            del self._running[name]
            restarts = 0 if time.monotonic() - child.started > CALM else child.restarts
            pause = BACKOFF[min(restarts, len(BACKOFF) - 1)]
            self._due[name] = time.monotonic() + pause, child.program, restarts + 1
            self._tell(
                f"{name} ended ({_why(status)}); starting it again" + (f" in {pause:g} s" if pause else "") + self._last_words(name, status)
            )
        for name, (due, program, restarts) in list(self._due.items()):
            if time.monotonic() >= due and not self._ending:
                del self._due[name]
                self._start(program, restarts)

    def tail(self, name: str) -> list[str]:
        """The last lines a program said that are not journal lines."""
        return list(self._tails.get(name, ()))

    def stop(self, within: float = 5.0) -> None:
        """End every program: SIGTERM, then SIGKILL to what still runs after `within` seconds. Returns when none is left."""
        self._ending = True
        self._due.clear()
        # the last started first: nobody should see its partner vanish before itself
        for child in reversed(self._running.values()):
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and not all(self._over(child) for child in self._running.values()):
            self._loop.turn(0.02)
        for child in self._running.values():
            _signal(child, signal.SIGKILL)
            self._reap(child)
        self._running.clear()

    def _start(self, program: Program, restarts: int, given: str | None = None) -> _Child:
        process = subprocess.Popen(
            guarded(program.command, program.rights),
            stdin=subprocess.PIPE if program.talks or given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=self._env,
        )
        child = _Child(program, process, time.monotonic(), restarts)
        self._tails.setdefault(program.name, deque(maxlen=TAIL))
        if restarts >= 0:
            self._running[program.name] = child
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            number = pipe.fileno()
            os.set_blocking(number, False)
            child.pipes[number] = bytearray()
            self._loop.watch(number, selectors.EVENT_READ, partial(self._listen, child, number))
        if given:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(given.encode())
                process.stdin.close()
        return child

    def _listen(self, child: _Child, number: int, _mask: int = selectors.EVENT_READ) -> None:
        try:
            data = os.read(number, LINE_BYTES)
        except BlockingIOError:
            return
        if not data:
            self._loop.forget(number)
            if child.pipes[number]:
                self._line(child.program.name, bytes(child.pipes[number]))
            child.pipes.pop(number)
            return
        *lines, rest = (bytes(child.pipes[number]) + data).split(b"\n")
        child.pipes[number][:] = rest[-LINE_BYTES:]
        for line in lines:
            self._line(child.program.name, line)

    def _line(self, name: str, line: bytes) -> None:
        with (self._logs / f"{name}.log").open("ab") as log:
            log.write(line + b"\n")
        if not line.startswith(b"{"):
            self._tails[name].append(line.decode(errors="replace"))
        self._hear(name, line)

    def _over(self, child: _Child) -> bool:
        """True when the process has ended; it stays unreaped, so that its group number belongs to nobody else yet."""
        if child.process.returncode is not None:
            return True
        return os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _reap(self, child: _Child) -> int:
        """Wait for an ended process, read what it still had said, close its pipes; its exit status."""
        status = child.process.wait()
        for number in list(child.pipes):
            while number in child.pipes and _readable(number):
                self._listen(child, number)
            self._loop.forget(number)
        for pipe in (child.process.stdin, child.process.stdout, child.process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        return status

    def _last_words(self, name: str, status: int) -> str:
        if status < 0:
            return ""
        return "".join(f"\n    {line}" for line in self._tails[name])


def _readable(number: int) -> bool:
    """True when a read of the descriptor `number` would not block."""
    with selectors.DefaultSelector() as one:
        one.register(number, selectors.EVENT_READ)
        return bool(one.select(0))


def _signal(child: _Child, number: int) -> None:
    """To the child's whole group; only while its leader is unreaped, so that the number cannot mean somebody else."""
    if child.process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, number)


def _why(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"status {status}"
