"""How long pages take where a station has lived for years: 20,000 patients, 500,000 observations, one patient with a whole year.

The figure is CPU time of the server for one request, the median of several, and what it means where the kiosk has 15 % of
one core (a Pi beside a busy browser). The baseline is the page that asks the store for nothing.
"""

import os
import re
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from appliance.agent.clock import Clock, boot_id
from appliance.contract.events import ConsultRequested, Department, Event, Identity, ObservationRecorded, PatientRegistered, Urgency
from appliance.contract.ids import short_of
from appliance.contract.metrics import Metric
from appliance.contract.readings import Numeric, Reading, ReadingKind, Stamp
from appliance.database import Connection, transaction
from appliance.settings import Settings, load
from appliance.store import consults, devices, history, measuring, patients, staff
from appliance.store.consults import ConsultDraft
from appliance.store.init import initialise
from appliance.store.opening import open_store
from appliance.store.patients import PatientDraft
from appliance.store.records import pack

PATIENTS, OBSERVATIONS, RESIDENT = 20_000, 500_000, 2_000
"""How many there are, and how many of the observations are one resident's."""
SHARE = 0.15
"""Of one core."""
LIMIT_MS, SEARCH_LIMIT_MS = 300, 150
DOCUMENTS = ("paper.slip", "paper.summary")
"""PDFs, made by a program of their own: no pages, and not within a page's limit."""
TIMES = 5
DAY_TENTHS = 864_000
STATION, PLACE, PASSWORD = "bench-01", "Nơi Thử", "mat-khau-thu-nghiem"
_FAMILY = ("Nguyễn", "Trần", "Lê", "Phạm", "Đặng", "Vàng", "Lò", "Giàng", "Hoàng", "Đỗ")
_MIDDLE = ("Thị", "Văn", "Thử", "Mẫu", "Đức", "Thanh")
_GIVEN = ("Hường", "Hương", "Đạt", "Dũng", "Mỹ", "Páo", "Sử", "Ánh", "Ân", "Yến", "Việt", "Quý", "Đào", "Diễm", "Tâm", "Ngọc")
SEARCHES = ("huong", "dang thi huong", "Đặng", "vang pao", "0010610", "090", "1961", "khong co ai")
_SETTINGS = """
environment = "test"
[station]
id = "bench-01"
name = "Trạm Thử Trang"
[paths]
data = "data"
run = "run"
[store]
key_file = "store.key"
ballast_mb = 0
group = ""
[kiosk]
secret_file = "kiosk.secret"
[devices.cuff]
driver = "suntech-nibp"
port = "/dev/null/cuff"
name = "Máy đo huyết áp"
[devices.oxi]
driver = "contec-cms50"
port = "/dev/null/oxi"
name = "Máy đo SpO2"
"""


def run(people: int = PATIENTS, observations: int = OBSERVATIONS) -> dict[str, Any]:
    """CPU milliseconds of each page, what they are at 15 % of a core, and the worst of them beside its limit."""
    with _station(people, observations) as (app, conn, numbers):
        asked = _pages(app, numbers)
        searches = _searches(app)
        size = Path(conn.path).stat().st_size
    console = _console(people, observations)
    documents = {name: asked.pop(name) for name in DOCUMENTS if name in asked}
    pages = asked
    worst, slowest = max([*pages.values(), *console.values()]), max(searches.values())
    return {
        "bench": "pages",
        "patients": people,
        "observations": observations,
        "store_mb": round(size / 1e6),
        "cpu_ms": pages,
        "console_cpu_ms": console,
        "documents_cpu_ms": documents,
        "search_cpu_ms": searches,
        "worst_ms_at_15_percent": round(worst / SHARE),
        "limit_ms": LIMIT_MS,
        "worst_search_ms_at_15_percent": round(slowest / SHARE),
        "search_limit_ms": SEARCH_LIMIT_MS,
        "baseline": "home.start: the page that shows nobody",
        "worst_to_baseline": round(worst / pages["home.start"], 1),
    }


# --- the pages ----------------------------------------------------------------------------------------------------------------------


def _pages(app: Flask, numbers: dict[str, Any]) -> dict[str, float]:
    """Every page that is asked for with GET and whose numbers are at hand, by its endpoint."""
    client = _signed_in(app, numbers)
    found: dict[str, float] = {}
    anonymous = app.test_client()
    for rule in sorted(app.url_map.iter_rules(), key=lambda one: one.endpoint):
        if "GET" not in (rule.methods or ()) or rule.endpoint in ("static", "home.blank") or not rule.arguments <= set(numbers):
            continue
        with app.test_request_context():
            path = app.url_for(rule.endpoint, **{name: numbers[name] for name in rule.arguments})
        who = anonymous if rule.endpoint == "home.start" else client
        found[rule.endpoint] = _cost(partial(_fine, who, path))
    return found


def _searches(app: Flask) -> dict[str, float]:
    """A search with its list, by what was typed."""
    client = _signed_in(app, {})
    token = _desk(app, client).csrf

    def search(text: str) -> None:
        client.post("/find", data={"csrf": token, "q": text})
        _fine(client, "/found")

    return {text: _cost(partial(search, text)) for text in SEARCHES}


def _fine(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    if answer.status_code >= 500:
        raise RuntimeError(f"{path} answered {answer.status_code}: the bench measures nothing")
    answer.close()


def _cost(ask: Callable[[], None]) -> float:
    """CPU milliseconds of one request, those of programs it started included: the median of several, the first left out."""
    ask()
    taken = []
    for _ in range(TIMES):
        before = _cpu()
        ask()
        taken.append(_cpu() - before)
    return round(1000 * median(taken), 2)


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _desk(app: Flask, client: FlaskClient) -> Any:
    """The window behind a client's cookie."""
    client.get("/")
    cookie = client.get_cookie("tram")
    assert cookie is not None
    return app.extensions["kiosk"].desks.get(cookie.value)


def _signed_in(app: Flask, numbers: dict[str, Any]) -> FlaskClient:
    """A window at which the lead works who has confirmed the resident; how people sign in is not what is measured here."""
    client = app.test_client()
    desk = _desk(app, client)
    desk.staff = "lead"
    if "patient" in numbers:
        desk.confirmed[numbers["patient"]] = app.extensions["kiosk"].clock.monotonic()
    return client


# --- the doctors' desk --------------------------------------------------------------------------------------------------------------


def _console(people: int, observations: int) -> dict[str, float]:
    """The pages of the console over one station's years, on SQLite, by endpoint."""
    from cloud_bridge import intake
    from cloud_bridge.store.engine import open_engine, writing
    from cloud_bridge.store.migrations import migrate

    with TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'bridge.sqlite'}")
        migrate(engine)
        dice, now = Random(2), Clock(1).stamp()  # noqa: S311 - as above
        with writing(engine) as tx:
            for number in range(1, people + 1):
                who = _identity(dice, number)
                intake.apply(tx, STATION, Event(now, "lead", "bench", PatientRegistered(who)), now.wall, (bytes(8), 2, number))
        for start in range(0, observations, 5_000):
            with writing(engine) as tx:
                rows = [
                    (STATION, _recorded(dice, now, one, people), now.wall, (bytes(8), 2, people + one))
                    for one in range(start, start + 5_000)
                ]
                intake.apply_many(tx, rows)
        with writing(engine) as tx:
            asked = ConsultRequested(
                7, _identity(dice, people // 2), Urgency.ROUTINE, Department.INTERNAL, "Đau đầu thử", (_reading(dice, now),)
            )
            intake.apply(tx, STATION, Event(now, "lead", "bench", asked), now.wall, (bytes(8), 0, 1))
        app = _desk_app(engine, now)
        client = app.test_client()
        token = _token(client)
        client.post("/login", data={"csrf": token, "login": "bench", "password": PASSWORD})
        numbers: dict[str, Any] = {"station": STATION, "number": 7, "patient": people // 2}
        found: dict[str, float] = {}
        for rule in sorted(app.url_map.iter_rules(), key=lambda one: one.endpoint):
            if "GET" in (rule.methods or ()) and rule.endpoint != "static" and rule.arguments <= set(numbers):
                with app.test_request_context():
                    path = app.url_for(rule.endpoint, **{name: numbers[name] for name in rule.arguments})
                found[f"console.{rule.endpoint}"] = _cost(partial(_fine, client, path))
        engine.dispose()
        return found


def _desk_app(engine: Any, now: Stamp) -> Flask:
    """The console with one doctor of the station's organisation."""
    import logging

    from argon2 import PasswordHasher
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from cloud_bridge.answers import Seal
    from cloud_bridge.console.app import create_app
    from cloud_bridge.console.desk import Desk
    from cloud_bridge.store import accounts, outbox, stations
    from cloud_bridge.store.engine import writing

    hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    with writing(engine) as tx:
        outbox.set_store_id(tx, bytes(8))
        accounts.add(
            tx, hasher, "bench", PASSWORD, now.wall, name="BS. Thử", role=accounts.Role.DOCTOR, organisation=PLACE, second_needed=False
        )
        stations.add(tx, stations.Station(STATION, 0, "Trạm Thử", PLACE, 0, 0, bytes(32), now.wall, None))
    desk = Desk(
        engine,
        Seal(1, Ed25519PrivateKey.generate()),
        lambda: now,
        os.urandom,
        hasher,
        logging.getLogger("bench"),
        "bench",
        bytes(32),
        PLACE,
    )
    return create_app(desk, bytes(32))


def _token(client: FlaskClient) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/login").text)
    if found is None:
        raise RuntimeError("the login page has no token")
    return found[1]


def _identity(dice: Random, number: int) -> Identity:
    draft = _draft(dice, number)
    return Identity(number, 1, draft.name, draft.birth, cccd=draft.cccd, phone=draft.phone, village=draft.village)


def _recorded(dice: Random, now: Stamp, number: int, people: int) -> Event:
    """A saved reading: the first `RESIDENT` are one resident's year, the others five years of everybody."""
    patient, days = (people // 2, number * 365 // RESIDENT) if number < RESIDENT else (1 + number % people, dice.randrange(5 * 366))
    moment = replace(now, wall=now.wall - days * DAY_TENTHS, ticks=now.ticks + number)
    return Event(moment, "lead", "bench", ObservationRecorded(patient, _reading(dice, moment)))


# --- the station --------------------------------------------------------------------------------------------------------------------


@contextmanager
def _station(people: int, observations: int) -> Iterator[tuple[Flask, Connection, dict[str, Any]]]:
    from appliance.kiosk.app import make_app

    with TemporaryDirectory() as folder:
        file = Path(folder) / "tram.toml"
        file.write_text(_SETTINGS, encoding="utf-8")
        settings = load([file])
        report = initialise(
            settings, boot_id=boot_id(), stamp=lambda seq: Clock(seq).stamp(), random=os.urandom, machine="bench", environ={}
        )
        clock = Clock(report.boot_seq)
        conn = open_store(settings, {})
        try:
            numbers = _fill(conn, settings, clock.stamp(), people, observations)
            yield make_app(settings, lambda: open_store(settings, {}), clock, os.urandom), conn, numbers
        finally:
            conn.close()


def _fill(conn: Connection, settings: Settings, now: Stamp, people: int, observations: int) -> dict[str, Any]:
    """Patients, five years of readings of them, a resident with a reading every few hours of a year, a request, a session."""
    conn.execute("PRAGMA synchronous = OFF")  # nothing here must survive anything
    staff.add(conn, code="lead", name="Người Thử", role="lead", now=now)
    for name, one in settings.devices.items():
        devices.register(conn, name=one.name, driver=one.driver, identity=name, now=now)
    dice = Random(1)  # noqa: S311 - invented readings, the same in every run
    for number in range(1, people + 1):
        patients.register(conn, _draft(dice, number), patient=number, staff="lead", now=now)
    resident = people // 2
    session = measuring.open_session(conn, patient=resident, staff="lead", device="cuff", now=now)
    with transaction(conn):
        rows = _Rows(conn, dice, now, session.id + 1)
        for number in range(observations - RESIDENT):
            rows.observe(1 + number % people, dice.randrange(5 * 366))
        for number in range(RESIDENT):
            rows.observe(resident, number * 365 // RESIDENT)
    done = measuring.observe(conn, _reading(dice, now), device="cuff", began=session.id, now=now, raw=b"bench")
    measuring.record(conn, done.measurement, staff="lead", now=now)
    draft = ConsultDraft(resident, Urgency.ROUTINE, Department.INTERNAL, "Đau đầu thử", (done.measurement,))
    consults.request(conn, draft, consult=7, staff="lead", now=now)
    observation = conn.execute("SELECT max(id) FROM observation").fetchone()[0]
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return {"patient": resident, "session": session.id, "consult": 7, "measurement": done.measurement, "observation": observation}


def _draft(dice: Random, number: int) -> PatientDraft:
    name = f"{dice.choice(_FAMILY)} {dice.choice(_MIDDLE)} {dice.choice(_GIVEN)}"
    birth = f"{dice.randrange(1930, 2024)}-{dice.randrange(1, 13):02d}-{dice.randrange(1, 29):02d}"
    return PatientDraft(name, birth, cccd=f"{number:012d}", phone=f"09{number:08d}", village=f"Bản {number % 40}")


def _reading(dice: Random, now: Stamp) -> Reading:
    pressure = ((Metric.SYSTOLIC, dice.randrange(95, 180)), (Metric.DIASTOLIC, dice.randrange(55, 94)), (Metric.PULSE_RATE, 72))
    return Reading(ReadingKind.BLOOD_PRESSURE, short_of("cuff"), tuple(Numeric(*one) for one in pressure), now)


class _Rows:
    """The rows of saved readings, written by hand: half a million commits are not what is measured. One reading a day is packed once."""

    def __init__(self, conn: Connection, dice: Random, now: Stamp, session: int) -> None:
        self._conn, self._dice, self._now, self._session = conn, dice, now, session
        self._days: dict[int, tuple[Reading, bytes, int]] = {}
        self._count = 0

    def observe(self, patient: int, days: int) -> None:
        """One reading of a patient, so many days ago."""
        if days not in self._days:
            wall = self._now.wall - days * DAY_TENTHS - self._dice.randrange(DAY_TENTHS)
            reading = _reading(self._dice, replace(self._now, wall=wall))
            self._days[days] = (reading, *pack(reading))
        reading, content, crc = self._days[days]
        self._count += 1
        key, session = self._count.to_bytes(16), self._session + self._count // 2
        made = self._conn.execute(_MEASUREMENT, (key, session, content, reading.stamp.wall, int(measuring.State.RECORDED), crc))
        if self._count % 2 == 0:
            self._conn.execute(_SESSION, (session, patient, reading.stamp.wall))
        row = (key, patient, made.lastrowid, content, reading.stamp.wall, crc)
        history.keep(self._conn, patient, self._conn.execute(_OBSERVATION, row).lastrowid, reading)


_MEASUREMENT = """INSERT INTO measurement (key, device, session, reading, raw, boot, ticks, wall, state, why, crc)
VALUES (?, 'cuff', ?, ?, x'', 0, 0, ?, ?, '', ?)"""
_SESSION = """INSERT INTO session (id, patient, staff, device, boot, wall, opened, expires, ended, why)
VALUES (?, ?, 'lead', 'cuff', 0, ?, 0, 0, 0, 'closed')"""
_OBSERVATION = """INSERT INTO observation (key, patient, measurement, reading, lane, seq, epoch, marks, staff, wall, outbox, crc)
VALUES (?, ?, ?, ?, 2, 0, 1, 0, 'lead', ?, 0, ?)"""
