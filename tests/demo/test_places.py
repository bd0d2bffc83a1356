"""What the demo tells its programs is what the settings understand."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from appliance.demo import places
from appliance.demo.state import State, open_state
from appliance.settings import load


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A demo's folder under a name that TOML must quote."""
    made = open_state(tmp_path / 'a "demo" with ş and 100%25')
    yield made
    made.close()


def test_both_settings_files_are_accepted_and_mark_everything_as_invented(state: State) -> None:
    """Ports, folders and devices arrive as meant; the box goes through the link, the bridge straight to the broker."""
    laid = places.lay_out(state, places.Ports(1001, 1002, 1003, 1004))
    box, bridge = load([laid.station]), load([laid.bridge])
    assert (box.environment, box.station.id, box.broker.port, box.kiosk.port) == ("demo", places.STATION, 1002, 1003)
    assert (bridge.broker.port, bridge.bridge.console_port, bridge.bridge.shards) == (1001, 1004, (0,))
    assert box.paths.data == state.root / "box"
    assert len(str(box.paths.run / "oximeter.sock")) < 100
    assert not box.link.metered
    assert {name: (one.driver, one.port, one.simulated) for name, one in box.devices.items()} == {
        "cuff": ("suntech-nibp", str(laid.ends["cuff"]), True),
        "oximeter": ("contec-cms50", str(laid.ends["oximeter"]), True),
    }
    assert make_url(bridge.bridge.database).database == str(state.root / "bridge" / "bridge.db")


def test_no_password_stands_in_a_command_line(state: State) -> None:
    """Passwords go through standard input: everybody may read a command line."""
    laid = places.lay_out(state, places.Ports(1001, 1002, 1003, 1004))
    password, pins = state.password(places.DOCTOR), [state.pin(places.STAFF), state.pin(places.LEAD)]
    programs = [
        *places.set_up(laid, state, synced=False),
        *[(one, "") for one in [*places.box(laid), *places.bridge(laid), *places.simulators(laid)]],
    ]
    assert not any(secret in word for program, _ in programs for word in program.command for secret in (password, *pins))
    assert [given for _, given in programs if given] == [f"{secret}\n" for secret in (password, *pins)]


def test_only_the_box_is_killed_by_a_power_cut(state: State) -> None:
    """Collectors, carry and kiosk are the box; devices, broker and bridge are not."""
    laid = places.lay_out(state, places.Ports(1001, 1002, 1003, 1004))
    assert {one.name for one in places.box(laid) if one.box} == {"collect-cuff", "collect-oximeter", "carry", "kiosk"}
    assert not any(one.box for one in [*places.bridge(laid), *places.simulators(laid)])


def test_a_device_is_ready_when_its_collector_says_so(state: State) -> None:
    """No file, half a file and other states are not ready."""
    live = state.run / "cuff.live"
    assert not places.ready(state, "cuff")
    for text, good in [
        ("{", False),
        ("[]", False),
        ('{"state": "absent"}', False),
        ('{"state": "ready"}', True),
        ('{"state": "measuring"}', True),
    ]:
        live.write_text(text)
        assert places.ready(state, "cuff") is good
