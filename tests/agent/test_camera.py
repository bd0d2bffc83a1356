"""`tram camera`'s socket: one photo for one who asks, an empty answer when there is none, nobody else is heard."""

import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.agent.camera import NAME, Shutter
from appliance.devices.camera import photograph
from appliance.store.errors import Refused

PHOTO = b"\xff\xd8\xff" + bytes(range(256)) * 2000


def ask(path: Path) -> bytes:
    """What a kiosk gets."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(5)
        line.connect(str(path))
        return b"".join(iter(lambda: line.recv(65_536), b""))


def answered(shutter: Shutter, asks: Callable[[], bytes]) -> bytes:
    """Ask while the shutter turns."""
    heard: list[bytes] = []
    asking = threading.Thread(target=lambda: heard.append(asks()), daemon=True)
    asking.start()
    while asking.is_alive():
        shutter.turn(0.02)
    return heard[0]


def test_whoever_may_ask_gets_one_photo(tmp_path: Path) -> None:
    """The whole photo, again with every asking; the socket is for owner and group alone."""
    path = tmp_path / NAME
    shutter = Shutter(path, take=lambda: PHOTO, allowed=lambda _uid, _gid: True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert answered(shutter, lambda: ask(path)) == PHOTO
    assert answered(shutter, lambda: ask(path)) == PHOTO
    shutter.close()
    assert not path.exists()


def test_a_stranger_gets_nothing_and_no_photo_is_taken(tmp_path: Path) -> None:
    """The kernel says who is at the other end."""
    taken: list[int] = []

    def take() -> bytes:
        taken.append(1)
        return PHOTO

    shutter = Shutter(tmp_path / NAME, take=take, allowed=lambda _uid, _gid: False)
    assert answered(shutter, lambda: ask(tmp_path / NAME)) == b""
    assert taken == []
    shutter.close()


def test_no_camera_is_an_empty_answer_and_the_program_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A machine without one: the journal names the packages, the next one who asks is answered too."""
    shutter = Shutter(tmp_path / NAME, take=photograph, allowed=lambda _uid, _gid: True)
    for _ in range(2):
        assert answered(shutter, lambda: ask(tmp_path / NAME)) == b""
    assert "python3-picamera2" in caplog.text
    shutter.close()


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    """In words, before anything is made."""
    with pytest.raises(Refused):
        Shutter(tmp_path / ("x" * 120) / NAME, take=lambda: b"", allowed=lambda _uid, _gid: True)
