"""The ballast: room set aside on the disk, given up when the disk is full.

On a full disk a WAL database can neither INSERT nor DELETE nor checkpoint (measured, docs/decisions/0002); with the
ballast gone it can do all three again. `tram init` sets it aside anew when there is room.
"""

import os
from pathlib import Path

MB = 1_000_000


def make_ballast(path: Path, megabytes: int) -> bool:
    """Set `megabytes` aside in a file of real blocks; False when it is there already or less than as much again would stay free."""
    size = megabytes * MB
    have = path.stat().st_size if path.exists() else 0
    if size == have:
        return False
    if size < have:
        os.truncate(path, size)
        return True
    room = os.statvfs(path.parent)
    if room.f_bavail * room.f_frsize < 2 * size - have:
        return False
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        os.fchmod(handle, 0o660)
        os.posix_fallocate(handle, 0, size)
        os.fsync(handle)
    finally:
        os.close(handle)
    return True


def release_ballast(path: Path) -> int:
    """Give the room back; how many bytes that frees (0 when it was given up before). To be called on StoreError ``full``."""
    try:
        size = path.stat().st_size
        os.truncate(path, 0)
    except FileNotFoundError:
        return 0
    return size
