"""The proofs of the disk at a small size: rot, poison, wear, and a card that is full or fails; each bites on its planted bug."""

from pathlib import Path

from appliance.database import connect
from appliance.store.opening import database_file
from tests.prove import full, poison, rot, wear
from tests.store.station import Hand, init, settings_at


def test_no_changed_bit_ever_shows_another_number() -> None:
    """Sixty stores, 1 to 64 bits each, in the file, the log and under the seal: found or harmless; the rest is saved."""
    found = rot.run(3, 60)
    assert (found["wrong_vitals"], found["undetected"]) == (0, 0)
    assert found["detected"] + found["harmless"] == found["flipped"] == 60
    assert found["readings"] > 60 * rot.READINGS * 0.8
    assert found["saboteur_no_checksum_per_record"] == 1


def test_a_damaged_list_of_schema_steps_is_salvaged_and_every_reading_is_there(tmp_path: Path) -> None:
    """A bit that flips in a step's name asks for a step whose tables are there: `tram init` mends the store instead of ending."""
    truth = rot.make(tmp_path / "box", checkpoint=True)
    settings = settings_at(truth.folder)
    conn = connect(database_file(settings), key=bytes.fromhex((truth.folder / "store.key").read_text()))
    conn.execute("UPDATE _sqlite_migrations SET name = 's001_firqt' WHERE name = 's001_first'")
    conn.close()
    report = init(settings, Hand(boot="after", wall=17_990_000_000))
    assert report.salvaged is not None
    assert not report.damage
    assert report.salvaged.rows["observation"] == rot.READINGS
    assert init(settings, Hand(boot="after", wall=17_990_000_000)).salvaged is None


def test_poison_delays_nobody_and_is_all_there() -> None:
    """300 messages, 1 % of them poison; a program that raises instead is caught."""
    found = poison.run(5, 300)
    assert (found["messages"], found["poisoned"]) == (300, 3)
    assert [found[name] for name in ("lost", "doubled", "delayed", "missing_in_quarantine", "wrong")] == [0, 0, 0, 0, 0]
    assert found["saboteur_raise_on_decode"] == 1


def test_a_day_writes_less_than_its_limit() -> None:
    """20 MB, counted; an index over random keys is caught."""
    found = wear.run(1)
    assert found["bytes_a_day"] < 20_000_000
    assert found["outside_the_limit"] == 0
    assert found["saboteur_random_keys"] == 1


def test_a_write_that_fails_at_any_place_loses_nothing() -> None:
    """Beyond a limit in the middle of a reading's commit: what was acknowledged is there, what was not is not half there."""
    for place in range(0, full.PLACES, 4):
        assert full.limited(place) == (0, 0)


def test_a_card_that_is_full_or_read_only_loses_nothing() -> None:
    """Where a disk may be mounted: some places of fullness, and the kernel's own remount."""
    with full.disk("4m") as folder:
        if folder is None:
            return
        for place in (0, 2, 5, 9, 17, 30):
            assert full.crowded(folder, place) == (0, 0)
        assert full.readonly(folder) == 0
