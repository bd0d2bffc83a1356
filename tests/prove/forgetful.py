"""A filesystem that forgets: ``python -m tests.prove.forgetful BACKING MOUNT KEPT DIES`` mounts BACKING at MOUNT through FUSE.

Everything works as on any disk until the operation number DIES that writes something (0: never): from then on everything
fails with EIO, as a card that was pulled. What the disk had really promised by then (contents at their last fsync, names at
the last fsync of their folder) is written into the folder KEPT when the mount ends or the card dies. One folder deep is enough
for a station; folders themselves stay when made.
"""

# ruff: noqa: ARG002 - the kernel's questions come with all their arguments
import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import mfusepy


class Forgetful(mfusepy.Operations):  # type: ignore[misc]  # the package has no types for it
    """Passes everything on to a folder, and remembers what was made to stay."""

    use_ns = True

    def __init__(self, backing: Path, kept: Path, dies: int) -> None:
        self.backing, self.kept, self.left = backing, kept, dies or 1 << 60
        self.dead = False
        self.numbers: dict[str, int] = {}
        self.next = 0
        self.content: dict[int, bytes] = {}
        self.mode: dict[int, int] = {}
        self.names: dict[str, int] = {}
        for path in backing.rglob("*"):
            if path.is_file():
                name = "/" + str(path.relative_to(backing))
                self.names[name] = self._number(name)
                self._keep(name)

    def _at(self, path: str) -> str:
        if self.dead:
            raise mfusepy.FuseOSError(errno.EIO)
        return str(self.backing) + path

    def _step(self) -> None:
        """Something is written; the card may die before it."""
        if self.dead:
            raise mfusepy.FuseOSError(errno.EIO)
        self.left -= 1
        if self.left <= 0:
            self.dead = True
            self.remember()
            raise mfusepy.FuseOSError(errno.EIO)

    def _number(self, name: str) -> int:
        if name not in self.numbers:
            self.next += 1
            self.numbers[name] = self.next
        return self.numbers[name]

    def _keep(self, name: str) -> None:
        number, at = self._number(name), str(self.backing) + name
        self.content[number] = Path(at).read_bytes()
        self.mode[number] = Path(at).stat().st_mode & 0o7777

    def remember(self) -> None:
        """Write down what stayed."""
        for folder in [path for path in self.backing.rglob("*") if path.is_dir()]:
            there = self.kept / folder.relative_to(self.backing)
            there.mkdir(parents=True, exist_ok=True)
            there.chmod(folder.stat().st_mode & 0o7777)
        for name, number in self.names.items():
            file = self.kept / name[1:]
            file.write_bytes(self.content.get(number, b""))
            file.chmod(self.mode.get(number, 0o600))

    # --- what the kernel asks -------------------------------------------------------------------------------------------

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """stat."""
        try:
            said = os.lstat(self._at(path))
        except OSError as error:
            raise mfusepy.FuseOSError(error.errno) from error
        names = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
        return {name: getattr(said, name) for name in names} | {
            f"st_{when}time": getattr(said, f"st_{when}time_ns") for when in ("a", "m", "c")
        }  # fmt: skip

    def access(self, path: str, amode: int) -> int:
        """Everybody may: the folder's own rights rule."""
        self._at(path)
        return 0

    def readdir(self, path: str, fh: int) -> list[str]:
        """Names."""
        return [".", "..", *os.listdir(self._at(path))]

    def statfs(self, path: str) -> dict[str, int]:
        """Room."""
        said = os.statvfs(self._at(path))
        return {name: getattr(said, name) for name in ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_files", "f_frsize", "f_namemax")}

    def open(self, path: str, flags: int) -> int:
        """A descriptor."""
        return os.open(self._at(path), flags & ~os.O_EXCL & ~os.O_CREAT)

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        """A new file: its name does not stay yet."""
        self._step()
        handle = os.open(self._at(path), os.O_RDWR | os.O_CREAT, mode)
        self.numbers.pop(path, None)
        self._number(path)
        return handle

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Bytes."""
        self._at(path)
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Bytes, which do not stay yet."""
        self._step()
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Shorter or longer."""
        self._step()
        os.truncate(self._at(path), length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        """Now the content stays."""
        self._step()
        if path in self.numbers:
            self._keep(path)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        """Now the names stay, and the going of names."""
        self._step()
        front = path.rstrip("/") + "/"
        for name in [name for name in self.names if name.rpartition("/")[0] + "/" == front]:
            del self.names[name]
        for entry in os.scandir(self._at(path)):
            if entry.is_file(follow_symlinks=False):
                self.names[front + entry.name] = self._number(front + entry.name)
        return 0

    def rename(self, old: str, new: str) -> int:
        """Another name, which does not stay yet."""
        self._step()
        os.rename(self._at(old), self._at(new))
        self.numbers[new] = self.numbers.pop(old, 0) or self._number(new)
        return 0

    def unlink(self, path: str) -> int:
        """A name goes, perhaps only for now."""
        self._step()
        os.unlink(self._at(path))
        self.numbers.pop(path, None)
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        """A folder."""
        self._step()
        os.mkdir(self._at(path), mode)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        """Rights."""
        os.chmod(self._at(path), mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        """Owner."""
        os.chown(self._at(path), uid, gid)
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        """Times are nobody's promise."""
        self._at(path)
        return 0

    def flush(self, path: str, fh: int) -> int:
        """Closing is no promise either."""
        return 0

    def release(self, path: str, fh: int) -> int:
        """Closed."""
        os.close(fh)
        return 0

    def destroy(self, path: str) -> None:
        """Unmounted: what stayed is written down, unless the card died before."""
        if not self.dead:
            self.remember()


def main(backing: str, mount: str, kept: str, dies: str) -> None:
    """Mount until unmounted."""
    mfusepy.FUSE(Forgetful(Path(backing), Path(kept), int(dies)), mount, foreground=True, nothreads=True, allow_other=False)
    shutil.rmtree(backing, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
