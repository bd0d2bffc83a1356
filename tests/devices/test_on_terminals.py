"""The new families on real pseudo-terminals: opened with their own line settings, heard, unplugged in mid-frame."""

import time
from pathlib import Path

import pytest

from appliance.contract.readings import Source
from appliance.devices.drivers.contec_cms50 import ContecCms50
from appliance.devices.drivers.contec_cms50_v5 import ContecCms50V5
from appliance.devices.errors import DeviceError
from appliance.devices.events import Noise, Said, Sample, Send
from appliance.devices.port import open_port
from appliance.devices.registry import ROWS
from appliance.devices.sim.script import simulate
from tests.devices.ptys import device_on_pty
from tests.polling import until

FAMILIES = {
    "and-ua767": {"cycle": "0.3"},
    "contec-cms50": {"finger": "in", "stored": "30"},
    "contec-cms50-v5": {"finger": "in", "stored": "30"},
    "ieee11073": {"kind": "scale", "cycle": "0.3"},
    "nonin": {"finger": "in"},
}


class Host:
    """The host's end of a terminal, turned by hand."""

    def __init__(self, name: str, link: Path) -> None:
        self.port = open_port(str(link), ROWS[name].line)
        self.driver = ROWS[name].make(None)
        self.said: list[Said] = []
        self.take(self.driver.begin(self.now()))

    @staticmethod
    def now() -> int:
        """CLOCK_BOOTTIME."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def take(self, said: list[Said]) -> None:
        """Send what is to be sent, keep the rest."""
        for each in said:
            if isinstance(each, Send):
                self.port.write(each.data, self.now())
        self.said += said

    def heard(self, source: Source) -> bool:
        """Turn once; True when a value of that source has been heard."""
        self.take(self.driver.feed(self.port.read(self.now()), self.now()))
        self.take(self.driver.tick(self.now()))
        return any(isinstance(each, Sample) and each.valid and each.source is source for each in self.said)

    def lost(self) -> bool:
        """Turn once; True when the line has gone."""
        try:
            self.heard(Source.LIVE)
        except DeviceError:
            return True
        return False


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_device_on_a_terminal(tmp_path: Path, name: str) -> None:
    """A value is heard, without a byte of noise; the cable comes out in the middle of it, and that is a lost line and nothing else."""
    link = tmp_path / "tty"
    with device_on_pty(simulate(name, seed=3, options=FAMILIES[name]), link) as device:
        host = Host(name, link)
        until(lambda: host.heard(Source.LIVE), what="a value")
        assert not any(isinstance(each, Noise) for each in host.said)
        device.order("unplug")
        until(host.lost, what="the end of the line")
        host.port.close()
    assert host.driver.pending <= ROWS[name].bound


@pytest.mark.parametrize("name", ["contec-cms50", "contec-cms50-v5"])
def test_a_memory_through_a_terminal(tmp_path: Path, name: str) -> None:
    """Asked for on a live line: thirty records come back."""
    link = tmp_path / "tty"
    with device_on_pty(simulate(name, seed=3, options=FAMILIES[name]), link):
        host = Host(name, link)
        until(lambda: host.heard(Source.LIVE), what="a value")
        assert isinstance(host.driver, ContecCms50 | ContecCms50V5)
        host.take(host.driver.recall(host.now()))
        until(lambda: host.heard(Source.MEMORY) and _stored(host.said) == 30, what="the memory")
        host.port.close()


def _stored(said: list[Said]) -> int:
    return sum(isinstance(each, Sample) and each.source is Source.MEMORY for each in said)
