"""What the demo says on which output."""

import io
import json

from appliance.demo.steps import Line, Trail
from appliance.demo.voice import Voice

KEY = {"reading_key": "k"}
LINES = [
    Line("collect-cuff", "read", "2026-01-01T00:00:00.000001Z", 0, KEY),
    Line("kiosk", "record", "2026-01-01T00:00:01.500000Z", 1_500_000_000, KEY),
]


def say(*, as_json: bool, once: bool) -> tuple[str, str]:
    """Everything said about two steps and the end."""
    out, err = io.StringIO(), io.StringIO()
    voice = Voice(out, err, as_json=as_json, once=once)
    voice.tell("starting")
    voice.addresses("http://127.0.0.1:1/", "http://127.0.0.1:2/", {"kiosk": ("Điều dưỡng", "480713"), "console": ("bacsi", "pw")})
    trail = Trail()
    for line in LINES:
        for way, found in trail.hear(line):
            voice.step(way, found)
    voice.ended({"ok": True, "reading_key": "k"})
    return out.getvalue(), err.getvalue()


def test_a_step_is_one_line_with_its_latency() -> None:
    """Number, name, milliseconds since the step before and since the first, time, process; addresses and logins before."""
    out, err = say(as_json=False, once=False)
    assert "http://127.0.0.1:1/" in out
    assert "bacsi / pw" in out
    assert "Điều dưỡng: PIN 480713" in out
    step = next(line for line in out.splitlines() if "record" in line)
    assert step.split() == ["reading", "1", "5", "record", "+", "1500.0", "ms", "1500.0", "ms", "00:00:01.500", "kiosk"]
    assert err == "starting\n"


def test_once_as_json_is_exactly_one_object() -> None:
    """Standard output holds nothing else."""
    out, _ = say(as_json=True, once=True)
    assert json.loads(out) == {"ok": True, "reading_key": "k"}
    assert out.count("\n") == 1


def test_json_without_once_is_one_object_a_line() -> None:
    """Addresses first, then the steps."""
    out, _ = say(as_json=True, once=False)
    said = [json.loads(line) for line in out.splitlines()]
    assert said[0]["kiosk"] == "http://127.0.0.1:1/"
    assert [(one["name"], one["ms"], one["process"]) for one in said[1:3]] == [("read", 0, "collect-cuff"), ("record", 1500, "kiosk")]


class Closed(io.StringIO):
    """A pipe nobody reads."""

    def write(self, _text: str) -> int:
        """As the system says it."""
        raise BrokenPipeError


def test_a_voice_nobody_hears_knows_it() -> None:
    """``tram demo | head -1`` ends the demo instead of breaking it."""
    voice = Voice(Closed(), io.StringIO(), as_json=False, once=False)
    voice.addresses("a", "b", {"kiosk": ("x", ""), "console": ("y", "z")})
    assert voice.gone
