"""How the box stands, and its end: ``tram check | status | wipe | support``."""

import argparse
import os
import sys
from typing import Any

from appliance.commandline import DONE, REFUSED, Command, say, settings_of
from appliance.commands.box import Box, actor, open_box, staff_arguments


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
    staff_arguments(parser)


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


COMMANDS = (
    Command("check", "how power, card, clock, line and devices stand, and what to do next; 1 when one fails", _check_arguments, _check),
    Command("status", "the status code to read over the telephone, and what it says", _status_arguments, _status),
    Command("wipe", "destroy this station's keys and store; refused while the bridge has not received everything", _wipe_arguments, _wipe),
    Command("support open", "let remote support in, for some minutes: the box speaks outward only", _support_open_arguments, _support_open),
    Command("support close", "shut remote support out now", _support_close_arguments, _support_close),
)
