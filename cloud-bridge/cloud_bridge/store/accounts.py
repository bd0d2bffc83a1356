"""Who may use the console, and how often somebody may guess.

Passwords are kept as Argon2id hashes; the hasher is given by the composition root. The lock-out counts in the database,
so it survives a restart and holds for every process.
"""

from dataclasses import dataclass
from enum import StrEnum

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
    department: Department | None = None,
) -> None:  # fmt: skip
    """A new account; ValueError when the login is taken."""
    if get(tx, login) is not None:
        raise ValueError(f"there is a user {login!r} already")
    row = {"name": name, "role": role.value, "organisation": organisation, "department": None if department is None else int(department)}
    state = {"locked": False, "generation": 1, "failures": 0, "blocked_until": 0, "created": at}
    tx.execute(insert(account).values(login=login, password=hasher.hash(password), **row, **state))


def get(tx: Connection, login: str) -> Account | None:
    """The account of a login."""
    row = tx.execute(select(account).where(account.c.login == login)).one_or_none()
    if row is None:
        return None
    department = None if row.department is None else Department(row.department)
    return Account(row.login, row.name, Role(row.role), row.organisation, department, bool(row.locked), row.generation)


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


def _change(tx: Connection, login: str, **values: object) -> None:
    if tx.execute(update(account).where(account.c.login == login).values(**values)).rowcount != 1:
        raise ValueError(f"there is no user {login!r}")


def check(tx: Connection, hasher: PasswordHasher, login: str, password: str, now: int) -> Account | Denied:
    """Whether this password is that of `login`: the account, or the refusal. Never raises, so that the count is committed.

    The wrong password of somebody who does not exist takes as long as that of somebody who does.
    """
    row = tx.execute(select(account).where(account.c.login == login)).one_or_none()
    if row is None:
        hasher.hash(password)
        return Denied("wrong")
    if row.locked:
        return Denied("locked")
    if row.blocked_until > now:
        return Denied("pause", row.blocked_until)
    try:
        hasher.verify(row.password, password)
    except (VerificationError, InvalidHashError):
        return _wrong(tx, login, row.failures + 1, now)
    if hasher.check_needs_rehash(row.password):
        _change(tx, login, password=hasher.hash(password))
    _change(tx, login, failures=0, blocked_until=0)
    return get(tx, login) or Denied("wrong")


def _wrong(tx: Connection, login: str, failures: int, now: int) -> Denied:
    over = failures - TRIES
    until = now + min(PAUSE << min(over, 10), MOST) if over >= 0 else 0
    _change(tx, login, failures=failures, blocked_until=until)
    return Denied("pause", until) if until else Denied("wrong")
