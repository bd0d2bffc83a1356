"""The narrow door for a technician at the screen: what the screens' sandbox must not do itself, as a short list of verbs.

``<run>/field.sock``, SOCK_SEQPACKET, 0660: one JSON object ``{"do": verb, "staff": code, …}`` in, one out: ``{"ok": true, …}`` or
``{"ok": false, "vi": …, "en": …}``. Who asks is proved by the kernel (SO_PEERCRED), who touches the screen by the code of an active
technician or lead. There is no verb that takes a command, a path or a line of a shell. Each is audited; none sees a patient.
"""

import json
import logging
import os
import select
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import journal
from appliance.agent import doors
from appliance.agent.clock import Clock
from appliance.database import Connection
from appliance.settings import Settings
from appliance.store import audit, staff
from appliance.store.errors import Refused

NAME = "field.sock"
LARGEST = 4096
"""Bytes of a request; an enrolment's QR code has about 150."""
TURN_S = 0.5
SEND_S = 5.0
PROGRAM_S = 60.0
"""How long a program may take that a verb runs; NetworkManager gets 45 s."""
ROLES = frozenset({"technician", "lead"})
LINE_USER = "tram-carry"
"""Whom the station's certificate and its key belong to, where there is such a user: the line alone reads the key."""

Answer = dict[str, Any]
Verb = Callable[[Mapping[str, Any]], Answer]
"""A request to what is answered; Refused with a sentence, OSError for what cannot be done now."""


@dataclass(frozen=True, slots=True)
class Work:
    """What the verbs work on. `units` and `rules`: where systemd's drop-ins and udev's rules are written; `settings` are those of the
    files, without bindings; `sys` is where the kernel's tree is.
    """

    conn: Connection
    settings: Settings
    clock: Clock
    rules: Path
    units: Path
    run: Callable[[Sequence[str], str], str]
    sys: Path = Path("/sys")


def program(arguments: Sequence[str], given: str = "") -> str:
    """Run a program of the system, without a shell; what it printed. OSError with its last line when it fails or takes too long."""
    try:
        done = subprocess.run(
            arguments, input=given, capture_output=True, text=True, timeout=PROGRAM_S, check=False, env=_ENVIRONMENT
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OSError(f"{arguments[0]} did not end within {PROGRAM_S:.0f} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise OSError(f"{arguments[0]}: {last[:200]}")
    return done.stdout


_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def verbs(work: Work) -> dict[str, Verb]:
    """Every verb there is."""
    return {
        "networks": lambda _said: _networks(work),
        "use": lambda said: _use(work, _text(said, "uuid")),
        "apn": lambda said: _apn(work, _text(said, "apn")),
        "wifi": lambda said: _wifi(work, _text(said, "name"), _text(said, "passphrase")),
        "contact": lambda _said: _contact(work),
        "enrol": lambda said: _enrol(work, _text(said, "token")),
        "ports": lambda _said: _ports(work),
        "bind": lambda said: _bind(work, said),
        "unbind": lambda said: _unbind(work, said),
        "logs": lambda _said: _logs(work),
    }


def _text(said: Mapping[str, Any], name: str) -> str:
    found = said.get(name, "")
    if not isinstance(found, str):
        raise Refused("Yêu cầu sai.", f"{name}: expected text")
    return found


# --- the verbs ------------------------------------------------------------------------------------------------------------------------


def _networks(work: Work) -> Answer:
    from appliance.agent import network

    known = [one._asdict() | {"words": network.KINDS[one.kind]} for one in network.known(work.run)]
    try:
        heard = [one._asdict() for one in network.in_reach(work.run)[:8]]
    except OSError:  # no Wi-Fi in this box
        heard = []
    return {"known": known, "wifi": heard}


def _use(work: Work, uuid: str) -> Answer:
    from appliance.agent import network

    network.use(work.run, uuid)
    return _contact(work)


def _apn(work: Work, apn: str) -> Answer:
    from appliance.agent import network

    network.set_apn(work.run, apn)
    return _contact(work)


def _wifi(work: Work, name: str, passphrase: str) -> Answer:
    from appliance.agent import network

    network.join(work.run, name, passphrase)
    return _contact(work)


def _contact(work: Work) -> Answer:
    """A try of the line: does the broker answer, does the door."""
    from appliance.agent import network

    places = [("broker", work.settings.broker.host, work.settings.broker.port)]
    if work.settings.door.host:
        places.append(("door", work.settings.door.host, work.settings.door.port))
    found = [(what, f"{host}:{port}", network.reach(host, port)) for what, host, port in places]
    return {"places": [{"what": what, "place": place, "why": why} for what, place, why in found]}


def _enrol(work: Work, token: str) -> Answer:
    from datetime import UTC, datetime

    from appliance.agent import enrol
    from appliance.agent.clock import keep_learnt
    from appliance.store import anchors

    ticket = enrol.ticket_of(token)
    host, port = ticket.host or work.settings.door.host, ticket.port or work.settings.door.port
    if not host:
        raise Refused(
            "Máy chưa biết địa chỉ máy chủ: quét mã QR trên tờ giấy thay vì gõ.", "no door is known: scan the QR code of the paper"
        )
    done = enrol.enrol(work.conn, work.settings, work.clock, ticket, host, port)
    if done.learnt is not None:
        now = work.clock.stamp()
        anchors.keep(work.conn, now, anchors.Anchor(now.boot, now.boot_seq, *done.learnt))
        keep_learnt(work.settings.paths.run, now.boot, done.learnt)
    hand_over(work.settings)
    until = datetime.fromtimestamp(done.one.ends / 10, UTC).date().isoformat()
    return {"station": done.station, "name": done.name, "words": done.one.words, "until": until, "technician": done.one.technician}


def hand_over(settings: Settings, owner: str = LINE_USER) -> None:
    """What enrolment laid down belongs to the line's user; where the settings name files that are not there, links lead to it.

    The link for the certificate starts the line (``tram-carry.path``). A certificate that somebody brought stays in force.
    """
    from appliance.store.enrolment import FOLDER, files_of

    found = files_of(settings)
    if found is None:
        return
    folder = settings.paths.data / FOLDER
    if _is_user(owner):
        for one in (folder, *folder.rglob("*")):
            shutil.chown(one, owner)
    for wanted, there in (
        (settings.broker.ca, found.ca), (settings.broker.key, found.key), (settings.broker.cert, found.cert),
    ):  # fmt: skip
        if wanted is not None and not wanted.exists():
            wanted.unlink(missing_ok=True)  # a link that leads nowhere
            wanted.symlink_to(there)


def _is_user(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return os.geteuid() == 0


def _ports(work: Work) -> Answer:
    """The ports that are there with what is bound to them, what is bound and not there, and the drivers in service."""
    from appliance.contract.metrics import TABLE
    from appliance.devices.binding import USB, ports
    from appliance.devices.driver import Hid
    from appliance.devices.registry import ROWS
    from appliance.store import register

    known = register.bindings(work.conn)
    there = ports(work.sys)
    rows = [
        {
            "place": one.place, "shown": one.place.removeprefix(USB), "what": one.adapter or one.product or one.ids, "ids": one.ids,
            "hid": one.hid, "name": next((each.name for each in known if each.port in (one.place, one.node)), ""),
        }
        for one in there
        if one.place.startswith(USB)
    ]  # fmt: skip
    away = [{"name": one.name, "title": one.title, "port": one.port, "driver": one.driver} for one in known]
    drivers = [
        {
            "name": one.name, "title": one.title, "metrics": ", ".join(TABLE[metric].vi for metric in one.metrics),
            "hid": isinstance(one.line, Hid), "ids": getattr(one.line, "ids", ""),
        }
        for one in ROWS.values()
        if one.service and not one.unit
    ]  # fmt: skip
    return {"ports": rows, "bound": away, "drivers": drivers}


def _bind(work: Work, said: Mapping[str, Any]) -> Answer:
    """Bind a port to a driver in service, under the next free name of its kind; then the rules."""
    from appliance.contract.metrics import Metric
    from appliance.devices.binding import PlaceError, canonical, ports
    from appliance.devices.registry import ROWS
    from appliance.store import register

    which = ROWS.get(_text(said, "driver"))
    if which is None or not which.service or which.unit:
        raise Refused("Không có loại máy này, hoặc chưa được dùng thật.", "no driver of that name is in service: tram device drivers")
    try:
        place = canonical(_text(said, "place"), ports(work.sys))
    except PlaceError as error:
        raise Refused(error.vi, error.en) from None
    if not place.startswith("usb:"):
        raise Refused("Chỉ gắn được cổng USB ở đây.", f"{place}: expected a USB port path such as 1-1.2")
    kind = "cuff" if Metric.SYSTOLIC in which.metrics else "spo" if Metric.SPO2 in which.metrics else "dev"
    taken = {one.name for one in register.bindings(work.conn)} | set(work.settings.devices)
    name = next(f"{kind}{number}" for number in range(1, 100) if f"{kind}{number}" not in taken)
    types = tuple(one for one in register.PATIENT_TYPES if one in _text(said, "patient_types").split()) or ("adult",)
    new = register.Binding(name, place, which.name, which.title[: register.LONGEST], types, _text(said, "inventory"))
    before = next((one for one in register.bindings(work.conn) if (one.port, one.driver) == (place, which.name)), None)
    if before is None:
        register.refuse_clash(work.settings, [new])
    made = before or register.bind(work.conn, new, actor=_text(said, "staff"), now=work.clock.stamp())
    _rules(work)  # also for what is bound already: udev may have failed the first time
    return {"name": made.name, "driver": made.driver, "port": made.port, "title": made.title, "patient_types": " ".join(made.patient_types)}


def _unbind(work: Work, said: Mapping[str, Any]) -> Answer:
    from appliance.store import register

    gone = register.unbind(work.conn, _text(said, "name"), actor=_text(said, "staff"), now=work.clock.stamp())
    _rules(work)
    work.run(("systemctl", "--no-block", "stop", f"tram-collect@{gone.name}.service"), "")
    return {"name": gone.name}


def _logs(work: Work) -> Answer:
    """The sealed bundle on the stick that is in the box."""
    from appliance.agent import logs
    from appliance.stick import StickError
    from appliance.store.bags import refused
    from appliance.store.health import Looked
    from appliance.store.register import in_force

    settings = in_force(work.conn, work.settings)
    at = Looked(work.conn, settings, work.clock.stamp(), work.clock.boottime_ns(), work.sys)
    try:
        done = logs.to_stick(work.conn, settings, at, settings.bag.folder, mounted=settings.bag.mounted)
    except StickError as error:
        raise refused(error) from error
    return {"file": done.file, "size": done.size}


def _rules(work: Work) -> None:
    """The rules and drop-ins of what is bound now, and udev's news of them: the collectors start and stop by that."""
    from appliance.devices import udev
    from appliance.store import register

    bound = register.bindings(work.conn)
    work.rules.parent.mkdir(parents=True, exist_ok=True)
    work.rules.write_text(udev.rules(bound), encoding="utf-8")
    for name, content in udev.drop_ins(bound).items():
        file = work.units / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    for command in (
        ("udevadm", "control", "--reload"),
        ("systemctl", "daemon-reload"),
        ("udevadm", "trigger", "--action=add", "--subsystem-match=tty", "--subsystem-match=hidraw"),
    ):
        work.run(command, "")


# --- the door -------------------------------------------------------------------------------------------------------------------------


class Door:
    """The listening end. `handed`: the socket that systemd opened for us; `allowed(uid, gid)` says whose program may ask."""

    def __init__(
        self, path: Path, work: Work, *, allowed: Callable[[int, int], bool], handed: Sequence[socket.socket] = (),
        log: logging.Logger | None = None,
    ) -> None:  # fmt: skip
        self.path = path
        self._work = work
        self._verbs = verbs(work)
        self._allowed = allowed
        self._log = log or logging.getLogger("tram.field")
        self._own = not handed
        self._door = handed[0] if handed else doors.listening(path, socket.SOCK_SEQPACKET, 2)

    def turn(self, wait_s: float = TURN_S) -> bool:
        """Answer one who asks, if somebody does within `wait_s`; True when somebody did."""
        if not select.select([self._door], [], [], wait_s)[0]:
            return False
        line, _address = self._door.accept()
        with line:
            line.settimeout(SEND_S)
            if self._allowed(*doors.peer(line)):
                try:
                    line.send(json.dumps(self._answer(line.recv(LARGEST + 1)), ensure_ascii=False).encode())
                except OSError as error:
                    self._log.error("field: %s", type(error).__name__)
        return True

    def _answer(self, packet: bytes) -> Answer:
        said = _read(packet)
        verb, code = str(said.get("do", ""))[:20], said.get("staff", "")
        try:
            who = staff.get(self._work.conn, code) if isinstance(code, str) and code else None
            if who is None or not who.active or who.role not in ROLES:
                raise Refused("Chỉ kỹ thuật viên hoặc trưởng trạm.", "technician or lead only")
            if verb not in self._verbs:
                raise Refused("Máy không biết việc này.", f"no verb {verb!r}")
            if verb not in _LOOKS:
                audit.note(self._work.conn, actor=who.code, action=f"field.{verb}", now=self._work.clock.stamp())
            journal.step(self._log, f"field-{verb}")
            return {"ok": True, **self._verbs[verb](said)}
        except Refused as no:
            return {"ok": False, "vi": no.vi, "en": no.en}
        except OSError as error:
            self._log.warning("field: %s: %s", verb, error)
            return {"ok": False, "vi": f"Chưa làm được lúc này: {error}. Thử lại.", "en": f"It cannot be done now: {error}. Try again."}

    def close(self) -> None:
        """Nobody is answered any more; a socket of systemd's stays its own."""
        self._door.close()
        if self._own:
            self.path.unlink(missing_ok=True)


_LOOKS = frozenset({"networks", "contact", "ports", "bind", "unbind"})
"""Verbs that change nothing, or write their own entry."""


def _read(packet: bytes) -> dict[str, Any]:
    try:
        said = json.loads(packet) if len(packet) <= LARGEST else None
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def run(door: Door, *, stopping: Callable[[], bool], idle_turns: int = 0) -> None:
    """Answer until told to stop, or until nobody asked for so many turns (0: never): systemd starts us again when somebody does."""
    quiet = 0
    try:
        while not stopping() and (not idle_turns or quiet < idle_turns):
            quiet = 0 if door.turn() else quiet + 1
    finally:
        door.close()
