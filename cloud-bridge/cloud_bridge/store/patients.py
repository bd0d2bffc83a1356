"""Who the patients are, as their stations say. Order is by the station's version of a patient, never by arrival."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, delete, or_, select

from appliance.contract.events import Allergies, Identity, Sex
from cloud_bridge.store.tables import discarded, patient, patient_link, tombstone
from cloud_bridge.store.writing import put

_FIELDS = ("name", "birth", "sex", "cccd", "bhyt", "allergies", "allergy_text", "phone", "village", "station_number")
_ROW = tuple(one.name for one in patient.columns if one.name in {"station", "patient", "version", "received", *_FIELDS})
_PLAIN = {"sex": int, "allergies": int}


def learn(tx: Connection, station: str, identity: Identity, at: int) -> None:
    """Take what a station says about a patient: a newer version replaces, an older one is passed over.

    Within one version the fuller field stays: a consult may carry the identity without what it has no use for, and
    *empty* and *unknown* are the lowest values of every field.
    """
    learn_many(tx, [(station, identity, at)])


def learn_many(tx: Connection, said: Sequence[tuple[str, Identity, int]]) -> None:
    """As `learn`, for each (station, identity, at)."""
    put(tx, patient, _ROW, [_row(*one) for one in dict.fromkeys(said)], _newer)


def _row(station: str, identity: Identity, at: int) -> tuple[Any, ...]:
    known = {"station": station, "received": at}
    return tuple([known[name] if name in known else _PLAIN.get(name, _same)(getattr(identity, name)) for name in _ROW])


def _same(value: Any) -> Any:
    return value


def _newer(fresh: Any) -> Any:
    new = fresh.excluded.version > patient.c.version
    fields = {
        name: case((or_(new, fresh.excluded[name] > patient.c[name]), fresh.excluded[name]), else_=patient.c[name]) for name in _FIELDS
    }
    return fresh.on_conflict_do_update(
        index_elements=["station", "patient"],
        set_={**fields, "version": fresh.excluded.version, "received": fresh.excluded.received},
        where=fresh.excluded.version >= patient.c.version,
    )


def get(tx: Connection, station: str, number: int) -> Identity | None:
    """The newest version the bridge has, or None while the details are on their way (or were erased)."""
    row = tx.execute(select(patient).where(patient.c.station == station, patient.c.patient == number)).one_or_none()
    if row is None or erased(tx, station, number):
        return None
    texts = {name: getattr(row, name) for name in _FIELDS if name not in ("sex", "allergies")}
    return Identity(patient=number, version=row.version, sex=Sex(row.sex), allergies=Allergies(row.allergies), **texts)


def erased(tx: Connection, station: str, number: int | None) -> bool:
    """True when a tombstone stands over this patient."""
    if number is None:
        return False
    return tx.execute(select(tombstone.c.patient).where(tombstone.c.station == station, tombstone.c.patient == number)).first() is not None


def erased_of(tx: Connection, stations: Iterable[str]) -> set[tuple[str, int]]:
    """All (station, patient) under a tombstone at these stations: a short list, read once per batch."""
    found = tx.execute(select(tombstone.c.station, tombstone.c.patient).where(tombstone.c.station.in_(sorted(set(stations)))))
    return {(row.station, row.patient) for row in found}


def forget(tx: Connection, station: str, number: int) -> None:
    """Remove who a patient was, and the attempts that went into no record. The tombstone itself is the caller's."""
    for table in (patient, discarded):
        tx.execute(delete(table).where(table.c.station == station, table.c.patient == number))


def attempts(tx: Connection, station: str, number: int, limit: int = 50) -> list[tuple[bytes, str, int]]:
    """(reading, reason, when the box discarded it) of attempts that somebody measured again, newest first."""
    c = discarded.c
    query = select(c.reading, c.reason, c.wall).where(c.station == station, c.patient == number).order_by(c.wall.desc(), c.key).limit(limit)
    return [(bytes(row[0]), row[1], row[2]) for row in tx.execute(query)]


def same_person(tx: Connection, station: str, number: int) -> frozenset[int]:
    """The patients that the station calls the same person as this one, with itself: by the latest word about each pair."""
    links = list(tx.execute(select(patient_link).where(patient_link.c.station == station)))
    return together(links, number)


def records(tx: Connection, station: str, number: int) -> list[int]:
    """All records of one person that nobody has erased: the one asked for first."""
    others = sorted(one for one in same_person(tx, station, number) - {number} if not erased(tx, station, one))
    return [number, *others]


def warned(who: Identity, others: Iterable[Identity]) -> Identity:
    """`who` with what the other records of the same person know of allergies: no merge hides a warning from a doctor."""
    for other in others:
        if other.allergies is not Allergies.KNOWN:
            who = replace(who, allergies=max(who.allergies, other.allergies))
        elif who.allergies is not Allergies.KNOWN:
            who = replace(who, allergies=Allergies.KNOWN, allergy_text=other.allergy_text)
        elif other.allergy_text not in who.allergy_text:
            who = replace(who, allergy_text=f"{who.allergy_text}; {other.allergy_text}")
    return who


def together(links: Iterable[Row[tuple[object, ...]]], number: int) -> frozenset[int]:
    """As `same_person`, on rows at hand: pairs in force are followed to their end.

    Of several words about one pair the one with the latest time of the box counts; a tie goes to the higher number.
    """
    latest: dict[frozenset[int], tuple[tuple[int, int], bool]] = {}
    for row in links:
        pair, rank = frozenset((row.patient, row.duplicate)), (row.wall, row.seq)
        if pair not in latest or rank > latest[pair][0]:
            latest[pair] = (rank, row.merged)
    group, grown = {number}, True
    while grown:
        grown = False
        for pair, (_, merged) in latest.items():
            if merged and pair & group and not pair <= group:
                group |= pair
                grown = True
    return frozenset(group)


def living(station_column: ColumnElement[str], patient_column: ColumnElement[int]) -> ColumnElement[bool]:
    """A WHERE clause: no tombstone stands over the row's patient. Every page reads through it."""
    return ~select(tombstone.c.patient).where(and_(tombstone.c.station == station_column, tombstone.c.patient == patient_column)).exists()
