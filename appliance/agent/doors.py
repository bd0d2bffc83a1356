"""A door of ours on this machine: a UNIX socket that our group alone may knock at, and the kernel's word for who does."""

import os
import socket
import struct
from pathlib import Path

from appliance.store.errors import Refused

PATH_BYTES = 107
"""The longest path of a UNIX socket (unix(7): 108 with its final zero)."""
MODE = 0o660
_PEER = struct.Struct("3i")
"""struct ucred (unix(7)): process, user, group."""


def listening(path: Path, kind: int, waiting: int) -> socket.socket:
    """The door at `path`, listening: `kind` is SOCK_STREAM or SOCK_SEQPACKET with its flags, `waiting` how many may stand before it.

    What stood there before is taken away. Nobody but us can knock until the mode is right. Refused where the path is too long.
    """
    if len(os.fsencode(path)) > PATH_BYTES:
        raise Refused(
            f"Đường dẫn {path} quá dài: đặt paths.run ngắn hơn.",
            f"{path}: a socket's path has at most {PATH_BYTES} bytes; use a shorter paths.run",
        )
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        door.bind(str(path))
    finally:
        os.umask(before)
    path.chmod(MODE)
    door.listen(waiting)
    return door


def peer(line: socket.socket) -> tuple[int, int]:
    """User and group of the process at the other end, by the kernel (SO_PEERCRED), not by what it says."""
    _process, user, group = _PEER.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return user, group
