"""What the long run found, kept line by line as each driver ends, and the page that is made of it (docs/reference/fuzz-results.md)."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from appliance import devices
from appliance.devices.registry import ROWS, WHERE
from tests.fuzz.count import UNCHECKED, bad
from tests.fuzz.streams import PIECE

KEPT = Path(__file__).parent / "results.jsonl"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "fuzz-results.md"
COUNTED = ("samples", "readings", "true", "flagged", "invented", "exceptions", "lost", "grown")
TITLES = ("samples", "readings", "true", "flagged", "invented", "exceptions", "bytes lost", "too much held")
HEAD = """# Hostile bytes: what became of them

Made by `python -m tests.fuzz --page docs/reference/fuzz-results.md` from `tests/fuzz/results.jsonl`; a test compares. The run itself
is `make fuzz`, with `--results` each driver's line is kept as soon as it ends, and a run that was cut short goes on where it was.

Of every driver's bytes a fifth each is: noise; bytes of the format's own kind in no order; beginnings of true frames with noise
behind; true frames of which every one is damaged; halves of true frames in any order. They arrive in reads of 1, 9, 18, 62,
512 and 4,096 bytes in turn, and one piece in a hundred byte by byte throughout.

* **readings**: measurements that settled where nothing true was sent. 0 is required of every driver for pure noise, and of one
  in service for all bytes.
* **true**, **flagged**, **invented**: measurements out of damaged frames whose numbers were sent; whose numbers were not, but which say
  themselves that they are not to be relied on; and which do not say it. The last must be 0 in service, where a format can know.
* **sources**: the beginning of the SHA-256 of what was fed, the driver's file and what it shares with the others
  (`tests/fuzz/results.py`); with another one it is fed again.
* **exceptions**, **bytes lost** (turns after which the books did not balance), **too much held**: 0 is required of every driver.
"""


def line(name: str, seed: int, count: Mapping[str, int], seconds: float) -> dict[str, Any]:
    """One driver's result as it is kept."""
    return {
        "driver": name, "date": f"{datetime.now(UTC):%Y-%m-%d}", "seed": seed, "sources": sources(name), "bytes": count["bytes"],
        **{each: count[each] for each in (*COUNTED, "readings_noise")}, "seconds": round(seconds, 1),
    }  # fmt: skip


def sources(name: str) -> str:
    """What was fuzzed: the beginning of the SHA-256 of the driver's file, of what it uses of this package, and of the settler."""
    home = Path(devices.__file__).parent
    text = (home / "drivers" / f"{WHERE[name].partition('.')[0]}.py").read_text(encoding="utf-8")
    used = sorted({*re.findall(r"^from appliance\.devices\.(\w+) import", text, re.MULTILINE), "settle"})
    return sha256("".join([text, *((home / f"{each}.py").read_text(encoding="utf-8") for each in used)]).encode()).hexdigest()[:9]


def ended(path: Path | None, seed: int, size: int) -> set[str]:
    """The drivers that need not be fed again: as they are now they had so many bytes of this seed already."""
    found = kept(path) if path else []
    return {
        each["driver"] for each in found
        if (each["seed"], each["sources"]) == (seed, sources(each["driver"])) and each["bytes"] > size - PIECE
    }  # fmt: skip


def keep(path: Path, found: Mapping[str, Any]) -> None:
    """Append one line: what has ended is not lost when the run is."""
    with path.open("a", encoding="utf-8") as out:
        out.write(json.dumps(found) + "\n")


def kept(path: Path) -> list[dict[str, Any]]:
    """Every line of an earlier run, the last of each driver, by driver name."""
    if not path.exists():
        return []
    lines = (json.loads(each) for each in path.read_text(encoding="utf-8").splitlines() if each)
    found = {each["driver"]: each for each in lines}
    return [found[name] for name in sorted(found)]


def why(name: str) -> str:
    """Why a number above 0 may stand in this driver's line."""
    if name in UNCHECKED:
        return UNCHECKED[name]
    return "" if ROWS[name].service else "refused in production until it has been proved on a device"


def page(found: Iterable[Mapping[str, Any]]) -> str:
    """The page."""
    found = list(found)
    out = [HEAD, "| Driver | Date | Seed | Sources | MB | " + " | ".join(TITLES) + " | Promise |", "|---" * (len(TITLES) + 6) + "|"]
    for each in found:
        broken = bad(ROWS[each["driver"]], _Counted(each))
        cells = [f"`{each['driver']}`", each["date"], str(each["seed"]), each["sources"], f"{each['bytes'] / 1e6:.1f}"]
        cells += [str(each[name]) for name in COUNTED]
        out.append("| " + " | ".join([*cells, f"**broken**: {', '.join(broken)}" if broken else "kept"]) + " |")
    reasons = [f"* `{each['driver']}`: {why(each['driver'])}." for each in found if (each["readings"] or each["invented"])]
    return "\n".join([*out, "", "Where a number above 0 stands under *readings* or *invented*, and may:", "", *reasons, ""])


class _Counted(dict[str, int]):
    """Counts as they were kept: what was not counted is 0."""

    def __missing__(self, _name: str) -> int:
        return 0
