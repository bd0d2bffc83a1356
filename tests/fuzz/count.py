"""What a driver makes of hostile bytes, in numbers."""

import random
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from appliance.contract.metrics import TABLE, Metric, Status
from appliance.devices.driver import Driver, Row
from appliance.devices.events import Measurement, Noise, Notice, Said, Sample
from appliance.devices.registry import ROWS
from appliance.devices.settle import Settler
from tests.fuzz.streams import clean, pieces

RUNS = ((1, 256), (9, 512), (18, 1024), (62, 2048), (512, 4096), (4096, 4096))
"""How bytes arrive: the sizes of reads that were seen in the field, byte by byte, and whole blocks; each with how many bytes of a
piece come so before another size has its turn. Every piece meets every size, and every change from one to another."""
SINGLY = 100
"""One piece in so many comes byte by byte from its first to its last (one read costs the same whether it brings one byte or hundreds:
a sixth of all pieces, as it was, took three fifths of the time and met no other cut)."""


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
            made = list(_fed(row, driver, cut(data, chance), count, begin=bool(number % 2)))
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


def bad(row: Row, count: Mapping[str, int]) -> list[str]:
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


def cut(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """The piece as reads bring it: byte by byte, or in runs of every size in an order of chance."""
    if chance.random() < 1 / SINGLY:
        yield from (data[at : at + 1] for at in range(len(data)))
        return
    at = 0
    while at < len(data):
        for size, run in chance.sample(RUNS, len(RUNS)):
            end = min(at + run, len(data))
            yield from (data[place : min(place + size, end)] for place in range(at, end, size))
            at = end


def _fed(row: Row, driver: Driver, reads: Iterable[bytes], count: Counter[str], *, begin: bool) -> Iterator[Measurement]:
    """The measurements that settle, with the books kept on the way. A driver that writes is opened and ticks as in service."""
    settler, feed, tick, pace, bound = Settler(), driver.feed, driver.tick, row.pace, row.bound
    fed = accounted = samples = valid = sends = grown = lost = 0
    if begin:
        driver.begin(0)
    try:
        for part in reads:
            fed += len(part)
            now = fed * 1_000_000_000 // pace
            said: list[Said] = feed(part, now)
            if begin:
                said += tick(now)
            for each in said:
                if isinstance(each, Noise):
                    accounted += len(each.data)
                    settler.noise(1 + len(each.data) // bound, now)
                elif isinstance(each, Sample):
                    accounted += len(each.frame)
                    samples += 1
                    valid += each.valid
                    made = settler.offer(each, now)
                    if made is not None:
                        yield made
                elif isinstance(each, Notice):
                    accounted += len(each.frame)
                else:
                    sends += 1
            pending = driver.pending
            grown += pending > bound
            lost += accounted + pending != fed
    finally:  # counted also when the driver raises
        count.update(samples=samples, valid=valid, sends=sends, grown=grown, lost=lost)
    ended = settler.end()
    if ended is not None:
        yield ended
