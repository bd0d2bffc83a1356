"""The power goes while a station is being provisioned; it comes back, the same run is begun again, and the station stands.

    python -m tests.provisioning.rig_cut          (as root; some minutes; script/rig cut)

One machine is cut at each of `CUTS` in turn, a little after that task has begun: its first process is killed and every other with it,
what Ansible held on the line is gone. What the card had not yet been told stays in the host's cache: this shows that the roles can be
begun again from any half-done state, not what a card does without power (for that: tests/prove).
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.polling import until
from tests.provisioning.nspawn import Machine, MissingError, machine
from tests.provisioning.test_station import changed_lines, how_to_play, inventory_for, play, units_are_active

CUTS = (
    "hardening : Mask what a keyboard could wake",
    "hardening : Load the allow-list",
    "network : Write the ways out",
    "program : Install every wheel by its hash",
    "broker : Say how it listens",
    "bridge : Start the bridge anew",
    "station : Make the store's key",
    "station : Start the station anew",
)
"""Tasks and handlers of site.yml in their order, each a step that could be left half done."""


def run_until(box: Machine, inventory: Path, task: str) -> bool:
    """Begin site.yml and return a moment after `task` has begun, with Ansible still at it; False where the run ended before."""
    command, where = how_to_play(box, inventory)
    log = box.place / "cut.log"
    with log.open("wb") as out:
        running = subprocess.Popen(["nsenter", "-t", str(box.leader), "-n", *command], stdout=out, stderr=out, **where)
        until(lambda: f"[{task}" in log.read_text(errors="replace") or running.poll() is not None, 900, every=0.05, what=task)
        there = running.poll() is None
        os.kill(box.leader, signal.SIGKILL)  # the machine first: Ansible must not find the time to say goodbye
        running.kill()
        running.wait()
    return there


def main() -> int:
    """Cut, boot, begin again; 0 when the station stands at the end and a further run changes nothing."""
    place = Path(tempfile.mkdtemp(prefix="tc", dir="/var/tmp"))
    began = time.monotonic()
    try:
        inventory: Path | None = None
        for task in CUTS:
            with machine("tram-0001", place) as box:
                inventory = inventory or inventory_for(box)
                there = run_until(box, inventory, task)
            print(f"{time.monotonic() - began:5.0f} s  the power went at: {task}" + ("" if there else "  (never reached)"), flush=True)
            if not there:
                print((place / "cut.log").read_text(errors="replace")[-3000:])
                return 1
        with machine("tram-0001", place) as box:
            assert inventory is not None
            play(box, inventory)
            second = play(box, inventory)
            print(changed_lines(second), flush=True)
            units_are_active(box)
            print(f"{time.monotonic() - began:5.0f} s  after {len(CUTS)} cuts: the station stands, a further run changed nothing")
            return 0 if "changed=0" in second else 1
    except MissingError as missing:
        print(f"not on this machine: {missing}")
        return 0
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    sys.exit(main())
