"""Whom the bridge serves."""

import argparse
import base64
import binascii
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.commandline import DONE, LATER, Command, nothing, say
from cloud_bridge.commands.bridge import InputError, open_store, station_argument, tenths

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from appliance.settings import Settings
    from cloud_bridge.store.stations import Station


def _stations_add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("station", metavar="ID")
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="what the box wrote with tram init --export")
    parser.add_argument("--name", default="", help="the name that doctors see")
    parser.add_argument("--organisation", default="")
    parser.add_argument("--shard", type=int, help="0-63; what the key file says, else 0")
    parser.add_argument("--tier", type=int, default=0, help="0 is a commune station; each tier above counts one more")


def _stations_add(args: argparse.Namespace) -> int:
    import unicodedata

    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import writing

    one = _station(args, unicodedata.normalize("NFC", args.name).strip())
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        there = stations.get(tx, one.id)
        stations.add(tx, one)
    changed = there is not None and there.public != one.public
    say({"station": one.id, "shard": one.shard, "made": there is None, "key": "replaced" if changed else "kept" if there else "new"})
    return DONE


def organisation_of(args: argparse.Namespace) -> str:
    """As accounts and stations are compared: NFC, no white space at the ends."""
    import unicodedata

    return unicodedata.normalize("NFC", args.organisation).strip()


def _station(args: argparse.Namespace, name: str) -> "Station":
    """The station of a command line and its key file; InputError for what does not fit."""
    from appliance.contract.ids import is_station
    from appliance.contract.topics import SHARDS
    from cloud_bridge.store.stations import Station

    if not is_station(args.station):
        raise InputError("ID", args.station, "1-16 lower-case letters, digits and inner hyphens", "tram-0001")
    said = _key_file(args.key)
    if said.get("station", args.station) != args.station:
        raise InputError("ID", args.station, f"the station that the key file names, {said['station']!r}", f"{said['station']}")
    shard = said.get("shard", 0) if args.shard is None else args.shard
    if not isinstance(shard, int) or not 0 <= shard < SHARDS:
        raise InputError("--shard", shard, f"a whole number from 0 to {SHARDS - 1}", "--shard 7")
    return Station(
        id=args.station, shard=shard, name=name or args.station, organisation=organisation_of(args), tier=args.tier, key_id=said["key_id"],
        public=said["public"], registered=tenths(), revoked=None,
    )  # fmt: skip


def _key_file(file: Path) -> dict[str, Any]:
    """A station's exported key, its public half as 32 bytes; InputError for a file that holds none."""
    expected, example = "the file that tram init --export wrote", '{"station": "tram-0001", "shard": 0, "key_id": 0, "public": "<base64>"}'
    try:
        said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        public = base64.b64decode(said["public"], validate=True)
        key_id = said["key_id"]
    except OSError as error:
        raise InputError("--key", f"{file}: {error.strerror}", expected, example) from error
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise InputError("--key", str(file), expected, example) from None
    if len(public) != 32 or not isinstance(key_id, int) or isinstance(key_id, bool) or not 0 <= key_id < 1 << 31:
        raise InputError("--key", str(file), expected, example)
    return said | {"public": public}


def _stations_revoke(args: argparse.Namespace) -> int:
    from cloud_bridge import enrolment
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import writing

    settings, engine = open_store(args)
    with writing(engine) as tx:
        if stations.get(tx, args.station) is None:
            raise InputError("ID", args.station, "a station that is registered (tram-bridge stations list)", "tram-0001")
        gone = enrolment.revoke(tx, args.station, tenths(), operator_name())
    told = {"deny_file": write_denied(settings, engine), "broker": broker_told(settings, lambda one: one.shut_out(args.station))}
    say({"station": args.station, "revoked": True, "certificates": gone} | told)
    return LATER if told["broker"] == "away" else DONE


def operator_name() -> str:
    """Who sits here, for the log."""
    import getpass

    return f"cli:{getpass.getuser()}"


def write_denied(settings: "Settings", engine: "Engine") -> str | None:
    """The broker's list of revoked serials, written anew where the settings name one."""
    from cloud_bridge import ca
    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store.engine import reading

    file = settings.bridge.deny_file
    if file is None or not ca.installed(settings.bridge.key_dir):
        return None
    with reading(engine) as tx:
        serials = rows.denied(tx, tenths())
    ca.replace_file(file, ca.load(settings.bridge.key_dir).revoked(serials, ca.now_utc()))
    return str(file)


def broker_told(settings: "Settings", work: Callable[[Any], None]) -> str:
    """Tell the broker's dynamic security: ``told``, ``away`` (say it again later), or ``not asked`` without admin_cert."""
    from cloud_bridge import brokerdoor

    if settings.bridge.admin_cert is None:
        return "not asked"
    try:
        work(brokerdoor.BrokerDoor(settings))
    except OSError as error:
        print(f"tram-bridge: the broker was not told: {error}. Run this command again.", file=sys.stderr)
        return "away"
    return "told"


def _stations_list(args: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import reading

    _settings, engine = open_store(args)
    with reading(engine) as tx:
        waves = rows.waves(tx)
        ends = {one.station: one.ends for one in rows.certificates(tx) if one.kind == rows.STATION and one.revoked is None}
        for one in stations.everyone(tx):
            until = ends.get(one.id)
            say({
                "station": one.id, "name": one.name, "shard": one.shard, "tier": one.tier, "revoked": one.revoked is not None,
                "wave": waves.get(one.id, ""),
                "certificate_until": None if until is None else datetime.fromtimestamp(until / 10, UTC).date().isoformat(),
                "public": base64.b64encode(one.public).decode(),
            })  # fmt: skip
    return DONE


def _stations_wave_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("station", metavar="ID")
    parser.add_argument("wave", metavar="WAVE", help="pilot, or a number from 1")


def _stations_wave(args: argparse.Namespace) -> int:
    import re

    from cloud_bridge.store import enrolment as rows
    from cloud_bridge.store import stations
    from cloud_bridge.store.engine import writing

    if not re.fullmatch(r"pilot|[1-9][0-9]?", args.wave):
        raise InputError("WAVE", args.wave, "pilot, or a number from 1 to 99", "tram-bridge stations wave tram-0001 pilot")
    _settings, engine = open_store(args)
    with writing(engine) as tx:
        if stations.get(tx, args.station) is None:
            raise InputError("ID", args.station, "a station that is registered (tram-bridge stations list)", "tram-0001")
        rows.set_wave(tx, args.station, args.wave)
        rows.note(tx, "wave", tenths(), station=args.station, who=operator_name(), detail=args.wave)
    say({"station": args.station, "wave": args.wave})
    return DONE


COMMANDS = (
    Command("stations add", "register a station by the key that its box exported", _stations_add_arguments, _stations_add),
    Command("stations revoke", "take nothing more from a station", station_argument, _stations_revoke),
    Command("stations list", "every registered station", nothing, _stations_list),
    Command("stations wave", "which wave of updates a station belongs to", _stations_wave_arguments, _stations_wave),
)
