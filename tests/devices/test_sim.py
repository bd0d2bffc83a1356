"""Simulated devices, their faults, and both sides of a protocol together."""

import random
from collections import Counter

import pytest

from appliance.contract.metrics import Metric
from appliance.devices.driver import SECOND, Driver
from appliance.devices.drivers.suntech_nibp import SuntechNibp as Host
from appliance.devices.errors import DeviceError
from appliance.devices.events import Measurement, Noise, Notice, Said, Sample, Send, Word
from appliance.devices.port import SimPort, open_port
from appliance.devices.registry import ROWS
from appliance.devices.settle import Settler
from appliance.devices.sim.script import DEVICES, KINDS, Fault, Script, fault, from_url, simulate
from appliance.devices.sim.suntech_nibp import SuntechNibp as Module

STEP = SECOND // 50


class Line:
    """A driver at one end of a wire, a script at the other, a hand-turned clock, and a settler that listens."""

    def __init__(self, name: str, **options: str) -> None:
        faults = [value for key, value in options.items() if key.startswith("fault")]
        plain = {key: value for key, value in options.items() if not key.startswith("fault")}
        self.script = simulate(name, seed=5, options=plain, faults=faults)
        self.driver: Driver = ROWS[name].make(1.0)
        self.settler = Settler()
        self.now = SECOND
        self.said: list[Said] = []
        self.made: list[Measurement] = []
        self.bytes = 0
        self._take(self.driver.begin(self.now))

    def run(self, seconds: float) -> "Line":
        """Turn the clock."""
        for _ in range(round(seconds * 50)):
            self.now += STEP
            data = self.script.output(self.now)
            self.bytes += len(data)
            self._take(self.driver.feed(data, self.now))
            self._take(self.driver.tick(self.now))
        return self

    def _take(self, said: list[Said]) -> None:
        self.said += said
        for each in said:
            if isinstance(each, Send):
                self.script.feed(each.data, self.now)
            elif isinstance(each, Sample):
                made = self.settler.offer(each, self.now)
                if made is not None:
                    self.made.append(made)

    def noise(self) -> Counter[str]:
        """Noise bytes by reason."""
        count: Counter[str] = Counter()
        for each in self.said:
            if isinstance(each, Noise):
                count[each.reason] += len(each.data)
        return count


def numbers(made: Measurement) -> dict[Metric, int | None]:
    """The values of a measurement."""
    return {each.metric: each.value for each in made.numerics}


def test_an_oximeter_with_a_finger_in_it_is_measured() -> None:
    """Model, stream, searching, then ten seconds: one full measurement of plausible numbers, no byte of noise."""
    line = Line("contec-cms50", finger="in").run(14)
    (made,) = line.made
    assert 93 <= (numbers(made)[Metric.SPO2] or 0) <= 99
    assert 50 <= (numbers(made)[Metric.PULSE_RATE] or 0) <= 110
    assert not line.noise()
    assert "CMS50ESIM" in [each.text for each in line.said if isinstance(each, Notice) and each.word is Word.IDENTITY]


def test_a_stream_is_sixty_packages_a_second_and_needs_its_keep_alive() -> None:
    """The driver keeps it alive for a minute; without keep-alives it ends after ten seconds."""
    line = Line("contec-cms50", finger="in").run(61)
    before = sum(isinstance(each, Sample) for each in line.said)
    line.run(1)
    assert sum(isinstance(each, Sample) for each in line.said) - before == pytest.approx(60, abs=2)
    script = simulate("contec-cms50", options={"finger": "in"})
    script.feed(bytes.fromhex("7D81A1808080808080"), 0)
    assert script.output(9 * SECOND) != b""
    script.output(11 * SECOND)
    assert script.output(12 * SECOND) == b""


def test_fingers_come_and_go_by_themselves() -> None:
    """In a minute of its own, the oximeter gives a full measurement per finger, and no two are of one person."""
    line = Line("contec-cms50").run(63)
    assert len(line.made) == 3
    assert len({made.first_ns for made in line.made}) == 3


def test_a_finger_by_order() -> None:
    """Out until told, then in."""
    line = Line("contec-cms50", finger="out").run(10)
    assert line.made == []
    assert line.script.order("finger in", line.now)
    line.run(14)
    assert len(line.made) == 1


def test_a_cuff_is_measured_by_one_press() -> None:
    """Through the script and back: a result with numbers, systolic above mean above diastolic."""
    line = Line("suntech-nibp", cycle="3").run(1)
    line._take(line.driver.start("adult", line.now, line.now + SECOND))
    line.run(5)
    (made,) = line.made
    systolic, diastolic, mean, _pulse = (each.value or 0 for each in made.numerics)
    assert diastolic < mean < systolic


def test_unasked_results_come_at_their_rate_and_differ() -> None:
    """Ten a second, every one another reading."""
    line = Line("suntech-nibp-unasked").run(20)
    assert len(line.made) == pytest.approx(200, abs=2)
    assert len({made.numerics for made in line.made}) == len(line.made)


@pytest.mark.parametrize("patient_type", ["adult", "paediatric", "neonate"])
def test_a_cuff_squeezes_by_patient_type(patient_type: str) -> None:
    """The simulated module inflates a newborn's cuff less, and keeps this side's ceilings."""
    module = Module(random.Random(1), cycle=4.0)
    host = Host(0)
    for each in host.begin(0):
        module.feed(each.data, 0) if isinstance(each, Send) else None
    top = 0
    for turn in range(1, 400):
        now = turn * STEP
        said = host.feed(b"".join(module.output(now)), now) + host.tick(now)
        if turn == 60:
            said += host.start(patient_type, now, now + SECOND)
        for each in said:
            if isinstance(each, Send):
                module.feed(each.data, now)
        top = max(top, module.pressure(now))
    assert top == pytest.approx({"adult": 180, "paediatric": 140, "neonate": 100}[patient_type], abs=12)
    assert module.violations == 0


def test_a_forbidden_command_is_seen() -> None:
    """A simulator would notice calibration or pneumatics, so the tests that look at `violations` mean something."""
    module = Module(random.Random(1))
    module.feed(bytes.fromhex("3A0C000101B8"), 0)
    assert module.violations == 1


# --- faults ---------------------------------------------------------------------------------------------------------


def test_noise_costs_samples_and_makes_no_numbers() -> None:
    """Under noise the line is partly unreadable; what is measured afterwards is right."""
    line = Line("contec-cms50", finger="in", fault="noise@2:8").run(30)
    assert sum(line.noise().values()) > 1000
    assert line.made
    for made in line.made:
        assert 93 <= (numbers(made)[Metric.SPO2] or 0) <= 99
        assert 50 <= (numbers(made)[Metric.PULSE_RATE] or 0) <= 110


def test_wrong_checksums_are_noise() -> None:
    """Half of the module's frames are damaged: the cycle fails or succeeds, but never with other numbers."""
    line = Line("suntech-nibp", cycle="3", fault="wrong-checksum@1.5").run(1)
    line._take(line.driver.start("adult", line.now, line.now + SECOND))
    line.run(20)
    assert line.noise()["checksum"] > 0
    assert line.script.device.violations == 0
    assert not line.driver.busy


def test_dropped_bytes_cut_packages() -> None:
    """Two bytes in a hundred are lost: cut packages are noise, whole ones are samples, and the numbers stay right."""
    line = Line("contec-cms50", finger="in", fault="drop@2").run(20)
    assert line.noise()["cut"] > 0
    assert all(93 <= (numbers(made)[Metric.SPO2] or 0) <= 99 for made in line.made)


def test_a_slow_line_loses_the_oldest() -> None:
    """What does not get through in time is lost, not stored for ever; the line recovers when it is fast again."""
    line = Line("contec-cms50", finger="in", fault="slow@1:10").run(10)
    assert line.bytes < 2000
    assert len(line.script._waiting) <= 4096
    line.run(20)
    assert len(line.made) == 1


def test_a_silent_device_says_and_hears_nothing() -> None:
    """Switched off: no bytes; switched on again it is asked for its stream once more."""
    line = Line("contec-cms50", finger="in", fault="silent@5:20").run(4)
    said = line.bytes
    line.run(18)
    assert line.bytes - said < 600
    line.run(30)
    assert line.bytes > said + 5000


def test_unplug_in_the_middle_of_a_frame() -> None:
    """The port ends with an error in mid-frame; the driver holds the half frame and nothing else happens."""
    port = SimPort("sim://contec-cms50?seed=1&finger=in&fault=unplug@2:3")
    driver = ROWS["contec-cms50"].make(None)
    for each in driver.begin(0):
        port.write(each.data, 0) if isinstance(each, Send) else None
    port.write(bytes.fromhex("7D81A1808080808080"), 0)
    data = port.read(SECOND)
    driver.feed(data[:-4], SECOND)
    assert driver.pending == 5
    for use in (lambda: port.read(3 * SECOND), lambda: port.write(b"x", 3 * SECOND)):
        with pytest.raises(DeviceError, match="unplugged"):
            use()
    assert port.read(6 * SECOND) is not None


def test_faults_by_hand() -> None:
    """Each fault acts when it is said and ends with *resume*; *replug* puts only the cable back."""
    script = simulate("contec-cms50")
    for kind in KINDS:
        assert script.order(kind, 0)
    assert script.acting(0) == set(KINDS)
    assert not script.plugged(0)
    assert script.order("replug", 0)
    assert script.plugged(0)
    assert script.order("resume", 0)
    assert script.acting(0) == set()
    assert not script.order("explode", 0)


def test_the_same_seed_gives_the_same_device() -> None:
    """Faults and numbers repeat, so a failure can be repeated."""

    def bytes_of(seed: int) -> bytes:
        script = simulate("contec-cms50", seed=seed, options={"finger": "in"}, faults=["noise", "drop"])
        script.feed(bytes.fromhex("7D81A1808080808080"), 0)
        return b"".join(script.output(turn * STEP) for turn in range(300))

    assert bytes_of(4) == bytes_of(4) != bytes_of(5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("noise", Fault("noise", 0, None)),
        ("noise@3", Fault("noise", 3 * SECOND, None)),
        ("unplug@0.5:2", Fault("unplug", SECOND // 2, 2 * SECOND)),
    ],
)
def test_how_a_fault_is_written(text: str, expected: Fault) -> None:
    """Kind, from when, for how long."""
    assert fault(text) == expected


@pytest.mark.parametrize("text", ["", "explode", "noise@x", "noise@1:y", "@3"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    """With a sentence that says what there is."""
    with pytest.raises(ValueError, match=r"fault"):
        fault(text)


def test_addresses_of_simulated_ports() -> None:
    """Driver, seed, options and faults in one address; what is unknown is named."""
    script, outer = from_url("sim://suntech-nibp?seed=3&cycle=2&fault=silent@9&rest=0.5")
    assert isinstance(script, Script)
    assert outer == {"rest": "0.5"}
    port = open_port("sim://suntech-nibp?rest=0.5", ROWS["suntech-nibp"].line)
    assert port.simulated
    assert port.rest_s == 0.5
    for wrong in ("sim://toaster", "sim://contec-cms50?colour=red", "sim://contec-cms50?fault=explode", "sim://contec-cms50?finger=toe"):
        with pytest.raises(ValueError, match=r"toaster|colour|explode|toe"):
            from_url(wrong)


def test_every_driver_has_its_simulator() -> None:
    """And every simulator its driver."""
    assert set(DEVICES) == set(ROWS)
