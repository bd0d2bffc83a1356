"""Thirty days offline: seconds of link-up time until the first request, every request and every reading is at the bridge.

The link is the worst of the promises: 20 kbit/s, 600 ms, 5 % loss, cut every two to ten minutes (delivery.md §10). Photos wait behind
everything: of them only the order is promised.
"""

import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance import simulate
from appliance.agent.clock import Clock
from appliance.bench.shaper import PROFILES, Weather
from appliance.bench.thin import PHOTO_BYTES, Ends, ends
from appliance.contract.events import AnswerRead, ConsultRequested, Event, ObservationRecorded
from appliance.contract.lanes import Lane
from appliance.database import Connection, transaction
from appliance.store import pictures
from appliance.store.outbox import append


@dataclass
class Month:
    """How much waits: readings, requests, photos; `cut_s` how often the link is cut (least, most), `down_s` how long."""

    readings: int = 100_000
    requests: int = 500
    photos: int = 20
    cut_s: tuple[float, float] = (120.0, 600.0)
    down_s: float = 20.0


def run(month: Month | None = None, weather: Weather | None = None, within: float = 3600.0) -> dict[str, Any]:
    """The link returns after thirty days: seconds of link-up time until the first request, all of them, and all readings are in."""
    weather, month = weather or replace(PROFILES["worst"]), month or Month()
    chance = random.Random(2)  # noqa: S311 - when the link is cut
    weather.up = False
    with ends(weather, metered=True, before=lambda conn, clock: _fill(conn, clock, month)) as here:
        here.until(lambda: "refused" not in (here.folder / "bridge.log").read_text(errors="replace"), 30, "the bridge")
        time.sleep(5)
        marks: dict[str, float] = {}
        up, lost_at, turn_at = 0.0, chance.uniform(*month.cut_s), time.monotonic()
        here.link.come_up()
        sent, readings = here.link.up_bytes, here.query("SELECT count(*) FROM observation")
        while "all_readings" not in marks and up < within:
            time.sleep(0.1)
            now = time.monotonic()
            up, turn_at = up + now - turn_at, now
            _mark(here, marks, up, month)
            if up > lost_at:
                here.link.weather.up = False
                time.sleep(month.down_s)
                here.link.come_up()
                turn_at = time.monotonic()
                lost_at = up + chance.uniform(*month.cut_s)
        return {
            "bench": "month",
            "waiting": {"readings": month.readings, "requests": month.requests, "photos": month.photos},
            "link_up_s": {name: round(value, 1) for name, value in marks.items()},
            "wire_bytes": here.link.up_bytes - sent,
            "payload_goodput": round(here.settled() * 8 / up / weather.rate, 3),
            "wire_share_of_capacity": round((here.link.up_bytes - sent) * 8 / up / weather.rate, 3),
            "readings_in": here.query("SELECT count(*) FROM observation") - readings,
        }


def _mark(here: Ends, marks: dict[str, float], up: float, month: Month) -> None:
    if "all_requests" not in marks:
        asked = here.query("SELECT count(*) FROM consult")
        if asked and "first_request" not in marks:
            marks["first_request"] = up
        if asked >= month.requests:
            marks["all_requests"] = up
    elif here.query("SELECT count(*) FROM observation") >= month.readings:
        marks["all_readings"] = up


def _numbered(event: Event, number: int) -> Event:
    assert isinstance(event.body, ConsultRequested)
    return replace(event, body=replace(event.body, consult=number))


def _fill(conn: Connection, clock: Clock, month: Month) -> None:
    """Thirty days as the station keeps them: readings, requests, photos, nothing vouched for. Nobody has read an answer: none came."""
    seed, readings = 1, 0
    asked: list[Event] = []
    while readings < month.readings:
        with transaction(conn):
            for event in simulate.day(seed):
                if isinstance(event.body, ConsultRequested):
                    asked.append(event)
                elif isinstance(event.body, AnswerRead):
                    continue
                elif not isinstance(event.body, ObservationRecorded) or readings < month.readings:
                    append(conn, event)
                    readings += isinstance(event.body, ObservationRecorded)
        seed += 1
    with transaction(conn):
        for number, event in enumerate((asked * (month.requests // max(1, len(asked)) + 1))[: month.requests]):
            append(conn, _numbered(event, 10_000 + number), Lane.URGENT)
    chance = random.Random(3)  # noqa: S311 - bytes of invented pictures
    here = Ends(Path(), None, conn, None, clock, {})  # type: ignore[arg-type]  # it only writes into the store
    here.patient()
    for number in range(month.photos):
        consult, place = divmod(number, pictures.MOST_PICTURES)
        if place == 0:
            here.ask(1 + consult)
        here.photo(1 + consult, chance, PHOTO_BYTES)
