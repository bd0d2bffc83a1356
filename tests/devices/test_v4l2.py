"""USB cameras: numbers and shapes against the kernel's own; a real camera where the machine has one."""

import doctest
import io
import os
import struct
from pathlib import Path

import pytest
from PIL import Image

from appliance.devices import camera, v4l2
from appliance.devices.camera import CameraError


def test_the_numbers_are_those_of_the_kernel() -> None:
    """As strace prints them on a 64-bit machine; the sizes of the shapes are in them."""
    numbers = (v4l2.QUERYCAP, v4l2.S_FMT, v4l2.REQBUFS, v4l2.QUERYBUF, v4l2.QBUF, v4l2.DQBUF, v4l2.STREAMON, v4l2.STREAMOFF)
    assert [hex(one) for one in numbers] == [
        "0x80685600", "0xc0d05605", "0xc0145608", "0xc0585609", "0xc058560f", "0xc0585611", "0x40045612", "0x40045613",
    ]  # fmt: skip
    assert doctest.testmod(v4l2).failed == 0


@pytest.mark.parametrize(
    ("whole", "own", "able"),
    [
        (0x8500_0001, 0x0400_0001, True),  # a camera's first node
        (0x8500_0001, 0x0400_0000 | 0x0080_0000, False),  # its second: metadata
        (0x0400_0001, 0, True),  # an old driver that has one word only
        (0x0100_0001, 0, False),  # no streaming
        (0x8500_0002, 0x0400_0002, False),  # an output
    ],
)
def test_the_node_itself_says_what_it_can(whole: int, own: int, able: bool) -> None:
    """A UVC camera has two nodes with the same first word."""
    assert v4l2.able(struct.pack("=16s32s32sIII12x", b"uvcvideo", b"Camera", b"usb-1", 0x060100, whole, own)) is able


def test_a_size_is_asked_for_and_the_camera_answers_with_its_own() -> None:
    """And a camera that answers with another format is not used."""
    asked = v4l2.wanted(1920, 1080)
    assert v4l2.granted(asked) == (1920, 1080)
    assert asked.count(b"MJPG") == 1
    assert v4l2.granted(asked.replace(b"MJPG", b"YUYV")) is None


def test_only_a_whole_frame_is_a_picture() -> None:
    """What stands behind its end is left away; a frame without beginning or end is none."""
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 10, 10)).save(out, "JPEG")
    frame = out.getvalue()
    assert v4l2.whole(frame + bytes(300)) == frame
    assert v4l2.whole(frame[: len(frame) // 2]) is None
    assert v4l2.whole(frame[1:]) is None
    assert v4l2.whole(b"") is None


def test_nodes_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """And nothing else that begins like one."""
    for name in ("video10", "video2", "video0", "videos", "vide", "video-card"):
        (tmp_path / name).touch()
    assert [one.name for one in v4l2.nodes(tmp_path)] == ["video0", "video2", "video10"]


def test_a_node_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A plain file understands no ioctl: the camera error names the USB camera and what the kernel said."""
    (tmp_path / "video0").touch()
    with pytest.raises(CameraError, match="USB camera cannot be used"):
        camera.photograph(tmp_path)


def test_no_camera_at_all_names_both_ways(tmp_path: Path) -> None:
    """The packages for its own, and that none is on USB; nothing of the node's handle stays open."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CameraError, match=r"python3-picamera2.*no USB camera"):
        camera.photograph(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_real_camera_gives_a_picture() -> None:
    """On a machine with a camera at /dev/video*."""
    found = v4l2.nodes()
    if not found or not all(os.access(one, os.R_OK | os.W_OK) for one in found):
        pytest.skip("no /dev/video* that may be opened on this machine")
    photo = camera.photograph()
    image = Image.open(io.BytesIO(photo))
    image.load()
    assert min(image.size) >= 120
