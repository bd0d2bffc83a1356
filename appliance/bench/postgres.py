"""A PostgreSQL of the bench's own: an empty cluster on a Unix socket, gone with the bench. It waits for its disk as in service."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def postgres() -> Iterator[str | None]:
    """The URL of an empty database, or None where this machine has no PostgreSQL."""
    initdb, server = _find("initdb"), _find("postgres")
    if initdb is None or server is None:
        yield None
        return
    place = Path(tempfile.mkdtemp(prefix="tram-pg-", dir="/tmp"))
    rights = _rights(place)
    running = None
    try:
        made = [initdb, "-D", str(place / "data"), "-U", "tram", "-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run([*rights, *made], check=True, stdout=subprocess.DEVNULL, cwd=place, timeout=120)
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={place}"]
        command = [*rights, server, "-D", str(place / "data"), *options]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=place)
        _wait(place, running)
        yield f"postgresql+psycopg://tram@/postgres?host={place}"
    finally:
        if running is not None and running.poll() is None:
            running.send_signal(signal.SIGINT)
            running.wait(30)
        shutil.rmtree(place, ignore_errors=True)


def _find(name: str) -> str | None:
    places = [str(one) for one in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return shutil.which(name, path=":".join([*places, os.environ.get("PATH", os.defpath)]))


def _rights(place: Path) -> list[str]:
    """PostgreSQL does not run as root: then as ``postgres`` or ``nobody``, who get the folder."""
    if os.geteuid() != 0:
        return []
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            who = pwd.getpwnam(name)
            os.chown(place, who.pw_uid, who.pw_gid)
            return ["setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--pdeathsig", "KILL", "--"]
    return []


def _wait(place: Path, running: subprocess.Popen[bytes]) -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while running.poll() is None and time.monotonic() < deadline:
        with suppress(psycopg.OperationalError):
            psycopg.connect(f"host={place} user=tram dbname=postgres", connect_timeout=2).close()
            return
        time.sleep(0.05)
    raise OSError("the bench's PostgreSQL did not start")
