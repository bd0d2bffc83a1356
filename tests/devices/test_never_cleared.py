"""Nothing on a device is ever cleared, calibrated or blown up by us: the commands that could do so are not among the bytes we send."""

import ast
import locale
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.devices.drivers import nellcor_n560
from appliance.devices.events import Sample, Send
from appliance.devices.registry import ROWS
from appliance.devices.sim.script import simulate

SECOND = 1_000_000_000
DRIVERS = Path(nellcor_n560.__file__).parent


def framed(head: int, *codes: int, at: int = 1) -> Callable[[bytes], bool]:
    """True for a frame that begins with `head` and has one of `codes` in its place."""
    return lambda data: any(data[i] == head and i + at < len(data) and data[i + at] in codes for i in range(len(data)))


FORBIDDEN: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    "suntech-nibp": ("calibrate 04, pneumatics 0C", lambda data: data[:1] == b"\x3a" and data[1:2] in (b"\x04", b"\x0c")),
    "contec-cms50": ("delete a segment AE", lambda data: data[:1] == b"\x7d" and data[2:3] == b"\xae"),
    "contec-cms50-v5": ("everything but F5 F5 and F6 F6 F6", lambda data: not set(data) <= {0xF5, 0xF6}),
    "contec08a": ("a request that begins with 41", lambda data: data[:1] == b"\x41"),
    "omron-hem790": ("clear MCL", lambda data: b"MCL" in data),
    "omron-hem7301": ("clear MCL", lambda data: b"MCL" in data),
    "bpm-pro2": ("memory and calibration 35 to 37", framed(0xAA, 0x35, 0x36, 0x37, at=2)),
    "ieee11073": ("an action, which is how a store is cleared", lambda data: data[8:10] in (b"\x01\x06", b"\x01\x07")),
}
"""Commands of the fact sheet's list (cuff safety, 6) that must not exist, by driver; the source has each of them in its words."""


def life(name: str) -> list[bytes]:
    """Everything a driver sends to its simulated device in a long day: opened, asked for its memory, started, stopped, closed."""
    row, sent = ROWS[name], []
    driver = row.make(0.0)
    script = simulate(name, seed=1, options={})
    now = SECOND

    def say(said: list[object]) -> None:
        for one in said:
            if isinstance(one, Send):
                sent.append(one.data)
                script.feed(one.data, now)

    say(driver.begin(now))
    for turn in range(1500):
        now += SECOND // 50
        say(driver.feed(script.output(now), now))
        say(driver.tick(now))
        if turn in (400, 900) and hasattr(driver, "recall"):
            say(driver.recall(now))
        if turn in (100, 700):
            say(driver.start("adult", now, now + SECOND))
        if turn == 800:
            say(driver.abort(now, "test"))
    say(driver.end(now))
    return sent


@pytest.mark.parametrize("name", sorted(name for name, row in ROWS.items() if row.writes))
def test_no_driver_sends_a_command_that_clears_or_calibrates(name: str) -> None:
    """A whole life of each driver that writes at all, against its simulator; whoever has no such command has no entry."""
    sent = life(name)
    if name in FORBIDDEN:
        what, forbidden = FORBIDDEN[name]
        assert not [data.hex() for data in sent if forbidden(data)], what


def test_the_table_would_see_one() -> None:
    """Each of the commands of the fact sheet, as it would look on the line."""
    for name, data in (
        ("suntech-nibp", "3A0C000101B8"), ("contec-cms50", "7D81AEFF8080808080"), ("omron-hem7301", "054D434C00000000"),
        ("contec-cms50-v5", "F5F7"), ("bpm-pro2", "AA043500"), ("contec08a", "4100"),
        ("ieee11073", "E700000E000C000101070006"),
    ):  # fmt: skip
        assert FORBIDDEN[name][1](bytes.fromhex(data)), name


def test_a_driver_that_does_not_write_sends_nothing() -> None:
    """Whatever it is asked."""
    for name, row in ROWS.items():
        if not row.writes and not row.unit:
            assert life(name) == [], name


def test_no_driver_asks_the_locale() -> None:
    """Months and numbers are read by tables of our own: strptime, strftime, locale and calendar speak the station's language."""
    for file in DRIVERS.glob("*.py"):
        names = {
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute | ast.Name)
        }
        assert not names & {"strptime", "strftime", "locale", "calendar", "atof"}, file.name


@pytest.fixture
def foreign() -> Iterator[str]:
    """A locale whose months and decimal point are not English, where this machine has one."""
    before = locale.setlocale(locale.LC_ALL)
    for name in ("vi_VN.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8"):
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        yield name
        locale.setlocale(locale.LC_ALL, before)
        return
    pytest.skip("this machine has no locale but English ones (locale -a); the test above reads the source instead")


@pytest.mark.usefixtures("foreign")
def test_months_and_numbers_are_read_under_another_locale() -> None:
    """07-Jan-04 stays January."""
    line = b"07-Jan-04 11:24:52   100     104      23                   AO\r\n"
    driver = nellcor_n560.ROW.listen()
    (sample,) = [one for one in [*driver.feed(line, 0), *driver.flush()] if isinstance(one, Sample)]
    assert sample.device_time == "2004-01-07T11:24:52"
