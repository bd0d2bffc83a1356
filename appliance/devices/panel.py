"""The one door to the box's panel: status lamp, buzzer, call button, the UPS's power-good line. Nothing else imports gpiozero.

Pins are numbered as Broadcom does (GPIO17 is 17). Levels are read and set, and nothing more: no edge callbacks and no blinking
by gpiozero, which would bring threads of their own. Who turns the loop debounces (`Steady`) and blinks (`lit`).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.devices.driver import SECOND
from appliance.devices.errors import DeviceError

UNWIRED = -1
"""The number of a pin that does not exist: that part is not on this box."""
PACKAGES = "python3-lgpio"


class PanelError(DeviceError):
    """The pins cannot be used now: another program has them, the rights are missing, or the library is."""

    def __init__(self, text: str) -> None:
        super().__init__("panel", text)


@dataclass(frozen=True, slots=True)
class Wire:
    """One part of the panel: its pin, and whether it is active at low level (a button to ground is)."""

    pin: int = UNWIRED
    active_low: bool = False


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where the parts are. `mains` is active while the UPS has power from the wall."""

    lamp: Wire = Wire()
    buzzer: Wire = Wire()
    button: Wire = Wire()
    mains: Wire = Wire()


class Board:
    """The parts that are wired, opened. A part that is not wired takes what it is told and says nothing.

    An input is pulled to its inactive level, so that a broken wire is no press, and no mains.
    """

    def __init__(self, wiring: Wiring, factory: Any) -> None:
        from gpiozero import InputDevice, OutputDevice

        self._factory = factory
        self._parts: list[Any] = []
        try:
            self._lamp, self._buzzer = (self._open(OutputDevice, wire, active_high=not wire.active_low) for wire in _outputs(wiring))
            self._button, self._mains = (self._open(InputDevice, wire, pull_up=wire.active_low) for wire in _inputs(wiring))
        except BaseException:
            self.close()
            raise

    def _open(self, kind: Any, wire: Wire, **options: bool) -> Any:
        if wire.pin == UNWIRED:
            return None
        from gpiozero import GPIOZeroError

        try:
            part = kind(wire.pin, pin_factory=self._factory, **options)
        except (GPIOZeroError, OSError, *_lgpio_errors()) as error:
            raise PanelError(f"GPIO{wire.pin}: {error}") from error
        self._parts.append(part)
        return part

    def show(self, lit: bool) -> None:
        """The lamp, on or off."""
        _set(self._lamp, lit)

    def sound(self, loud: bool) -> None:
        """The buzzer, on or off."""
        _set(self._buzzer, loud)

    @property
    def pressed(self) -> bool:
        """Whether the button is down this moment; not debounced."""
        return self._button is not None and bool(self._button.is_active)

    @property
    def mains(self) -> bool | None:
        """Whether the UPS has power from the wall this moment; None where no such line is wired."""
        return None if self._mains is None else bool(self._mains.is_active)

    def close(self) -> None:
        """Lamp and buzzer off, pins given back."""
        for part in self._parts:
            part.close()
        self._parts.clear()
        self._factory.close()


def open_board(wiring: Wiring, pins: str, folder: Path) -> Board:
    """The panel through ``lgpio`` (the box's kernel) or ``mock`` (no hardware); PanelError. `folder` is for lgpio's own pipe."""
    if pins == "mock":
        from gpiozero.pins.mock import MockFactory

        return Board(wiring, MockFactory())
    os.environ.setdefault("LG_WD", str(folder))  # lgpio makes a pipe in its working folder, which a unit may not write
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        raise PanelError(
            f"lgpio is not installed: apt install {PACKAGES}, and make the virtual environment with --system-site-packages"
        ) from error
    try:
        factory = LGPIOFactory()
    except Exception as error:  # lgpio raises a bare class of its own, gpiozero one for boards it does not know
        raise PanelError(f"no GPIO chip can be opened: {error}") from error
    return Board(wiring, factory)


def _outputs(wiring: Wiring) -> tuple[Wire, Wire]:
    return wiring.lamp, wiring.buzzer


def _inputs(wiring: Wiring) -> tuple[Wire, Wire]:
    return wiring.button, wiring.mains


def _set(part: Any, on: bool) -> None:
    if part is None:
        return
    if on:
        part.on()
    else:
        part.off()


def _lgpio_errors() -> tuple[type[Exception], ...]:
    """lgpio's own exception, which has no parent that would say what to do; nothing where lgpio is not used."""
    import sys

    known = sys.modules.get("lgpio")
    return () if known is None else (known.error,)


# --- pure: time and levels in, what they mean out ---------------------------------------------------------------------------------------


class Steady:
    """A level without its bounces: it changes when the line has shown the other one for `settle_ns` without a break.

    The first level that is seen counts at once and is no change: a button that is stuck when the program starts calls nobody.
    """

    def __init__(self, settle_ns: int) -> None:
        self._settle_ns = settle_ns
        self.level: bool | None = None
        self.since_ns = 0
        """When the level began that stands."""
        self._other_ns: int | None = None

    def look(self, level: bool, now_ns: int) -> bool:
        """Take the level of this moment; True when the steady level has just changed."""
        if self.level is None:
            self.level, self.since_ns = level, now_ns
        elif level == self.level:
            self._other_ns = None
        elif self._other_ns is None:
            self._other_ns = now_ns
        elif now_ns - self._other_ns >= self._settle_ns:
            self.level, self.since_ns, self._other_ns = level, self._other_ns, None
            return True
        return False


def lit(pattern: Sequence[float], now_ns: int, since_ns: int = 0) -> bool:
    """Whether a lamp of this pattern is on: seconds on, off, on, off …, again and again from `since_ns`; one: always; none: never."""
    if len(pattern) < 2:
        return bool(pattern)
    at = (now_ns - since_ns) % round(sum(pattern) * SECOND)
    for number, length in enumerate(pattern):
        at -= round(length * SECOND)
        if at < 0:
            return number % 2 == 0
    return False
