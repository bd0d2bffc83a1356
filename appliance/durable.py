"""What must survive a power cut: a file whole or not at all, and a name that stays where it was put.

A rename is on the disk only when its folder is: without that the next power cut brings the old name back (fsync(2)).
"""

import os
from collections.abc import Callable
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def sync(path: Path) -> None:
    """Bring a file's content, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def replace(file: Path, content: bytes, mode: int) -> None:
    """`file` holds `content` when this returns, also after a power cut; before that it holds what it held.

    `mode` is the new file's, less the umask. A link in the place of the draft is not followed.
    """
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, _NEW, mode)
    try:
        with memoryview(content) as left:
            done = 0
            while done < len(left):
                done += os.write(handle, left[done:])
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.rename(file)
    sync(file.parent)


def write_through(file: Path, content: bytes) -> None:
    """Write over what `file` holds from its first byte on, or make it, and bring that to the disk."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)


def shred(file: Path, random: Callable[[int], bytes]) -> bool:
    """Write over a file, put that on the card, remove it, put that on the card; False where there is none."""
    if file.is_symlink() or not file.is_file():
        return False
    write_through(file, random(file.stat().st_size))
    file.unlink()
    sync(file.parent)
    return True
