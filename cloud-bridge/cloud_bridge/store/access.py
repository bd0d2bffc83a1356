"""Who looked at whom: only added to. Triggers in both databases refuse to change or remove a row (migration 0006).

A row says who, when, which patient or request of which station, and one word for what was done. It holds nothing about
the patient but a number, so it may outlive an erasure.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from cloud_bridge.store.accounts import Account
from cloud_bridge.store.console_tables import access_log

AGAIN = 6_000
"""Tenths of a second: what a page that stays open asks for by itself is noted once in ten minutes."""


@dataclass(frozen=True, slots=True)
class Look:
    """One row: when, who (login, name, organisation at that time), at which request, and what."""

    at: int
    login: str
    name: str
    organisation: str
    consult: int | None
    what: str


def note(
    tx: Connection, who: Account, what: str, now: int, *, station: str = "", patient: int | None = None, consult: int | None = None
) -> None:
    """Write one row."""
    row = {"login": who.login, "name": who.name, "organisation": who.organisation, "station": station, "patient": patient}
    tx.execute(insert(access_log).values(at=now, consult=consult, what=what, **row))


def noted(tx: Connection, who: Account, what: str, now: int, *, station: str, patient: int | None) -> bool:
    """Whether the same was noted within the last ten minutes."""
    c = access_log.c
    same = (c.station == station, c.patient == patient, c.at > now - AGAIN, c.login == who.login, c.what == what)
    return tx.execute(select(c.id).where(*same).limit(1)).first() is not None


def of_patient(tx: Connection, station: str, patient: int, limit: int = 500) -> list[Look]:
    """Who saw and did what with a patient's record, the latest first."""
    c = access_log.c
    rows = tx.execute(
        select(c.at, c.login, c.name, c.organisation, c.consult, c.what)
        .where(c.station == station, c.patient == patient)
        .order_by(c.at.desc(), c.id.desc())
        .limit(limit)
    )
    return [Look(*row) for row in rows]
