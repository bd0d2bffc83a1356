"""Masimo ASCII 1: real lines, fields by name, every bit of EXC, every number, noise."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.devices import decode as decoding
from appliance.devices.decode import decode
from appliance.devices.driver import Line
from appliance.devices.drivers.masimo_ascii1 import ROW, MasimoAscii1
from appliance.devices.events import Notice, Word
from appliance.devices.sim.masimo_ascii1 import line
from tests.devices.lines_of import Wire, heard, no_value_in_noise, values
from tests.lines import GARBAGE, every_way, feed, one_frame

NAME = "masimo-ascii1"
OFF = (
    b"05/15/07 08:12:21 SN=0000070986 SPO2=---% BPM=--- PI=--.--% SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- PVI=--- "
    b"ALARM=0000 EXC=000000\r\n"
)
COLOUR = (
    b"11/02/19 10:00:01 SN=---------- SPO2=097% BPM=072 PI=1.25 SPHB=12.1 SPOC=18 RESVD=--- PVI=014 DESAT=-- PIDELTA=+-- "
    b"ALARM=000012 EXC=0000800 EXC1=0000000\r\n"
)


def test_the_recorded_lines(captures: Path) -> None:
    """Five lines with blank ones between: five samples, no noise, a short measurement of 98 % and 96/min."""
    data = (captures / "masimo_rad_ascii1" / "rad8_yahnatan_22feb16.txt").read_bytes()
    found = [values(each) for each in every_way(ROW, data)]
    assert [(each[Metric.SPO2], each[Metric.PULSE_RATE], each[Metric.PERFUSION]) for each in found] == [
        (98, 97, 360), (98, 96, 395), (98, 96, 425), (98, 96, 319), (98, 97, 241),
    ]  # fmt: skip
    (made, totals) = decode(ROW, data)
    assert {each["metric"]: each["value"] for each in made["numerics"]} == {"SPO2": 98, "PULSE_RATE": 96, "PERFUSION": 3.6}
    assert made["numerics"][0]["status"] == ["early-indication"]
    assert made["device_time"] == "2016-02-22T22:47:45"
    assert (totals["totals"]["noise_bytes"], totals["totals"]["pending_bytes"]) == (0, 0)


def test_a_sensor_off_and_a_colour_model() -> None:
    """Dashes are no value; another order and more fields are read by their names; an impossible alarm word says nothing."""
    off = one_frame(ROW, OFF, tail=b"05/15")
    assert (off.invalid, off.device_time, set(values(off).values())) == ("no-value", "2007-05-15T08:12:21", {None})
    assert ("clock_implausible", 1) in off.signals
    colour = one_frame(ROW, COLOUR)
    assert values(colour) == {Metric.SPO2: 97, Metric.PULSE_RATE: 72, Metric.PERFUSION: 125}
    assert colour.numerics[0].status == Status.IN_ALARM
    assert colour.device_time == "2019-11-02T10:00:01"
    bare = b"03/19/16 13:37:12 SN=0000093112 SPO2=---% BPM=--- DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000001\r\n"
    assert one_frame(ROW, bare).invalid == "no-sensor"


@pytest.mark.parametrize(
    ("bit", "why", "doubt"),
    [
        (0x001, "no-sensor", False), (0x002, None, True), (0x004, None, True), (0x008, "searching", False), (0x010, None, True),
        (0x020, "sensor-off", False), (0x040, None, True), (0x080, None, True), (0x400, "low-signal", False), (0x800, None, False),
    ],
)  # fmt: skip
def test_every_exception(bit: int, why: str | None, doubt: bool) -> None:
    """Alone and with *running*: values are dropped, kept and marked, or kept."""
    for exc in (bit, bit | 0x800):
        (sample,) = heard(NAME, line(97, 80, 4.96, exc))
        assert sample.invalid == why
        assert values(sample) == (dict.fromkeys(values(sample)) if why else {Metric.SPO2: 97, Metric.PULSE_RATE: 80, Metric.PERFUSION: 496})
        assert bool(sample.numerics[0].status & Status.QUESTIONABLE) == doubt


@pytest.mark.parametrize(("bit", "spo2", "pulse"), [(1, 1, 0), (2, 1, 0), (4, 0, 1), (8, 0, 1), (0x10, 0, 0)])
def test_alarms_belong_to_their_number(bit: int, spo2: int, pulse: int) -> None:
    """High or low of one says nothing of the other; muted is said of both."""
    (sample,) = heard(NAME, line(97, 80, 4.96, alarm=bit))
    assert [bool(each.status & Status.IN_ALARM) for each in sample.numerics[:2]] == [bool(spo2), bool(pulse)]
    (muted,) = heard(NAME, line(97, 80, 4.96, alarm=bit | 0x20))
    assert all(each.status & Status.ALARM_INHIBITED for each in muted.numerics)


def test_every_number() -> None:
    """SpO2 1 to 100, pulse 1 to 255; zeros are none."""
    for number in range(256):
        (sample,) = heard(NAME, line(min(number, 120), number, 1.0))
        assert values(sample)[Metric.SPO2] == (number if 0 < number <= 100 else None)
        assert values(sample)[Metric.PULSE_RATE] == (number or None)
    (sample,) = heard(NAME, line(97, 80, 0.0))
    assert values(sample)[Metric.PERFUSION] is None


def test_a_line_that_lost_a_character_is_noise() -> None:
    """SPO2, BPM and EXC have their width; a field twice, or none of them, is no line."""
    good = line(97, 80, 4.96)
    for bad in (
        good.replace(b"097", b"97"), good.replace(b"080", b"80"), good[:-3] + b"\r\n", good.replace(b"BPM=", b"SPO2="),
        good.replace(b"EXC=", b"EXD="), good.replace(b"ALARM=", b"ALARM "), good[20:],
    ):  # fmt: skip
        assert [values(each)[Metric.PULSE_RATE] for each in heard(NAME, bad + line(98, 81, 1.0))] == [81]


def test_a_conversation_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage before and behind, another model, a cut tail; the decoded recording does not depend on its chunks."""
    data = GARBAGE + OFF + GARBAGE + b"\n" + COLOUR + line(96, 70, 2.0)[:30]
    assert [each.invalid for each in every_way(ROW, data)] == ["no-value", None]
    recorded = Wire(NAME, "noise@9:2", "drop@20:2", finger="in").run(40).recorded
    found = list(decode(ROW, recorded, samples=True))
    assert any("kind" in each for each in found)
    monkeypatch.setattr(decoding, "CHUNK", 1)
    assert list(decode(ROW, recorded, samples=True)) == found


@pytest.mark.parametrize("seed", [1, 2])
def test_line_noise_gives_no_value(seed: int) -> None:
    """Random bytes, and random characters of the format."""
    no_value_in_noise(NAME, seed)
    chance = random.Random(seed)
    assert heard(NAME, bytes(chance.choices(b"0123456789/: \r\nSPO2=BMEXC-%", k=50_000))) == []


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([OFF, COLOUR, OFF[:50]])), max_size=20))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts: the books balance (checked by feed)."""
    feed(MasimoAscii1(), chunks, bound=ROW.bound)


def test_round_trip_with_the_simulator() -> None:
    """A finger in is one full measurement; out, none. Nothing is ever sent."""
    wire = Wire(NAME, finger="in").run(20)
    (made,) = wire.made
    assert 90 <= (values(made)[Metric.SPO2] or 0) <= 100
    assert made.rule == 1
    assert not wire.noise
    assert Wire(NAME, finger="out").run(20).made == []
    assert MasimoAscii1().begin(0) == MasimoAscii1().tick(10**12) == MasimoAscii1().end(0) == []
    assert MasimoAscii1().start("adult", 0, 1) == [Notice(Word.REFUSED, "not-commanded")]


@pytest.mark.parametrize("fault", ["noise@1:20", "drop@1:20", "wrong-checksum@1:20"])
def test_faults_make_no_numbers(fault: str) -> None:
    """Damaged lines are noise; what counts is what was sent."""
    wire = Wire(NAME, fault, finger="in").run(30)
    assert wire.noise
    assert all(90 <= (values(each)[Metric.SPO2] or 0) <= 100 for each in wire.samples if each.valid)


def test_the_line_is_asked_for_as_documented() -> None:
    """9600 8N1."""
    assert ROW.line == Line(baud=9600, bytesize=8, parity="N", stopbits=1)
