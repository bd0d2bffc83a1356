"""A collector as a process of its own, as the command line builds it: ``python -m tests.agent.run_collect SETTINGS DEVICE [SESSION]``.

At its end it says on stdout which modules were loaded. Stops on SIGTERM in good order.
"""

import json
import sys
import time
from pathlib import Path

from appliance import journal
from appliance.agent.clock import Clock, boot_id
from appliance.agent.collect import Collector, Job, check, run, stop_on_signals
from appliance.settings import load
from appliance.store.boots import seq_of
from appliance.store.opening import open_store


def main(settings_file: str, device: str, session: str = "") -> int:
    """Collect until SIGTERM."""
    settings = load([Path(settings_file)])
    row = settings.devices[device]
    job = Job(device, row.driver, row.port, row.name, row.patient_types, row.simulated, int(session) if session else None)
    conn = open_store(settings, {})
    collector = Collector(
        job,
        which=check(job, settings.environment),
        conn=conn,
        clock=Clock(seq_of(conn, boot_id(), time.time_ns() // 100_000_000)),
        run=settings.paths.run,
        log=journal.open("collect"),
    )
    code = run(collector, stopping=stop_on_signals())
    print(json.dumps(sorted(sys.modules)))
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
