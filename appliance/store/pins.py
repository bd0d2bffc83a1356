"""PINs: six digits per person, and a lock that neither a power cut, a reboot nor a changed clock opens earlier.

What Argon2id hashes is HMAC-SHA256(device secret, PIN): six digits alone fall within hours to whoever has the hash, so a
copy of the store without the secret's file is worth nothing. The secret is a file beside the store (`settings.kiosk.secret_file`,
mode 0640, group of the store), because the kiosk must be able to read it; whoever steals the whole card with the store's
key has it too, and then the PINs are worth a day's guessing: they protect the screen, the store's key protects the data.

A try is counted and committed *before* the hash is compared. Five tries are free, then each costs a wait of 1, 2, 4 …
minutes, at most an hour; and never are more than ten wrong ones taken within one hour, however often the right PIN comes in
between. Waits are reckoned in ticks of CLOCK_BOOTTIME: the wall clock plays no part, and after a reboot a wait begins again
in full.

Tries from the station's own network are counted apart: whoever guesses there locks nobody out at the screen. After `MOST_AFAR`
wrong ones in a row that way is shut for the person until they sign in at the screen, or the lead unlocks: guessing ends there.
"""

import hashlib
import hmac
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from appliance.contract.readings import Stamp
from appliance.database import Connection, Row, StoreError, transaction
from appliance.store import audit
from appliance.store.errors import Damaged, Refused

DIGITS = 6
FREE = 5
"""Wrong tries before the first wait."""
FIRST_WAIT, LONGEST_WAIT = 600, 36_000
"""Tenths of a second: one minute after the fifth wrong try, twice as long after each further one, an hour at most."""
HOUR, MOST_PER_HOUR = 36_000, 10
"""Within so many tenths of a second no more wrong tries are taken than this (facts: at most 10 guesses an hour)."""
MOST_AFAR = 20
"""Wrong tries in a row from the station's network before only the screen takes the PIN: 20 of a million that are possible."""
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Cost:
    """What a guess costs: Argon2id passes, KiB of memory, lanes."""

    time: int
    memory: int
    parallelism: int


OWASP = Cost(2, 19 * 1024, 1)
"""OWASP password storage cheat sheet: Argon2id with at least 19 MiB, t = 2, p = 1."""
_ONE_AT_A_TIME = threading.Lock()
"""A comparison takes 19 MiB: the kiosk's four threads take turns."""


class Wrong(Refused):
    """Not this person's PIN. `left` are the tries before the next wait."""

    def __init__(self, left: int) -> None:
        more = f" Còn {left} lần thử." if left else ""
        super().__init__(f"Mã PIN không đúng.{more}", f"The PIN is wrong.{f' {left} tries left.' if left else ''}")
        self.left = left


class Locked(Refused):
    """No try is taken now. `wait` are the tenths of a second until the next one."""

    def __init__(self, wait: int) -> None:
        minutes = -(-wait // 600)
        super().__init__(
            f"Nhập sai nhiều lần nên phải chờ {minutes} phút. Cần ngay thì nhờ trưởng trạm mở khóa.",
            f"Too many wrong PINs: wait {minutes} min, or ask the lead to unlock.",
        )
        self.wait = wait


class Shut(Refused):
    """No try from the network is taken any more before the person has signed in at the screen."""

    def __init__(self) -> None:
        super().__init__(
            "Nhập sai quá nhiều lần từ máy khác. Đăng nhập một lần ở màn hình của trạm, hoặc nhờ trưởng trạm mở khóa, rồi vào lại.",
            "Too many wrong PINs from this network: sign in once at the station's own screen, or ask the lead to unlock.",
        )


class Unset(Refused):
    """The person has no PIN that could be compared on this box."""


NO_PIN = ("Chưa có mã PIN. Nhờ trưởng trạm hoặc kỹ thuật viên đặt.", "No PIN has been set: ask the lead or the technician.")
"""What somebody without a PIN is told."""


@dataclass(frozen=True, slots=True)
class PinState:
    """How it stands with one person's PIN: whether there is one, wrong tries in a row, tenths of a second until the next try."""

    code: str
    is_set: bool
    failures: int
    wait: int


# --- the device's secret --------------------------------------------------------------------------------------------------------------


def read_secret(file: Path) -> bytes:
    """The device's secret; StoreError when it is missing, readable by others or of another length."""
    try:
        with file.open("rb") as source:
            mode = os.fstat(source.fileno()).st_mode
            secret = source.read(SECRET_BYTES + 1)
    except OSError as error:
        raise _no_secret(file, error.strerror or str(error)) from error
    if mode & 0o007:
        raise _no_secret(file, "others may read it: chmod o-rwx")
    if len(secret) != SECRET_BYTES:
        raise _no_secret(file, f"it does not hold {SECRET_BYTES} bytes")
    return secret


def _no_secret(file: Path, why: str) -> StoreError:
    return StoreError(
        "secret", str(file), f"the device's secret cannot be used ({why}): tram init", "Không đọc được khóa bí mật của thiết bị"
    )


def _name_of(secret: bytes) -> bytes:
    """Tells one secret from another without giving it away."""
    return hashlib.sha256(b"tram-pin-secret\0" + secret).digest()[:8]


# --- setting ------------------------------------------------------------------------------------------------------------------------------


def refuse_weak(pin: str) -> None:
    """Refused, with a sentence, unless `pin` is six digits that are not the first anybody would try.

    >>> refuse_weak("480713")
    >>> [weak(each) for each in ("000000", "123456", "987654", "890123", "121212", "123123", "480713")]
    [True, True, True, True, True, True, False]
    """
    if not re.fullmatch(f"[0-9]{{{DIGITS}}}", pin):
        raise Refused(f"Mã PIN có đúng {DIGITS} chữ số.", f"A PIN has exactly {DIGITS} digits.")
    if weak(pin):
        raise Refused(
            "Mã PIN này quá dễ đoán (số giống nhau, liền nhau hoặc lặp lại). Chọn mã khác.",
            "This PIN is too easy to guess (equal, consecutive or repeated digits). Choose another one.",
        )


def weak(pin: str) -> bool:
    """True for equal, ascending, descending (also over 9 to 0) and repeated digits."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    return steps in ({0}, {1}, {9}) or pin in (pin[:2] * 3, pin[:3] * 2)


def give(conn: Connection, secret: bytes, code: str, pin: str, *, by: str, now: Stamp, cost: Cost = OWASP) -> None:
    """Set somebody's PIN and open their lock. Own transaction. Refused for a weak PIN or an unknown person."""
    refuse_weak(pin)
    from argon2 import PasswordHasher

    with _ONE_AT_A_TIME:
        hashed = PasswordHasher(cost.time, cost.memory, cost.parallelism).hash(_mixed(secret, pin))
    with transaction(conn):
        if conn.execute("SELECT 1 FROM staff WHERE code = ? AND active = 1", (code,)).fetchone() is None:
            raise Refused(f"Không có nhân viên mã {code}.", f"no active staff member has the code {code}")
        conn.execute(
            "INSERT INTO staff_pin (code, hash, secret, since) VALUES (?, ?, ?, ?) ON CONFLICT (code) DO UPDATE SET"
            " hash = excluded.hash, secret = excluded.secret, since = excluded.since, failures = 0, tries = '[]'",
            (code, hashed, _name_of(secret), now.wall),
        )
        conn.execute(_FORGET, (code,))
        audit.note(conn, actor=by, action="pin.set", now=now, subject=f"staff:{code}")


def _mixed(secret: bytes, pin: str) -> bytes:
    return hmac.digest(secret, pin.encode(), "sha256")


# --- trying -------------------------------------------------------------------------------------------------------------------------------


def attempt(conn: Connection, secret: bytes, code: str, pin: str, *, now: Stamp, action: str = "staff.login", origin: str = "") -> int:
    """Compare `pin` with the person's. Returns when it is right; Locked, Wrong, Shut, Unset or Refused otherwise, Damaged where
    the kept hash is none.

    `origin` says from where in the station's network it came (``lan:10.77.0.23``); empty: from the screen. The answer is how
    many wrong tries had come over the network since the person last signed in at the screen; 0 to those who sign in from there.

    Two transactions of its own around the comparison: the first counts the try, the second takes it back when it was right.
    What was no six digits, or came during a wait, is not compared and not counted. The audit entry (`action`, ``pin.wrong``,
    ``pin.locked``) is written with the second: a power cut in between leaves a counted try without an entry.
    """
    if not re.fullmatch(f"[0-9]{{{DIGITS}}}", pin):
        raise Refused(f"Mã PIN có đúng {DIGITS} chữ số.", f"A PIN has exactly {DIGITS} digits.")
    hashed = _count(conn, secret, code, now, afar=bool(origin))
    right = _matches(hashed, _mixed(secret, pin))
    with transaction(conn):
        if right:
            guessed = 0 if origin else _afar(conn, code)
            _take_back(conn, code, now, afar=bool(origin))
            audit.note(conn, actor=code, action=action, now=now, subject=origin)
            return guessed
        row = _row(conn, code, afar=bool(origin))
        wait = _wait(row, now) if row is not None else 0
        subject = f"staff:{code} {origin}".rstrip()
        audit.note(conn, actor="", action="pin.locked" if wait else "pin.wrong", now=now, subject=subject)
    if origin and row is not None and row["failures"] >= MOST_AFAR:
        raise Shut
    raise Locked(wait) if wait else Wrong(_left(row, now))


def _afar(conn: Connection, code: str) -> int:
    """Wrong tries from the network since the person last signed in at the screen."""
    found = conn.execute("SELECT wrong FROM staff_pin_afar WHERE code = ?", (code,)).fetchone()
    return 0 if found is None else int(found[0])


def _count(conn: Connection, secret: bytes, code: str, now: Stamp, *, afar: bool) -> str:
    """Count a try, committed; the hash to compare with."""
    with transaction(conn):
        row = _row(conn, code, afar=afar)
        if row is None or not row["hash"]:
            raise Unset(*NO_PIN)
        if bytes(row["secret"]) != _name_of(secret):
            raise Unset(
                "Khóa của thiết bị đã đổi nên mã PIN cũ không dùng được. Nhờ kỹ thuật viên đặt lại.",
                "The device's secret is another one: every PIN has to be set again by the technician.",
            )
        if afar and row["failures"] >= MOST_AFAR:
            raise Shut
        wait = _wait(row, now)
        if wait:
            raise Locked(wait)
        tries = [*_tries(row, now), now.ticks][-MOST_PER_HOUR:]
        conn.execute(_COUNT_AFAR if afar else _COUNT, {"boot": now.boot, "tries": json.dumps(tries), "code": code})
    return str(row["hash"])


def _matches(hashed: str, mixed: bytes) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    with _ONE_AT_A_TIME:
        try:
            return PasswordHasher().verify(hashed, mixed)
        except VerificationError:
            return False
        except InvalidHashError as error:
            raise Damaged("staff_pin", 0) from error


def _take_back(conn: Connection, code: str, now: Stamp, *, afar: bool) -> None:
    """The try was right: it does not count, and the tries in a row begin anew; wrong ones of the last hour stay.

    At the screen the way over the network opens again too, with all its tries.
    """
    row = _row(conn, code, afar=afar)
    if row is None:
        return
    if not afar:
        conn.execute(_FORGET, (code,))
    tries = _tries(row, now)
    if now.ticks in tries:
        tries.remove(now.ticks)
    conn.execute(_RIGHT_AFAR if afar else _RIGHT, {"boot": now.boot, "tries": json.dumps(tries), "code": code})


_COUNT = "UPDATE staff_pin SET failures = failures + 1, boot = :boot, tries = :tries WHERE code = :code"
_COUNT_AFAR = (
    "INSERT INTO staff_pin_afar (code, failures, wrong, boot, tries) VALUES (:code, 1, 1, :boot, :tries) ON CONFLICT (code) DO UPDATE SET"
    " failures = failures + 1, wrong = wrong + 1, boot = excluded.boot, tries = excluded.tries"
)
_RIGHT = "UPDATE staff_pin SET failures = 0, boot = :boot, tries = :tries WHERE code = :code"
_RIGHT_AFAR = "UPDATE staff_pin_afar SET failures = 0, wrong = wrong - 1, boot = :boot, tries = :tries WHERE code = :code"
_FORGET = "DELETE FROM staff_pin_afar WHERE code = ?"
_SELECT = "SELECT p.code, p.hash, p.secret, p.failures, p.boot, p.tries FROM staff_pin AS p JOIN staff AS s ON s.code = p.code"
_SELECT_AFAR = (
    "SELECT p.code, p.hash, p.secret, coalesce(a.failures, 0) AS failures, coalesce(a.boot, 0) AS boot, coalesce(a.tries, '[]') AS tries"
    " FROM staff_pin AS p JOIN staff AS s ON s.code = p.code LEFT JOIN staff_pin_afar AS a ON a.code = p.code"
)


def _row(conn: Connection, code: str, *, afar: bool = False) -> Row | None:
    select = _SELECT_AFAR if afar else _SELECT
    found: Row | None = conn.execute(f"{select} WHERE p.code = ? AND s.active = 1", (code,)).fetchone()
    return found


def _tries(row: Row, now: Stamp) -> list[int]:
    """When the tries of the last hour were, in ticks of this boot. Those of another boot count from this one's beginning."""
    said: list[int] = json.loads(row["tries"])
    return [each for each in said if now.ticks - each < HOUR] if row["boot"] == now.boot else [0] * len(said)


def _wait(row: Row, now: Stamp) -> int:
    """Tenths of a second until a try is taken; 0 when it is now."""
    tries = _tries(row, now)
    if not tries:
        return 0
    ends = tries[-1] + pause(row["failures"])
    if len(tries) >= MOST_PER_HOUR:
        ends = max(ends, tries[-MOST_PER_HOUR] + HOUR)
    return max(0, ends - now.ticks)


def pause(failures: int) -> int:
    """The wait after so many wrong tries in a row, in tenths of a second.

    >>> [pause(each) // 600 for each in range(4, 14)]
    [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    """
    return 0 if failures < FREE else min(FIRST_WAIT << min(failures - FREE, 16), LONGEST_WAIT)


def _left(row: Row | None, now: Stamp) -> int:
    """Tries before the next wait."""
    if row is None:
        return 0
    return max(0, min(FREE - int(row["failures"]), MOST_PER_HOUR - len(_tries(row, now))))


# --- looking and unlocking ----------------------------------------------------------------------------------------------------------------


def states(conn: Connection, now: Stamp, *, afar: bool = False) -> dict[str, PinState]:
    """How it stands with everybody who is active and has a PIN, by code; `afar`: for those who sign in over the network."""
    rows = conn.execute(f"{_SELECT_AFAR if afar else _SELECT} WHERE s.active = 1").fetchall()
    return {row["code"]: PinState(row["code"], bool(row["hash"]), int(row["failures"]), _wait(row, now)) for row in rows}


def unlock(conn: Connection, code: str, *, by: str, now: Stamp) -> None:
    """The lead lets somebody try again at once; the PIN stays. Own transaction."""
    with transaction(conn):
        done = conn.execute("UPDATE staff_pin SET failures = 0, tries = '[]' WHERE code = ?", (code,))
        if done.rowcount != 1:
            raise Refused(f"Nhân viên mã {code} chưa có mã PIN.", f"{code} has no PIN")
        conn.execute(_FORGET, (code,))
        audit.note(conn, actor=by, action="pin.unlock", now=now, subject=f"staff:{code}")


def invent(random: Callable[[int], bytes]) -> str:
    """A PIN that is not weak, from so many random bytes: for demonstrations and first days."""
    while True:
        pin = f"{int.from_bytes(random(8)) % 10**DIGITS:0{DIGITS}d}"
        if not weak(pin):
            return pin
