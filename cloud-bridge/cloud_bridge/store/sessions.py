"""Who is logged in: one row for each session, so that logging out ends it wherever the cookie has been copied to."""

import hashlib

from sqlalchemy import Connection, delete, select, update

from cloud_bridge.store import accounts
from cloud_bridge.store.accounts import Account
from cloud_bridge.store.console_tables import session
from cloud_bridge.store.tables import account

LONGEST = 432_000
"""Tenths of a second: 12 hours after the login a session ends, whatever its owner does."""
_KEPT = 30 * 864_000
"""Ended sessions stay for 30 days for whoever has to look into something."""


def _id(number: str) -> bytes:
    return hashlib.sha256(number.encode()).digest()


def begin(tx: Connection, number: str, who: Account, now: int) -> None:
    """A new session under a number that nobody can guess."""
    tx.execute(session.insert().values(id=_id(number), login=who.login, generation=who.generation, began=now, ended=None))
    tx.execute(delete(session).where(session.c.began < now - _KEPT))


def end(tx: Connection, number: str, now: int) -> None:
    """The session is over."""
    tx.execute(update(session).where(session.c.id == _id(number), session.c.ended.is_(None)).values(ended=now))


def whose(tx: Connection, number: str, now: int) -> Account | None:
    """Whose session this is; None when it has ended, is too old, or the account was locked, moved or given another password since."""
    c = session.c
    row = tx.execute(select(c.login, c.generation).where(c.id == _id(number), c.ended.is_(None), c.began > now - LONGEST)).one_or_none()
    if row is None:
        return None
    found = accounts.get(tx, row.login)
    return found if found is not None and not found.locked and found.generation == row.generation else None


def people(tx: Connection, now: int) -> dict[str, int]:
    """Logins with a session that has not ended, and when the latest began."""
    c = session.c
    joined = select(c.login, c.began).join(account, (account.c.login == c.login) & (account.c.generation == c.generation))
    return {row.login: row.began for row in tx.execute(joined.where(c.ended.is_(None), c.began > now - LONGEST).order_by(c.began))}
