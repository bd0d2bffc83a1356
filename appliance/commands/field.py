"""The commands of a technician in the field: ``tram acceptance``, ``tram logs``, ``tram field``. Loaded when one of them is asked for."""

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.commandline import DONE, REFUSED, Command, settings_of
from appliance.commands.box import actor, open_box

if TYPE_CHECKING:
    from appliance.store.acceptance import Slip, Step
    from appliance.store.health import Looked

IDLE_TURNS = 600
"""Half-second turns without a question after which a door that systemd opened ends: five minutes."""
MARKS = {"passed": "✓", "open": "✕", "absent": "–", "waived": "○"}
WORDS = {"passed": "đạt", "open": "chưa", "absent": "không có", "waived": "miễn"}


# --- acceptance -----------------------------------------------------------------------------------------------------------------------


def _acceptance_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--staff", metavar="CODE", default="", help="who accepts (default: the user of this machine)")
    parser.add_argument("--saw", metavar="STEP", action="append", default=[], help="camera, printer or panel: it was seen to work")
    parser.add_argument(
        "--waive", metavar="STEP=REASON", action="append", default=[], help="accept without this step, such as link='chưa có SIM'"
    )
    parser.add_argument("--sign", action="store_true", help="sign when no step is open, and print the slip")
    parser.add_argument("--slip", action="store_true", help="print the slip of the last acceptance again")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")


def _acceptance(args: argparse.Namespace) -> int:
    """A step a line with what to do next; 1 while one is open."""
    from appliance.store import acceptance
    from appliance.store.errors import Refused

    box = open_box(args)
    if args.slip:
        slip = acceptance.signed(box.conn)
        if slip is None:
            raise Refused("Trạm chưa được nghiệm thu.", "this station was never accepted: tram acceptance")
        print(slip_text(slip), end="")
        return DONE
    who = actor(box, args.staff)
    acceptance.begin(box.conn, staff=who, now=box.clock.stamp())
    acceptance.gather(box.conn, box.settings, now=box.clock.stamp())
    for step in args.saw:
        acceptance.saw(box.conn, step, now=box.clock.stamp())
    for text in args.waive:
        step, _equals, reason = text.partition("=")
        acceptance.waive(_looked(box), step.strip(), reason, staff=who)
    if args.sign:
        print(slip_text(acceptance.finish(_looked(box), staff=who, name=_name(box, who))), end="")
        return DONE
    found = acceptance.steps(_looked(box))
    for one in found:
        print(_line(one, as_json=args.json))
    return REFUSED if any(one.state == acceptance.OPEN for one in found) else DONE


def _looked(box: Any) -> "Looked":
    from appliance.store.health import Looked

    return Looked(box.conn, box.settings, box.clock.stamp(), box.clock.boottime_ns())


def _name(box: Any, code: str) -> str:
    from appliance.store import staff

    person = staff.get(box.conn, code)
    return code if person is None else person.name


def _line(one: "Step", *, as_json: bool) -> str:
    if as_json:
        said = {"step": one.name, "state": one.state, "vi": one.reason or one.said[0], "en": one.reason or one.said[1]}
        return json.dumps(said | {"next_vi": one.next[0], "next_en": one.next[1]}, ensure_ascii=False)
    more = f"\n{'':<46} → {one.next[0]}" if one.state == "open" and one.next[0] else ""
    return f"{MARKS[one.state]} {one.title[0]:<32} {WORDS[one.state]:<10} {one.reason or one.said[0]}{more}"


def slip_text(slip: "Slip") -> str:
    """The slip as plain text, 80 signs wide at most but for long reasons."""
    lines = [
        "PHIẾU NGHIỆM THU TRẠM",
        f"Trạm          {slip.station}  {slip.name}",
        f"Nghiệm thu    {_when(slip.ended)}  (bắt đầu {_when(slip.began)})",
        f"Kỹ thuật viên {slip.technician}",
        f"Mã trạng thái {slip.code}",
        f"Phần mềm      {slip.software}, kho dữ liệu {slip.schema}",
        f"Chứng thư     {slip.certificate or '–'}",
        f"Sáu từ        {slip.words or '–'}",
        "",
        *(f"Máy đo        {name} ({driver}) {number}".rstrip() for name, driver, number in slip.devices),
        "",
        *(f"{MARKS[state]} {title:<32} {WORDS[state]:<10} {said}" for title, state, said in slip.steps),
        "",
        "Ký tên: ______________________    Trưởng trạm: ______________________",
    ]
    return "\n".join(lines) + "\n"


def _when(tenths: int) -> str:
    return datetime.fromtimestamp(tenths / 10).astimezone().strftime("%d/%m/%Y %H:%M")


# --- logs -----------------------------------------------------------------------------------------------------------------------------


def _logs_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--usb", metavar="DIR", type=Path, nargs="?", const=None, help="where the stick is; default: bag.folder")
    parser.add_argument("--staff", metavar="CODE", default="", help="who does it (default: the user of this machine)")


def _logs(args: argparse.Namespace) -> int:
    """Journal, settings, lights and versions on a stick, sealed for the bridge; nothing of a patient."""
    from appliance.agent import logs
    from appliance.contract.bag import BagRefused
    from appliance.stick import StickError
    from appliance.store import audit
    from appliance.store.bags import refused

    box = open_box(args)
    folder = args.usb or box.settings.bag.folder
    try:
        done = logs.to_stick(box.conn, box.settings, _looked(box), folder, mounted=args.usb is None and box.settings.bag.mounted)
    except (BagRefused, StickError) as error:
        raise refused(error) from error
    audit.note(box.conn, actor=actor(box, args.staff), action="logs.usb", now=box.clock.stamp(), subject=done.file)
    print(json.dumps({"file": done.file, "bytes": done.size, "sealed_for": done.key}, ensure_ascii=False))
    print("next: tram-bridge logs open FILE", file=sys.stderr)
    return DONE


# --- the door for the screens ---------------------------------------------------------------------------------------------------------


def _field_arguments(parser: argparse.ArgumentParser) -> None:
    from appliance.devices import udev

    parser.add_argument("--rules-file", type=Path, default=Path(udev.FILE), metavar="FILE", help=f"default: {udev.FILE}")
    parser.add_argument("--units-dir", type=Path, default=Path(udev.UNITS), metavar="DIR", help=f"default: {udev.UNITS}")


def _field(args: argparse.Namespace) -> int:
    """Do for a technician at the screen what the screens must not: networks, enrolment, rules. A short list of verbs, no shell."""
    from appliance import journal
    from appliance.agent import field
    from appliance.agent.collect import stop_on_signals
    from appliance.agent.commands import may_command
    from appliance.agent.watchdog import Systemd

    box = open_box(args)
    work = field.Work(box.conn, settings_of(args), box.clock, args.rules_file, args.units_dir, field.program)
    handed = Systemd().sockets()
    door = field.Door(box.settings.paths.run / field.NAME, work, allowed=may_command, handed=handed, log=journal.open("field"))
    field.run(door, stopping=stop_on_signals(), idle_turns=IDLE_TURNS if handed else 0)
    return DONE


COMMANDS = (
    Command(
        "acceptance",
        "the guided test of a new station: every step passes, or is waived with a reason; then the slip",
        _acceptance_arguments,
        _acceptance,
    ),
    Command("logs", "journal, settings, lights and versions on a stick, sealed for the bridge, without patients", _logs_arguments, _logs),
    Command(
        "field",
        "the narrow door through which a technician at the screen sets networks, enrols, binds; run by systemd",
        _field_arguments,
        _field,
    ),
)
