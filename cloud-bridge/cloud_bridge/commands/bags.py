"""The post bag on a USB stick."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.commandline import DONE, REFUSED, Command, say
from cloud_bridge.commands.bridge import InputError, open_store, tenths
from cloud_bridge.commands.processes import station_key_of

if TYPE_CHECKING:
    from cloud_bridge.bags import PostOffice, Taken


def _bag_export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", metavar="DIR", type=Path, required=True, help="where the stick is mounted")
    parser.add_argument("--station", metavar="ID", action="append", default=[], help="for whom; default: whose bags lie on the stick")


def _bag_import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", metavar="DIR", type=Path, help="where the stick is mounted: every station's bag on it is taken")
    parser.add_argument("files", metavar="FILE", type=Path, nargs="*", help="bags that lie elsewhere")


def _post_office(args: argparse.Namespace) -> "PostOffice":
    import os
    from functools import partial

    from appliance import journal
    from cloud_bridge import intake
    from cloud_bridge.bags import PostOffice
    from cloud_bridge.store import keys
    from cloud_bridge.store.sealing import seals_of

    settings, engine = open_store(args)
    sign, say_step = keys.load(settings.bridge.key_dir, "receipt"), partial(journal.step, journal.open("bridge-bag"))
    return PostOffice(engine, sign, intake.apply_many, station_key_of, tenths, say_step, seals_of(settings, station_key_of, os.urandom))


def _bag_export(args: argparse.Namespace) -> int:
    from appliance.contract.bag import BagRefused
    from appliance.stick import Stick

    office, code = _post_office(args), DONE
    with Stick(args.folder, mounted=False) as stick:
        names = args.station or office.stations_on(stick)
        if not names:
            raise InputError("--station", None, "a station, where no station's bag lies on the stick", "--station tram-0001")
        for name in names:
            try:
                one = office.put_out(stick, name)
            except BagRefused as error:
                print(f"tram-bridge: {name}: {error}", file=sys.stderr)
                code = REFUSED
            else:
                say({"station": name, "file": one.file, "items": one.items, "messages": one.messages, "bytes": one.size})
    return code


def _bag_import(args: argparse.Namespace) -> int:
    from appliance.stick import Stick

    if not args.files and args.folder is None:
        raise InputError("--folder", None, "where the stick is mounted, or the files", "--folder /media/usb")
    office = _post_office(args)
    found = [_bag_told(office.take_file(file)) for file in args.files]
    if args.folder is not None:
        with Stick(args.folder, mounted=False) as stick:
            found += [_bag_told(one) for one in office.take_in(stick)]
    return DONE if all(found) else REFUSED


def _bag_told(one: "Taken") -> bool:
    """Say what came of one file; True when it was taken."""
    if one.came is None:
        print(f"tram-bridge: {one.file}: {one.refused}", file=sys.stderr)
        return False
    came = one.came
    say(
        {
            "file": one.file,
            "station": one.station,
            "new": came.new,
            "repeated": came.repeated,
            "quarantined": came.refused,
            "again": came.again,
        }
    )
    return True


COMMANDS = (
    Command("bag export", "put what waits for a station on a USB stick", _bag_export_arguments, _bag_export),
    Command("bag import", "take what USB sticks bring from stations", _bag_import_arguments, _bag_import),
)
