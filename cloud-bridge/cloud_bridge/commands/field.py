"""What an operator asks for somebody who stands in a station."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.commandline import DONE, REFUSED, Command, say
from cloud_bridge.commands.bridge import InputError, open_store, tenths

if TYPE_CHECKING:
    from cloud_bridge.store.acceptances import Accepted


def _status_code_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="the eight letters the station reads out, or what its first page's QR code says")
    parser.add_argument("--station", metavar="ID", default="", help="say too whether the code can be this station's")


def _status_code(args: argparse.Namespace) -> int:
    from appliance.contract.statuscode import REASONS, StatusCodeError, explained, mark_of, read

    of, _, spelt = args.code.removeprefix("TRAM:").rpartition(":S:")  # TRAM:TRAM-0001:S:CODE is what the QR code says
    station = args.station or of.lower()
    try:
        found = read(spelt)
    except StatusCodeError as error:
        print(f"tram-bridge: {REASONS[error.reason]}", file=sys.stderr)
        return REFUSED
    for line in explained(found):
        print(line)
    if station and found.mark != mark_of(station):
        print(f"tram-bridge: Mã này không phải của trạm {station}. Hỏi lại tên trạm.", file=sys.stderr)
        return REFUSED
    return DONE


def _logs_open_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="tram-logs-….sealed, as tram logs wrote it on a stick")
    parser.add_argument("--to", metavar="DIR", type=Path, help="a new folder for the texts; default: named as the file, beside it")
    parser.add_argument("--key", metavar="FILE", type=Path, help="the recovery key's private half, for a bundle sealed for that")


def _logs_open(args: argparse.Namespace) -> int:
    """The texts of a station's bundle into a folder that only its owner may read."""
    import io
    import tarfile

    from appliance.contract import bundle
    from appliance.contract.errors import WireError
    from cloud_bridge.store import keys

    settings, _engine = open_store(args)
    to = args.to or args.file.with_suffix("")
    try:
        with args.file.open("rb") as source:
            label, sealed = bundle.read(source.read(bundle.MOST_BYTES + 1))
        known = keys.openers(settings.bridge.key_dir) if label.purpose == keys.SEAL else {}
        private = keys.read_recovery(args.key) if args.key is not None else known.get(label.key_id)
        if private is None:
            which = f"the bridge's key {label.key_id}" if label.purpose == keys.SEAL else f"recovery key {label.key_id}: --key FILE"
            print(f"tram-bridge logs: it is sealed for {which}, which is not here", file=sys.stderr)
            return REFUSED
        content = bundle.unseal(label, sealed, private)
    except WireError as error:
        print(f"tram-bridge logs: {args.file}: {error.detail or error.reason}", file=sys.stderr)
        return REFUSED
    to.mkdir(mode=0o700)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as box:
        box.extractall(to, filter="data")  # a station that was broken into writes nothing outside the folder
    say({"station": label.station, "folder": str(to), "texts": sorted(one.name for one in to.iterdir())})
    return DONE


def _minute(tenths_: int | None) -> str:
    from datetime import UTC, datetime

    return "" if tenths_ is None else datetime.fromtimestamp(tenths_ / 10, UTC).isoformat(timespec="minutes")


def _acceptance(one: "Accepted") -> dict[str, object]:
    return one._asdict() | {"at": _minute(one.at), "waived": [{"step": step, "reason": reason} for step, reason in one.waived]}


def _accepted_by(one: "Accepted | None") -> str:
    """Who accepted a station, when, and what was waived, on one line."""
    if one is None:
        return "not accepted"
    waived = "; ".join(f"{step}: {reason}" for step, reason in one.waived)
    return f"accepted {_minute(one.at)} by {one.technician}" + (f", waived {waived}" if waived else "")


def _fleet_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("--silent-days", metavar="DAYS", type=int, default=2, help="a station unheard for longer is silent (default: 2)")


def _fleet(args: argparse.Namespace) -> int:
    from cloud_bridge import fleet
    from cloud_bridge.store.engine import reading

    if args.silent_days < 1:
        raise InputError("--silent-days", args.silent_days, "a whole number of days, 1 or more", "2")
    _settings, engine = open_store(args)
    with reading(engine) as tx:
        found = fleet.boxes(tx, tenths(), args.silent_days * fleet.DAY)
    for one in found:
        heard = _minute(one.heard)
        if args.json:
            say(one._asdict() | {"heard": heard or None, "accepted": None if one.accepted is None else _acceptance(one.accepted)})
            continue
        state = "revoked" if one.revoked else "SILENT" if one.silent else "ok"
        ills = f", {one.alarms} with an alarm" if one.alarms else ""
        disk = "-" if one.used is None else f"{one.used:.0%}"
        print(
            f"{one.station:<16} {state:<8} {heard or 'never':<23} {one.software or '-':<12} disk {disk:<5}"
            f"{one.devices} devices{ills}  {one.name}\n"
            f"{'':<16} {_accepted_by(one.accepted)}"
        )
    return DONE


COMMANDS = (
    Command("fleet", "every station: silent or not, last contact, version, disk, devices, who accepted it", _fleet_arguments, _fleet),
    Command("logs open", "the texts of a bundle that tram logs wrote on a stick", _logs_open_arguments, _logs_open),
    Command("status-code", "what the eight letters of a station's status code say, in Vietnamese", _status_code_arguments, _status_code),
)
