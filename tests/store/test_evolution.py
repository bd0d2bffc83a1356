"""Stores of every release are brought to today's schema with nothing missing, and what a later version says is kept."""

import gzip
import json
from pathlib import Path

import pytest
from sqlalchemy import select

from appliance.store import aside
from appliance.store.opening import open_store
from cloud_bridge.store import migrations, relay_tables
from cloud_bridge.store.engine import open_engine
from tests.prove import golden
from tests.store.station import Hand, init, settings_at

STATIONS, BRIDGES = sorted(golden.STORES.glob("station-*.json")), sorted(golden.STORES.glob("bridge-*.json"))


@pytest.mark.parametrize("path", STATIONS, ids=lambda path: path.stem)
def test_a_station_of_an_earlier_release_loses_nothing(path: Path) -> None:
    """`tram init` of today on its store: every row is there, every reading says what it said."""
    assert golden.station(path) == (0, 0)


@pytest.mark.parametrize("path", BRIDGES, ids=lambda path: path.stem)
def test_a_bridge_of_an_earlier_release_loses_nothing(path: Path) -> None:
    """The steps of today on its database: every row is there."""
    assert golden.bridge(path) == 0


def test_there_is_a_store_of_every_release() -> None:
    """From 0.1.0 on."""
    assert {path.stem.partition("-")[2] for path in STATIONS} >= {"0.1.0"}
    assert {path.stem.partition("-")[2] for path in BRIDGES} >= {"0.1.0"}


def test_what_a_later_version_said_is_kept_and_sent_on() -> None:
    """Later kinds, and what stands beside them."""
    assert golden.unknown_fields() == 0


def test_a_bridge_keeps_what_its_predecessor_could_not_read(tmp_path: Path) -> None:
    """A kind of a later version and a message of a later wire wait, byte-exact, for the update that knows them."""
    file = tmp_path / "bridge.db"
    file.write_bytes(gzip.decompress((golden.STORES / "bridge-0.1.0.db.gz").read_bytes()))
    engine = open_engine(f"sqlite:///{file}")
    migrations.migrate(engine)
    event, quarantine = relay_tables.event.c, relay_tables.quarantine.c
    with engine.connect() as tx:
        assert tx.execute(select(event.kind).where(event.why == "kind")).scalars().all() == [999]
        assert [tuple(row) for row in tx.execute(select(quarantine.payload, quarantine.outcome))] == [(b"\x21newer", "")]
    engine.dispose()


def test_an_updated_station_reads_what_was_set_aside_once(tmp_path: Path) -> None:
    """The first start of another version tries; the second changes nothing."""
    said = json.loads((golden.STORES / "station-0.1.0.json").read_text(encoding="utf-8"))
    settings = settings_at(tmp_path)
    settings.paths.data.mkdir()
    settings.store.key_file.write_text(said["key"] + "\n")
    settings.store.key_file.chmod(0o600)
    (settings.paths.data / "tram.db").write_bytes((golden.STORES / "station-0.1.0.db").read_bytes())
    hand = Hand(boot="later", wall=17_990_000_000)
    assert any(one.startswith("schema step") for one in init(settings, hand).done)
    assert init(settings, hand).done == []
    conn = open_store(settings, {})
    assert aside.unknown(conn) == 0
    assert conn.execute("SELECT value FROM meta WHERE key = 'software'").fetchone() is not None
    conn.close()
