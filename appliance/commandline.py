"""What the two command lines, `tram` and `tram-bridge`, have in common: a command is a row, the parser is made of the rows.

Exit codes: 0 done; 1 refused, the sentence says why; 2 wrong usage; 65 damaged data; 75 a store, a device or the link
cannot do it now; 78 settings, keys or schema do not fit (sysexits.h names the last three).
"""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.settings import Settings, SettingsError

DONE, REFUSED, USAGE, DAMAGED, LATER, CONFIG = 0, 1, 2, 65, 75, 78

Arguments = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], int]


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words (``session open``), one line of help, a function that names its arguments, one that runs it."""

    words: str
    help: str
    arguments: Arguments
    run: Run


def settings_of(args: argparse.Namespace) -> "Settings":
    """The settings in force for a command line."""
    from appliance.settings import layers, load

    return load(layers(args.config))


def say(value: Any) -> None:
    """One JSON object on one line."""
    print(json.dumps(value, ensure_ascii=False))


def nothing(_parser: argparse.ArgumentParser) -> None:
    """A command without arguments of its own."""


# --- what was set aside, at either end ------------------------------------------------------------------------------------------------


def aside_list(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``quarantine list``."""
    parser.add_argument("--waiting", action="store_true", help="only what has not been taken since")


def aside_show(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``quarantine show``."""
    parser.add_argument("id", type=int, help="a number of the list")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the bytes there, exactly as they came; they may name patients")


def aside_replay(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``quarantine replay``."""
    parser.add_argument("id", type=int, nargs="*", help="numbers of the list")
    parser.add_argument("--all", action="store_true", help="everything that waits")


def say_aside(found: Mapping[str, Any], payload: bytes, out: Path | None) -> None:
    """One entry, how its bytes begin, and all of them into a file where that is asked for."""
    say({**found, "begins": payload[:16].hex()})
    if out is not None:
        out.write_bytes(payload)


# --- a wrong value, and the parser ----------------------------------------------------------------------------------------------------


def explained(error: "SettingsError") -> str:
    """Key, value, what was expected and an example, one below the other."""
    from appliance.settings import is_key, shown

    example = f"{error.key} = {error.example}" if is_key(error.key) else error.example
    return four_lines(f"{error.file}: {error.key}", shown(error.value), error.expected, example)


def four_lines(key: str, value: object, expected: str, example: str) -> str:
    """How a wrong value is told."""
    return f"{key}\n  value:    {value}\n  expected: {expected}\n  example:  {example}"


def parser(prog: str, description: str, commands: Iterable[Command], groups: Mapping[str, str]) -> argparse.ArgumentParser:
    """A whole command line. ``--config FILE`` may stand before the command or after it, and more than once; `groups` explains the
    first word of commands of two words.
    """
    from appliance import __version__

    top = argparse.ArgumentParser(prog=prog, description=description, formatter_class=_formatter)
    top.add_argument("--version", action="version", version=f"{prog} {__version__}")
    top.add_argument("--config", metavar="FILE", type=Path, action="append", default=[], dest="config_before", help="a settings file")
    made: dict[str, Any] = {"": top.add_subparsers(metavar="COMMAND", required=True)}
    for command in commands:
        first, _, second = command.words.partition(" ")
        if second and first not in made:
            group = made[""].add_parser(first, help=groups[first], formatter_class=_formatter)
            made[first] = group.add_subparsers(metavar="COMMAND", required=True)
        group = made[first if second else ""]
        one = group.add_parser(second or first, help=command.help, description=command.help, formatter_class=_formatter)
        one.add_argument("--config", metavar="FILE", type=Path, action="append", default=[], help="a settings file over those before it")
        command.arguments(one)
        one.set_defaults(run=command.run)
    return top


def read(made: argparse.ArgumentParser, argv: Iterable[str] | None) -> argparse.Namespace:
    """The arguments, all settings files in one list. SystemExit after wrong usage, ``--help`` and ``--version``."""
    args = made.parse_args(None if argv is None else list(argv))
    args.config = [*args.config_before, *args.config]
    return args


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Help as wide as the terminal. argparse itself would load shutil for that, with all its compressors: 0.4 MiB of every process."""
    try:
        columns = int(os.environ.get("COLUMNS", "") or os.get_terminal_size(1).columns)
    except (ValueError, OSError):  # no terminal, or none that knows its width
        columns = 80
    return argparse.HelpFormatter(prog, width=columns - 2)
