"""``python -m tests.fuzz [--megabytes 100] [--seed N] [--driver NAME …]``: hostile bytes into every driver, and what became of them.

One line a driver: megabytes; samples; readings from bytes in which nothing true was sent; among damaged frames readings
that are true, that have a wrong number and say that they are not to be relied on, and that do not say it; exceptions;
seconds. Ends with 1 when a promise broke (`count.bad`), else 0.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import as_completed

from appliance.devices.registry import ROWS
from tests.fuzz.count import UNCHECKED, bad, timed
from tests.prove.pool import pool

SEED = 20261122
COLUMNS = ("MB", "samples", "readings", "true", "flagged", "invented", "exceptions", "CPU s")


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz; 0 when every promise held."""
    words = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--megabytes", type=float, default=100, help="bytes for each driver, in millions (default: 100)")
    words.add_argument("--seed", type=int, default=SEED)
    words.add_argument("--driver", action="append", default=[], choices=sorted(ROWS), metavar="NAME", help="only this one; may be repeated")
    said = words.parse_args(argv)
    names, size = said.driver or sorted(ROWS), round(said.megabytes * 1e6)
    print(f"seed {said.seed}\n{'':22}" + "".join(f"{each:>12}" for each in COLUMNS), flush=True)
    broken = 0
    with pool() as workers:
        waiting = {workers.submit(timed, name, said.seed, size): name for name in names}
        for done in as_completed(waiting):
            name = waiting[done]
            count, seconds = done.result()
            wrong = bad(ROWS[name], count)
            broken += bool(wrong)
            figures = [f"{count['bytes'] / 1e6:.1f}", *(str(count[each]) for each in COLUMNS[1:-1]), f"{seconds:.1f}"]
            why = "" if ROWS[name].service and name not in UNCHECKED else "  (no checksum)" if name in UNCHECKED else "  (off in service)"
            print(
                f"{name:22}" + "".join(f"{each:>12}" for each in figures) + (f"  BROKEN: {', '.join(wrong)}" if wrong else why), flush=True
            )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
