"""The command `tram`: what is built is built here, everything below receives what it needs as arguments.

A command is one row of `COMMANDS`: its words, its help, a function that names its arguments, a function that runs it and
returns the exit code. Imports stand in those functions: a collector loads neither Flask nor the migrations.

Exit codes: 0 done; 1 refused, the sentence says why; 2 wrong usage; 65 damaged data; 75 the store, a device or the link
cannot do it now; 78 settings or schema do not fit.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.agent.clock import Clock
    from appliance.database import Connection
    from appliance.settings import Settings, SettingsError
    from appliance.store.bags import Post, PostOffice
    from appliance.store.register import Binding

DONE, REFUSED, USAGE, DAMAGED, LATER, CONFIG = 0, 1, 2, 65, 75, 78

Arguments = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], int]


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words (``session open``), one line of help, its arguments, what runs it."""

    words: str
    help: str
    arguments: Arguments
    run: Run


@dataclass(frozen=True, slots=True)
class Box:
    """What most commands of a box need."""

    settings: "Settings"
    conn: "Connection"
    clock: "Clock"


def settings_of(args: argparse.Namespace) -> "Settings":
    """The settings in force for a command line."""
    from appliance.settings import layers, load

    return load(layers(args.config))


def open_box(args: argparse.Namespace) -> Box:
    """Settings, store and clock as `tram init` left them. Raises SettingsError, StoreError, WrongSchema."""
    import time

    from appliance.agent.clock import boot_id, live_clock
    from appliance.store.boots import seq_of
    from appliance.store.opening import open_store
    from appliance.store.register import in_force

    settings = settings_of(args)
    settings.need("station.id")
    conn = open_store(settings)
    settings = in_force(conn, settings)
    boot_seq = seq_of(conn, boot_id(), time.time_ns() // 100_000_000)
    return Box(settings, conn, live_clock(boot_seq, data=settings.paths.data, run=settings.paths.run))


def say(value: Any) -> None:
    """One JSON object on one line."""
    print(json.dumps(value, ensure_ascii=False))


# --- config ---------------------------------------------------------------------------------------------------------------------------


def _config_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--check", metavar="FILE", type=Path, help="check one file; exit 1 with what is wrong")
    which.add_argument("--show", action="store_true", help="what is in force, and which file said so")


def _config(args: argparse.Namespace) -> int:
    from appliance.settings import SettingsError, load, show

    if args.show:
        for line in show(settings_of(args)):
            print(line)
        return DONE
    try:
        _check_drivers(load([args.check]))
    except SettingsError as error:
        print(explained(error), file=sys.stderr)
        return REFUSED
    print("ok")
    return DONE


def _check_drivers(settings: "Settings") -> None:
    """SettingsError for a driver nobody wrote."""
    from appliance.devices.registry import ROWS
    from appliance.settings import SettingsError

    for name, device in settings.devices.items():
        if device.driver not in ROWS:
            key = f"devices.{name}.driver"
            raise SettingsError(
                key, device.driver, "one of " + ", ".join(sorted(ROWS)), f'"{min(ROWS)}"', settings.said.get(key, "default")
            )


def explained(error: "SettingsError") -> str:
    """Key, value, what was expected and an example, one below the other."""
    from appliance.settings import is_key, shown

    example = f"{error.key} = {error.example}" if is_key(error.key) else error.example
    return f"{error.file}: {error.key}\n  value:    {shown(error.value)}\n  expected: {error.expected}\n  example:  {example}"


# --- init -----------------------------------------------------------------------------------------------------------------------------


def _init_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pin", metavar="FILE", type=Path, help="trust the bridge's keys in this file (tram-bridge init --export)")
    parser.add_argument("--export", metavar="FILE", type=Path, help="write the station's public key there (for tram-bridge stations add)")


def _init(args: argparse.Namespace) -> int:
    import os
    from dataclasses import asdict

    from appliance.agent.clock import boot_id, live_clock
    from appliance.store.init import initialise
    from appliance.store.machine import machine_of

    settings = settings_of(args)
    report = initialise(
        settings,
        boot_id=boot_id(),
        stamp=lambda boot_seq: live_clock(boot_seq, data=settings.paths.data, run=settings.paths.run).stamp(),
        random=os.urandom,
        machine=machine_of(),
        pins=args.pin,
        export=args.export,
    )
    say(asdict(report))
    if "epoch (machine)" in report.done:
        print(
            "Thẻ nhớ này được chép từ máy khác hoặc chuyển sang máy khác: trạm bắt đầu đánh số mới, không mất dữ liệu nào.\n"
            "This card was copied from, or moved to, another machine: new numbers from now on, nothing is lost.",
            file=sys.stderr,
        )
    for line in report.damage:
        print(f"damaged: {line}", file=sys.stderr)
    if report.salvaged is not None:
        print(f"salvaged: the damaged files are in {report.salvaged.aside}", file=sys.stderr)
    return DAMAGED if report.damage else DONE


# --- the store -------------------------------------------------------------------------------------------------------------------------


def _store_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--full", action="store_true", help="compare every index too; minutes on a large store")


def _store_check(args: argparse.Namespace) -> int:
    from appliance.store.init import check_store

    damage = check_store(settings_of(args), quick=not args.full)
    say({"damage": damage})
    return DAMAGED if damage else DONE


def _store_salvage(args: argparse.Namespace) -> int:
    import time
    from dataclasses import asdict

    from appliance.store.init import salvage_store

    say(asdict(salvage_store(settings_of(args), time.time_ns() // 100_000_000)))
    print("next: tram init", file=sys.stderr)
    return DONE


def _store_copy_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a folder on another medium than the store's, such as /media/tram-copy")
    parser.add_argument("--check", action="store_true", help="read back the copies that are there and make none")


def _store_copy(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from appliance.store import copying
    from appliance.store.opening import key_file, read_key

    box = open_box(args)
    key = read_key(key_file(box.settings, os.environ))
    if args.check:
        for one in sorted(args.folder.glob(f"{copying.NAME}*")):
            say(asdict(copying.check(one, key, box.settings.store.page_size)))
        return DONE
    done = copying.copy(box.conn, box.settings, key, args.folder, box.clock.stamp().wall)
    say(asdict(done))
    if not done.wrapped:
        print("no recovery key is pinned: only this box's own key opens the copy (tram enrol)", file=sys.stderr)
    return DONE


def _store_room(args: argparse.Namespace) -> int:
    from appliance.store import retention, room

    box = open_box(args)
    found = room.measure(box.settings, box.conn)
    say({"used": found.used, "total": found.total, "share": round(found.share, 3), "shed_above": room.SHED_SHARE})
    for row in retention.noted(box.conn):
        say({"at": row["at"], "shed": row["what"], "count": row["count"], "bytes": row["bytes"]})
    return DONE


def _aside(box: Box) -> tuple[Any, Any]:
    """The store as the relay sees it, and its end."""
    from appliance.store.inbox import StationStore
    from appliance.store.sealing import seals_of
    from appliance.store.speaking import station_end

    store = StationStore(box.conn, box.settings.need("station.id"), box.settings.station.shard)
    seals = seals_of(box.conn, box.settings, box.clock.stamp)
    return store, station_end(box.conn, store, now=lambda: box.clock.stamp().wall, say=lambda *_step, **_ids: None, seals=seals)


def _quarantine_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--waiting", action="store_true", help="only what has not been taken since")


def _quarantine_list(args: argparse.Namespace) -> int:
    from appliance.store import aside

    for one in aside.listing(open_box(args).conn, waiting=args.waiting):
        say(one._asdict())
    return DONE


def _quarantine_show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int, help="a number of the list")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the bytes there, exactly as they came; they may name patients")


def _quarantine_show(args: argparse.Namespace) -> int:
    from appliance.store import aside
    from appliance.store.errors import Refused

    box = open_box(args)
    found = next((one for one in aside.listing(box.conn) if one.id == args.id), None)
    payload = aside.payload(box.conn, args.id)
    if found is None or payload is None:
        raise Refused(f"Không có mục số {args.id}.", f"nothing with the number {args.id} was set aside: tram quarantine list")
    say(found._asdict() | {"begins": payload[:16].hex()})
    if args.out is not None:
        args.out.write_bytes(payload)
    return DONE


def _quarantine_replay_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int, nargs="*", help="numbers of the list")
    parser.add_argument("--all", action="store_true", help="everything that waits")


def _quarantine_replay(args: argparse.Namespace) -> int:
    from appliance.store import aside
    from appliance.store.errors import Refused

    if bool(args.id) == args.all:
        raise Refused("Cho số mục hoặc --all.", "which? numbers of tram quarantine list, for example 3 7, or --all")
    box = open_box(args)
    store, end = _aside(box)
    numbers = [one.id for one in aside.listing(box.conn, waiting=True)] if args.all else args.id
    for one in aside.again(store, box.conn, end, numbers, box.clock.stamp().wall):
        say(one._asdict())
    return DONE


# --- people ---------------------------------------------------------------------------------------------------------------------------


def _staff_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--staff", metavar="CODE", default="", help="who does it (default: the user of this machine)")


def actor(box: Box, code: str) -> str:
    """Who does it: an active person's code, or ``cli:`` and the name of the machine's user. Refused for an unknown code."""
    import getpass

    from appliance.store import staff
    from appliance.store.errors import Refused

    if not code:
        return f"cli:{getpass.getuser()}"
    known = staff.get(box.conn, code)
    if known is None or not known.active:
        raise Refused(f"Không có nhân viên mã {code}.", f"no active staff member has the code {code}: tram staff add")
    return known.code


def _number(text: str) -> int:
    """A short number, written as a number or as eight letters in two groups."""
    from appliance.contract.ids import unspell

    return int(text) if text.isdecimal() else unspell(text)


def _staff_add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", help="a short code without marks, such as an")
    parser.add_argument("--name", required=True, help="the name as people read it")
    parser.add_argument("--role", default="nurse", help="nurse, doctor, technician or lead")
    parser.add_argument("--pin", action="store_true", help="set the PIN too: asked on the terminal, or one line of standard input")
    _staff_arguments(parser)


def _staff_add(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from appliance.store import staff

    box = open_box(args)
    by = actor(box, args.staff)
    pin = _new_pin(args.code) if args.pin else ""
    found = staff.add(box.conn, code=args.code, name=args.name, role=args.role, by=by, now=box.clock.stamp())
    if pin:
        _give_pin(box, args.code, pin, by)
    say(asdict(found))
    return DONE


def _staff_code_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", help="whose")
    _staff_arguments(parser)


def _staff_pin(args: argparse.Namespace) -> int:
    box = open_box(args)
    _give_pin(box, args.code, _new_pin(args.code), actor(box, args.staff))
    return DONE


def _new_pin(code: str) -> str:
    """A PIN typed twice without echo, or one line of standard input: never an argument, which others could read."""
    import getpass

    from appliance.store.errors import Refused
    from appliance.store.pins import refuse_weak

    if not sys.stdin.isatty():
        pin = sys.stdin.readline().strip()
    else:
        pin = getpass.getpass(f"PIN of {code} (6 digits): ")
        if pin != getpass.getpass("Again: "):
            raise Refused("Hai lần nhập không giống nhau.", "the two are not the same")
    refuse_weak(pin)
    return pin


def _give_pin(box: Box, code: str, pin: str, by: str) -> None:
    from appliance.store import pins
    from appliance.store.opening import secret_file

    pins.give(box.conn, pins.read_secret(secret_file(box.settings)), code, pin, by=by, now=box.clock.stamp())


def _staff_unlock(args: argparse.Namespace) -> int:
    from appliance.store import pins

    box = open_box(args)
    pins.unlock(box.conn, args.code, by=actor(box, args.staff), now=box.clock.stamp())
    return DONE


def _staff_retire(args: argparse.Namespace) -> int:
    from appliance.store import staff

    box = open_box(args)
    staff.retire(box.conn, args.code, by=actor(box, args.staff), now=box.clock.stamp())
    return DONE


def _staff_list(args: argparse.Namespace) -> int:
    from appliance.store import pins, staff

    box = open_box(args)
    states = pins.states(box.conn, box.clock.stamp())
    for one in staff.listing(box.conn):
        state = states.get(one.code)
        pin = "none" if state is None else f"locked for {state.wait // 10} s" if state.wait else "set"
        say({"code": one.code, "name": one.name, "role": one.role, "pin": pin})
    return DONE


def _patient_add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True)
    parser.add_argument("--birth", default="", metavar="YYYY[-MM[-DD]]")
    parser.add_argument("--sex", default="unknown", choices=("unknown", "male", "female", "other"))
    parser.add_argument("--cccd", default="", help="12 digits")
    parser.add_argument("--bhyt", default="", help="12 or 10 digits, or 15 signs")
    parser.add_argument("--allergies", default="unknown", metavar="unknown|none|TEXT", help="not asked, none known, or which")
    parser.add_argument("--phone", default="")
    parser.add_argument("--village", default="")
    _staff_arguments(parser)


def _patient_add(args: argparse.Namespace) -> int:
    import os

    from appliance.contract.events import Allergies, Sex
    from appliance.contract.ids import short_number
    from appliance.store import patients
    from appliance.store.errors import Taken

    box = open_box(args)
    words = {"unknown": Allergies.UNKNOWN, "none": Allergies.NONE_KNOWN}
    allergies = words.get(args.allergies, Allergies.KNOWN)
    draft = patients.PatientDraft(
        args.name, args.birth, Sex[args.sex.upper()], args.cccd, args.bhyt, allergies,
        args.allergies if allergies is Allergies.KNOWN else "", args.phone, args.village,
    )  # fmt: skip
    who = actor(box, args.staff)
    for _ in range(8):
        try:
            found = patients.register(box.conn, draft, patient=short_number(os.urandom(5)), staff=who, now=box.clock.stamp())
        except Taken:
            continue
        say(_identity(found))
        return DONE
    raise RuntimeError("eight random numbers were all taken")


def _patient_find_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", nargs="+", help="name, CCCD, BHYT, telephone, or the station's number")


def _patient_find(args: argparse.Namespace) -> int:
    from appliance.store import patients

    for found in patients.find(open_box(args).conn, " ".join(args.text)):
        say(_identity(found))
    return DONE


def _identity(who: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from appliance.contract.ids import spell

    said = asdict(who) | {"sex": who.sex.name.lower(), "allergies": who.allergies.name.lower()}
    return {"patient": said.pop("patient"), "spelt": spell(who.patient), **said}


# --- measuring without a browser ------------------------------------------------------------------------------------------------------


def _session_open_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--patient", required=True, type=_number, metavar="ID")
    parser.add_argument("--device", required=True, metavar="NAME", help="the name of the device's section in the settings")
    parser.add_argument("--minutes", type=int, default=10, choices=range(1, 11), metavar="1-10")
    _staff_arguments(parser)


def _session_open(args: argparse.Namespace) -> int:
    from appliance.store import measuring
    from appliance.store.errors import Refused

    box = open_box(args)
    if args.device not in box.settings.devices:
        known = ", ".join(box.settings.devices) or "none"
        raise Refused(f"Không có máy {args.device} trong cài đặt.", f"no device {args.device} in the settings (there: {known})")
    opened = measuring.open_session(
        box.conn,
        patient=args.patient,
        staff=actor(box, args.staff),
        device=args.device,
        now=box.clock.stamp(),
        minutes=args.minutes,
        headless=True,
    )
    seconds = (opened.expires - opened.opened) // 10
    say({"session": opened.id, "patient": opened.patient, "device": opened.device, "staff": opened.staff, "seconds": seconds})
    return DONE


def _session_end_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--session", required=True, type=int, metavar="ID")
    parser.add_argument("--reason", default="finished")


def _session_end(args: argparse.Namespace) -> int:
    from appliance.store import measuring

    box = open_box(args)
    measuring.end_session(box.conn, args.session, args.reason, box.clock.stamp())
    return DONE


def _observe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--session", required=True, type=int, metavar="ID")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="wait so long for a measurement to settle")
    parser.add_argument("--kept", action="store_true", help="kept although the box asked to measure again")
    _staff_arguments(parser)


def _observe(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.store import measuring
    from appliance.store.boots import epoch

    box = open_box(args)
    row = _wait_for(box, args.session, args.wait)
    recorded = measuring.record(box.conn, row.id, staff=actor(box, args.staff), now=box.clock.stamp(), kept=args.kept)
    ids = {"measurement": row.id, "lane": recorded.lane, "seq": recorded.seq, "reading_key": recorded.key.hex()}
    journal.step(journal.open("observe"), "record", **ids)
    say({**ids, "epoch": epoch(box.conn)[1].hex(), "patient": recorded.patient, **_reading(row.reading)})
    return DONE


def _wait_for(box: Box, session: int, seconds: float) -> Any:
    """The latest measurement of a session that can be saved, or was; Refused when none came in time."""
    import time

    from appliance.store import measuring
    from appliance.store.errors import Refused

    if measuring.session(box.conn, session) is None:
        raise Refused(f"Không có phiên đo {session}.", f"there is no session {session}")
    deadline = box.clock.monotonic() + seconds
    while True:
        rows = [row for row in measuring.latest(box.conn, session) if row.state in (measuring.State.SETTLED, measuring.State.RECORDED)]
        if rows:
            return rows[0]
        if box.clock.monotonic() >= deadline:
            raise Refused("Chưa có kết quả đo nào trong phiên này.", f"no measurement has settled in session {session}")
        time.sleep(0.05)


def _reading(reading: Any) -> dict[str, Any]:
    """A reading as `tram device decode` prints it, with test data said aloud."""
    from appliance.contract.metrics import Status
    from appliance.devices.events import shown

    numerics = [shown(each) for each in reading.numerics]
    return {"kind": reading.kind.name.lower(), "numerics": numerics, "test_data": bool(reading.status & Status.TEST_DATA)}


# --- the programs of the box ------------------------------------------------------------------------------------------------------------


def _collect_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", help="the name of the device's section in the settings")
    parser.add_argument("--port", default="", help="another port than the settings say")
    parser.add_argument("--session", type=int, metavar="ID", help="record what settles in this session at once, without a screen")
    parser.add_argument("--once", action="store_true", help="end after the first measurement")


def _collect(args: argparse.Namespace) -> int:
    return _collected(args, "")


def _listen_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", help="the name of the monitor's section in the settings; its port is tcp://ADDRESS:PORT")
    parser.set_defaults(port="", session=None)
    parser.add_argument("--once", action="store_true", help="end after the first measurement")


def _listen(args: argparse.Namespace) -> int:
    from appliance.devices.drivers.hl7_mllp import UNIT

    return _collected(args, UNIT)


def _collected(args: argparse.Namespace, unit: str) -> int:
    from appliance import journal
    from appliance.agent.collect import Collector, Job, check, cuffs_beside, run, stop_on_signals
    from appliance.agent.watchdog import Systemd, Watchdog, self_test
    from appliance.devices.binding import open_bound
    from appliance.store.errors import Refused

    box = open_box(args)
    bound = _bound(args, box)
    device = box.settings.devices.get(args.device) or (bound.settings if bound else None)
    if device is None:
        known = ", ".join(box.settings.devices) or "none"
        raise Refused(
            f"Không có máy {args.device} trong cài đặt, cũng chưa gắn.",
            f"no device {args.device} in the settings or bound (there: {known})",
        )
    job = Job(
        device=args.device,
        driver=device.driver,
        port=args.port or device.port,
        title=device.name,
        patient_types=device.patient_types,
        simulated=device.simulated,
        session=args.session,
        once=args.once,
        rest_s=device.rest_s,
        cycles_per_hour=device.cycles_per_hour,
        cuffs=cuffs_beside(box.settings, args.device),
        experimental=bound is not None and bound.experimental,
        inventory=bound.inventory if bound else "",
        calibrated=bound.calibrated if bound else "",
        next_calibration=bound.next_calibration if bound else "",
    )
    which = check(job, box.settings.environment, unit)
    stopping = stop_on_signals()
    log = journal.open(f"collect-{args.device}")
    collector = Collector(job, which=which, conn=box.conn, clock=box.clock, run=box.settings.paths.run, log=log, opens=open_bound)
    watchdog = Watchdog(Systemd(), self_test(box.conn, box.settings.paths.data, f"collect-{args.device}"), log.warning)
    return run(collector, stopping=stopping, alive=lambda: watchdog.turn(box.clock.monotonic()))


def _bound(args: argparse.Namespace, box: Box) -> "Binding | None":
    """The binding of the named device. A HID device that is known by its ids alone binds itself; Refused where two speak of one device."""
    from appliance.devices.binding import HID, known_hid
    from appliance.devices.registry import ROWS
    from appliance.store import register

    known = known_hid(ROWS.values())
    bound = register.get(box.conn, args.device)
    if bound is None and args.device not in box.settings.devices and args.device in known:
        row = known[args.device]
        if row.service or box.settings.environment != "production":
            new = register.Binding(args.device, HID, row.name, row.title[: register.LONGEST])
            bound = register.bind(box.conn, new, actor="", now=box.clock.stamp())
    if bound is not None:
        register.refuse_clash(settings_of(args), [bound])
    return bound


def _nothing(parser: argparse.ArgumentParser) -> None:
    """A command without arguments of its own."""


def _enrol_arguments(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--renew", action="store_true", help="ask for the next certificate now")
    how.add_argument("--show", action="store_true", help="the certificate in force, and until when")
    how.add_argument(
        "--usb", metavar="FOLDER", type=Path, help="without a line: write the request on this stick, or take the answer from it"
    )
    said = "what the QR code says, or the 24 letters: the first line of this file, - for standard input; default: asked on the terminal"
    parser.add_argument("--token-file", metavar="FILE", help=said)
    parser.add_argument(
        "--door", metavar="HOST:PORT", help="the bridge's door; default: what the QR code says, else door.host of the settings"
    )


def _enrol(args: argparse.Namespace) -> int:
    """Enrolment, by the door or by a stick. The paper's token is never an argument: others could read it."""
    from appliance.agent import enrol

    box = open_box(args)
    if args.show:
        return _enrol_show(box)
    if args.renew:
        renewed = enrol.renew(box.conn, box.settings, box.clock)
        _hand_over(box)
        _enrolled(box, renewed)
        return DONE
    ticket = enrol.ticket_of(_token(args))
    if args.usb is not None:
        return _enrol_by_stick(box, ticket, args.usb)
    host, port = _door(args.door, ticket, box.settings)
    done = enrol.enrol(box.conn, box.settings, box.clock, ticket, host, port)
    _learnt(box, done.learnt)
    _hand_over(box)
    _enrolled(box, done.one)
    return DONE


def _hand_over(box: Box) -> None:
    """What root laid down belongs to the line, which alone reads the key and starts by it."""
    from appliance.agent.field import hand_over

    if os.geteuid() == 0:
        hand_over(box.settings)


def _token(args: argparse.Namespace) -> str:
    import getpass

    if args.token_file == "-" or (args.token_file is None and not sys.stdin.isatty()):  # noqa: S105 - standard input
        return sys.stdin.readline().strip()
    if args.token_file is not None:
        return (Path(args.token_file).read_text(encoding="utf-8").splitlines() or [""])[0]
    return getpass.getpass("Mã trên tờ giấy (24 chữ) / Token: ").strip()


def _door(text: str | None, ticket: Any, settings: "Settings") -> tuple[str, int]:
    """Host and port: of ``--door``, else of the QR code, else of the settings."""
    from appliance.store.errors import Refused

    port = ticket.port or settings.door.port
    if text is None:
        return ticket.host or settings.need("door.host"), port
    name, _, number = text.rpartition(":") if ":" in text else (text, "", str(port))
    if not name or not number.isdecimal() or not 0 < int(number) < 1 << 16:
        raise Refused(
            f"--door = {text!r}: cần TÊN:CỔNG.", f"--door = {text!r}: expected a host and a port, such as bridge.example.org:8443"
        )
    return name, int(number)


def _enrol_by_stick(box: Box, ticket: Any, folder: Path) -> int:
    from appliance.agent import enrol
    from appliance.store.errors import Refused

    if not folder.is_dir():
        raise Refused(f"Không thấy USB ở {folder}.", f"--usb = {str(folder)!r}: expected the folder of a stick, such as /media/tram")
    answer = enrol.answer_on(box.settings, folder)
    if answer is None:
        file = enrol.ask_by_stick(box.conn, box.settings, ticket, folder)
        say({"written": str(file)})
        print("Mang USB đến máy chủ: tram-bridge enrol --usb; rồi chạy lại lệnh này.", file=sys.stderr)
        print("Carry the stick to the bridge (tram-bridge enrol --usb), then run this again.", file=sys.stderr)
        return DONE
    taken = enrol.take_by_stick(box.conn, box.settings, box.clock, ticket, answer).one
    _hand_over(box)
    _enrolled(box, taken)
    return DONE


def _learnt(box: Box, learnt: Any) -> None:
    """The door's signed time is kept, as after ``tram time learn``."""
    from appliance.agent.clock import keep_learnt
    from appliance.store import anchors

    if learnt is not None:
        now = box.clock.stamp()
        anchors.keep(box.conn, now, anchors.Anchor(now.boot, now.boot_seq, *learnt))
        keep_learnt(box.settings.paths.run, now.boot, learnt)


def _enrol_show(box: Box) -> int:
    from appliance.store import enrolment
    from appliance.store.errors import Refused

    found = enrolment.latest(box.conn)
    if found is None or enrolment.files_of(box.settings) is None:
        raise Refused("Trạm chưa ghi danh.", "this station was never enrolled: tram enrol")
    _enrolled(box, found)
    return DONE


def _enrolled(box: Box, one: Any) -> None:
    """The certificate, and the six words for two people to compare."""
    from datetime import UTC, datetime

    from appliance.contract.enrolment import WORD_BITS, WORDS

    until = datetime.fromtimestamp(one.ends / 10, UTC).date().isoformat()
    say({"station": box.settings.station.id, one.kind: one.serial, "until": until, "technician": one.technician, "words": one.words})
    print(f"So sáu từ với máy chủ ({WORDS * WORD_BITS} bit) / compare with the bridge: {one.words}", file=sys.stderr)


def _carry(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.agent.carry import renew_on_another_machine, run, stop_on_signals
    from appliance.store.enrolment import with_identity

    box = open_box(args)
    settings = with_identity(box.settings)
    renew_on_another_machine(box.conn, box.clock, journal.open("carry"))
    stopping = stop_on_signals()
    run(box.conn, settings, box.clock, journal.open("carry"), stop=stopping)
    return DONE


def _bag_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", metavar="DIR", type=Path, help="where the stick is; default: bag.folder of the settings")


def _bag_import_arguments(parser: argparse.ArgumentParser) -> None:
    _bag_arguments(parser)
    parser.add_argument("files", metavar="FILE", type=Path, nargs="*", help="bags that lie elsewhere; default: those for us on the stick")


def _bag(args: argparse.Namespace, work: "Callable[[PostOffice, Post], None]") -> int:
    from dataclasses import replace
    from functools import partial

    from appliance import journal
    from appliance.agent.carry import renew_on_another_machine
    from appliance.contract.bag import BagRefused
    from appliance.settings import Bag
    from appliance.stick import StickError
    from appliance.store.bags import Post, post_office, refused

    box, log, post = open_box(args), journal.open("bag"), Post()
    settings = box.settings if args.folder is None else replace(box.settings, bag=Bag(args.folder, mounted=False))
    renew_on_another_machine(box.conn, box.clock, log)
    try:
        work(post_office(box.conn, settings, stamp=box.clock.stamp, say=partial(journal.step, log)), post)
    except (BagRefused, StickError) as error:
        if isinstance(error, StickError) and error.reason == "none":
            raise _no_stick(args.folder, settings.bag.folder) from error
        raise refused(error) from error
    for problem in post.problems:
        print(f"{problem.vi}\n{problem.en}", file=sys.stderr)
    return REFUSED if post.problems else DONE


def _no_stick(folder: Path | None, usual: Path) -> Exception:
    """Where it was looked for a stick, and what to do."""
    from appliance.store.errors import Refused

    if folder is None:
        return Refused(
            f"Chưa thấy USB ở {usual}. Cắm USB vào máy, hoặc chỉ thư mục: --folder /media/usb",
            f"there is no stick at {usual} (bag.folder): put one in, or say where it is: --folder /media/usb",
        )
    return Refused(
        f"--folder {folder}: không có thư mục này. Ví dụ: --folder /media/usb",
        f"--folder = {folder}: expected a folder that is there, such as /media/usb",
    )


def _bag_export(args: argparse.Namespace) -> int:
    def work(office: "PostOffice", post: "Post") -> None:
        with office.stick() as stick:
            office.put_out(stick, post)
        say({"bag": post.number, "items": post.went, "file": post.file})

    return _bag(args, work)


def _bag_import(args: argparse.Namespace) -> int:
    def work(office: "PostOffice", post: "Post") -> None:
        if args.files:
            for file in args.files:
                office.take_file(file, post)
        else:
            with office.stick() as stick:
                office.take_in(stick, post)
        say({"bags": post.bags, "new": post.came, "repeated": post.repeated, "quarantined": post.quarantined})

    return _bag(args, work)


def _kiosk_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="", help="another address of this machine than the settings say")
    parser.add_argument("--port", type=int, default=0, help="another port than the settings say")


def _kiosk(args: argparse.Namespace) -> int:
    import os

    from appliance import journal
    from appliance.agent.watchdog import Systemd
    from appliance.kiosk.app import make_app, serve
    from appliance.store.opening import open_store

    box = open_box(args)
    box.conn.close()  # every request opens the store for itself
    app = make_app(box.settings, lambda: open_store(box.settings, any_thread=True), box.clock, os.urandom, journal.open("kiosk"))
    _end_on_sigterm()
    serve(app, args.host or box.settings.kiosk.host, args.port or box.settings.kiosk.port, Systemd().sockets())
    return DONE


def _phone(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.kiosk.phone import make_phone, serve
    from appliance.store.opening import open_store

    box = open_box(args)
    box.conn.close()  # every request opens the store for itself
    app = make_phone(box.settings, lambda: open_store(box.settings, any_thread=True), box.clock, journal.open("phone"))
    _end_on_sigterm()
    serve(app, args.host or box.settings.phone.host, args.port or box.settings.phone.port)
    return DONE


def _lan(args: argparse.Namespace) -> int:
    import os

    from appliance import journal
    from appliance.agent.watchdog import Systemd
    from appliance.kiosk.app import make_app
    from appliance.kiosk.lan import serve
    from appliance.store.opening import open_store

    box = open_box(args)
    box.settings.need("lan.address")
    box.conn.close()  # every request opens the store for itself
    app = make_app(box.settings, lambda: open_store(box.settings, any_thread=True), box.clock, os.urandom, journal.open("lan"), lan=True)
    _end_on_sigterm()
    serve(app, box.settings.paths.run, Systemd().sockets())
    return DONE


def _lan_certificate(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from appliance.store import front

    settings = settings_of(args)
    file = settings.lan.certificate
    front.ensure(file, settings.need("lan.address"), datetime.now(UTC))
    print(f"{settings.lan.web}\n{file}\nSHA-256 {front.fingerprint(file)}")
    return DONE


def _camera(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.agent.camera import NAME, Shutter, run
    from appliance.agent.collect import stop_on_signals
    from appliance.agent.commands import may_command
    from appliance.devices.camera import photograph

    box = open_box(args)
    box.conn.close()  # it needs the settings alone
    stopping = stop_on_signals()
    shutter = Shutter(box.settings.paths.run / NAME, take=photograph, allowed=may_command, log=journal.open("camera"))
    run(shutter, stopping=stopping)
    return DONE


def _sms(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.agent.collect import stop_on_signals
    from appliance.agent.sms import Texter, opener, run
    from appliance.store.sealing import content_keys

    box = open_box(args)
    said = box.settings.sms
    port, number = box.settings.need("sms.port"), box.settings.need("sms.number")
    texter = Texter(
        box.conn, box.settings.need("station.id"), number, said.after_s * 10, lambda: content_keys(box.conn), box.clock,
        opener(port, said.baud), journal.open("sms"),
    )  # fmt: skip
    run(texter, stopping=stop_on_signals())
    return DONE


def _panel_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--test", action="store_true", help="step through lamp, buzzer, button and mains; nothing is called or stored")


def _panel(args: argparse.Namespace) -> int:
    from appliance import journal
    from appliance.agent.collect import stop_on_signals
    from appliance.agent.panel import Watch, run, try_out, wiring_of
    from appliance.devices.panel import open_board
    from appliance.settings import DEFAULT, SettingsError

    box = open_box(args)
    said = box.settings.panel
    if not said.wired:
        where = box.settings.said.get("panel.lamp", DEFAULT)
        raise SettingsError("panel.lamp", said.lamp, "a GPIO line for at least one part", "17", where)
    board, stopping = open_board(wiring_of(said), said.pins, box.settings.paths.run), stop_on_signals()
    if args.test:
        box.conn.close()
        try_out(board, wiring_of(said), box.clock.boottime_ns, stopping=stopping, say=print)
        return DONE
    watch = Watch(
        box.conn, board, box.clock, box.settings.emergency, box.settings.paths.run, said.shutdown_after_s, journal.open("panel"),
        test=box.settings.environment != "production",
    )  # fmt: skip
    run(watch, stopping=stopping)
    return DONE


def _end_on_sigterm() -> None:
    """SIGTERM leaves as Ctrl-C does: through every ``finally``."""
    import signal

    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(DONE))


# --- the time ----------------------------------------------------------------------------------------------------------------------------


def _time_show(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from appliance.agent.clock import error_at, floor_of, read_learnt
    from appliance.store import anchors

    def said(tenths: int) -> str:
        return datetime.fromtimestamp(tenths / 10, UTC).astimezone().isoformat(timespec="seconds")

    box = open_box(args)
    now, learnt = box.clock.stamp(), read_learnt(box.settings.paths.run, box.clock.boot)
    say({
        "time": said(now.wall), "quality": now.quality.name.lower(), "system_clock": said(box.clock.system()), "boot": now.boot_seq,
        "up_s": now.ticks // 10, "not_before": said(floor_of(box.settings.paths.data)),
        "learnt": None if learnt is None else {"from": learnt.source, "error_s": error_at(learnt, now.ticks) / 10},
    })  # fmt: skip
    for one in anchors.listing(box.conn, 10):
        say({"boot": one.boot_seq, "up_s": one.ticks // 10, "time": said(one.wall), "error_s": one.error / 10, "from": one.source})
    return DONE


def _time_learn(args: argparse.Namespace) -> int:
    from appliance.agent.carry import door_of
    from appliance.agent.clock import keep_learnt
    from appliance.contract.errors import WireError
    from appliance.store import anchors
    from appliance.store.errors import Refused

    box = open_box(args)
    ask = door_of(box.conn, box.settings, box.clock)
    if ask is None:
        raise Refused(
            "Chưa biết cửa của máy chủ: đặt door.host và ghim khóa giờ (tram init --pin).",
            "no door is known: set door.host, and pin the key for the time (tram init --pin)",
        )
    try:
        learnt = ask()
    except WireError as error:
        raise Refused("Câu trả lời về giờ không tin được.", f"the answer cannot be believed: {error}") from error
    now = box.clock.stamp()
    anchors.keep(box.conn, now, anchors.Anchor(now.boot, now.boot_seq, *learnt))
    keep_learnt(box.settings.paths.run, now.boot, learnt)
    return _time_show(args)


def _time_set_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "time", help="such as '2026-11-23 07:05' in this machine's time zone, or with an offset of its own; now = its clock is right"
    )
    parser.add_argument("--error", type=int, default=60, metavar="SECONDS", help="how far it may be off (default: 60)")
    parser.add_argument("--yes", action="store_true", help="do not ask again on the terminal")
    _staff_arguments(parser)


def _time_set(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from appliance.agent.clock import BUILT, LATEST, Learnt, keep_learnt, read_learnt
    from appliance.store import anchors
    from appliance.store.errors import Refused

    box = open_box(args)
    try:
        given = (datetime.now(UTC) if args.time == "now" else datetime.fromisoformat(args.time)).astimezone()
    except (ValueError, OverflowError):
        raise Refused(f"Không hiểu giờ {args.time}. Ví dụ: 2026-11-23 07:05", f"{args.time} is no time: 2026-11-23 07:05") from None
    wall = int(given.timestamp() * 10)
    if not BUILT <= wall <= LATEST or not 1 <= args.error <= 86_400:
        raise Refused(
            "Giờ này trước ngày phát hành phần mềm, hoặc sai số không từ 1 đến 86400 giây.",
            "a time before this software's release, or an error that is not from 1 to 86400 seconds",
        )
    now = box.clock.stamp()
    if box.clock.synced():
        raise Refused("Giờ đang được đồng bộ qua mạng, không cần đặt.", "NTP keeps the clock: there is nothing to set")
    known = read_learnt(box.settings.paths.run, now.boot)
    if known is not None and known.source != anchors.TECHNICIAN:
        raise Refused("Máy đã học giờ từ máy chủ, không cần đặt.", "the time was learnt from the bridge: there is nothing to set")
    if not args.yes and input(f"{given:%H:%M:%S %d/%m/%Y} ± {args.error} s? [y/N] ").strip().lower() not in ("y", "yes", "c", "có"):
        return REFUSED
    learnt = Learnt(now.ticks, wall, args.error * 10, anchors.TECHNICIAN)
    anchors.keep(box.conn, now, anchors.Anchor(now.boot, now.boot_seq, *learnt), actor=actor(box, args.staff))
    keep_learnt(box.settings.paths.run, now.boot, learnt)
    return _time_show(args)


DEVICE = {
    "list": "the ports that are there, and what is bound to them",
    "bind": "say which device is behind a port: its driver may talk to it from then on",
    "unbind": "take that back",
    "test": "open a device, show what it says",
    "monitor": "watch a device: values, state, frames and noise",
    "recall": "read what is in a device's memory; it lies in the tray then",
    "record": "keep the bytes a device sends in a file that `tram device decode` reads",
    "drivers": "the device families this version knows",
    "rules": "udev rules for what is bound and for known USB devices",
}
"""What `cli_device` does; it is loaded for these alone."""


def _device_arguments(word: str) -> Arguments:
    def arguments(parser: argparse.ArgumentParser) -> None:
        from appliance import cli_device

        cli_device.ARGUMENTS[word](parser)

    return arguments


def _device_run(word: str) -> Run:
    def run(args: argparse.Namespace) -> int:
        from appliance import cli_device

        return cli_device.RUNS[word](args, cli_device.Tools(open_box, settings_of, actor))

    return run


FIELD = {
    "acceptance": "the guided test of a new station: every step passes, or is waived with a reason; then the slip",
    "logs": "journal, settings, lights and versions on a stick, sealed for the bridge, without patients",
    "field": "the narrow door through which a technician at the screen sets networks, enrols, binds; run by systemd",
}
"""What `cli_field` does; it is loaded for these alone."""


def _field_arguments(word: str) -> Arguments:
    def arguments(parser: argparse.ArgumentParser) -> None:
        from appliance import cli_field

        cli_field.ARGUMENTS[word](parser)

    return arguments


def _field_run(word: str) -> Run:
    def run(args: argparse.Namespace) -> int:
        from appliance import cli_field

        return cli_field.RUNS[word](args, cli_field.Tools(open_box, settings_of, actor))

    return run


# --- how the box stands ---------------------------------------------------------------------------------------------------------------


def _looked(box: Box) -> Any:
    from appliance.store.health import Looked

    return Looked(box.conn, box.settings, box.clock.stamp(), box.clock.boottime_ns())


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")


def _check(args: argparse.Namespace) -> int:
    from appliance.contract.statuscode import Light, state_of, write
    from appliance.store import health

    box = open_box(args)
    at = _looked(box)
    found = health.lines(at)
    code = write(health.code_of(at, found))
    for one in found:
        name, state = health.NAMES[one.name], state_of(one.light)
        if args.json:
            words = {"vi": one.said[0], "en": one.said[1], "next_vi": one.next[0], "next_en": one.next[1]}
            say({"name": one.name, "state": one.light.name.lower(), **words})
        else:
            print(f"{name[0]:<22} {state[0]:<9} {one.said[0]}" + (f"\n{'':<32} → {one.next[0]}" if one.next[0] else ""))
    say({"code": code}) if args.json else print(f"{'Mã trạng thái':<32} {code}")
    return REFUSED if any(one.light is Light.FAIL for one in found) else DONE


def _status_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--code", action="store_true", help="the eight letters alone, to read over the telephone")


def _status(args: argparse.Namespace) -> int:
    from appliance.contract.statuscode import explained, write
    from appliance.store import health

    box = open_box(args)
    at = _looked(box)
    one = health.code_of(at, health.lines(at))
    print(write(one))
    if not args.code:
        for line in explained(one):
            print(line)
    return DONE


def _wipe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--station", metavar="ID", required=True, help="the station's id, so that no other one is wiped")
    parser.add_argument("--technician", metavar="CODE", default="", help="who confirms that what was not received is lost")
    parser.add_argument("--lead", metavar="CODE", default="", help="who confirms it too; both PINs are asked for")


def _wipe(args: argparse.Namespace) -> int:
    import os

    from appliance.settings import SettingsError
    from appliance.store import pins, wipe
    from appliance.store.opening import secret_file

    settings, lost = settings_of(args), 0
    owner = settings.need("station.id")
    if args.station != owner:
        raise SettingsError("--station", args.station, f"the station of this box, {owner}", owner, "command line")
    if not wipe.begun(settings):
        box = open_box(args)
        try:
            both = bool(args.technician and args.lead)
            technician, lead = _confirmed(args.technician) if both else None, _confirmed(args.lead) if both else None
            lost = wipe.check(box.conn, technician, lead, pins.read_secret(secret_file(settings)), box.clock.stamp())
        finally:
            box.conn.close()
    say({"wiped": owner, "lost": lost, "destroyed": wipe.destroy(settings, os.environ, os.urandom)})
    print("\n".join((*wipe.KEPT, "next: tram init, tram enrol")), file=sys.stderr)
    return DONE


def _support_open_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--technician", metavar="CODE", required=True, help="who opens it; the PIN is asked for, or one line of standard input"
    )
    parser.add_argument("--minutes", type=int, default=30, help="after so many minutes the box closes it, 1 to 120 (default: 30)")
    parser.add_argument("--reason", required=True, help="device, line, screen, update, acceptance or other")


def _support_open(args: argparse.Namespace) -> int:
    from appliance.agent import support
    from appliance.store import pins
    from appliance.store.opening import secret_file

    box = open_box(args)
    secret = pins.read_secret(secret_file(box.settings))
    support.open_(box.conn, secret, _confirmed(args.technician), args.minutes, args.reason, box.clock.stamp(), support.ask_system)
    say({"open": True, "minutes": args.minutes})
    return DONE


def _support_close_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ended", metavar="WORD", help="called by the unit when it has ended: systemd's word for how")
    _staff_arguments(parser)


def _support_close(args: argparse.Namespace) -> int:
    from appliance.agent import support

    box = open_box(args)
    if args.ended is not None:
        support.ended(box.conn, args.ended, box.clock.stamp())
        return DONE
    say({"open": False, "was": support.close(box.conn, actor(box, args.staff), box.clock.stamp(), support.ask_system)})
    return DONE


def _confirmed(code: str) -> tuple[str, str]:
    """A person's code and the PIN they type, or one line of standard input."""
    import getpass

    return code, getpass.getpass(f"PIN of {code}: ") if sys.stdin.isatty() else sys.stdin.readline().strip()


# --- devices without a station ----------------------------------------------------------------------------------------------------------


def _decode_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("driver", help="such as contec-cms50")
    parser.add_argument("file", type=Path, help="the recorded bytes, device to host")
    parser.add_argument("--hex", action="store_true", help="the file is hexadecimal text with white space and # comments")
    parser.add_argument("--samples", action="store_true", help="one line for every frame too")


def _decode(args: argparse.Namespace) -> int:
    from appliance.devices.decode import run

    return run(
        args.driver,
        args.file.read_bytes,
        hex_text=args.hex,
        samples=args.samples,
        say=print,
        complain=lambda text: print(f"tram: {text}", file=sys.stderr),
    )


def _simulate_device_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("driver", help="such as contec-cms50")
    parser.add_argument("--link", type=Path, required=True, metavar="PATH", help="where the pseudo-terminal appears")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME@START:SECONDS", help="such as noise@3:2; may be repeated")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="of the device, such as unasked=10")


def _simulate_device(args: argparse.Namespace) -> int:
    from appliance.agent.collect import stop_on_signals
    from appliance.devices.sim.pty import run_on_pty
    from appliance.devices.sim.script import simulate

    options = dict(each.split("=", 1) if "=" in each else (each, "") for each in args.option)
    try:
        script = simulate(args.driver, seed=args.seed, options=options, faults=args.fault)
    except ValueError as error:
        print(f"tram: {error}", file=sys.stderr)
        return USAGE
    return run_on_pty(script, args.link, orders_fd=_orders(), stopping=stop_on_signals(), say=_complain)


def _simulate_play_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the recorded bytes, device to host")
    parser.add_argument("--link", type=Path, required=True, metavar="PATH", help="where the pseudo-terminal appears")
    parser.add_argument("--driver", default="", help="play at the pace of this family, such as contec-cms50")
    parser.add_argument("--baud", type=int, default=115200, help="without --driver: ten bits a byte (default: 115200)")
    parser.add_argument("--pace", type=int, default=0, metavar="BYTES", help="bytes a second instead of either")
    parser.add_argument("--hex", action="store_true", help="the file is hexadecimal text")
    parser.add_argument("--hold", type=float, default=5.0, metavar="SECONDS", help="how long the line stays open afterwards")


def _simulate_play(args: argparse.Namespace) -> int:
    from appliance.agent.collect import stop_on_signals
    from appliance.devices.decode import HexError, read_hex
    from appliance.devices.registry import UnknownDriverError, row
    from appliance.devices.sim.pty import play_on_pty

    content = args.file.read_bytes()
    try:
        data = read_hex(content.decode("utf-8", "replace")) if args.hex else content
    except HexError as error:
        print(f"tram: {args.file}: not hex: {error}", file=sys.stderr)
        return USAGE
    try:
        pace = args.pace or (row(args.driver).pace if args.driver else args.baud // 10)
    except UnknownDriverError as error:
        print(f"tram: {error}", file=sys.stderr)
        return USAGE
    return play_on_pty(data, args.link, pace=pace, hold_s=args.hold, orders_fd=_orders(), stopping=stop_on_signals())


def _orders() -> int | None:
    """Standard input as the place orders come from, when there is one."""
    return None if sys.stdin is None or sys.stdin.closed else sys.stdin.fileno()


def _complain(text: str) -> None:
    print(f"tram: {text}", file=sys.stderr)


def _simulate_day_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="one event a line, JSON")


def _simulate_day(args: argparse.Namespace) -> int:
    from appliance.simulate import write_day

    say({"file": str(args.out), "seed": args.seed, "events": write_day(args.seed, args.out)})
    return DONE


# --- updates ----------------------------------------------------------------------------------------------------------------------------


def _update_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("file", nargs="?", type=Path, help="a release (*.tram), or the folder of a USB stick with one in it")
    which.add_argument("--back", action="store_true", help="turn to the release before, where the store can still be read by it")
    which.add_argument("--settle", action="store_true", help="after a power cut: keep the new release if it runs, else turn back")
    parser.add_argument("--restart", action="store_true", help="start the box's programs anew, and turn back when the screens do not come")


def _update(args: argparse.Namespace) -> int:
    from appliance.agent import update
    from appliance.settings import layers

    settings = settings_of(args)
    place = update.Place(settings.update.home, settings.update.key_file, layers(args.config), settings)
    look = update.restarted if args.restart else update.unasked
    if args.settle:
        say({"kept": update.settle(place, look)})
    elif args.back:
        say({"version": update.back(place, _complain, look)})
    else:
        release = update.update(place, args.file, _complain, update.installed, look)
        say({"version": release.version, "schema": release.schema, "wheels": len(release.wheels)})
    return DONE


# --- the demo and the benches -----------------------------------------------------------------------------------------------------------


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    # Named here and not there: a collector that parses its own command line must not load the demo.
    parser.add_argument("--fresh", action="store_true", help="empty the demo's folder first (only one the demo made)")
    parser.add_argument("--once", action="store_true", help="one whole round without a browser, then end")
    parser.add_argument("--json", action="store_true", help="JSON on standard output: one object with --once, else one a line")
    parser.add_argument("--state", metavar="DIR", type=Path, default=Path(".demo"), help="the demo's folder (default: .demo)")
    parser.add_argument(
        "--broker", choices=("auto", "mosquitto", "iotcore"), default="auto", help="default: mosquitto where it is installed"
    )


def _demo(args: argparse.Namespace) -> int:
    from appliance.demo.run import main as demo

    return demo(args)


def _bench_arguments(parser: argparse.ArgumentParser) -> None:
    from appliance.bench import LONG, NAMES

    which = f"one of them (default: all but {' and '.join(LONG)}, one after the other)"
    parser.add_argument("name", nargs="?", choices=(*NAMES, *LONG), help=which)
    parser.add_argument("--json", action="store_true", help="one JSON object for each instead of a table")


def _bench(args: argparse.Namespace) -> int:
    from appliance.bench import NAMES, run, table

    for name in (args.name,) if args.name else NAMES:
        found = run(name)
        print(json.dumps(found, ensure_ascii=False) if args.json else f"{table(found)}\n", flush=True)
    return DONE


# --- the table ------------------------------------------------------------------------------------------------------------------------

COMMANDS: tuple[Command, ...] = (
    Command("config", "check a settings file, or show what is in force", _config_arguments, _config),
    Command("init", "make or mend the store, its keys and its schema; a second run changes nothing", _init_arguments, _init),
    Command("store check", "what is wrong with the store; 65 when something is", _store_check_arguments, _store_check),
    Command("store salvage", "a new store from what can be read; the damaged one is kept beside it", _nothing, _store_salvage),
    Command("store copy", "an encrypted copy of the store on a second medium, read back", _store_copy_arguments, _store_copy),
    Command("store room", "how full it is, and what left the card to make room", _nothing, _store_room),
    Command("quarantine list", "what could not be read or sent, kept byte-exact", _quarantine_list_arguments, _quarantine_list),
    Command("quarantine show", "one of it, and its bytes into a file", _quarantine_show_arguments, _quarantine_show),
    Command("quarantine replay", "read it again with this version", _quarantine_replay_arguments, _quarantine_replay),
    Command("staff add", "keep a person who works here", _staff_add_arguments, _staff_add),
    Command("staff pin", "set somebody's PIN", _staff_code_arguments, _staff_pin),
    Command("staff unlock", "let somebody try again at once who mistyped too often", _staff_code_arguments, _staff_unlock),
    Command("staff retire", "somebody works here no more", _staff_code_arguments, _staff_retire),
    Command("staff list", "who works here, and whether they can sign in", _nothing, _staff_list),
    Command("patient add", "register a patient", _patient_add_arguments, _patient_add),
    Command("patient find", "find patients", _patient_find_arguments, _patient_find),
    Command("session open", "give a device to a patient for at most ten minutes", _session_open_arguments, _session_open),
    Command("session end", "take it back", _session_end_arguments, _session_end),
    Command("observe", "save the latest settled measurement of a session", _observe_arguments, _observe),
    Command("collect", "read one device: its bytes become measurements", _collect_arguments, _collect),
    Command("listen", "take what a monitor sends over the station's own network (HL7 v2); it lies in the tray", _listen_arguments, _listen),
    Command("enrol", "become known to the bridge with the technician's paper: certificate and keys", _enrol_arguments, _enrol),
    Command("carry", "send what is saved to the bridge, take what it says", _nothing, _carry),
    Command("bag export", "put what waits on a USB stick, for a road without a line", _bag_arguments, _bag_export),
    Command("bag import", "take what a USB stick brings from the bridge", _bag_import_arguments, _bag_import),
    Command("kiosk", "the staff's screens, on loopback", _kiosk_arguments, _kiosk),
    Command("phone", "where a telephone may bring one picture, with a code from the screens", _kiosk_arguments, _phone),
    Command("lan", "the screens for the station's own computers and telephones, behind the front that speaks TLS", _nothing, _lan),
    Command("lan-certificate", "make the front's certificate, or keep the good one; its fingerprint", _nothing, _lan_certificate),
    Command("sms", "the emergency button's text message, by a modem on a serial port, when no line passes", _nothing, _sms),
    Command("camera", "the box's own camera: one photo for whoever may ask its socket", _nothing, _camera),
    Command("panel", "status lamp, buzzer, call button and the UPS's line on GPIO pins", _panel_arguments, _panel),
    Command("check", "how power, card, clock, line and devices stand, and what to do next; 1 when one fails", _check_arguments, _check),
    Command("status", "the status code to read over the telephone, and what it says", _status_arguments, _status),
    Command("wipe", "destroy this station's keys and store; refused while the bridge has not received everything", _wipe_arguments, _wipe),
    Command("support open", "let remote support in, for some minutes: the box speaks outward only", _support_open_arguments, _support_open),
    Command("support close", "shut remote support out now", _support_close_arguments, _support_close),
    Command("time show", "what time it is, how that is known, and what was learnt", _nothing, _time_show),
    Command("time learn", "ask the bridge's door for the signed time now", _nothing, _time_learn),
    Command("time set", "say what time it is where nothing else can", _time_set_arguments, _time_set),
    Command(
        "update",
        "another version of the program, from a signed file; the one in force stays until the new one has been tried",
        _update_arguments,
        _update,
    ),
    *(Command(word, text, _field_arguments(word), _field_run(word)) for word, text in FIELD.items()),
    *(Command(f"device {word}", text, _device_arguments(word), _device_run(word)) for word, text in DEVICE.items()),
    Command("device decode", "what a recording of a device says, as JSON lines", _decode_arguments, _decode),
    Command("simulate device", "a device that does not exist, on a pseudo-terminal", _simulate_device_arguments, _simulate_device),
    Command("simulate play", "recorded bytes on a pseudo-terminal, at wire speed", _simulate_play_arguments, _simulate_play),
    Command("simulate day", "one invented day of a station", _simulate_day_arguments, _simulate_day),
    Command("demo", "both ends on this machine, with simulated devices: watch a reading travel", _demo_arguments, _demo),
    Command("bench", "measure speed, bytes and memory against a baseline in the same run", _bench_arguments, _bench),
)
"""Every command; add a row to add one."""


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Help as wide as the terminal. argparse itself would load shutil for that, with all its compressors: 0.4 MiB of every process."""
    try:
        columns = int(os.environ.get("COLUMNS", "") or os.get_terminal_size(1).columns)
    except (ValueError, OSError):  # no terminal, or none that knows its width
        columns = 80
    return argparse.HelpFormatter(prog, width=columns - 2)


def parser(said: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The whole command line. ``--config FILE`` may stand before the command or after it, and more than once.

    Where a command's word stands in `said` only the commands that begin with it are made: the others would lie for ever between what
    a process of the box keeps (0.6 MiB, measured).
    """
    from appliance import __version__

    top = argparse.ArgumentParser(prog="tram", description="Trạm: the box in the health station.", formatter_class=_formatter)
    top.add_argument("--version", action="version", version=f"tram {__version__}")
    top.add_argument("--config", metavar="FILE", type=Path, action="append", default=[], dest="config_before", help="a settings file")
    groups: dict[str, Any] = {"": top.add_subparsers(metavar="COMMAND", required=True)}
    helps = {
        "store": "the file everything is kept in",
        "quarantine": "what could not be read",
        "staff": "who works here",
        "patient": "who is cared for here",
        "session": "whose measurement the next one is",
        "device": "what is plugged in, and what it says",
        "time": "what the box knows about the time",
        "bag": "the post bag on a USB stick",
        "support": "remote support, opened at the station alone",
        "simulate": "devices, recordings and days that are invented",
    }
    named = [] if {"-h", "--help"} & set(said) else [one for one in COMMANDS if one.words.split()[0] in said]
    for command in named or COMMANDS:
        first, _, second = command.words.partition(" ")
        if second and first not in groups:
            group = groups[""].add_parser(first, help=helps.get(first, first), formatter_class=_formatter)
            groups[first] = group.add_subparsers(metavar="COMMAND", required=True)
        group = groups[first if second else ""]
        one = group.add_parser(second or first, help=command.help, description=command.help, formatter_class=_formatter)
        one.add_argument("--config", metavar="FILE", type=Path, action="append", default=[], help="a settings file over those before it")
        command.arguments(one)
        one.set_defaults(run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    from appliance.settings import SettingsError

    args = parser(sys.argv[1:] if argv is None else argv).parse_args(argv)
    args.config = [*args.config_before, *args.config]
    try:
        return int(args.run(args))
    except SettingsError as error:
        print(explained(error), file=sys.stderr)
        return CONFIG
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()  # the reader has gone: nothing is left to say
            return DONE
        print(f"tram: {error}", file=sys.stderr)
        return LATER
    except ValueError as error:
        return _refused(error)
    except KeyboardInterrupt:
        return 130


def _refused(error: ValueError) -> int:
    """The sentence for a person, in both languages; what is not meant for people is a bug and goes on."""
    from appliance.store.errors import Refused, WrongSchema

    if isinstance(error, WrongSchema):
        print(f"tram: {error}", file=sys.stderr)
        return CONFIG
    if isinstance(error, Refused):
        print(f"{error.vi}\n{error.en}", file=sys.stderr)
        return REFUSED
    raise error


if __name__ == "__main__":
    sys.exit(main())
