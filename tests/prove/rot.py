"""P12: bits change anywhere in a station's files: found or harmless, never another number on the screen; what is left is saved."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from appliance.database import StoreError, connect, files, transaction, truncate_log
from appliance.store import measuring, pictures, records
from appliance.store.errors import Damaged, Refused
from appliance.store.opening import database_file, open_store
from tests.store.station import Hand, Station, init, settings_at, station_at

READINGS = 60
MOST = 64
Values = tuple[int | None, ...]


@dataclass
class Truth:
    """What was really measured: (measurement → values), the picture's bytes, and the files of a box that lost its power."""

    folder: Path
    vitals: dict[int, Values]
    picture: bytes
    consult: int


def run(seed: int, flips: int) -> dict[str, int]:
    """`flips` stores, 1 to 64 bits changed in each: in the file, in its log, or in a row before it was written."""
    found = {
        "flipped": 0,
        "bits": 0,
        "detected": 0,
        "harmless": 0,
        "undetected": 0,
        "wrong_vitals": 0,
        "gone_with_the_damage": 0,
        "readings": 0,
    }
    with _place() as place:
        truths = [make(place / "live", checkpoint=False), make(place / "resting", checkpoint=True)]
        for number in range(flips):
            dice = Random(f"{seed}/{number}")
            one = flip(dice.choice(truths), dice, place / "case")
            for name, value in one.items():
                found[name] += value
        found["saboteur_no_checksum_per_record"] = int(_no_checksum_is_caught(truths[1], seed, place / "case"))
    return found


@contextmanager
def _place() -> Iterator[Path]:
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tram-rot-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make(folder: Path, *, checkpoint: bool) -> Truth:
    """A station's morning; `checkpoint`: all of it in the file, else half of it in the log as when the power goes."""
    folder.mkdir(parents=True)
    station = station_at(folder)
    who, photo = station.patient(), b"\xff\xd8\xff" + Random(1).randbytes(4000)
    for number in range(READINGS):
        if number == READINGS // 2:
            truncate_log(station.conn)
        station.saved(who, 100 + number)
    pictures.attach(station.conn, 77, patient=who, full=photo, preview=photo[:900], source="file", staff="an", now=station.now)
    vitals = shown(station)
    if checkpoint:
        truncate_log(station.conn)
    path = database_file(station.settings)
    kept = {one.name: one.read_bytes() for one in files(path)[:2] if one.exists()}
    station.conn.close()
    for name, content in kept.items():
        (path.parent / name).write_bytes(content)
    return Truth(folder, vitals, photo, 77)


def shown(station: Station) -> dict[int, Values]:
    """What the screen would show of every saved reading; a damaged one is not shown."""
    found: dict[int, Values] = {}
    for row in station.conn.execute("SELECT id, measurement FROM observation").fetchall():
        try:
            one = measuring.observation(station.conn, row[0])
        except (Damaged, Refused):
            continue
        if one is not None:
            found[row[1]] = tuple(each.value for each in one.reading.numerics)
    return found


def flip(truth: Truth, dice: Random, case: Path) -> dict[str, int]:
    """One store with changed bits, started again."""
    shutil.rmtree(case, ignore_errors=True)
    shutil.copytree(truth.folder, case)
    settings = settings_at(case)
    path = database_file(settings)
    key = bytes.fromhex((case / "store.key").read_text())
    bits = dice.randint(1, MOST)
    if dice.random() < 0.2:
        _under_the_seal(path, key, bits, dice)
    else:
        _on_the_card([one for one in files(path)[:2] if one.exists() and one.stat().st_size], bits, dice)
    said = False
    try:
        report = init(settings, Hand(boot="after", wall=17_990_000_000))
        said = bool(report.damage) or report.salvaged is not None
        station = Station(settings, open_store(settings, {}), Hand(), Hand().clock(2))
    except StoreError:
        return {"flipped": 1, "bits": bits, "detected": 1, "gone_with_the_damage": len(truth.vitals)}
    try:
        vitals = shown(station)
        damaged = station.count("observation") - len(vitals)
        said = said or damaged > 0 or station.conn.execute("SELECT 1 FROM inspection").fetchone() is not None
        try:
            (one,) = pictures.listing(station.conn, truth.consult) or (None,)
            photo = None if one is None else pictures.read(station.conn, truth.consult, one.digest)
        except Damaged:
            said, photo = True, None
    finally:
        station.conn.close()
    wrong = sum(truth.vitals.get(number) != values for number, values in vitals.items()) + (photo not in (None, truth.picture))
    lost = len(set(truth.vitals) - set(vitals))
    return {
        "flipped": 1, "bits": bits, "wrong_vitals": wrong, "readings": len(vitals), "detected": int(said),
        "harmless": int(not said and not lost),
        "undetected": int(not said and (lost > 0 or photo is None)), "gone_with_the_damage": lost if said else 0,
    }  # fmt: skip


def _on_the_card(there: list[Path], bits: int, dice: Random) -> None:
    """In one place (a worn block) or all over the file."""
    file = dice.choice(there)
    raw = bytearray(file.read_bytes())
    start, width = (dice.randrange(len(raw)), 32) if dice.random() < 0.5 else (0, len(raw))
    for _ in range(bits):
        raw[(start + dice.randrange(width)) % len(raw)] ^= 1 << dice.randrange(8)
    file.write_bytes(raw)


def _under_the_seal(path: Path, key: bytes, bits: int, dice: Random) -> None:
    """In memory, before the page was sealed: only the row's own checksum can tell."""
    conn = connect(path, key=key)
    table, column = dice.choice([("observation", "reading"), ("measurement", "reading"), ("outbox", "body")])
    rows = conn.execute(f"SELECT id, {column} FROM {table}").fetchall()
    row, content = tuple(dice.choice(rows))
    raw = bytearray(content)
    for _ in range(bits):
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    with transaction(conn):
        conn.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (bytes(raw), row))
    conn.close()


def _no_checksum_is_caught(truth: Truth, seed: int, case: Path) -> bool:
    """Planted bug: a row is shown whatever its checksum says. Some changed bit then shows another number."""

    def unpack(kind: Any, content: bytes, crc: int, table: str, row: int) -> Any:
        del crc
        import zlib

        return records.unpack(kind, content, zlib.crc32(content), table, row)

    honest, measuring.unpack = measuring.unpack, unpack  # type: ignore[attr-defined]  # where it has it from
    try:
        for number in range(60):
            shutil.rmtree(case, ignore_errors=True)
            shutil.copytree(truth.folder, case)
            settings = settings_at(case)
            path, dice = database_file(settings), Random(f"{seed}/bug/{number}")
            key = bytes.fromhex((case / "store.key").read_text())
            conn = connect(path, key=key)
            row, content = dice.choice([tuple(one) for one in conn.execute("SELECT id, reading FROM observation").fetchall()])
            raw = bytearray(content)
            raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
            with transaction(conn):
                conn.execute("UPDATE observation SET reading = ? WHERE id = ?", (bytes(raw), row))
            station = Station(settings, conn, Hand(), Hand().clock(2))
            vitals = shown(station)
            conn.close()
            if any(truth.vitals.get(one) != values for one, values in vitals.items()):
                return True
    finally:
        measuring.unpack = honest  # type: ignore[attr-defined]
    return False
