"""``python -m tests.saboteurs NAME -- tram carry …`` (or ``tram-bridge carry …``): the real command with one bug planted in it."""

import sys
from collections.abc import Sequence

from tests.saboteurs.bugs import BUGS, SLOW


def main(argv: Sequence[str]) -> int:
    """Plant the bug, run the command; its exit code, or 2 for what is no such command."""
    if len(argv) < 3 or argv[0] not in BUGS or argv[1] != "--" or argv[2] not in ("tram", "tram-bridge"):
        print(f"{__doc__}\nNAME is one of {', '.join(BUGS)}", file=sys.stderr)
        return 2
    SLOW[0] = 0.3
    BUGS[argv[0]]()
    if argv[2] == "tram":
        from appliance.cli import main as run
    else:
        from cloud_bridge.cli import main as run
    return run(list(argv[3:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
