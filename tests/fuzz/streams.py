"""Hostile bytes by the megabyte: line noise, noise of a format's own letters, frames of which every one is damaged, frames cut up.

Everything follows from a seed. What a driver makes of it is counted by `tests/fuzz/count.py`.
"""

import random
from collections.abc import Callable, Iterator
from functools import cache

from appliance.bench.drivers import recording
from appliance.devices.events import Noise, Notice, Sample
from appliance.devices.registry import ROWS

PIECE = 65_536
"""Bytes of one piece: one recording of its own, with a driver and a settler of its own."""


@cache
def clean(name: str) -> tuple[bytes, ...]:
    """The frames of half a minute of the simulated device."""
    listening = ROWS[name].listen()
    pieces = [*listening.feed(recording(name), 0), *listening.flush()]
    frames = tuple(each.frame for each in pieces if isinstance(each, Sample | Notice) and each.frame)
    return frames or tuple(each.data for each in pieces if isinstance(each, Noise))


def noise(_name: str, chance: random.Random) -> bytes:
    """Every byte by chance, as an open line gives them."""
    return chance.randbytes(PIECE)


def letters(name: str, chance: random.Random) -> bytes:
    """Bytes of the format's own kind, in no order: the hardest noise for a format without a checksum."""
    return bytes(chance.choices(b"".join(clean(name)), k=PIECE))


def _below(chance: random.Random, end: int) -> int:
    """0 … `end` - 1; three times as quick as `randrange`, whose even spread to the last bit nothing here needs."""
    return int(chance.random() * end)


def heads(name: str, chance: random.Random) -> bytes:
    """The beginnings of true frames, each with noise behind it."""
    frames, out = clean(name), bytearray()
    while len(out) < PIECE:
        frame = frames[_below(chance, len(frames))]
        out += frame[: 1 + _below(chance, max(1, len(frame) // 2))] + chance.randbytes(1 + _below(chance, len(frame) + 4))
    return bytes(out)


def damaged(name: str, chance: random.Random) -> bytes:
    """True frames in their order, each with one byte that came wrong, twice, or not at all."""
    frames, out, at = clean(name), bytearray(), 0
    while len(out) < PIECE:
        out += _hurt(frames[at % len(frames)], chance)
        at += 1
    return bytes(out)


def _hurt(frame: bytes, chance: random.Random) -> bytes:
    at, how = _below(chance, len(frame)), _below(chance, 4)
    if how == 0:
        return frame[:at] + bytes([frame[at] ^ 1 << _below(chance, 8)]) + frame[at + 1 :]
    if how == 1:
        return frame[:at] + bytes([(frame[at] + 1 + _below(chance, 255)) % 256]) + frame[at + 1 :]
    if how == 2:
        return frame[:at] + frame[at + 1 :]
    return frame[: at + 1] + frame[at:]


def shuffled(name: str, chance: random.Random) -> bytes:
    """Halves of true frames in any order."""
    frames, out = clean(name), bytearray()
    while len(out) < PIECE:
        frame = frames[_below(chance, len(frames))]
        at = 1 + _below(chance, len(frame))
        out += frame[:at] if chance.random() < 0.5 else frame[at:]
    return bytes(out)


KINDS: dict[str, Callable[[str, random.Random], bytes]] = {
    "noise": noise,
    "letters": letters,
    "heads": heads,
    "damaged": damaged,
    "shuffled": shuffled,
}
"""Every kind by its name."""


def pieces(name: str, seed: int, size: int) -> Iterator[tuple[str, bytes]]:
    """About `size` bytes in pieces of every kind in turn, each with the name of its kind."""
    chance = random.Random(f"{name}:{seed}")
    for number in range(max(len(KINDS), size // PIECE)):
        kind = list(KINDS)[number % len(KINDS)]
        yield kind, KINDS[kind](name, chance)[: max(1024, min(PIECE, size // len(KINDS)))]
