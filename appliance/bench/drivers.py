"""Every driver in pure Python: bytes a second beside the line's rate, and the collector's share of a core at the device's own rate.

What is fed is half a minute of the family's simulated device, in reads of 62 bytes as a USB adapter gives them, again and
again. A line carries a byte in its start, data, parity and stop bits; a HID device at most one report each millisecond (USB
full speed). The collector is the real program on a pseudo-terminal while the simulated device talks to it.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from appliance.bench.counters import cpu_seconds
from appliance.devices.driver import SECOND, Hid, Line, Row
from appliance.devices.events import Said, Send
from appliance.devices.registry import ROWS
from appliance.devices.sim.pty import Terminal
from appliance.devices.sim.script import simulate

GOAL_TIMES = 100
GOAL_PERCENT = 3.0
READ = 62
BYTES = 400_000
WATCHED_S = 10.0
READY_S = 60.0
TOGETHER = 6
"""Collectors that run at the same time: each is mostly asleep."""
HID_REPORTS = 1000
"""The most reports a second of a full-speed HID device."""
OPTIONS: dict[str, dict[str, str]] = {
    "contec-cms50": {"finger": "in", "stored": "60"},
    "contec-cms50-v5": {"finger": "in", "stored": "60"},
    "nonin": {"finger": "in"},
    "beurer": {"cycle": "0.3"},
    "and-ua767": {"cycle": "0.3"},
    "bpm-pro2": {"cycle": "0.3"},
    "maibobo": {"cycle": "0.3"},
    "ieee11073": {"kind": "cuff", "cycle": "0.3"},
    "suntech-nibp": {"cycle": "2"},
}
"""What the simulated devices are told, so that half a minute of them has frames of all kinds."""


def run() -> dict[str, Any]:
    """By driver: megabytes a second, times the line's rate, and per cent of a core with its collector; what misses a goal."""
    speeds = {name: speed(row) for name, row in sorted(ROWS.items())}
    shares = collectors([name for name, row in sorted(ROWS.items()) if isinstance(row.line, Line) and not row.unit])
    return {
        "bench": "drivers",
        "goals": {"times_line_rate": GOAL_TIMES, "collector_percent_of_core": GOAL_PERCENT},
        "decoding": {
            name: {"mb_per_s": round(rate / 1e6, 2), "times_line": round(rate / line_rate(ROWS[name]))} for name, rate in speeds.items()
        },
        "collector_percent": shares,
        "missed": {
            "speed": [name for name, rate in speeds.items() if rate < GOAL_TIMES * line_rate(ROWS[name])],
            "collector": [name for name, share in shares.items() if share > GOAL_PERCENT],
        },
    }


def line_rate(row: Row) -> float:
    """The most bytes a second that its line can carry."""
    if isinstance(row.line, Hid):
        return float(row.line.report * HID_REPORTS)
    return row.line.baud / (1 + row.line.bytesize + (row.line.parity != "N") + row.line.stopbits)


@cache
def recording(name: str) -> bytes:
    """What half a minute of the simulated device sends, answered as its driver does; its memory, if it says nothing else."""
    row = ROWS[name]
    script, driver, now, data = simulate(name, seed=11, options=OPTIONS.get(name, {})), row.make(1.0), SECOND, b""

    def take(said: list[Said]) -> None:
        for each in said:
            if isinstance(each, Send):
                script.feed(each.data, now)

    take(driver.begin(now))
    if row.commanded:
        take(driver.start("adult", now, now + 3 * SECOND))
    for turn in range(1500):
        now += SECOND // 50
        heard = script.output(now)
        data += heard
        take(driver.feed(heard, now) + driver.tick(now))
        if turn == 1000 and not data and hasattr(driver, "recall"):
            take(driver.recall(now))
    return data


def speed(row: Row, size: int = BYTES) -> float:
    """Bytes a CPU second that the driver decodes; the best of three."""
    data = recording(row.name)
    rounds, best = max(1, size // len(data)), 0.0
    for _ in range(3):
        driver, began = row.listen(), time.process_time()
        for _ in range(rounds):
            for at in range(0, len(data), READ):
                driver.feed(data[at : at + READ], 0)
        best = max(best, rounds * len(data) / (time.process_time() - began))
    return best


# --- with its collector ---------------------------------------------------------------------------------------------------------------


@dataclass
class _Wire:
    """One collector on a terminal whose other end is a simulated device."""

    name: str
    terminal: Terminal
    script: Any
    child: "subprocess.Popen[bytes]"
    before: float = 0.0

    def turn(self, now_ns: int) -> None:
        """The device hears and speaks."""
        if heard := self.terminal.read():
            self.script.feed(heard, now_ns)
        self.terminal.write(self.script.output(now_ns))


def collectors(names: list[str], seconds: float = WATCHED_S) -> dict[str, float]:
    """Per cent of a core that `tram collect` takes with each of these at the device's own rate."""
    found: dict[str, float] = {}
    for at in range(0, len(names), TOGETHER):
        found |= _share(names[at : at + TOGETHER], seconds)
    return found


def _share(names: list[str], seconds: float) -> dict[str, float]:
    with TemporaryDirectory(prefix="tram-drivers-") as folder:
        config = _station(Path(folder), names)
        wires = [_start(Path(folder), config, name) for name in names]
        try:
            until = time.monotonic() + READY_S
            while not all(wire.terminal.opened() for wire in wires) and time.monotonic() < until:
                _turn(wires, 0.2)  # their imports are no part of it
            _turn(wires, 3.0)
            began = time.monotonic()
            for wire in wires:
                wire.before = cpu_seconds(wire.child.pid)
            _turn(wires, seconds)
            taken = time.monotonic() - began
            return {wire.name: round(100 * (cpu_seconds(wire.child.pid) - wire.before) / taken, 2) for wire in wires}
        finally:
            for wire in wires:
                wire.child.terminate()
            for wire in wires:
                wire.child.wait(20)
                wire.terminal.unplug()


def _station(folder: Path, names: list[str]) -> Path:
    config = folder / "tram.toml"
    devices = "".join(f'[devices.{name}]\ndriver = "{name}"\nport = "{folder / name}"\nsimulated = true\n' for name in names)
    config.write_text(
        '[station]\nid = "tram-bench"\n[paths]\ndata = "data"\nrun = "run"\n[store]\nkey_file = "store.key"\nballast_mb = 0\ngroup = ""\n'
        f'[wire]\nsealing = "off"\n{devices}'
    )
    subprocess.run([*_tram(config), "init"], check=True, capture_output=True, timeout=60)
    return config


def _tram(config: Path) -> list[str]:
    return [sys.executable, "-m", "appliance.cli", "--config", str(config)]


def _start(folder: Path, config: Path, name: str) -> _Wire:
    terminal = Terminal(folder / name)
    terminal.plug()
    words = [*_tram(config), "collect", name]
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return _Wire(name, terminal, simulate(name, seed=1, options=LIVE.get(name, {})), child)


LIVE = {"contec-cms50": {"finger": "in"}, "contec-cms50-v5": {"finger": "in"}, "nonin": {"finger": "in"}}
"""Oximeters with a finger in; everything else at the rate it has by itself."""


def _turn(wires: list[_Wire], seconds: float) -> None:
    for now in _turns(seconds):
        for wire in wires:
            wire.turn(now)


def _turns(seconds: float) -> Iterator[int]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        time.sleep(1 / 60)
