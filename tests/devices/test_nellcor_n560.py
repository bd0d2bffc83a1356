"""The Nellcor printout: real lines, every code, every number, headers, months, noise."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.devices import decode as decoding
from appliance.devices.decode import decode
from appliance.devices.driver import Line
from appliance.devices.drivers.nellcor_n560 import MONTHS, ROW, NellcorN560
from appliance.devices.events import Notice, Word
from appliance.devices.sim.nellcor_n560 import HEADER, line
from tests.devices.lines_of import Wire, heard, no_value_in_noise, values
from tests.lines import GARBAGE, every_way, feed, one_frame

NAME = "nellcor-n560"
NOTHING: dict[Metric, int | None] = {Metric.SPO2: None, Metric.PULSE_RATE: None}


def test_the_recorded_lines(captures: Path) -> None:
    """A value, then a sensor that is off: no byte of noise, and one line alone is no measurement."""
    data = (captures / "nellcor_n560" / "lines.txt").read_bytes()
    first, second = every_way(ROW, data)
    assert values(first) == {Metric.SPO2: 99, Metric.PULSE_RATE: 66}
    assert first.device_time == "2017-12-18T22:01:33"
    assert (second.invalid, values(second)) == ("sensor-disconnected", NOTHING)
    (totals,) = decode(ROW, data)
    assert (totals["totals"]["noise_bytes"], totals["totals"]["pending_bytes"]) == (0, 0)


@pytest.mark.parametrize(
    ("text", "spo2", "pulse", "words", "time"),
    [
        (b"29-Dec-17 07:18:57    89*     66     201    MO SL\r\n", 89, 66, Status.QUESTIONABLE, "2017-12-29T07:18:57"),
        (b"07-Jan-04 11:24:52   100     104      23                   AO\r\n", 100, 104, Status.ALARM_INHIBITED, "2004-01-07T11:24:52"),
        (b"02-Feb-00 13:26:32 100 139 30 MO\n", 100, 139, Status.QUESTIONABLE, "2000-02-02T13:26:32"),
    ],
)
def test_lines_of_the_protocol_sheet(text: bytes, spo2: int, pulse: int, words: Status, time: str) -> None:
    """Alarms, interference, collapsed blanks; a dead clock is said as it is, and flagged."""
    sample = one_frame(ROW, text, tail=b"29-Dec-17 07:1")
    assert values(sample) == {Metric.SPO2: spo2, Metric.PULSE_RATE: pulse}
    assert [each.status & ~Status.IN_ALARM for each in sample.numerics] == [words, words]
    assert bool(sample.numerics[0].status & Status.IN_ALARM) == (b"89*" in text)
    assert sample.device_time == time
    assert ("clock_implausible", 1) in sample.signals or "2017" in time


def test_headers_are_told_and_are_no_samples() -> None:
    """Version with its limits, the patient mode, the titles; collapsed or not."""
    said = feed(NellcorN560(), [HEADER], bound=ROW.bound)
    notices = [(each.word, each.text) for each in said if isinstance(each, Notice) and each.text != "line-end"]
    assert notices == [
        (Word.IDENTITY, "N-560 1.61.00, SpO2 94-100 %, PR 50-170/min"), (Word.STATE, "adult"), (Word.STATE, "titles"),
    ]  # fmt: skip
    assert heard(NAME, HEADER) == []


@pytest.mark.parametrize(("code", "why"), [("SD", "sensor-disconnected"), ("SO", "sensor-off"), ("PS", "searching")])
def test_numbers_under_a_search_or_without_a_sensor_are_none(code: str, why: str) -> None:
    """Whatever is printed beside it."""
    (sample,) = heard(NAME, line(97, 66, 40, f"{code} AS"))
    assert (sample.invalid, values(sample)) == (why, NOTHING)


@pytest.mark.parametrize("code", ["AO", "AS", "PH", "PL", "SH", "SL", "LB", "MO", "LM", "LP", "ZZ"])
def test_other_codes_keep_the_numbers(code: str) -> None:
    """Interference and codes nobody has explained make them questionable; limits and battery do not."""
    (sample,) = heard(NAME, line(97, 66, 40, code))
    assert values(sample) == {Metric.SPO2: 97, Metric.PULSE_RATE: 66}
    assert bool(sample.numerics[0].status & Status.QUESTIONABLE) == (code in ("MO", "LM", "LP", "ZZ"))


def test_every_number() -> None:
    """SpO2 1 to 100 and pulse 1 to 255 are values, zeros and dashes are none, half a value is half a value."""
    for number in range(256):
        (sample,) = heard(NAME, line(min(number, 120), number, 40))
        assert values(sample) == {Metric.SPO2: number if 0 < number <= 100 else None, Metric.PULSE_RATE: number or None}
        assert sample.invalid == (None if number else "no-value")
    (sample,) = heard(NAME, line("---", "---", "---"))
    assert sample.invalid == "no-value"


def test_every_month_is_english() -> None:
    """By a table, not by the station's locale; the 31st of some months is no date."""
    for number, month in enumerate(MONTHS, 1):
        (sample,) = heard(NAME, line(97, 66, 40, when=f"31-{month}-18 01:02:03"))
        exists = number in (1, 3, 5, 7, 8, 10, 12)
        assert sample.device_time == (f"2018-{number:02}-31T01:02:03" if exists else None)
        assert sample.signals[1:] == (() if exists else (("clock_implausible", 1),))
    assert heard(NAME, line(97, 66, 40, when="01-MAI-18 01:02:03")) == []


def test_a_line_that_lost_a_word_is_noise() -> None:
    """A cut line, a code of one letter, a letter in a number; the next line counts."""
    for bad in (b"18-Dec-17 22:01:33    99      66\r\n", line(99, 66, 49, "P"), line("9A", 66, 49)):
        assert [values(each)[Metric.SPO2] for each in every_way(ROW, bad + line(98, 66, 40))] == [98]


def test_six_lines_are_a_measurement() -> None:
    """Two seconds apart they are no interruption: ten seconds of stable values settle, the device's time is the first one's."""
    data = b"".join(line(97, 66 + at % 2, 40, when=f"05-Feb-18 08:00:{2 * at:02}") for at in range(8))
    made = [each for each in decode(ROW, HEADER + data) if "kind" in each]
    assert [(each["device_time"], each["numerics"][0]) for each in made] == [
        ("2018-02-05T08:00:00", {"metric": "SPO2", "value": 97, "unit": "%", "status": []})
    ]


def test_a_conversation_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers, garbage in front of a line and behind it, a cut tail that stays pending."""
    data = HEADER + GARBAGE + line(97, 66, 40) + GARBAGE + b"\n" + line(96, 65, 40, "MO") + b"18-Dec"
    assert [values(each)[Metric.SPO2] for each in every_way(ROW, data)] == [97, 96]
    recorded = Wire(NAME, "noise@9:4", "drop@20:4", finger="in").run(60).recorded
    found = list(decode(ROW, recorded, samples=True))
    assert any("kind" in each for each in found)
    monkeypatch.setattr(decoding, "CHUNK", 1)
    assert list(decode(ROW, recorded, samples=True)) == found


@pytest.mark.parametrize("seed", [1, 2])
def test_line_noise_gives_no_value(seed: int) -> None:
    """Random bytes, and random printable characters."""
    no_value_in_noise(NAME, seed)
    chance = random.Random(seed)
    assert heard(NAME, bytes(chance.choices(b"0123456789-: \r\nADJanFebMOS*", k=50_000))) == []


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([HEADER, line(97, 66, 40), line(97, 66, 40)[:20]])), max_size=20))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts: the books balance (checked by feed)."""
    feed(NellcorN560(), chunks, bound=ROW.bound)


def test_round_trip_with_the_simulator() -> None:
    """A finger in: one measurement of what the simulator shows; out: none. Nothing is ever sent."""
    wire = Wire(NAME, finger="in").run(30)
    (made,) = wire.made
    assert 90 <= (values(made)[Metric.SPO2] or 0) <= 100
    assert not wire.noise
    assert Wire(NAME, finger="out").run(30).made == []
    assert NellcorN560().begin(0) == NellcorN560().tick(10**12) == NellcorN560().end(0) == []
    assert NellcorN560().start("adult", 0, 1) == [Notice(Word.REFUSED, "not-commanded")]


@pytest.mark.parametrize("fault", ["noise@1:40", "wrong-checksum@1:40"])
def test_faults_make_no_numbers(fault: str) -> None:
    """Damaged lines are noise; what counts is what was sent."""
    wire = Wire(NAME, fault, finger="in").run(60)
    assert wire.noise
    assert all(90 <= (values(each)[Metric.SPO2] or 0) <= 100 for each in wire.samples if each.valid)


def test_the_line_is_asked_for_as_documented() -> None:
    """9600 8N1."""
    assert ROW.line == Line(baud=9600, bytesize=8, parity="N", stopbits=1)
