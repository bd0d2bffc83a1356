"""The audit log: each entry on the one before, and a head at the bridge that nobody can take back."""

import hashlib
import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contract.cbor import dump
from appliance.contract.events import AuditHead
from appliance.database import DRIVER, transaction
from appliance.store import audit
from cloud_bridge.store.audit import Head, against
from tests.store.station import Station

EPOCH = bytes(8)


def heads(station: Station) -> list[AuditHead]:
    """Those that were queued, in order."""
    return [one.body for one in station.events(AuditHead.KIND) if isinstance(one.body, AuditHead)]


def notes(station: Station, count: int) -> None:
    """So many entries."""
    for number in range(count):
        audit.note(station.conn, actor="an", action="patient.view", now=station.later(1), patient=number)


def test_an_entry_is_the_hash_of_itself_and_the_one_before(station: Station) -> None:
    """As anybody can reckon from the rows."""
    notes(station, 3)
    before = audit.GENESIS
    for row in station.conn.execute("SELECT id, wall, boot, ticks, actor, action, patient, subject, hash FROM audit ORDER BY id"):
        before = hashlib.sha256(before + dump(list(row)[:8])).digest()
        assert bytes(row[8]) == before
    assert audit.verify(station.conn) == 0


@pytest.mark.parametrize("change", ["DELETE FROM audit WHERE id = 2", "UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_rows_can_only_be_added(station: Station, change: str) -> None:
    """The store itself refuses."""
    notes(station, 3)
    with pytest.raises(DRIVER.IntegrityError, match="append-only"):
        station.conn.execute(change)
    assert station.count("audit") == 3


def test_an_entry_goes_with_its_callers_transaction(station: Station) -> None:
    """What was not done was not done by anybody."""

    def work() -> None:
        with transaction(station.conn):
            audit.note(station.conn, actor="an", action="patient.view", now=station.now)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert station.count("audit") == 0


def test_a_head_goes_up_when_something_was_added_and_names_the_one_before(station: Station) -> None:
    """Nothing added, nothing sent."""
    assert not audit.publish_head(station.conn, station.now)
    notes(station, 3)
    assert audit.due(station.conn)
    assert audit.publish_head(station.conn, station.now)
    assert not audit.publish_head(station.conn, station.now)
    notes(station, 2)
    assert audit.publish_head(station.conn, station.now)
    first, second = heads(station)
    assert (first.count, first.before_count, first.before) == (3, 0, b"")
    assert (second.count, second.before_count, second.before) == (5, 3, first.head)


def test_init_sends_the_head_of_what_was_added(station: Station) -> None:
    """After a power cut too."""
    notes(station, 2)
    station.power_cut()
    assert [one.count for one in heads(station)] == [2]


def test_a_long_log_is_reckoned_a_slice_at_a_time_while_it_grows(station: Station) -> None:
    """What is added meanwhile is in the head; of two walks only the first one's head is sent."""
    with transaction(station.conn):
        for number in range(1200):
            audit.note(station.conn, actor="an", action="patient.view", now=station.now, patient=number)
    walk, other = audit.start(station.conn), audit.start(station.conn)
    assert not walk.go(station.conn)
    assert not walk.go(station.conn)
    notes(station, 1)
    assert walk.go(station.conn)
    while not other.go(station.conn):
        pass
    assert audit.publish_head(station.conn, station.now, walk)
    assert not audit.publish_head(station.conn, station.now, other)
    assert [one.count for one in heads(station)] == [1201]


def test_entries_are_found_by_day_and_by_patient(station: Station) -> None:
    """The newest first."""
    notes(station, 4)
    middle = station.conn.execute("SELECT wall FROM audit WHERE id = 3").fetchone()[0]
    assert [one.id for one in audit.entries(station.conn)] == [4, 3, 2, 1]
    assert [one.id for one in audit.entries(station.conn, since=middle)] == [4, 3]
    assert [one.id for one in audit.entries(station.conn, patient=2)] == [3]
    assert [one.id for one in audit.entries(station.conn, before=3, limit=1)] == [2]


# --- tampering ------------------------------------------------------------------------------------------------------------------------


def tamper(station: Station, *changes: str) -> None:
    """What somebody with the store's key can do: the triggers away, the rows changed, the triggers back."""
    kept = [row[0] for row in station.conn.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'")]
    for name in ("audit_stays", "audit_same"):
        station.conn.execute(f"DROP TRIGGER {name}")
    for change in changes:
        station.conn.execute(change)
    for trigger in kept:
        station.conn.execute(trigger)


def found(station: Station) -> set[tuple[int, str]]:
    """What the bridge notices in all heads that were sent."""
    kept: list[Head] = []
    noticed: set[tuple[int, str]] = set()
    for seq, one in enumerate(heads(station)):
        head = Head(EPOCH, seq, one.count, one.head, one.before_count, one.before)
        noticed |= against(head, kept)
        kept.append(head)
    return noticed


@pytest.mark.parametrize(
    "changes",
    [
        ("DELETE FROM audit WHERE id = 3",),
        ("DELETE FROM audit WHERE id = 3", "UPDATE audit SET id = id - 1 WHERE id > 3"),
        ("UPDATE audit SET actor = 'somebody' WHERE id = 2",),
        ("UPDATE audit SET id = 99 WHERE id = 2", "UPDATE audit SET id = 2 WHERE id = 4", "UPDATE audit SET id = 4 WHERE id = 99"),
        ("DELETE FROM audit WHERE id > 2",),
        ("DELETE FROM audit",),
        ("DELETE FROM audit", "DELETE FROM audit_sent"),
        ("DELETE FROM audit WHERE id > 3", "UPDATE audit_sent SET count = 3"),
    ],
    ids=["delete", "delete-and-renumber", "edit", "reorder", "truncate", "all", "all-and-the-head", "truncate-and-the-head"],
)
def test_whatever_is_taken_away_or_changed_is_found_at_the_bridge(station: Station, changes: tuple[str, ...]) -> None:
    """With the next head after it, although everything is added to as ever."""
    for count in (3, 3):
        notes(station, count)
        audit.publish_head(station.conn, station.now)
    assert found(station) == set()
    tamper(station, *changes)
    notes(station, 2)
    audit.publish_head(station.conn, station.now)
    assert found(station)


@dataclass
class Log:
    """An audit log in memory: the same hashes as the store's, a thousand times as quick."""

    rows: list[tuple[Any, ...]]
    hashes: list[bytes]
    clock: int = 0

    def add(self, actor: str) -> None:
        """One entry, as `audit.note` writes it."""
        number = self.rows[-1][0] + 1 if self.rows else 1
        self.clock += 1
        row = (number, self.clock, 0, self.clock, actor, "patient.view", number % 7, "")
        self.hashes.append(audit.link(self.hashes[-1] if self.hashes else audit.GENESIS, row))
        self.rows.append(row)

    def head(self, target: int, seq: int) -> Head:
        """As `audit.publish_head` reckons it."""
        value, before = audit.GENESIS, b""
        for row in self.rows:
            value = audit.link(value, row)
            if row[0] == target:
                before = value
        count, last = (self.rows[-1][0], self.hashes[-1]) if self.rows else (0, audit.GENESIS)
        return Head(EPOCH, seq, count, last, target, before)

    def rehash(self) -> None:
        """A careful hand makes every hash fit again."""
        value = audit.GENESIS
        for number, row in enumerate(self.rows):
            value = audit.link(value, row)
            self.hashes[number] = value


@given(
    steps=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    how=st.sampled_from(("delete", "edit", "swap", "truncate", "renumber")),
    where=st.integers(0, 10**6),
    careful=st.booleans(),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=1500, deadline=None)
def test_any_entry_that_a_head_has_covered_cannot_be_changed_unseen(
    steps: list[int], how: str, where: int, careful: bool, seed: int
) -> None:
    """Deleted, edited, moved, cut off, also with every later hash made to fit: the next head gives it away."""
    dice, log, kept = random.Random(seed), Log([], []), []
    sent = 0
    for seq, count in enumerate(steps):
        for _ in range(count):
            log.add(dice.choice(("an", "binh")))
        kept.append(log.head(sent, seq))
        sent = kept[-1].count
    at = where % len(log.rows)
    if how in ("delete", "renumber"):
        del log.rows[at], log.hashes[at]
        if how == "renumber":
            log.rows = [(row[0] - (number >= at), *row[1:]) for number, row in enumerate(log.rows)]
    elif how == "edit":
        log.rows[at] = (*log.rows[at][:4], "cuong", *log.rows[at][5:])
    elif how == "swap":
        other = (at + 1) % len(log.rows)
        one, two = log.rows[at], log.rows[other]
        log.rows[at], log.rows[other] = (one[0], *two[1:]), (two[0], *one[1:])
    else:
        del log.rows[at:], log.hashes[at:]
    if careful:
        log.rehash()
    for _ in range(dice.randrange(1, 9)):
        log.add("an")
    last = log.head(sent, len(steps))
    assert not any(against(one, kept[:seq]) for seq, one in enumerate(kept))
    assert against(last, kept)
