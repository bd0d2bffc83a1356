"""One emergency in one text message: what still passes where no line does. Pure: keys, nonces and times are arguments.

An 8-bit SMS carries 140 bytes (3GPP TS 23.040, 9.2.3.24). The header says whose key opens it and nothing else; the rest is
AES-256-GCM under a key derived from the station's content key (`key_of`), the header being the associated data. No name, no
number of a patient is in it. The sender's number proves nothing and is not looked at: what opens, the station wrote.

======  =====  ==========================================================
offset  bytes  what
======  =====  ==========================================================
0       1      ``21`` an alarm (station to bridge), ``22`` its acknowledgement
1       4      the station: first bytes of SHA-256 of its id
5       2      the key: first bytes of SHA-256 of the station's epoch
7       4      number of the alarm within the epoch, from 1
11      7      random
18      n      canonical CBOR, sealed; the last 16 bytes are the tag
======  =====  ==========================================================
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.contract import cbor
from appliance.contract.errors import WireError
from appliance.contract.events import Department, Sex, Urgency
from appliance.contract.metrics import Metric

MOST_BYTES = 140
"""What one 8-bit SMS carries (TS 23.040: TP-UDL is at most 140 octets); a longer one would be two, and half an alarm is none."""
ALARM, ACKNOWLEDGEMENT = 0x21, 0x22
HEADER_BYTES = 18
TAG_BYTES = 16
RANDOM_BYTES = 7
KEY_BYTES = 32
TENTH = 10
"""Vitals travel as tenths of their unit: 36.7 °C is 367."""
OLDEST_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Vital:
    """One measured number: `tenths` of the metric's unit, `minutes` before the alarm was raised."""

    metric: Metric
    tenths: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is raised. `call` is the number of the press (the same that the line brings later), `wall` when it was pressed, tenths
    of a second since 1970. The rest describes the request the press is about and is missing where there is none: its number,
    how urgent, for whom; sex and whole years of age, never a name; the vitals it cites, newest first.
    """

    call: int
    wall: int
    consult: int = 0
    urgency: Urgency = Urgency.EMERGENCY
    department: Department | None = None
    sex: Sex | None = None
    age: int | None = None
    vitals: tuple[Vital, ...] = ()
    test: bool = False
    """True where a simulator stands behind a vital."""


@dataclass(frozen=True, slots=True)
class Head:
    """The clear part of a message."""

    kind: int
    station: bytes
    epoch: bytes
    number: int


def key_of(content_key: bytes, station: str) -> bytes:
    """The key of a station's messages in one epoch, 32 bytes, derived from the epoch's content key (HKDF-SHA256, RFC 5869)."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"tram-sms-v1|" + station.encode()).derive(content_key)


def station_tag(station: str) -> bytes:
    """The four bytes that stand for a station in a header."""
    return hashlib.sha256(station.encode()).digest()[:4]


def epoch_tag(epoch: bytes) -> bytes:
    """The two bytes that stand for an epoch in a header."""
    return hashlib.sha256(epoch).digest()[:2]


def seal_alarm(alarm: Alarm, number: int, key: bytes, station: str, epoch: bytes, random: Callable[[int], bytes]) -> bytes:
    """The message, at most 140 bytes: where there is no room for every vital, the last ones of `alarm.vitals` stay behind."""
    kept = alarm.vitals
    while True:
        body = cbor.dump(_give(alarm, kept))
        if HEADER_BYTES + len(body) + TAG_BYTES <= MOST_BYTES or not kept:
            return _seal(ALARM, number, body, key, station, epoch, random(RANDOM_BYTES))
        kept = kept[:-1]


def digest(alarm: bytes) -> bytes:
    """The eight bytes an acknowledgement names an alarm by: numbers can come again after a restore, bytes do not."""
    return hashlib.sha256(alarm).digest()[:8]


def seal_acknowledgement(alarm: bytes, at: int, key: bytes, station: str, epoch: bytes, random: Callable[[int], bytes]) -> bytes:
    """The bridge has committed `alarm` (its bytes as they came); `at` is its time, tenths of a second since 1970."""
    return _seal(ACKNOWLEDGEMENT, head(alarm).number, cbor.dump([at, digest(alarm)]), key, station, epoch, random(RANDOM_BYTES))


def head(message: bytes) -> Head:
    """The clear part; WireError for what cannot be one of ours."""
    if not HEADER_BYTES + TAG_BYTES < len(message) <= MOST_BYTES:
        raise WireError("length", f"{len(message)} bytes: a message has {HEADER_BYTES + TAG_BYTES + 1} to {MOST_BYTES}")
    if message[0] not in (ALARM, ACKNOWLEDGEMENT):
        raise WireError("type", f"first byte {message[0]:02x}")
    return Head(message[0], message[1:5], message[5:7], int.from_bytes(message[7:11]))


def open_alarm(message: bytes, key: bytes) -> Alarm:
    """What an alarm says; WireError ``seal`` when `key` does not open it."""
    return _take(_open(message, ALARM, key))


def open_acknowledgement(message: bytes, key: bytes) -> tuple[int, bytes]:
    """When the bridge says it took the alarm, and the `digest` of which; WireError when the key does not open it or it is none."""
    body = _open(message, ACKNOWLEDGEMENT, key)
    if not isinstance(body, list) or len(body) < 2 or type(body[0]) is not int or type(body[1]) is not bytes:
        raise WireError("shape", "an acknowledgement is a time and a digest")
    return body[0], body[1]


def _seal(kind: int, number: int, body: bytes, key: bytes, station: str, epoch: bytes, random: bytes) -> bytes:
    clear = bytes([kind]) + station_tag(station) + epoch_tag(epoch) + number.to_bytes(4) + random
    return clear + AESGCM(key).encrypt(_nonce(clear), body, clear)


def _nonce(clear: bytes) -> bytes:
    """96 bits: the kind, so that the two ways never meet; seven random bytes, so that a cloned card repeats none; the number."""
    return clear[:1] + clear[11:18] + clear[7:11]


def _open(message: bytes, kind: int, key: bytes) -> Any:
    if head(message).kind != kind:
        raise WireError("type", f"first byte {message[0]:02x}")
    clear = message[:HEADER_BYTES]
    try:
        body = AESGCM(key).decrypt(_nonce(clear), message[HEADER_BYTES:], clear)
    except InvalidTag as error:
        raise WireError("seal", "the key does not open it") from error
    return cbor.load(body)


def _give(alarm: Alarm, vitals: Sequence[Vital]) -> list[Any]:
    flat = [number for one in vitals for number in (int(one.metric), one.tenths, one.minutes)]
    about: list[Any] = [
        alarm.consult, int(alarm.urgency), None if alarm.department is None else int(alarm.department),
        None if alarm.sex is None else int(alarm.sex), alarm.age, flat, alarm.test,
    ]  # fmt: skip
    return [alarm.call, alarm.wall, *(about if alarm.consult else [])]


def _take(body: Any) -> Alarm:
    if not isinstance(body, list) or len(body) < 2 or not all(type(one) is int and one >= 0 for one in body[:2]):
        raise WireError("shape", "an alarm is a list that begins with two numbers")
    if len(body) == 2:
        return Alarm(body[0], body[1])
    if len(body) < 9:
        raise WireError("shape", f"an alarm about a request has 9 entries, not {len(body)}")
    consult, urgency, department, sex, age, vitals, test = body[2:9]  # entries behind these belong to later versions
    try:
        return Alarm(
            body[0], body[1], _whole(consult), Urgency(urgency), None if department is None else Department(department),
            None if sex is None else Sex(sex), None if age is None else _whole(age, 130), _vitals(vitals), test is True,
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise WireError("shape", str(error)) from error


def _vitals(flat: Any) -> tuple[Vital, ...]:
    if not isinstance(flat, list) or len(flat) % 3:
        raise ValueError("vitals are threes of numbers")
    threes = [flat[at : at + 3] for at in range(0, len(flat), 3)]
    # A metric of a later version is passed over: the rest of the alarm must not wait for an update.
    return tuple(Vital(Metric(one), _whole(tenths, 100_000), _whole(ago, OLDEST_MINUTES)) for one, tenths, ago in threes if one in _KNOWN)


_KNOWN = frozenset(Metric)


def _whole(value: Any, most: int = (1 << 40) - 1) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{value!r} is not a whole number from 0 to {most}")
    return value
