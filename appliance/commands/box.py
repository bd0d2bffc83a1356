"""What most commands begin with: the box as `tram init` left it, and who does it."""

import argparse
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.commandline import DONE, settings_of

if TYPE_CHECKING:
    from appliance.agent.clock import Clock
    from appliance.database import Connection
    from appliance.settings import Settings


@dataclass(frozen=True, slots=True)
class Box:
    """What most commands of a box need."""

    settings: "Settings"
    conn: "Connection"
    clock: "Clock"


def open_box(args: argparse.Namespace) -> Box:
    """Settings, store and clock as `tram init` left them. Raises SettingsError, StoreError, WrongSchema."""
    import time

    from appliance.agent.clock import boot_id, live_clock
    from appliance.store.boots import seq_of
    from appliance.store.opening import open_store
    from appliance.store.register import in_force

    settings = settings_of(args)
    settings.need("station.id")
    conn = open_store(settings)
    settings = in_force(conn, settings)
    boot_seq = seq_of(conn, boot_id(), time.time_ns() // 100_000_000)
    return Box(settings, conn, live_clock(boot_seq, data=settings.paths.data, run=settings.paths.run))


def actor(box: Box, code: str) -> str:
    """Who does it: an active person's code, or ``cli:`` and the name of the machine's user. Refused for an unknown code."""
    import getpass

    from appliance.store import staff
    from appliance.store.errors import Refused

    if not code:
        return f"cli:{getpass.getuser()}"
    known = staff.get(box.conn, code)
    if known is None or not known.active:
        raise Refused(f"Không có nhân viên mã {code}.", f"no active staff member has the code {code}: tram staff add")
    return known.code


def staff_arguments(parser: argparse.ArgumentParser) -> None:
    """``--staff CODE``, as `actor` reads it."""
    parser.add_argument("--staff", metavar="CODE", default="", help="who does it (default: the user of this machine)")


def end_on_sigterm() -> None:
    """SIGTERM leaves as Ctrl-C does: through every ``finally``."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(DONE))


def complain(text: str) -> None:
    """A line of its own for a person, beside what the command says."""
    print(f"tram: {text}", file=sys.stderr)
