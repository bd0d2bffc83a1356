"""Canonical CBOR out, strict CBOR in: what this project says on a wire or keeps in its outbox.

Only definite lengths, integers, byte and text strings, lists, maps with distinct keys, booleans and null are meant.
Tags are refused: behind them stand dates, patterns, cycles and shared parts, none of which a stranger's bytes may build.
"""

from io import BytesIO
from typing import Any, NoReturn

import cbor2

from appliance.contract.errors import WireError

DEPTH = 12
"""Containers in containers. Our deepest event (a consult's readings' numerics) has six; the rest is room for later versions."""


def dump(value: Any) -> bytes:
    """The canonical bytes of a value made of plain CBOR types."""
    return cbor2.dumps(value, canonical=True)


def dump_given(value: Any) -> bytes:
    """As `dump`, five times faster, for what `wiring.give` made: its maps are in the order of their numbers already."""
    return cbor2.dumps(value)


def load(data: bytes) -> Any:
    """The one value that `data` is; WireError ``truncated`` or ``shape`` when it is not exactly one."""
    source = BytesIO(data)
    value = _next(source)
    if source.tell() != len(data):
        raise WireError("shape", f"{len(data) - source.tell()} bytes after the CBOR item")
    return value


class Items:
    """The values that stand one behind the other in `data`, decoded one at a time when asked for."""

    __slots__ = ("_data", "_source")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._source = BytesIO(data)

    def next(self) -> tuple[Any, bytes]:
        """The next value and its own bytes; WireError ``truncated`` when there is no more, otherwise as `load`."""
        start = self._source.tell()
        value = _next(self._source)
        return value, self._data[start : self._source.tell()]

    def left(self) -> int:
        """The bytes nobody asked for yet."""
        return len(self._data) - self._source.tell()


def _next(source: BytesIO) -> Any:
    try:
        return cbor2.CBORDecoder(
            source, semantic_decoders=_NO_TAGS, tag_hook=_refuse, max_depth=DEPTH, allow_indefinite=False, allow_duplicate_keys=False
        ).decode()
    except cbor2.CBORDecodeEOF as error:
        raise WireError("truncated", "CBOR") from error
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise WireError("shape", f"CBOR: {error}") from error


def _refuse(*_: object) -> NoReturn:
    raise ValueError("tags are not part of this contract")


# Every tag the library gives a meaning to; `tag_hook` sees only the others.
_NO_TAGS = dict.fromkeys((0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse)
