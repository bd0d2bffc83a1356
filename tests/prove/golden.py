"""P15: every message any released version ever made is read, and every store it left is brought to today's schema; nothing is missing."""

import gzip
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import text

from appliance.contract.events import ConsultRequested, Event, Unknown
from appliance.contract.parcels import read_parcel, write_parcel
from appliance.contract.readings import ClockQuality, Stamp
from appliance.store import measuring
from appliance.store.opening import open_store
from cloud_bridge.store import migrations
from cloud_bridge.store.engine import open_engine
from tests.contract import make_golden
from tests.store.station import Hand, init, settings_at

STORES = Path(__file__).resolve().parent.parent / "store" / "databases"


def run() -> dict[str, int]:
    """How many messages and stores were read, and how many said something else or lost something."""
    found = {"messages": 0, "wrong_messages": 0, "stores": 0, "missing_rows": 0, "wrong_vitals": 0}
    for path in sorted(make_golden.FOLDER.glob("*.bin")):
        found["messages"] += 1
        found["wrong_messages"] += make_golden.told(path.read_bytes()) != json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    for path in sorted(STORES.glob("station-*.json")):
        lost, wrong = station(path)
        found = {**found, "stores": found["stores"] + 1, "missing_rows": found["missing_rows"] + lost}
        found["wrong_vitals"] += wrong
    for path in sorted(STORES.glob("bridge-*.json")):
        found["stores"] += 1
        found["missing_rows"] += bridge(path)
    found["missing_fields"] = unknown_fields()
    found["saboteur_renamed_field"] = int(_renamed_field_is_caught())
    return found


def station(path: Path) -> tuple[int, int]:
    """Rows that are missing and readings that say something else after `tram init` of today."""
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        settings = settings_at(folder)
        settings.paths.data.mkdir()
        key = folder / "store.key"
        key.write_text(said["key"] + "\n")
        key.chmod(0o600)
        shutil.copy(path.with_suffix(".db"), settings.paths.data / "tram.db")
        init(settings, Hand(boot="later", wall=17_990_000_000))
        conn = open_store(settings, {})
        try:
            lost = sum(max(0, rows - conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table, rows in said["rows"].items())
            shown = {row.measurement: [each.value for each in row.reading.numerics] for row in measuring.observations(conn, 1, 1000)}
        finally:
            conn.close()
    return lost, sum(shown.get(number) != values for number, values, _ in said["vitals"])


def bridge(path: Path) -> int:
    """Rows that are missing after `tram-bridge init` of today."""
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "bridge.db"
        file.write_bytes(gzip.decompress(path.with_suffix(".db.gz").read_bytes()))
        engine = open_engine(f"sqlite:///{file}")
        migrations.migrate(engine)
        with engine.connect() as tx:
            lost = sum(
                max(0, rows - int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())) for table, rows in said["rows"].items()
            )
        engine.dispose()
    return lost


def unknown_fields() -> int:
    """Events of a later version that do not come out of a parcel as they went in: a later kind, and later fields of a known one."""
    stamp = Stamp(1, 2, 3, 17_900_000_000, ClockQuality.SYNCED)
    later = Event(stamp, "an", "99.0", Unknown(999, b"\xa1\x01\x18\x2a"))
    header, events = read_parcel((make_golden.FOLDER / "20-1.bin").read_bytes())
    payload = write_parcel(replace(header, count=len(events) + 1), [*events, later])
    again = read_parcel(payload)[1]
    return int(again[-1] != later) + int(again[:-1] != events)


def _renamed_field_is_caught() -> bool:
    """Planted bug: today's code knows a field by another number than the release did, so it reads the field's default."""
    path, honest = make_golden.FOLDER / "20-1.bin", make_golden.read_parcel

    def read(payload: bytes, *keys: Any) -> Any:
        header, events = honest(payload, *keys)
        return header, [
            replace(one, body=replace(one.body, complaint="")) if isinstance(one.body, ConsultRequested) else one for one in events
        ]

    make_golden.read_parcel = read
    try:
        return bool(make_golden.told(path.read_bytes()) != json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    finally:
        make_golden.read_parcel = honest
