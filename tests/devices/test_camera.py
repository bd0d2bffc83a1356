"""The door to the camera: it can be imported anywhere, and where there is no camera it says what is missing."""

import sys

import pytest

from appliance.devices import camera
from appliance.devices.camera import CameraError
from appliance.devices.errors import DeviceError


def test_without_picamera2_the_error_names_the_packages() -> None:
    """On any machine that is no box: an OSError (wait and try again) with the very words for apt."""
    assert "picamera2" not in sys.modules, "importing our module must not import it"
    with pytest.raises(CameraError, match=r"apt install python3-picamera2 .*--system-site-packages") as told:
        camera.photograph()
    assert isinstance(told.value, DeviceError)
    assert told.value.port == "camera"
