"""The emergency button without any line: real commands, a modem on a pseudo-terminal, and the line that completes it later."""

import json
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from appliance.devices.sim.modem import Air, SimModem
from appliance.devices.sim.script import Script
from appliance.store import emergencies, sms
from appliance.store.sms import State
from tests import servers
from tests.conftest import ROOT
from tests.devices.ptys import device_on_pty
from tests.polling import until
from tests.relay.site import STATION, Site

GATEWAY, BOX = "+84900000001", "+84900000002"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Both ends; the broker comes up only when a test starts it."""
    made = Site(tmp_path, servers.free_port())
    yield made
    made.close()


@contextmanager
def _line(site: Site) -> Iterator[None]:
    """A broker and both carriers, for as long as it lasts."""
    broker = servers.mosquitto(port=site.settings.broker.port)
    broker.start()
    try:
        for program in ("tram", "tram-bridge"):
            site.start(program, "carry")
        yield
        for program in ("tram", "tram-bridge"):
            site.kill(program)
    finally:
        broker.stop()


def test_the_button_works_by_text_message_and_the_line_completes_it(site: Site, tmp_path: Path) -> None:
    """Pressed without a line: the bridge has it, and the box knows. With the line: the same emergency, once."""
    air = Air()
    heard: list[str] = []

    def gateway(sender: str, data: bytes) -> None:
        words = site.command("tram-bridge", "sms", "take", data.hex(), "--from", sender)
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
        heard.append(done.stderr or "taken")
        if done.returncode == 0:
            air.send(GATEWAY, sender, bytes.fromhex(json.loads(done.stdout)["reply"]))

    with _line(site):  # the station's first day: the bridge learns its key
        until(lambda: site.waiting() == 0, what="the key at the bridge")
    air.numbers[GATEWAY] = gateway
    modem = SimModem(random.Random(1), air, number=BOX)
    with (tmp_path / "tram.toml").open("a", encoding="utf-8") as file:
        file.write(f'[sms]\nport = "{tmp_path}/modem"\nnumber = "{GATEWAY}"\nafter_s = 1\n')
    with device_on_pty(Script(modem, random.Random(2)), tmp_path / "modem"):
        site.start("tram", "sms")
        call = emergencies.press(site.conn, actor="", now=site.clock.stamp(), random=random.Random(3).randbytes).call
        until(lambda: _state(site) is State.ACKNOWLEDGED, what="the acknowledgement")
        site.kill("tram")
    assert heard == ["taken"]
    assert _calls(site) == [(STATION, call)]
    with _line(site):
        until(lambda: site.waiting() == 0, what="the line's copy")
    assert _calls(site) == [(STATION, call)]


def _state(site: Site) -> State | None:
    found = sms.texts(site.conn, open_only=False)
    return found[-1].state if found else None


def _calls(site: Site) -> list[tuple[str, int]]:
    with site.engine.connect() as tx:
        return [(row[0], row[1]) for row in tx.execute(text("SELECT station, call FROM emergency_call"))]


def test_wrong_bytes_at_the_gateway_are_said(site: Site) -> None:
    """Not hexadecimal, and not a station's."""
    for words, reason in (("xyz", "not hexadecimal"), ("21" + "00" * 40, "no station here")):
        done = subprocess.run(
            site.command("tram-bridge", "sms", "take", words), capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
        )
        assert done.returncode in (1, 2)
        assert reason in done.stderr
