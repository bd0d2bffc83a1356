"""The IEEE 11073-20601 driver: public APDUs, every special number and status, associations, streams, damage."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contract.metrics import Metric, Status
from appliance.contract.readings import ReadingKind, Source
from appliance.devices.decode import decode
from appliance.devices.driver import SECOND
from appliance.devices.drivers import ieee11073 as standard
from appliance.devices.drivers.ieee11073 import ROW, Ieee11073
from appliance.devices.events import Noise, Notice, Sample, Send, Word
from appliance.devices.sim.ieee11073 import association, event, extended, fixed, float32, listed, pressures, prst, sfloat, u16
from tests.devices.lines_of import Wire, heard, no_value_in_noise, values
from tests.fuzz.streams import clean
from tests.lines import GARBAGE, every_way, feed, samples

NAME = "ieee11073"
NOON = bytes.fromhex("2026030512000000")
OXIMETER, CUFF, SCALE = association(0x0190), association(0x02BC), association(0x05DC)


def oximeter(spo2: bytes, pulse: bytes, second: int = 0) -> bytes:
    """A report of a standard oximeter."""
    time = NOON[:6] + bytes.fromhex(f"{second:02}00")
    return fixed(1, [(1, spo2 + time), (10, pulse + time)])


def cuff(systolic: int, diastolic: int, mean: int, pulse: bytes, person: int | None = None) -> bytes:
    """A report of a standard cuff."""
    return fixed(1, [(1, pressures(systolic, diastolic, mean) + NOON), (2, pulse + NOON)], person)


PUBLIC = {
    "H241": ([{"WEIGHT": 62.4}], "2007-02-01T12:10:00"),
    "H241_ID_0190": ([{"SPO2": 98, "PULSE_RATE": 72}], "2007-12-06T12:10:00"),
    "H241_ID_02BC": ([{"SYSTOLIC": 120, "DIASTOLIC": 80, "MEAN": 100, "PULSE_RATE": 60}], "2007-12-06T12:10:00"),
    "H241_ID_05DC": ([{"WEIGHT": 76.2}, {"WEIGHT": 76.0}], "2007-12-06T12:10:00"),
    "scan_report_info_var": ([{"SYSTOLIC": 120, "DIASTOLIC": 80, "MEAN": 100, "PULSE_RATE": 60}], "2007-12-06T12:10:00"),
    "blood_pressure/roiv_mds_note_scan_report_mp_fixed": (
        [{"SYSTOLIC": 113, "DIASTOLIC": 71, "MEAN": 85, "PULSE_RATE": 71}], "2010-07-21T15:35:53",
    ),
    "weighing_scale/data_report": ([{"WEIGHT": 79.6}], "2010-07-21T09:40:00"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_reports(captures: Path, name: str) -> None:
    """Each alone, without an association: the numbers its authors state, with the device's own time, and not a byte of noise."""
    *made, totals = decode(ROW, (captures / "ieee11073_apdu_antidote" / name).read_bytes())
    numbers, time = PUBLIC[name]
    assert [{each["metric"]: each["value"] for each in one["numerics"]} for one in made] == numbers
    assert made[0]["device_time"] == time
    assert (totals["totals"]["noise_bytes"], totals["totals"]["pending_bytes"]) == (0, 0)


def test_the_recorded_cuff_names_its_user(captures: Path) -> None:
    """Person 66 travels beside the numbers: two people share one cuff."""
    folder = captures / "ieee11073_apdu_antidote" / "blood_pressure"
    names = ("aarq", "roiv_mdc_noti_config", "roiv_mds_note_scan_report_mp_fixed", "rlrq")
    (sample,) = heard(NAME, b"".join((folder / name).read_bytes() for name in names))
    assert values(sample) == {Metric.SYSTOLIC: 113, Metric.DIASTOLIC: 71, Metric.MEAN: 85, Metric.PULSE_RATE: 71}
    assert dict(sample.signals) == {"person": 66}


def test_a_scale_with_its_configuration(captures: Path) -> None:
    """Weight and height come from the extended configuration; fat and BMI are left out."""
    folder = captures / "ieee11073_apdu_antidote" / "weighing_scale"
    data = b"".join((folder / name).read_bytes() for name in ("association_request", "roiv_mdc_noti_config", "data_report"))
    (made, _) = decode(ROW, data)
    assert {each["metric"]: each["value"] for each in made["numerics"]} == {"WEIGHT": 79.6, "HEIGHT": 171.0}


def test_a_scanners_groups(captures: Path) -> None:
    """Grouped reports carry bare values: with the scanner's configuration they are read, without it they have no value."""
    folder = captures / "ieee11073_apdu_antidote" / "pulse_oximeter"
    report = (folder / "pulse_oximeter_buf_scan_report_grouped").read_bytes()
    config = (folder / "pulse_oximeter_noti_config_with_scanner").read_bytes()
    (sample,) = heard(NAME, config + report)
    assert values(sample) == {Metric.SPO2: 98, Metric.PULSE_RATE: 73}
    assert sample.device_time == "2008-07-03T12:10:00"
    (sample,) = heard(NAME, report)
    assert sample.invalid == "unknown-configuration"


@pytest.mark.parametrize("form", ["fixed", "var", "mp_fixed", "mp_var"])
@pytest.mark.parametrize("buffer", ["unbuf", "buf"])
def test_every_form_of_a_scanners_report(captures: Path, form: str, buffer: str) -> None:
    """Fixed and variable, with and without persons: SpO2 98, pulse 72, and part of a stream."""
    data = (captures / "ieee11073_apdu_antidote" / "pulse_oximeter" / f"pulse_oximeter_{buffer}_scan_report_{form}").read_bytes()
    (sample,) = every_way(ROW, data)
    assert values(sample) == {Metric.SPO2: 98, Metric.PULSE_RATE: 72}
    assert not sample.result


def test_identity_and_clock(captures: Path) -> None:
    """Model, serial number and the device's own clock, from the public attributes."""
    data = (captures / "ieee11073_apdu_antidote" / "H233_ID_0190").read_bytes()
    said = feed(Ieee11073(listen=True), [data], bound=ROW.bound)
    assert [each.word for each in said if isinstance(each, Notice)] == [Word.IDENTITY, Word.CLOCK]
    assert [each.text for each in said if isinstance(each, Notice)] == [
        "TheCompany OximeterABC DE124567", "2007-02-01T12:05:00",
    ]  # fmt: skip


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("special", ["07FE", "07FF", "0800", "0801", "0802", "0000", "F800"])
def test_special_numbers_are_no_values(special: str) -> None:
    """NaN, NRes, the infinities, the reserved one, zero: never a number, in either place."""
    raw = bytes.fromhex(special)
    for report in (oximeter(raw, sfloat(72)), oximeter(sfloat(98), raw)):
        (sample,) = heard(NAME, OXIMETER + report)
        assert sample.invalid == "no-value"
        assert all(each.value is None for each in sample.numerics)
    (sample,) = heard(NAME, CUFF + cuff(120, 80, 100, raw))
    assert values(sample) == {Metric.SYSTOLIC: 120, Metric.DIASTOLIC: 80, Metric.MEAN: 100, Metric.PULSE_RATE: None}


@pytest.mark.parametrize("special", ["007FFFFE", "007FFFFF", "00800000", "00800001", "00800002", "00000000", "FF800000"])
def test_special_long_numbers_are_no_values(special: str) -> None:
    """The same for numbers of four bytes."""
    (sample,) = heard(NAME, SCALE + fixed(1, [(1, bytes.fromhex(special) + NOON)]))
    assert sample.invalid == "no-value"


def test_numbers() -> None:
    """Sign, exponent and mantissa of both forms."""
    for text, value in (
        ("F3CF", "97.5"),
        ("F321", "80.1"),
        ("F258", "60.0"),
        ("0048", "72"),
        ("1007", "70"),
        ("FFFF", "-0.1"),
        ("87D0", "0.00002"),
    ):
        assert standard.number(bytes.fromhex(text)) == Decimal(value)
    assert standard.number(bytes.fromhex("FF00031C")) == Decimal("79.6")
    assert standard.number(bytes.fromhex("FEFFFFFF")) == Decimal("-0.01")


def test_every_pulse_rate_and_saturation() -> None:
    """Pulse 1 to 511, SpO2 1 to 100, whatever the exponent it is sent with."""
    for pulse in range(512):
        (sample,) = heard(NAME, OXIMETER + oximeter(sfloat(98), sfloat(pulse)))
        assert values(sample)[Metric.PULSE_RATE] == (pulse or None)
    for spo2 in range(128):
        (sample,) = heard(NAME, OXIMETER + oximeter(sfloat(spo2 * 10, -1), sfloat(72)))
        assert values(sample)[Metric.SPO2] == (spo2 if 1 <= spo2 <= 100 else None)
    (sample,) = heard(NAME, OXIMETER + oximeter(bytes.fromhex("F3CF"), bytes.fromhex("F321")))
    assert [each.number for each in sample.numerics] == [Decimal("97.5"), Decimal("80.1")]


def status_report(bits: int) -> bytes:
    """An extended oximeter whose values carry a status."""
    tail = u16(bits) + NOON
    return association(0x4001) + extended("oximeter") + fixed(1, [(11, sfloat(97) + tail), (12, sfloat(72) + tail)])


@pytest.mark.parametrize("place", range(16))
def test_every_status_bit(place: int) -> None:
    """Bits are counted from the highest; invalid, not available and calibrating take the number away, the others mark it."""
    (sample,) = heard(NAME, status_report(0x8000 >> place))
    flag = Status(1 << place) & sum(Status)
    gone = {0: "invalid", 2: "not-available", 3: "calibration-ongoing"}.get(place)
    assert sample.invalid == gone
    assert values(sample)[Metric.SPO2] == (None if gone else 97)
    assert sample.numerics[0].status & ~Status.NOT_AVAILABLE == flag & ~Status.NOT_AVAILABLE


def test_a_cuff_that_is_still_measuring_has_no_result() -> None:
    """*Measurement ongoing* is no finished measurement."""
    tail = u16(0x0020) + NOON
    report = fixed(1, [(11, pressures(120, 80, 95) + tail), (12, sfloat(72) + tail)])
    (sample,) = heard(NAME, association(0x4001) + extended("cuff") + report)
    assert sample.invalid == "measurement-ongoing"


def test_units() -> None:
    """Pounds become kilograms; a unit that is not known takes the number away."""
    report = fixed(1, [(11, float32(1754, -1) + b"\0\0" + NOON)])
    (sample,) = heard(NAME, association(0x4001) + extended("scale", weight_unit=0x06E0) + report)
    assert sample.numerics[0].number == Decimal("79.6")
    (sample,) = heard(NAME, association(0x4001) + extended("scale", weight_unit=0x1234) + report)
    assert sample.invalid == "no-value"


@pytest.mark.parametrize(
    ("raw", "time"),
    [
        ("2004010203040500", "2004-01-02T03:04:05"),
        ("2044060113190050", "2044-06-01T13:19:00.50"),
        ("20AA010203040500", None),
        ("2026023012000000", None),
        ("FFFFFFFFFFFFFFFF", None),
        ("0000000000000000", None),
    ],
)
def test_the_devices_time_is_kept_as_it_is(raw: str, time: str | None) -> None:
    """A dead clock is not corrected; what is no date is none."""
    (sample,) = heard(NAME, SCALE + fixed(1, [(1, float32(796, -1) + bytes.fromhex(raw))]))
    assert sample.device_time == time
    assert sample.valid


def test_two_users_and_several_measurements_in_one_report() -> None:
    """One sample for each person and time; the report's bytes are counted once."""
    later = bytes.fromhex("2026030512010000")
    seen = [(1, pressures(120, 80, 95) + NOON), (2, sfloat(70) + NOON), (1, pressures(130, 85, 99) + later), (2, sfloat(75) + later)]
    found = every_way(ROW, CUFF + fixed(1, seen))
    assert [(values(each)[Metric.SYSTOLIC], values(each)[Metric.PULSE_RATE], each.device_time) for each in found] == [
        (120, 70, "2026-03-05T12:00:00"), (130, 75, "2026-03-05T12:01:00"),
    ]  # fmt: skip
    mine, its = (listed([u16(1) + u16(18) + pressures(number, 80, 95) + NOON]) for number in (120, 140))
    found = heard(NAME, CUFF + event(1, 0x0D1F, b"\xf0\0\0\0" + listed([u16(1) + mine, u16(2) + its])))
    assert [(values(each)[Metric.SYSTOLIC], dict(each.signals)["person"]) for each in found] == [(120, 1), (140, 2)]
    assert [values(each)[Metric.DIASTOLIC] for each in found] == [80, 80]


# --- lines ----------------------------------------------------------------------------------------------------------


def test_a_conversation_however_it_is_cut() -> None:
    """Association, report, release, garbage, another device, a cut tail."""
    data = (
        CUFF
        + cuff(120, 80, 95, sfloat(70))
        + bytes.fromhex("E40000020000")
        + GARBAGE
        + SCALE
        + fixed(1, [(1, float32(796, -1) + NOON)])
        + CUFF[:20]
    )
    assert [each.kind for each in every_way(ROW, data)] == [ReadingKind.BLOOD_PRESSURE, ReadingKind.WEIGHT]


def test_lengths_that_do_not_fit_are_noise() -> None:
    """A byte lost or doubled anywhere in a report never gives a number, and the next report is found."""
    report = cuff(120, 80, 95, sfloat(70))
    for at in range(len(report)):
        for damaged in (report[:at] + report[at + 1 :], report[:at] + report[at : at + 1] + report[at:]):
            found = heard(NAME, CUFF + damaged + report * 2)
            assert {values(each).get(Metric.SYSTOLIC, 120) for each in found if each.valid} == {120}, at


def test_an_announced_length_does_not_hold_the_line() -> None:
    """A head that announces nine kilobytes and then is silent: after a second what came behind it is read."""
    driver = Ieee11073()
    driver.begin(0)
    driver.feed(SCALE, 0)
    head = b"\xe7\0" + u16(9000) + u16(8998) + bytes(6)
    assert samples(driver.feed(head + fixed(1, [(1, float32(796, -1) + NOON)]), 0)) == []
    said = driver.tick(SECOND)
    assert [each.valid for each in samples(said)] == [True]


@pytest.mark.parametrize("seed", [1, 2])
def test_line_noise_gives_no_value(seed: int) -> None:
    """An eighth of a megabyte (a whole one in test_decode), no byte lost."""
    no_value_in_noise(NAME, seed)


PARTS = [
    OXIMETER,
    oximeter(sfloat(97), sfloat(72)),
    cuff(120, 80, 95, sfloat(70), person=3),
    extended("scale"),
    b"\xe7\0\0\x16\0\x14",
    b"\xe6\0\0\2\0\0",
]


@given(st.lists(st.one_of(st.binary(max_size=20), st.sampled_from(PARTS)), max_size=12))
def test_no_byte_disappears(chunks: list[bytes]) -> None:
    """Whatever the line brings, listening and serving."""
    feed(Ieee11073(listen=True), chunks, bound=ROW.bound)
    driver = Ieee11073()
    driver.begin(0)
    feed(driver, chunks, bound=ROW.bound)


def test_mutated_reports_never_raise() -> None:
    """Ten thousand APDUs with some bytes changed: read or noise, never an exception, never a byte lost."""
    chance = random.Random(3)
    driver = Ieee11073(listen=True)
    chunks = []
    for _ in range(2500):
        whole = bytearray(chance.choice(PARTS[:4]))
        for _ in range(chance.randint(1, 4)):
            whole[chance.randrange(len(whole))] = chance.randrange(256)
        chunks.append(bytes(whole))
    for at in range(0, len(chunks), 50):
        feed(driver if at == 0 else Ieee11073(listen=True), chunks[at : at + 50], bound=ROW.bound)


# --- oximeters: finished or streaming -------------------------------------------------------------------------------


def test_a_lone_report_of_an_oximeter_is_a_measurement() -> None:
    """A spot check is one report; nothing follows."""
    (made, _) = decode(ROW, OXIMETER + oximeter(sfloat(98), sfloat(72)))
    assert (made["device_time"], made["numerics"][0]["value"], made["rule"]) == (
        "2026-03-05T12:00:00",
        98,
        "the device's own finished measurement",
    )


def test_one_report_a_second_is_a_stream() -> None:
    """It settles like any oximeter: twelve reports are one full measurement, in whole numbers, not twelve."""
    stream = b"".join(oximeter(sfloat(975, -1), sfloat(72), second) for second in range(12))
    (made, totals) = decode(ROW, OXIMETER + stream)
    assert [each["value"] for each in made["numerics"]] == [98, 72]
    assert (totals["totals"]["samples"], totals["totals"]["valid"]) == (12, 12)


def test_reports_far_apart_are_measurements() -> None:
    """Ten seconds between two spot checks, by the device's clock."""
    *made, _ = decode(ROW, OXIMETER + b"".join(oximeter(sfloat(98 - second // 10), sfloat(72), second) for second in (0, 10, 20)))
    assert [each["numerics"][0]["value"] for each in made] == [98, 97, 96]


def test_a_lone_report_is_said_after_three_seconds() -> None:
    """On a live line a spot check does not wait for ever."""
    driver = Ieee11073()
    driver.begin(0)
    driver.feed(OXIMETER, 0)
    assert samples(driver.feed(oximeter(sfloat(98), sfloat(72)), SECOND)) == []
    assert samples(driver.tick(3 * SECOND)) == []
    (sample,) = samples(driver.tick(4 * SECOND))
    assert sample.result


@pytest.mark.parametrize(
    ("minutes", "source"), [(0, Source.LIVE), (2, Source.LIVE), (3, Source.MEMORY), (600, Source.MEMORY), (-5, Source.LIVE)]
)
def test_an_old_report_comes_from_the_memory(captures: Path, minutes: int, source: Source) -> None:
    """Older than two minutes by the device's own clock, which said 12:05 when it was asked."""
    driver = Ieee11073()
    driver.begin(0)
    clock = (captures / "ieee11073_apdu_antidote" / "H233_ID_05DC").read_bytes()
    driver.feed(SCALE + clock, 0)
    when = (datetime.fromisoformat("2007-02-01T12:05:00") - timedelta(minutes=minutes)).strftime("%Y%m%d%H%M%S00")
    (sample,) = samples(driver.feed(fixed(1, [(1, float32(796, -1) + bytes.fromhex(when))]), 0))
    assert (sample.source, sample.valid) == (source, True)
    driver.feed(SCALE, 0)
    (sample,) = samples(driver.feed(fixed(1, [(1, float32(796, -1) + bytes.fromhex(when))]), 0))
    assert sample.source is Source.MEMORY, "its age cannot be told"


# --- what the manager says ------------------------------------------------------------------------------------------


def sent(said: Sequence[object]) -> list[str]:
    """What was sent, in hex."""
    return [each.data.hex().upper() for each in said if isinstance(each, Send)]


def test_the_managers_answers_are_those_of_the_standard(captures: Path) -> None:
    """Association accepted, attributes asked for, a report acknowledged, a release answered: byte for byte as the public answers."""
    folder = captures / "ieee11073_apdu_antidote"
    driver = Ieee11073()
    assert sent([*driver.begin(0)]) == ["E60000020000"]
    accepted, asked = sent([*driver.feed((folder / "H211_ID_02BC").read_bytes(), 0)])
    public = (folder / "H212").read_bytes()
    assert accepted[:12] == "E300002C0000"
    assert bytes.fromhex(accepted)[6:30] == public[6:30]
    assert bytes.fromhex(accepted)[30:38] == standard.SYSTEM_ID
    assert bytes.fromhex(accepted)[38:] == public[38:]
    assert asked == "E700000E000C00010103000600000000 0000".replace(" ", "")
    (answer,) = sent([*driver.feed((folder / "H241_ID_02BC").read_bytes(), 0)])
    assert answer == "E70000120010005402010 00A00000000 00000D1D0000".replace(" ", "")
    assert sent([*driver.feed(bytes.fromhex("E40000020000"), 0)]) == ["E50000020000"]


def test_an_unknown_configuration_is_asked_for_and_kept(captures: Path) -> None:
    """The first time *accepted, unknown*; the configuration is accepted; the second time it is known."""
    driver = Ieee11073()
    driver.begin(0)
    (first,) = sent([*driver.feed(association(0x4001), 0)])
    assert first[8:12] == "0003"
    answers = sent([*driver.feed(extended("cuff"), 0)])
    public = (captures / "ieee11073_apdu_antidote" / "H222").read_bytes()
    assert bytes.fromhex(answers[0]) == public[:6] + u16(7) + public[8:-4] + u16(0x4001) + public[-2:]
    assert sent([*driver.feed(association(0x4001), 0)])[0][8:12] == "0000"
    assert sent([*driver.feed(association(0x4001, b"another!"), 0)])[0][8:12] == "0003"


def test_a_report_without_an_association_is_not_acknowledged() -> None:
    """The device would forget it: it is told to associate anew instead, every five seconds at most."""
    driver = Ieee11073()
    driver.begin(0)
    report = cuff(120, 80, 95, sfloat(70))
    said = [*driver.feed(report, SECOND), *driver.feed(report, 6 * SECOND), *driver.feed(report, 7 * SECOND)]
    assert sent(said) == ["E60000020000"]
    assert samples(said) == []


def test_a_scanner_is_enabled(captures: Path) -> None:
    """The first scanner of a configuration is told to talk; nothing else is ever set."""
    driver = Ieee11073()
    driver.begin(0)
    driver.feed(association(0x4000), 0)
    config = (captures / "ieee11073_apdu_antidote" / "pulse_oximeter" / "pulse_oximeter_noti_config_with_scanner").read_bytes()
    (_, _, enable) = sent([*driver.feed(config, 0)])
    assert enable.endswith("0105000E0037000100080000095300020001")


def test_a_driver_that_listens_never_sends() -> None:
    """Decoding a recording writes nothing; a start is refused; an end releases only what is associated."""
    driver = Ieee11073(listen=True)
    said = [
        *driver.begin(0),
        *driver.feed(CUFF + cuff(120, 80, 95, sfloat(70)) + b"\xe4\0\0\2\0\0", 0),
        *driver.tick(10**12),
        *driver.end(0),
    ]
    assert sent(said) == []
    assert driver.start("adult", 0, SECOND) == [Notice(Word.REFUSED, "not-commanded")]
    serving = Ieee11073()
    serving.begin(0)
    assert serving.end(0) == []
    serving.feed(CUFF, 0)
    assert sent([*serving.end(0)]) == ["E40000020000"]


@pytest.mark.parametrize("kind", ["oximeter", "cuff", "scale"])
@pytest.mark.parametrize("extension", ["no", "yes"])
def test_round_trip_with_the_simulator(kind: str, extension: str) -> None:
    """Associated, identified, every acknowledged measurement comes back with its numbers and the device's time, without noise."""
    wire = Wire(NAME, kind=kind, extended=extension, cycle="4").run(31.5)
    wire.take(wire.driver.flush())
    measured = [tuple(number for number in values(each).values() if number is not None) for each in wire.made]
    assert measured == wire.script.device.sent  # type: ignore[attr-defined]
    assert len(measured) >= 6
    assert not wire.noise
    assert "Tram Sim T00042" in wire.notices
    assert all(each.device_time and each.device_time.startswith("2026-03-05T09:") for each in wire.made)


@pytest.mark.parametrize("fault", ["noise@3:9", "drop@3:9", "wrong-checksum@3:9"])
def test_faults_cost_time_and_make_no_numbers(fault: str) -> None:
    """On a bad line the device repeats what was not acknowledged; every measurement is one that was sent."""
    wire = Wire(NAME, fault, kind="cuff", cycle="2").run(60)
    assert any(isinstance(each, Noise) for each in wire.said)
    assert wire.made
    for made in wire.made:
        systolic, diastolic, mean, _ = values(made).values()
        assert systolic is not None and diastolic is not None and mean is not None
        assert (systolic - diastolic, mean - diastolic) == (45, 15)


def test_other_answers_are_frames() -> None:
    """What the driver does not understand is counted as a frame and says nothing about anybody."""
    said = feed(Ieee11073(listen=True), [prst(5, 0x0205, bytes(8)) + prst(6, 0x0300, bytes(4))], bound=ROW.bound)
    assert all(isinstance(each, Notice) and each.frame for each in said)
    assert not any(isinstance(each, Sample) for each in said)


def test_a_report_damaged_in_any_bit_raises_nothing() -> None:
    """Also where a compound value's own length promises more than its attribute holds."""
    frames = clean("ieee11073")
    report = next(each for each in frames if each[0] == 0xE7 and bytes.fromhex("00030006") in each)
    for at in range(len(report)):
        for bit in range(8):
            data = report[:at] + bytes([report[at] ^ 1 << bit]) + report[at + 1 :]
            feed(ROW.listen(), [CUFF, data], bound=ROW.bound)
