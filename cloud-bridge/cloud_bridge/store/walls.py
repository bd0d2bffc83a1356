"""Which stations, requests and patients somebody may see: the one place that decides it, for every page and every list.

An account belongs to an organisation, and so does a station; equal names open the door. A request that has gone on to the
next tier is also seen by that tier's organisation, with its patient, and nothing else of the station is (`_gone_on`). Whoever
belongs to no organisation sees no station at all. What may not be seen looks exactly like what does not exist.
"""

from sqlalchemy import ColumnElement, Connection, Select, false, or_, select, tuple_

from cloud_bridge.store.accounts import Account, Role
from cloud_bridge.store.rota_tables import consult_tier
from cloud_bridge.store.tables import consult, station


def _own(account: Account) -> Select[tuple[str]]:
    """The stations of the account's organisation."""
    return select(station.c.id).where(station.c.organisation == account.organisation)


def _gone_on(account: Account) -> Select[tuple[str, int]]:
    """(station, consult) of the requests that have gone on to the account's organisation."""
    return select(consult_tier.c.station, consult_tier.c.consult).where(consult_tier.c.organisation == account.organisation)


def stations(tx: Connection, account: Account) -> frozenset[str]:
    """The stations whose every record the account may see."""
    if not account.organisation:
        return frozenset()
    return frozenset(str(row.id) for row in tx.execute(_own(account)))


def listed(tx: Connection, account: Account) -> frozenset[str]:
    """The stations whose name and state, and no patient, the account may see: an administrator's are all of them."""
    if account.role is Role.ADMIN:
        return frozenset(str(row.id) for row in tx.execute(select(station.c.id)))
    return stations(tx, account)


def within(account: Account, station_column: ColumnElement[str], consult_column: ColumnElement[int] | None = None) -> ColumnElement[bool]:
    """A WHERE clause for rows of stations; with `consult_column` for rows of requests. Lists of several stations read through it."""
    if not account.organisation:
        return false()
    own = station_column.in_(_own(account))
    if consult_column is None:
        return own
    return or_(own, tuple_(station_column, consult_column).in_(_gone_on(account)))


def requests(account: Account) -> ColumnElement[bool]:
    """`within` for the requests themselves."""
    return within(account, consult.c.station, consult.c.consult)


def may_see(tx: Connection, account: Account, name: str, *, number: int | None = None, patient: int | None = None) -> bool:
    """Whether the account may see a station (its name alone), one request of it, or one patient of it."""
    if name in stations(tx, account):
        return True
    if not account.organisation or (number is None and patient is None):
        return False
    further = tuple_(consult.c.station, consult.c.consult).in_(_gone_on(account))
    here = select(consult.c.consult).where(consult.c.station == name, further)
    asked = consult.c.consult == number if number is not None else consult.c.patient == patient
    return tx.execute(here.where(asked).limit(1)).first() is not None
