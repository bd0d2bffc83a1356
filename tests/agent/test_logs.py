"""`tram logs --usb` and `tram-bridge logs open`: what helps from afar travels sealed, and nothing of a patient is in it."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from appliance.agent import logs
from appliance.contract import bundle
from appliance.contract.bundle import Label
from appliance.contract.errors import WireError
from appliance.database import transaction
from appliance.stick import FOLDER, Stick
from appliance.store import keys
from appliance.store.errors import Refused
from appliance.store.health import Looked
from tests.store.station import Station

SECRET = "Thử Nghiệm Bí Mật 001061099999"
TECHNICAL = frozenset({"meta", "carrier", "modem", "binding", "pin", "_sqlite_migrations", "sqlite_sequence"})
"""Tables that hold nothing of people: what the programs say of themselves, ports, keys."""


def looked(station: Station, sys: Path) -> Looked:
    """What is looked at, with an invented kernel tree."""
    return Looked(station.conn, station.settings, station.now, int(station.hand.seconds * 1e9), sys)


def quiet(arguments: Sequence[str]) -> str:
    """What a program of the system might say."""
    return f"{arguments[0]} says something\n"


def plant(station: Station) -> list[str]:
    """A row with the secret in every text and every blob of each table; the tables that took one."""
    took = []
    names = [row[0] for row in station.conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
    for name in sorted(set(names) - TECHNICAL):
        columns = station.conn.execute(f'PRAGMA table_info("{name}")').fetchall()
        given = {
            column[1]: SECRET if "TEXT" in column[2] else SECRET.encode() if "BLOB" in column[2] else 7_000_001
            for column in columns
            if "INTEGER" not in column[2] or column[3] or column[5]
        }
        marks = ", ".join("?" * len(given))
        with transaction(station.conn):
            row = station.conn.execute(
                f'INSERT OR IGNORE INTO "{name}" ({", ".join(given)}) VALUES ({marks})',
                tuple(given.values()),
            )
        if row.rowcount == 1:  # not so a table with a check of its own
            took.append(name)
    return took


def opened(data: bytes, private: X25519PrivateKey) -> dict[str, str]:
    """The texts of a bundle."""
    label, sealed = bundle.read(data)
    with tarfile.open(fileobj=io.BytesIO(bundle.unseal(label, sealed, private)), mode="r:gz") as box:
        return {one.name: (box.extractfile(one) or io.BytesIO()).read().decode() for one in box.getmembers()}


def pinned(station: Station, purpose: str) -> X25519PrivateKey:
    """A key of the bridge that the station trusts."""
    private = X25519PrivateKey.generate()
    with transaction(station.conn):
        keys.pin(station.conn, purpose, 5, private.public_key().public_bytes_raw())
    return private


def test_no_byte_of_a_patient_is_in_a_bundle(station: Station, tmp_path: Path) -> None:
    """A row with names and numbers in every table of people; none of it comes out, and what helps does."""
    patient = station.patient("Bí Mật Thử Nghiệm", cccd="001061099999")
    station.saved(patient)
    private = pinned(station, "seal")
    took = plant(station)
    assert {"patient", "quarantine", "staff", "enrolment", "acceptance", "audit", "measurement"} <= set(took)
    assert len(took) > 25
    found = opened(logs.sealed_logs(station.conn, station.settings, looked(station, tmp_path), quiet)[1], private)
    whole = "\n".join(found.values())
    for word in ("Bí Mật", "001061099999", "B\\u00ed M"):
        assert word not in whole
    assert {"check.json", "versions.json", "settings.txt", "journal.txt", "kernel.txt"} <= set(found)
    assert json.loads(found["versions.json"])["steps"][-1].startswith("s0")
    assert json.loads(found["rows.json"])["patient"] >= 1
    assert "station.id" in found["settings.txt"]


def test_only_the_pinned_key_opens_it(station: Station, tmp_path: Path) -> None:
    """Another key, a changed byte or a changed label open nothing; without a pinned key nothing is written."""
    with pytest.raises(Refused):
        logs.sealed_logs(station.conn, station.settings, looked(station, tmp_path), quiet)
    private = pinned(station, "recovery")
    label, data = logs.sealed_logs(station.conn, station.settings, looked(station, tmp_path), quiet)
    assert (label.purpose, label.key_id) == ("recovery", 5)
    assert opened(data, private)
    _label, sealed = bundle.read(data)
    for wrong, bytes_, key in (
        (label, sealed, X25519PrivateKey.generate()),
        (label, sealed[:-1] + bytes([sealed[-1] ^ 1]), private),
        (Label("tram-0002", "recovery", 5), sealed, private),
    ):
        with pytest.raises(WireError):
            bundle.unseal(wrong, bytes_, key)
    for junk in (b"", b"TRAMLOG1", b"TRAMLOG1\x80", data[1:]):
        with pytest.raises(WireError):
            bundle.read(junk)


def test_it_lies_whole_on_the_stick_under_its_name(station: Station, tmp_path: Path) -> None:
    """Station and hour in the name; a second one in the same minute replaces the first; bags are not disturbed."""
    private = pinned(station, "seal")
    stick = tmp_path / "stick"
    stick.mkdir()
    for _ in range(2):
        done = logs.to_stick(station.conn, station.settings, looked(station, tmp_path), stick, mounted=False)
    (file,) = (stick / FOLDER).iterdir()
    assert file.name == done.file
    assert done.file.startswith("tram-logs-tram-0001-2026")
    assert file.stat().st_size == done.size
    assert opened(file.read_bytes(), private)
    with Stick(stick, mounted=False) as there:
        assert there.bags() == []
