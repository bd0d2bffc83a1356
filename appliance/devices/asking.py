"""Drivers that read a device's memory by asking: one question after the other, each repeated until it is answered or given up. Pure.

What is particular to a family (its questions, and which answer suits) stands in the family's file; when a question is asked
again, given up, or the whole begun anew stands here.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Generic, Protocol, TypeVar

from appliance.devices.driver import SECOND, Uncommanded
from appliance.devices.events import Notice, Said, Word
from appliance.devices.framing import Piece

REPLY_NS = SECOND
"""An answer that has not come within this is asked for again (judgement)."""
AGAIN_NS = 10 * SECOND
"""A device that gave no answer, or is not switched on, is asked anew after this."""

Question = TypeVar("Question")
Job = Generator[Question, bytes, str | None]
"""Questions, each of which gets its answer sent; in the end why it could not be done, or None."""


class Framer(Protocol):
    """Cuts the bytes of the line into answers."""

    @property
    def pending(self) -> int:
        """Bytes of an answer that has begun."""

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that `data` completes."""

    def expire(self) -> list[Piece]:
        """The device has been silent: what has begun will not become whole."""


class Asking(Uncommanded, ABC, Generic[Question]):
    """A driver that asks. With `listen` it decodes only and never sends; a question is put `tries` times at most."""

    def __init__(self, framer: Framer, tries: int, listen: bool) -> None:
        self._listen = listen
        self._framer = framer
        self._most = tries
        self._job: Job[Question] | None = None
        self._asked: Question | None = None
        self._asked_ns = self._fed_ns = 0
        self._tries = 0
        self._count = 0  # records of this download
        self._unread = False  # the memory has not been read since the port was opened

    @abstractmethod
    def _identity(self) -> Generator[Question, bytes, None]:
        """The questions after which the device is known."""

    @abstractmethod
    def _memory(self) -> Job[Question]:
        """The questions after which its memory is read, and then `_unread` is False; it returns the reason where it was not."""

    @abstractmethod
    def _ask(self, question: Question) -> list[Said]:
        """What puts this question; nothing where the device goes on by itself."""

    @abstractmethod
    def _pieces(self, pieces: list[Piece], now_ns: int) -> list[Said]:
        """What pieces of the line say, and what is asked next."""

    @property
    def pending(self) -> int:
        """Bytes of an answer that has begun."""
        return self._framer.pending

    def begin(self, now_ns: int) -> list[Said]:
        """Ask who it is, and read its memory: it gives nothing else."""
        self._unread = not self._listen
        return [] if self._listen else self._go(self._whole(), now_ns)

    def recall(self, now_ns: int) -> list[Said]:
        """Read the whole memory once more."""
        return self._go(self._memory(), now_ns)

    def feed(self, data: bytes, now_ns: int) -> list[Said]:
        """Bytes from the device."""
        if data:
            self._fed_ns = now_ns
        return self._pieces(self._framer.feed(data), now_ns)

    def tick(self, now_ns: int) -> list[Said]:
        """What has not been answered is asked again; a device that was not to be reached is asked anew."""
        said: list[Said] = []
        if not self._listen and now_ns - self._fed_ns >= REPLY_NS and self._framer.pending:
            said = self._pieces(self._framer.expire(), now_ns)
        if self._job is not None and now_ns - self._asked_ns >= REPLY_NS:
            said += self._again(now_ns)
        elif self._unread and self._job is None and now_ns - self._asked_ns >= AGAIN_NS:
            said += self._go(self._whole(), now_ns)
        return said

    def _whole(self) -> Job[Question]:
        yield from self._identity()
        return (yield from self._memory())

    def _go(self, job: Job[Question], now_ns: int) -> list[Said]:
        if self._listen or self._job is not None:
            return [Notice(Word.REFUSED, "listening" if self._listen else "busy")]
        self._job, self._count = job, 0
        return self._step(None, now_ns)

    def _step(self, answer: bytes | None, now_ns: int) -> list[Said]:
        """The next question, after the `answer` to the last one."""
        assert self._job is not None
        self._asked_ns, self._tries = now_ns, 0
        try:
            self._asked = next(self._job) if answer is None else self._job.send(answer)
        except StopIteration as ended:
            self._job = None
            return [Notice(Word.FAILED, ended.value) if ended.value else Notice(Word.STATE, "memory-read", self._count)]
        return self._ask(self._asked)

    def _again(self, now_ns: int) -> list[Said]:
        """The same question once more; in the end none."""
        assert self._job is not None
        assert self._asked is not None
        self._tries += 1
        asked = self._ask(self._asked) if self._tries < self._most else []
        if asked:
            self._asked_ns = now_ns
            return asked
        self._job.close()
        self._job, self._asked_ns = None, now_ns
        return [Notice(Word.FAILED, "no-reply")]
