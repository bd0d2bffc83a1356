"""P13: a day writes at most 20 MB to the card, and what a row costs is known; an index over random keys is caught."""

from collections.abc import Callable
from random import Random

from appliance.bench import wear
from appliance.database import Connection, transaction

KEYS = 20_000
"""Rows that are there already: a random key then falls on another page each time."""


def run(seed: int) -> dict[str, int]:
    """Bytes of the day, the times ×10 on the reading path, and what is over its limit."""
    honest = wear.run()
    spoilt = wear.run(lambda conn: random_keys(conn, Random(seed)))
    return {
        "readings": honest["readings"],
        "bytes_a_day": honest["bytes_a_day"],
        "tenths_of_times": round(honest["times_on_the_reading_path"] * 10),
        "tenths_of_times_with_the_bug": round(spoilt["times_on_the_reading_path"] * 10),
        "fifteen_times_kept": int(honest["times_on_the_reading_path"] <= wear.PROMISED_TIMES),
        "outside_the_limit": int(over(honest)),
        "saboteur_random_keys": int(over(spoilt)),
    }


def over(found: dict[str, float]) -> bool:
    """Whether the day's limit of P13 or the limit of this layout is broken; ``fifteen_times_kept`` says of the promised ×15."""
    return found["bytes_a_day"] > wear.MOST_BYTES or found["times_on_the_reading_path"] > wear.MOST_TIMES


def random_keys(conn: Connection, dice: Random) -> Callable[[int], None]:
    """Planted bug: each row of the way up has a random 16-byte key, unique, and an index by lane beside it (delivery.md §3)."""
    with transaction(conn):
        conn.execute("CREATE TABLE by_key (key BLOB PRIMARY KEY, lane INTEGER, body BLOB) WITHOUT ROWID")
        conn.execute("CREATE INDEX by_key_lane ON by_key (lane, key)")
        conn.executemany("INSERT INTO by_key VALUES (?, 2, ?)", [(dice.randbytes(16), bytes(120)) for _ in range(KEYS)])

    def add(_number: int) -> None:
        conn.execute("INSERT INTO by_key VALUES (?, 2, ?)", (dice.randbytes(16), bytes(120)))

    return add
