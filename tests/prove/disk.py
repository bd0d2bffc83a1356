"""What SQLite tells the disk, recorded; and the disk as it may be when the power goes at any moment of that.

The recorder stands inside the driver: it takes the place of ``xOpen`` and ``xDelete`` of SQLite's own unix VFS and of the
write, truncate and sync of every file it opens, and of the system call that opens a directory to sync it. So it sees
every byte that leaves SQLite and the order in which it is told to be kept, without a kernel's help.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import sqlcipher3._sqlite3 as driver

SECTOR = 512
_OK, _CANTOPEN, _OPEN_CREATE = 0, 14, 0x4
_P = ctypes.c_void_p
_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, _P, _P, _P, ctypes.c_int, ctypes.POINTER(ctypes.c_int))
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, _P, ctypes.c_char_p, ctypes.c_int)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _P, _P, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _P, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _P, ctypes.c_int)
_FOLDER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int))
_SET_CALL = ctypes.CFUNCTYPE(ctypes.c_int, _P, ctypes.c_char_p, _P)
_GET_CALL = ctypes.CFUNCTYPE(_P, _P, ctypes.c_char_p)


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs``, version 3 (sqlite.org/c3ref/vfs.html)."""

    _fields_ = (
        [(name, ctypes.c_int) for name in ("version", "size", "longest")]
        + [("next", _P), ("name", ctypes.c_char_p), ("data", _P)]
        + [(name, _P) for name in ("open", "delete")]
        + [(f"other{number}", _P) for number in range(11)]
        + [("set_call", _P), ("get_call", _P), ("next_call", _P)]
    )  # fmt: skip


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods``, version 3 (sqlite.org/c3ref/io_methods.html)."""

    _fields_ = [("version", ctypes.c_int)] + [(name, _P) for name in ("close", "read", "write", "truncate", "sync")] + [
        (f"other{number}", _P) for number in range(13)
    ]  # fmt: skip


class Op(NamedTuple):
    """One thing said to the disk: ``create``, ``write``, ``truncate``, ``sync``, ``delete``, ``folder`` (its entries are to be kept),
    or ``promise``, which is said to a person.
    """

    what: str
    file: str = ""
    place: int = 0
    data: bytes = b""


def _vfs() -> Any:
    library = ctypes.CDLL(driver.__file__)
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
    return library.sqlite3_vfs_find(None)


@contextmanager
def recorded(ops: list[Op], *, folder_syncs: bool = True) -> Iterator[None]:
    """Write down what SQLite says to the disk in this process. `folder_syncs` False: new files are not made to stay (a saboteur)."""
    vfs = _vfs()
    honest_open, honest_delete = _OPEN(vfs.contents.open), _DELETE(vfs.contents.delete)
    before = vfs.contents.open, vfs.contents.delete
    get, put = _GET_CALL(vfs.contents.get_call), _SET_CALL(vfs.contents.set_call)
    call = get(ctypes.addressof(vfs.contents), b"openDirectory")
    honest_folder = _FOLDER(call)
    names: dict[int, str] = {}
    alive: list[Any] = []

    def opened(own: int, name: int | None, file: int, flags: int, out: Any) -> int:
        """`name` is SQLite's own pointer: the file keeps it and later makes the names of the files beside it from it."""
        path = Path(ctypes.string_at(name).decode()) if name else None
        new = bool(flags & _OPEN_CREATE) and path is not None and not path.exists()
        code = honest_open(own, name, file, flags, out)
        if code == _OK and path is not None:
            names[file] = path.name
            if new:
                ops.append(Op("create", names[file]))
            slot = ctypes.cast(file, ctypes.POINTER(_P))
            copy = _Methods.from_buffer_copy(ctypes.cast(slot[0], ctypes.POINTER(_Methods)).contents)
            _watch(copy, names, ops, alive)
            slot[0] = ctypes.addressof(copy)
            alive.append(copy)
        return code

    def deleted(own: int, name: bytes, sync: int) -> int:
        ops.append(Op("delete", Path(name.decode()).name))
        return honest_delete(own, name, sync)

    def folder(name: bytes, out: Any) -> int:
        if not folder_syncs:
            return _CANTOPEN
        ops.append(Op("folder"))
        return honest_folder(name, out)

    hooks = _OPEN(opened), _DELETE(deleted), _FOLDER(folder)
    vfs.contents.open, vfs.contents.delete = (ctypes.cast(hook, _P).value for hook in hooks[:2])
    put(ctypes.addressof(vfs.contents), b"openDirectory", ctypes.cast(hooks[2], _P))
    try:
        yield
    finally:
        vfs.contents.open, vfs.contents.delete = before
        put(ctypes.addressof(vfs.contents), b"openDirectory", call)


def _watch(methods: Any, names: dict[int, str], ops: list[Op], alive: list[Any]) -> None:
    """Put ourselves before the writing methods of one file."""
    write, truncate, sync = _WRITE(methods.write), _TRUNCATE(methods.truncate), _SYNC(methods.sync)

    def written(file: int, data: int, size: int, place: int) -> int:
        ops.append(Op("write", names[file], place, ctypes.string_at(data, size)))
        return write(file, data, size, place)

    def truncated(file: int, size: int) -> int:
        ops.append(Op("truncate", names[file], size))
        return truncate(file, size)

    def synced(file: int, flags: int) -> int:
        ops.append(Op("sync", names[file]))
        return sync(file, flags)

    hooks: list[Callable[..., int]] = [_WRITE(written), _TRUNCATE(truncated), _SYNC(synced)]
    methods.write, methods.truncate, methods.sync = (ctypes.cast(hook, _P).value for hook in hooks)
    alive += hooks


@dataclass
class _File:
    """`kept` is what survives; `later` what was said and not yet made to stay; `entry` whether its name survives."""

    kept: bytearray = field(default_factory=bytearray)
    later: list[Op] = field(default_factory=list)
    entry: bool = True
    gone: bool = False


class Disk:
    """A disk that keeps what it was told to keep. `files`: what is on it to begin with."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = {name: _File(bytearray(data)) for name, data in files.items()}

    def do(self, op: Op) -> None:
        """One thing is said to it."""
        if op.what == "folder":
            for name, file in list(self.files.items()):
                file.entry = True
                if file.gone:
                    del self.files[name]
        elif op.what == "create":
            self.files[op.file] = _File(entry=False)
        elif op.what == "delete":
            if op.file in self.files:
                self.files[op.file].gone = True
        elif op.what == "sync":
            file = self.files[op.file]
            for one in file.later:
                _apply(file.kept, one)
            file.later = []
        elif op.what in ("write", "truncate"):
            self.files[op.file].later.append(op)

    def cut(self, mode: str, dice: Random) -> dict[str, bytes]:
        """What is there after the power came back. ``lost``: nothing that was not made to stay; ``prefix``: some of it, in
        order; ``torn``: any sectors of it, and names that were not made to stay by chance.
        """
        unsure = sum(len(file.later) for file in self.files.values())
        left = dice.randint(0, unsure) if mode == "prefix" else 0
        found = {}
        for name, file in self.files.items():
            by_chance = mode != "lost" and dice.random() < 0.5
            if (file.gone and by_chance) or not (file.entry or by_chance):
                continue
            data = bytearray(file.kept)
            for op in file.later:
                if mode == "torn":
                    _tear(data, op, dice)
                elif left > 0:
                    _apply(data, op)
                    left -= 1
            found[name] = bytes(data)
        return found


def _apply(data: bytearray, op: Op) -> None:
    if op.what == "truncate":
        del data[op.place :]
        data.extend(bytes(op.place - len(data)))
        return
    if len(data) < op.place:
        data.extend(bytes(op.place - len(data)))
    data[op.place : op.place + len(op.data)] = op.data


def _tear(data: bytearray, op: Op, dice: Random) -> None:
    """Some sectors of a write arrive, others do not; a truncation happens or not."""
    if op.what == "truncate":
        if dice.random() < 0.5:
            _apply(data, op)
        return
    start = op.place
    while start < op.place + len(op.data):
        end = min((start // SECTOR + 1) * SECTOR, op.place + len(op.data))
        if dice.random() < 0.5:
            _apply(data, Op("write", op.file, start, op.data[start - op.place : end - op.place]))
        start = end


def write_down(files: dict[str, bytes], folder: Path, names: Sequence[str]) -> None:
    """Put the files into `folder`; those of `names` that are not among them are not there."""
    for name in names:
        if name in files:
            (folder / name).write_bytes(files[name])
        else:
            (folder / name).unlink(missing_ok=True)
