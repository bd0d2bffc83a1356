"""The second factor: six digits from a telephone (TOTP, RFC 6238) or a one-time recovery code.

The secret is kept sealed (AES-256-GCM) with a key that lies beside the answer keys and not in the database, and bound to
its login, so that neither a dump of the database nor a row copied to another login opens anything. Recovery codes are kept
as HMAC-SHA-256 under the same key. A code is good once, as RFC 6238 (5.2) asks: the step it belongs to is remembered.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, func, select, update

from cloud_bridge.store.console_tables import recovery_code, second_factor
from cloud_bridge.store.writing import upsert

ISSUER = "Tram"
"""What a telephone shows beside the login."""
STEP = 300
"""Tenths of a second that a code is for: 30 s, the default of RFC 6238 and of every telephone's program."""
DRIFT = 1
"""Steps that the telephone's clock may be early or late (RFC 6238, 5.2 recommends at most one)."""
SECRET_BYTES = 20
"""The length that RFC 4226 recommends: as long as SHA-1's result."""
CODES = 8
_CODE_BYTES = 10
"""80 bits: sixteen letters and digits."""
_NONCE_BYTES = 12
_DOMAIN = b"tram-second-factor-v1\0"

Random = Callable[[int], bytes]


class SealBroken(ValueError):  # noqa: N818 - reads as a sentence
    """A second factor that this key does not open: another key folder, or a row that somebody moved. An administrator resets it."""


@dataclass(frozen=True, slots=True)
class Factor:
    """Somebody's second factor: the secret in base32, whether its owner has shown a right code, the last step used."""

    secret: str
    confirmed: bool
    counter: int


def get(tx: Connection, key: bytes, login: str) -> Factor | None:
    """The second factor of a login; None where none was made. SealBroken when it cannot be opened."""
    row = tx.execute(select(second_factor).where(second_factor.c.login == login)).one_or_none()
    if row is None:
        return None
    sealed = bytes(row.sealed)
    try:
        secret = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _DOMAIN + login.encode())
    except InvalidTag:
        raise SealBroken(login) from None
    return Factor(base64.b32encode(secret).decode(), row.confirmed is not None, row.counter)


def prepare(tx: Connection, key: bytes, login: str, random: Random, now: int) -> Factor:
    """The factor of a login, made now where there is none. Until its owner confirms it, it opens nothing."""
    found = get(tx, key, login)
    if found is not None:
        return found
    nonce = random(_NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, random(SECRET_BYTES), _DOMAIN + login.encode())
    fresh = upsert(tx, second_factor).values(login=login, sealed=sealed, made=now, confirmed=None, counter=0)
    tx.execute(fresh.on_conflict_do_nothing())  # two pages at once: the first one's stays
    made = get(tx, key, login)
    assert made is not None
    return made


def confirmed(tx: Connection, login: str) -> bool:
    """Whether a login has a second factor that opens."""
    c = second_factor.c
    return tx.execute(select(c.login).where(c.login == login, c.confirmed.is_not(None))).first() is not None


def address(login: str, secret: str) -> str:
    """The ``otpauth`` address that a telephone's program reads."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


def use(tx: Connection, key: bytes, login: str, code: str, now: int) -> bool:
    """Whether this is the right code now, six digits or a recovery code; a code that was right is not right again.

    An unconfirmed factor takes no recovery code and is confirmed by its first right one.
    """
    tx.execute(select(second_factor.c.login).where(second_factor.c.login == login).with_for_update())
    found = get(tx, key, login)
    if found is None:
        return False
    given = "".join(code.split()).replace("-", "").upper()
    if not (given.isascii() and given.isdigit() and len(given) == 6):
        return found.confirmed and _spend(tx, key, login, given, now)
    step = _step(found.secret, given, now // STEP)
    if step is None or step <= found.counter:
        return False
    values = {"counter": step} | ({} if found.confirmed else {"confirmed": now})
    tx.execute(update(second_factor).where(second_factor.c.login == login).values(**values))
    return True


def _step(secret: str, given: str, now_step: int) -> int | None:
    """The latest step near now whose code this is."""
    import pyotp

    totp = pyotp.TOTP(secret)
    near = range(now_step + DRIFT, max(now_step - DRIFT, 0) - 1, -1)
    right = [step for step in near if hmac.compare_digest(totp.generate_otp(step), given)]
    return right[0] if right else None


def new_codes(tx: Connection, key: bytes, login: str, random: Random) -> list[str]:
    """Eight new recovery codes, to be shown once; the ones before them are void."""
    codes = [base64.b32encode(random(_CODE_BYTES)).decode() for _ in range(CODES)]
    tx.execute(delete(recovery_code).where(recovery_code.c.login == login))
    tx.execute(recovery_code.insert(), [{"login": login, "digest": _digest(key, login, code), "used": None} for code in codes])
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]


def codes_left(tx: Connection, login: str) -> int:
    """How many recovery codes are still good."""
    c = recovery_code.c
    return int(tx.execute(select(func.count()).where(c.login == login, c.used.is_(None))).scalar_one())


def _spend(tx: Connection, key: bytes, login: str, given: str, now: int) -> bool:
    c = recovery_code.c
    mine = (c.login == login, c.digest == _digest(key, login, given), c.used.is_(None))
    return tx.execute(update(recovery_code).where(*mine).values(used=now)).rowcount == 1


def _digest(key: bytes, login: str, code: str) -> bytes:
    return hmac.new(key, _DOMAIN + login.encode() + b"\0" + code.encode(), hashlib.sha256).digest()


def forget(tx: Connection, login: str) -> None:
    """Take a second factor and its recovery codes away: the next login makes a new one."""
    for table in (second_factor, recovery_code):
        tx.execute(delete(table).where(table.c.login == login))
