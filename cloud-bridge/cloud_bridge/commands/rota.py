"""Who is on duty, and who answers after whom."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.commandline import DONE, REFUSED, Command, nothing, say
from cloud_bridge.commands.bridge import InputError, open_store, tenths

if TYPE_CHECKING:
    from cloud_bridge.store.rota import Gap, Shift


def _tiers_set_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("organisation", metavar="ORGANISATION")
    parser.add_argument("--number", type=int, required=True, help="1 is who answers stations first; each tier above counts one more")
    parser.add_argument("--name", default="", help="the name that stations read; the organisation's own by default")
    parser.add_argument("--above", default="", help="the organisation that an unopened request goes on to; none by default")


def _tiers_set(args: argparse.Namespace) -> int:
    from cloud_bridge.store import rota
    from cloud_bridge.store.engine import writing

    if not 0 <= args.number <= 99:
        raise InputError("--number", args.number, "a whole number from 0 to 99", "--number 1")
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        rota.set_tier(tx, rota.Tier(args.organisation, args.number, args.name or args.organisation, args.above))
    say({"tier": args.number, "organisation": args.organisation, "above": args.above})
    return DONE


def _tiers_list(args: argparse.Namespace) -> int:
    from cloud_bridge.store import rota
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        for one in rota.tiers(tx).values():
            say({"tier": one.number, "organisation": one.organisation, "name": one.name, "above": one.above})
    return DONE


def _rota_import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="CSV with the columns organisation,department,start,end,name,phone,login")


def _rota_import(args: argparse.Namespace) -> int:
    import csv

    from cloud_bridge.store import rota
    from cloud_bridge.store.engine import writing

    text = args.file.read_text(encoding="utf-8-sig")
    shifts = [_shift(row, f"{args.file}:{number}") for number, row in enumerate(csv.DictReader(text.splitlines()), 2)]
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        for one in shifts:
            rota.add(tx, one)
    say({"shifts": len(shifts)})
    return DONE


def _shift(row: dict[str, Any], where: str) -> "Shift":
    """A shift of one line; InputError names the line. Nothing is written unless every line is good."""
    import unicodedata

    from appliance.contract.events import Department
    from cloud_bridge.store import rota

    said = {key: unicodedata.normalize("NFC", value or "").strip() for key, value in row.items() if isinstance(key, str)}
    try:
        department = Department[said["department"].upper()]
        start, end = (_moment(said[key]) for key in ("start", "end"))
        if not said["organisation"] or not said["name"] or not 0 < end - start <= rota.LONGEST:
            raise ValueError(where)
    except (KeyError, ValueError):
        expected, example = (
            "a shift with an end after its beginning",
            "Trung tâm Thử,internal,2026-11-23 07:00,2026-11-24 07:00,BS. Thử,0900 000 000,",
        )
        raise InputError(where, ",".join(said.values()), expected, example) from None
    return rota.Shift(said["organisation"], department, start, end, said["name"], said.get("phone", ""), said.get("login", ""))


def _moment(text: str) -> int:
    """``2026-11-23 07:00``, or a day, in Vietnam's time: tenths of a second since 1970. ValueError for anything else."""
    from datetime import datetime

    from cloud_bridge.routing import LOCAL

    found = datetime.fromisoformat(text)
    if found.tzinfo is not None or not 2020 <= found.year <= 2100:
        raise ValueError(text)
    return int(found.replace(tzinfo=LOCAL).timestamp()) * 10


def _period_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("organisation", metavar="ORGANISATION")
    parser.add_argument("--from", dest="start", metavar="DAY", help="such as 2026-11-23; today by default")
    parser.add_argument("--days", type=int, default=7)


def _period(args: argparse.Namespace) -> tuple[int, int]:
    from cloud_bridge.store import rota

    try:
        start = rota.midnight(tenths()) if args.start is None else rota.midnight(_moment(args.start))
    except ValueError:
        raise InputError("--from", args.start, "a day", "--from 2026-11-23") from None
    if not 1 <= args.days <= 31:
        raise InputError("--days", args.days, "a whole number from 1 to 31", "--days 7")
    return start, start + args.days * rota.DAY


def _rota_show(args: argparse.Namespace) -> int:
    from cloud_bridge import routing
    from cloud_bridge.store import rota
    from cloud_bridge.store.engine import reading

    start, end = _period(args)
    _settings, engine = open_store(args)
    with reading(engine) as tx:
        shifts, _until = rota.published(tx, args.organisation, start, end)
    for one in shifts:
        hours = routing.hours(one.start, one.end)
        say({"department": one.department.name.lower(), "hours": hours, "name": one.name, "phone": one.phone, "login": one.login})
    return DONE


def _gaps(tx: Any, organisation: str, start: int, end: int) -> "list[Gap]":
    """The uncovered times of what is written; each on a line of standard error, in words."""
    from cloud_bridge import routing
    from cloud_bridge.console.words import DEPARTMENTS
    from cloud_bridge.store import rota

    found = routing.gaps([one for _, one in rota.written(tx, organisation, start, end)], start, end)
    for one in found:
        print(f"Khoa {DEPARTMENTS[one.department][0]} trống {routing.hours(one.start, one.end)}", file=sys.stderr)
    return found


def _rota_check(args: argparse.Namespace) -> int:
    from cloud_bridge.store.engine import reading

    start, end = _period(args)
    _settings, engine = open_store(args)
    with reading(engine) as tx:
        found = _gaps(tx, args.organisation, start, end)
    say({"organisation": args.organisation, "gaps": len(found)})
    return REFUSED if found else DONE


def _rota_publish_arguments(parser: argparse.ArgumentParser) -> None:
    _period_arguments(parser)
    parser.add_argument("--with-gaps", action="store_true", help="publish although hours are uncovered; kept with the publication")


def _rota_publish(args: argparse.Namespace) -> int:
    from cloud_bridge.store import rota
    from cloud_bridge.store.engine import writing

    start, end = _period(args)
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        found = _gaps(tx, args.organisation, start, end)
        if found and not args.with_gaps:
            say({"organisation": args.organisation, "gaps": len(found), "published": False})
            return REFUSED
        version = rota.publish(tx, args.organisation, start, end, gaps=found, actor="tram-bridge", at=tenths())
    say({"organisation": args.organisation, "gaps": len(found), "published": True, "version": version})
    return DONE


COMMANDS = (
    Command("tiers set", "say what an organisation is and whom unopened requests go on to", _tiers_set_arguments, _tiers_set),
    Command("tiers list", "every tier, the lowest first", nothing, _tiers_list),
    Command(
        "rota import", "write the shifts of a CSV file; nobody is on duty before they are published", _rota_import_arguments, _rota_import
    ),
    Command("rota show", "who is on duty as published", _period_arguments, _rota_show),
    Command("rota check", "name every hour that nobody covers; 1 when there is one", _period_arguments, _rota_check),
    Command("rota publish", "make what is written true and tell the stations", _rota_publish_arguments, _rota_publish),
)
