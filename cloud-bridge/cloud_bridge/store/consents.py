"""What patients agreed to, as their stations say, and on what ground each request was sent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from appliance.contract.events import Basis, ConsultRequested
from cloud_bridge.store.tables import consent, consult_basis
from cloud_bridge.store.writing import put


@dataclass(frozen=True, slots=True)
class Word:
    """The latest word of a patient about one purpose. `wall` is the box's time, `actor` who wrote it down."""

    purpose: str
    given: bool
    text_version: str
    wall: int
    actor: str


def latest(tx: Connection, station: str, numbers: Iterable[int]) -> list[Word]:
    """The latest word of each purpose over all records of one person, by purpose. Of one moment the later event counts."""
    c = consent.c
    query = select(c.purpose, c.given, c.text_version, c.wall, c.actor).where(c.station == station, c.patient.in_(sorted(numbers)))
    found = {row.purpose: Word(*row) for row in tx.execute(query.order_by(c.wall, c.seq))}
    return [found[purpose] for purpose in sorted(found)]


def note_bases(tx: Connection, asked: Sequence[tuple[str, ConsultRequested]]) -> None:
    """Keep on what ground requests of stations were sent; what says nothing of it leaves no row."""
    rows = [(station, body.consult, int(body.basis)) for station, body in asked if body.basis is not Basis.UNSAID]
    put(tx, consult_basis, ("station", "consult", "basis"), rows)


def basis(tx: Connection, station: str, consult: int) -> Basis:
    """On what ground a request was sent; `UNSAID` for one of a station that did not say so yet."""
    c = consult_basis.c
    row = tx.execute(select(c.basis).where(c.station == station, c.consult == consult)).one_or_none()
    known = {int(one) for one in Basis}
    return Basis(row.basis) if row is not None and row.basis in known else Basis.UNSAID


def forget(tx: Connection, station: str, patient: int, consults: Iterable[int]) -> None:
    """Remove an erased patient's words and the grounds of their requests."""
    tx.execute(delete(consent).where(consent.c.station == station, consent.c.patient == patient))
    tx.execute(delete(consult_basis).where(consult_basis.c.station == station, consult_basis.c.consult.in_(sorted(consults))))
