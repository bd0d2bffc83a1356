"""The command socket of one device: ``<run>/<device>.sock``, SOCK_SEQPACKET, 0660, one JSON object per packet (decision 15).

What comes through here makes a cuff squeeze an arm, so nothing is stored and nothing is repeated: a start carries a deadline
on CLOCK_BOOTTIME and a nonce that counts once; the line that started a cycle holds it, and when that line closes, the cycle
is aborted. Who is at the other end is asked of the kernel (SO_PEERCRED), not of the message.

In: ``{"do": "start", "session", "patient_type", "deadline_boottime_ns", "nonce"}``, ``{"do": "abort"}``, or ``{"do": "recall"}``:
read the device's memory once more, which moves nothing and can be repeated.
Out: ``{"accepted": true}`` or ``{"accepted": false, "reason": word}``, with the nonce when there was one.
"""

import grp
import json
import os
import pwd
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.agent import doors

SECOND = 1_000_000_000
LARGEST = 1024
"""A command has about 150 bytes."""
MOST_LINES = 8
"""Lines open at once: the kiosk uses one per running cycle."""
FURTHEST_NS = 10 * SECOND
"""A deadline further away than this is not one press any more (judgement; the kiosk gives 3 s)."""
MOST_NONCES = 256
"""Nonces of starts whose deadline has not passed. When they are all taken, starts are refused."""


@dataclass(frozen=True, slots=True)
class Start:
    """A person's press, checked in its form only."""

    line: int
    session: int
    patient_type: str
    deadline_ns: int
    nonce: str


@dataclass(frozen=True, slots=True)
class Abort:
    """Stop at once: a message, or the line that held the cycle closed (`why` = ``line-closed``)."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Recall:
    """A person wants what is in the device's memory."""

    line: int


Command = Start | Abort | Recall
"""What can be said through the socket."""


class Ear:
    """The listening end. `allowed(uid, gid)` says whether such a peer may command; `answer` must follow every Start and Recall."""

    def __init__(self, path: Path, allowed: Callable[[int, int], bool]) -> None:
        self._path = path
        self._allowed = allowed
        self._lines: dict[int, socket.socket] = {}
        self._holder: int | None = None
        self._nonces: dict[str, int] = {}
        self._socket = doors.listening(path, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK, 4)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def filenos(self) -> list[int]:
        """What to wait on."""
        return [self._socket.fileno(), *self._lines]

    def hear(self, now_ns: int) -> list[Command]:
        """What has been said since the last time."""
        heard: list[Command] = []
        for number, _event in self._poll.poll(0):
            if number == self._socket.fileno():
                self._accept()
            elif number in self._lines:
                heard += self._read(number, now_ns)
        return heard

    def answer(self, heard: Start | Recall, reason: str | None) -> None:
        """Accepted (`reason` None: the line of a start now holds the cycle), or refused with its word."""
        said: dict[str, Any] = {"accepted": reason is None}
        if isinstance(heard, Start):
            said["nonce"] = heard.nonce
            if reason is None:
                self._holder = heard.line
        self._say(heard.line, said if reason is None else said | {"reason": reason})

    def let_go(self) -> None:
        """The cycle has ended: close the line that held it, which tells the other end so."""
        number, self._holder = self._holder, None
        if number is not None and number in self._lines:
            self._hang_up(number)

    def close(self) -> None:
        """Close everything and remove the socket."""
        for number in list(self._lines):
            self._hang_up(number)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            line, _address = self._socket.accept()
        except OSError:
            return
        line.setblocking(False)
        if len(self._lines) >= MOST_LINES or not self._allowed(*doors.peer(line)):
            line.close()
            return
        self._lines[line.fileno()] = line
        self._poll.register(line, select.POLLIN)

    def _read(self, number: int, now_ns: int) -> list[Command]:
        try:
            packet = self._lines[number].recv(LARGEST + 1)
        except BlockingIOError:
            return []
        except OSError:
            packet = b""
        if not packet:
            return self._hang_up(number)
        command = _command(packet, number)
        if isinstance(command, str):
            self._say(number, {"accepted": False, "reason": command})
            return []
        if isinstance(command, Start):
            why = self._why_not(command, now_ns)
            if why:
                self._say(number, {"accepted": False, "reason": why, "nonce": command.nonce})
                return []
        return [command]

    def _why_not(self, start: Start, now_ns: int) -> str | None:
        """Checks that need no device: deadline and nonce. A nonce counts as used as soon as it was heard in time."""
        self._nonces = {nonce: deadline for nonce, deadline in self._nonces.items() if deadline > now_ns}
        if start.nonce in self._nonces:
            return "nonce"
        if start.deadline_ns <= now_ns:
            return "too-late"
        if start.deadline_ns > now_ns + FURTHEST_NS:
            return "deadline"
        if len(self._nonces) >= MOST_NONCES:
            return "too-many"
        self._nonces[start.nonce] = start.deadline_ns
        return None

    def _say(self, number: int, said: dict[str, Any]) -> None:
        line = self._lines.get(number)
        if line is None:
            return
        try:
            line.send(json.dumps(said).encode())
        except OSError:
            return  # its closing will be heard

    def _hang_up(self, number: int) -> list[Command]:
        line = self._lines.pop(number)
        self._poll.unregister(number)
        line.close()
        if self._holder != number:
            return []
        self._holder = None
        return [Abort(number, "line-closed")]


def _command(packet: bytes, line: int) -> Command | str:
    """The command in a packet, or the word why it is none."""
    try:
        said = json.loads(packet) if len(packet) <= LARGEST else None
    except (ValueError, RecursionError):
        return "shape"
    if not isinstance(said, dict):
        return "shape"
    if said.get("do") == "abort":
        return Abort(line, "abort")
    if said.get("do") == "recall":
        return Recall(line)
    if said.get("do") != "start":
        return "unknown-command"
    session, patient_type, deadline, nonce = (said.get(name) for name in ("session", "patient_type", "deadline_boottime_ns", "nonce"))
    if type(session) is not int or type(deadline) is not int or not isinstance(patient_type, str) or not isinstance(nonce, str):
        return "shape"
    if not 8 <= len(nonce) <= 64:
        return "shape"
    return Start(line, session, patient_type, deadline, nonce)


def may_command(uid: int, gid: int) -> bool:
    """Whether a peer may command a device: root, our own user, or a member of our own group (the station's)."""
    if uid in (0, os.geteuid()) or gid == os.getegid():
        return True
    try:
        name = pwd.getpwuid(uid).pw_name
        return name in grp.getgrgid(os.getegid()).gr_mem
    except KeyError:
        return False
