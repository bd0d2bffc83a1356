"""How the box comes to its certificate (``tram enrol``), and to the next one: over the bridge's door, or by a USB stick.

The key is made here and never leaves. What was in force stays in force until everything that came has been checked and is
on the disk; then one rename changes it. Cut off at any point, the same command goes on where it was.

In ``<paths.data>/tls``: ``pending.key`` is the key of a request under way, each ``<serial>`` a folder with ``station.pem`` (ours
and the issuing authority's), ``station.key`` and ``ca.pem`` (the root), ``current`` a link to the one in force.
"""

import hashlib
import http.client
import os
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID

from appliance import durable
from appliance.agent.asking import NO_CHECK_TIME, ask_time, judge_by, trust
from appliance.agent.clock import Clock, Learnt
from appliance.contract import enrolment as wire
from appliance.contract.enrolment import EnrolAsked, Greeting, Hello, Pin, RenewAsked, Renewed, Taken, Ticket
from appliance.contract.errors import WireError
from appliance.contract.readings import TICK_NS
from appliance.database import Connection
from appliance.settings import Settings
from appliance.store import enrolment, escrow, keys
from appliance.store.enrolment import CURRENT, ENROLLED, FOLDER, RENEWED, Enrolment, files_of
from appliance.store.errors import Refused
from appliance.store.opening import key_file, read_key

TIMEOUT = 20.0
"""Seconds for one exchange: a handshake and 4 kB at 20 kbit/s take about 6."""
PENDING = "pending.key"
ASK_FILE, ANSWER_FILE = "tram-{}.ask", "tram-{}.answer"

SENTENCES: Mapping[str, tuple[str, str]] = {
    "unknown": (
        "Máy chủ không biết mã này. Kiểm tra lại tờ giấy, hoặc xin mã mới.",
        "the bridge does not know this token: look again, or ask for a new one",
    ),
    "expired": ("Mã đã hết hạn (7 ngày). Xin mã mới.", "the token has expired (7 days): ask for a new one"),
    "used": (
        "Mã này đã dùng rồi. Xin mã mới; nếu không phải anh/chị dùng, báo ngay cho tuyến trên.",
        "the token has been used: ask for a new one, and tell the bridge's operator if that was not you",
    ),
    "cancelled": ("Mã đã bị hủy, có mã mới hơn. Dùng tờ giấy mới nhất.", "the token was cancelled: use the latest paper"),
    "foreign": ("Mã này dành cho trạm khác.", "the token is for another station"),
    "revoked": ("Máy chủ đã thu hồi trạm này. Liên hệ tuyến trên.", "the bridge has revoked this station: speak to its operator"),
    "too-late": (
        "Chứng thư hết hạn đã hơn hai năm: phải ghi danh lại bằng mã mới.",
        "the certificate ended more than two years ago: enrol again with a new token",
    ),
    "locked": ("Thử sai nhiều lần. Đợi 15 phút rồi thử lại.", "too many wrong tokens: wait 15 minutes"),
    "bad-request": (
        "Máy chủ không hiểu yêu cầu. Cập nhật phần mềm của trạm.",
        "the bridge does not understand the request: update this box",
    ),
}
"""What the door's words mean for people. The old state still runs after each of them."""
_TOKEN = {
    "qr": ("Không phải mã QR ghi danh của Trạm.", "this is not a QR code for enrolment"),
    "length": ("Mã có 24 chữ và số, sáu nhóm bốn.", "the token has 24 letters and digits, in six groups of four"),
    "letter": ("Mã chỉ có chữ A-Z không có U và số 0-9.", "the token has letters without U, and digits"),
    "check": ("Gõ nhầm một chữ: so lại với tờ giấy.", "a letter is wrong: compare with the paper"),
}


def refusal(word: str) -> Refused:
    """The sentence for a word of the door."""
    return Refused(*SENTENCES.get(word, ("Máy chủ từ chối.", f"the bridge refuses: {word[:40]}")))


def ticket_of(text: str) -> Ticket:
    """The ticket in what was typed or scanned. Refused with a sentence."""
    try:
        return wire.read_ticket(text)
    except ValueError as error:
        raise Refused(*_TOKEN[str(error)]) from None


# --- the box's own key ----------------------------------------------------------------------------------------------------------------


def _folder(settings: Settings) -> Path:
    folder = settings.paths.data / FOLDER
    folder.mkdir(mode=0o750, exist_ok=True)
    return folder


def _pending(settings: Settings) -> ec.EllipticCurvePrivateKey:
    """The key of the request under way; made where there is none."""
    file = _folder(settings) / PENDING
    if not file.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        durable.replace(file, _key_pem(made), 0o600)
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _request(station: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


# --- the exchange ---------------------------------------------------------------------------------------------------------------------


Post = Callable[[str, bytes], bytes]
"""A question to the door: path and body to the answer. OSError when it cannot be reached, Refused when it says no."""


def post(host: str, port: int, context: ssl.SSLContext, path: str, body: bytes) -> bytes:
    """One exchange over HTTPS. OSError when the line fails, Refused with the door's sentence."""
    line = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
    try:
        line.request("POST", path, body)
        reply = line.getresponse()
        said = reply.read(wire.ANSWER_MOST + 1)
    except http.client.HTTPException as error:
        raise OSError(f"no answer of a door: {error}") from error
    finally:
        line.close()
    if reply.status == 200 and len(said) <= wire.ANSWER_MOST:
        return said
    if reply.status == 403:
        raise refusal(said[:40].decode("ascii", "replace").strip())
    if reply.status == 429:
        raise refusal("locked")
    raise OSError(f"the door says {reply.status}")


def _context(root: bytes, wall: Callable[[], float] | None) -> ssl.SSLContext:
    """TLS that trusts this root (DER) alone; dates are judged by `wall` (seconds since 1970), by nobody where it is None."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=root)
    context.verify_flags = ssl.VerifyFlags(int(context.verify_flags) | int(getattr(ssl, "VERIFY_X509_STRICT", 0)) | NO_CHECK_TIME)
    if wall is not None:
        judge_by(context, wall)
        trust(context, system=False)
    return context


def _stranger() -> ssl.SSLContext:
    """TLS without looking at who answers: for the greeting, which proves itself by the token, and lets nothing of ours out."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _times(pins: tuple[Pin, ...]) -> dict[int, Ed25519PublicKey]:
    return {one.key_id: Ed25519PublicKey.from_public_bytes(one.public) for one in pins if one.purpose == "time"}


def greeted(ticket: Ticket, host: str, port: int, random: Callable[[int], bytes] = os.urandom) -> Greeting:
    """What the bridge says of itself; Refused unless it knows the token, and is the authority that the QR code names."""
    nonce = random(wire.NONCE_BYTES)
    said = post(host, port, _stranger(), wire.ENROL, wire.write(Hello(ticket.id, nonce)))
    try:
        found = wire.read(Greeting, wire.vouched(ticket.lock, "hello", said), wire.ANSWER_MOST)
    except WireError as error:
        raise _impostor() from error
    if found.nonce != nonce or (ticket.root and hashlib.sha256(found.root).digest() != ticket.root):
        raise _impostor()
    return found


def _impostor() -> Refused:
    return Refused(
        "Nơi trả lời không phải máy chủ của tờ giấy này. Không gửi gì cả. Báo cho tuyến trên.",
        "whoever answers is not the bridge of this paper: nothing was given away; tell the bridge's operator",
    )


@dataclass(frozen=True)
class Done:
    """The station is enrolled: its certificate in force, the six words to compare, what was learnt about the time."""

    one: Enrolment
    station: str
    name: str
    learnt: Learnt | None


def enrol(conn: Connection, settings: Settings, clock: Clock, ticket: Ticket, host: str, port: int) -> Done:
    """Enrol over the door at `host`. OSError: later, with the same command; Refused: a sentence, and nothing has changed."""
    _ours(settings, ticket)
    greeting = greeted(ticket, host, port)
    learnt = _time(settings, clock, greeting, host, port)
    key = _pending(settings)
    asked = _asked(conn, settings, ticket, key, with_secret=True)
    context = _context(greeting.root, lambda: _seconds(clock, learnt))
    said = post(host, port, context, wire.ENROL, wire.vouch(ticket.lock, "ask", wire.write(asked)))
    return _take(conn, settings, clock, ticket, key, said, learnt)


def _ours(settings: Settings, ticket: Ticket) -> None:
    station = settings.need("station.id")
    if ticket.station and ticket.station != station:
        raise Refused(
            f"Tờ giấy này dành cho trạm {ticket.station}; máy này là {station}.",
            f"this paper is for {ticket.station}; this box is {station}",
        )


def _time(settings: Settings, clock: Clock, greeting: Greeting, host: str, port: int) -> Learnt:
    """The bridge's signed time, so that a box which is years off can judge the dates of what comes next."""
    file = _folder(settings) / "asked.pem"
    durable.replace(file, ssl.DER_cert_to_PEM_cert(greeting.root).encode(), 0o644)
    try:
        return ask_time(host, port, file, _times(greeting.times), lambda: clock.boottime_ns() // TICK_NS)
    except WireError as error:
        raise _impostor() from error
    finally:
        file.unlink()


def _seconds(clock: Clock, learnt: Learnt) -> float:
    """Seconds since 1970 by what was learnt, whatever the clock says."""
    return (learnt.wall + clock.boottime_ns() // TICK_NS - learnt.ticks) / 10


def _asked(conn: Connection, settings: Settings, ticket: Ticket, key: ec.EllipticCurvePrivateKey, *, with_secret: bool) -> EnrolAsked:
    sign_id, sign = keys.station_public(conn)
    station = settings.need("station.id")
    return EnrolAsked(ticket.id, station, _request(station, key), sign_id, sign, ticket.secret if with_secret else b"")


def _take(
    conn: Connection, settings: Settings, clock: Clock, ticket: Ticket, key: ec.EllipticCurvePrivateKey, said: bytes, learnt: Learnt | None
) -> Done:
    """Check an answer, put it on the disk, trust what it brings, make it the one in force. Refused leaves everything as it was."""
    _, sign = keys.station_public(conn)
    station = settings.need("station.id")
    try:
        found = wire.read(Taken, wire.vouched(ticket.lock, "answer", said), wire.ANSWER_MOST)
    except WireError as error:
        raise _impostor() from error
    if found.asked != wire.digest_of(station, _spki(key), sign):
        raise Refused("Câu trả lời này thuộc về một yêu cầu khác.", "this answers another request")
    if found.station != station or found.shard != settings.station.shard:
        raise Refused(
            f"Máy chủ ghi trạm {found.station}, shard {found.shard}: sửa station.id và station.shard cho khớp rồi chạy lại.",
            f"the bridge has {found.station} with shard {found.shard}: set station.id and station.shard so, and run this again",
        )
    wall = clock.stamp().wall if learnt is None else int(_seconds(clock, learnt) * 10)
    leaf = _checked(found.chain, station, key, None if learnt is None else wall)
    if ticket.root and hashlib.sha256(found.chain[-1]).digest() != ticket.root:
        raise _impostor()
    words = wire.phrase_of(found.chain[-1], _spki(key), sign, found.pins)
    one = _row(leaf, ENROLLED, wall, found.technician, words, found.chain[-1])
    folder = _lay_down(settings, leaf, found.chain, key)
    enrolment.keep(
        conn, one, found.pins, clock.stamp(), station=station, seal=settings.wire.sealing == "on", random=os.urandom
    )  # fmt: skip
    escrow.keep(conn, settings, read_key(key_file(settings, os.environ)))
    _switch(settings, folder)
    (_folder(settings) / PENDING).unlink(missing_ok=True)
    return Done(one, station, found.name, learnt)


def _row(leaf: x509.Certificate, kind: str, wall: int, technician: str, words: str, root: bytes) -> Enrolment:
    ends = int(leaf.not_valid_after_utc.timestamp() * 10)
    return Enrolment(wall, kind, f"{leaf.serial_number:x}", ends, technician, words, hashlib.sha256(root).digest())


def _checked(chain: tuple[bytes, ...], station: str, key: ec.EllipticCurvePrivateKey, wall: int | None) -> x509.Certificate:
    """Our certificate at the head of a chain that holds; Refused otherwise. `wall`: tenths since 1970 where the time is known."""
    try:
        found = [x509.load_der_x509_certificate(one) for one in chain]
        for each, above in zip(found, [*found[1:], found[-1]], strict=True):
            each.verify_directly_issued_by(above)
        leaf = found[0]
        names = [one.value for one in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        good = len(found) >= 2 and names == [station] and leaf.public_key() == key.public_key()
    except (ValueError, TypeError, IndexError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise _broken() from error
    if not good:
        raise _broken()
    if wall is not None and not leaf.not_valid_before_utc <= datetime.fromtimestamp(wall / 10, UTC) <= leaf.not_valid_after_utc:
        raise Refused("Chứng thư không có giá trị vào lúc này.", "the certificate is not valid now")
    return leaf


def _broken() -> Refused:
    return Refused("Chứng thư nhận được không dùng được; giữ nguyên cái cũ.", "the certificate that came cannot be used: the old one stays")


def _lay_down(settings: Settings, leaf: x509.Certificate, chain: tuple[bytes, ...], key: ec.EllipticCurvePrivateKey) -> Path:
    """The three files in a folder of their own; nothing is in force yet."""
    folder = _folder(settings) / f"{leaf.serial_number:x}"
    folder.mkdir(mode=0o750, exist_ok=True)
    durable.replace(folder / "station.key", _key_pem(key), 0o600)
    durable.replace(folder / "ca.pem", ssl.DER_cert_to_PEM_cert(chain[-1]).encode(), 0o644)
    durable.replace(folder / "station.pem", "".join(ssl.DER_cert_to_PEM_cert(one) for one in chain[:-1]).encode(), 0o644)
    return folder


def _switch(settings: Settings, folder: Path) -> None:
    """From now on this one is in force; those of before go."""
    here = _folder(settings)
    draft = here / ".current.new"
    draft.unlink(missing_ok=True)
    draft.symlink_to(folder.name)
    draft.rename(here / CURRENT)
    durable.sync(here)
    for old in here.iterdir():
        if old.is_dir() and not old.is_symlink() and old != folder:
            for one in old.iterdir():
                one.unlink()
            with suppress(OSError):
                old.rmdir()


# --- by a stick -----------------------------------------------------------------------------------------------------------------------


def ask_by_stick(conn: Connection, settings: Settings, ticket: Ticket, folder: Path) -> Path:
    """Write the request on a stick; the token stays here. The file."""
    _ours(settings, ticket)
    asked = _asked(conn, settings, ticket, _pending(settings), with_secret=False)
    file = folder / ASK_FILE.format(settings.need("station.id"))
    durable.replace(file, wire.vouch(ticket.lock, "ask", wire.write(asked)), 0o644)
    return file


def answer_on(settings: Settings, folder: Path) -> Path | None:
    """The bridge's answer on a stick, where there is one."""
    file = folder / ANSWER_FILE.format(settings.need("station.id"))
    return file if file.exists() else None


def take_by_stick(conn: Connection, settings: Settings, clock: Clock, ticket: Ticket, file: Path) -> Done:
    """Take the bridge's answer from a stick. Refused where it is none for us; nothing has changed then."""
    _ours(settings, ticket)
    with file.open("rb") as source:
        said = source.read(wire.ANSWER_MOST + 1)
    return _take(conn, settings, clock, ticket, _pending(settings), said, None)


# --- the next certificate -------------------------------------------------------------------------------------------------------------


def renew(conn: Connection, settings: Settings, clock: Clock) -> Enrolment:
    """Ask the door for the next certificate, with a new key, signed by the station's key; the old one may have ended.

    OSError: later; Refused: a sentence, and the old one stays.
    """
    found, last = files_of(settings), enrolment.latest(conn)
    if found is None or last is None:
        raise Refused("Trạm chưa ghi danh.", "this station was never enrolled: tram enrol")
    old = x509.load_pem_x509_certificate(found.cert.read_bytes())
    root = ssl.PEM_cert_to_DER_cert(found.ca.read_text())
    host, port = settings.need("door.host"), settings.door.port
    learnt = ask_time(host, port, found.ca, keys.pinned(conn, "time"), lambda: clock.boottime_ns() // TICK_NS)
    key, station = _pending(settings), settings.need("station.id")
    serial = old.serial_number.to_bytes((old.serial_number.bit_length() + 7) // 8)
    body = wire.write(RenewAsked(station, serial, _request(station, key)))
    signature = keys.station_key(conn).sign(wire.signed_part(body))
    said = post(host, port, _context(root, lambda: _seconds(clock, learnt)), wire.RENEW, body + signature)
    try:
        got = wire.read(Renewed, said, wire.ANSWER_MOST)
    except WireError as error:
        raise _broken() from error
    if got.station != station or got.asked != wire.digest_of(station, _spki(key), serial) or got.chain[-1:] != (root,):
        raise _broken()
    wall = int(_seconds(clock, learnt) * 10)
    leaf = _checked(got.chain, station, key, wall)
    one = _row(leaf, RENEWED, wall, last.technician, last.words, root)
    folder = _lay_down(settings, leaf, got.chain, key)
    enrolment.keep(conn, one, (), clock.stamp(), station=station, seal=False, random=os.urandom)
    _switch(settings, folder)
    (_folder(settings) / PENDING).unlink(missing_ok=True)
    return one
