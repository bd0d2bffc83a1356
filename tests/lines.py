"""Hostile byte lines: every case of a driver is fed whole, byte by byte, cut anywhere, with trailing bytes, with noise around.

`feed` also checks what must hold for every driver on any bytes: the frames and the noise it says, joined in their order, and
what is pending, *are* the bytes fed; and it never holds more than it says it may.
"""

from collections.abc import Iterable, Iterator

from appliance.devices.driver import Driver, Row
from appliance.devices.events import Noise, Notice, Said, Sample

GARBAGE = bytes.fromhex("00FF7F13116E1A")
"""A few bytes that begin no frame of any driver and end none."""


def bytes_of(said: Iterable[Said]) -> bytes:
    """Every byte that `said` accounts for, in its order."""
    parts: list[bytes] = []
    for each in said:
        if isinstance(each, Noise):
            parts.append(each.data)
        elif isinstance(each, (Sample, Notice)):
            parts.append(each.frame)
    return b"".join(parts)


def feed(driver: Driver, chunks: Iterable[bytes], *, bound: int, flush: bool = True) -> list[Said]:
    """Feed chunk by chunk, checking the books after each; what was said, and at the end what `flush` says."""
    said: list[Said] = []
    fed = b""
    for at, chunk in enumerate(chunks):
        said += driver.feed(chunk, at)
        fed += chunk
        assert driver.pending <= bound, f"{driver.pending} bytes held, more than {bound}"
        accounted = bytes_of(said)
        assert accounted == fed[: len(accounted)], "bytes were changed, or came out of their order"
        assert len(accounted) + driver.pending == len(fed), "bytes have disappeared"
    if flush:
        said += driver.flush()
        accounted = bytes_of(said)
        assert accounted == fed[: len(accounted)]
        assert len(accounted) + driver.pending == len(fed)
    return said


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """The same bytes as they may arrive: whole, byte by byte, in the usual sizes of reads, cut at every place."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for size in (9, 18, 62):
        yield [data[at : at + size] for at in range(0, len(data), size)]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def samples(said: Iterable[Said]) -> list[Sample]:
    """The samples among it."""
    return [each for each in said if isinstance(each, Sample)]


def every_way(row: Row, data: bytes) -> list[Sample]:
    """The samples in `data`, the same whichever way the bytes arrive (AssertionError when not)."""
    found: list[Sample] | None = None
    for chunks in cuts(data):
        said = samples(feed(row.listen(), chunks, bound=row.bound))
        assert found is None or said == found, f"another result when cut into {[len(each) for each in chunks][:5]}…"
        found = said
    assert found is not None
    return found


def one_frame(row: Row, frame: bytes, tail: bytes = b"") -> Sample:
    """The one sample in `frame`, however it arrives and whatever half frame follows it."""
    (alone,) = every_way(row, frame)
    if tail:
        (followed,) = every_way(row, frame + tail)
        assert followed == alone
    return alone
