"""What a Raspberry Pi's image is made of, looked at without a board and without emulation; part of script/rig (some minutes, as root).

    .venv/bin/python -m tests.images.rig_pi

Every Debian package of the target is fetched for arm64 and unpacked, none is set up: that would run programs for another processor.
So it shows that the list can be had, what is in it and how large it is; it does not show that the image starts.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from images.layering import Image, image, packages_of
from tests.images.rig_boot import ROOT, Results, report, run
from tests.provisioning.nspawn import MissingError, mirror, refuse_where_it_cannot_be

TREES = {"pi4": "bcm2711-rpi-4-b.dtb", "pi5": "bcm2712-rpi-5-b.dtb"}
"""The device tree each board's firmware asks for, as the mainline kernel names it."""
ARM64 = 183
"""EM_AARCH64 in an ELF file's header (bytes 18 and 19)."""
RP1 = "CONFIG_MISC_RP1="
"""The kernel's setting for the chip that carries a Pi 5's USB, Ethernet and GPIO."""


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


def looked_at(root: Path, made: Image, results: Results) -> None:
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


def main() -> int:
    """Run; its exit code."""
    try:
        refuse_where_it_cannot_be()
    except MissingError as missing:
        print(f"rig: {missing}", file=sys.stderr)
        return 1
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tram-rig/pi"
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
        looked_at(place / "root", made, results)
        wheels(place, results)
        emulated = subprocess.run(["sh", "-c", "command -v qemu-aarch64-static"], capture_output=True, check=False).returncode == 0
        results.note(
            "set up, with roles and first start", f"not tried (emulation of the processor {'is' if emulated else 'is not'} installed)"
        )
        report("pi", results, time.monotonic() - began, busy, "nothing emulated")
    finally:
        shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
