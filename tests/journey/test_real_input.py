"""Bytes that a real oximeter sent, from the serial line to the doctor's page."""

import json
import time
from pathlib import Path
from typing import Any

from appliance.bench.stand import DEVICE, Stand, stand
from appliance.demo.places import STATION

PACKAGES_A_SECOND, PACKAGE_BYTES = 60, 9


def _play(here: Stand, data: bytes) -> None:
    """Put the recording into the line at the pace of the device."""
    began = time.monotonic()
    sent = 0
    while sent < len(data):
        here.turn(0.005)
        due = min(len(data), int((time.monotonic() - began) * PACKAGES_A_SECOND * PACKAGE_BYTES))
        here.terminal.write(data[sent:due])
        sent = due


def test_a_recorded_oximeter_reaches_the_doctor_as_it_was(captures: Path) -> None:
    """The CMS50E recording (1.7 s) is SpO2 99 %, pulse 60, a short measurement, test data; its cut tail of 4 bytes stays pending."""
    data = bytes.fromhex((captures / "contec_cms50e_live" / "data").read_text())
    with stand(driver="contec-cms50") as here:
        patient = here.patient()
        here.headless(patient)
        doctor = here.doctor()
        _play(here, data)

        def pending() -> int:
            said: dict[str, Any] = json.loads((here.run / f"{DEVICE}.live").read_text())
            return int(said["pending_bytes"])

        here.wait(lambda: here.recorded() == 1, "the reading to be recorded")
        address = f"/patients/{STATION}/{patient}/observations.json"
        here.wait(lambda: doctor.data(address)["observations"], "the reading at the doctor's")
        (seen,) = doctor.data(address)["observations"]
        values = {one["metric"]: one["value"] for one in seen["numerics"]}
        assert (values["SPO2"], values["PULSE_RATE"]) == (99, 60)
        words = {word for one in seen["numerics"] for word in one["status"]}
        assert words == {"early-indication", "test-data"}
        assert pending() == 4
        page = doctor.get(f"/patients/{STATION}/{patient}").words()
        assert "99" in page and "đo ngắn" in page.lower()
