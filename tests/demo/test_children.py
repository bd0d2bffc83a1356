"""The demo's processes: heard, restarted, and never left behind."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.demo.children import Children, Program, SetupError, Stopped, guarded
from appliance.demo.loop import Loop
from tests.polling import until

PY = sys.executable


class World:
    """Children with a loop, and everything they said."""

    def __init__(self, logs: Path) -> None:
        self.loop = Loop()
        self.heard: list[tuple[str, bytes]] = []
        self.told: list[str] = []
        self.children = Children(self.loop, logs, lambda name, line: self.heard.append((name, line)), self.told.append)

    def lines(self, name: str) -> list[bytes]:
        """What the program of that name said."""
        return [line for who, line in self.heard if who == name]

    def wait_for(self, ask, what: str) -> None:
        """Turn the loop and look after the children until `ask()` is true."""

        def turn() -> bool:
            self.loop.turn(0.02)
            self.children.look()
            return ask()

        until(turn, within=20, every=0, what=what)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Children that are ended with the test."""
    made = World(tmp_path / "log")
    yield made
    made.children.stop()
    made.loop.close()


def python(name: str, code: str, **more: bool) -> Program:
    """A program made of a few lines of Python."""
    return Program(name, (PY, "-u", "-c", code), **more)


def gone(pid: int) -> bool:
    """True when no such process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_every_line_of_both_outputs_is_heard_and_kept(world: World, tmp_path: Path) -> None:
    """Lines arrive whole, from both pipes, also the last one without its end; the log file has them too."""
    world.children.start(
        python("a", "import sys,time;print('{\"one\":1}');sys.stderr.write('two\\nthree');sys.stderr.flush();time.sleep(60)")
    )
    world.wait_for(lambda: len(world.lines("a")) >= 2, "two lines")
    assert set(world.lines("a")) == {b'{"one":1}', b"two"}
    world.children.stop()
    assert b"three" in (tmp_path / "log" / "a.log").read_bytes()
    assert world.children.tail("a") == ["two", "three"]


def test_a_killed_box_program_is_started_again_with_a_message_and_the_others_are_left_alone(world: World) -> None:
    """`kill` takes the box's programs only; `look` says so and starts them again."""
    code = "import os,time;print(os.getpid());time.sleep(60)"
    box, other = world.children.start(python("box", code, box=True)), world.children.start(python("other", code))
    world.wait_for(lambda: len(world.heard) == 2, "both to speak")
    assert world.children.kill() == ["box"]
    world.wait_for(lambda: len(world.lines("box")) == 2, "the box to speak again")
    assert world.children.pids()["other"] == other
    assert world.children.pids()["box"] != box
    assert world.told == ["box ended (SIGKILL); starting it again"]
    assert gone(box)


def test_a_program_that_keeps_dying_is_started_ever_later_and_its_last_words_are_told(world: World) -> None:
    """The first restart is at once, the next waits; the reason is shown to a person."""
    world.children.start(python("bad", "raise SystemExit('no such port')"))
    world.wait_for(lambda: len(world.told) >= 2, "two ends")
    assert world.told[0] == "bad ended (status 1); starting it again\n    no such port"
    assert world.told[1].startswith("bad ended (status 1); starting it again in 0.5 s")


def test_stop_ends_whole_groups_even_deaf_ones(world: World) -> None:
    """A child that ignores SIGTERM and its own children are gone after `stop`."""
    code = (
        "import signal,subprocess,sys,time;signal.signal(15,signal.SIG_IGN);p=subprocess.Popen(['sleep','60']);print(p.pid);time.sleep(60)"
    )
    pid = world.children.start(python("deaf", code))
    world.wait_for(lambda: bool(world.lines("deaf")), "the grandchild's number")
    grandchild = int(world.lines("deaf")[0])
    world.children.stop(within=0.2)
    assert gone(pid)
    until(lambda: gone(grandchild), what="the grandchild to end")


def test_what_a_dead_leader_leaves_in_its_group_is_ended(world: World) -> None:
    """A program that dies and leaves a child of its own behind does not do so for long."""
    world.children.start(python("leader", "import subprocess;print(subprocess.Popen(['sleep','60'],stdout=-3,stderr=-3).pid)"))
    world.wait_for(lambda: bool(world.told), "the leader's end")
    until(lambda: gone(int(world.lines("leader")[0])), what="what it left to end")


def test_a_command_of_the_set_up_gives_what_it_said(world: World) -> None:
    """`run` waits for the end and gives back the lines; its input reaches it."""
    said = world.children.run(python("echo", "print(input()[::-1])"), "olleh\n", ended=lambda: False)
    assert said == "hello"
    assert not world.children.alive("echo")


def test_a_failing_command_of_the_set_up_says_why(world: World) -> None:
    """The error carries the command's name and words."""
    with pytest.raises(SetupError, match=r"init ended with status 3: no disk"):
        world.children.run(python("init", "print('no disk');raise SystemExit(3)"), ended=lambda: False)


def test_a_stop_during_set_up_ends_the_command(world: World) -> None:
    """Nobody waits for a command that nobody wants any more."""
    pids: list[int] = []

    def ended() -> bool:
        pids.extend(int(line) for line in world.lines("slow"))
        return bool(pids)

    with pytest.raises(Stopped):
        world.children.run(python("slow", "import os,time;print(os.getpid());time.sleep(60)"), ended=ended)
    assert gone(pids[0])


def test_a_talking_program_hears_lines(world: World) -> None:
    """What is said to a program that talks reaches it; saying something to one that is gone is harmless."""
    world.children.start(python("sim", "print(input())", talks=True))
    world.children.say("sim", "noise on")
    world.wait_for(lambda: b"noise on" in world.lines("sim"), "the echo")
    world.children.say("nobody", "hello")


def test_a_child_whose_demo_died_before_the_death_signal_was_set_does_not_start(tmp_path: Path) -> None:
    """Nobody would ever end it: its parent is already somebody else."""
    mark = tmp_path / "started"
    command = guarded(["touch", str(mark)])
    assert subprocess.run(command, check=False).returncode == 0
    assert mark.exists()
    mark.unlink()
    assert subprocess.run(["sh", "-c", f"{shlex.join(command)}; exit $?"], check=False).returncode == 1
    assert not mark.exists()


def test_the_kernel_ends_children_of_a_killed_demo(tmp_path: Path) -> None:
    """SIGKILL of the parent, which can clean up nothing, leaves no child."""
    code = f"""
import sys
from pathlib import Path
from appliance.demo.children import Children, Program
from appliance.demo.loop import Loop
loop = Loop()
children = Children(loop, Path({str(tmp_path / "log")!r}), lambda name, line: None, print)
print(children.start(Program("a", (sys.executable, "-c", "import time;time.sleep(60)"))), flush=True)
while True:
    loop.turn(1)
"""
    parent = subprocess.Popen([PY, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    until(lambda: Path(f"/proc/{pid}/cmdline").read_bytes().startswith(f"{PY}\0-c".encode()), what="the child to be itself")
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: gone(pid), what="the child to end")
