"""The journal: one JSON line for each step, ids only."""

import io
import json

import pytest

from appliance import journal


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """What was written."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_step_is_one_json_line_with_time_and_ids() -> None:
    """at (UTC, microseconds), boottime_ns, process, step, ids; bytes as hex."""
    stream = io.StringIO()
    journal.step(journal.open("carry", stream), "publish", reading_key=b"\x01\xff", lane=2, seq=7)
    (line,) = lines(stream)
    assert str(line.pop("at")).endswith("Z")
    assert isinstance(line.pop("boottime_ns"), int)
    assert line == {"process": "carry", "step": "publish", "reading_key": "01ff", "lane": 2, "seq": 7}


def test_a_step_may_say_when_it_happened() -> None:
    """`when_ns` sets both clocks back by the same time."""
    stream = io.StringIO()
    log = journal.open("collect", stream)
    journal.step(log, "read")
    now = lines(stream)[0]["boottime_ns"]
    assert isinstance(now, int)
    journal.step(log, "read", when_ns=now - 1_500_000_000)
    first, second = lines(stream)
    assert second["boottime_ns"] == now - 1_500_000_000
    assert str(second["at"]) < str(first["at"])


@pytest.mark.parametrize(
    "ids", [{"name": "Thử Nghiệm"}, {"cccd": "001061000001"}, {"device": "Thử Nghiệm Một"}, {"reason": "a" * 81}, {"state": {"a": 1}}]
)
def test_what_is_no_id_stays_out(ids: dict[str, object]) -> None:
    """A name nobody planned for, a sentence, a structure: left out, and the line says which key it was."""
    stream = io.StringIO()
    journal.step(journal.open("kiosk", stream), "record", seq=1, **ids)
    (line,) = lines(stream)
    assert line["left_out"] == sorted(ids)
    assert line["seq"] == 1
    assert not any(str(value) in stream.getvalue() for value in ids.values())


def test_a_traceback_does_not_quote_what_a_person_typed() -> None:
    """The place and the type of an error, not its words; the words of an OSError speak of files and stay."""
    stream = io.StringIO()
    log = journal.open("kiosk", stream)
    for error in (ValueError("Thử Nghiệm Một"), OSError("disk full")):
        try:
            raise error
        except (ValueError, OSError):
            log.exception("request failed")
    first, second = lines(stream)
    assert "Thử" not in json.dumps(first, ensure_ascii=False)
    assert (first["error"], first["text"], first["level"]) == ("ValueError", "request failed", "error")
    assert (second["error"], second["words"]) == ("OSError", "disk full")


def test_opening_again_does_not_double_the_lines() -> None:
    """The second stream takes over."""
    first, second = io.StringIO(), io.StringIO()
    journal.open("carry", first)
    journal.step(journal.open("carry", second), "accept")
    assert (len(lines(first)), len(lines(second))) == (0, 1)
