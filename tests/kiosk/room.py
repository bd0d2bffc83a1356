"""A real collector beside the kiosk, on the station's hand-turned clock, at one end of a cable to a simulated device."""

import io
import json
import threading
from collections.abc import Callable
from typing import Any

from appliance import journal
from appliance.agent.collect import Collector, Job, check
from appliance.devices.sim.script import simulate
from appliance.store.opening import open_store
from tests.agent.collecting import TURN_S, Cable
from tests.kiosk.station import Station, Window

POLL_S = 0.3
"""How often a measuring page asks."""


class Room:
    """One device and its collector. `run` turns both clocks; pages that are open ask as their script does."""

    def __init__(self, station: Station, device: str, **options: str) -> None:
        self.station, self.device = station, device
        settings = station.settings.devices[device]
        self.cable = Cable(simulate(settings.driver, seed=3, options=options))
        self.conn = open_store(station.settings, {})
        job = Job(device, settings.driver, self.cable.name, settings.name, settings.patient_types, simulated=True)
        self.collector = Collector(
            job, which=check(job, "test"), conn=self.conn, clock=station.clock, run=station.settings.paths.run,
            log=journal.open(f"collect-{id(self)}", io.StringIO()), opens=self.cable.open, allowed=lambda _uid, _gid: True,
        )  # fmt: skip
        self.pages: list[tuple[Window, int]] = []
        self._asked = 0.0

    def run(self, seconds: float, until: Callable[[], object] | None = None) -> Any:
        """Turn for so long, or until something becomes true (asked every 0.1 s): what it gave."""
        for turn in range(round(seconds / TURN_S)):
            self.collector.turn()
            self.station.hand.turn(TURN_S)
            self._asked += TURN_S
            if self._asked >= POLL_S:
                self._asked = 0.0
                for window, session in self.pages:
                    self.ask(window, session)
            if until is not None and turn % 5 == 0 and (found := until()):
                return found
        if until is not None:
            raise AssertionError(f"not within {seconds} s; the collector says {self.live()}")
        return None

    def ask(self, window: Window, session: int) -> dict[str, Any]:
        """What a measuring page hears."""
        heard: dict[str, Any] = window.data(f"/live/{self.device}.json?session={session}")
        return heard

    def live(self) -> dict[str, Any]:
        """The live file."""
        found: dict[str, Any] = json.loads((self.station.settings.paths.run / f"{self.device}.live").read_text())
        return found

    def ready(self) -> "Room":
        """Turn until the device is known and at rest."""
        self.run(5, lambda: self._state() == "ready")
        return self

    def _state(self) -> str:
        try:
            return str(self.live()["state"])
        except FileNotFoundError:
            return ""

    def finger(self, where: str) -> None:
        """``in`` or ``out``."""
        assert self.cable.script.order(f"finger {where}", self.station.hand.ns)

    def while_pressing(self, press: Callable[[], object]) -> None:
        """A press whose page waits for the collector's answer: the collector turns meanwhile."""
        hand = threading.Thread(target=press)
        hand.start()
        while hand.is_alive():
            self.collector.turn()
            hand.join(0.002)

    def start(self, window: Window, session: int, patient_type: str = "adult") -> None:
        """Press *start the cuff*; afterwards the page asks as it does."""
        token = window.token()
        self.while_pressing(lambda: window.post(f"/sessions/{session}/start", csrf=token, patient_type=patient_type))

    def pressure(self) -> int:
        """What the cuff holds."""
        return int(self.live()["signals"].get("cuff_pressure", 0))

    def close(self) -> None:
        """End the collector."""
        self.collector.close()
        self.conn.close()
