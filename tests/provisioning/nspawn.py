"""A Debian 13 station in a container: real systemd, real ssh, no network but its own loopback.

The root file system is made once by mmdebstrap and kept in the user's cache under the hash of what went into it; each run
lays a folder of its own over it and leaves nothing behind: the mount lives in a namespace that ends with the container.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with ansible-core, without types

from tests.polling import until

ROOT = Path(__file__).resolve().parent.parent.parent
PROVISIONING = ROOT / "provisioning"
SUITE = "trixie"
BOOT = ("systemd-sysv", "udev", "dbus", "kmod", "openssh-server", "python3", "python3-apt", "sudo")
"""What a machine has before the roles come: it boots and answers ssh."""
LOOKING = ("grim", "wtype", "libxkbcommon-tools")
"""What only the tests use: a picture of the screen, keys on a keyboard that is not there, a keyboard's map in words."""
NEEDED = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "ssh": "openssh-client", "unshare": "util-linux"}
RECIPE = "1"
"""Raise it when the making of the root file system changes in a way the package list does not show."""


class MissingError(Exception):
    """No such container on this machine; the text says why."""


@dataclass(frozen=True)
class Machine:
    """A running container: `leader` is its first process, `place` a folder of ours outside it, `key` opens its ssh."""

    leader: int
    place: Path
    key: Path

    @property
    def files(self) -> Path:
        """Its root folder as it sees it."""
        return Path(f"/proc/{self.leader}/root")

    def run(self, *command: str, check: bool = True, network_alone: bool = False, **more: Any) -> subprocess.CompletedProcess[str]:
        """A command inside it; with `network_alone` a program of ours that sees its network and our files."""
        how = ["nsenter", "-t", str(self.leader), "-n" if network_alone else "-a"]
        found = subprocess.run([*how, *command], text=True, capture_output=True, check=False, **more)
        assert not check or found.returncode == 0, f"{command}: {found.returncode}\n{found.stdout[-6000:]}\n{found.stderr[-3000:]}"
        return found

    def said(self, *command: str) -> str:
        """What a command inside it printed."""
        return self.run(*command).stdout.strip()


def packages(more: Iterable[str] = ()) -> list[str]:
    """Debian's packages the roles ask for by default, and those a machine boots with: the container has no mirror of its own."""
    asked: set[str] = {*BOOT, *LOOKING, *more}
    for file in sorted(PROVISIONING.glob("roles/*/defaults/main.yml")):
        role = file.parent.parent.name
        asked |= set(yaml.safe_load(file.read_text()).get(f"{role}_packages") or ())
    return sorted(asked)


def refuse_where_it_cannot_be() -> None:
    """`MissingError` with the reason."""
    if os.geteuid() != 0:
        raise MissingError("a container with its own systemd needs root")
    lacking = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if lacking:
        raise MissingError(f"missing: apt-get install {' '.join(lacking)}")
    if subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False).returncode:
        raise MissingError("this machine gives no new namespaces")


def mirror() -> str:
    """The Debian mirror apt uses on this machine, taken at run time and kept nowhere."""
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(command, text=True, capture_output=True, check=False).stdout.splitlines()
    for line in lines:
        origin, _, url = line.split("|")
        if origin == "Debian":
            return url
    raise MissingError("apt on this machine knows no Debian mirror: apt-get update")


def root_file_system(more: Iterable[str] = ()) -> Path:
    """The cached root file system, made now if it is not there (some minutes). `MissingError` where it cannot be made."""
    wanted = packages(more)
    recipe = "\n".join([RECIPE, SUITE, *wanted])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tram-rig"
    cache.mkdir(parents=True, exist_ok=True)
    made = cache / f"{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _make(made, wanted)
    return made


def _make(made: Path, wanted: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=made.parent) as place:
        settings = Path(place) / "apt.conf"
        acquire = subprocess.run(["apt-config", "dump", "--format", '%F "%v";%n', "Acquire"], text=True, capture_output=True, check=True)
        settings.write_text(acquire.stdout + 'Acquire::Check-Valid-Until "false";\n')
        quiet = ["--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*"]
        source = f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror()} {SUITE} main"
        # In a namespace of its own: what it mounts ends with it, also when it is killed, and nobody clears away through a mount.
        command = [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            "--format=directory",
            f"--aptopt={settings}",
            *quiet,
        ]
        command += [f"--include={','.join(wanted)}", SUITE, f"{place}/root", source]
        found = subprocess.run(command, text=True, capture_output=True, check=False)
        if found.returncode:
            raise MissingError(f"mmdebstrap made no Debian 13 here (no mirror?): {found.stderr[-600:]}")
        os.rename(f"{place}/root", made)


@contextmanager
def machine(hostname: str, kept: Path | None = None, more: Iterable[str] = ()) -> Iterator[Machine]:
    """A booted machine that answers ssh for root with a key made for it; its power is cut at the end, and everything in it is gone.

    `kept`: an empty folder with a short path to begin in, which stays with the machine's card in it: given again, the same machine boots.
    `more`: Debian packages its card holds beside those the roles ask for by default.
    """
    refuse_where_it_cannot_be()
    base = root_file_system(more) if kept is None else _kept_base(kept)
    # Not in memory: a wheel-house and a virtual environment are laid over it. A short path: ssh's control sockets are in it.
    place = Path(tempfile.mkdtemp(prefix="tr", dir="/var/tmp")) if kept is None else kept
    name = f"tram-{os.getpid()}"  # a host's name: no underscore, which mkdtemp likes
    nspawn: subprocess.Popen[bytes] | None = None
    leader = 0
    try:
        key = place / "key" if (place / "key").exists() else _prepare(place, hostname)
        mount = f"lowerdir={base},upperdir={place}/upper,workdir={place}/work"
        boot = (
            'mount -t overlay overlay -o "$1" "$2" && exec systemd-nspawn --quiet -D "$2" -M "$3" --keep-unit --register=no'
            " --private-network --resolv-conf=off --timezone=off --console=pipe -b"
        )
        with (place / "console.log").open("wb") as log:
            nspawn = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", boot, "sh", mount, f"{place}/merged", name],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )  # fmt: skip
        leader = until(lambda: _leader(nspawn.pid, place), 60, every=0.1, what="the container's first process")
        running = Machine(leader, place, key)
        until(lambda: _greets(running), 120, every=0.2, what="ssh in the container")
        yield running
    finally:
        if leader:
            with suppress(ProcessLookupError):
                os.kill(leader, signal.SIGKILL)  # the first of a pid namespace takes all others with it
        if nspawn is not None:
            with suppress(subprocess.TimeoutExpired):
                nspawn.wait(30)
            if nspawn.poll() is None:
                nspawn.kill()
                nspawn.wait()
        with suppress(OSError):
            os.rmdir(f"/run/systemd/nspawn/propagate/{name}")
        if kept is None:
            shutil.rmtree(place)


def _kept_base(kept: Path) -> Path:
    """The root file system a kept machine was begun on: it stays the same, also when the roles ask for other packages meanwhile."""
    said = kept / "base"
    if not said.exists():
        said.write_text(str(root_file_system()))
    return Path(said.read_text())


def _prepare(place: Path, hostname: str) -> Path:
    """The layer over the root file system: a name, no fstab, an empty machine id, a key for ssh. The private key's path."""
    for each in ("upper/etc", "work", "merged"):
        (place / each).mkdir(parents=True)
    (place / "upper").chmod(0o755)
    (place / "upper/etc").chmod(0o755)
    (place / "upper/root/.ssh").mkdir(parents=True, mode=0o700)
    (place / "upper/root").chmod(0o700)
    (place / "upper/root/.ssh").chmod(0o700)
    key = place / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (place / "upper/root/.ssh/authorized_keys").write_text((place / "key.pub").read_text())
    for file, content in {"hostname": f"{hostname}\n", "fstab": "", "machine-id": "", "hosts": f"127.0.0.1 localhost {hostname}\n"}.items():
        (place / "upper/etc" / file).write_text(content)
    return key


def _leader(nspawn: int, place: Path) -> int:
    """The first process of the container; 0 while there is none. `MissingError` when nspawn ended."""
    state = Path(f"/proc/{nspawn}/stat").read_text().rpartition(")")[2].split()[0]
    if state == "Z":
        raise MissingError(f"systemd-nspawn does not run here: {(place / 'console.log').read_text(errors='replace')[-600:]}")
    children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
    for each in children:
        if Path(f"/proc/{each}/ns/pid").readlink() != Path("/proc/self/ns/pid").readlink():
            return int(each)
    return 0


def _greets(running: Machine) -> bool:
    greeting = "import socket; s = socket.create_connection(('127.0.0.1', 22), 2); assert s.recv(3) == b'SSH'"
    return running.run("python3", "-c", greeting, check=False, network_alone=True).returncode == 0
