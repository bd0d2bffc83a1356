"""What is handed out: one wheel, nothing of the tests in it, and a bridge that installs without a box's packages."""

import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.house.test_imports import modules
from tests.house.tree import ROOT, text
from tests.servers import REQUIRED

HARDWARE = ("serial", "gpiozero", "picamera2", "libcamera", "lgpio", "hid", "usb", "smbus2", "spidev", "RPi")
HARDWARE_DISTRIBUTIONS = ("pyserial", "gpiozero", "picamera2", "lgpio", "hidapi", "pyusb", "smbus2", "spidev", "rpi-gpio")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from this tree."""
    if find_spec("hatchling") is None:
        if os.environ.get(REQUIRED) == "required":
            pytest.fail("hatchling is missing: script/setup installs it")
        pytest.skip("hatchling is not installed (script/setup installs it)")
    to = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(to)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(to.glob("*.whl"))


@pytest.fixture(scope="session")
def contents(wheel: Path) -> list[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_two_packages_and_no_saboteur(contents: list[str]) -> None:
    """No tests, no planted bugs, no simulator of a fault: the product holds no switch for a bug."""
    tops = {each.split("/")[0] for each in contents}
    assert {each for each in tops if not each.endswith(".dist-info")} == {"appliance", "cloud_bridge"}
    assert not [each for each in contents if "saboteur" in each or "/test" in each or "conftest" in each]


def test_no_code_knows_a_saboteur() -> None:
    """The word does not occur in the product."""
    assert not [
        each for folder in ("appliance", "cloud-bridge") for each in (ROOT / folder).rglob("*.py") if "saboteur" in text(each).lower()
    ]


def test_the_wheel_holds_what_its_code_reads(contents: list[str]) -> None:
    """Dictionaries, templates, styles, migrations: every file of the packages is in the wheel."""
    held = {each for each in contents if ".dist-info" not in each}
    ours = set()
    for folder, package in (("", "appliance"), ("cloud-bridge/", "cloud_bridge")):
        base = ROOT / folder if folder else ROOT
        ours |= {str(path.relative_to(base)) for path in (base / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert ours <= held


def test_the_wheel_brings_both_commands_and_the_licence(wheel: Path, contents: list[str]) -> None:
    """`tram`, `tram-bridge`, Apache-2.0."""
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.read(next(each for each in contents if each.endswith("entry_points.txt"))).decode()
    assert "tram = appliance.cli:main" in entries and "tram-bridge = cloud_bridge.cli:main" in entries
    assert [each for each in contents if each.endswith("licenses/LICENSE")]


def test_the_bridges_lock_names_no_hardware_package() -> None:
    """The bridge's whole closure of packages is free of everything that drives a device."""
    locked = set(re.findall(r"^([a-z0-9-]+)==", text(ROOT / "requirements" / "bridge.txt"), re.M))
    assert locked and not locked & set(HARDWARE_DISTRIBUTIONS)


BLOCKED = """
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {hardware!r}:
            raise ImportError("the bridge asked for " + name)
sys.meta_path.insert(0, Refuse())
for each in {modules!r}:
    importlib.import_module(each)
wrong = [each for each in sys.modules if each.startswith(("appliance.devices", "appliance.kiosk", "appliance.agent", "appliance.store"))]
assert not wrong, wrong
"""


def test_the_bridge_imports_no_hardware_package(wheel: Path, tmp_path: Path) -> None:
    """Every module of the bridge loads where hardware packages cannot be imported, and drags in nothing of the box."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = BLOCKED.format(hardware=HARDWARE, modules=modules("cloud_bridge"))
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, env=_env(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def installed_alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh venv that holds the bridge's locked packages and our wheel, nothing else."""
    place = tmp_path_factory.mktemp("alone") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, capture_output=True)
    python = place / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-deps"]
    locked = str(ROOT / "requirements" / "bridge.txt")
    done = subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", locked], capture_output=True, text=True, check=False)
    if done.returncode and "hash" not in done.stderr.lower() and os.environ.get(REQUIRED) != "required":
        pytest.skip(f"pip reaches no package registry: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    return python


@pytest.mark.slow
def test_the_bridge_installed_alone_runs(installed_alone: Path, tmp_path: Path) -> None:
    """In a fresh venv made from requirements/bridge.txt every module of the bridge loads and its command answers.

    Only the door to RabbitMQ is left out: it belongs to an extra of its own (amqp).
    """
    listed = subprocess.run(
        [installed_alone, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout.lower()
    assert not {line.split("==")[0] for line in listed.splitlines()} & set(HARDWARE_DISTRIBUTIONS)
    program = BLOCKED.format(hardware=HARDWARE, modules=sorted(set(modules("cloud_bridge")) - {"cloud_bridge.amqp"}))
    done = subprocess.run([installed_alone, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, env=_env())
    assert done.returncode == 0, done.stderr
    helped = subprocess.run([installed_alone.parent / "tram-bridge", "--help"], capture_output=True, text=True, check=False, env=_env())
    assert helped.returncode == 0, helped.stderr


def _env(*paths: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV_"))}
    return kept | ({"PYTHONPATH": os.pathsep.join(map(str, paths))} if paths else {})
