"""Numbers as bits: the varint of headers, and an entropy coder that spends on each number what its surprise is worth.

The coder (rANS: asymmetric numeral systems, J. Duda, arXiv 1311.2540) keeps one integer `state`. Coding an outcome that
owns `freq` of ``1 << shift`` slots multiplies the state by ``(1 << shift) / freq``; so an outcome costs
``log2((1 << shift) / freq)`` bits, fractions of a bit included, and a constant column costs nearly nothing. Decoding
runs the other way, hence `Packer` collects its steps and codes them last first. Everything is integer arithmetic: the
same bytes on every machine, for ever.

What surprises is learnt while going along, by both sides alike: a `Coin` for yes or no, a `Column` for a series of
numbers. A `Column` codes the distance to an expected value; its distances are taken to follow Student's t with seven
degrees of freedom (a bell with honest tails) as wide as the distances seen so far, in half-octave steps.
"""

from bisect import bisect_right
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

from appliance.contract.errors import WireError

# --- varint: seven bits a byte, the lowest first, the top bit says *more* -----------------------------------------


def varint(value: int) -> bytes:
    """A number from 0 up to 63 bits.

    >>> varint(300).hex()
    'ac02'
    """
    if not 0 <= value < 1 << 63:
        raise ValueError(f"no varint of {value}")
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and the place behind it; WireError ``truncated``, or ``range`` above 63 bits or with needless bytes."""
    value = shift = 0
    while True:
        if at >= len(data):
            raise WireError("truncated", "varint")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift > 56:
            raise WireError("range", "varint")
    if shift and not byte:
        raise WireError("range", "varint with needless bytes")
    return value, at


# --- what is expected ----------------------------------------------------------------------------------------------


class Coin:
    """How often *yes* and *no* were said so far, with a head start each; neither is ever without a slot.

    `share` is the slots of *yes* among 65536.
    """

    __slots__ = ("no", "share", "yes")

    def __init__(self, yes: int, no: int) -> None:
        self.yes = yes
        self.no = no
        self.share = (yes << 16) // (yes + no)

    def learn(self, value: bool) -> None:
        """Count one more; old counts fade."""
        if value:
            self.yes += 2
        else:
            self.no += 2
        whole = self.yes + self.no
        if whole > 250:
            self.yes = self.yes + 1 >> 1
            self.no = self.no + 1 >> 1
            whole = self.yes + self.no
        self.share = (self.yes << 16) // whole


class Column:
    """A series of numbers: where they lie and how far they scatter around what is expected of them.

    `centre` and `spread` (mean distance, in 64ths) are what is thought before the first number and count as much as
    `weight` numbers. A `sided` column expects distances that are hardly ever negative. `bell` is the one for the next
    distance, `plain` how many low bits of it go unexpected because the distances are so long; both stay while the mean distance is
    at least `least` and below `most`.
    """

    __slots__ = ("bell", "bells", "count", "least", "most", "plain", "scatter", "seen", "steps", "total")

    def __init__(self, centre: int, spread: int, *, weight: int = 4, sided: bool = False) -> None:
        self.total = centre * weight
        self.count = weight
        self.bells, self.steps = bells(sided)
        self.scatter = spread * weight
        self.seen = weight
        self.fit()

    def centre(self) -> int:
        """The mean of the numbers so far, rounded."""
        return (self.total + (self.count >> 1)) // self.count

    def place(self, value: int) -> None:
        """Count `value` towards the centre."""
        self.total += value
        self.count += 1
        if self.count > 64:
            self.total >>= 1
            self.count >>= 1

    def learn(self, distance: int) -> None:
        """Count `distance` towards the spread."""
        self.scatter += (distance if distance >= 0 else -distance) << 6
        self.seen += 1
        if self.seen > 48:
            self.scatter >>= 1
            self.seen >>= 1
        if not self.least <= self.scatter // self.seen < self.most:
            self.fit()

    def fit(self) -> None:
        """Choose the bell for the mean distance so far."""
        mean, steps = self.scatter // self.seen, self.steps
        beyond = steps[-1] + 1
        plain = (mean // beyond).bit_length()
        place = bisect_right(steps, mean >> plain)
        self.bell, self.plain = self.bells[place], plain
        self.most = (steps[place] if place < len(steps) else beyond) << plain
        self.least = (steps[place - 1] if place else 0) << plain
        if plain:
            self.least = max(self.least, beyond << plain - 1)


class Bell(NamedTuple):
    """One width of the bell: where the slots of the distances ``low …`` begin, and how many each has; the last are *further out*."""

    low: int
    limits: tuple[int, ...]
    slots: tuple[int, ...]


_WIDTHS = 17
"""The widths have t-scales 2**(j/2) / 8 for j = 0 … 16: from *always the same* to about ±16."""
_SHIFT = 14
_SLOTS = 1 << _SHIFT
_FAR = 2
"""Slots for *further out*."""


def _weights(width: int) -> list[int]:
    """Student's t, seven degrees of freedom, at distance 0, 1, 2 …, until it falls below a thousandth of a slot or so."""
    base = 7 << width  # 7 s², in 64ths
    weights: list[int] = []
    distance = 0
    while True:
        weight = (base << 24) ** 4 // (base + 64 * distance * distance) ** 4 >> 56  # 2**40 at distance 0
        if weight < 1 << 26 and distance:
            return weights
        weights.append(weight)
        distance += 1


@cache
def bells(sided: bool) -> tuple[tuple[Bell, ...], tuple[int, ...]]:
    """Every width of the bell, and the mean distances (in 64ths) at which the next width fits better."""
    made, means = [], []
    for width in range(_WIDTHS):
        right = _weights(width)
        low = 0 if sided else 1 - len(right)
        weights = right if sided else right[:0:-1] + right
        room, whole = _SLOTS - _FAR - len(weights), sum(weights)
        slots = [1 + weight * room // whole for weight in weights]
        slots[-low] += _SLOTS - _FAR - sum(slots)
        made.append(Bell(low, tuple(accumulate(slots, initial=0)), (*slots, _FAR)))
        means.append(64 * sum(abs(low + place) * weight for place, weight in enumerate(weights)) // whole)
    return tuple(made), tuple((a + b) // 2 for a, b in pairwise(means))


# --- the coder -----------------------------------------------------------------------------------------------------

_WORD = 64
_MASK = (1 << _WORD) - 1
FULL = 1 << _WORD
"""The state stays in ``FULL … FULL << 64`` once words were put aside; each ``1 << shift`` divides it, so both sides agree when."""
FAR_BITS = 6
"""A distance beyond the bell says its sign and its length in this many bits: up to 63."""


class Packer:
    """Collects outcomes in the order they will be read in; `bytes` codes them."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps: list[tuple[int, int, int]] = []

    def coin(self, coin: Coin, value: bool) -> None:
        """Yes or no."""
        share = coin.share
        self.steps.append((0, share, 16) if value else (share, 65536 - share, 16))
        coin.learn(value)

    def plain(self, value: int, bits: int) -> None:
        """A number of `bits` ≤ 63 bits, all equally likely."""
        self.steps.append((value, 1, bits))

    def size(self, value: int) -> None:
        """A number ≥ 0 below 2**63, small ones cheaper: its length in six bits, then the number."""
        bits = value.bit_length()
        self.steps.append((bits, 1, FAR_BITS))
        if bits > 1:
            self.steps.append((value - (1 << bits - 1), 1, bits - 1))

    def small(self, value: int) -> None:
        """A number ≥ 1 that is hardly ever above 15: in four bits then, otherwise as `size` behind them."""
        self.plain(min(value, 16) - 1, 4)
        if value > 15:
            self.size(value)

    def signed(self, value: int) -> None:
        """A number of either sign."""
        self.size(value << 1 if value >= 0 else (-value << 1) - 1)

    def number(self, column: Column, distance: int) -> None:
        """How far a number lies from what was expected (± 2**60)."""
        low, limits, slots = column.bell
        plain = column.plain
        place = (distance >> plain) - low
        if 0 <= place < len(slots) - 1:
            self.steps.append((limits[place], slots[place], _SHIFT))
            if plain:
                self.steps.append((distance & (1 << plain) - 1, 1, plain))
        else:
            self.steps.append((limits[-1], _FAR, _SHIFT))
            self.signed(distance)
        column.learn(distance)

    def bytes(self, count: int) -> bytes:
        """The first `count` outcomes, coded: the state, highest byte first, then the words put aside."""
        state, words = 0, []
        for start, freq, shift in self.steps[count - 1 :: -1] if count else ():
            if state >> 128 - shift >= freq:
                words.append(state & _MASK)
                state >>= _WORD
            if freq == 1:
                state = state << shift | start
            else:
                quotient, rest = divmod(state, freq)
                state = (quotient << shift) + start + rest
        head = state.to_bytes((state.bit_length() + 7) // 8)
        return head + b"".join([word.to_bytes(8) for word in reversed(words)])


class Unpacker:
    """Gives the outcomes back, in order. Whatever the bytes are, some outcomes come; `close` tells whether they were meant."""

    __slots__ = ("state", "words")

    def __init__(self, data: bytes) -> None:
        words = max(0, (len(data) - 9) // 8)
        head = len(data) - 8 * words
        if data and not data[0]:
            raise WireError("shape", "needless bytes in the body")
        self.state = int.from_bytes(data[:head])
        self.words = [int.from_bytes(data[at : at + 8]) for at in range(len(data) - 8, head - 1, -8)]

    def coin(self, coin: Coin) -> bool:
        """Yes or no."""
        share, state = coin.share, self.state
        slot = state & 65535
        if value := slot < share:
            state = share * (state >> 16) + slot
        else:
            state = (65536 - share) * (state >> 16) + slot - share
        if state < FULL and self.words:
            state = state << _WORD | self.words.pop()
        self.state = state
        if value:  # `coin.learn(value)` without the call: six outcomes an event, and most of them are these
            coin.yes += 2
        else:
            coin.no += 2
        whole = coin.yes + coin.no
        if whole > 250:
            coin.yes = coin.yes + 1 >> 1
            coin.no = coin.no + 1 >> 1
            whole = coin.yes + coin.no
        coin.share = (coin.yes << 16) // whole
        return value

    def plain(self, bits: int) -> int:
        """A number of `bits` bits."""
        state = self.state
        value = state & (1 << bits) - 1
        state >>= bits
        if state < FULL and self.words:
            state = state << _WORD | self.words.pop()
        self.state = state
        return value

    def size(self) -> int:
        """What `Packer.size` wrote."""
        bits = self.plain(FAR_BITS)
        return self.plain(bits - 1) + (1 << bits - 1) if bits > 1 else bits

    def small(self) -> int:
        """What `Packer.small` wrote."""
        value = self.plain(4) + 1
        return value if value < 16 else self.size()

    def signed(self) -> int:
        """What `Packer.signed` wrote."""
        value = self.size()
        return -(value + 1 >> 1) if value & 1 else value >> 1

    def number(self, column: Column) -> int:
        """The distance from what was expected."""
        low, limits, slots = column.bell
        state = self.state
        slot = state & _SLOTS - 1
        place = bisect_right(limits, slot) - 1
        state = slots[place] * (state >> _SHIFT) + slot - limits[place]
        if state < FULL and self.words:
            state = state << _WORD | self.words.pop()
        self.state = state
        if place == len(slots) - 1:
            distance = self.signed()
        else:
            distance = place + low
            if column.plain:
                distance = distance << column.plain | self.plain(column.plain)
        column.scatter += (distance if distance >= 0 else -distance) << 6  # `column.learn(distance)` without the call
        column.seen += 1
        if column.seen > 48:
            column.scatter >>= 1
            column.seen >>= 1
        if not column.least <= column.scatter // column.seen < column.most:
            column.fit()
        return distance

    def close(self) -> None:
        """WireError when the bytes held something else than what was read."""
        if self.state or self.words:
            raise WireError("shape", "the body does not end where its last event ends")
