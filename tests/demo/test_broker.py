"""The demo's broker: found, on loopback alone, without root's rights, gone with the demo."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.demo import broker
from appliance.demo.children import Children
from appliance.demo.loop import Loop
from tests.polling import until


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Children that are ended with the test."""
    loop = Loop()
    made = Children(loop, tmp_path / "log", lambda _name, _line: None, lambda _text: None)
    yield made
    made.stop()
    loop.close()


@pytest.mark.parametrize("kind", ["mosquitto", "iotcore"])
def test_each_broker_listens_on_loopback_alone(kind: str, children: Children, free_port) -> None:
    """The real program comes up on its port, on 127.0.0.1 and nowhere else, and not as root."""
    if kind == "mosquitto" and broker._mosquitto() is None:
        pytest.skip("mosquitto is not installed (apt-get install mosquitto)")
    folder = Path(tempfile.mkdtemp(prefix="tram-b-"))
    folder.chmod(0o755)
    port = free_port()
    pid = children.start(broker.program(kind, port, folder))
    until(lambda: broker.answers(port), within=20, what=f"{kind} to answer")
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"]
    assert f"0100007F:{port:04X}" in listening
    assert f"00000000:{port:04X}" not in listening
    if kind == "mosquitto":
        assert "Uid:\t0" not in Path(f"/proc/{pid}/status").read_text()
    children.stop()
    assert not broker.answers(port)
    shutil.rmtree(folder)


def test_mosquitto_goes_before_iotcore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both are there the installed one is taken; without it the one from pip; without both the text says what to install."""
    monkeypatch.setattr(broker, "_mosquitto", lambda: "/usr/sbin/mosquitto")
    assert broker.find() == "mosquitto"
    assert broker.find("iotcore") == "iotcore"
    monkeypatch.setattr(broker, "_mosquitto", lambda: None)
    assert broker.find() == "iotcore"
    with pytest.raises(broker.BrokerError, match="apt-get install mosquitto"):
        broker.find("mosquitto")
    monkeypatch.setitem(sys.modules, "iotcore", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(broker.BrokerError, match="pip install"):
        broker.find()


def test_free_ports_are_different() -> None:
    """No two programs get the same port."""
    assert len(set(broker.free_ports(20))) == 20
