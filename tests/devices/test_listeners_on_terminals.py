"""The families that talk by themselves on real pseudo-terminals: heard, then unplugged."""

from pathlib import Path

import pytest

from appliance.contract.readings import Source
from appliance.devices.events import Noise
from appliance.devices.registry import ROWS
from appliance.devices.sim.script import simulate
from tests.devices.ptys import device_on_pty
from tests.devices.test_on_terminals import Host
from tests.polling import until

FAMILIES = {
    "beurer": {"cycle": "0.3"},
    "bpm-pro2": {"cycle": "0.3"},
    "ivy-450c": {},
    "maibobo": {"cycle": "0.3"},
    "pm6750": {},
    "sd-codefree": {"stored": "30"},
}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_heard_and_unplugged(tmp_path: Path, name: str) -> None:
    """A value arrives without a byte of noise; the cable out is an end, and nothing more than the bound is held."""
    link = tmp_path / "tty"
    source = Source.MEMORY if name in ("beurer", "sd-codefree") else Source.LIVE
    with device_on_pty(simulate(name, seed=3, options=FAMILIES[name]), link) as device:
        host = Host(name, link)
        until(lambda: host.heard(source), what="a value")
        assert not any(isinstance(each, Noise) for each in host.said)
        device.order("unplug")
        until(host.lost, what="the end of the line")
        host.port.close()
    assert host.driver.pending <= ROWS[name].bound
