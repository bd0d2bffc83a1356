"""What the console is given by the composition root: the database, the answer key, the time, chance."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from argon2 import PasswordHasher
from flask import current_app
from sqlalchemy import Engine

from appliance.contract.readings import Stamp
from cloud_bridge.answers import Seal

EXTENSION = "tram-desk"


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything a page may touch. `unopened_s` is how long an emergency may stay unopened (decision 23), `claim_s` how long a
    request stays with a doctor who does nothing, `factor_key` what second factors are sealed with.
    """

    engine: Engine
    seal: Seal
    stamp: Callable[[], Stamp]
    random: Callable[[int], bytes]
    hasher: PasswordHasher
    log: logging.Logger
    software: str
    factor_key: bytes
    organisation: str = ""
    environment: str = "demo"
    unopened_s: int = 600
    claim_s: int = 900

    def now(self) -> int:
        """Tenths of a second since 1970."""
        return self.stamp().wall


def desk() -> Desk:
    """The desk of the running application."""
    found: Desk = current_app.extensions[EXTENSION]
    return found
