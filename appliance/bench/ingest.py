"""How fast the bridge takes readings, and whole days: decoded, kept once, given to the clinic, committed; beside PostgreSQL's COPY.

One worker, parcels of 30 readings from 100 stations, then the days of 60 stations, their requests and confirmations among
them; groups of messages a transaction as the carrier makes them when a queue stands before it. The broker is not in it:
paho and the network cost the carrier 60-140 µs a message more.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Engine, text

from appliance.bench.postgres import postgres
from appliance.contract.events import Event, ObservationRecorded
from appliance.contract.lanes import AT_ONCE, CHUNK_BYTES, Lane
from appliance.contract.parcels import Header, pack, write_parcel
from appliance.contract.topics import UP, topic
from appliance.relay.line import Message
from appliance.relay.storage import Arrived
from appliance.relay.taking import read, take
from appliance.simulate import day
from cloud_bridge import intake
from cloud_bridge.carrier import collect_rarely
from cloud_bridge.store.engine import open_engine
from cloud_bridge.store.inbox import BridgeStore
from cloud_bridge.store.migrations import migrate

STATIONS, PARCELS, BATCH = 100, 8, 30
DAY_STATIONS, DAYS = 60, 6
GROUP = 40
"""Messages taken in one transaction."""
DAY_GROUP = 16
"""Fuller ones, of a day."""


Packed = list[tuple[Lane, int, list[Event]]]
"""The parcels of one day: lane, first number, events."""


def run() -> dict[str, Any]:
    """Readings a second on SQLite and PostgreSQL, and their ratio to COPY."""
    messages = _messages()
    collect_rarely()  # as the carrier does
    readings = STATIONS * PARCELS * BATCH
    found: dict[str, Any] = {
        "bench": "ingest",
        "readings": readings,
        "readings_per_parcel": BATCH,
        "messages_per_transaction": GROUP,
        "load_before": round(os.getloadavg()[0], 1),
    }
    started, used = time.perf_counter(), time.process_time()
    for message in messages:
        read(message, UP)
    found["decode_only_per_s"] = round(readings / (time.perf_counter() - started))
    found["decode_only_cpu_s_per_1000"] = round((time.process_time() - used) * 1000 / readings, 3)
    with TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'bridge.sqlite'}")
        found["sqlite_per_s"], found["sqlite_cpu_s_per_1000"] = _ingest(engine, messages, readings)
        engine.dispose()
    days, events = _days()
    found["day_events"] = events
    with TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'bridge.sqlite'}")
        found["day_sqlite_per_s"], found["day_sqlite_cpu_s_per_1000"] = _ingest(engine, days, events, DAY_GROUP, "relay_event")
        engine.dispose()
    with postgres() as url:
        if url is None:
            return found | {"postgresql": "not on this machine"}
        engine = open_engine(url)
        found["postgresql_per_s"], found["postgresql_cpu_s_per_1000"] = _ingest(engine, messages, readings)
        found["copy_per_s"] = copy_rate(engine)
        engine.dispose()
    with postgres() as url:
        engine = open_engine(url or "")
        found["day_postgresql_per_s"], found["day_postgresql_cpu_s_per_1000"] = _ingest(engine, days, events, DAY_GROUP, "relay_event")
        engine.dispose()
    return found | {
        "postgresql_to_copy": round(found["postgresql_per_s"] / found["copy_per_s"], 2),
        "baseline": "COPY of the finished rows into an unindexed table, row by row from Python, one commit per group",
    }


def _messages() -> list[Message]:
    """Parcels of many stations; every reading has a moment of its own, and so a key of its own."""
    events = [event for event in day(1) if isinstance(event.body, ObservationRecorded)][:BATCH]
    found: list[Message] = []
    for parcel in range(PARCELS):
        for station in range(STATIONS):
            name = f"tram-{station:04d}"
            moved = [_moved(event, 100_000 * parcel + station) for event in events]
            header = Header(name, station.to_bytes(8, "big"), int(Lane.READINGS), parcel * BATCH + 1, BATCH)
            found.append(Message(topic(0, name, UP, Lane.READINGS), write_parcel(header, moved), len(found)))
    return found


def packed(events: Sequence[Event]) -> Packed:
    """A day in parcels of a message each."""
    lanes: dict[Lane, list[Event]] = {}
    for event in events:
        lanes.setdefault(Lane(getattr(event.body, "LANE", Lane.READINGS)), []).append(event)
    found: Packed = []
    for lane, mine in lanes.items():
        at = 0
        while at < len(mine):
            _, fits = pack(Header("tram-0001", bytes(8), int(lane), at + 1, 1), mine[at:], CHUNK_BYTES)
            found.append((lane, at + 1, mine[at : at + fits]))
            at += fits
    return found


def _days() -> tuple[list[Message], int]:
    """Whole days of stations, urgent lanes first as they come, and how many events they are."""
    made = [packed(day(seed)) for seed in range(1, DAYS + 1)]
    found: list[Message] = []
    events = 0
    for number in range(DAY_STATIONS):
        name = f"tram-{number:04d}"
        for lane, first, some in made[number % DAYS]:
            header = Header(name, number.to_bytes(8), int(lane), first, len(some))
            found.append(Message(topic(0, name, UP, lane), write_parcel(header, some), len(found)))
            events += len(some)
    return sorted(found, key=lambda one: Lane(int(one.topic[-1])) not in AT_ONCE), events


def _moved(event: Event, ticks: int) -> Event:
    body = event.body
    assert isinstance(body, ObservationRecorded)
    stamp = replace(event.stamp, ticks=event.stamp.ticks + ticks, boot=event.stamp.boot + ticks % 1000)
    return replace(event, stamp=stamp, body=replace(body, reading=replace(body.reading, stamp=stamp)))


def _ingest(
    engine: Engine, messages: Sequence[Message], readings: int, group: int = GROUP, table: str = "observation"
) -> tuple[int, float]:
    """Readings (or events) a second, and this process's CPU seconds for 1,000 of them (PostgreSQL's own are not in it)."""
    migrate(engine)
    store = BridgeStore(engine, range(64))

    def apply(tx: Any, arrived: Sequence[Arrived]) -> None:
        intake.apply_many(tx, [(one.stream.station, one.event, 1, (one.stream.origin, one.lane, one.seq)) for one in arrived])

    started, used = time.perf_counter(), time.process_time()
    for at in range(0, len(messages), group):
        heard = [read(message, UP) for message in messages[at : at + group]]
        with store.transaction() as tx:
            take(store, tx, heard, apply, lambda _tx, _stream: True, 1)
    seconds, used = time.perf_counter() - started, time.process_time() - used
    with engine.connect() as tx:
        kept = int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608 - our own name
    if kept != readings:
        raise RuntimeError(f"{kept} of {readings} readings are in the store: the bench measures nothing")
    return round(readings / seconds), round(used * 1000 / readings, 3)


def copy_rate(engine: Engine) -> int:
    """Rows a second of PostgreSQL's COPY of the very readings that ingest has made, up to 100,000 of them."""
    with engine.connect() as tx:
        raw = tx.connection.driver_connection
        assert raw is not None
        with raw.cursor() as cursor:
            rows = cursor.execute("SELECT * FROM observation LIMIT 100000").fetchall()
            cursor.execute("CREATE TABLE bare AS SELECT * FROM observation LIMIT 0")
            raw.commit()
            started = time.perf_counter()
            for at in range(0, len(rows), GROUP * BATCH):
                with cursor.copy("COPY bare FROM STDIN") as copy:
                    for row in rows[at : at + GROUP * BATCH]:
                        copy.write_row(row)
                raw.commit()
            return round(len(rows) / (time.perf_counter() - started))
