"""The one door to the box's cameras: its own (CSI), else one on USB. Nothing else in the project imports picamera2.

picamera2 belongs to the distribution's libcamera and exists only on the box: it is imported when a photo is taken. Where it is
missing, or finds no camera, the USB cameras are asked; where there is none either, the error names the packages. A camera
is on for the length of one photo, and off otherwise.
"""

import io
from pathlib import Path
from typing import Any

from appliance.devices import v4l2
from appliance.devices.errors import DeviceError

PACKAGES = "python3-picamera2 python3-libcamera"
SIDE = 2304, 1296
"""Pixels: above what is kept of a picture (1,600), within what a small box can hold twice."""
SETTLE_S = 1.0
"""Exposure and white balance find themselves in about a second (libcamera's usual 30 frames)."""


class CameraError(DeviceError):
    """The camera cannot be used now: wait and try again, or install what the text names."""

    def __init__(self, text: str) -> None:
        super().__init__("camera", text)
        self.text = text


def photograph(folder: Path = Path("/dev")) -> bytes:
    """One photo as JPEG bytes, as the camera sees it now; CameraError. `folder` is where the video nodes of USB cameras are."""
    try:
        camera = _open()
    except CameraError as error:
        photo = _over_usb(folder)
        if photo is None:
            raise CameraError(f"{error.text}; and no USB camera is there") from error
        return photo
    return _own(camera)


def _over_usb(folder: Path) -> bytes | None:
    """A photo of the first USB camera that gives one; None where there is none, CameraError when it cannot be used."""
    failed: OSError | None = None
    for node in v4l2.nodes(folder):
        try:
            return v4l2.grab(node)
        except v4l2.NotThisOneError:
            continue
        except OSError as error:  # a second node of one camera, or one in use: another may answer
            failed = error
    if failed is not None:
        raise CameraError(f"the USB camera cannot be used: {failed}") from failed
    return None


def _own(camera: Any) -> bytes:
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
