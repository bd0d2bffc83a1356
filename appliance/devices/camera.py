"""The one door to the box's own camera (CSI). Nothing else in the project imports picamera2.

picamera2 belongs to the distribution's libcamera and exists only on the box: it is imported when a photo is taken, and
where it is missing the error names the packages. The camera is on for the length of one photo, and off otherwise.
"""

import io
from typing import Any

from appliance.devices.port import DeviceError

PACKAGES = "python3-picamera2 python3-libcamera"
SIDE = 2304, 1296
"""Pixels: above what is kept of a picture (1,600), within what a small box can hold twice."""
SETTLE_S = 1.0
"""Exposure and white balance find themselves in about a second (libcamera's usual 30 frames)."""


class CameraError(DeviceError):
    """The camera cannot be used now: wait and try again, or install what the text names."""

    def __init__(self, text: str) -> None:
        super().__init__("camera", text)


def photograph() -> bytes:
    """One photo as JPEG bytes, as the camera sees it now; CameraError."""
    camera = _open()
    try:
        camera.configure(camera.create_still_configuration(main={"size": SIDE}))
        camera.start()
        _settle(camera)
        out = io.BytesIO()
        camera.capture_file(out, format="jpeg")
        return out.getvalue()
    except (OSError, RuntimeError) as error:  # libcamera says RuntimeError where a cable is loose
        raise CameraError(str(error)) from error
    finally:
        camera.close()


def _open() -> Any:
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise CameraError(
            f"picamera2 is not installed: apt install {PACKAGES}, and make the virtual environment with --system-site-packages"
        ) from error
    try:
        return Picamera2()
    except (OSError, RuntimeError, IndexError) as error:  # IndexError: libcamera lists no camera
        raise CameraError("no camera answers: check its cable, and that the overlay is switched on") from error


def _settle(camera: Any) -> None:
    """Let some frames pass before the one that is kept."""
    for _ in range(round(30 * SETTLE_S)):
        camera.capture_metadata()
