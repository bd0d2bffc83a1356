"""The Contec V5.1 driver: every value and flag, the memory, noise without a checksum."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Source
from appliance.devices.decode import decode
from appliance.devices.driver import SECOND, Line
from appliance.devices.drivers import contec_cms50_v5 as contec
from appliance.devices.drivers.contec_cms50_v5 import ROW, ContecCms50V5
from appliance.devices.events import Noise, Notice, Send, Word
from appliance.devices.sim.contec_cms50_v5 import live, memory, record
from tests.devices.lines_of import Wire, heard, no_value_in_noise, values
from tests.lines import GARBAGE, every_way, feed, one_frame, samples

NAME = "contec-cms50-v5"


def test_the_documents_examples() -> None:
    """PR 150 and SpO2 97, live and stored: bit 7 of the pulse sits in another byte."""
    for frame in ("8000401661", "F19661"):
        assert values(one_frame(ROW, bytes.fromhex(frame), tail=b"\x80\x00")) == {Metric.SPO2: 97, Metric.PULSE_RATE: 150}


def test_every_pulse_rate() -> None:
    """Live and stored: 1 to 255 is a value beside a usable SpO2, 0 never is."""
    for make in (live, record):
        found = heard(NAME, b"".join(make(pulse, 97) for pulse in range(256)))
        assert [values(each)[Metric.PULSE_RATE] for each in found] == [None, *range(1, 256)]
        assert not any(each.valid for each in heard(NAME, b"".join(make(pulse, 127) for pulse in range(256))))


def test_every_saturation() -> None:
    """Live and stored: 1 to 100 is a value; 0 and what cannot be never are."""
    for make in (live, record):
        found = heard(NAME, b"".join(make(200, spo2) for spo2 in range(128)))
        assert [values(each)[Metric.SPO2] for each in found] == [None, *range(1, 101), *[None] * 27]


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (live(errors=0x10), "probe-error"),
        (live(flags=0x10), "searching-too-long"),
        (live(errors=0x20), "searching"),
        (live(flags=0x70, errors=0x30), "probe-error"),
        (live(0), "no-value"),
        (live(spo2=0), "no-value"),
    ],
)
def test_flags_take_the_numbers_away(frame: bytes, why: str) -> None:
    """Plausible numbers beside a flag that says they are not values are not values."""
    sample = one_frame(ROW, frame)
    assert sample.invalid == why
    assert all(each.value is None and each.status & Status.NOT_AVAILABLE for each in sample.numerics)


@pytest.mark.parametrize("flags", [0x20, 0x40, 0x60])
def test_flags_that_take_nothing_away(flags: int) -> None:
    """*SpO2 dropping* and the beep: the ill patient is the one to be measured."""
    assert values(one_frame(ROW, live(180, 64, flags=flags))) == {Metric.SPO2: 64, Metric.PULSE_RATE: 180}


def test_signals() -> None:
    """Every pleth, bar and signal strength; a beep is counted once at its beginning."""
    for pleth in range(128):
        assert dict(heard(NAME, live(pleth=pleth, bar=pleth % 16))[0].signals) == {
            "pleth": pleth,
            "beep": 0,
            "signal": 7,
            "bar": pleth % 16,
        }
    found = heard(NAME, b"".join(live(flags=flags) for flags in (0, 0x40, 0x40, 0, 0x40)))
    assert [dict(each.signals)["beep"] for each in found] == [0, 1, 0, 0, 1]


def test_a_stream_however_it_is_cut() -> None:
    """Whole, in bytes, cut anywhere, behind garbage (five of its bytes look like a package), with a cut tail."""
    found = every_way(ROW, GARBAGE + live(70) + live(72) + live(75) + live(200) + live()[:4])
    assert [values(each)[Metric.PULSE_RATE] for each in found] == [None, 70, 72, 75, 200]


@pytest.mark.parametrize("lost", range(5))
def test_a_lost_byte_costs_one_package(lost: int) -> None:
    """It never shifts the packages behind it."""
    cut = live()[:lost] + live()[lost + 1 :]
    said = feed(ContecCms50V5(listen=True), [live() * 3 + cut + live() * 3], bound=ROW.bound)
    assert [each.valid for each in samples(said)] == [True] * 6
    assert b"".join(each.data for each in said if isinstance(each, Noise)) == cut


def test_after_noise_two_packages_are_not_enough() -> None:
    """There is no checksum: three that look alike are needed, then every one counts again."""
    found = every_way(ROW, b"\x00" + live() * 2 + b"\xff" + live(200, 70) + live(90, 97) * 3 + live(180, 60))
    assert [each.invalid for each in found] == ["unconfirmed"] * 3 + [None] * 4


# --- memory ---------------------------------------------------------------------------------------------------------


def test_a_memory_however_it_is_cut() -> None:
    """Start time without a date, place in the memory, one second each; header, length and end are frames and no samples."""
    data = b"".join(memory([(150, 97), (151, 97), (0, 0), (60, 99)], hour=23, minute=59)) + b"\xf6\xf6\xf6"
    found = every_way(ROW, data)
    assert [(each.ordinal, each.device_time, each.source) for each in found] == [(at, "23:59", Source.MEMORY) for at in range(4)]
    assert [values(each)[Metric.PULSE_RATE] for each in found] == [150, 151, None, 60]
    assert [each.every_ns for each in found] == [SECOND] * 4
    said = feed(ContecCms50V5(listen=True), [data], bound=ROW.bound)
    assert [each.value for each in said if isinstance(each, Notice) and each.value] == [12]
    assert not any(isinstance(each, Noise) for each in said)


@pytest.mark.parametrize("count", [1, 42, 43, 5461, 5462, 86_400])
def test_every_part_of_the_length(count: int) -> None:
    """Bits 14 to 17, 7 to 13 and 0 to 6: a day of seconds fits, and the length never looks like a record."""
    head = b"".join(memory([(72, 97)] * count)[:4])
    (said,) = [each for each in feed(ContecCms50V5(), [head], bound=ROW.bound) if isinstance(each, Notice) and each.value]
    assert said.value == 3 * count


def test_a_length_that_looks_like_a_record() -> None:
    """Behind three start packages the next three bytes are the length, whatever they look like."""
    data = bytes.fromhex("F2 8E 05" * 3 + "F0 80 02") + record(72, 97)
    (found,) = heard(NAME, data)
    assert (found.ordinal, found.device_time) == (0, "14:05")


@pytest.mark.parametrize(
    ("starts", "time"),
    [
        ("F28000", "00:00"),
        ("F28E05 F28E05 F28E06", "14:05"),
        ("F28E06 F28E05 F28E05", "14:05"),
        ("F28E05 F28E06 F28E07", None),
        ("F29805 F29805 F29805", None),
        ("F28E3C F28E3C F28E3C", None),
    ],
)
def test_the_start_time(starts: str, time: str | None) -> None:
    """What two of three packages say; a time that does not exist is none."""
    (found,) = heard(NAME, bytes.fromhex(starts) + bytes.fromhex("808002") + record(72, 97))
    assert found.device_time == time


def test_a_memory_settles_by_its_own_seconds() -> None:
    """Twelve seconds are a full measurement however fast they are read; a gap divides two persons."""
    data = b"".join(memory([(72, 97)] * 12 + [(0, 0)] * 3 + [(150, 93)] * 5))
    full, short, totals = decode(ROW, data)
    assert [each["value"] for each in full["numerics"]] == [97, 72]
    assert (full["device_time"], full["source"], full["ordinal"], full["numerics"][0]["status"]) == ("14:05", "memory", 0, [])
    assert [each["value"] for each in short["numerics"]] == [93, 150]
    assert (short["ordinal"], short["numerics"][0]["status"]) == (15, ["early-indication"])
    assert totals["totals"] == {
        "samples": 20, "valid": 17, "invalid": {"no-value": 3}, "noise_bytes": 0, "pending_bytes": 0, "bytes": 72, "frame_bytes": 72,
    }  # fmt: skip


def test_damage_in_a_memory_keeps_the_places() -> None:
    """A damaged record is noise and is counted: the records behind it keep their places."""
    parts = memory([(72, 97)] * 8)
    parts[6] = b"\x00\x00\x00"
    found = heard(NAME, b"".join(parts))
    assert [each.ordinal for each in found] == [0, 1, 3, 4, 5, 6, 7]
    parts[6] = memory([(72, 97)])[4][:2]
    assert [each.ordinal for each in heard(NAME, b"".join(parts))] == [0, 1, 3, 4, 5, 6, 7]


def test_reading_the_memory_of_the_simulator() -> None:
    """Asked once; every record comes back in its order; then the device streams live again."""
    wire = Wire(NAME, finger="in", stored="40").run(1)
    assert isinstance(wire.driver, ContecCms50V5)
    wire.take(wire.driver.recall(wire.now))
    assert [each.word for each in wire.driver.recall(wire.now) if isinstance(each, Notice)] == [Word.REFUSED]
    wire.run(18)
    stored = [each for each in wire.samples if each.source is Source.MEMORY]
    assert [(values(each)[Metric.PULSE_RATE], values(each)[Metric.SPO2]) for each in stored] == wire.script.device.records  # type: ignore[attr-defined]
    assert [each.data for each in wire.said if isinstance(each, Send)] == [b"\xf5\xf5", b"\xf6\xf6\xf6"]
    assert [each.source for each in wire.made] == [Source.MEMORY, Source.LIVE]
    assert not wire.noise


def test_a_memory_that_falls_silent_is_over() -> None:
    """After two seconds without a package the host ends it; at the end of work at once."""
    driver = ContecCms50V5()
    assert driver.recall(0) == [Send(b"\xf5\xf5")]
    driver.feed(b"".join(memory([(72, 97)] * 9)[:8]), SECOND)
    assert driver.tick(SECOND * 2) == []
    assert [each.data for each in driver.tick(SECOND * 3) if isinstance(each, Send)] == [b"\xf6\xf6\xf6"]
    driver.recall(0)
    assert [each.data for each in driver.end(0) if isinstance(each, Send)] == [b"\xf6\xf6\xf6"]


# --- the rest -------------------------------------------------------------------------------------------------------


def test_packages_without_a_value_take_no_doubt_away() -> None:
    """In noise they are frequent: after any number of them a single value is still not believed."""
    found = every_way(ROW, b"\x00" + live(flags=0x10) * 6 + live(72, 97) + b"\x00")
    assert [each.valid for each in found] == [False] * 7
    assert found[-1].invalid == "unconfirmed"


@pytest.mark.parametrize("seed", [1, 2])
def test_line_noise_gives_no_value(seed: int) -> None:
    """An eighth of a megabyte (a whole one in test_decode): packages by chance, none of them a number, no byte lost."""
    assert no_value_in_noise(NAME, seed) > 100


PARTS = [live(), live(80, 95), record(72, 97), *memory([(72, 97)])[:4], b"\xf6\xf6\xf6"]


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(PARTS)), max_size=20))
def test_no_byte_disappears(chunks: list[bytes]) -> None:
    """Whatever the line brings."""
    feed(ContecCms50V5(listen=True), chunks, bound=ROW.bound)


@given(st.lists(st.one_of(st.binary(max_size=12), st.sampled_from(PARTS)), max_size=12))
def test_it_does_not_matter_how_it_is_cut(parts: list[bytes]) -> None:
    """Whole or byte by byte: the same samples."""
    data = b"".join(parts)
    whole = feed(ContecCms50V5(listen=True), [data], bound=ROW.bound)
    single = feed(ContecCms50V5(listen=True), [data[at : at + 1] for at in range(len(data))], bound=ROW.bound)
    assert samples(whole) == samples(single)


def test_round_trip_with_the_simulator() -> None:
    """A finger for 14 s: one full measurement, no noise, and nothing is sent unasked."""
    wire = Wire(NAME, finger="in").run(14)
    (made,) = wire.made
    assert 93 <= (values(made)[Metric.SPO2] or 0) <= 99
    assert not wire.noise
    assert not any(isinstance(each, Send) for each in wire.said)


@pytest.mark.parametrize("fault", ["noise@3:6", "drop@3:6", "wrong-checksum@3:6"])
def test_faults_cost_samples_and_make_no_numbers(fault: str) -> None:
    """A bad line for six seconds: what is measured afterwards is right."""
    wire = Wire(NAME, fault, finger="in").run(30)
    assert wire.noise
    assert wire.made
    for made in wire.made:
        assert 93 <= (values(made)[Metric.SPO2] or 0) <= 99
        assert 50 <= (values(made)[Metric.PULSE_RATE] or 0) <= 110


def test_a_driver_that_listens_never_sends() -> None:
    """Decoding a recording writes nothing to anything, and a cuff's start is refused."""
    driver = ContecCms50V5(listen=True)
    assert driver.begin(0) == driver.tick(60 * SECOND) == driver.end(0) == []
    assert [each for each in driver.recall(0) if isinstance(each, Send)] == []
    assert driver.start("adult", 0, SECOND) == [Notice(Word.REFUSED, "not-commanded")]


def test_only_two_requests_exist() -> None:
    """Everything this file can send is the question for the memory and its end."""
    tree = ast.parse(Path(contec.__file__).read_text())
    sends = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Send"]
    assert {ast.unparse(node.args[0]) for node in sends} == {"ASK_MEMORY", "STOP_MEMORY"}
    assert [each.hex() for each in (contec.ASK_MEMORY, contec.STOP_MEMORY)] == ["f5f5", "f6f6f6"]


def test_the_line_has_odd_parity() -> None:
    """19200 8O1: a pseudo-terminal cannot show it, so the requested setting is asserted."""
    assert ROW.line == Line(19200, 8, "O", 1)
