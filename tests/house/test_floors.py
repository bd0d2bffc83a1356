"""The floors and doors of the house hold: what breaks them is refused."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT, text

PLANTED = {
    # contract id: (file, line to add)
    "appliance-floors": ("appliance/kiosk/planted.py", "import appliance.agent.planted\n"),
    "bridge-floors": ("cloud-bridge/cloud_bridge/store/planted.py", "import cloud_bridge.console\n"),
    "bridge-imports": ("cloud-bridge/cloud_bridge/console/planted.py", "import appliance.store\n"),
    "box-without-bridge": ("appliance/devices/planted.py", "import cloud_bridge.console\n"),
    "contract-pure": ("appliance/contract/planted.py", "import os\n"),
    "drivers-pure": ("appliance/devices/drivers/planted.py", "import time\n"),
    "relay-pure": ("appliance/relay/planted.py", "import socket\n"),
    "one-door-serial": ("appliance/agent/planted.py", "import serial.tools\n"),
    "one-door-paho": ("appliance/agent/planted.py", "import paho.mqtt.client\n"),
    "one-door-pika": ("cloud-bridge/cloud_bridge/console/planted.py", "import pika\n"),
    "one-door-sqlcipher3": ("cloud-bridge/cloud_bridge/store/planted.py", "from sqlcipher3 import dbapi2\n"),
    "one-door-gpiozero": ("appliance/agent/planted.py", "import gpiozero\n"),
    "one-door-picamera2": ("appliance/agent/planted.py", "def late():\n    import picamera2\n"),
    "one-door-sqlite-utils": ("appliance/store/planted.py", "import sqlite_utils\n"),
    "no-asyncio": ("appliance/kiosk/planted.py", "import asyncio\n"),
    "agent-single-threaded": ("appliance/agent/planted.py", "import threading\n"),
}


def verdicts(tree: Path) -> dict[str, str]:
    """What import-linter says of each contract in `tree`: KEPT or BROKEN by contract name; the whole output under ``""``."""
    linter = Path(sys.executable).parent / "lint-imports"
    env = os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'cloud-bridge'}", "COLUMNS": "300"}
    done = subprocess.run([linter, "--no-cache", "--no-logo"], cwd=tree, env=env, capture_output=True, text=True, check=False)
    said = dict(re.findall(r"^(.*\S) (KEPT|BROKEN)\b.*$", done.stdout, re.M))
    return said | {"": done.stdout + done.stderr}


def names() -> dict[str, str]:
    """Contract ids and their names, from pyproject.toml."""
    return dict(re.findall(r'^id = "(.*)"\nname = "(.*)"$', text(ROOT / "pyproject.toml"), re.M))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of both packages and the contracts."""
    ours = shutil.ignore_patterns("__pycache__", "static", "templates")
    for package in ("appliance", "cloud-bridge/cloud_bridge"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ours)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for init in (
        "cloud-bridge/cloud_bridge/store/__init__.py",
        "cloud-bridge/cloud_bridge/console/__init__.py",
        "appliance/agent/planted.py",
    ):
        (tmp_path / init).parent.mkdir(exist_ok=True)
        (tmp_path / init).touch()
    return tmp_path


def test_every_contract_has_a_break_planted_against_it() -> None:
    """A contract nobody can break would prove nothing."""
    assert set(names()) == set(PLANTED)


def test_planted_breaks_are_all_caught(tree: Path) -> None:
    """One forbidden import against each contract: import-linter calls every one of them broken."""
    for file, line in PLANTED.values():
        with (tree / file).open("a") as target:
            target.write(line)
    said = verdicts(tree)
    caught = {each: said.get(title) for each, title in names().items()}
    assert caught == dict.fromkeys(PLANTED, "BROKEN"), said[""]


@pytest.mark.parametrize("module", ["appliance/utils.py", "cloud-bridge/cloud_bridge/common.py"])
def test_a_new_top_level_module_needs_a_floor(tree: Path, module: str) -> None:
    """A top-level module that no floor lists breaks the build."""
    (tree / module).write_text('"""Nobody knows where this belongs."""\n')
    floors = "appliance-floors" if module.startswith("appliance") else "bridge-floors"
    said = verdicts(tree)
    assert said.get(names()[floors]) == "BROKEN", said[""]
