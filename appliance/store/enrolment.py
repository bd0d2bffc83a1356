"""What the station keeps of its enrolment: one row for each certificate it was given, beside the pinned keys.

The certificate itself and its key are files, because TLS reads files: see `appliance.agent.enrol`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from appliance.contract.enrolment import Pin
from appliance.contract.readings import Stamp
from appliance.database import Connection, transaction
from appliance.settings import Settings
from appliance.store import audit
from appliance.store.downlink import reconsider
from appliance.store.keys import OFFERED, PURPOSES, pin
from appliance.store.sealing import make_content_key

ENROLLED, RENEWED = "enrolled", "renewed"
FOLDER, CURRENT = "tls", "current"
RENEW_LEFT = 3
"""The next certificate is asked for when a third of this one's life is left."""


class Enrolment(NamedTuple):
    """One certificate: when it was taken and until when it is good (tenths of a second since 1970), its serial in hexadecimal, who
    brought the token, the six words, the SHA-256 of the root.
    """

    at: int
    kind: str
    serial: str
    ends: int
    technician: str
    words: str
    root: bytes


def latest(conn: Connection) -> Enrolment | None:
    """The certificate in force; None where the station was never enrolled."""
    row = conn.execute("SELECT at, kind, serial, ends, technician, words, root FROM enrolment ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return None
    at, kind, serial, ends, technician, words, root = row
    return Enrolment(at, kind, serial, ends, technician, words, bytes(root))


@dataclass(frozen=True, slots=True)
class Files:
    """Where the certificate in force is: its files as TLS wants them."""

    cert: Path
    key: Path
    ca: Path


def files_of(settings: Settings) -> Files | None:
    """The files of the certificate in force; None where the station was never enrolled."""
    here = settings.paths.data / FOLDER / CURRENT
    found = Files(here / "station.pem", here / "station.key", here / "ca.pem")
    return found if found.cert.exists() else None


def with_identity(settings: Settings) -> Settings:
    """The settings with the enrolled certificate wherever they speak TLS to the broker and name none themselves."""
    found = files_of(settings)
    if found is None or not settings.broker.tls:
        return settings
    broker = settings.broker
    if broker.cert is None:
        broker = replace(broker, cert=found.cert, key=found.key)
    if broker.ca is None:
        broker = replace(broker, ca=found.ca)
    return replace(settings, broker=broker)


def renewal_due(conn: Connection, wall: int) -> bool:
    """Whether a third of the certificate's life, or less, is left (`wall`: tenths of a second since 1970)."""
    found = latest(conn)
    return found is not None and wall >= found.ends - (found.ends - found.at) // RENEW_LEFT


def keep(
    conn: Connection, one: Enrolment, pins: Iterable[Pin], now: Stamp, *, station: str, seal: bool, random: Callable[[int], bytes]
) -> None:
    """Write down a certificate and trust the bridge's keys that came with it, all or nothing. `seal`: make the content key too."""
    with transaction(conn):
        for each in pins:
            if each.purpose in PURPOSES + OFFERED:
                pin(conn, each.purpose, each.key_id, each.public)
        conn.execute("INSERT INTO enrolment (at, kind, serial, ends, technician, words, root) VALUES (?, ?, ?, ?, ?, ?, ?)", one)
        if seal:
            make_content_key(conn, station, now, random)
        audit.note(conn, actor="", action=f"station.{one.kind}", now=now, subject=one.serial)
    reconsider(conn)
