"""The command `tram`: what is built is built by its commands, everything below receives what it needs as arguments.

`MODULES` says which module of `appliance.commands` stands behind a word, and only that one is loaded: a collector carries
neither the technician's commands nor the demo about, and imports inside a command stand in the functions that need them.
Exit codes: `appliance.commandline`.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

from appliance.commandline import CONFIG, DONE, LATER, REFUSED, Command, explained, parser, read

MODULES = {
    "config": "store",
    "init": "store",
    "store": "store",
    "key": "key",
    "quarantine": "store",
    "staff": "people",
    "patient": "people",
    "session": "people",
    "observe": "people",
    "collect": "processes",
    "listen": "processes",
    "enrol": "enrolment",
    "carry": "processes",
    "bag": "bag",
    "kiosk": "processes",
    "phone": "processes",
    "lan": "processes",
    "lan-certificate": "processes",
    "sms": "processes",
    "camera": "processes",
    "panel": "processes",
    "check": "standing",
    "status": "standing",
    "wipe": "standing",
    "support": "standing",
    "time": "clock",
    "update": "updating",
    "acceptance": "field",
    "logs": "field",
    "field": "field",
    "device": "device",
    "simulate": "workshop",
    "demo": "workshop",
    "bench": "workshop",
}
"""The first word of every command, in the order of the help, and where it is."""
GROUPS = {
    "store": "the file everything is kept in",
    "key": "the store's key, and the board it belongs to",
    "quarantine": "what could not be read",
    "staff": "who works here",
    "patient": "who is cared for here",
    "session": "whose measurement the next one is",
    "device": "what is plugged in, and what it says",
    "time": "what the box knows about the time",
    "bag": "the post bag on a USB stick",
    "support": "remote support, opened at the station alone",
    "simulate": "devices, recordings and days that are invented",
}


def commands(said: Sequence[str] = ()) -> list[Command]:
    """Every command; where the first word of some stands in `said`, those that begin with it alone: the others would lie for ever between
    what a process of the box keeps (0.6 MiB, measured).
    """
    words = [] if {"-h", "--help"} & set(said) else [word for word in MODULES if word in said]
    found: list[Command] = []
    for word in words or MODULES:
        rows: tuple[Command, ...] = import_module(f"appliance.commands.{MODULES[word]}").COMMANDS
        found += [row for row in rows if row.words.split()[0] == word]
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    from appliance.settings import SettingsError

    said = sys.argv[1:] if argv is None else argv
    args = read(parser("tram", "Trạm: the box in the health station.", commands(said), GROUPS), said)
    try:
        return int(args.run(args))
    except SettingsError as error:
        print(explained(error), file=sys.stderr)
        return CONFIG
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()  # the reader has gone: nothing is left to say
            return DONE
        print(f"tram: {error}", file=sys.stderr)
        return LATER
    except ValueError as error:
        return _refused(error)
    except KeyboardInterrupt:
        return 130


def _refused(error: ValueError) -> int:
    """The sentence for a person, in both languages; what is not meant for people is a bug and goes on."""
    from appliance.store.errors import Refused, WrongSchema

    if isinstance(error, WrongSchema):
        print(f"tram: {error}", file=sys.stderr)
        return CONFIG
    if isinstance(error, Refused):
        print(f"{error.vi}\n{error.en}", file=sys.stderr)
        return REFUSED
    raise error


if __name__ == "__main__":
    sys.exit(main())
