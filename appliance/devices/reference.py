"""The tables of docs/reference/devices.md, made from the registry and the quality record: ``python -m appliance.devices.reference FILE``.

What stands between ``<!-- NAME -->`` and ``<!-- end of NAME -->`` is written anew, everything else is left as it is. With
``--check`` nothing is written, and 1 comes back when something would be.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.contract.metrics import TABLE
from appliance.devices import drivers
from appliance.devices.driver import Hid, Row
from appliance.devices.registry import ROWS

QUALITY = Path(drivers.__file__).parent / "quality.toml"
WORDS = ("device", "gives", "starts", "proved_on")
"""What a record says beside its rules."""


def records() -> dict[str, Any]:
    """The quality record: ``rules``, and one table for each driver."""
    return tomllib.loads(QUALITY.read_text(encoding="utf-8"))


def families(found: Mapping[str, Any]) -> Iterator[str]:
    """A line for each driver: what it is, its line, what it gives, who starts, whether it may serve."""
    yield "| Driver | Device | Line | What it gives | Who starts | In service |"
    yield "|---|---|---|---|---|---|"
    for name, row in ROWS.items():
        said = found[name]
        cells = (f"`{name}`", said["device"], _line(row), said["gives"], said["starts"], _service(row))
        yield "| " + " | ".join(cells) + " |"


def _line(row: Row) -> str:
    if isinstance(row.line, Hid):
        return f"USB HID {row.line.ids}"
    line = row.line
    if row.unit:
        return f"the network; {line.baud} {line.bytesize}{line.parity}{line.stopbits} by name only"
    levels = f", DTR {'on' if line.dtr else 'off'}, RTS {'on' if line.rts else 'off'}"
    return f"{line.baud} {line.bytesize}{line.parity}{line.stopbits}{levels}"


def _service(row: Row) -> str:
    if row.unit:
        return f"its own unit `{row.unit}` (`tram listen`), refused in production until switched on; all of it lies in the tray"
    return "yes" if row.service else "refused in production until switched on"


def quality(found: Mapping[str, Any]) -> Iterator[str]:
    """The rules, then for each driver: on what it was proved, its metrics, what it writes, and every exemption with its reason."""
    rules: Mapping[str, str] = found["rules"]
    yield "| Rule | Says |"
    yield "|---|---|"
    yield from (f"| {name} | {says} |" for name, says in rules.items())
    yield ""
    yield "Every rule is done for every driver but where a reason stands here."
    for name, row in ROWS.items():
        yield ""
        yield f"### {name}"
        yield ""
        yield f"Proved on: {', '.join(found[name]['proved_on'])}. {_writes(row)} Holds at most {row.bound} bytes."
        yield f"Metrics: {', '.join(f'{metric.name.lower()} ({TABLE[metric].unit})' for metric in row.metrics)}."
        open_rules = [
            f"* {rule}: {said.removeprefix('exempt: ')}" for rule, said in found[name].items() if rule in rules and said != "done"
        ]
        yield from ["", *open_rules] if open_rules else []


def _writes(row: Row) -> str:
    if not row.writes:
        return "Never writes to its port."
    return "Writes; a measurement starts by a command." if row.commanded else "Writes questions only; no command starts a measurement."


TABLES = {"families": families, "quality": quality}


def written(text: str) -> str:
    """`text` with its tables made anew; ValueError where a table has no place."""
    found = records()
    for name, lines in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"there is not exactly one place for the table {name}: {begin.strip()} … {end}")
        before, rest = text.split(begin)
        text = before + begin + "\n".join(lines(found)) + "\n" + end + rest.split(end)[1]
    return text


def main(argv: Sequence[str]) -> int:
    """Write or check one file."""
    files = [Path(one) for one in argv if one != "--check"]
    if len(files) != 1:
        print("usage: python -m appliance.devices.reference [--check] docs/reference/devices.md", file=sys.stderr)
        return 2
    old = files[0].read_text(encoding="utf-8")
    new = written(old)
    if "--check" in argv:
        return int(old != new)
    files[0].write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
