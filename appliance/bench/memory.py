"""What the box's programs hold and burn: memory after 1,000 readings, CPU per 1,000 readings, CPU of a 60 Hz stream.

The baseline of the memory is a bare interpreter of the same version in the same run; that of the CPU is a bare loop (`floor`).
"""

import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

from appliance.bench import floor
from appliance.bench.counters import cpu_seconds, memory
from appliance.bench.stand import DEVICE, stand
from appliance.devices.sim.contec_cms50 import package
from appliance.devices.sim.script import simulate

READINGS = 1000
RATE = 10.0
STREAM_S = 30.0


def run(readings: int = READINGS) -> dict[str, Any]:
    """Private_Dirty, PSS and RSS in KiB by program; CPU seconds per 1,000 readings; the stream as per cent of one core."""
    return {
        "bench": "memory",
        "readings": readings,
        "rate_per_s": RATE,
        "unmetered": _readings(readings, metered=False),
        "metered": _readings(readings // 2, metered=True),
        "floor": floor.run(rate=RATE),
        "stream_60hz": _stream(),
        "baseline_kib": _bare(),
        "baseline": "a bare Python interpreter, memory in KiB",
    }


def _readings(readings: int, *, metered: bool) -> dict[str, Any]:
    """One run on a link that is paid by the byte (parcels wait for 30 rows or 60 s) or on one that is not (each goes at once)."""
    with stand(metered=metered) as here:
        patient = here.patient()
        here.headless(patient)
        here.rest(3)
        watched = {name: pid for name, pid in here.pids().items() if name in (f"collect-{DEVICE}", "carry", "kiosk")}
        before = {name: cpu_seconds(pid) for name, pid in watched.items()}
        began = time.monotonic()
        for number in range(readings):
            here.send()
            here.rest(max(0.0, began + (number + 1) / RATE - time.monotonic()))
        here.wait(lambda: here.recorded() >= readings, "all readings to be recorded")
        taken = time.monotonic() - began
        used = {name: cpu_seconds(pid) - before[name] for name, pid in watched.items()}
        here.rest(5)
        held = {name: asdict(memory(pid)) for name, pid in watched.items()}
        idle_from = {name: cpu_seconds(pid) for name, pid in watched.items()}
        here.rest(10)
        idle = {name: round((cpu_seconds(pid) - idle_from[name]) * 10, 2) for name, pid in watched.items()}
    per = {name: round(value * 1000 / readings, 3) for name, value in used.items()}
    return {
        "memory_kib": held,
        "cpu_s_per_1000": {**per, "collect_and_carry": round(per[f"collect-{DEVICE}"] + per["carry"], 3)},
        "idle_percent": idle,
        "seconds": round(taken, 1),
    }


def _stream() -> dict[str, Any]:
    """The collector's share of a core while an oximeter sends 60 packages a second."""
    with stand(driver="contec-cms50") as here:
        here.start(f"collect-{DEVICE}", "collect", DEVICE)
        here.wait(here.terminal.opened, "the collector to open the line")
        script = simulate("contec-cms50", seed=1, options={"finger": "in"})
        pid = here.pids()[f"collect-{DEVICE}"]

        def feed(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                heard = here.terminal.read()
                now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                if heard:
                    script.feed(heard, now)
                here.terminal.write(script.output(now))
                here.turn(1 / 60)

        feed(5)
        before, began = cpu_seconds(pid), time.monotonic()
        feed(STREAM_S)
        share = (cpu_seconds(pid) - before) / (time.monotonic() - began)
    return {"percent_of_core": round(100 * share, 2), "seconds": STREAM_S, "package_bytes": len(package(1, bytes(7)))}


def _bare() -> dict[str, int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bare:
        time.sleep(0.3)
        found = asdict(memory(bare.pid))
        bare.communicate(b"\n", timeout=10)
    return found
