"""From the serial line to the doctor's page: how long until a reading can be seen.

200 readings go into a pseudo-terminal, one at a time; a browser asks for the patient's page as its own script does
(every POLL_S) and looks for one more row. Everything between is the real programs on loopback, unmetered.
"""

import random
import re
import time
from typing import Any

from appliance.bench.counters import percentile
from appliance.bench.stand import stand
from appliance.demo.places import STATION

READINGS = 200
POLL_S = 0.5
"""The page's script asks this often while somebody looks at it (console.js, FAST)."""
_ROW = re.compile(r'data-key="')


def run(readings: int = READINGS) -> dict[str, Any]:
    """Percentiles in seconds, beside the same path without the page's own waiting."""
    chance = random.Random(1)  # noqa: S311 - when the readings come, relative to the page's asking
    with stand() as here:
        patient = here.patient()
        here.headless(patient)
        doctor = here.doctor()
        address = f"/patients/{STATION}/{patient}/observations.json"
        here.send()
        here.wait(lambda: here.recorded() >= 1, "the first reading to be recorded")
        here.wait(lambda: _seen(doctor, address) >= 1, "the first reading at the doctor's")
        seen = _seen(doctor, address)
        shown, stored = [], []
        next_poll = time.monotonic()
        for _ in range(readings):
            here.rest(chance.random() * POLL_S)
            at = here.send() / 1e9
            arrived = None
            next_poll += POLL_S * max(0, -(-int((at - next_poll) * 1000) // int(POLL_S * 1000)))
            while True:
                now = _seen(doctor, address)
                when = time.monotonic()
                if now > seen:
                    arrived = when
                    break
                if when - at > 10:
                    raise TimeoutError("a reading did not reach the doctor within 10 s")
                here.turn(0.01)
            stored.append(arrived - at)
            while next_poll < arrived:
                next_poll += POLL_S
            shown.append(next_poll - at)
            seen = now
    return {
        "bench": "latency",
        "readings": readings,
        "serial_to_page_s": _spread(shown),
        "serial_to_answerable_s": _spread(stored),
        "page_asks_every_s": POLL_S,
        "baseline": "serial_to_answerable: the same readings as soon as the console can give them out, without the page's waiting",
    }


def _seen(doctor: Any, address: str) -> int:
    found = doctor.data(address)
    return len(found["observations"])


def _spread(values: list[float]) -> dict[str, float]:
    return {name: round(percentile(values, share), 3) for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))}
