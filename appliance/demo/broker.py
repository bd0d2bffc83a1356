"""The demo's broker: mosquitto where it is installed, else the pip-installable iotcore (MQTT 3.1.1 only), always on 127.0.0.1 alone.

Neither keeps anything on disk: nothing that keeps readings safe depends on a broker's memory (decision: application receipts).
"""

import importlib.util
import os
import pwd
import shutil
import socket
import sys
from pathlib import Path

from appliance.demo.children import Program

KINDS = ("auto", "mosquitto", "iotcore")
PLACES = "/usr/sbin:/sbin:/usr/local/sbin"
"""Debian puts mosquitto into /usr/sbin, which is not on everybody's PATH."""

_CONF = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
log_type error
log_type warning
log_type notice
log_dest stderr
"""


class BrokerError(OSError):
    """No broker of the wished kind is installed; the text says how to get one."""


def find(kind: str = "auto") -> str:
    """``mosquitto`` or ``iotcore``: which broker of the wished kind is installed. BrokerError when there is none."""
    if kind in ("auto", "mosquitto") and _mosquitto():
        return "mosquitto"
    if kind in ("auto", "iotcore") and importlib.util.find_spec("iotcore") is not None:
        return "iotcore"
    wanted = "mosquitto (apt-get install mosquitto)" if kind == "mosquitto" else "iotcore (pip install 'tram[demo]')"
    raise BrokerError(f"no MQTT broker: {wanted} is missing")


def program(kind: str, port: int, folder: Path) -> Program:
    """The command of a broker of `kind` (as `find` says) on 127.0.0.1:`port`.

    `folder` takes its settings file; everybody may read it.
    """
    if kind == "mosquitto":
        conf = folder / "mosquitto.conf"
        conf.write_text(_CONF.format(port=port))
        conf.chmod(0o644)
        return Program("broker", (str(_mosquitto()), "-c", str(conf)), rights=_nobody())
    # its log speaks of every packet as an error; the demo only needs to know whether it runs
    quiet = ("--log-level", "CRITICAL")
    command = (sys.executable, "-W", "ignore", "-m", "iotcore", "--listen", "127.0.0.1", "--port", str(port), *quiet)
    return Program("broker", command)


def answers(port: int) -> bool:
    """True when somebody accepts connections on 127.0.0.1:`port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_ports(number: int) -> list[int]:
    """So many different TCP ports of 127.0.0.1 that nobody listened on a moment ago."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _mosquitto() -> str | None:
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:{PLACES}")


def _nobody() -> tuple[str, ...]:
    """Started by root, mosquitto would change its user by itself and lose the death signal with it: it gets its user before."""
    if os.geteuid() != 0:
        return ()
    somebody = pwd.getpwnam("nobody")
    return (f"--reuid={somebody.pw_uid}", f"--regid={somebody.pw_gid}", "--clear-groups")
