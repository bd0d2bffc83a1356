"""The door to a stick's files: post bags are found, checked, read and written here, for either end.

A stick may be pulled out at any instant, be full, be write-protected, lie about its size, or hold whatever somebody put on it.
So: no link is followed, names are ours or are not looked at, a bag is checked whole before a byte of it is used and each
part again when it is used, and what was written is read back from the medium before anybody is told that it is there.
"""

import errno
import hashlib
import mmap
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.contract.bag import (
    MOST_BYTES,
    RECORD_BYTES,
    START_BYTES,
    TAIL_BYTES,
    BagHeader,
    BagName,
    BagRefused,
    Record,
    check_label,
    check_tail,
    header_bytes,
    parse_name,
    read_head,
    read_record,
    record_bytes,
    write_head,
    write_record,
    write_tail,
)

FOLDER = "tram-bag"
"""Where bags lie on a stick: its owner's other files are not looked at."""
MOST_FILES = 20_000
"""Names looked at in that folder."""
SHEAF_BYTES, SHEAF_MESSAGES = 128 << 10, 64
"""How much of a bag is used at a time: one transaction of the store."""
_PIECE = 256 << 10
_PART = ".part"

SENTENCES: dict[str, str] = {
    "none": "there is no stick in the box",
    "full": "the stick is full: remove old files from it, or take another one",
    "read-only": "the stick cannot be written to: it is write-protected or damaged; take another one",
    "gone": "the stick was taken out, or does not answer; nothing is lost: put it in again and repeat",
    "unsure": "the stick did not give back what was written to it: do not use this stick",
    "folder": f"there is something else on the stick under the name {FOLDER}: take another stick",
}
"""What an error of a stick means, in English."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_NOT_OURS = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.EISDIR})


class StickError(OSError):
    """The stick cannot do it. `reason` is a key of `SENTENCES`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(SENTENCES[reason])
        self.reason = reason
        self.detail = detail


def told(error: OSError) -> StickError:
    """The plain reason behind an error of the system."""
    if isinstance(error, StickError):
        return error
    code = error.errno
    reason = "full" if code in _FULL else "read-only" if code in _READ_ONLY else "folder" if code in _NOT_OURS else "gone"
    return StickError(reason, str(error))


class Sheaf(NamedTuple):
    """A part of a checked bag: where it stands, how long it is, its SHA-256, how many messages it has."""

    start: int
    size: int
    digest: bytes
    messages: int


class Found(NamedTuple):
    """A file of the folder whose name is one of ours."""

    file: str
    name: BagName


@dataclass
class OpenBag:
    """A bag whose every byte was checked. Closed by whoever opened it."""

    source: BinaryIO
    header: BagHeader
    digest: bytes
    size: int
    sheaves: list[Sheaf]

    def read(self) -> Iterator[list[Record]]:
        """The messages, sheaf by sheaf; BagRefused ``changed`` when the stick gives other bytes than those that were checked."""
        for one in self.sheaves:
            try:
                self.source.seek(one.start)
                data = self.source.read(one.size)
            except OSError as error:
                raise told(error) from error
            if hashlib.sha256(data).digest() != one.digest:
                raise BagRefused("changed")
            yield list(_records(data))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.source.close()


def _records(data: bytes) -> Iterator[Record]:
    at = 0
    while at < len(data):
        size = record_bytes(data[at : at + RECORD_BYTES])
        yield read_record(data[at : at + size])
        at += size


Keys = Mapping[int, Ed25519PublicKey]


def check(source: BinaryIO, keys: Keys | Callable[[BagHeader], Keys], station: str, way: str) -> OpenBag:
    """Read a file from its beginning to its end; BagRefused unless it is a whole bag for us by one of `keys`.

    `station` may be empty: any, and `keys` a question by its label. An error of the system comes out as it is.
    """
    size = os.fstat(source.fileno()).st_size
    if size > MOST_BYTES:
        raise BagRefused("large", f"{size} bytes")
    start = source.read(START_BYTES)
    head = start + source.read(header_bytes(start) - len(start))
    header = read_head(head)
    check_label(header, station, way)
    known = keys(header) if callable(keys) else keys
    whole = hashlib.sha256(head)
    sheaves: list[Sheaf] = []
    at, left = len(head), header.messages
    while left:
        part, began, messages = bytearray(), at, 0
        while left and messages < SHEAF_MESSAGES and len(part) < SHEAF_BYTES:
            record = source.read(RECORD_BYTES)
            if len(record) < RECORD_BYTES:
                raise BagRefused("torn")
            record += source.read(record_bytes(record) - RECORD_BYTES)
            if len(record) < record_bytes(record[:RECORD_BYTES]):
                raise BagRefused("torn")
            read_record(record)
            part += record
            left, messages = left - 1, messages + 1
        whole.update(part)
        sheaves.append(Sheaf(began, len(part), hashlib.sha256(part).digest(), messages))
        at += len(part)
    tail = source.read(TAIL_BYTES + 1)
    if len(tail) > TAIL_BYTES:
        raise BagRefused("damaged", "more than its label says")
    check_tail(tail, whole.digest(), header, known)
    return OpenBag(source, header, whole.digest(), size, sheaves)


class Stick:
    """A stick that is in the box. `root` is where it is mounted. Everything happens inside the folder that was opened first:
    a stick that is pulled out and replaced meanwhile is another one, and gives errors.
    """

    def __init__(self, root: Path, *, mounted: bool = True) -> None:
        """StickError ``none`` when there is none; `mounted`: a folder that nothing is mounted on is no stick."""
        self._root = _folder(str(root))
        try:
            if mounted and os.fstat(self._root).st_dev == os.stat("..", dir_fd=self._root).st_dev:
                raise StickError("none")
        except OSError:
            os.close(self._root)
            raise
        self._bags = -1

    def bags(self) -> list[Found]:
        """The files whose names are ours, in order."""
        try:
            if self._bags < 0:
                self._bags = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root)
            found = []
            with os.scandir(self._bags) as entries:
                for place, entry in enumerate(entries):
                    if place >= MOST_FILES:
                        break
                    name = parse_name(entry.name)
                    if name is not None and entry.is_file(follow_symlinks=False):
                        found.append(Found(entry.name, name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise told(error) from error
        return sorted(found, key=lambda one: one.name)

    def stamp(self, file: str) -> tuple[int, int]:
        """(size, time of change) of a file: another pair, another content."""
        try:
            about = os.stat(file, dir_fd=self._bags, follow_symlinks=False)
        except OSError as error:
            raise told(error) from error
        return about.st_size, about.st_mtime_ns

    def open(self, file: str, keys: Keys | Callable[[BagHeader], Keys], station: str, way: str) -> OpenBag:
        """A checked bag; BagRefused or StickError."""
        try:
            return opened(os.open(file, _READ, dir_fd=self._bags), keys, station, way)
        except OSError as error:
            raise told(error) from error

    def write(self, file: str, header: BagHeader, records: Iterable[Record], key: Ed25519PrivateKey) -> tuple[bytes, int]:
        """Write a bag beside, then under its name, read it back from the medium; its digest and its size.

        StickError when that did not come about: then no file of this name is there that was not there before.
        """
        part = file + _PART
        try:
            self._make_folder()
            digest, size = self._write(part, header, records, key)
            os.rename(part, file, src_dir_fd=self._bags, dst_dir_fd=self._bags)
            os.fsync(self._bags)
            os.fsync(self._root)
            back = self._read_back(file, size)
        except OSError as error:
            self._drop(part)
            if error.errno is None:
                raise  # the store's, whose messages we were writing
            raise told(error) from error
        if back != digest:
            self._drop(file)
            raise StickError("unsure")
        return digest, size

    def put(self, file: str, content: bytes) -> None:
        """Write a file that is no bag beside, then under its name, and read it back from the medium. StickError as `write`."""
        part = file + _PART
        try:
            self._make_folder()
            self._drop(part)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=self._bags)
            with os.fdopen(handle, "wb") as target:
                target.write(content)
                target.flush()
                os.fsync(target.fileno())
            os.rename(part, file, src_dir_fd=self._bags, dst_dir_fd=self._bags)
            os.fsync(self._bags)
            back = self._read_back(file, len(content) + TAIL_BYTES)
        except OSError as error:
            self._drop(part)
            raise told(error) from error
        if back != hashlib.sha256(content).digest():
            self._drop(file)
            raise StickError("unsure")

    def remove(self, file: str) -> None:
        """An older bag of ours goes; whether it did is of no consequence."""
        self._drop(file)

    def close(self) -> None:
        """Let go of the stick."""
        for one in (self._bags, self._root):
            if one >= 0:
                os.close(one)
        self._bags = self._root = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _make_folder(self) -> None:
        if self._bags < 0:
            try:
                os.mkdir(FOLDER, 0o755, dir_fd=self._root)
            except FileExistsError:
                pass
            self._bags = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root)

    def _write(self, part: str, header: BagHeader, records: Iterable[Record], key: Ed25519PrivateKey) -> tuple[bytes, int]:
        self._drop(part)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=self._bags)
        found, size = hashlib.sha256(), 0
        with os.fdopen(handle, "wb", buffering=_PIECE) as target:
            for piece in _pieces(header, records):
                target.write(piece)
                found.update(piece)
                size += len(piece)
            if size > MOST_BYTES:
                raise OSError(errno.EFBIG, "the bag is too large")
            target.write(write_tail(found.digest(), key))
            target.flush()
            os.fsync(target.fileno())
        return found.digest(), size + TAIL_BYTES

    def _read_back(self, file: str, size: int) -> bytes:
        """The SHA-256 of what the medium holds before the tail, past every cache where the system can do that."""
        try:
            return self._digest(file, size - TAIL_BYTES, os.O_DIRECT)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
            return self._digest(file, size - TAIL_BYTES, 0)  # tmpfs: there is nothing but the cache

    def _digest(self, file: str, left: int, direct: int) -> bytes:
        handle = os.open(file, _READ | direct, dir_fd=self._bags)
        found = hashlib.sha256()
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            with mmap.mmap(-1, _PIECE) as room:  # whole pages: what reading past the cache asks for
                while left > 0:
                    count = os.readv(handle, [room])
                    if count == 0:
                        return b""
                    found.update(room[: min(count, left)])
                    left -= count
        finally:
            os.close(handle)
        return found.digest()

    def _drop(self, file: str) -> None:
        try:
            os.unlink(file, dir_fd=self._bags)
        except OSError:
            return


_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _folder(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StickError("none", str(error)) from error


def opened(handle: int, keys: Keys | Callable[[BagHeader], Keys], station: str, way: str) -> OpenBag:
    """The checked bag behind a file descriptor, which is closed when it is none."""
    source = os.fdopen(handle, "rb", buffering=_PIECE)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise BagRefused("foreign", "no ordinary file")
        return check(source, keys, station, way)
    except BaseException:
        source.close()
        raise


def _pieces(header: BagHeader, records: Iterable[Record]) -> Iterator[bytes]:
    yield write_head(header)
    for one in records:
        yield write_record(one)


def named(path: Path, keys: Keys | Callable[[BagHeader], Keys], way: str, station: str = "") -> OpenBag:
    """The checked bag in a file that somebody named, wherever it lies. BagRefused or an error of the system."""
    return opened(os.open(path, _READ), keys, station, way)
