"""The command `tram-bridge`: what is built is built here, everything below receives what it needs as arguments.

Exit codes: 0 done; 1 refused, the sentence says why; 2 wrong usage; 75 the database cannot do it now; 78 settings, keys
or schema do not fit. Errors name the key, its value, what was expected and an example.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloud_bridge.commands import authority, bags, copies, enrolment, field, processes, quarantine, recovery, rota, stations, stock, users
from cloud_bridge.commands.command import CONFIG, DONE, LATER, REFUSED, InputError, NotReadyError

COMMANDS = (
    *stock.COMMANDS,
    *users.COMMANDS,
    *stations.COMMANDS,
    *enrolment.COMMANDS,
    *authority.COMMANDS,
    *bags.COMMANDS,
    *processes.COMMANDS,
    *rota.COMMANDS,
    *copies.COMMANDS,
    *quarantine.COMMANDS,
    *recovery.COMMANDS,
    *field.COMMANDS,
)
"""Every command; a new one is a row of the module it belongs to."""


def parser() -> argparse.ArgumentParser:
    """The whole command line. ``--config FILE`` may stand before the command or after it, and more than once."""
    from appliance import __version__

    top = argparse.ArgumentParser(prog="tram-bridge", description="Trạm: the cloud bridge.")
    top.add_argument("--version", action="version", version=f"tram-bridge {__version__}")
    top.add_argument("--config", metavar="FILE", type=Path, action="append", default=[], dest="config_before", help="a settings file")
    groups: dict[str, Any] = {"": top.add_subparsers(metavar="COMMAND", required=True)}
    helps = {
        "keys": "the bridge's own keys",
        "users": "who may use the console", "stations": "whom the bridge serves", "tiers": "who answers, in order",
        "bag": "the post bag on a USB stick",
        "ca": "who signs certificates",
        "recovery-key": "what dead boxes are opened with",
        "logs": "what stations send from afar",
        "rota": "who is on duty", "quarantine": "what could not be read", "sms": "emergencies by telephone network",
    }  # fmt: skip
    for command in COMMANDS:
        first, _, second = command.words.partition(" ")
        if second and first not in groups:
            groups[first] = groups[""].add_parser(first, help=helps[first]).add_subparsers(metavar="COMMAND", required=True)
        one = groups[first if second else ""].add_parser(second or first, help=command.help, description=command.help)
        one.add_argument("--config", metavar="FILE", type=Path, action="append", default=[], help="a settings file over those before it")
        command.arguments(one)
        one.set_defaults(run=command.run)
    return top


def _explained(key: str, value: object, expected: str, example: str) -> str:
    return f"tram-bridge: {key}\n  value:    {value}\n  expected: {expected}\n  example:  {example}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    from appliance.settings import SettingsError
    from cloud_bridge.ca import AuthorityError
    from cloud_bridge.store.keys import KeyFileError

    args = parser().parse_args(argv)
    args.config = [*args.config_before, *args.config]
    try:
        return int(args.run(args))
    except SettingsError as error:
        print(_explained(f"{error.file}: {error.key}", error.value, error.expected, error.example), file=sys.stderr)
        return CONFIG
    except InputError as error:
        print(_explained(error.key, error.value, error.expected, error.example), file=sys.stderr)
        return REFUSED
    except KeyFileError as error:
        print(_explained("key file", error.file, error.expected, "tram-bridge init"), file=sys.stderr)
        return CONFIG
    except (NotReadyError, AuthorityError) as error:
        print(f"tram-bridge: {error}", file=sys.stderr)
        return CONFIG if isinstance(error, NotReadyError) else REFUSED
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()  # the reader has gone: nothing is left to say
            return DONE
        print(f"tram-bridge: {error}", file=sys.stderr)
        return LATER
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
