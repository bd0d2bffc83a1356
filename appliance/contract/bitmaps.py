"""Which parts of a content are somewhere, as bytes: bit 0 of the first byte is part 0."""

from collections.abc import Iterable


def write_bits(parts: Iterable[int], count: int) -> bytes:
    """The bitmap of some of `count` parts; it has ⌈count / 8⌉ bytes.

    >>> write_bits([0, 9], 10).hex()
    '0102'
    """
    bits = 0
    for part in parts:
        if not 0 <= part < count:
            raise ValueError(f"part {part} of {count}")
        bits |= 1 << part
    return bits.to_bytes(-(-count // 8), "little")


def read_bits(bitmap: bytes, count: int) -> set[int]:
    """The parts that are set; bits from `count` on mean nothing, a shorter bitmap ends in zeros.

    >>> sorted(read_bits(bytes.fromhex("0102"), 10))
    [0, 9]
    """
    bits = int.from_bytes(bitmap[: -(-count // 8)], "little")
    return {part for part in range(count) if bits >> part & 1}
