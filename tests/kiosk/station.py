"""A station in a folder: a real store made by `tram init`'s own function, a clock turned by hand, windows that press buttons.

A `Window` is one browser: it reads forms from the page and sends them back as they are, as a browser does.
"""

import io
import json
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from appliance import journal, settings
from appliance.agent.clock import Clock
from appliance.contract.answers import DOMAIN, Answer, answer_bytes
from appliance.contract.events import AnswerCorrected, AnswerSigned, Body, Event
from appliance.contract.ids import short_of
from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Stamp
from appliance.database import Connection, transaction
from appliance.kiosk.app import make_app
from appliance.kiosk.here import Kiosk
from appliance.store import consent, devices, downlink, keys, measuring, patients, pins, staff
from appliance.store.init import initialise
from appliance.store.opening import open_store, secret_file
from appliance.store.patients import PatientDraft

NURSE, DOCTOR, LEAD, TECHNICIAN = "y1", "bs2", "tt1", "kt1"
PINS = {NURSE: "480713", DOCTOR: "915304", LEAD: "620958", TECHNICIAN: "357140"}
"""Who works at the station of these tests, and their PINs."""
LIGHT = pins.Cost(1, 8, 1)
"""As Argon2id as the real one, and quick."""
FIRST = "Đặng Thử Nghiệm Một"
SECOND = "Trần Thử Nghiệm Hai"
NS = 1_000_000_000

SETTINGS = """
environment = "test"
[station]
id = "tram-0001"
name = "Trạm Y tế xã Thử"
[paths]
data = "data"
run = "run"
[store]
key_file = "store.key"
ballast_mb = 0
group = ""
[kiosk]
blank_s = 300
[duty]
name = "Trực thử"
phone = "0900 000 000"
[devices.oxi]
driver = "contec-cms50"
port = "/dev/null/oxi"
name = "Máy đo SpO₂"
[devices.cuff]
driver = "suntech-nibp"
port = "/dev/null/cuff"
name = "Máy đo huyết áp"
patient_types = ["adult", "paediatric", "neonate"]
"""


@dataclass
class Hand:
    """A clock turned by hand: 1,000 s after boot, 2026-03-01 10:00:00 UTC."""

    ns: int = 1_000 * NS
    wall_ns: int = 1_772_359_200 * NS

    def turn(self, seconds: float) -> None:
        """Time passes."""
        self.ns += int(seconds * NS)
        self.wall_ns += int(seconds * NS)

    def clock(self, boot_seq: int) -> Clock:
        """The clock of the box."""
        return Clock(boot_seq, boot=77, boottime=lambda: self.ns, wall=lambda: self.wall_ns, quality=lambda: ClockQuality.SYNCED)


@dataclass
class Station:
    """Everything of one station; make it with `make`."""

    settings: settings.Settings
    hand: Hand
    clock: Clock
    conn: Connection
    app: Flask
    journal: io.StringIO
    answer_key: Ed25519PrivateKey
    first: int = 0
    second: int = 0
    _ordinal: int = field(default=0)

    @property
    def kiosk(self) -> Kiosk:
        """The parts of the kiosk."""
        return self.app.extensions["kiosk"]  # type: ignore[no-any-return]

    @property
    def now(self) -> Stamp:
        """The moment of the call."""
        return self.clock.stamp()

    def window(self, who: str = NURSE) -> "Window":
        """A browser, with somebody at it unless `who` is empty."""
        window = Window(self.app.test_client())
        if who:
            window.sign_in(who)
        return window

    def live(self, device: str, **view: Any) -> None:
        """What a collector writes: the live file, of this moment unless `boottime_ns` says otherwise."""
        whole = {
            "device": device, "driver": "", "state": "ready", "session": None, "boottime_ns": self.hand.ns, "numerics": [], "signals": {},
            "invalid": None, "message": None, "test_data": False, "bad_ratio": 0.0, "measurement": None, **view,
        }  # fmt: skip
        (self.settings.paths.run / f"{device}.live").write_text(json.dumps(whole))

    def reading(self, device: str = "oxi", status: Status = Status(0), **values: int | None) -> Reading:
        """A reading of this moment: SPO2 and PULSE_RATE, or SYSTOLIC …"""
        self._ordinal += 1
        kind = ReadingKind.SPO2 if device == "oxi" else ReadingKind.BLOOD_PRESSURE
        numerics = tuple(
            Numeric(Metric[name], value, status if value is not None else status | Status.NOT_AVAILABLE) for name, value in values.items()
        )
        return Reading(kind, short_of(device), numerics, self.now)

    def measure(self, device: str, session: int | None, status: Status = Status(0), reason: str | None = None, **values: int | None) -> int:
        """A measurement settles now that began in `session`; its number."""
        reading = self.reading(device, status, **(values or {"SPO2": 98, "PULSE_RATE": 60}))
        return measuring.observe(self.conn, reading, device=device, began=session, now=self.now, raw=b"frame", reason=reason).measurement

    def down(self, body: Body) -> None:
        """An event of the way down arrives."""
        with transaction(self.conn):
            downlink.apply(self.conn, Event(self.now, "bs1", "test", body))

    def answer(self, consult: int, number: int = 1, advice: str = "Uống đủ nước.", replaces: int | None = None, **more: Any) -> None:
        """A doctor's signed answer arrives; `key` signs it instead of the pinned one."""
        key = more.pop("key", self.answer_key)
        content = answer_bytes(Answer("tram-0001", consult, number, "bs1", "BS Thử Một", self.now.wall, advice, **more))
        signature = key.sign(DOMAIN + content)
        if replaces is None:
            self.down(AnswerSigned(consult, number, content, 1, signature))
        else:
            self.down(AnswerCorrected(consult, number, replaces, content, 1, signature))

    def received(self) -> None:
        """The bridge has vouched for everything there is."""
        self.conn.execute("UPDATE outbox SET state = 2, received = ? WHERE state < 2", (self.now.wall,))

    def carrier(self, state: str, reason: str = "") -> None:
        """What the carrier says about the link."""
        self.conn.execute(
            "INSERT INTO carrier (id, state, heard, tried, retry, reason) VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " state = excluded.state, heard = excluded.heard, retry = excluded.retry, reason = excluded.reason",
            (state, self.now.wall, self.now.wall, self.now.wall + 3000, reason),
        )

    def steps(self, name: str) -> list[dict[str, Any]]:
        """The journal's lines of one step."""
        lines = [json.loads(line) for line in self.journal.getvalue().splitlines()]
        return [line for line in lines if line.get("step") == name]

    def count(self, query: str) -> int:
        """One number out of the store."""
        return int(self.conn.execute(query).fetchone()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kiosk.cuffs.close()
        self.conn.close()


def make(folder: Path, more: str = "", connect: Callable[[], Connection] | None = None) -> Station:
    """A station with one nurse, two patients and two devices. `more` is appended to its settings."""
    file = folder / "tram.toml"
    file.write_text(SETTINGS + more, encoding="utf-8")
    found = settings.load([file])
    hand = Hand()
    report = initialise(
        found, boot_id="boot-of-the-test", stamp=lambda seq: hand.clock(seq).stamp(), random=os.urandom, machine="test", environ={}
    )
    clock = hand.clock(report.boot_seq)
    conn = open_store(found, {})
    stream = io.StringIO()
    log = journal.open(f"kiosk-{folder.name}-{id(stream)}", stream)
    app = make_app(found, connect or (lambda: open_store(found, {})), clock, os.urandom, log)
    key = Ed25519PrivateKey.generate()
    station = Station(found, hand, clock, conn, app, stream, key)
    for code, name, role in (
        (NURSE, "Y tá Thử", staff.NURSE),
        (DOCTOR, "Bác sĩ Trạm Thử", staff.DOCTOR),
        (LEAD, "Trưởng Trạm Thử", staff.LEAD),
        (TECHNICIAN, "Kỹ Thuật Thử", staff.TECHNICIAN),
    ):
        staff.add(conn, code=code, name=name, role=role, now=clock.stamp())
        pins.give(conn, pins.read_secret(secret_file(found)), code, PINS[code], by="", now=clock.stamp(), cost=LIGHT)
    station.first = add_patient(station, 1001, FIRST, "1961-04-30", "001061012345")
    station.second = add_patient(station, 1002, SECOND, "1985", "")
    for name in ("oxi", "cuff"):
        devices.register(conn, name=found.devices[name].name, driver=found.devices[name].driver, identity=name, now=clock.stamp())
    with transaction(conn):
        keys.pin(conn, "answer", 1, key.public_key().public_bytes_raw())
    logging.getLogger("waitress").setLevel(logging.ERROR)
    return station


def add_patient(station: Station, number: int, name: str, birth: str, cccd: str = "", *, agrees: bool = True) -> int:
    """A patient of this station, who has agreed to be asked about unless `agrees` says otherwise."""
    draft = PatientDraft(name, birth, cccd=cccd, village="Bản Thử")
    patients.register(station.conn, draft, patient=number, staff=NURSE, now=station.now)
    if agrees:
        consent.say(station.conn, patient=number, purpose=consent.TREAT, given=True, staff=NURSE, now=station.now)
    return number


@dataclass
class Window:
    """One browser at the kiosk. `page` is the last answer, `text` what it says."""

    client: FlaskClient
    page: TestResponse | None = None
    text: str = ""

    def sign_in(self, who: str = NURSE, pin: str = "") -> "Window":
        """Tap a name, type the PIN (the right one unless `pin` says another)."""
        self.post("/staff", staff=who)
        return self.post("/pin", pin=pin or PINS[who])

    def get(self, path: str) -> "Window":
        """Open a page, following redirects."""
        return self._look(self.client.get(path, follow_redirects=True))

    def post(self, path: str, *, csrf: str | None = None, **fields: Any) -> "Window":
        """Send a form with the token of the page (or `csrf`), following redirects."""
        token = self.token() if csrf is None else csrf
        return self._look(self.client.post(path, data={"csrf": token, **fields}, follow_redirects=True))

    def token(self) -> str:
        """The window's token, from a page it can always open."""
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.client.get("/", follow_redirects=True).text)
        assert found, "no page without a token"
        return found[1]

    def data(self, path: str, idle: int = 0) -> Any:
        """What a JSON address says to the page's script."""
        answer = self.client.get(path, headers={"X-Idle": str(idle)})
        self.page, self.text = answer, answer.text
        return answer.get_json()

    @property
    def status(self) -> int:
        """The status of the last answer."""
        assert self.page is not None
        return self.page.status_code

    @property
    def path(self) -> str:
        """Where the last answer came from in the end."""
        assert self.page is not None
        return self.page.request.path

    def confirm(self, patient: int, device: str = "", send: str = "") -> "Window":
        """Tick name and birth of a patient."""
        return self.post(f"/patients/{patient}/confirm", id_name="1", id_birth="1", device=device, send=send)

    def open(self, patient: int, device: str = "oxi") -> int:
        """Confirm a patient and open a measuring session; its number."""
        self.confirm(patient, device)
        found = re.fullmatch(r"/sessions/(\d+)", self.path)
        assert found, f"no measuring page but {self.path}: {self.text[:400]}"
        return int(found[1])

    def _look(self, answer: TestResponse) -> "Window":
        self.page, self.text = answer, answer.text
        return self
