"""Another version of the program: ``tram update``."""

import argparse
from pathlib import Path

from appliance.commandline import DONE, Command, say, settings_of
from appliance.commands.box import complain


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
        say({"version": update.back(place, complain, look)})
    else:
        release = update.update(place, args.file, complain, update.installed, look)
        say({"version": release.version, "schema": release.schema, "wheels": len(release.wheels)})
    return DONE


COMMANDS = (
    Command(
        "update",
        "another version of the program, from a signed file; the one in force stays until the new one has been tried",
        _update_arguments,
        _update,
    ),
)
