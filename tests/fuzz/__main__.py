"""``python -m tests.fuzz [--megabytes 100] [--seed N] [--driver NAME …]``: hostile bytes into every driver, and what became of them.

``--results FILE`` keeps a line for each driver as soon as it ends, and leaves out the drivers that FILE has from as many bytes of this
seed; ``--page FILE`` feeds nothing and writes the page of the results that are kept.

One line a driver: megabytes; samples; readings from bytes in which nothing true was sent; among damaged frames readings
that are true, that have a wrong number and say that they are not to be relied on, and that do not say it; exceptions;
seconds. Ends with 1 when a promise broke (`count.bad`), else 0.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import as_completed
from pathlib import Path

from appliance.devices.registry import ROWS
from tests.fuzz import results
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
    words.add_argument("--results", type=Path, metavar="FILE", help="append each driver's result; go on where an earlier run ended")
    words.add_argument("--page", type=Path, metavar="FILE", help="write the page of the results that are kept, and feed nothing")
    said = words.parse_args(argv)
    if said.page:
        said.page.write_text(results.page(results.kept(said.results or results.KEPT)), encoding="utf-8")
        return 0
    size = round(said.megabytes * 1e6)
    ended = results.ended(said.results, said.seed, size)
    names = [name for name in said.driver or sorted(ROWS) if name not in ended]
    print(f"seed {said.seed}\n{'':22}" + "".join(f"{each:>12}" for each in COLUMNS), flush=True)
    broken = 0
    with pool() as workers:
        waiting = {workers.submit(timed, name, said.seed, size): name for name in names}
        for done in as_completed(waiting):
            name = waiting[done]
            count, seconds = done.result()
            wrong = bad(ROWS[name], count)
            broken += bool(wrong)
            if said.results:
                results.keep(said.results, results.line(name, said.seed, count, seconds))
            figures = [f"{count['bytes'] / 1e6:.1f}", *(str(count[each]) for each in COLUMNS[1:-1]), f"{seconds:.1f}"]
            why = "" if ROWS[name].service and name not in UNCHECKED else "  (no checksum)" if name in UNCHECKED else "  (off in service)"
            print(
                f"{name:22}" + "".join(f"{each:>12}" for each in figures) + (f"  BROKEN: {', '.join(wrong)}" if wrong else why), flush=True
            )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
