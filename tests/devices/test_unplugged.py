"""The cable comes out in the middle of a frame, on a real pseudo-terminal, for every family that has a line; and goes in again."""

from pathlib import Path

import pytest

from appliance.bench.drivers import recording
from appliance.devices.driver import SECOND, Driver, Line
from appliance.devices.errors import DeviceError
from appliance.devices.events import Noise, Notice, Sample
from appliance.devices.port import Port, open_port
from appliance.devices.registry import ROWS
from appliance.devices.sim.pty import Terminal
from tests.fuzz.streams import clean
from tests.lines import bytes_of, samples
from tests.polling import until

LINES = sorted(name for name, row in ROWS.items() if isinstance(row.line, Line) and not row.unit)
LATER = 3600 * SECOND


def half(name: str) -> tuple[bytes, bytes]:
    """A frame that holds a value where the recording has one, cut in two."""
    driver = ROWS[name].listen()
    said = [*driver.feed(recording(name), 0), *driver.flush()]
    frame = next((each.frame for each in samples(said) if each.valid and len(each.frame) > 2), max(clean(name), key=len))
    return frame[: len(frame) // 2], frame[len(frame) // 2 :]


def received(port: Port, driver: Driver, count: int) -> list[object]:
    """What the driver says of so many bytes from the line."""
    said: list[object] = []
    seen = 0

    def all_of_it() -> bool:
        nonlocal seen
        data = port.read(LATER)
        seen += len(data)
        said.extend(driver.feed(data, LATER))
        return seen >= count

    until(all_of_it, what=f"{count} bytes")
    return said


def gone(port: Port) -> bool:
    """True when the line says that it has ended."""
    try:
        port.read(LATER)
    except DeviceError:
        return True
    return False


@pytest.mark.parametrize("name", LINES)
def test_half_a_frame_before_and_half_after_are_no_reading(tmp_path: Path, name: str) -> None:
    """The lost line is said; what was held is bounded; the other half, heard after the cable is back, makes no value."""
    first, second = half(name)
    link, row = tmp_path / "tty", ROWS[name]
    terminal = Terminal(link)
    terminal.plug()
    port, driver = open_port(str(link), row.line), row.listen()
    driver.begin(LATER)
    terminal.write(first)
    said = received(port, driver, len(first))
    assert not any(isinstance(each, Sample) and each.valid for each in said)
    assert len(first) == driver.pending + len(bytes_of(each for each in said if isinstance(each, Noise | Notice | Sample)))
    terminal.unplug()
    until(lambda: gone(port), what="the end of the line")
    port.close()
    terminal.plug()
    port, driver = open_port(str(link), row.line), row.listen()
    terminal.write(second)
    said = [*received(port, driver, len(second)), *driver.flush()]
    assert not any(isinstance(each, Sample) and each.valid for each in said)
    port.close()
    terminal.unplug()


@pytest.mark.parametrize("name", LINES)
def test_what_is_asked_of_the_line_is_what_the_row_says(name: str) -> None:
    """Eight or seven bits, a known parity, one or two stop bits, levels that are booleans, a speed that serial ports have."""
    line = ROWS[name].line
    assert isinstance(line, Line)
    assert (line.bytesize in (7, 8), line.parity in "NEO", line.stopbits in (1, 2), type(line.dtr), type(line.rts)) == (
        True,
        True,
        True,
        bool,
        bool,
    )
    assert line.baud in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
