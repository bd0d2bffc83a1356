"""A Raspberry Pi's image without a board: what it is made of, or the built one taken apart; parts of script/rig, as root.

    .venv/bin/python -m tests.images.rig_pi                  what it is made of, fetched and unpacked (some minutes, nothing emulated)
    .venv/bin/python -m tests.images.rig_pi --built pi4      built under qemu-user (half an hour and more), and looked at by content
    .venv/bin/python -m tests.images.rig_pi --built pi4 --folder F      an image that is there (tram.img, values.toml and its keys)
    .venv/bin/python -m tests.images.rig_pi --started --folder F        a Pi 4's image that is there, started as a Raspberry Pi 3

The first shows that the packages can be had, what is in them and how large they are; the second that they and the roles come to a whole
card, and what is on it; the third that its kernel finds that card on a Pi's own card reader, and that the station stands there. None
shows that a board's firmware starts it.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from images.layering import DISK, Image, image, packages_of, read_toml, starts, steps, table
from tests.images import machine
from tests.images.rig_boot import ROOT, Made, Results, build, first_start, looked_at, report, run, second_start
from tests.provisioning.nspawn import MissingError, mirror, refuse_where_it_cannot_be

TREES = {"pi4": "bcm2711-rpi-4-b.dtb", "pi5": "bcm2712-rpi-5-b.dtb"}
"""The device tree each board's firmware asks for, as the mainline kernel names it."""
ARM64 = 183
"""EM_AARCH64 in an ELF file's header (bytes 18 and 19)."""
RP1 = "CONFIG_MISC_RP1="
"""The kernel's setting for the chip that carries a Pi 5's USB, Ethernet and GPIO."""


MODELS = {"pi4": b"raspberrypi,4-model-b", "pi5": b"raspberrypi,5-model-b"}
"""What the board's tree says of itself."""
CARD = ("sdhci-iproc", "mmc_block", "ext4")
"""What finds the root on a Pi's card: in the kernel, or in what it starts with."""
MOST_MB = 1536
"""How large a root may be with the screen."""
ENABLED = (
    "ssh.service", "nftables.service", "chrony.service", "NetworkManager.service", "tram-first-boot.service",
    "tram-settle.service", "tram-kiosk.service", "tram-screen.service", "tram-accepted.path", "tram-slots.service", "tram-good.service",
)  # fmt: skip
"""What a station's first start needs, beside what starts these."""
USERS = ("tram-init", "tram-collect", "tram-carry", "tram-kiosk", "tram-safe", "tram-screen")
"""A user for each program, made by the roles."""


def cached(name: str) -> Path:
    """A folder that outlives the run."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tram-rig" / name


def declared(folder: Path, target: str) -> Image:
    """The target with values that fit; keys and wheels are only named in it, so empty files do."""
    names = {"ssh_key": "key.pub", "release_key": "release.pem", "bundle_cert": "bundle.crt", "wheelhouse": "wheels.tar"}
    for name in names.values():
        (folder / name).touch()
    files = {key: str(folder / name) for key, name in names.items()}
    return image(target, "trixie", {"mirror": mirror(), "bridge": "bridge.example.org", "version": "0.2.0", **files})


def unpacked(made: Image, root: Path) -> None:
    """Every package of the image, fetched and unpacked."""
    source = f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {made.values['mirror']} {made.suite} main non-free-firmware"
    how = ["unshare", "--mount", "--propagation", "private", "mmdebstrap", "--quiet", "--mode=root", "--variant=extract"]
    run(*how, f"--architectures={made.architecture}", f"--include={','.join(packages_of(made))}", made.suite, root, source)


def machine_of(file: Path) -> int:
    """The processor an ELF program is for; 0 for anything else."""
    with file.open("rb") as source:
        head = source.read(20)
    return int.from_bytes(head[18:20], "little") if head[:4] == b"\x7fELF" else 0


def unpacked_looked_at(root: Path, made: Image, results: Results) -> None:
    """Programs for that processor alone, the boards' trees, the firmware, the sizes."""
    programs = [one for one in (root / "usr/bin").iterdir() if one.is_file() and not one.is_symlink()]
    kinds = {machine_of(one) for one in [*programs, root / "usr/lib/chromium/chromium", root / "usr/bin/rauc"]}
    assert kinds - {0} == {ARM64}, kinds
    results.note("programs in /usr/bin, Chromium, RAUC", "all for arm64")
    kernel = next((root / "boot").glob("vmlinuz-*"))
    version = kernel.name.removeprefix("vmlinuz-")
    trees = {one.name for one in (root / f"usr/lib/linux-image-{version}/broadcom").glob("bcm27*.dtb")}
    for target, tree in TREES.items():
        results.note(f"device tree of {target}", tree if tree in trees else "MISSING")
    assert set(TREES.values()) <= trees
    said = (root / f"boot/config-{version}").read_text("utf-8")
    results.note(f"Debian's kernel {version}: the Pi 5's USB, Ethernet and GPIO (RP1)", "has a driver" if RP1 in said else "no driver")
    firmware = root / "usr/lib/raspi-firmware"
    assert (firmware / "start4.elf").is_file() and (firmware / "fixup4.dat").is_file() and (firmware / "overlays").is_dir()
    blobs = sum(one.stat().st_size for one in firmware.rglob("*") if one.is_file()) >> 20
    slot = kernel.stat().st_size + sum(one.stat().st_size for one in (root / f"usr/lib/linux-image-{version}/broadcom").iterdir()) >> 20
    results.note("firmware and its overlays", f"{blobs} MB; a kernel with its trees {slot} MB without initrd, twice on the card")
    assert blobs + 2 * (slot + 48) < int(made.values["firmware_mb"]), "the firmware's partition is too small"
    used = sum(one.lstat().st_blocks for one in root.rglob("*")) * 512 >> 20
    results.note("unpacked, with all documentation and languages", f"{used} MB of {made.values['root_mb']} MB for a root")


def wheels(folder: Path, results: Results) -> None:
    """The program and all it needs, for that processor, by hash."""
    run(ROOT / "provisioning/wheelhouse", folder / "arm.tar", "3.13", "aarch64")
    with tarfile.open(folder / "arm.tar") as archive:
        names = [one for one in archive.getnames() if one.endswith(".whl")]
    foreign = [one for one in names if not one.endswith(("aarch64.whl", "any.whl"))]
    assert len(names) > 20 and foreign == [], foreign
    results.note("the program's wheels for aarch64 and Python 3.13", f"{len(names)}, by hash")


# --- the built one ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """A card taken apart: the folders of its firmware and of root A, the image they came from and what that was declared as."""

    image: Path
    made: Image
    firmware: Path
    root: Path

    def inside(self, *words: str) -> str:
        """A program of the card's own, run under emulation with the firmware in its place; what it printed."""
        how = ["systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--private-network", "--resolv-conf=off", "--timezone=off"]
        more = ["--link-journal=no", "--console=pipe", "--setenv=QEMU_CPU=cortex-a72", f"--bind={self.firmware}:/boot/firmware"]
        return run("env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", *how, *more, "-D", self.root, *words).stdout.strip()


def taken_apart(file: Path, made: Image, place: Path) -> Card:
    """The card's own file systems, not the folder it was made from; each is whole."""
    firmware, root = place / "firmware", place / "root"
    firmware.mkdir()
    root.mkdir()
    first, *others = starts(made)
    run("mcopy", "-s", "-n", "-i", f"{file}@@{first}", "::/", firmware)
    for start in others:
        run("/usr/sbin/e2fsck", "-f", "-n", f"{file}?offset={start}")
    run("/usr/sbin/debugfs", "-R", f"rdump / {root}", f"{file}?offset={others[0]}")
    return Card(file, made, firmware, root)


def partitions(card: Card, results: Results) -> None:
    """The table as declared, and inside the image to its end."""
    found = json.loads(run("/usr/sbin/sfdisk", "--json", card.image).stdout)["partitiontable"]
    said = [(int(start), int(size)) for start, size in re.findall(r"start=(\d+), size=(\d+)", table(card.made))]
    assert (found["label"], found["id"]) == ("dos", f"0x{DISK}")
    assert [(one["start"], one["size"]) for one in found["partitions"]] == said
    assert [one["type"] for one in found["partitions"]] == ["c", "83", "83", "83"] and found["partitions"][0]["bootable"]
    assert (said[-1][0] + said[-1][1]) * 512 == card.image.stat().st_size
    sizes = " + ".join(f"{size // 2048}" for _, size in said)
    results.note("partitions: firmware, root A, root B, data", f"{sizes} MB as declared; every file system of ext4 whole (e2fsck -fn)")


def firmware_of(card: Card, target: str, results: Results) -> None:
    """What the board reads before Linux: the firmware, and in folder a/ the kernel of root A with its trees and its command line."""
    top, slot = card.firmware, card.firmware / "a"
    config = dict(line.split("=", 1) for line in (top / "config.txt").read_text().splitlines() if "=" in line and line[0] != "#")
    assert (config["os_prefix"], config["kernel"], config["cmdline"], config["upstream_kernel"]) == ("a/", "vmlinuz", "cmdline.txt", "1")
    assert (top / "start4.elf").is_file() and (top / "fixup4.dat").is_file() and not (top / "b").exists()
    beside = [one.name for one in top.iterdir() if re.match("vmlinuz|initrd|.*dtb$|overlays$|cmdline", one.name)]
    assert beside == [], f"a second kernel beside the folders: {beside}"
    results.note("config.txt", f"os_prefix={config['os_prefix']}, upstream_kernel={config['upstream_kernel']}; no kernel beside the folder")
    kernel = next((card.root / "boot").glob("vmlinuz-*"))
    version = kernel.name.removeprefix("vmlinuz-")
    assert (slot / "vmlinuz").read_bytes() == kernel.read_bytes() and kernel.read_bytes()[56:60] == b"ARM\x64"
    assert (slot / "initrd.img").read_bytes() == (card.root / f"boot/initrd.img-{version}").read_bytes()
    tree = (slot / TREES[target]).read_bytes()
    assert tree[:4] == b"\xd0\x0d\xfe\xed" and MODELS[target] in tree
    trees, overlays = len(list(slot.glob("*.dtb"))), {one.name: one.read_bytes() for one in (slot / "overlays").iterdir()}
    assert overlays == {one.name: one.read_bytes() for one in (card.root / "usr/lib/raspi-firmware/overlays").iterdir()}
    count = sum(name.endswith(".dtbo") for name in overlays)
    results.note("folder a/", f"kernel {version} and its initrd as in root A, {TREES[target]} of {trees} trees, {count} overlays")
    said = (slot / "cmdline.txt").read_text()
    assert {f"root=PARTUUID={DISK}-02", "rauc.slot=A", "rootwait", f"cma={card.made.values['cma_mb']}M"} <= set(said.split()), said
    assert (slot / "whole").read_text().strip() == card.made.values["version"] == (card.root / "etc/tram-image").read_text().strip()
    listed = card.inside("lsinitramfs", f"/boot/initrd.img-{version}")
    built = (card.root / f"usr/lib/modules/{version}/modules.builtin").read_text()
    where = {one: "in the kernel" if f"/{one}.ko" in built else "in the initrd" if f"/{one}.ko" in listed else "" for one in CARD}
    assert all(where.values()), where
    results.note("what finds the root on the card", ", ".join(f"{one} {found}" for one, found in where.items()))
    used = sum(one.stat().st_size for one in top.rglob("*") if one.is_file()) >> 20
    slot_mb = sum(one.stat().st_size for one in slot.rglob("*") if one.is_file()) >> 20
    assert used + slot_mb < int(card.made.values["firmware_mb"]) * 9 // 10, "the other root's kernel does not fit"
    results.note("firmware's partition", f"{used} MB of {card.made.values['firmware_mb']}, {slot_mb} of them folder a/: room for b/")
    answers = [card.inside("/usr/local/lib/tram/slots", *words) for words in (["get-primary"], ["get-state", "A"], ["get-state", "B"])]
    assert answers == ["A", "good", "bad"]
    results.note("the card's own answers to RAUC", "next A; A good, B (empty) bad")


def station_of(card: Card, results: Results) -> None:
    """What the roles left: units, users, rules, the allow-list, RAUC's settings."""
    state = {one: run("systemctl", f"--root={card.root}", "is-enabled", one).stdout.strip() for one in ENABLED}
    assert set(state.values()) <= {"enabled", "alias"}, state
    results.note("units enabled", f"{len(state)} asked for, all")
    lines = [line.split(":") for line in (card.root / "etc/passwd").read_text().splitlines()]
    ours = {line[0]: line for line in lines if line[0].startswith("tram")}
    assert set(USERS) <= set(ours) and len({line[2] for line in ours.values()}) == len(ours)
    assert all(line[6] in ("/usr/sbin/nologin", "/bin/false", "/sbin/nologin") for line in ours.values()), ours
    secrets = [line.split(":")[1] for line in (card.root / "etc/shadow").read_text().splitlines()]
    assert all(one[:1] in ("!", "*") for one in secrets), "somebody has a password"
    results.note("users of the station's programs", f"{len(ours)}, none with a shell; nobody on the card has a password")
    rules = sorted(one.name for one in (card.root / "etc/udev/rules.d").glob("*tram*.rules"))
    bound = json.loads(card.made.values["devices"])
    assert bool(rules) == bool(bound), (rules, bound)
    if rules:
        card.inside("udevadm", "verify", *(f"/etc/udev/rules.d/{name}" for name in rules))
    results.note("udev's rules", f"{', '.join(rules)}: taken by udevadm verify" if rules else "none: this image's values name no device")
    script = f"set -eu; ROOT='{card.root}' OUT='{card.root}.list'\n" + dict(steps(card.made, card.image))["allow-list"]
    run("sh", "-c", script)
    assert "policy drop" in (card.root / "etc/nftables.conf").read_text()
    results.note("allow-list", "taken by nft --check on the machine that built it")
    rauc = (card.root / "etc/rauc/system.conf").read_text()
    assert f"compatible=tram-{card.made.target}\n" in rauc and "bootloader=custom\n" in rauc and "grub" not in rauc
    results.note("RAUC", f"takes bundles for tram-{card.made.target}, asks the card's own script which root starts")


def own_of(card: Card, results: Results) -> None:
    """Nothing that two cards would share, and nobody comes in but the technician."""
    root = card.root
    names = ("etc/tram/store.key", "etc/tram/station.key", "root/.ansible", "root/.cache", "var/lib/dbus/machine-id")
    left = [one for one in names if (root / one).exists() and not (root / one).is_symlink()]
    left += [str(one) for pattern in ("etc/ssh/ssh_host_*", "root/.ssh/*") for one in root.glob(pattern)]
    left += [str(one) for one in (root / "etc").rglob("*") if one.is_file() and b"PRIVATE KEY" in one.read_bytes()]
    assert left == [] and (root / "etc/machine-id").read_text() == "", left
    assert (root / "etc/tram/ssh/authorized_keys").read_bytes() == Path(card.made.values["ssh_key"]).read_bytes()
    results.note("keys, host keys, machine id", "none left; one public key may come in by ssh")


def program_of(card: Card, results: Results) -> None:
    """The program's own start under emulation, with the station's settings; everything that is compiled is for that processor."""
    said = card.inside("/opt/tram/current/bin/tram", "--version")
    wheel = next(card.root.glob("opt/tram/releases/*/venv/lib/python3*/site-packages/tram-*.dist-info")).name
    assert said == "tram " + wheel.removeprefix("tram-").removesuffix(".dist-info"), said
    card.inside("/opt/tram/current/bin/tram", "config", "--check", "/etc/tram/tram.toml")
    results.note("the program, run under emulation", f"{said}; takes the settings on the card")
    files = [one for one in (card.root / "usr/bin").iterdir() if not one.is_symlink()]
    files += [one for one in (card.root / "opt/tram").rglob("*.so*") if not one.is_symlink()]
    kinds = [kind for one in files if one.is_file() and (kind := machine_of(one))]
    assert set(kinds) == {ARM64}, set(kinds)
    results.note("programs in /usr/bin and the wheels' libraries", f"{len(kinds)}, all for arm64")


def sized(card: Card, results: Results) -> None:
    """Root A as its own file system counts it."""
    said = run("/usr/sbin/dumpe2fs", "-h", f"{card.image}?offset={starts(card.made)[1]}").stdout
    count, free, size = (
        int(re.findall(rf"^{name}:\s+(\d+)", said, re.MULTILINE)[0]) for name in ("Block count", "Free blocks", "Block size")
    )
    used = (count - free) * size >> 20
    assert used <= MOST_MB, f"root A has {used} MB"
    results.note("root A", f"{used} MB used (wanted: at most {MOST_MB}) of {count * size >> 20} MB")


def built(target: str, folder: Path | None) -> None:
    """Build it, or take what is there; look at the card."""
    machine.refuse_without_emulation()
    results, began, busy = Results(), time.monotonic(), os.getloadavg()[0]
    place = folder or cached(target)
    if not (place / "tram.img.sha256").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        build(place, cached("packages"), target)
    looked_at(Made(place, place / "tram.img", target), results)
    made = image(target, "trixie", read_toml(place / "values.toml"))
    apart = place / "apart"
    shutil.rmtree(apart, ignore_errors=True)
    apart.mkdir()
    try:
        card = taken_apart(place / "tram.img", made, apart)
        partitions(card, results)
        firmware_of(card, target, results)
        sized(card, results)
        station_of(card, results)
        own_of(card, results)
        program_of(card, results)
    finally:
        shutil.rmtree(apart)
    how = "built and looked at under qemu-user, the processor of a Pi 4; no board"
    report(target, results, time.monotonic() - began, busy, how)


# --- started ----------------------------------------------------------------------------------------------------------------------------

PI3 = "bcm2837-rpi-3-b.dtb"
"""The tree of the one Raspberry Pi that QEMU 7.2 is and Debian's kernel runs on; it comes with the same kernel."""


def started(folder: Path) -> None:
    """The card in a Pi 3's reader: first start, its own hardware, second start."""
    results, began, busy = Results(), time.monotonic(), os.getloadavg()[0]
    made = image("pi4", "trixie", read_toml(folder / "values.toml"))
    apart = folder / "apart"
    shutil.rmtree(apart, ignore_errors=True)
    apart.mkdir()
    try:
        card = taken_apart(folder / "tram.img", made, apart)
        (tree,) = card.root.glob(f"usr/lib/linux-image-*/broadcom/{PI3}")
        with machine.started_as_pi3(card.image, folder / "technician", card.firmware / "a", tree) as guest:
            try:
                before = first_start(guest, results)
                hardware(guest, results)
                # As at the start: armed for the restart, QEMU's watchdog would be a power cut.
                guest.ssh(
                    "mkdir -p /run/systemd/system.conf.d; printf '[Manager]\\nRebootWatchdogSec=0\\n' >/run/systemd/system.conf.d/rig.conf"
                )
                guest.ssh("systemctl daemon-reexec")
                second_start(guest, before, results)
            except AssertionError:
                print(guest.console[-3000:], file=sys.stderr)
                raise
    finally:
        shutil.rmtree(apart)
    how = "QEMU emulating (TCG, raspi3b, 1 GB), which stands in the firmware's place"
    report("pi4 boot", results, time.monotonic() - began, busy, how)


def hardware(guest: machine.Guest, results: Results) -> None:
    """What belongs to the board and not to a virtual machine."""
    model = guest.ssh("tr -d '\\0' </proc/device-tree/model")
    assert model.startswith("Raspberry Pi 3 Model B"), model
    memory = guest.ssh("free -m | sed -n 's/^Mem: *\\([0-9]*\\).*/\\1/p'")
    results.note("the board, as its tree says; memory", f"{model}; {memory} MB")
    root = guest.ssh("findmnt -no SOURCE / || true; lsblk -no NAME,MOUNTPOINTS")
    assert {"mmcblk0p2", "mmcblk0p4"} <= {line.strip("├─└ ").split()[0] for line in root.splitlines() if "/" in line}, root
    results.note("root and data", "partitions 2 and 4 of the card in the board's own reader (mmcblk0)")
    watchdog = guest.ssh("readlink /sys/class/watchdog/watchdog0/device/driver; cat /proc/cmdline")
    assert "/bcm2835-wdt\n" in watchdog and "systemd.watchdog_sec=0" in watchdog, watchdog
    results.note("the board's watchdog", "its driver is there; not armed, because QEMU's resets at once")
    answers = guest.ssh("/usr/local/lib/tram/slots get-current; /usr/local/lib/tram/slots get-primary")
    assert answers.split() == ["A", "A"], answers
    chips = guest.ssh("for f in /sys/bus/gpio/devices/gpiochip*; do basename $(readlink -f $f/..); done")
    results.note("GPIO", ", ".join(chips.split()))


def main() -> int:
    """Run; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--built", choices=sorted(TREES), help="build this board's image and take it apart")
    parser.add_argument("--started", action="store_true", help="start a Pi 4's image that is there as a Raspberry Pi 3")
    parser.add_argument("--folder", type=Path, help="where the image is made, or lies already")
    said = parser.parse_args()
    try:
        refuse_where_it_cannot_be()
        if said.built:
            built(said.built, said.folder)
        if said.started:
            started(said.folder or cached("pi4"))
        if said.built or said.started:
            return 0
    except (MissingError, machine.MissingError) as missing:
        print(f"rig: {missing}", file=sys.stderr)
        return 1
    parts_of()
    return 0


def parts_of() -> None:
    """What it is made of, fetched and unpacked."""
    place = cached("pi")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    results, began, busy = Results(), time.monotonic(), os.getloadavg()[0]
    try:
        made = declared(place, "pi4")
        assert packages_of(made) == packages_of(declared(place, "pi5"))
        unpacked(made, place / "root")
        # Each has a folder with its licence; dpkg keeps no list of what was only unpacked.
        count = len(list((place / "root/usr/share/doc").iterdir()))
        results.note("Debian packages for arm64, fetched and unpacked", f"{len(packages_of(made))} named, {count} with what they need")
        unpacked_looked_at(place / "root", made, results)
        wheels(place, results)
        report("pi", results, time.monotonic() - began, busy, "nothing emulated")
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    sys.exit(main())
