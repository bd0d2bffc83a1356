"""The door to the panel's pins, on gpiozero's fakes; what is pure about it; and a real kernel chip where the machine can make one."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from appliance.devices.driver import SECOND
from appliance.devices.panel import Board, PanelError, Steady, Wire, Wiring, lit, open_board
from tests.polling import until

MS = SECOND // 1000
WIRING = Wiring(lamp=Wire(17), buzzer=Wire(27, active_low=True), button=Wire(22, active_low=True), mains=Wire(6))


def test_lamp_and_buzzer_follow_what_they_are_told() -> None:
    """Each at its own active level; dark and silent when opened."""
    factory = MockFactory()
    board = Board(WIRING, factory)
    lamp, buzzer = factory.pin(17), factory.pin(27)
    assert (lamp.state, buzzer.state) == (False, True)
    board.show(True)
    board.sound(True)
    assert (lamp.state, buzzer.state) == (True, False)
    board.show(False)
    board.sound(False)
    assert (lamp.state, buzzer.state) == (False, True)
    board.close()


def test_a_button_to_ground_and_a_power_line_are_read() -> None:
    """Low is a press; high is power from the wall."""
    factory = MockFactory()
    board = Board(WIRING, factory)
    assert (board.pressed, board.mains) == (False, False)
    factory.pin(22).drive_low()
    factory.pin(6).drive_high()
    assert (board.pressed, board.mains) == (True, True)
    board.close()


def test_a_broken_wire_is_no_press_and_no_mains() -> None:
    """Inputs are pulled to their inactive level, whichever that is."""
    factory = MockFactory()
    board = Board(Wiring(button=Wire(22, active_low=False), mains=Wire(6, active_low=True)), factory)
    assert (factory.pin(22).pull, factory.pin(6).pull) == ("down", "up")
    assert (board.pressed, board.mains) == (False, False)
    board.close()


def test_what_is_not_wired_says_nothing_and_takes_everything() -> None:
    """A box with a lamp only has the same program."""
    board = Board(Wiring(lamp=Wire(17)), MockFactory())
    board.sound(True)
    assert (board.pressed, board.mains) == (False, None)
    board.close()


def test_a_pin_that_the_board_does_not_have_is_a_device_error() -> None:
    """And the pins opened before it are given back."""
    factory = MockFactory()
    with pytest.raises(PanelError, match="GPIO99"):
        Board(Wiring(lamp=Wire(17), buzzer=Wire(99)), factory)
    assert factory.pin(17).function == "input"


def test_without_lgpio_the_error_names_the_package(tmp_path: Path) -> None:
    """On a machine that is no box: wait and try again, with the words for apt, or with what the kernel says."""
    with pytest.raises(PanelError, match=r"apt install python3-lgpio|no GPIO chip"):
        open_board(WIRING, "lgpio", tmp_path)


# --- debouncing -----------------------------------------------------------------------------------------------------------------------


def changes(levels: list[tuple[int, bool]], settle_ms: int = 40) -> list[tuple[int, bool]]:
    """When (ms) the steady level changed, and to what."""
    steady = Steady(settle_ms * MS)
    return [(at, bool(steady.level)) for at, level in levels if steady.look(level, at * MS)]


def test_one_press_with_bounces_is_one_press() -> None:
    """Contact bounce on both edges, looked at every 2 ms."""
    bouncing = [(at, at in (100, 104, 110) or 114 <= at < 300 or at in (304, 308)) for at in range(0, 600, 2)]
    assert [level for _at, level in changes(bouncing)] == [True, False]


def test_a_disturbance_shorter_than_the_settling_time_is_no_press() -> None:
    """A spike of 30 ms, again and again, calls nobody."""
    assert changes([(at, at % 100 < 30) for at in range(50, 5000, 10)]) == []


def test_a_button_that_is_down_at_the_start_is_no_press() -> None:
    """Only after it was let go."""
    held = [(at, at < 500 or at > 1000) for at in range(0, 1500, 20)]
    assert [level for _at, level in changes(held)] == [False, True]


@given(st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=60))
def test_steady_changes_alternate_and_never_come_closer_than_they_may(steps: list[tuple[int, bool]]) -> None:
    """Whatever the line does."""
    at = list(itertools.accumulate((gap for gap, _level in steps), initial=0))
    found = changes([(moment, level) for moment, (_gap, level) in zip(at, steps, strict=False)])
    for (earlier, before), (later, after) in itertools.pairwise(found):
        assert before is not after and later - earlier >= 40


# --- blinking -------------------------------------------------------------------------------------------------------------------------


def test_a_pattern_is_seconds_on_and_off_for_ever() -> None:
    """Two flashes and a pause, the same after an hour."""
    pattern = (0.1, 0.2, 0.1, 0.6)
    for hour in (0, 3600):
        shown = [lit(pattern, hour * SECOND + at * 50 * MS) for at in range(20)]
        assert shown == [True] * 2 + [False] * 4 + [True] * 2 + [False] * 12


def test_one_number_is_steady_and_none_is_dark() -> None:
    """So that every state has a pattern."""
    assert all(lit((1.0,), at * MS) for at in range(0, 5000, 7))
    assert not any(lit((), at * MS) for at in range(0, 5000, 7))


# --- the kernel's own chip --------------------------------------------------------------------------------------------------------------

CONFIG = Path("/sys/kernel/config/gpio-sim")


@contextmanager
def simulated_chip(lines: int = 28) -> Iterator[tuple[int, Path]]:
    """A GPIO chip of the kernel's module gpio-sim: its number, and the folder where its lines are pulled and read."""
    device = CONFIG / f"tram-{os.getpid()}"
    (device / "bank").mkdir(parents=True)
    try:
        (device / "bank" / "num_lines").write_text(str(lines))
        (device / "live").write_text("1")
        chip = (device / "bank" / "chip_name").read_text().strip()
        yield int(chip.removeprefix("gpiochip")), Path("/sys/devices/platform") / (device / "dev_name").read_text().strip() / chip
        (device / "live").write_text("0")
    finally:
        (device / "bank").rmdir()
        device.rmdir()


def test_the_same_board_on_a_chip_of_the_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Lines of gpio-sim through lgpio: the lamp's level is seen in the kernel, a pull there is a press here."""
    if not CONFIG.is_dir() or not os.access(CONFIG, os.W_OK):
        pytest.skip("no gpio-sim here: needs root and `modprobe gpio-sim` on a kernel of 5.17 or later")
    monkeypatch.setenv("LG_WD", str(tmp_path))
    lgpio = pytest.importorskip("gpiozero.pins.lgpio", reason="lgpio is not installed", exc_type=ImportError)
    with simulated_chip() as (chip, lines):
        factory = lgpio.LGPIOFactory(chip)
        monkeypatch.setattr(factory, "_get_revision", lambda: 0xA02082)  # a Pi 3: this machine is none
        board = Board(Wiring(lamp=Wire(17), button=Wire(22, active_low=True)), factory)
        try:
            board.show(True)
            assert (lines / "sim_gpio17" / "value").read_text().strip() == "1"
            assert not board.pressed
            (lines / "sim_gpio22" / "pull").write_text("pull-down")
            until(lambda: board.pressed, what="the press")
        finally:
            board.close()
