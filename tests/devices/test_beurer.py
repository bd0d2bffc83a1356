"""Beurer: sessions over both wires, every number, the flags, what is lost without a checksum."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Source
from appliance.devices.driver import Line
from appliance.devices.drivers.beurer import ROW, Beurer
from appliance.devices.events import Notice, Word
from appliance.devices.sim.beurer import NAME as DEVICE
from appliance.devices.sim.beurer import record, session
from tests.devices.lines_of import Wire, heard, values
from tests.devices.proofs import a_cut_frame_ends_with_silence, decodes_alike, never_sends, noise_is_no_value
from tests.lines import GARBAGE, every_way, feed

NAME = "beurer"
WIRES = pytest.mark.parametrize("wire", ["serial", "hid"])


@WIRES
def test_a_session(wire: str) -> None:
    """Name, records with their time and place; 25 is added back."""
    data = session([record(121, 75, 66), record(280, 130, 40, (25, 11, 30, 23, 59))], wire)
    samples = every_way(ROW, data)
    assert [tuple(values(each).values()) for each in samples] == [(121, 75, 66), (280, 130, 40)]
    assert [(each.device_time, each.ordinal, each.source) for each in samples] == [
        ("2026-03-05T09:42:00", 0, Source.MEMORY), ("2025-11-30T23:59:00", 1, Source.MEMORY),
    ]  # fmt: skip
    said = feed(Beurer(), [data], bound=ROW.bound)
    assert (Word.IDENTITY, DEVICE.decode()) in [(each.word, each.text) for each in said if isinstance(each, Notice)]
    assert heard(NAME, session([], wire)) == []


@WIRES
def test_every_number(wire: str) -> None:
    """1 to 255 in each place; a pressure byte of 0 is no value, a pulse of 0 a missing one."""
    for number in range(256):
        (sample,) = heard(NAME, session([record(number + 25, number + 25, number)], wire))
        wanted = (number + 25, number + 25, number) if number else (None, None, None)
        assert tuple(values(sample).values()) == wanted
    (sample,) = heard(NAME, session([record(121, 75, 0)], wire))
    assert (sample.valid, values(sample)[Metric.PULSE_RATE]) == (True, None)


def test_flags_and_clocks() -> None:
    """Movement makes it questionable; user and irregular pulse are told; an old clock is flagged, a 31st of April no time."""
    for flags in range(8):
        (sample,) = heard(NAME, session([record(121, 75, 66, flags=flags)], "hid"))
        assert dict(sample.signals) == {"movement": flags & 1, "user": 1 + (flags >> 1 & 1), "irregular_pulse": flags >> 2}
        assert sample.numerics[0].status == (Status.QUESTIONABLE if flags & 1 else Status(0))
        assert sample.device_time == "2026-03-05T09:42:00"
    (old,) = heard(NAME, session([record(121, 75, 66, (10, 1, 1, 0, 0))]))
    assert (old.device_time, ("clock_implausible", 1) in old.signals) == ("2010-01-01T00:00:00", True)
    (none,) = heard(NAME, session([record(121, 75, 66, (26, 4, 31, 0, 0))]))
    assert (none.device_time, none.valid) == (None, True)


@WIRES
def test_hostile_lines(wire: str) -> None:
    """Garbage around; a byte lost anywhere moves a record, and a moved record is not guessed at; a cut session is none."""
    data = session([record(121, 75, 66)], wire)
    assert len(every_way(ROW, GARBAGE + data + GARBAGE + data)) == 2
    for at in range(len(data) - 8):
        assert all(values(each)[Metric.SYSTOLIC] == 121 for each in heard(NAME, data[:at] + data[at + 1 :]) if each.valid)
    a_cut_frame_ends_with_silence(NAME, data)
    assert heard(NAME, session([record(121, 75, 66, (26, 13, 1, 0, 0))], wire)) == []
    noise_is_no_value(NAME, heads=[b"\x55", b"\x55" + b"\xf4" * 7, b"\xf7"])


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([session([record(121, 75, 66)]), session([], "hid")])), max_size=20))
def test_it_never_raises(chunks: list[bytes]) -> None:
    """Any bytes, any cuts: the books balance (checked by feed)."""
    feed(Beurer(), chunks, bound=ROW.bound)


@WIRES
def test_round_trip_faults_and_recordings(wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory comes again and again, the same each time and longer; a damaged session is none."""
    line = Wire(NAME, cycle="2", wire=wire).run(7)
    sent = line.script.device.sent  # type: ignore[attr-defined]
    assert [tuple(values(each).values()) for each in line.made] == [*sent[:1], *sent[:2], *sent[:3]]
    bad = Wire(NAME, "wrong-checksum@0", cycle="2", wire=wire).run(21)
    assert bad.noise
    assert {tuple(values(each).values()) for each in bad.made} <= set(bad.script.device.sent)  # type: ignore[attr-defined]
    decodes_alike(NAME, monkeypatch, cycle="2", wire=wire)


def test_the_row() -> None:
    """4800 8N1, off in service, never sends."""
    assert ROW.line == Line(baud=4800)
    assert not ROW.service
    never_sends(NAME)
