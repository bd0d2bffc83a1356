"""zstd around the pile of a parcel: magicless frames without size or checksum, with the dictionaries that ship with us.

A dictionary is named by its number and never changes; 0 is none. Unpacking is bounded in memory and time whatever the
bytes claim.
"""

from functools import cache

import zstandard

from appliance.contract.errors import WireError

PILE_BYTES = 1 << 20
"""The most a pile may be when unpacked."""
_WINDOW_LOG = 17
_LEVEL = 12
"""Higher levels cost time and gain nothing at these sizes (dataplane measurements)."""
_BITE = 16
"""Input is taken in bites: four bytes of zstd can stand for 128 KiB, so one bite adds at most half a mebibyte beyond the bound."""


def press(pile: bytes, dictionary: int) -> bytes:
    """The pile as one zstd frame; WireError ``dictionary`` when there is none of this number."""
    return _press(dictionary).compress(pile)


def unpress(frame: bytes, dictionary: int) -> bytes:
    """The pile in a frame that fills `frame` exactly; WireError when it is none or unpacks to more than `PILE_BYTES`."""
    source, parts, size = _unpress(dictionary).decompressobj(), [], 0
    try:
        for start in range(0, len(frame), _BITE):
            if source.eof:
                raise WireError("shape", "bytes after the pile")
            parts.append(source.decompress(frame[start : start + _BITE]))
            size += len(parts[-1])
            if size > PILE_BYTES:
                raise WireError("oversized", "pile")
    except zstandard.ZstdError as error:
        raise WireError("shape", f"pile: {error}") from error
    if not source.eof:
        raise WireError("truncated", "pile")
    if source.unused_data:
        raise WireError("shape", "bytes after the pile")
    return b"".join(parts)


@cache
def dictionary_bytes(number: int) -> bytes:
    """The dictionary as shipped; WireError ``dictionary`` when this version has none of this number."""
    from importlib.resources import files  # a mebibyte and 20 ms that a box without texts to send never needs

    try:
        return (files("appliance.contract") / "dictionaries" / f"{number}.zdict").read_bytes()
    except FileNotFoundError:
        raise WireError("dictionary", str(number)) from None


def _dictionary(number: int) -> zstandard.ZstdCompressionDict | None:
    return zstandard.ZstdCompressionDict(dictionary_bytes(number)) if number else None


@cache
def _press(number: int) -> zstandard.ZstdCompressor:
    # Tables for 4 KiB of input and the dictionary: the context stays below 200 KiB.
    settings = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        source_size=4096,
        dict_size=len(dictionary_bytes(number)) if number else 0,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )
    return zstandard.ZstdCompressor(dict_data=_dictionary(number), compression_params=settings)


@cache
def _unpress(number: int) -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(
        dict_data=_dictionary(number), max_window_size=1 << _WINDOW_LOG, format=zstandard.FORMAT_ZSTD1_MAGICLESS
    )
