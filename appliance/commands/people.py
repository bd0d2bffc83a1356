"""Who works here, who is cared for, and one measurement without a screen: ``tram staff | patient | session | observe``."""

import argparse
import os
import sys
from typing import Any

from appliance.commandline import DONE, Command, nothing, say
from appliance.commands.box import Box, actor, open_box, staff_arguments


def _number(text: str) -> int:
    """A short number, written as a number or as eight letters in two groups."""
    from appliance.contract.ids import unspell

    return int(text) if text.isdecimal() else unspell(text)


def _staff_add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", help="a short code without marks, such as an")
    parser.add_argument("--name", required=True, help="the name as people read it")
    parser.add_argument("--role", default="nurse", help="nurse, doctor, technician or lead")
    parser.add_argument("--pin", action="store_true", help="set the PIN too: asked on the terminal, or one line of standard input")
    staff_arguments(parser)


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
    staff_arguments(parser)


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
    staff_arguments(parser)


def _patient_add(args: argparse.Namespace) -> int:

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


def _session_open_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--patient", required=True, type=_number, metavar="ID")
    parser.add_argument("--device", required=True, metavar="NAME", help="the name of the device's section in the settings")
    parser.add_argument("--minutes", type=int, default=10, choices=range(1, 11), metavar="1-10")
    staff_arguments(parser)


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
    staff_arguments(parser)


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


COMMANDS = (
    Command("staff add", "keep a person who works here", _staff_add_arguments, _staff_add),
    Command("staff pin", "set somebody's PIN", _staff_code_arguments, _staff_pin),
    Command("staff unlock", "let somebody try again at once who mistyped too often", _staff_code_arguments, _staff_unlock),
    Command("staff retire", "somebody works here no more", _staff_code_arguments, _staff_retire),
    Command("staff list", "who works here, and whether they can sign in", nothing, _staff_list),
    Command("patient add", "register a patient", _patient_add_arguments, _patient_add),
    Command("patient find", "find patients", _patient_find_arguments, _patient_find),
    Command("session open", "give a device to a patient for at most ten minutes", _session_open_arguments, _session_open),
    Command("session end", "take it back", _session_end_arguments, _session_end),
    Command("observe", "save the latest settled measurement of a session", _observe_arguments, _observe),
)
