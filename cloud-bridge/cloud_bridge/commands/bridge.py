"""What the bridge's commands begin with: the settings, the store, the clock."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.commandline import settings_of

if TYPE_CHECKING:
    from argon2 import PasswordHasher
    from sqlalchemy import Engine

    from appliance.contract.readings import Stamp
    from appliance.settings import Settings


class InputError(ValueError):
    """Something on the command line or in a file it names that cannot be used."""

    def __init__(self, key: str, value: object, expected: str, example: str) -> None:
        super().__init__(f"{key} = {value!r}: expected {expected}, for example {example}")
        self.key = key
        self.value = value
        self.expected = expected
        self.example = example


class NotReadyError(ValueError):
    """The database has another schema than this program, or has never been initialised."""


def open_store(args: argparse.Namespace) -> tuple["Settings", "Engine"]:
    """Settings and the database as `tram-bridge init` left it. Raises SettingsError, OSError, NotReadyError."""
    from cloud_bridge.store.engine import open_engine

    settings = settings_of(args)
    engine = open_engine(settings.bridge.database, create=False)
    check_schema(engine)
    return settings, engine


def check_schema(engine: "Engine") -> None:
    """NotReadyError unless the database has the schema of this program."""
    from cloud_bridge.store import migrations

    found, needed = migrations.current(engine), migrations.head()
    if found != needed:
        what = "has never been initialised" if found is None else f"has schema {found}, this program needs {needed}"
        raise NotReadyError(f"the database {what}: run tram-bridge init (with this version)")


def tenths() -> int:
    """Tenths of a second since 1970."""
    import time

    return time.time_ns() // 100_000_000


def clock() -> "Callable[[], Stamp]":
    """The bridge's clock: a server's, kept by its system; ticks are of CLOCK_BOOTTIME as at a station."""
    import time

    from appliance.contract.ids import short_of
    from appliance.contract.readings import TICK_NS, ClockQuality, Stamp

    boot = short_of(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    return lambda: Stamp(boot, 0, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // TICK_NS, tenths(), ClockQuality.SYNCED)


def hasher() -> "PasswordHasher":
    """Argon2id at OWASP's floor (19 MiB, t = 2, p = 1), which an online lock-out makes enough."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def station_argument(parser: argparse.ArgumentParser) -> None:
    """One station's id."""
    parser.add_argument("station", metavar="ID")
