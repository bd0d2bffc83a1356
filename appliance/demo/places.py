"""What the demo's programs are told: two settings files with the demo's ports and folders, and the commands to run."""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from appliance.demo.children import Program
from appliance.demo.state import State

STATION = "demo-01"
STATION_NAME = "Trạm Y tế xã Thử Nghiệm"
ORGANISATION = "Trung tâm Y tế khu vực Thử Nghiệm"
STAFF = "tram"
STAFF_NAME = "Điều dưỡng Thử Nghiệm"
LEAD = "truong"
LEAD_NAME = "Trưởng trạm Thử Nghiệm"
DOCTOR = "bacsi"
DOCTOR_NAME = "BS Thử Nghiệm"

CUFF, OXIMETER = "cuff", "oximeter"
DEVICES = {CUFF: ("suntech-nibp", "Máy đo huyết áp (mô phỏng)"), OXIMETER: ("contec-cms50", "Máy đo SpO₂ (mô phỏng)")}
"""Driver and name for people of each simulated device."""
ARMS = {CUFF: "left", OXIMETER: "right"}
"""The invented patient wears them on two arms: no squeezing cuff disturbs the finger."""


@dataclass(frozen=True)
class Ports:
    """Where things listen on 127.0.0.1: `link` is the demo's proxy in front of `broker`."""

    broker: int
    link: int
    kiosk: int
    console: int


@dataclass(frozen=True)
class Places:
    """The two settings files and what else the commands need."""

    station: Path
    bridge: Path
    pins: Path
    station_key: Path
    ends: dict[str, Path]
    """Where each simulated device is plugged in."""


def lay_out(state: State, ports: Ports) -> Places:
    """Write both settings files for this run; the folders they name are made by the programs themselves."""
    root = state.root
    ends = {name: state.short / f"tty-{name}" for name in DEVICES}
    places = Places(root / "station.toml", root / "bridge.toml", root / "bridge-keys.json", root / "station-key.json", ends)
    box: dict[str, Any] = {
        "environment": "demo",
        "station": {"id": STATION, "name": STATION_NAME, "shard": 0},
        "paths": {"data": root / "box", "run": state.run},
        "store": {"key_file": root / "box.key", "ballast_mb": 1},
        "broker": {"host": "127.0.0.1", "port": ports.link},
        "link": {"metered": False},
        "kiosk": {"port": ports.kiosk, "secret_file": root / "kiosk.secret"},
        "duty": {"name": "Trực thử nghiệm", "phone": "0000 000 000"},
    }
    for name, (driver, title) in DEVICES.items():
        box[f"devices.{name}"] = {"driver": driver, "port": ends[name], "name": title, "simulated": True, "arm": ARMS[name]}
    bridge: dict[str, Any] = {
        "environment": "demo",
        "broker": {"host": "127.0.0.1", "port": ports.broker},
        "link": {"metered": False},
        "bridge": {
            "database": "sqlite:///" + quote(str(root / "bridge" / "bridge.db")),
            "key_dir": root / "bridge" / "keys",
            "shards": [0],
            "console_port": ports.console,
            "console_secret_file": root / "bridge" / "console.secret",
            "organisation": ORGANISATION,
        },
    }
    (root / "bridge").mkdir(exist_ok=True)
    places.station.write_text(toml(box), encoding="utf-8")
    places.bridge.write_text(toml(bridge), encoding="utf-8")
    return places


def toml(tree: dict[str, Any]) -> str:
    """Two levels of settings as TOML. JSON's strings, numbers and lists of them are TOML's."""
    top = [f"{key} = {_value(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    for section, rows in tree.items():
        if isinstance(rows, dict):
            top += ["", f"[{section}]", *(f"{key} = {_value(value)}" for key, value in rows.items())]
    return "\n".join(top) + "\n"


def _value(value: object) -> str:
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def tram(*words: str | Path) -> tuple[str, ...]:
    """The command ``tram …`` of this installation."""
    return _installed("tram", "appliance.cli", words)


def tram_bridge(*words: str | Path) -> tuple[str, ...]:
    """The command ``tram-bridge …`` of this installation."""
    return _installed("tram-bridge", "cloud_bridge.cli", words)


def _installed(name: str, module: str, words: tuple[str | Path, ...]) -> tuple[str, ...]:
    """The script beside this interpreter, else the one on PATH, else the module itself."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    start = (found,) if found else (sys.executable, "-c", f"import sys; from {module} import main; sys.exit(main())")
    return (*start, *map(str, words))


def set_up(places: Places, state: State, *, synced: bool = True) -> list[tuple[Program, str]]:
    """The commands that make both stores and introduce the two ends to each other, in order, each with its standard input.

    All of them may be run again: a demo with a history finds everything as it was. Where NTP does not keep this machine's clock
    (`synced` False), the demo's technician vouches for it: else every time would be shown with years of doubt.
    """
    box, bridge = ("--config", places.station), ("--config", places.bridge)
    password = state.password(DOCTOR) + "\n"
    users = (
        "users", "add", DOCTOR, "--name", DOCTOR_NAME, "--role", "doctor", "--organisation", ORGANISATION, "--no-second-factor",
        "--password-stdin",
    )  # fmt: skip
    introduced = ("stations", "add", STATION, "--name", STATION_NAME, "--organisation", ORGANISATION, "--key", places.station_key)
    return [
        (Program("bridge-init", tram_bridge(*bridge, "init", "--export", places.pins)), ""),
        (Program("init", tram(*box, "init", "--pin", places.pins, "--export", places.station_key)), ""),
        *([] if synced else [(Program("time-set", tram(*box, "time", "set", "now", "--error", "1", "--yes")), "")]),
        (Program("stations-add", tram_bridge(*bridge, *introduced)), ""),
        (Program("users-add", tram_bridge(*bridge, *users)), password),
        *(
            (
                Program(f"staff-add-{code}", tram(*box, "staff", "add", code, "--name", name, "--role", role, "--pin")),
                state.pin(code) + "\n",
            )
            for code, name, role in ((STAFF, STAFF_NAME, "nurse"), (LEAD, LEAD_NAME, "lead"))
        ),
    ]


def simulators(places: Places) -> list[Program]:
    """The two devices that do not exist, each on a pseudo-terminal."""
    options = {OXIMETER: ("--option", "finger=out")}
    return [
        Program(f"sim-{name}", tram("simulate", "device", driver, "--link", places.ends[name], *options.get(name, ())), talks=True)
        for name, (driver, _title) in DEVICES.items()
    ]


def box(places: Places) -> list[Program]:
    """The station's processes: what a power cut takes."""
    config = ("--config", places.station)
    collectors = [Program(f"collect-{name}", tram(*config, "collect", name), box=True) for name in DEVICES]
    return [*collectors, Program("carry", tram(*config, "carry"), box=True), Program("kiosk", tram(*config, "kiosk"), box=True)]


def bridge(places: Places) -> list[Program]:
    """The cloud side's processes."""
    config = ("--config", places.bridge)
    return [Program("bridge-carry", tram_bridge(*config, "carry")), Program("console", tram_bridge(*config, "console"))]


def live(state: State, device: str) -> dict[str, Any] | None:
    """What the collector of a device shows at this moment; None when it shows nothing."""
    try:
        said = json.loads((state.run / f"{device}.live").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None


def ready(state: State, device: str) -> bool:
    """True when the collector of a device says that it has heard it."""
    said = live(state, device)
    return said is not None and said.get("state") in ("ready", "measuring")
