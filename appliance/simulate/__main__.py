"""``python -m appliance.simulate train ID``: train a parcel dictionary into the contract's folder. For developers."""

import sys
from pathlib import Path

from appliance import contract
from appliance.simulate import train

USAGE = "usage: python -m appliance.simulate train ID"


def main(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 there is a dictionary of this number, 2 wrong use."""
    if len(arguments) != 2 or arguments[0] != "train" or not arguments[1].isdecimal() or int(arguments[1]) < 1:
        print(USAGE, file=sys.stderr)
        return 2
    folder = Path(contract.__file__).parent / "dictionaries"
    try:
        path = train.write_dictionary(int(arguments[1]), folder)
    except FileExistsError as error:
        print(f"{error.filename} is there already; dictionaries never change: take the next number", file=sys.stderr)
        return 1
    print(f"{path}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
