"""The power goes while a station is being provisioned; it comes back, the same run is begun again, and the station stands.

    python -m tests.provisioning.rig_cut          (as root; a quarter of an hour on a quiet machine; script/rig cut)
    python -m tests.provisioning.rig_cut 7 8      only these places of `CUTS`, counted from 1

One machine is cut at each of `CUTS` in turn, in the midst of that task: its first process is killed and every other with it,
what Ansible held on the line is gone. What the card had not yet been told stays in the host's cache: this shows that the roles can be
begun again from any half-done state, not what a card does without power (for that: tests/prove). What was seen goes into
docs/reference/rig-results.md.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.images.rig_boot import Results, report
from tests.polling import until
from tests.provisioning.nspawn import Machine, MissingError, machine
from tests.provisioning.test_station import changed_lines, how_to_play, inventory_for, play, units_are_active

CUTS = {
    "hardening : Let ssh in by key alone": 0.8,
    "hardening : Load the allow-list": 0.3,
    "network : Write the ways out": 0.8,
    "program : Install every wheel by its hash": 5.0,
    "bridge : Start the bridge anew": 0.5,
    "broker : Say how it listens": 0.8,
    "station : Make the store's key": 0.4,
    "station : Run the station on the program in force": 0.8,
}
"""Tasks and handlers of site.yml (how their names begin) in their order, each a step that could be left half done; seconds into it.
A module is a second on its way to the box, so the cut falls before, in or after its work."""


def run_until(box: Machine, inventory: Path, task: str) -> bool:
    """Begin site.yml and cut some way into `task`, with Ansible still at it; False where the run ended before."""
    command, where = how_to_play(box, inventory)
    log = box.place / "cut.log"
    with log.open("wb") as out:
        running = subprocess.Popen(["nsenter", "-t", str(box.leader), "-n", *command], stdout=out, stderr=out, **where)
        until(lambda: f"[{task}" in log.read_text(errors="replace") or running.poll() is not None, 900, every=0.05, what=task)
        later = time.monotonic() + CUTS[task]
        until(lambda: time.monotonic() >= later or running.poll() is not None, 60, every=0.02, what="the moment of the cut")
        there = running.poll() is None
        os.kill(box.leader, signal.SIGKILL)  # the machine first: Ansible must not find the time to say goodbye
        running.kill()
        running.wait()
    return there


def main() -> int:
    """Cut, boot, begin again; 0 when the station stands at the end and a further run changes nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="*", type=int, metavar="N", help=f"1 to {len(CUTS)}")
    said = parser.parse_args()
    if wrong := [one for one in said.places if not 1 <= one <= len(CUTS)]:
        parser.error(f"{wrong[0]}: expected places from 1 to {len(CUTS)}, for example 7 8")
    cuts = [list(CUTS)[place - 1] for place in sorted(said.places)] or list(CUTS)
    place = Path(tempfile.mkdtemp(prefix="tc", dir="/var/tmp"))
    try:
        return cut_and_again(place, cuts)
    except MissingError as missing:
        print(f"not on this machine: {missing}")
        return 0
    finally:
        shutil.rmtree(place)


def cut_and_again(place: Path, cuts: list[str]) -> int:
    """The same machine, its card in `place`: every cut, and then the run that is not cut."""
    results, began, busy = Results(), time.monotonic(), os.getloadavg()[0]
    inventory: Path | None = None

    def seen(what: str, found: str) -> None:
        results.note(what, found)
        report("cut", results, time.monotonic() - began, busy, "systemd-nspawn")

    for task in cuts:
        with machine("tram-0001", place) as box:
            inventory = inventory or inventory_for(box)
            there = run_until(box, inventory, task)
        if not there:
            print(f"never reached: {task}\n{(place / 'cut.log').read_text(errors='replace')[-3000:]}")
            return 1
        seen(f"the power went {CUTS[task]} s after the begin of: {task}", f"after {time.monotonic() - began:.0f} s")
    with machine("tram-0001", place) as box:
        assert inventory is not None
        play(box, inventory)
        seen("the same run begun again on that card", "ends without an error")
        second = play(box, inventory)
        print(changed_lines(second), flush=True)
        units_are_active(box)
        good = "changed=0" in second
        seen("after it", "every unit runs, nothing failed; a further run " + ("changed nothing" if good else "CHANGED SOMETHING"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
