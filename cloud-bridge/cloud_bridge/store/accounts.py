"""Who may use the console, and how often somebody may guess.

Passwords are kept as Argon2id hashes; the hasher is given by the composition root. The lock-out counts in the database,
so it survives a restart and holds for every process.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, insert, select, update

from appliance.contract.events import Department
from cloud_bridge.store.tables import account

TRIES = 5
"""Wrong passwords before the first pause."""
PAUSE = 600
MOST = 9_000
"""Tenths of a second: the first pause is one minute, each further wrong password doubles it, up to 15 minutes."""
LEAST_CHARACTERS = 12
"""A password's least length (NIST SP 800-63B-4 asks for 15 where it stands alone; the console adds a lock-out)."""


class Role(StrEnum):
    """What somebody may do here."""

    DOCTOR = "doctor"
    """Opens, asks, answers and signs."""
    VIEWER = "viewer"
    """Reads; opens and signs nothing."""
    COORDINATOR = "coordinator"
    """Writes the rota and watches the stations; sees no word of a patient."""
    ADMIN = "admin"
    """Sees who has an account and which stations there are, of every organisation; sees no word of a patient."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in. `name` is the name that stations see."""

    login: str
    name: str
    role: Role
    organisation: str
    department: Department | None
    locked: bool
    generation: int
    second_needed: bool = True

    @property
    def signs(self) -> bool:
        """True for somebody whose opening counts as *a doctor has opened it* and who may sign."""
        return self.role is Role.DOCTOR


@dataclass(frozen=True, slots=True)
class Denied:
    """A login that is not accepted. `reason`: ``wrong``, ``pause`` (until `until`, tenths since 1970), ``locked``."""

    reason: str
    until: int = 0


def add(
    tx: Connection, hasher: PasswordHasher, login: str, password: str, at: int, *, name: str, role: Role, organisation: str = "",
    department: Department | None = None, second_needed: bool = True,
) -> None:  # fmt: skip
    """A new account; ValueError when the login is taken. Without a second factor only for a demonstration: the caller sees to that."""
    if get(tx, login) is not None:
        raise ValueError(f"there is a user {login!r} already")
    row = {"name": name, "role": role.value, "organisation": organisation, "department": None if department is None else int(department)}
    state = {"locked": False, "generation": 1, "failures": 0, "blocked_until": 0, "created": at, "second_needed": second_needed}
    tx.execute(insert(account).values(login=login, password=hasher.hash(password), **row, **state))


def get(tx: Connection, login: str) -> Account | None:
    """The account of a login."""
    row = tx.execute(select(account).where(account.c.login == login)).one_or_none()
    if row is None:
        return None
    department = None if row.department is None else Department(row.department)
    return Account(
        row.login, row.name, Role(row.role), row.organisation, department, bool(row.locked), row.generation, bool(row.second_needed)
    )


def everybody(tx: Connection) -> list[Account]:
    """All accounts by login."""
    logins = [login for (login,) in tx.execute(select(account.c.login).order_by(account.c.login))]
    return [found for login in logins if (found := get(tx, login)) is not None]


def names(tx: Connection) -> dict[str, str]:
    """The name behind each login."""
    return {row.login: row.name for row in tx.execute(select(account.c.login, account.c.name))}


def set_password(tx: Connection, hasher: PasswordHasher, login: str, password: str) -> None:
    """A new password: open sessions end, the pause is over. ValueError for nobody."""
    values = {"password": hasher.hash(password), "generation": account.c.generation + 1, "failures": 0, "blocked_until": 0}
    _change(tx, login, **values)


def set_locked(tx: Connection, login: str, locked: bool) -> None:
    """Shut somebody out (open sessions end) or let them in again. ValueError for nobody."""
    _change(tx, login, locked=locked, generation=account.c.generation + 1, failures=0, blocked_until=0)


def change(tx: Connection, login: str, *, organisation: str | None = None, department: Department | None = None) -> None:
    """Move somebody to another organisation or department: open sessions end. ValueError for nobody."""
    values: dict[str, object] = {} if organisation is None else {"organisation": organisation}
    if department is not None:
        values["department"] = int(department)
    _change(tx, login, **values, generation=account.c.generation + 1)


def end_sessions(tx: Connection, login: str) -> None:
    """Whatever is open of this account is over. ValueError for nobody."""
    _change(tx, login, generation=account.c.generation + 1)


def _change(tx: Connection, login: str, **values: object) -> None:
    if tx.execute(update(account).where(account.c.login == login).values(**values)).rowcount != 1:
        raise ValueError(f"there is no user {login!r}")


def check(tx: Connection, hasher: PasswordHasher, login: str, password: str, now: int, *, last: bool = True) -> Account | Denied:
    """Whether this password is that of `login`: the account, or the refusal. Never raises, so that the count is committed.

    The wrong password of somebody who does not exist takes as long as that of somebody who does. With `last` false something
    is still asked after the password: the count of wrong tries then goes on, so that a known password does not buy tries at a code.
    """
    row = tx.execute(select(account).where(account.c.login == login).with_for_update()).one_or_none()
    if row is None:
        hasher.hash(password)
        return Denied("wrong")
    shut = _shut(row, now)
    if shut is not None:
        return shut
    try:
        hasher.verify(row.password, password)
    except (VerificationError, InvalidHashError):
        return _wrong(tx, login, row.failures + 1, now)
    if hasher.check_needs_rehash(row.password):
        _change(tx, login, password=hasher.hash(password))
    found = get(tx, login)
    assert found is not None
    if last or not found.second_needed:
        succeeded(tx, login)
    return found


def may_try(tx: Connection, login: str, now: int) -> Denied | None:
    """Why nobody may try anything with this login at `now`; None when they may. Other tries wait for the end of the transaction."""
    row = tx.execute(select(account).where(account.c.login == login).with_for_update()).one_or_none()
    return Denied("wrong") if row is None else _shut(row, now)


def failed(tx: Connection, login: str, now: int) -> Denied:
    """A wrong code counts as a wrong password does."""
    failures = tx.execute(select(account.c.failures).where(account.c.login == login)).scalar_one()
    return _wrong(tx, login, failures + 1, now)


def succeeded(tx: Connection, login: str) -> None:
    """Everything that is asked for was right: the count begins anew."""
    _change(tx, login, failures=0, blocked_until=0)


def _shut(row: Any, now: int) -> Denied | None:
    if row.locked:
        return Denied("locked")
    return Denied("pause", row.blocked_until) if row.blocked_until > now else None


def _wrong(tx: Connection, login: str, failures: int, now: int) -> Denied:
    over = failures - TRIES
    until = now + min(PAUSE << min(over, 10), MOST) if over >= 0 else 0
    _change(tx, login, failures=failures, blocked_until=until)
    return Denied("pause", until) if until else Denied("wrong")
