"""The Contec V7.0 driver: vendor examples, every value, the real recording, noise."""

import ast
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import Source
from appliance.devices.decode import decode
from appliance.devices.drivers import contec_cms50 as contec
from appliance.devices.drivers.contec_cms50 import ROW, ContecCms50, command, data_bytes
from appliance.devices.events import Noise, Notice, Sample, Send, Word
from appliance.devices.sim.contec_cms50 import package, records
from tests.devices.lines_of import Wire
from tests.lines import GARBAGE, every_way, feed, one_frame, samples

SECOND = 1_000_000_000


def live(pulse: int = 72, spo2: int = 97, *, perfusion: int = 0x0120, flags: int = 0x07, pleth: int = 40, bar: int = 3) -> bytes:
    """A live package, built by the simulator's side of the protocol."""
    return package(1, bytes([flags, pleth, bar, pulse, spo2, perfusion & 0xFF, perfusion >> 8]))


def values(sample: Sample) -> dict[Metric, int | None]:
    """The numbers of a sample by metric."""
    return {each.metric: each.value for each in sample.numerics}


def test_the_documents_example_without_a_finger_has_no_value() -> None:
    """Probe error outranks everything: FF, 7F and FFFF never come out as numbers."""
    sample = one_frame(ROW, bytes.fromhex("01E994C095FFFFFFFF"), tail=b"\x01\xe0")
    assert sample.invalid == "probe-error"
    assert all(each.value is None and each.status & Status.NOT_AVAILABLE for each in sample.numerics)


def test_a_pulse_above_127_needs_the_mask() -> None:
    """PR 150 and SpO2 88, perfusion index invalid: the true bit 7 of each byte comes from the mask."""
    sample = one_frame(ROW, bytes.fromhex("01E887B49696D8FFFF"), tail=b"\x01")
    assert sample.valid
    assert values(sample) == {Metric.SPO2: 88, Metric.PULSE_RATE: 150, Metric.PERFUSION: None}


@pytest.mark.parametrize("spo2", [97, 0x7F])
def test_every_pulse_rate(spo2: int) -> None:
    """PR 1 to 254 is a value beside a usable SpO2; 0 and FF never are."""
    for pulse in range(256):
        (sample,) = samples(feed(ContecCms50(listen=True), [live(pulse, spo2)], bound=ROW.bound))
        good = 1 <= pulse <= 254 and spo2 == 97
        assert sample.valid == good
        assert values(sample)[Metric.PULSE_RATE] == (pulse if good else None)


def test_every_saturation() -> None:
    """SpO2 1 to 100 is a value; 0, 7F and what the document does not allow never are."""
    for spo2 in range(256):
        (sample,) = samples(feed(ContecCms50(listen=True), [live(72, spo2)], bound=ROW.bound))
        assert sample.valid == (1 <= spo2 <= 100)
        assert values(sample)[Metric.SPO2] == (spo2 if 1 <= spo2 <= 100 else None)


def test_a_stream_of_every_value_gives_one_sample_per_package() -> None:
    """In a clean stream no package is held back or lost, however its values jump."""
    stream = b"".join(live(pulse, 1 + pulse % 100) for pulse in range(1, 255))
    found = samples(feed(ContecCms50(listen=True), [stream], bound=ROW.bound))
    assert [values(each)[Metric.PULSE_RATE] for each in found] == list(range(1, 255))
    assert all(each.valid for each in found)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (live(flags=0x87), "probe-error"),
        (live(flags=0x17), "searching-too-long"),
        (live(pleth=0x80 | 40), "searching"),
        (live(flags=0x97, pleth=0xC0), "probe-error"),
        (live(pulse=0), "no-value"),
        (live(spo2=0), "no-value"),
    ],
)
def test_flags_take_the_numbers_away(frame: bytes, why: str) -> None:
    """Plausible numbers beside a flag that says they are not values are not values."""
    sample = one_frame(ROW, frame)
    assert sample.invalid == why
    assert all(each.value is None for each in sample.numerics)


def test_low_saturation_is_a_value() -> None:
    """The device's *low SpO2* flag takes nothing away: the ill patient is the one to be measured."""
    assert values(one_frame(ROW, live(180, 64, flags=0x27))) == {Metric.SPO2: 64, Metric.PULSE_RATE: 180, Metric.PERFUSION: 0x0120}


def test_perfusion_is_missing_when_either_sign_says_so() -> None:
    """FFFF, or the flag in the bar graph's byte, each mean no perfusion index; the rest stays a value."""
    assert values(one_frame(ROW, live(perfusion=0xFFFF)))[Metric.PERFUSION] is None
    assert values(one_frame(ROW, live(bar=0x13)))[Metric.PERFUSION] is None
    assert values(one_frame(ROW, live(perfusion=1234)))[Metric.PERFUSION] == 1234


def test_a_beep_of_two_packages_is_one_beat() -> None:
    """The beep flag stays on for two packages; rising edges are counted."""
    stream = [live(flags=flags) for flags in (7, 0x47, 0x47, 7, 7, 0x47, 0x47, 7)]
    assert [dict(each.signals)["beep"] for each in samples(feed(ContecCms50(listen=True), stream, bound=ROW.bound))] == [
        0, 1, 0, 0, 0, 1, 0, 0,
    ]  # fmt: skip


def test_the_real_recording(captures: Path) -> None:
    """102 packages of SpO2 99 and pulse 60, two beats, and four bytes of a cut package that stay pending."""
    data = bytes.fromhex((captures / "contec_cms50e_live" / "data").read_text())
    driver = ContecCms50(listen=True)
    found = samples(feed(driver, [data], bound=ROW.bound))
    assert len(found) == 102
    assert all(each.valid and values(each) == {Metric.SPO2: 99, Metric.PULSE_RATE: 60, Metric.PERFUSION: None} for each in found)
    assert sum(dict(each.signals)["beep"] for each in found) == 2
    assert sum(dict(each.signals)["pleth"] for each in found) == 3051
    assert driver.pending == 4
    assert every_way(ROW, data[:180]) == found[:20]


def test_after_noise_a_package_needs_a_neighbour() -> None:
    """Garbage before a clean stream costs no sample: the first is said together with the second."""
    stream = b"".join(live() for _ in range(5))
    assert [each.valid for each in every_way(ROW, GARBAGE + stream + live()[:5])] == [True] * 5


def test_a_lone_package_in_noise_is_no_value() -> None:
    """One package between noise is counted as a sample and shows no number: there is no checksum to vouch for it."""
    (sample,) = every_way(ROW, GARBAGE + live() + GARBAGE)
    assert sample.invalid == "unconfirmed"
    assert all(each.value is None for each in sample.numerics)


def test_neighbours_that_disagree_confirm_nothing() -> None:
    """After noise, two packages 1/60 s apart with values far apart are not a pair; the next one that agrees is."""
    found = every_way(ROW, GARBAGE + live(60, 98) + live(170, 70) + live(170, 70))
    assert [each.invalid for each in found] == ["unconfirmed", None, None]


def test_noise_in_the_middle_of_a_stream_damages_only_its_neighbours() -> None:
    """A cut package is noise; every whole package around it is still a value."""
    stream = live() * 3 + live()[:4] + live() * 3
    said = feed(ContecCms50(listen=True), [stream], bound=ROW.bound)
    assert [each.valid for each in samples(said)] == [True] * 6
    assert [each.data for each in said if isinstance(each, Noise)] == [live()[:4]]


def test_line_noise_gives_no_value() -> None:
    """Two megabytes of noise hold packages by chance, and not one of them becomes a number."""
    chance = random.Random(20)
    driver = ContecCms50(listen=True)
    noise, found = 0, Counter()
    for _ in range(32):
        for each in driver.feed(chance.randbytes(65536), 0):
            if isinstance(each, Sample):
                found[each.invalid] += 1
            elif isinstance(each, Noise):
                noise += len(each.data)
    assert found[None] == 0
    assert found.total() > 5
    assert noise > 1_900_000
    assert driver.pending <= ROW.bound


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from([live(), live(80, 95), b"\x0c\x80", b"\x0b\x81\xb3\x85"])), max_size=20))
def test_no_byte_disappears(chunks: list[bytes]) -> None:
    """Whatever the line brings: nothing raises, nothing grows, every byte is a frame's, noise, or pending."""
    feed(ContecCms50(listen=True), chunks, bound=ROW.bound)
    feed(ContecCms50(), chunks, bound=ROW.bound)


def test_replies_are_frames_and_not_samples() -> None:
    """The start of a real identity reply: two acknowledgements and the model in two parts."""
    data = bytes.fromhex("0C800C80028080C3CDD3B6B0C30281FFD78080808080")
    said = feed(ContecCms50(listen=True), [data], bound=ROW.bound)
    assert all(isinstance(each, Notice) for each in said)
    assert [each.text for each in said if isinstance(each, Notice) and each.word is Word.IDENTITY] == ["CMS60C", "CMS60CW"]


@pytest.mark.parametrize(
    "frame",
    ["0380C3EFEEF4E5E380", "0480A0A0A0F5F3E5F2", "118081818080808080", "0E8081", "0B81B385", "07808080948E8892", "1280808082A69280",
     "08808080A4818080", "06808087"],
)  # fmt: skip
def test_every_other_package_of_the_document_is_a_frame(frame: str) -> None:
    """Vendor, id, storage notice, PI support, feedback, stored date, time and length: counted as frames, never as values."""
    said = feed(ContecCms50(listen=True), [bytes.fromhex(frame)], bound=ROW.bound)
    assert len(said) == 1
    assert isinstance(said[0], Notice)


def test_commands_are_those_of_the_document() -> None:
    """Start live and keep-alive, byte for byte."""
    assert command(contec.START_LIVE) == bytes.fromhex("7D81A1808080808080")
    assert command(contec.KEEP_ALIVE) == bytes.fromhex("7D81AF808080808080")
    assert data_bytes(bytes.fromhex("01E994C095FFFFFFFF")) == bytes.fromhex("944015FF7FFFFF")


def sent(said: list) -> list[int]:
    """The command codes among what was said."""
    return [data_bytes(each.data)[0] for each in said if isinstance(each, Send)]


def test_the_stream_is_asked_for_and_kept_alive() -> None:
    """Model first, live after its answer or a second, keep-alive every five seconds, stop at the end."""
    driver = ContecCms50()
    assert sent(driver.begin(0)) == [contec.ASK_MODEL]
    assert sent(driver.tick(SECOND // 2)) == []
    assert sent(driver.tick(SECOND)) == [contec.START_LIVE]
    said = []
    for tenth in range(11, 170):
        driver.feed(live(), tenth * SECOND // 10)
        said += [(tenth, code) for code in sent(driver.tick(tenth * SECOND // 10))]
    assert said == [(60, contec.KEEP_ALIVE), (110, contec.KEEP_ALIVE), (160, contec.KEEP_ALIVE)]
    assert sent(driver.end(17 * SECOND)) == [contec.STOP_LIVE]
    assert driver.tick(60 * SECOND) == []


def test_a_model_answer_starts_the_stream_at_once() -> None:
    """The driver does not wait its second when the device has spoken."""
    driver = ContecCms50()
    driver.begin(0)
    driver.feed(bytes.fromhex("028080C3CDD3B6B0C3"), SECOND // 10)
    assert sent(driver.tick(SECOND // 10)) == [contec.START_LIVE]


def test_a_silent_device_is_asked_again() -> None:
    """An oximeter that switched itself off is asked every five seconds, so that it streams when somebody puts it on."""
    driver = ContecCms50()
    driver.begin(0)
    said = [(second, code) for second in range(1, 20) for code in sent(driver.tick(second * SECOND))]
    assert [second for second, code in said if code == contec.START_LIVE] == [1, 6, 11, 16]


def test_a_driver_that_listens_never_sends() -> None:
    """Decoding a recording writes nothing to anything."""
    driver = ContecCms50(listen=True)
    assert driver.begin(0) == driver.tick(60 * SECOND) == driver.end(0) == []


def test_an_oximeter_is_not_commanded() -> None:
    """A start meant for a cuff is refused and sends nothing."""
    assert ContecCms50().start("adult", 0, SECOND) == [Notice(Word.REFUSED, "not-commanded")]


def test_the_command_that_empties_the_memory_does_not_exist() -> None:
    """No command of the driver is AE, and the number is nowhere in its file."""
    names = {
        "START_LIVE", "STOP_LIVE", "ASK_MODEL", "KEEP_ALIVE", "ASK_SEGMENTS", "ASK_LENGTH", "ASK_BEGIN", "ASK_RECORDS", "STOP_RECORDS",
    }  # fmt: skip
    assert {getattr(contec, name) for name in names} == {0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xAF}
    tree = ast.parse(Path(contec.__file__).read_text())
    literals = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert 0xAE not in literals
    assert not any(isinstance(each, bytes) and 0xAE in each for each in literals)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "command"]
    assert {ast.unparse(node.args[0]) for node in calls} == names


# --- memory ---------------------------------------------------------------------------------------------------------

BEGIN = bytes.fromhex("07808080948E8892 1280808082A69280")
"""A recording of 2014-08-18 02:38:18, from the public reader's examples."""


def length(count: int) -> bytes:
    """A recording's length in bytes."""
    return package(0x08, b"\0\0" + count.to_bytes(4, "little"))


def test_the_public_example_of_a_recording() -> None:
    """Three seconds of 94 % and 66/min, when they began, one second each, however they arrive."""
    data = BEGIN + bytes.fromhex("08808080A4818080 0F80DEC2DEC2DEC2")
    found = every_way(ROW, data)
    assert [values(each) for each in found] == [{Metric.SPO2: 94, Metric.PULSE_RATE: 66}] * 3
    assert [(each.source, each.ordinal, each.device_time, each.every_ns) for each in found] == [
        (Source.MEMORY, at, "2014-08-18T02:38:18", SECOND) for at in range(3)
    ]
    assert [len(each.frame) for each in found] == [8, 0, 0]


def test_every_stored_value() -> None:
    """PR 1 to 254 beside a usable SpO2, 1 to 100; bit 7 of a pulse comes from the mask; FF, 7F and 0 are no values."""
    for pulse in range(256):
        for kind, data in ((0x0F, bytes([97, pulse]) * 3), (0x09, bytes([97, pulse, 0x20, 0x01]))):
            found = samples(feed(ContecCms50(listen=True), [package(kind, data)], bound=ROW.bound))
            assert {values(each)[Metric.PULSE_RATE] for each in found} == {pulse if 1 <= pulse <= 254 else None}
    for spo2 in range(256):
        found = samples(feed(ContecCms50(listen=True), [package(0x0F, bytes([spo2, 72]) * 3)], bound=ROW.bound))
        assert {values(each)[Metric.SPO2] for each in found} == {spo2 if 1 <= spo2 <= 100 else None}


def test_a_stored_perfusion_index() -> None:
    """Little-endian, FFFF is none."""
    for raw, value in ((b"\x20\x01", 0x0120), (b"\xff\xff", None)):
        (sample,) = every_way(ROW, package(0x09, bytes([97, 150]) + raw))
        assert values(sample) == {Metric.SPO2: 97, Metric.PULSE_RATE: 150, Metric.PERFUSION: value}


def test_padding_behind_the_length_is_no_sample() -> None:
    """Four records fill one package and a third of the next; a package behind the length is a frame and no sample."""
    data = BEGIN + length(8) + b"".join(records([(94, 66, 0)] * 4, pi=False))
    assert [each.valid for each in every_way(ROW, data)] == [True] * 4
    assert len(every_way(ROW, data + records([(94, 66, 0)], pi=False)[0])) == 4


def test_a_date_that_does_not_exist_is_none() -> None:
    """The raw fields are not corrected."""
    data = package(0x07, bytes([0, 0, 20, 14, 13, 40])) + package(0x12, bytes([0, 0, 2, 38, 18, 0])) + records([(94, 66, 0)], pi=True)[0]
    assert [each.device_time for each in every_way(ROW, data)] == [None]


def test_two_recordings_settle_apart() -> None:
    """Twelve seconds are a full measurement, five a short one, each with its own beginning, however fast they are read."""
    later = package(0x07, bytes([0, 1, 20, 26, 3, 5])) + package(0x12, bytes([0, 1, 9, 30, 0, 0]))
    data = BEGIN + length(24) + b"".join(records([(94, 66, 0)] * 12, pi=False)) + later + length(20)
    full, short, totals = decode(ROW, data + b"".join(records([(97, 150, 0xFFFF)] * 5, pi=True)))
    assert ([each["value"] for each in full["numerics"]], full["device_time"]) == ([94, 66], "2014-08-18T02:38:18")
    assert full["numerics"][0]["status"] == []
    assert ([each["value"] for each in short["numerics"]], short["device_time"]) == ([97, 150], "2026-03-05T09:30:00")
    assert short["numerics"][0]["status"] == ["early-indication"]
    assert (totals["totals"]["samples"], totals["totals"]["valid"]) == (17, 17)


def test_stored_packages_in_noise_are_no_values() -> None:
    """After noise a package of records needs a neighbour that looks like it, as a live one does."""
    one = records([(94, 66, 0)] * 3, pi=False)[0]
    assert [each.invalid for each in every_way(ROW, GARBAGE + one + GARBAGE)] == ["unconfirmed"] * 3
    assert [each.invalid for each in every_way(ROW, GARBAGE + one + one)] == [None] * 6


@pytest.mark.parametrize("pi", ["yes", "no"])
def test_reading_the_memory_of_the_simulator(pi: str) -> None:
    """Live stops, both recordings come back record by record, nothing is asked while they are sent, live starts again."""
    wire = Wire("contec-cms50", finger="in", stored="31", pi=pi).run(2)
    assert isinstance(wire.driver, ContecCms50)
    before = len(wire.said)
    wire.take(wire.driver.recall(wire.now))
    assert [each.text for each in wire.driver.recall(wire.now) if isinstance(each, Notice)] == ["busy"]
    wire.run(16)
    stored = [each for each in wire.samples if each.source is Source.MEMORY]
    device = wire.script.device
    wanted = [(spo2, pulse) for part in device.recordings for spo2, pulse, _ in part]  # type: ignore[attr-defined]
    assert [(values(each)[Metric.SPO2], values(each)[Metric.PULSE_RATE]) for each in stored] == wanted
    assert [each.ordinal for each in stored] == [*range(16), *range(15)]
    assert {each.device_time for each in stored} == {"2026-03-05T09:30:00", "2026-03-05T09:31:00"}
    assert sent(wire.said[before:])[:11] == [0xA2, 0xA3, 0xA5, 0xA4, 0xA6, 0xA7, 0xA5, 0xA4, 0xA6, 0xA7, 0xA1]
    assert [each.source for each in wire.made] == [Source.MEMORY, Source.MEMORY, Source.LIVE]
    assert not wire.noise


def test_a_device_without_memory_is_asked_in_vain() -> None:
    """Every question times out after a second and the stream starts again."""
    driver = ContecCms50()
    driver.begin(0)
    codes = sent(driver.recall(0))
    for second in range(1, 12):
        codes += sent(driver.tick(second * SECOND))
    assert codes == [0xA2, 0xA3, 0xA5, 0xA4, 0xA6, 0xA7, 0xA1]
    assert sent(ContecCms50(listen=True).recall(0)) == []


def test_the_end_stops_a_download() -> None:
    """Leaving in the middle of it ends both the transfer and the stream."""
    driver = ContecCms50()
    driver.begin(0)
    driver.recall(0)
    assert sent(driver.end(0)) == [contec.STOP_RECORDS, contec.STOP_LIVE]
