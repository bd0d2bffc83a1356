"""How a box becomes a station of this bridge, and what the broker lets it do."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.commandline import DONE, REFUSED, Command, say
from cloud_bridge.commands.bridge import InputError, open_store, tenths
from cloud_bridge.commands.stations import broker_told, operator_name, organisation_of, write_denied

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from appliance.settings import Settings
    from cloud_bridge.topicwalls import Resident


def _stations_token_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("station", metavar="ID")
    parser.add_argument("--technician", required=True, metavar="NAME", help="who carries the paper; it is written down")
    parser.add_argument("--name", default="", help="the name that doctors see; default: what is registered, else the id")
    parser.add_argument("--organisation", default="")
    parser.add_argument("--shard", type=int, help="0-63; default: what is registered, else 0")
    parser.add_argument("--tier", type=int, help="0 is a commune station; each tier above counts one more")
    parser.add_argument("--pdf", metavar="FILE", type=Path, help="write the paper there instead of on the terminal")


def _stations_token(args: argparse.Namespace) -> int:
    import os
    import unicodedata
    from datetime import UTC, datetime

    from appliance.contract import enrolment as wire
    from appliance.contract.ids import is_station
    from appliance.contract.topics import SHARDS
    from cloud_bridge import ca, enrolment, tokenpaper, topicwalls
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import writing

    if not is_station(args.station) or args.station in (topicwalls.CARRIER, topicwalls.ADMIN):
        raise InputError("ID", args.station, "1-16 lower-case letters, digits and inner hyphens", "tram-0001")
    settings, engine = open_store(args)
    authority = ca.load(settings.bridge.key_dir)
    host, port, technician = settings.need("door.host"), settings.door.port, unicodedata.normalize("NFC", args.technician).strip()
    if not technician:
        raise InputError("--technician", args.technician, "the name of whoever carries the paper", "'KTV. Lê Thử'")
    with writing(engine) as tx:
        there = stations.get(tx, args.station)
        shard = args.shard if args.shard is not None else 0 if there is None else there.shard
        if not 0 <= shard < SHARDS:
            raise InputError("--shard", shard, f"a whole number from 0 to {SHARDS - 1}", "--shard 7")
        name = unicodedata.normalize("NFC", args.name).strip()
        ticket = enrolment.make_token(
            tx, args.station, technician, tenths(), os.urandom, host=host, port=port, root=authority.root,
            name=name or (there.name if there else args.station), shard=shard,
            organisation=organisation_of(args) or (there.organisation if there else ""),
            tier=args.tier if args.tier is not None else there.tier if there else 0,
        )  # fmt: skip
    until = datetime.fromtimestamp(tenths() / 10 + wire.DAYS * 86_400, UTC).strftime("%d/%m/%Y")
    paper = tokenpaper.Paper(args.station, technician, until, wire.qr_text(ticket), wire.spell(ticket.secret))
    if args.pdf is None:
        print(tokenpaper.on_terminal(paper))
        return DONE
    args.pdf.unlink(missing_ok=True)
    ca.write_new(args.pdf, tokenpaper.pdf(paper), 0o600)
    say({"station": args.station, "technician": technician, "until": until, "paper": str(args.pdf)})
    return DONE


def desk_of(settings: "Settings", engine: "Engine") -> Any:
    """What takes stations in."""
    from cloud_bridge import ca, enrolment

    return enrolment.Desk(engine, ca.load(settings.bridge.key_dir), _pins(settings), tenths)


def _pins(settings: "Settings") -> Any:
    from appliance.contract.enrolment import Pin
    from cloud_bridge.store import keys

    folder = settings.bridge.key_dir
    ours = [Pin(purpose, number, public) for purpose in keys.PURPOSES for number, public in keys.publics(folder, purpose).items()]
    return (*ours, *(Pin(keys.RECOVERY, number, public) for number, public in keys.recoveries(folder).items()))


def _enrol_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--usb", metavar="FOLDER", type=Path, required=True, help="the stick: requests are answered beside themselves")


def _enrol(args: argparse.Namespace) -> int:
    """Answer the requests on a stick; 1 when one of them was refused."""
    from appliance.contract.enrolment import REQUEST_MOST
    from cloud_bridge import ca, enrolment

    settings, engine = open_store(args)
    desk, bad = desk_of(settings, engine), False
    found = sorted(args.usb.glob("tram-*.ask"))
    if not found:
        raise InputError("--usb", str(args.usb), "a folder with a request of tram enrol --usb", "tram-bridge enrol --usb /media/usb")
    for file in found:
        station = file.stem.removeprefix("tram-")
        try:
            with file.open("rb") as source:
                answer = enrolment.enrol(desk, source.read(REQUEST_MOST + 1), operator_name(), stick=True)
        except enrolment.No as no:
            bad = True
            say({"station": station, "refused": no.why})
            continue
        ca.replace_file(file.with_suffix(".answer"), answer)
        say({"station": station, "answer": str(file.with_suffix(".answer")), **_enrolled(settings, engine, station)})
    return REFUSED if bad else DONE


def _enrolled(settings: "Settings", engine: "Engine", station: str) -> dict[str, Any]:
    """The six words to compare, and whether the broker knows the station."""
    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store.engine import reading

    with reading(engine) as tx:
        latest = next(one for one in rows.entries(tx, station) if one.what == "enrolled")
    return {"words": latest.detail.split("; ")[1], "broker": admit(settings, engine, station)}


def admit(settings: "Settings", engine: "Engine", station: str) -> str:
    """The broker lets a station in that has just been enrolled; its old serials stay out."""
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import reading

    with reading(engine) as tx:
        one = stations.get(tx, station)
    if one is None or one.revoked is not None:
        return "not asked"
    try:
        write_denied(settings, engine)
    except OSError as error:  # the station is in all the same; what its box of before held the broker's plugin knows no more
        print(f"tram-bridge: the list of revoked serials was not written: {error}. tram-bridge ca revoked", file=sys.stderr)
    return broker_told(settings, lambda door: door.admit(one.id, one.shard))


def _stations_log_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("station", metavar="ID", nargs="?", default="", help="one station; default: all")


def _stations_log(args: argparse.Namespace) -> int:
    """Who made, used, misused, renewed or revoked what, the latest first; the six words stand with *enrolled*."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        for one in rows.entries(tx, args.station):
            say(asdict(one) | {"at": datetime.fromtimestamp(one.at / 10, UTC).isoformat()})
    return DONE


def _broker_acl_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--form", choices=("dynsec", "acl"), default="dynsec", help="dynamic security's file, or an acl_file")
    parser.add_argument("--fresh", action="store_true", help="for a broker that stands before any bridge: the store is not asked")
    parser.add_argument("--station", metavar="ID:SHARD", action="append", default=[], help="with --fresh: a station that is to be let in")


def _resident(text: str) -> "Resident":
    from appliance.contract.ids import is_station
    from appliance.contract.topics import SHARDS
    from cloud_bridge import topicwalls

    station, _, shard = text.partition(":")
    if not is_station(station) or station in (topicwalls.CARRIER, topicwalls.ADMIN) or not shard.isdecimal() or int(shard) >= SHARDS:
        raise InputError("--station", text, "an id and its shard from 0 to 63", "tram-0001:7")
    return topicwalls.Resident(station, int(shard))


def _broker_acl(args: argparse.Namespace) -> int:
    from cloud_bridge import topicwalls
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import reading

    if args.fresh:
        known = [_resident(one) for one in args.station]
    elif args.station:
        raise InputError(
            "--station", args.station[0], "nothing without --fresh: the store knows the stations", "--fresh --station tram-0001:7"
        )
    else:
        _settings, engine = open_store(args)
        with reading(engine) as tx:
            known = [topicwalls.Resident(one.id, one.shard, one.revoked is not None) for one in stations.everyone(tx)]
    print((topicwalls.acl_file if args.form == "acl" else topicwalls.dynamic_security)(known), end="")
    return DONE


COMMANDS = (
    Command("stations token", "a paper with which one technician enrols one station, once", _stations_token_arguments, _stations_token),
    Command("stations log", "who enrolled, renewed, misused or revoked what", _stations_log_arguments, _stations_log),
    Command("enrol", "answer the requests of boxes without a line, on a USB stick", _enrol_arguments, _enrol),
    Command("broker-acl", "the broker's rights for every station, from one table", _broker_acl_arguments, _broker_acl),
)
