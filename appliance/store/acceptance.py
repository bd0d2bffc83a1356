"""The acceptance of a station: every part is tried once, passes, is absent, or is waived with a reason; then it is signed and told.

A test reading is a measurement of nobody, taken while an acceptance is open: it goes to the bridge marked *test data*, and the step
*bridge* passes when the bridge has vouched for it. Lamp, camera and printer pass when a person says that they saw them work. What
was signed stands in the store, in an event for the bridge, on the slip, and in the file ``<paths.data>/accepted``, which closes the
first key for ssh (``provisioning/roles/hardening``). Lights are those of `store.health`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from appliance import __version__, durable
from appliance.contract.events import Event, StationAccepted, Waiver
from appliance.contract.lanes import Lane
from appliance.contract.metrics import TABLE
from appliance.contract.readings import Reading, Stamp
from appliance.contract.statuscode import Light, write
from appliance.database import Connection, transaction
from appliance.settings import Settings
from appliance.store import audit, enrolment, health, measuring
from appliance.store.errors import Damaged, Refused
from appliance.store.health import Line, Looked
from appliance.store.opening import schema_of
from appliance.store.outbox import RECEIVED, queue
from appliance.store.records import unpack

Pair = tuple[str, str]
"""Vietnamese, English."""
FILE = "accepted"
"""Its name in ``paths.data``."""
TRIAL = 0
"""The patient of a technician's trial: nobody has this number."""
LEAST_REASON = 4
"""Signs of a reason."""
MOST_REASON = 80
DEVICE = "device:"
PASSED, OPEN, ABSENT, WAIVED = "passed", "open", "absent", "waived"
SEEN, MEASURED = "seen", "measured"
"""`acceptance_step.state` beside *waived*: a person saw it work; a device gave a reading."""
BY_EYE = ("camera", "printer", "panel")
"""Parts that only a person can call good."""
TITLES: dict[str, Pair] = {
    "power": ("Nguồn điện", "Power"),
    "card": ("Thẻ nhớ", "Card"),
    "clock": ("Giờ", "Time"),
    "enrolment": ("Ghi danh", "Enrolment"),
    "link": ("Đường truyền", "Line"),
    "bridge": ("Máy chủ nhận số đo thử", "The bridge has a test reading"),
    "camera": ("Camera", "Camera"),
    "printer": ("Máy in", "Printer"),
    "panel": ("Đèn, còi, nút gọi", "Lamp, buzzer, button"),
}
"""The steps in their order; one for each device stands before the bridge's."""
_BEFORE, _AFTER = ("power", "card", "clock", "enrolment", "link"), ("bridge", "camera", "printer", "panel")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One acceptance. `began` and `ended` are tenths of a second since 1970, `measured` is the last measurement there was before."""

    id: int
    staff: str
    began: int
    measured: int
    ended: int | None
    slip: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step: how it stands (``passed``, ``open``, ``absent``, ``waived``), in words, what to do next, the reason of a waiver."""

    name: str
    title: Pair
    state: str
    said: Pair
    next: Pair = ("", "")
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Slip:
    """What stands on paper. `steps`: (title, state, words) in Vietnamese; `devices`: (name, driver, inventory or serial number)."""

    station: str
    name: str
    software: str
    schema: int
    certificate: str
    words: str
    code: str
    technician: str
    began: int
    ended: int
    devices: tuple[tuple[str, str, str], ...]
    steps: tuple[tuple[str, str, str], ...]


def latest(conn: Connection) -> Acceptance | None:
    """The open acceptance, else the last that was signed; None where there was none."""
    row = conn.execute(
        "SELECT id, staff, began, measured, ended, slip FROM acceptance ORDER BY ended IS NULL DESC, id DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Acceptance(*row)


def begin(conn: Connection, *, staff: str, now: Stamp) -> Acceptance:
    """The acceptance under way, or a new one. Own transaction."""
    with transaction(conn):
        found = latest(conn)
        if found is None or found.ended is not None:
            conn.execute(
                "INSERT INTO acceptance (staff, began, measured) VALUES (?, ?, (SELECT coalesce(max(id), 0) FROM measurement))",
                (staff, now.wall),
            )
            audit.note(conn, actor=staff, action="acceptance.begin", now=now)
    return _open(conn)


def _open(conn: Connection) -> Acceptance:
    found = latest(conn)
    if found is None or found.ended is not None:
        raise Refused("Chưa bắt đầu nghiệm thu. Bấm “Bắt đầu nghiệm thu”.", "no acceptance is under way: tram acceptance begin")
    return found


def gather(conn: Connection, settings: Settings, *, now: Stamp) -> int:
    """Take what the devices have measured since the acceptance began: a measurement of nobody goes to the bridge as a test. How many.

    Own transaction, none where there is nothing new. A measurement that was saved for a patient proves its device and stays theirs.
    """
    one = latest(conn)
    if one is None or one.ended is not None:
        return 0
    known = {name for name, kept in _kept(conn, one.id).items() if kept.state == MEASURED}
    fresh = {name: found for name in settings.devices if DEVICE + name not in known and (found := _measured(conn, one, name)) is not None}
    if not fresh:
        return 0
    with transaction(conn):
        for name, (measurement, words) in fresh.items():
            conn.execute(
                "UPDATE measurement SET state = 3, session = NULL WHERE id = ? AND state = 1"
                " AND session IN (SELECT id FROM session WHERE patient = ?)",
                (measurement, TRIAL),
            )
            sent = measuring.send_as_test(conn, measurement, staff=one.staff, now=now)
            _keep(conn, one.id, DEVICE + name, MEASURED, words, now, sent)
    return len(fresh)


def _measured(conn: Connection, one: Acceptance, device: str) -> tuple[int, str] | None:
    """The latest sound measurement of a device since the beginning, and its values in words."""
    rows = conn.execute(
        "SELECT id, reading, crc FROM measurement WHERE device = ? AND id > ? ORDER BY id DESC LIMIT 3", (device, one.measured)
    ).fetchall()
    for number, content, crc in rows:
        try:
            return int(number), _values(unpack(Reading, content, crc, "measurement", number))
        except Damaged:
            continue
    return None


def _values(reading: Reading) -> str:
    """Such as ``SpO₂ 97 %, Mạch 71 /min``."""
    return ", ".join(
        f"{TABLE[one.metric].vi} {one.number} {TABLE[one.metric].unit}" for one in reading.numerics if one.number is not None
    )  # fmt: skip


def trial(conn: Connection, device: str, *, staff: str, now: Stamp) -> int:
    """A measuring session for nobody, so that a technician can start a cuff on their own arm; its number. Own transaction.

    Refused while the device measures a patient.
    """
    with transaction(conn):
        _open(conn)
        held = measuring.session_for(conn, device, now)
        if held is not None and held.patient != TRIAL:
            raise Refused("Máy này đang đo cho người bệnh. Chờ đo xong.", f"{device} is measuring a patient: wait until that is over")
        conn.execute("UPDATE session SET ended = min(expires, ?), why = 'trial' WHERE device = ? AND ended IS NULL", (now.ticks, device))
        made = conn.execute(
            "INSERT INTO session (patient, staff, device, boot, wall, opened, expires, headless) VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            (TRIAL, staff, device, now.boot, now.wall, now.ticks, now.ticks + measuring.SESSION_MINUTES * 600),
        )
        audit.note(conn, actor=staff, action="device.trial", now=now, subject=device)
        return int(made.lastrowid)


# --- the steps ------------------------------------------------------------------------------------------------------------------------


def steps(at: Looked) -> list[Step]:
    """Every step as it stands now, in order."""
    found = {line.name: line for line in health.lines(at)}
    one = latest(at.conn)
    kept = {} if one is None or one.ended is not None else _kept(at.conn, one.id)
    names = (*_BEFORE, *(DEVICE + name for name in sorted(at.settings.devices)), *_AFTER)
    return [_with_waiver(_step(name, at, found, kept), kept) for name in names]


def _step(name: str, at: Looked, lines: Mapping[str, Line], kept: Mapping[str, "_Kept"]) -> Step:
    if name.startswith(DEVICE):
        return _device(name, at, kept)
    if name in BY_EYE:
        return _by_eye(name, lines[name], kept)
    if name in _OWN:
        return _OWN[name](at, kept)
    line = lines[name]
    state = {Light.OK: PASSED, Light.ABSENT: ABSENT}.get(line.light, OPEN)
    if name == "card" and line.light is Light.WARN:
        state = PASSED
    return Step(name, TITLES[name], state, line.said, line.next)


def _device(name: str, at: Looked, kept: Mapping[str, "_Kept"]) -> Step:
    device = name.removeprefix(DEVICE)
    known = at.settings.devices[device]
    title = (known.name or device, known.name or device)
    if name in kept and kept[name].state == MEASURED:
        return Step(name, title, PASSED, (kept[name].reason, kept[name].reason))
    return Step(
        name, title, OPEN, ("Chưa đo thử.", "Not tried yet."),
        ("Đo thử trên tay mình; số đo hiện ở đây.", "Measure yourself with it: the values appear here."),
    )  # fmt: skip


def _by_eye(name: str, line: Line, kept: Mapping[str, "_Kept"]) -> Step:
    if name in kept and kept[name].state == SEEN:
        return Step(name, TITLES[name], PASSED, ("Đã thử, chạy tốt.", "Tried, it works."))
    if line.light is Light.ABSENT:
        return Step(name, TITLES[name], ABSENT, line.said)
    return Step(name, TITLES[name], OPEN, line.said, line.next if line.next[0] else ("Bấm để thử.", "Touch to try it."))


def _enrolled(at: Looked, _kept: Mapping[str, "_Kept"]) -> Step:
    found, title = enrolment.latest(at.conn), TITLES["enrolment"]
    if found is not None:
        return Step("enrolment", title, PASSED, (f"Sáu từ: {found.words}.", f"Six words: {found.words}."))
    if at.settings.broker.cert is not None and at.settings.broker.cert.exists():
        return Step("enrolment", title, PASSED, ("Có chứng thư.", "There is a certificate."))
    step = ("Ghi danh bằng tờ giấy có mã QR.", "Enrol with the paper that has the QR code.")
    return Step("enrolment", title, OPEN, ("Trạm chưa ghi danh.", "The station is not enrolled."), step)


def _link(at: Looked, _kept: Mapping[str, "_Kept"]) -> Step:
    row = at.conn.execute("SELECT state, reason FROM carrier WHERE id = 1").fetchone()
    if row is not None and row[0] == "online":
        return Step("link", TITLES["link"], PASSED, ("Đang nối với máy chủ.", "Connected to the bridge."))
    why = "" if row is None else f" ({row[0]} {row[1]})".rstrip()
    step = ("Xem mục Mạng.", "Look at the page of the network.")
    return Step("link", TITLES["link"], OPEN, (f"Chưa nối{why}.", f"Not connected{why}."), step)


def _received(at: Looked, kept: Mapping[str, "_Kept"]) -> Step:
    sent = [one.sent for one in kept.values() if one.state == MEASURED and one.sent is not None]
    title = TITLES["bridge"]
    if any(_has(at.conn, row) for row in sent):
        return Step("bridge", title, PASSED, ("Máy chủ báo đã nhận.", "The bridge has vouched for it."))
    if sent:
        return Step("bridge", title, OPEN, ("Đã gửi, đang chờ máy chủ báo.", "Sent, waiting for the bridge's word."), ("Chờ.", "Wait."))
    step = ("Đo thử một máy: số đo thử tự gửi đi.", "Try a device: its test reading goes by itself.")
    return Step("bridge", title, OPEN, ("Chưa có số đo thử.", "There is no test reading."), step)


def _has(conn: Connection, row: int) -> bool:
    """Whether the bridge has vouched for a row of the outbox; one that is gone from there was vouched for."""
    found = conn.execute("SELECT state FROM outbox WHERE id = ?", (row,)).fetchone()
    return found is None or int(found[0]) == RECEIVED


_OWN = {"enrolment": _enrolled, "link": _link, "bridge": _received}


def _with_waiver(step: Step, kept: Mapping[str, "_Kept"]) -> Step:
    waived = kept.get(step.name)
    if step.state != OPEN or waived is None or waived.state != WAIVED:
        return step
    return Step(step.name, step.title, WAIVED, step.said, reason=waived.reason)


# --- what a person says ---------------------------------------------------------------------------------------------------------------


def saw(conn: Connection, step: str, *, now: Stamp) -> None:
    """A person saw camera, printer or lamp and button work. Own transaction."""
    if step not in BY_EYE:
        raise Refused("Bước này máy tự kiểm.", f"{step} is looked at by the box itself")
    with transaction(conn):
        one = _open(conn)
        _keep(conn, one.id, step, SEEN, "", now)
        audit.note(conn, actor=one.staff, action="acceptance.seen", now=now, subject=step)


def waive(at: Looked, step: str, reason: str, *, staff: str) -> None:
    """Accept all the same, with a reason of at least four signs. Own transaction. Refused for a step that needs no waiver."""
    tidy = " ".join(reason.split())
    known = {one.name: one for one in steps(at)}
    if step not in known:
        raise Refused("Không có bước này.", f"no step {step}: expected one of {', '.join(known)}")
    if known[step].state in (PASSED, ABSENT):
        raise Refused("Bước này không cần miễn.", f"{step} needs no waiver")
    if not LEAST_REASON <= len(tidy) <= MOST_REASON or not tidy.isprintable():
        raise Refused(
            f"Ghi lý do miễn, {LEAST_REASON} đến {MOST_REASON} chữ. Ví dụ: chưa có SIM.",
            f"a waiver needs a reason of {LEAST_REASON} to {MOST_REASON} signs, such as: no SIM card yet",
        )
    with transaction(at.conn):
        one = _open(at.conn)
        _keep(at.conn, one.id, step, WAIVED, tidy, at.now)
        audit.note(at.conn, actor=staff, action="acceptance.waive", now=at.now, subject=step)


def finish(at: Looked, *, staff: str, name: str) -> Slip:
    """Sign: the slip, the event for the bridge, the audit entry, then the file. Refused with the steps that are open."""
    found = steps(at)
    left = [one for one in found if one.state == OPEN]
    if left:
        raise Refused(
            "Còn bước chưa xong: " + "; ".join(one.title[0] for one in left) + ". Làm cho xong, hoặc miễn và ghi lý do.",
            "open: " + ", ".join(one.name for one in left) + ". Do them, or waive each with a reason",
        )
    code = write(health.code_of(at, health.lines(at)))
    with transaction(at.conn):
        one = _open(at.conn)
        slip = _slip(at, one, found, code, name)
        body = StationAccepted(
            name, code, tuple(each.name for each in found if each.state == PASSED),
            tuple(each.name for each in found if each.state == ABSENT),
            tuple(Waiver(each.name, each.reason) for each in found if each.state == WAIVED),
        )  # fmt: skip
        sent = queue(at.conn, Event(at.now, staff, __version__, body), Lane.CONSULT).row  # it does not wait for a batch
        at.conn.execute(
            "UPDATE acceptance SET ended = ?, staff = ?, sent = ?, slip = ? WHERE id = ?",
            (at.now.wall, staff, sent, json.dumps(asdict(slip), ensure_ascii=False), one.id),
        )
        audit.note(at.conn, actor=staff, action="acceptance.sign", now=at.now, subject=code)
    mark(at.settings, slip)
    return slip


def mark(settings: Settings, slip: Slip) -> None:
    """Leave ``<paths.data>/accepted``, whole and on the disk: the station is in service from now on."""
    said = {"station": slip.station, "at": slip.ended, "technician": slip.technician, "code": slip.code}
    durable.replace(settings.paths.data / FILE, json.dumps(said, ensure_ascii=False).encode() + b"\n", 0o644)


def signed(conn: Connection) -> Slip | None:
    """The slip of the last acceptance that was signed."""
    row = conn.execute("SELECT slip FROM acceptance WHERE ended IS NOT NULL ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return None
    said: dict[str, Any] = json.loads(row[0])
    for key in ("devices", "steps"):
        said[key] = tuple(tuple(one) for one in said[key])
    return Slip(**said)


def _slip(at: Looked, one: Acceptance, found: list[Step], code: str, name: str) -> Slip:
    enrolled = enrolment.latest(at.conn)
    return Slip(
        at.settings.need("station.id"), at.settings.station.name, __version__, schema_of(at.conn)[0],
        enrolled.serial if enrolled else "", enrolled.words if enrolled else "", code, name, one.began, at.now.wall, _devices(at),
        tuple((each.title[0], each.state, each.reason or each.said[0]) for each in found),
    )  # fmt: skip


def _devices(at: Looked) -> tuple[tuple[str, str, str], ...]:
    """The devices in force with the serial or inventory number that the register has of them."""
    rows = at.conn.execute("SELECT name, driver, inventory, serial FROM device").fetchall()
    numbers = {(name, driver): inventory or serial for name, driver, inventory, serial in rows}
    return tuple(
        (device.name or key, device.driver, numbers.get((device.name or key, device.driver), ""))
        for key, device in sorted(at.settings.devices.items())
    )


# --- rows -----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kept:
    state: str
    reason: str
    sent: int | None


def _kept(conn: Connection, acceptance: int) -> dict[str, _Kept]:
    rows = conn.execute("SELECT step, state, reason, sent FROM acceptance_step WHERE acceptance = ?", (acceptance,)).fetchall()
    return {step: _Kept(state, reason, sent) for step, state, reason, sent in rows}


def _keep(conn: Connection, acceptance: int, step: str, state: str, reason: str, now: Stamp, sent: int | None = None) -> None:
    conn.execute(
        "INSERT OR REPLACE INTO acceptance_step (acceptance, step, state, reason, sent, at) VALUES (?, ?, ?, ?, ?, ?)",
        (acceptance, step, state, reason, sent, now.wall),
    )
