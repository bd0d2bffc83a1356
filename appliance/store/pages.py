"""The encrypted file page by page, without SQLite: what `salvage` reads when SQLite itself cannot.

A page of SQLCipher 4 (https://www.zetetic.net/sqlcipher/design/) is AES-256-CBC with a 16-byte vector and an HMAC-SHA512 over
ciphertext, vector and page number in its last 80 bytes, so each page says by itself whether a bit of it has changed. The
first 16 bytes of the file are the salt of the HMAC's key. The log's frames hold pages of the same shape
(https://www.sqlite.org/fileformat2.html#the_write_ahead_log), and b-trees are read as the same text describes them.
"""

import hashlib
import hmac
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SALT_BYTES = 16
_RESERVE = 80
_MASK, _ROUNDS = 0x3A, 2
"""SQLCipher 4's: the HMAC key is two rounds of PBKDF2 over the key with the salt XOR 0x3a."""
_HEADER, _FRAME = 32, 24
_MAGIC = (0x377F0682, 0x377F0683)
LEAF, INTERIOR, KEYS_LEAF, KEYS_INTERIOR = 13, 5, 10, 2
"""Kinds of b-tree pages: of tables by row number, and of tables without one (and indexes)."""
_DEEPEST = 20
_ROUNDS_BACK = 1 << 20
"""More rounds than a log ever has between two frames that lie in one file."""


class Frame(NamedTuple):
    """One page of the log: `start` is where it lies, `size` the pages of the file after a commit (0: no commit)."""

    number: int
    size: int
    start: int
    chained: bool
    sound: bool


@dataclass
class Log:
    """What the log holds. `cut`: SQLite would stop reading before this frame (None: it reads all of them)."""

    frames: list[Frame] = field(default_factory=list)
    cut: int | None = None
    header: bool = True
    odd: bool = False
    """What lies behind the last frame is neither empty nor of an earlier round: a frame whose head was lost, or a torn one."""

    @property
    def damage(self) -> list[str]:
        """What is wrong beyond a last transaction that was being written when the power went."""
        found = [] if self.header or not self.frames else ["the head of the log is damaged"]
        if self.cut is None:
            return found
        rest = self.frames[self.cut :]
        end = next((place for place, one in enumerate(rest) if one.size and one.sound), None)
        if end is not None and (end + 1 < len(rest) or all(one.sound for one in rest)):
            found.append(f"the log is damaged at frame {self.cut + 1} of {len(self.frames)}")
        return found

    @property
    def torn(self) -> bool:
        """The end of the log cannot be used: a write that was cut off, or damage that looks like one."""
        return (self.odd or self.cut is not None) and not self.damage


class Book:
    """The pages of a store: the file's, with the log's committed ones over them. Closed by leaving ``with``."""

    def __init__(self, database: Path, log: Path, key: bytes, page_size: int, salt: bytes | None = None) -> None:
        self._size, self._key = page_size, key
        self._file = database.open("rb")
        self._log_file = log.open("rb") if log.exists() else None
        self.salt = self._file.read(SALT_BYTES) if salt is None else salt
        self._mac = hashlib.pbkdf2_hmac("sha512", key, bytes(one ^ _MASK for one in self.salt), _ROUNDS, 32)
        self.count = -(-database.stat().st_size // page_size)
        self.usable = page_size - _RESERVE
        self.log = self._read_log()
        self._over: dict[int, int] = {}
        self._lay_over()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()
        if self._log_file is not None:
            self._log_file.close()

    def page(self, number: int) -> bytes | None:
        """The content of a page counted from 1, None when it is damaged or not there. Page 1 begins with 16 bytes that mean nothing."""
        if not 1 <= number <= self.count:
            return None
        raw = self._raw(number)
        if not self._sound(number, raw):
            return None
        start = SALT_BYTES if number == 1 else 0
        vector = raw[self.usable : self.usable + 16]
        # The mode is SQLCipher's; the HMAC over it has been checked above.
        opened = Cipher(algorithms.AES(self._key), modes.CBC(vector)).decryptor()
        return bytes(start) + opened.update(raw[start : self.usable]) + opened.finalize()

    def sound(self, number: int) -> bool:
        """Whether a page is as it was written."""
        return self._sound(number, self._raw(number))

    def _raw(self, number: int) -> bytes:
        start = self._over.get(number)
        if start is not None and self._log_file is not None:
            self._log_file.seek(start)
            return self._log_file.read(self._size)
        self._file.seek((number - 1) * self._size)
        return self._file.read(self._size)

    def _sound(self, number: int, raw: bytes) -> bool:
        if len(raw) != self._size:
            return False
        start = SALT_BYTES if number == 1 else 0
        end = self.usable + 16
        made = hmac.new(self._mac, raw[start:end] + struct.pack("<I", number), "sha512").digest()
        return hmac.compare_digest(made, raw[end:])

    # --- the log ------------------------------------------------------------------------------------------------------

    def _read_log(self) -> Log:
        if self._log_file is None:
            return Log()
        content = self._log_file.read()
        if len(content) < _HEADER + _FRAME:
            return Log()
        magic, _, _, _, *salts, first, second = struct.unpack(">8I", content[:_HEADER])
        order = ">" if magic & 1 else "<"
        whole = magic in _MAGIC and _chain(content[:24], order, (0, 0)) == (first, second)
        heads = range(_HEADER, len(content) - _FRAME - self._size + 1, _FRAME + self._size)
        if not whole:
            order = "<"  # that of the machines this runs on
            if not _of_this_round(content[_HEADER : _HEADER + _FRAME], salts):
                salts = list(struct.unpack(">2I", content[_HEADER + 8 : _HEADER + 16]))
        state = (first, second)
        log, chained = Log(header=whole), whole
        ours = [place for place, start in enumerate(heads) if _of_this_round(content[start : start + _FRAME], salts)]
        count = ours[-1] + 1 if ours else 0  # behind the last one lies what an earlier round of the log has left
        log.odd = count < len(heads) and not _of_an_earlier_round(content[heads[count] : heads[count] + _FRAME], salts)
        for start in heads[:count]:
            number, size, one, other, low, high = struct.unpack(">6I", content[start : start + _FRAME])
            raw = content[start + _FRAME : start + _FRAME + self._size]
            if chained:
                state = _chain(raw, order, _chain(content[start : start + 8], order, state))
                chained = state == (low, high) and [one, other] == salts and number > 0
                if not chained:
                    log.cut = len(log.frames)
            sound = number > 0 and self._sound(number, raw)
            if not sound:  # the page may be whole and its number changed: the page's own check says which it is
                meant = next((number ^ 1 << bit for bit in range(32) if self._sound(number ^ 1 << bit, raw)), None)
                number, sound = (number, False) if meant is None else (meant, True)
            log.frames.append(Frame(number, size, start + _FRAME, chained, sound))
        if not whole and log.frames:
            log.cut = 0
        return log

    def _lay_over(self) -> None:
        """Every committed page of the log whose own check holds, the latest last. A lost frame loses its page, not what comes after.

        A commit counts when nothing of it is lost, or when the log goes on behind it: it was on the card then.
        """
        pending: dict[int, int] = {}
        lost = False
        for place, one in enumerate(self.log.frames):
            if one.sound:
                pending[one.number] = one.start
            elif 0 < one.number <= self.count + len(self.log.frames):
                pending[one.number] = one.start  # the page is lost, not the older one under it: that would be a wrong one
                lost = True
            else:
                lost = True
            if one.size and (one.sound or one.chained):
                if not lost or place + 1 < len(self.log.frames):
                    self._over |= pending
                    self.count = max(self.count, one.size) if lost else one.size
                pending, lost = {}, False


def _of_this_round(head: bytes, salts: list[int]) -> bool:
    """Whether a frame carries at least one of the log's two salts."""
    one, other = struct.unpack(">2I", head[8:16])
    return bool(one == salts[0] or other == salts[1])


def _of_an_earlier_round(head: bytes, salts: list[int]) -> bool:
    """Whether what lies behind the last frame is old: the first salt counts the rounds up; room that was never used is zero."""
    (one,) = struct.unpack(">I", head[8:12])
    return bool(head == bytes(len(head)) or 0 < (salts[0] - one) & 0xFFFFFFFF < _ROUNDS_BACK)


def _chain(data: bytes, order: str, state: tuple[int, int]) -> tuple[int, int]:
    """SQLite's running sum over pairs of 32-bit words."""
    first, second = state
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for place in range(0, len(words), 2):
        first = (first + words[place] + second) & 0xFFFFFFFF
        second = (second + words[place + 1] + first) & 0xFFFFFFFF
    return first, second


# --- b-trees ------------------------------------------------------------------------------------------------------------------------------

Value = int | float | str | bytes | None


class Cell(NamedTuple):
    """One row as it lies in a page: its row number (0 in tables without one) and its fields."""

    row: int
    fields: tuple[Value, ...]


@dataclass
class Walked:
    """What a tree gave: `pages` that were seen, `lost` ones that could not be read (0: part of a row)."""

    pages: set[int] = field(default_factory=set)
    lost: list[int] = field(default_factory=list)


def walk(book: Book, root: int, seen: Walked, depth: int = 0) -> Iterator[Cell]:
    """Every row of a tree that can be read, in its order; what cannot be read is noted in `seen` and passed over."""
    if root in seen.pages or depth > _DEEPEST:
        return
    seen.pages.add(root)
    page = book.page(root)
    if page is None:
        seen.lost.append(root)
        return
    try:
        kind, children, cells = _split(book, page, 100 if root == 1 else 0)
    except (IndexError, struct.error):
        seen.lost.append(root)
        return
    for place in range(max(len(cells), len(children))):
        if place < len(children):
            yield from walk(book, children[place], seen, depth + 1)
        if place < len(cells) and kind != INTERIOR:
            found = cell(book, page, cells[place], kind, seen)
            if found is not None:
                yield found


def leaf(book: Book, number: int, seen: Walked) -> tuple[int, list[Cell]]:
    """The kind of a page and, of a leaf, its rows."""
    page = book.page(number)
    if page is None or page[0] not in (LEAF, KEYS_LEAF):
        return 0, []
    try:
        kind, _, cells = _split(book, page, 0)
        return kind, [one for start in cells if (one := cell(book, page, start, kind, seen)) is not None]
    except (IndexError, struct.error):
        return 0, []


def _split(book: Book, page: bytes, start: int) -> tuple[int, list[int], list[int]]:
    """Kind, children and where the cells begin."""
    kind, count = page[start], struct.unpack(">H", page[start + 3 : start + 5])[0]
    inner = kind in (INTERIOR, KEYS_INTERIOR)
    if kind not in (LEAF, INTERIOR, KEYS_LEAF, KEYS_INTERIOR) or start + 8 + 2 * count > book.usable:
        raise IndexError
    begin = start + (12 if inner else 8)
    cells = list(struct.unpack(f">{count}H", page[begin : begin + 2 * count]))
    children = [struct.unpack(">I", page[one : one + 4])[0] for one in cells] if inner else []
    if inner:
        children.append(struct.unpack(">I", page[start + 8 : start + 12])[0])
    return kind, children, cells


def cell(book: Book, page: bytes, start: int, kind: int, seen: Walked) -> Cell | None:
    """One cell; None when a page of its overflow is lost."""
    if kind == KEYS_INTERIOR:
        start += 4
    size, start = _varint(page, start)
    row = 0
    if kind == LEAF:
        row, start = _varint(page, start)
    content = _payload(book, page, start, size, kind, seen)
    if content is None:
        seen.lost.append(0)
        return None
    try:
        return Cell(row - (1 << 64) if row >> 63 else row, _fields(content))
    except (IndexError, struct.error, UnicodeDecodeError):
        seen.lost.append(0)
        return None


def _payload(book: Book, page: bytes, start: int, size: int, kind: int, seen: Walked) -> bytes | None:
    """The bytes of a cell, its overflow pages included."""
    usable = book.usable
    most = usable - 35 if kind == LEAF else (usable - 12) * 64 // 255 - 23
    if size <= most:
        return page[start : start + size]
    least = (usable - 12) * 32 // 255 - 23
    here = least + (size - least) % (usable - 4)
    here = here if here <= most else least
    parts, left = [page[start : start + here]], size - here
    number = struct.unpack(">I", page[start + here : start + here + 4])[0]
    while left > 0:
        more = book.page(number) if number not in seen.pages else None
        if more is None:
            return None
        seen.pages.add(number)
        parts.append(more[4 : 4 + min(left, usable - 4)])
        left -= usable - 4
        number = struct.unpack(">I", more[:4])[0]
    return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(9):
        byte = data[at + place]
        if place == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    raise IndexError


_WIDTHS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def _fields(content: bytes) -> tuple[Value, ...]:
    end, at = _varint(content, 0)
    kinds, body = [], end
    while at < end:
        kind, at = _varint(content, at)
        kinds.append(kind)
    found: list[Value] = []
    for kind in kinds:
        if kind in (0, 8, 9):
            found.append(None if kind == 0 else kind - 8)
            continue
        if kind in (10, 11):
            raise IndexError
        width = _WIDTHS.get(kind) or (8 if kind == 7 else (kind - 12) // 2)
        part = content[body : body + width]
        if len(part) != width:
            raise IndexError
        body += width
        if kind <= 6:
            found.append(int.from_bytes(part, "big", signed=True))
        elif kind == 7:
            found.append(struct.unpack(">d", part)[0])
        else:
            found.append(part.decode() if kind & 1 else part)
    return tuple(found)
