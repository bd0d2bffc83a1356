"""Numbers as bytes: the varint of headers (seven bits a byte, the lowest first, the top bit says *more*)."""

from appliance.contract.errors import WireError


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
