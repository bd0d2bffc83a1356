"""A USB camera through the kernel's Video4Linux2: one frame of its MJPEG stream, by ioctl alone. Used by `camera.py` only.

Numbers and layouts are those of the kernel's include/uapi/linux/videodev2.h on 64-bit machines (the box is one). The shapes are
pure and tested; what a real camera does with them is tested where there is one.
"""

import fcntl
import mmap
import os
import select
import struct
import time
from pathlib import Path

CAPTURE, STREAMING, OF_THIS_NODE = 0x1, 0x0400_0000, 0x8000_0000
"""Capabilities: takes pictures; streams; the second word speaks of this very node."""
MJPEG = int.from_bytes(b"MJPG", "little")
SIDE = 1920, 1080
"""Pixels asked for; the camera answers with what it has."""
BUFFERS = 3
SETTLE = 12
"""Frames that pass before the one that is kept: exposure and white balance find themselves."""
WAIT_S = 10.0
"""A camera that shows no whole frame within this time is broken, or its cable is."""

_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_FORMAT = struct.Struct("=II8I168x")  # type, padding, width, height, pixel format, field, bytes a line, size, colour space, private
_REQUEST = struct.Struct("=IIIIB3x")
_BUFFER = struct.Struct("=IIIIII16x16xIIQIIII")
_TYPE = struct.Struct("=i")


def number(letters: str, code: int, size: int) -> int:
    """The number of an ioctl of this family; `letters` say which way the data goes: ``r`` from the kernel, ``w`` to it.

    >>> hex(number("r", 0, 104)), hex(number("rw", 5, 208)), hex(number("w", 18, 4))
    ('0x80685600', '0xc0d05605', '0x40045612')
    """
    return ("w" in letters) << 30 | ("r" in letters) << 31 | size << 16 | ord("V") << 8 | code


QUERYCAP = number("r", 0, _CAPABILITY.size)
S_FMT = number("rw", 5, _FORMAT.size)
REQBUFS = number("rw", 8, _REQUEST.size)
QUERYBUF = number("rw", 9, _BUFFER.size)
QBUF = number("rw", 15, _BUFFER.size)
DQBUF = number("rw", 17, _BUFFER.size)
STREAMON = number("w", 18, _TYPE.size)
STREAMOFF = number("w", 19, _TYPE.size)


class NotThisOneError(OSError):
    """The node belongs to no camera that gives MJPEG."""


def nodes(folder: Path = Path("/dev")) -> list[Path]:
    """The video nodes of this machine, in the order of their numbers."""
    found = [one for one in folder.glob("video*") if one.name[5:].isdigit()]
    return sorted(found, key=lambda one: int(one.name[5:]))


def able(answer: bytes) -> bool:
    """Whether what QUERYCAP answered belongs to a node that streams pictures."""
    *_, whole, own = _CAPABILITY.unpack(answer)
    says = own if whole & OF_THIS_NODE else whole
    return bool(says & CAPTURE and says & STREAMING)


def wanted(width: int, height: int) -> bytes:
    """The format that is asked for: MJPEG of this size, frame by frame."""
    return _FORMAT.pack(1, 0, width, height, MJPEG, 1, 0, 0, 0, 0)


def granted(answer: bytes) -> tuple[int, int] | None:
    """The size that the camera will give, or None when it will not be MJPEG."""
    _type, _pad, width, height, form, *_ = _FORMAT.unpack(answer)
    return (width, height) if form == MJPEG else None


def whole(frame: bytes) -> bytes | None:
    """The JPEG in a frame without what some cameras leave behind it; None when its beginning or its end is missing."""
    end = frame.rfind(b"\xff\xd9")
    return frame[: end + 2] if frame.startswith(b"\xff\xd8\xff") and end > 0 else None


def grab(node: Path) -> bytes:
    """One photo as JPEG bytes; NotThisOneError when the node is no such camera, OSError when it cannot be used now."""
    if struct.calcsize("P") != 8:
        raise NotThisOneError("a 64-bit system is needed for USB cameras")
    handle = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not able(_ask(handle, QUERYCAP, bytes(_CAPABILITY.size))):
            raise NotThisOneError(f"{node}: no node of a camera")
        if granted(_ask(handle, S_FMT, wanted(*SIDE))) is None:
            raise NotThisOneError(f"{node}: gives no MJPEG")
        return _stream(handle, node)
    finally:
        os.close(handle)


def _ask(handle: int, code: int, data: bytes) -> bytes:
    return bytes(fcntl.ioctl(handle, code, data))


def _buffer(index: int) -> bytes:
    """A question about one buffer in the kernel's memory."""
    return _BUFFER.pack(index, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0)


def _stream(handle: int, node: Path) -> bytes:
    count = _REQUEST.unpack(_ask(handle, REQBUFS, _REQUEST.pack(BUFFERS, 1, 1, 0, 0)))[0]
    maps: list[mmap.mmap] = []
    try:
        for index in range(count):
            *_, offset, length, _reserved, _request, _pad = _BUFFER.unpack(_ask(handle, QUERYBUF, _buffer(index)))
            maps.append(mmap.mmap(handle, length, offset=offset & 0xFFFF_FFFF))
            _ask(handle, QBUF, _buffer(index))
        _ask(handle, STREAMON, _TYPE.pack(1))
        try:
            return _kept(handle, maps, node)
        finally:
            _ask(handle, STREAMOFF, _TYPE.pack(1))
    finally:
        for each in maps:
            each.close()


def _kept(handle: int, maps: list[mmap.mmap], node: Path) -> bytes:
    """The first whole frame after the camera has settled."""
    seen, until = 0, time.monotonic() + WAIT_S
    while (left := until - time.monotonic()) > 0:
        if not select.select([handle], [], [], left)[0]:
            break
        index, _type, used, *_ = _BUFFER.unpack(_ask(handle, DQBUF, _buffer(0)))
        frame = whole(maps[index][:used])
        seen += 1
        if frame is not None and seen > SETTLE:
            return frame
        _ask(handle, QBUF, _buffer(index))
    raise OSError(f"{node}: no whole picture within {WAIT_S:g} s ({seen} frames)")
