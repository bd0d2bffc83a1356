"""What stands behind the door: a table of method and path. A reply is made from a request alone; what else a room needs it was built with.

``POST /v1/time`` says what time it is, signed (`appliance.contract.signedtime`). It asks for no certificate, because a
box that does not know the time cannot judge ours yet, and it tells nobody anything but the time.

``POST /v1/enrol`` takes a station in against a token, ``POST /v1/renew`` gives its next certificate (`cloud_bridge.enrolment`).
Neither asks for a certificate either: one has none yet, the other may have one that has ended.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.contract import enrolment as wire
from appliance.contract.signedtime import NONCE_LEAST, NONCE_MOST, PATH, RADIUS, TimeSaid, seal_time
from cloud_bridge import enrolment


class Request(NamedTuple):
    """What somebody at `address` has sent."""

    address: str
    body: bytes


class Reply(NamedTuple):
    """What they get: a status such as ``200 OK``, the body and its media type."""

    status: str
    body: bytes = b""
    media: str = "application/octet-stream"


class Room(NamedTuple):
    """One method and path: what answers, and how many bytes a body may have."""

    answer: Callable[[Request], Reply]
    most: int


Rooms = Mapping[tuple[str, str], Room]


def refused(status: str) -> Reply:
    """A refusal: its status is all that is said."""
    return Reply(status, status.encode() + b"\n", "text/plain; charset=utf-8")


def time_room(sign: tuple[int, Ed25519PrivateKey], now: Callable[[], int]) -> Room:
    """The room of the signed time: `sign` is the key for the time, `now` gives tenths of a second since 1970."""
    key_id, key = sign

    def answer(request: Request) -> Reply:
        if not NONCE_LEAST <= len(request.body) <= NONCE_MOST:
            return refused("400 Bad Request")
        return Reply("200 OK", seal_time(TimeSaid(request.body, now(), RADIUS, key_id), key))

    return Room(answer, NONCE_MOST)


def rooms(
    sign: tuple[int, Ed25519PrivateKey], now: Callable[[], int], desk: enrolment.Desk | None = None, lockout: "Lockout | None" = None
) -> dict[tuple[str, str], Room]:
    """Every room there is; add a row to add one. Without a `desk` nobody is enrolled here."""
    table = {("POST", PATH): time_room(sign, now)}
    if desk is not None and lockout is not None:
        table["POST", wire.ENROL] = Room(partial(_counted, partial(_enrol, desk), lockout), wire.REQUEST_MOST)
        table["POST", wire.RENEW] = Room(partial(_counted, partial(_renew, desk), lockout), wire.REQUEST_MOST)
    return table


def _counted(answer: Callable[[Request], bytes], lockout: "Lockout", request: Request) -> Reply:
    """An answer for whoever has not guessed too often; a refusal says its one word."""
    if not lockout.lets(request.address):
        return refused("429 Too Many Requests")
    try:
        return Reply("200 OK", answer(request))
    except enrolment.No as no:
        if no.why in enrolment.GUESSES:
            lockout.wrong(request.address)
        return Reply("403 Forbidden", no.why.encode() + b"\n", "text/plain; charset=utf-8")
    except OSError:  # the database is away
        return refused("503 Service Unavailable")


def _enrol(desk: enrolment.Desk, request: Request) -> bytes:
    """A greeting is short and has no code at its end; everything else is a request."""
    try:
        wire.read(wire.Hello, request.body)
    except ValueError:
        return enrolment.enrol(desk, request.body, request.address)
    try:
        return enrolment.greet(desk, request.body)
    except enrolment.No as no:
        enrolment.refused(desk, "greeting.refused", no, "", request.address)
        raise


def _renew(desk: enrolment.Desk, request: Request) -> bytes:
    return enrolment.renew(desk, request.body, request.address)


@dataclass
class Lockout:
    """Who has come with wrong tokens `most` times stays out for `seconds`; a right one in between forgives nothing.

    Guessing 110 bits is hopeless anyway: this is so that nobody tries, and the log stays readable. It is kept in memory; addresses
    that were wrong longest ago are forgotten first.
    """

    clock: Callable[[], float]
    most: int = 5
    seconds: float = 900.0
    room: int = 4096
    _wrong: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)

    def lets(self, address: str) -> bool:
        """True when who comes from there may try."""
        count, since = self._wrong.get(address, (0, 0.0))
        if count and self.clock() - since >= self.seconds:
            self._wrong.pop(address, None)
            return True
        return count < self.most

    def wrong(self, address: str) -> None:
        """One more wrong token from there."""
        count, _ = self._wrong.pop(address, (0, 0.0))
        self._wrong[address] = (count + 1, self.clock())
        if len(self._wrong) > self.room:
            self._wrong.popitem(last=False)


@dataclass
class Turnstile:
    """How often one address may come in: `burst` at once, then `rate` a second. Addresses that came longest ago are forgotten first.

    A whole commune may stand behind one address, so it is generous; it is there so that one machine cannot keep ours busy.
    """

    clock: Callable[[], float]
    rate: float = 5.0
    burst: float = 60.0
    most: int = 4096
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def lets(self, address: str) -> bool:
        """True when this one may come in now."""
        now = self.clock()
        left, since = self._left.pop(address, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.rate)
        allowed = left >= 1
        self._left[address] = (left - allowed, now)
        if len(self._left) > self.most:
            self._left.popitem(last=False)
        return allowed


Environ = Mapping[str, Any]
Start = Callable[[str, list[tuple[str, str]]], object]


def application(table: Rooms, turnstile: Turnstile) -> Callable[[Environ, Start], Iterable[bytes]]:
    """The WSGI application. What is not in the table, or larger than its room takes, is refused without being read."""

    def app(environ: Environ, start: Start) -> Iterable[bytes]:
        reply = _answer(table, turnstile, environ)
        headers = [("Content-Type", reply.media), ("Content-Length", str(len(reply.body))), ("Cache-Control", "no-store")]
        if reply.status.startswith("429"):
            headers.append(("Retry-After", "30"))
        start(reply.status, headers)
        return [reply.body]

    return app


def _answer(table: Rooms, turnstile: Turnstile, environ: Environ) -> Reply:
    address, path, method = str(environ.get("REMOTE_ADDR", "")), str(environ.get("PATH_INFO", "")), str(environ.get("REQUEST_METHOD", ""))
    if not turnstile.lets(address):
        return refused("429 Too Many Requests")
    room = table.get((method, path))
    if room is None:
        return refused("405 Method Not Allowed" if any(one == path for _, one in table) else "404 Not Found")
    length = str(environ.get("CONTENT_LENGTH") or "")
    if environ.get("HTTP_TRANSFER_ENCODING") or not length:
        return refused("411 Length Required")
    if not (length.isascii() and length.isdecimal()):
        return refused("400 Bad Request")
    if len(length) > 9 or int(length) > room.most:
        return refused("413 Content Too Large")
    try:
        body = environ["wsgi.input"].read(int(length))
    except OSError:  # they have gone, or say nothing more
        return refused("408 Request Timeout")
    if len(body) != int(length):
        return refused("400 Bad Request")
    return room.answer(Request(address, body))
