"""How a box and the bridge become known to each other: the paper with the token, the messages, the six words (docs/decisions/0013).

The token is 128 random bits, printed as a QR code, and as 24 letters to type: 110 of those bits and ten of check. The
bridge keeps only `lock_of` of each form. That lock is at once the key of the codes by which each side shows that it knows
the token (`vouch`): the bridge proves itself before the box lets the token out of its hands, and no answer counts without.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, TypeVar

from appliance.contract import cbor
from appliance.contract.errors import WireError
from appliance.contract.ids import is_station
from appliance.contract.wiring import give, take, wire

ENROL, RENEW = "/v1/enrol", "/v1/renew"
SECRET_BYTES = 16
SHORT_BITS, CHECK_BITS = 110, 10
"""24 letters of five bits each: what is typed, and what finds a slip of the finger."""
SHORT_BYTES = 14
ID_BYTES, LOCK_BYTES, NONCE_BYTES, MAC_BYTES = 8, 32, 16, 32
DAYS = 7
"""How long a token is good."""
REQUEST_MOST, ANSWER_MOST = 4096, 16384
"""Bytes of a request and of an answer: a chain of three certificates and a dozen keys are 4 kB."""

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32, as `contract.ids`
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)} | {"I": 1, "L": 1, "O": 0}
_QR = "TRAM1"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the box was given: the secret (16 bytes from a QR code, 14 typed) and, from a QR code, whose it is and where to."""

    secret: bytes
    station: str = ""
    host: str = ""
    port: int = 0
    root: bytes = b""

    @property
    def id(self) -> bytes:
        """What the token is called without giving it away."""
        return id_of(self.secret)

    @property
    def lock(self) -> bytes:
        """What the bridge keeps of it, and the key of both sides' codes."""
        return lock_of(self.secret)


def id_of(secret: bytes) -> bytes:
    """The name of a token: 64 bits that say nothing about the rest."""
    return hashlib.sha256(b"tram-token-id-v1" + secret).digest()[:ID_BYTES]


def lock_of(secret: bytes) -> bytes:
    """What is kept of a token: nobody gets from it back to the token."""
    return hashlib.sha256(b"tram-token-lock-v1" + secret).digest()


def short_of(secret: bytes) -> bytes:
    """The part of a whole secret that is typed: its first 110 bits as 14 bytes."""
    return (int.from_bytes(secret) >> (8 * SECRET_BYTES - SHORT_BITS)).to_bytes(SHORT_BYTES)


def spell(secret: bytes) -> str:
    """The 24 letters of a whole secret, in six groups.

    >>> spell(bytes(16))
    '0000-0000-0000-0000-0000-00BJ'
    """
    number = int.from_bytes(short_of(secret))
    number = number << CHECK_BITS | _check(number)
    letters = "".join(_LETTERS[number >> shift & 31] for shift in range(SHORT_BITS + CHECK_BITS - 5, -1, -5))
    return "-".join(letters[at : at + 4] for at in range(0, 24, 4))


def _check(number: int) -> int:
    digest = hashlib.sha256(b"tram-token-check-v1" + number.to_bytes(SHORT_BYTES)).digest()
    return int.from_bytes(digest[:2]) >> (16 - CHECK_BITS)


def qr_text(ticket: Ticket) -> str:
    """What stands in the QR code: upper case, so that it is small (alphanumeric mode)."""
    words = (_QR, ticket.station, ticket.host, str(ticket.port), _b32(ticket.secret), _b32(ticket.root))
    return "/".join(words).upper()


def _b32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=")


def read_ticket(text: str) -> Ticket:
    """The ticket in what a scanner read or a person typed; ValueError with a word: ``qr``, ``length``, ``letter``, ``check``."""
    plain = "".join(text.split())
    if plain.upper().startswith(_QR + "/"):
        return _read_qr(plain)
    letters = plain.replace("-", "").replace(".", "").upper()
    if len(letters) != 24:
        raise ValueError("length")
    if any(letter not in _VALUES for letter in letters):
        raise ValueError("letter")
    number = 0
    for letter in letters:
        number = number << 5 | _VALUES[letter]
    number, check = number >> CHECK_BITS, number & ((1 << CHECK_BITS) - 1)
    if check != _check(number):
        raise ValueError("check")
    return Ticket(number.to_bytes(SHORT_BYTES))


def _read_qr(text: str) -> Ticket:
    words = text.split("/")
    try:
        _, station, host, port, secret, root = words
        made = Ticket(_from_b32(secret), station.lower(), host.lower(), int(port), _from_b32(root))
    except ValueError:
        raise ValueError("qr") from None
    if not is_station(made.station) or not made.host or not 0 < made.port < 1 << 16:
        raise ValueError("qr")
    if len(made.secret) != SECRET_BYTES or len(made.root) != LOCK_BYTES:
        raise ValueError("qr")
    return made


def _from_b32(text: str) -> bytes:
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))


# --- the messages ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pin:
    """A public key of the bridge: what it is for (``receipt``, ``answer``, ``time``, ``seal``), its number, its 32 bytes."""

    purpose: str = wire(1)
    key_id: int = wire(2)
    public: bytes = wire(3)


@dataclass(frozen=True, slots=True)
class Hello:
    """The box asks who stands at the door: it names the token and lets nothing out."""

    token: bytes = wire(1)
    nonce: bytes = wire(2)


@dataclass(frozen=True, slots=True)
class Greeting:
    """The bridge's root certificate (DER) and the keys that sign the time; only the codes of `vouch` make them worth anything."""

    nonce: bytes = wire(1)
    root: bytes = wire(2)
    times: tuple[Pin, ...] = wire(3)


@dataclass(frozen=True, slots=True)
class EnrolAsked:
    """A box asks to be taken: its certificate request (DER) and the Ed25519 key that will sign its receipts.

    `secret` is the token itself, over a door that has proved itself; a request on a stick leaves it out.
    """

    token: bytes = wire(1)
    station: str = wire(2)
    request: bytes = wire(3)
    sign_id: int = wire(4)
    sign: bytes = wire(5)
    secret: bytes = wire(6, default=b"")


@dataclass(frozen=True, slots=True)
class Taken:
    """The bridge has taken a station: `chain` is its certificate, those between and the root (DER); `pins` are all to be trusted."""

    station: str = wire(1)
    shard: int = wire(2)
    name: str = wire(3)
    technician: str = wire(4)
    chain: tuple[bytes, ...] = wire(5)
    pins: tuple[Pin, ...] = wire(6)
    asked: bytes = wire(7)


@dataclass(frozen=True, slots=True)
class RenewAsked:
    """A station asks for its next certificate: the serial of the one it has (big-endian) and a request made with a key of its own."""

    station: str = wire(1)
    serial: bytes = wire(2)
    request: bytes = wire(3)


@dataclass(frozen=True, slots=True)
class Renewed:
    """The next certificate and those behind it (DER)."""

    station: str = wire(1)
    chain: tuple[bytes, ...] = wire(2)
    asked: bytes = wire(3)


def write(message: Any) -> bytes:
    """A message's bytes."""
    return cbor.dump(give(message))


def read(cls: type[T], data: bytes, most: int = REQUEST_MOST) -> T:
    """The message in `data`; WireError when it is none."""
    if len(data) > most:
        raise WireError("oversized", f"{len(data)} bytes")
    found: T = take(cls, cbor.load(data))[0]
    return found


def vouch(lock: bytes, what: str, data: bytes) -> bytes:
    """`data` with the code that only who knows the token (or its lock) can make; `what` is ``hello``, ``ask`` or ``answer``."""
    return data + _code(lock, what, data)


def vouched(lock: bytes, what: str, data: bytes) -> bytes:
    """`data` without its code; WireError ``token`` when the code is not this token's."""
    body, code = data[:-MAC_BYTES], data[-MAC_BYTES:]
    if not hmac.compare_digest(_code(lock, what, body), code):
        raise WireError("token", "it does not vouch for this")
    return body


def _code(lock: bytes, what: str, data: bytes) -> bytes:
    return hmac.digest(lock, b"tram-enrol-v1:" + what.encode() + b":" + data, "sha256")


def digest_of(station: str, public: bytes, more: bytes) -> bytes:
    """What two requests have in common that ask for the same: the station, its P-256 key (DER of its SubjectPublicKeyInfo), and the
    Ed25519 key (enrolment) or the old serial (renewal). A request made again has another signature.
    """
    return hashlib.sha256(b"tram-asked-v1" + cbor.dump([station, public, more])).digest()


def signed_part(data: bytes) -> bytes:
    """What a station's key signs of a request to renew."""
    return b"tram-renew-v1" + data


# --- the six words --------------------------------------------------------------------------------------------------------------------

_ONSETS = ("", "b", "ch", "c", "d", "g", "h", "kh", "l", "m", "ng", "nh", "n", "ph", "r", "s", "th", "tr", "t", "v", "x", "gi", "qu", "p")
_ENDINGS = (
    "a ac ach ai am an ang anh ao ap at au ay e ec em en eo ep et eu i ich iem ien ieng iet ieu im in inh ip it iu o oa oac oai oan oang",
    "oat oc oi om on ong op ot u ua uan uc ue ui um un ung uoc uoi uom uon uong uot up ut uy uyen uyet uynh oe oen oet ia iec iep uat uay",
    "uu ex enh ech oong eng oanh oach yeu yen yet uya uyt oay",
)
_RIMES = tuple(rime for line in _ENDINGS for rime in line.split())
WORDS, WORD_BITS = 6, 11
"""Six words of 2048: 66 bits."""


def word_list() -> tuple[str, ...]:
    """2048 syllables without marks, in a fixed order: beginnings times endings, spelt as Vietnamese spells them, each once."""
    found = dict.fromkeys(_syllable(onset, rime) for rime in _RIMES for onset in _ONSETS)
    return tuple(one for one in found if one)[: 1 << WORD_BITS]


def _syllable(onset: str, rime: str) -> str:
    """One syllable, or nothing where the two do not go together."""
    front = rime[0] in "iey"
    if onset == "c" and front:
        onset = "k"
    elif onset in ("ng", "g") and front:
        onset += "h" if rime[0] != "i" or onset == "ng" else ""
    if (onset == "qu" and rime[0] in "ou") or (onset == "gi" and rime[0] in "iy"):
        return ""
    return onset + rime


def phrase(digest: bytes) -> str:
    """The first 66 bits of a digest as six words, to be compared by two people.

    >>> len(phrase(bytes(32)).split())
    6
    """
    words, number = word_list(), int.from_bytes(digest[:16])
    return " ".join(words[number >> (128 - WORD_BITS * (place + 1)) & (len(words) - 1)] for place in range(WORDS))


def phrase_of(root: bytes, public: bytes, sign: bytes, pins: tuple[Pin, ...]) -> str:
    """The six words of an enrolment: whoever changed the authority, the station's keys or the bridge's has other words.

    `root` is the root certificate (DER), `public` the station's P-256 key (DER of its SubjectPublicKeyInfo), `sign` its Ed25519 key.
    """
    ordered = [[one.purpose, one.key_id, one.public] for one in sorted(pins, key=lambda one: (one.purpose, one.key_id))]
    return phrase(hashlib.sha256(b"tram-phrase-v1" + cbor.dump([root, public, sign, ordered])).digest())
