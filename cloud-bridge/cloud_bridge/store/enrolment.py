"""Rows of enrolment: papers with a token, certificates, waves, and the log of all of it. In the caller's transaction."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from cloud_bridge.store.enrolment_tables import certificate, log, token, wave
from cloud_bridge.store.writing import upsert

STATION, SERVER, MEMBER = "station", "server", "member"
"""Kinds of certificates."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a paper. Times are tenths of a second since 1970."""

    id: int
    station: str
    technician: str
    name: str
    organisation: str
    shard: int
    tier: int
    long_id: bytes
    long_lock: bytes
    short_id: bytes
    short_lock: bytes
    made: int
    expires: int
    used: int | None
    used_for: bytes | None
    cancelled: int | None

    def lock(self, token_id: bytes) -> bytes:
        """The lock of the form that is called `token_id`."""
        return self.long_lock if token_id == self.long_id else self.short_lock


@dataclass(frozen=True, slots=True)
class Certificate:
    """An issued certificate: `serial` in hexadecimal, `der` its bytes, `instead_of` the serial it renews."""

    serial: str
    station: str
    kind: str
    der: bytes
    issued: int
    ends: int
    instead_of: str
    asked: bytes
    revoked: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    id: int
    at: int
    station: str
    what: str
    who: str
    detail: str


def note(tx: Connection, what: str, at: int, *, station: str = "", who: str = "", detail: str = "") -> None:
    """Write one line of the log; it is never changed."""
    tx.execute(insert(log).values(at=at, station=station, what=what, who=who, detail=detail))


def entries(tx: Connection, station: str = "", limit: int = 200) -> list[Entry]:
    """The log of a station, or of all, the latest first."""
    query = select(log).order_by(log.c.id.desc()).limit(limit)
    rows = tx.execute(query.where(log.c.station == station) if station else query)
    return [Entry(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for it


def add_token(tx: Connection, **values: object) -> None:
    """A new paper; those of before for the same station are good no more."""
    tx.execute(update(token).where(token.c.station == values["station"], _open()).values(cancelled=values["made"]))
    tx.execute(insert(token).values(**values))


def cancel_tokens(tx: Connection, station: str, at: int) -> int:
    """No paper for this station is good any more; how many were."""
    return int(tx.execute(update(token).where(token.c.station == station, _open()).values(cancelled=at)).rowcount)


def _open() -> ColumnElement[bool]:
    return token.c.used.is_(None) & token.c.cancelled.is_(None)


def token_named(tx: Connection, token_id: bytes, *, lock: bool = False) -> Token | None:
    """The paper whose long or short form is called so. `lock`: nobody else may use it before this transaction ends."""
    query = select(token).where(or_(token.c.long_id == token_id, token.c.short_id == token_id))
    row = tx.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return None
    named: dict[str, Any] = {
        name: bytes(value) if isinstance(value, memoryview) else value
        for name, value in row._mapping.items()  # noqa: SLF001 - SQLAlchemy's public name for it
    }
    return Token(**named)


def use(tx: Connection, number: int, used_for: bytes, at: int) -> None:
    """A paper is used up."""
    tx.execute(update(token).where(token.c.id == number).values(used=at, used_for=used_for))


def add_certificate(tx: Connection, one: Certificate) -> None:
    """Keep an issued certificate."""
    named = {name: getattr(one, name) for name in Certificate.__slots__}
    tx.execute(insert(certificate).values(**named))


def certificate_of(tx: Connection, serial: str) -> Certificate | None:
    """One certificate by its serial."""
    row = tx.execute(select(certificate).where(certificate.c.serial == serial)).one_or_none()
    return None if row is None else _certificate(row)


def certificate_for(tx: Connection, station: str, asked: bytes) -> Certificate | None:
    """The certificate that this request was answered with."""
    c = certificate.c
    row = tx.execute(select(certificate).where(c.station == station, c.asked == asked, c.revoked.is_(None)).limit(1)).one_or_none()
    return None if row is None else _certificate(row)


def certificates(tx: Connection, station: str = "") -> list[Certificate]:
    """Every certificate of a station, or of all, the latest last."""
    query = select(certificate).order_by(certificate.c.issued, certificate.c.serial)
    return [_certificate(row) for row in tx.execute(query.where(certificate.c.station == station) if station else query)]


def _certificate(row: object) -> Certificate:
    named = dict(row._mapping)  # type: ignore[attr-defined]  # noqa: SLF001 - SQLAlchemy's public name for it
    return Certificate(**(named | {"der": bytes(named["der"]), "asked": bytes(named["asked"])}))


def revoke_certificates(tx: Connection, station: str, at: int) -> int:
    """All of a station's certificates are worth nothing from now on; how many were worth something."""
    c = certificate.c
    return int(tx.execute(update(certificate).where(c.station == station, c.revoked.is_(None)).values(revoked=at)).rowcount)


def denied(tx: Connection, now: int) -> list[int]:
    """The serials of revoked certificates that have not ended by themselves: what the broker's list holds."""
    c = certificate.c
    rows = tx.execute(select(c.serial).where(c.revoked.is_not(None), c.ends > now).order_by(c.serial))
    return [int(row[0], 16) for row in rows]


def set_wave(tx: Connection, station: str, name: str) -> None:
    """Which wave a station belongs to."""
    fresh = upsert(tx, wave).values(station=station, wave=name)
    tx.execute(fresh.on_conflict_do_update(index_elements=["station"], set_={"wave": fresh.excluded.wave}))


def waves(tx: Connection) -> dict[str, str]:
    """The wave of every station that has one."""
    return {str(row.station): str(row.wave) for row in tx.execute(select(wave))}
