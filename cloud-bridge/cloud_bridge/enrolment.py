"""How a station comes to its certificate, keeps it and loses it: the rules behind the door, the stick and ``tram-bridge stations``.

Every step is written into a log that can only be added to. A question that comes twice, because its answer was lost on the
way, gets the same answer: a power cut between the two leaves nothing half done (docs/decisions/0013).
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, Engine

from appliance.contract import enrolment as wire
from appliance.contract.enrolment import EnrolAsked, Greeting, Hello, Pin, RenewAsked, Renewed, Ticket
from appliance.contract.errors import WireError
from cloud_bridge import ca
from cloud_bridge.store import enrolment as rows
from cloud_bridge.store import stations
from cloud_bridge.store.engine import reading, writing
from cloud_bridge.store.enrolment import Certificate, Token
from cloud_bridge.store.stations import Station

UNKNOWN, EXPIRED, USED, CANCELLED, FOREIGN, REVOKED, TOO_LATE, BAD, LOCKED = (
    "unknown", "expired", "used", "cancelled", "foreign", "revoked", "too-late", "bad-request", "locked",
)  # fmt: skip
"""Why the door says no; the box has a sentence for each (`appliance.agent.enrol`)."""
GUESSES = frozenset({UNKNOWN, FOREIGN})
"""Refusals that count as guesses of whoever asks."""


T = TypeVar("T")


class No(ValueError):  # noqa: N818 - the answer, as people hear it
    """The answer is no; `why` is one of the words above."""

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(f"{why}: {detail}" if detail else why)
        self.why = why


@dataclass(frozen=True)
class Desk:
    """What whoever takes stations in needs: the store, the authority, the public keys that stations pin, a clock in tenths since 1970.

    `welcome` is told of a station that was taken in, after it was written down: the broker lets it in.
    """

    engine: Engine
    authority: ca.Authority
    pins: tuple[Pin, ...]
    now: Callable[[], int]
    welcome: Callable[[str], object] = lambda _station: None


def make_token(
    tx: Connection, station: str, technician: str, now: int, random: Callable[[int], bytes], *,
    host: str, port: int, root: x509.Certificate, name: str, organisation: str, shard: int, tier: int,
) -> Ticket:  # fmt: skip
    """A paper for one station and one technician, good for seven days; papers of before for the station are good no more."""
    ticket = Ticket(random(wire.SECRET_BYTES), station, host, port, ca.fingerprint(root))
    short = Ticket(wire.short_of(ticket.secret))
    rows.add_token(
        tx, station=station, technician=technician, name=name, organisation=organisation, shard=shard, tier=tier,
        long_id=ticket.id, long_lock=ticket.lock, short_id=short.id, short_lock=short.lock,
        made=now, expires=now + wire.DAYS * 24 * 36_000,
    )  # fmt: skip
    rows.note(tx, "token.made", now, station=station, who=technician)
    return ticket


# --- taking a station in ----------------------------------------------------------------------------------------------------------------


def greet(desk: Desk, data: bytes) -> bytes:
    """The bridge shows that it knows the token that a box names. No: ``unknown``, ``expired``, ``cancelled``."""
    asked = _read(Hello, data)
    if not wire.NONCE_BYTES <= len(asked.nonce) <= 2 * wire.NONCE_BYTES:
        raise No(BAD, "nonce")
    with reading(desk.engine) as tx:
        known = rows.token_named(tx, asked.token)
    paper = _good(known, desk.now())
    times = tuple(one for one in desk.pins if one.purpose == "time")
    said = wire.write(Greeting(asked.nonce, ca.der(desk.authority.root), times))
    return wire.vouch(paper.lock(asked.token), "hello", said)


def enrol(desk: Desk, data: bytes, who: str, *, stick: bool = False) -> bytes:
    """Take a station in; the answer for its box. `who` asks: an address, or a person with a stick. No: any of the words."""
    asked = _read(EnrolAsked, data[: -wire.MAC_BYTES])
    try:
        with writing(desk.engine) as tx:
            answer = _enrol(tx, desk, asked, data, who, stick)
    except No as no:
        refused(desk, "enrol.refused", no, asked.station, who)
        raise
    desk.welcome(asked.station)
    return answer


def _enrol(tx: Connection, desk: Desk, asked: EnrolAsked, data: bytes, who: str, stick: bool) -> bytes:
    now = desk.now()
    known = rows.token_named(tx, asked.token, lock=True)
    digest = wire.digest_of(asked.station, _public(asked.request), asked.sign)
    paper = _good(known, now, used_for=digest)
    lock = paper.lock(asked.token)
    _proved(asked, data, lock, stick)
    if asked.station != paper.station:
        raise No(FOREIGN, f"a token for {paper.station}")
    if len(asked.sign) != 32 or not 0 <= asked.sign_id < 1 << 31:
        raise No(BAD, "key")
    there = rows.certificate_for(tx, asked.station, digest)
    if there is None and paper.used is not None:
        raise No(REVOKED, "what this token was used for was revoked")
    if there is None:
        there = _take_in(tx, desk, paper, asked, digest, who)
    leaf = x509.load_der_x509_certificate(there.der)
    chain = desk.authority.chain(leaf)
    words = wire.phrase_of(chain[-1], ca.spki(leaf.public_key()), asked.sign, desk.pins)
    rows.note(tx, "enrolled", now, station=paper.station, who=paper.technician, detail=f"serial {there.serial}; {words}; from {who}")
    answer = wire.Taken(paper.station, paper.shard, paper.name, paper.technician, chain, desk.pins, digest)
    return wire.vouch(lock, "answer", wire.write(answer))


def _take_in(tx: Connection, desk: Desk, paper: Token, asked: EnrolAsked, digest: bytes, who: str) -> Certificate:
    """The station is registered with its new keys; what its box of before held is worth nothing."""
    now = desk.now()
    gone = rows.revoke_certificates(tx, paper.station, now)
    if gone:
        rows.note(tx, "replaced", now, station=paper.station, who=paper.technician, detail=f"{gone} certificates revoked; from {who}")
    made = _issue(tx, desk, asked.station, asked.request, digest)
    stations.add(tx, Station(
        id=paper.station, shard=paper.shard, name=paper.name, organisation=paper.organisation, tier=paper.tier,
        key_id=asked.sign_id, public=asked.sign, registered=now, revoked=None,
    ))  # fmt: skip
    rows.use(tx, paper.id, digest, now)
    return made


def _issue(tx: Connection, desk: Desk, station: str, request: bytes, digest: bytes, instead_of: str = "") -> Certificate:
    now = desk.now()
    try:
        leaf = desk.authority.station(station, request, moment(now))
    except ca.AuthorityError as error:
        raise No(BAD, str(error)) from error
    made = Certificate(
        f"{leaf.serial_number:x}", station, rows.STATION, ca.der(leaf), now, int(leaf.not_valid_after_utc.timestamp() * 10),
        instead_of, digest, None,
    )  # fmt: skip
    rows.add_certificate(tx, made)
    return made


def _good(known: Token | None, now: int, used_for: bytes | None = None) -> Token:
    """The paper, if it may still be used (or was used for just this); No otherwise."""
    if known is None:
        raise No(UNKNOWN)
    if known.cancelled is not None:
        raise No(CANCELLED)
    if known.used is not None:
        if used_for is not None and known.used_for != used_for:
            raise No(USED)
        return known  # whoever lost the answer asks again; `enrol` sees that it is the same
    if now >= known.expires or now < known.made - 36_000:
        raise No(EXPIRED)
    return known


def _proved(asked: EnrolAsked, data: bytes, lock: bytes, stick: bool) -> None:
    """No unless whoever asks knows the token: by the token itself through the door, by a code on a stick."""
    try:
        wire.vouched(lock, "ask", data)
    except WireError as error:
        raise No(UNKNOWN, "the code is not this token's") from error
    if not stick and not hmac.compare_digest(wire.lock_of(asked.secret), lock):
        raise No(UNKNOWN, "the token is not this one")


def _read(cls: type[T], data: bytes) -> T:
    try:
        return wire.read(cls, data)
    except WireError as error:
        raise No(BAD, str(error)) from error


def _public(request: bytes) -> bytes:
    try:
        return ca.public_of(request)
    except ca.AuthorityError as error:
        raise No(BAD, str(error)) from error


def refused(desk: Desk, what: str, no: No, station: str, who: str) -> None:
    """Write down who was refused what."""
    with writing(desk.engine) as tx:
        rows.note(tx, what, desk.now(), station=station[:16], who=who, detail=str(no)[:200])


def moment(tenths: int) -> datetime:
    """Tenths of a second since 1970 as certificates want it."""
    return datetime.fromtimestamp(tenths // 10, UTC)


# --- the next certificate ---------------------------------------------------------------------------------------------------------------


def renew(desk: Desk, data: bytes, who: str) -> bytes:
    """The station's next certificate, signed request in (64 bytes of its Ed25519 key at the end), signed by nobody: it is public.

    The one it has may have ended, up to two years ago. No: ``unknown``, ``revoked``, ``too-late``, ``bad-request``.
    """
    body, signature = data[:-64], data[-64:]
    asked = _read(RenewAsked, body)
    try:
        with writing(desk.engine) as tx:
            return _renew(tx, desk, asked, body, signature)
    except No as no:
        refused(desk, "renew.refused", no, asked.station, who)
        raise


def _renew(tx: Connection, desk: Desk, asked: RenewAsked, body: bytes, signature: bytes) -> bytes:
    now = desk.now()
    known = stations.get(tx, asked.station)
    if known is None:
        raise No(UNKNOWN, "no such station")
    try:
        Ed25519PublicKey.from_public_bytes(known.public).verify(signature, wire.signed_part(body))
    except InvalidSignature:
        raise No(UNKNOWN, "not signed by the station's key") from None
    if known.revoked is not None:
        raise No(REVOKED)
    old = rows.certificate_of(tx, f"{int.from_bytes(asked.serial):x}")
    if old is None or old.station != asked.station:
        raise No(UNKNOWN, "no such certificate of this station")
    if old.revoked is not None:
        raise No(REVOKED)
    if now > old.ends + int(ca.LATE.total_seconds()) * 10:
        raise No(TOO_LATE)
    digest = wire.digest_of(asked.station, _public(asked.request), asked.serial)
    made = rows.certificate_for(tx, asked.station, digest)
    if made is None:
        made = _issue(tx, desk, asked.station, asked.request, digest, old.serial)
        rows.note(tx, "renewed", now, station=asked.station, detail=f"serial {made.serial} after {old.serial}")
    return wire.write(Renewed(asked.station, desk.authority.chain(x509.load_der_x509_certificate(made.der)), digest))


# --- taking it away -----------------------------------------------------------------------------------------------------------------


def revoke(tx: Connection, station: str, now: int, who: str) -> int:
    """Nothing more is taken from a station: its keys, its certificates and its papers are worth nothing. How many certificates."""
    stations.revoke(tx, station, now)
    gone, papers = rows.revoke_certificates(tx, station, now), rows.cancel_tokens(tx, station, now)
    rows.note(tx, "revoked", now, station=station, who=who, detail=f"{gone} certificates, {papers} tokens")
    return gone
