"""P14: line noise and damaged frames never become a reading; no driver raises, grows or loses a byte."""

from collections import Counter

from appliance.devices.registry import ROWS
from tests.fuzz.count import UNCHECKED, fuzz
from tests.fuzz.planted import planted

PLANTED_BYTES = 400_000


def run(seed: int, megabytes: int) -> dict[str, int]:
    """`megabytes` of hostile bytes, shared among all drivers; and four drivers with a planted bug."""
    whole, served = Counter[str](), Counter[str]()
    for name, row in sorted(ROWS.items()):
        found = fuzz(row, seed, megabytes * 1_000_000 // len(ROWS))
        whole += found
        served["readings"] += found["readings"] if row.service else 0
        served["invented"] += found["invented"] if row.service and name not in UNCHECKED else 0
    said = {
        "drivers": len(ROWS),
        "bytes": whole["bytes"],
        "samples": whole["samples"],
        "true readings among damaged frames": whole["true"],
        "numbers invented by formats without a check or off in service": whole["invented"] - served["invented"],
        "exceptions_escaped": whole["exceptions"],
        "bytes_lost": whole["lost"],
        "buffers_outside_their_bound": whole["grown"],
        "readings_accepted_from_noise": whole["readings_noise"] + served["readings"],
        "numbers_wrong_in_service": served["invented"],
    }
    for bug, (row, sign) in planted().items():
        said[f"saboteur {bug}"] = int(bool(fuzz(row, seed, PLANTED_BYTES, loud=False)[sign]))
    return said
