"""script/ground.sh: what it installs, what it says when it may not, and that a second run does nothing."""

import subprocess
from pathlib import Path

import pytest

from tests import servers
from tests.house.tree import ROOT

SHELLS = [shell for shell in ("sh", "dash", "bash") if servers.find(shell)]


def shell(script: str, *, run_as: servers.Person | None = None, program: str = "sh") -> subprocess.CompletedProcess[str]:
    """Runs shell lines after reading script/ground.sh."""
    command = [program, "-euc", f". '{ROOT}/script/ground.sh'\n{script}"]
    person = run_as or servers.Person("", None, None)
    return subprocess.run(servers.as_person(person, command), cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("program", SHELLS)
def test_without_root_it_names_the_packages_and_stops(program: str) -> None:
    """Where neither root nor sudo is at hand, the exact apt command is shown, nothing is installed, exit 1."""
    absent = 'has() { case $1 in mosquitto|sudo) return 1;; esac; command -v "$1" >/dev/null 2>&1; }; id() { echo 1000; }'
    done = shell(f"{absent}\nwant test\necho went on", program=program)
    assert done.returncode == 1
    assert "apt-get install --no-install-recommends mosquitto" in done.stderr
    assert done.stdout == ""


def test_a_machine_that_has_everything_is_left_alone() -> None:
    """Nothing missing: nothing is said and nothing is asked of apt."""
    done = shell("missing() { :; }\nroot_way() { echo asked; }\nwant test")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_python_too_old_or_too_new_does_not_fit(tmp_path: Path) -> None:
    """The interpreter is asked for its version and for venv: one that fails is not taken."""
    wrong = tmp_path / "python3"
    wrong.write_text("#!/bin/sh\nexit 1\n")
    wrong.chmod(0o755)
    done = shell(f"python_fits '{wrong}' || echo refused")
    assert done.stdout == "refused\n"


def test_the_second_set_up_does_nothing(tmp_path: Path) -> None:
    """With the same requirements, place and Python, .venv is left as it is; a changed requirement makes it anew."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text("#!/bin/sh\necho Python 3.11.2\n")
    python.chmod(0o755)
    begin = f"VENV='{tmp_path}'; build() {{ echo built $1; fingerprint \"$1\" '{python}' >\"$VENV/.ground-$1\"; }}\n"
    assert shell(begin + "ground demo; ground demo").stdout == "built demo\n"
    assert shell(begin + "ground demo").stdout == ""
    (tmp_path / ".ground-demo").write_text("something else\n")
    assert shell(begin + "ground demo").stdout == "built demo\n"


def test_a_developers_set_serves_the_demo_too(tmp_path: Path) -> None:
    """Whoever has the dev set does not get the demo's set installed over it."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text("#!/bin/sh\necho Python 3.11.2\n")
    python.chmod(0o755)
    done = shell(
        f"VENV='{tmp_path}'; build() {{ echo built $1; fingerprint \"$1\" '{python}' >\"$VENV/.ground-$1\"; }}\nground dev; ground demo"
    )
    assert done.stdout == "built dev\n"


@pytest.mark.parametrize("script", ["demo", "test", "setup", "check", "lock", "stranger", "ground.sh"])
@pytest.mark.parametrize("program", SHELLS)
def test_scripts_are_readable_by_every_posix_shell(script: str, program: str) -> None:
    """dash and bash read each script without complaint."""
    done = subprocess.run([program, "-n", str(ROOT / "script" / script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
