"""A card whose power is cut: what of the last writes and names reached it is anybody's guess, so every guess is looked at.

The calls a program makes on one folder are heard as they pass through `os`: what was written and synced, which names were made, changed or
removed and not synced yet. After a cut each file may hold what it held before or now, and each name that was not synced may be old or new.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, product
from pathlib import Path
from typing import Any, Self

import pytest


class PowerCut(BaseException):
    """The power went here."""


@dataclass
class File:
    """One file's content: on the card for certain, and as the program sees it."""

    synced: bytes
    now: bytes


@dataclass
class Card:
    """Hears what happens in `folder` and cuts the power at the call number `at`; a write is cut in its middle."""

    folder: Path
    patch: pytest.MonkeyPatch
    at: int = 10**9
    calls: int = 0
    names: dict[str, File] = field(default_factory=dict)
    late: list[list[tuple[str, File | None]]] = field(default_factory=list)
    seen: dict[int, File] = field(default_factory=dict)

    def __enter__(self) -> Self:
        for one in self.folder.iterdir():
            content = one.read_bytes()
            self.names[one.name] = self.seen[one.stat().st_ino] = File(content, content)
        self._open, self._write, self._fsync, self._rename, self._unlink = os.open, os.write, os.fsync, os.rename, os.unlink
        for name in ("open", "write", "fsync", "rename", "unlink"):
            self.patch.setattr(os, name, getattr(self, name))
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("open", "write", "fsync", "rename", "unlink"):
            self.patch.setattr(os, name, getattr(self, f"_{name}"))

    def open(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        """A file that is made has a name that is not on the card yet."""
        new = bool(flags & os.O_CREAT) and self._ours(path) and not os.path.lexists(path)
        handle = self._open(path, flags, mode, **more)
        if new:
            file = self.seen[os.fstat(handle).st_ino] = File(b"", b"")
            self.late.append([(Path(path).name, file)])
        return handle

    def write(self, handle: int, content: Any) -> int:
        """Half of it where the power goes."""
        file = self.seen.get(os.fstat(handle).st_ino)
        if file is not None and self._cut():
            file.now = bytes(content)[: len(content) // 2] + file.now[len(content) // 2 :]
            raise PowerCut
        done = self._write(handle, content)
        if file is not None:
            file.now = bytes(content)[:done] + file.now[done:]
        return done

    def fsync(self, handle: int) -> None:
        """A file's content is on the card now, or the folder's names."""
        where, file = os.readlink(f"/proc/self/fd/{handle}"), self.seen.get(os.fstat(handle).st_ino)
        if (file is not None or where == str(self.folder)) and self._cut():
            raise PowerCut
        if file is not None:
            file.synced = file.now
        elif where == str(self.folder):
            for name, other in chain(*self.late):
                self._set(self.names, name, other)
            self.late.clear()

    def rename(self, old: Any, new: Any) -> None:
        """Both names change, or neither (rename(2))."""
        if self._ours(old):
            if self._cut():
                raise PowerCut
            self.late.append([(Path(new).name, self.seen[os.stat(old).st_ino]), (Path(old).name, None)])
        self._rename(old, new)

    def unlink(self, path: Any, **more: Any) -> None:
        """A name goes."""
        if self._ours(path) and os.path.lexists(path):
            if self._cut():
                raise PowerCut
            self.late.append([(Path(path).name, None)])
        self._unlink(path, **more)

    def worlds(self) -> Iterator[None]:
        """The folder as it may be after the cut, one way after the other."""
        with_late = [*product((False, True), repeat=len(self.late))] if len(self.late) < 6 else [(True,) * len(self.late)]
        for chosen in with_late:
            names = dict(self.names)
            for name, file in chain(*(one for one, landed in zip(self.late, chosen, strict=True) if landed)):
                self._set(names, name, file)
            for held in product((False, True), repeat=len(names)):
                for one in self.folder.iterdir():
                    one.unlink()
                for (name, there), new in zip(names.items(), held, strict=True):
                    (self.folder / name).write_bytes(there.now if new else there.synced)
                    (self.folder / name).chmod(0o600)
                yield

    def _ours(self, path: Any) -> bool:
        return isinstance(path, str | Path) and Path(path).parent == self.folder

    def _cut(self) -> bool:
        self.calls += 1
        return self.calls == self.at

    @staticmethod
    def _set(names: dict[str, File], name: str, file: File | None) -> None:
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file


def every_cut(folder: Path, patch: pytest.MonkeyPatch, before: Callable[[], None], work: Callable[[], object]) -> Iterator[int]:
    """Do `before` and then `work` with the power cut at its first call, its second and so on, until it comes through; the number of the cut
    is given once for each way the folder may look afterwards.
    """
    for at in range(1, 1000):
        before()
        card = Card(folder, patch, at)
        try:
            with card:
                work()
        except PowerCut:
            for _ in card.worlds():
                yield at
        else:
            return
    raise AssertionError("it never comes through")
