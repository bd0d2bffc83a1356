"""What a driver makes of hostile bytes, in numbers."""

import random
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from functools import cache

from appliance.contract.metrics import TABLE, Metric, Status
from appliance.devices.driver import Driver, Row
from appliance.devices.events import Measurement, Noise, Notice, Said, Sample, Send
from appliance.devices.registry import ROWS
from appliance.devices.settle import Settler
from tests.fuzz.streams import clean, pieces

CHUNKS = (1, 9, 18, 62, 512, 4096)
"""How bytes arrive: the sizes of reads that were seen in the field, byte by byte, and whole blocks."""


def fuzz(row: Row, seed: int, size: int, *, loud: bool = True) -> Counter[str]:
    """Feed about `size` hostile bytes, and count.

    `bytes` fed, `samples` and `valid` ones said, `sends` asked for; `exceptions`; `lost` and `grown`: turns after which bytes were
    missing, or more were held than may be; `readings` that settled where nothing true was sent; `true` readings, whose
    frames came through among damaged ones; `flagged` and `invented`: readings there with
    a number that no true frame holds, marked as not to be relied on, and not. `loud`: print
    what is raised.
    """
    count: Counter[str] = Counter()
    name = row.name
    chance = random.Random(f"{seed}:{name}")
    for number, (kind, data) in enumerate(pieces(name, seed, size)):
        driver = row.make(None) if number % 2 else row.listen()
        count["bytes"] += len(data)
        try:
            made = list(_fed(row, driver, data, chance.choice(CHUNKS), count, begin=bool(number % 2)))
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            if loud:
                traceback.print_exc()
            count["exceptions"] += 1
            continue
        if kind in FALSE:
            count["readings"] += len(made)
            count[f"readings_{kind}"] += len(made)
        else:
            known = numbers(name)
            wrong = [each for each in made if not _true(each, known)]
            flagged = sum(_flagged(each) for each in wrong)
            count["true"] += len(made) - len(wrong)
            count["flagged"] += flagged
            count["invented"] += len(wrong) - flagged
    return count


FALSE = ("noise", "heads", "letters")
"""Kinds of pieces without a whole true frame in them, but by chance."""


@cache
def numbers(name: str) -> dict[Metric, tuple[int, int]]:
    """The lowest and the highest number of each metric that the true frames hold."""
    found: dict[Metric, list[int]] = {}
    for said in (ROWS[name].listen(), ROWS[name].make(None)):
        for each in [*said.feed(b"".join(clean(name)), 0), *said.flush()]:
            for one in each.numerics if isinstance(each, Sample) and each.valid else ():
                if one.value is not None:
                    found.setdefault(one.metric, []).append(one.value)
    return {metric: (min(values), max(values)) for metric, values in found.items()}


def _flagged(made: Measurement) -> bool:
    """Whether it says of itself that it is short, or not to be relied on."""
    return any(one.status & (Status.QUESTIONABLE | Status.EARLY_INDICATION) for one in made.numerics)


def _true(made: Measurement, known: dict[Metric, tuple[int, int]]) -> bool:
    """Every number lies among those that were sent; numbers about the window itself are not compared."""
    for one in made.numerics:
        low, high = known.get(one.metric, (0, -1))
        if TABLE[one.metric].of is None and one.value is not None and not low <= one.value <= high:
            return False
    return True


def timed(name: str, seed: int, size: int) -> tuple[Counter[str], float]:
    """The counts of a driver of this version, and the CPU seconds it took."""
    began = time.process_time()
    return fuzz(ROWS[name], seed, size), time.process_time() - began


CERTAIN = ("exceptions", "lost", "grown", "readings_noise")
"""What must be 0 of every driver."""
UNCHECKED = {
    "ieee11073": "20601 has no checksum: it asks for a transport that delivers whole and in order, as USB and Bluetooth do",
    "ivy-450c": "its text has no checksum: a digit that came wrong is a digit",
    "masimo-ascii1": "a line of text a second without a checksum: a digit that came wrong is a digit",
    "nellcor-n560": "a line of text every two seconds without a checksum: a digit that came wrong is a digit",
}
"""Drivers in service that cannot know a damaged number from a true one, with the reason; noise gives them no reading either."""


def bad(row: Row, count: Counter[str]) -> list[str]:
    """What breaks a promise: of every driver what is certain, of one in service any reading without true frames, and invented numbers.

    A format whose check has eight bits, or none, lets one damaged frame in some hundreds through; such drivers are refused in
    production until they have been proved (`Row.service`), or are commanded and want two answers alike.
    """
    found = [f"{name} {count[name]}" for name in CERTAIN if count[name]]
    if row.service and count["readings"]:
        found.append(f"readings {count['readings']}")
    if row.service and row.name not in UNCHECKED and count["invented"]:
        found.append(f"invented {count['invented']}")
    return found


def _fed(row: Row, driver: Driver, data: bytes, chunk: int, count: Counter[str], *, begin: bool) -> Iterator[Measurement]:
    """The measurements that settle, with the books kept on the way. A driver that writes is opened and ticks as in service."""
    settler, fed, accounted, now = Settler(), 0, 0, 0
    if begin:
        driver.begin(0)
    for at in range(0, len(data), chunk):
        part = data[at : at + chunk]
        now = (at + len(part)) * 1_000_000_000 // row.pace
        said: list[Said] = driver.feed(part, now) + (driver.tick(now) if begin else [])
        fed += len(part)
        for each in said:
            accounted += _bytes(each)
            count["samples"] += isinstance(each, Sample)
            count["valid"] += isinstance(each, Sample) and each.valid
            count["sends"] += isinstance(each, Send)
            if isinstance(each, Noise):
                settler.noise(1 + len(each.data) // row.bound, now)
            made = settler.offer(each, now) if isinstance(each, Sample) else None
            if made is not None:
                yield made
        count["grown"] += driver.pending > row.bound
        count["lost"] += accounted + driver.pending != fed
    ended = settler.end()
    if ended is not None:
        yield ended


def _bytes(each: Said) -> int:
    if isinstance(each, Noise):
        return len(each.data)
    return len(each.frame) if isinstance(each, Sample | Notice) else 0
