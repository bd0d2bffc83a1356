"""A virtual machine that starts our image by its own boot loader: QEMU with UEFI, spoken to over ssh and QEMU's monitor.

Emulated (TCG) unless the processor's own virtualisation is there: a writable /dev/kvm alone is no sign, under KVM-PVM no kernel of
Debian's runs.
"""

import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import servers
from tests.polling import until

NEEDED = {
    "qemu-img": "qemu-utils", "mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "rauc": "rauc",
    "mksquashfs": "squashfs-tools", "mcopy": "mtools", "mkfs.vfat": "dosfstools", "mosquitto": "mosquitto",
}  # fmt: skip
FOREIGN = {"qemu-aarch64-static": "qemu-user-static", "arch-test": "arch-test", "nft": "nftables"}
"""What an image for another processor is built with besides."""
CARD_GB = 8
"""How large the card is that the image is put on: its data partition takes what is left. QEMU's card reader wants a power of two."""


class MissingError(Exception):
    """No such machine here; the text says why."""


@dataclass(frozen=True)
class Kind:
    """A machine that one of our images is for: its processor as the kernel names it, QEMU's program, machine and emulated processor."""

    processor: str
    program: str
    package: str
    machine: str
    emulated: str
    firmware: tuple[tuple[str, str], ...]
    firmware_package: str

    @property
    def found(self) -> tuple[Path, Path] | None:
        """UEFI's code and the file its variables begin with; None where they are not installed."""
        files = ((Path("/usr/share") / code, Path("/usr/share") / store) for code, store in self.firmware)
        return next((pair for pair in files if pair[0].exists()), None)

    @property
    def native(self) -> bool:
        """Whether this machine's programs are for the same processor."""
        return platform.machine() == self.processor

    @property
    def virtual(self) -> list[str]:
        """How the processor is had: its own virtualisation, or emulated by two threads."""
        real = any(Path(f"/sys/module/{name}").exists() for name in ("kvm_intel", "kvm_amd"))
        if self.native and real and os.access("/dev/kvm", os.W_OK):
            return ["-accel", "kvm", "-cpu", "host"]
        return ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", self.emulated]


KINDS = {
    "vm": Kind(
        "x86_64", "qemu-system-x86_64", "qemu-system-x86", "q35", "max,-pku,-la57",
        (("OVMF/OVMF_CODE_4M.fd", "OVMF/OVMF_VARS_4M.fd"), ("OVMF/OVMF_CODE.fd", "OVMF/OVMF_VARS.fd")), "ovmf",
    ),
    # A Pi 4's processor; one that signs return addresses costs several times as much to emulate.
    "vm-arm64": Kind(
        "aarch64", "qemu-system-aarch64", "qemu-system-arm", "virt,gic-version=3", "cortex-a72",
        (("AAVMF/AAVMF_CODE.fd", "AAVMF/AAVMF_VARS.fd"),), "qemu-efi-aarch64",
    ),
}  # fmt: skip
"""The targets that a machine in QEMU starts."""


def refuse_where_it_cannot_be(target: str = "vm") -> None:
    """`MissingError` with the Debian packages that are missing, or because nobody is root, or nothing runs that processor's programs."""
    kind = KINDS[target]
    if os.geteuid() != 0:
        raise MissingError("an image is built and started as root")
    needed = {kind.program: kind.package, **NEEDED, **({} if kind.native else FOREIGN)}
    lacking = [package for program, package in needed.items() if servers.find(program) is None]
    lacking += [] if kind.found else [kind.firmware_package]
    if lacking:
        raise MissingError(f"missing: apt-get install --no-install-recommends {' '.join(lacking)}")
    if not kind.native:
        refuse_without_emulation()


def refuse_without_emulation() -> None:
    """`MissingError` where the kernel hands an ARM program to no emulator: qemu-user-static is installed, and not registered."""
    if subprocess.run(["arch-test", "arm64"], capture_output=True, check=False).returncode:
        how = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc; update-binfmts --enable qemu-aarch64"
        raise MissingError(f"programs for ARM do not run here; with the package binfmt-support: {how}")


@dataclass
class Guest:
    """A running machine. `place` is its folder, `key` opens its ssh, `port` is where that is reached."""

    place: Path
    key: Path
    port: int
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.monotonic)
    target: str = "vm"

    @property
    def console(self) -> str:
        """What the serial console has said so far."""
        return (self.place / "console.log").read_text("utf-8", "replace")

    def ssh(self, command: str, *, check: bool = True, said: str = "", within: float = 300) -> str:
        """A shell's command inside, as root; what it printed."""
        words = [
            "ssh", "-i", str(self.key), "-p", str(self.port), "-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={self.place}/known", "-o", f"ControlPath={self.place}/ssh", "-o", "ControlMaster=auto",
            "-o", "ControlPersist=600", "-o", "ConnectTimeout=60", "-o", "LogLevel=ERROR", "root@127.0.0.1", command,
        ]  # fmt: skip
        found = subprocess.run(words, input=said, capture_output=True, text=True, check=False, timeout=within)
        if check and found.returncode:
            raise AssertionError(f"{command}: {found.returncode}\n{found.stdout[-3000:]}\n{found.stderr[-3000:]}")
        return (found.stdout + ("" if check else found.stderr)).strip()

    def put(self, file: Path, to: str) -> None:
        """A file of ours into the machine."""
        words = ["-i", str(self.key), "-P", str(self.port), "-o", f"ControlPath={self.place}/ssh", "-q", str(file), f"root@127.0.0.1:{to}"]
        subprocess.run(["scp", *words], check=True)

    def greets(self) -> bool:
        """Whether ssh answers; a look every few seconds, because the allow-list counts new connections."""
        if self.process.poll() is not None:
            raise AssertionError(f"the machine ended: {self.console[-2000:]}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 20) as line:
            return line.recv(3) == b"SSH"
        return False

    def wait(self, within: float = 600) -> float:
        """Seconds from the start (or from `again`) until ssh answered."""
        until(self.greets, within, every=4, what="ssh of the machine")
        return time.monotonic() - self.began

    def again(self, within: float = 600) -> float:
        """Restart it from inside; seconds until ssh answered again."""
        was = self.boot()
        self.ssh("systemctl --no-block reboot", check=False)
        self.forget()
        self.began = time.monotonic()
        return self.returned(was, within)

    def returned(self, was: str, within: float = 600) -> float:
        """Seconds until it answers under another boot id than `was`."""

        def new() -> bool:
            self.forget()
            with suppress(AssertionError, subprocess.TimeoutExpired):
                return self.greets() and self.boot() != was
            return False

        until(new, within, every=4, what="the machine after its restart")
        return time.monotonic() - self.began

    def forget(self) -> None:
        """Close the shared ssh connection: the machine at its other end is going."""
        words = ["ssh", "-o", f"ControlPath={self.place}/ssh", "-O", "exit", "root@127.0.0.1"]
        subprocess.run(words, capture_output=True, check=False)

    def boot(self) -> str:
        """The id of this boot."""
        return self.ssh("cat /proc/sys/kernel/random/boot_id")

    def monitor(self, command: str) -> str:
        """One line to QEMU's monitor; what it answered."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(20)
            line.connect(str(self.place / "monitor"))
            _until_prompt(line)
            line.sendall(command.encode() + b"\n")
            said = _until_prompt(line)
            assert "Error" not in said, f"{command}: {said}"
            return said


def _until_prompt(line: socket.socket) -> str:
    said = b""
    while not said.endswith(b"(qemu) "):
        part = line.recv(4096)
        if not part:
            break
        said += part
    return said.decode("utf-8", "replace")


@contextmanager
def started(image: Path, key: Path, stick: Path | None = None, target: str = "vm") -> Iterator[Guest]:
    """The image on a larger card, started; the card is thrown away at the end, the image left as it was. `stick`: a USB stick's image."""
    kind = KINDS[target]
    assert kind.found is not None, f"no UEFI: {kind.firmware_package}"
    code, store = kind.found

    def words(place: Path, port: int) -> list[str]:
        shutil.copy(store, place / "vars.fd")
        found = [
            kind.program, "-machine", kind.machine, *kind.virtual, "-smp", "2", "-m", "1536", "-nodefaults",
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}",
            "-drive", f"if=pflash,format=raw,unit=1,file={place}/vars.fd",
            "-drive", f"file={place}/card.qcow2,if=none,id=card,format=qcow2", "-device", "virtio-blk-pci,drive=card,bootindex=0",
            "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-device", "virtio-rng-pci", "-device", "qemu-xhci,id=usb", "-serial", f"file:{place}/console.log",
        ]  # fmt: skip
        if stick is not None:
            found += ["-drive", f"file={stick.absolute()},if=none,id=stick,format=raw,readonly=on"]
            # Port 1 is for what a rig plugs in while it runs.
            found += ["-device", "usb-storage,drive=stick,bus=usb.0,port=2"]
        return found

    with _started(image, key, words, target) as guest:
        yield guest


@contextmanager
def started_as_pi3(image: Path, key: Path, boot: Path, tree: Path) -> Iterator[Guest]:
    """A Raspberry Pi's image in QEMU's Raspberry Pi 3 B (1 GB; the card reader and USB of its BCM2837), started.

    QEMU stands in the firmware's place: it hands over kernel, initrd and command line of `boot` (the slot's folder on the card) with the
    Pi 3's `tree`. It has no Pi 4 that Debian's kernel runs on.
    """
    # QEMU's watchdog of this board has no clock: it resets the machine in the moment it is armed.
    line = f"{(boot / 'cmdline.txt').read_text('utf-8').strip()} console=ttyS1,115200 systemd.watchdog_sec=0"

    def words(place: Path, port: int) -> list[str]:
        return [
            "qemu-system-aarch64", "-machine", "raspi3b", "-accel", "tcg,thread=multi,tb-size=512",
            "-kernel", str(boot / "vmlinuz"), "-initrd", str(boot / "initrd.img"), "-dtb", str(tree), "-append", line,
            "-drive", f"file={place}/card.qcow2,if=sd,format=qcow2",
            "-usb", "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "usb-net,netdev=net",
            "-serial", "null", "-serial", f"file:{place}/console.log",
        ]  # fmt: skip

    with _started(image, key, words, "pi4") as guest:
        yield guest


@contextmanager
def _started(image: Path, key: Path, words: Callable[[Path, int], list[str]], target: str) -> Iterator[Guest]:
    """QEMU with what `words` says for a folder with the card in it and a port for ssh."""
    place = Path(tempfile.mkdtemp(prefix="tq", dir="/var/tmp"))
    process: subprocess.Popen[bytes] | None = None
    try:
        card = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", image.absolute(), place / "card.qcow2", f"{CARD_GB}G"]
        subprocess.run([str(one) for one in card], check=True)
        port = servers.free_port()
        said = [*words(place, port), "-display", "none", "-monitor", f"unix:{place}/monitor,server=on,wait=off"]
        (place / "console.log").touch()
        # Not the leader of its session: a simulated device's line would become its terminal, and the end of it its end.
        process = servers.start(["sh", "-c", '"$@" & wait "$!"', "sh", *said], place / "qemu.log")
        yield Guest(place, key, port, process, target=target)
    finally:
        if process is not None:
            servers.stop(process)
        shutil.rmtree(place)
