"""Importing a module does nothing, and each process imports only what it needs."""

import json
import subprocess
import sys

import pytest

from tests.house.tree import ROOT, code, name

LISTEN = """
import importlib, json, sys, threading
did = []
def hook(event, args):
    if event in ("socket.bind", "socket.connect", "subprocess.Popen", "os.mkdir", "os.remove", "os.rename", "os.fork", "sqlite3.connect"):
        did.append([event, str(args)[:120]])
    if event == "open" and isinstance(args[0], str) and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        if "__pycache__" not in args[0]:
            did.append([event, args[0]])
sys.dont_write_bytecode = True
sys.addaudithook(hook)
for each in sys.argv[1:]:
    importlib.import_module(each)
json.dump({"did": did, "threads": threading.active_count(), "modules": sorted(sys.modules)}, sys.stdout)
"""


def modules(package: str) -> list[str]:
    """The names of a package's modules (without Alembic's scripts, which only Alembic runs)."""
    folder = {"appliance": "", "cloud_bridge": "cloud-bridge/"}[package.split(".", maxsplit=1)[0]]
    found = []
    for path in code(folder + package.replace(".", "/")):
        parts = name(path).removeprefix(folder).removesuffix(".py").split("/")
        if "migrations" in parts[:-1] or parts[-1] == "__main__":
            continue
        found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return sorted(found)


def imported(*names: str) -> dict[str, list[str]]:
    """What importing these modules in a fresh interpreter did and brought in."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", LISTEN, *names], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, list[str]] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("package", ["appliance", "cloud_bridge"])
def test_importing_every_module_does_nothing(package: str) -> None:
    """No file is written, no socket opened, no process or thread started by an import."""
    found = imported(*modules(package))
    assert found["did"] == []
    assert found["threads"] == 1


def test_the_agent_needs_neither_flask_nor_the_migrations_library() -> None:
    """`tram collect` and `tram carry` stay small: no web server, no sqlite_utils, nothing of the bridge."""
    brought = imported(*modules("appliance.agent"))["modules"]
    assert not {"flask", "waitress", "sqlite_utils", "jinja2", "sqlalchemy", "cloud_bridge"} & set(brought)


def test_the_contract_imports_nothing_that_touches_the_world() -> None:
    """The contract's own imports are cbor2, cryptography, zstandard and the pure part of the standard library."""
    brought = set(imported(*modules("appliance.contract"))["modules"])
    assert (
        not {"paho", "serial", "flask", "sqlcipher3", "sqlite3", "appliance.settings", "appliance.database", "appliance.journal"} & brought
    )


def test_the_kiosk_opens_no_serial_port() -> None:
    """Kiosk and collector are separate processes: the kiosk does not even import the serial library or MQTT."""
    brought = set(imported(*modules("appliance.kiosk"))["modules"])
    assert not {"serial", "paho", "cloud_bridge", "appliance.agent.carry"} & brought
