"""What an image is made of is checked before anything is built; the plan says every step; the disk is what the plan says."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from images.layering import HERE, WrongImage, image, layer, packages_of, read_toml, roles_of, starts, steps, table

INVALID = sorted((HERE / "invalid").glob("*.toml"))
TARGETS = sorted(one.stem for one in (HERE / "targets").glob("*.toml"))


def values(folder: Path, **more: Any) -> dict[str, Any]:
    """Values that every target accepts."""
    for name in ("technician.pub", "release.pem", "wheels.tar", "bundle.crt"):
        (folder / name).write_text("a file of a test\n")
    keys = {"ssh_key": "technician.pub", "release_key": "release.pem", "wheelhouse": "wheels.tar", "bundle_cert": "bundle.crt"}
    files = {key: str(folder / name) for key, name in keys.items()}
    return {"mirror": "http://deb.example.org/debian", "bridge": "bridge.example.org", "version": "0.2.0", **files, **more}


@pytest.mark.parametrize("file", INVALID, ids=lambda one: one.stem)
def test_every_invalid_example_is_refused_by_its_key(file: Path) -> None:
    """Each file of images/invalid names in its first line the key it is refused for; the refusal has key, what was expected, an example."""
    wanted = file.read_text("utf-8").splitlines()[0].removeprefix("# refused: ")
    with pytest.raises(WrongImage) as error:
        _read(file)
    assert error.value.key == wanted
    assert error.value.file == file.name
    assert error.value.expected and error.value.example


def _read(file: Path) -> object:
    return layer(file) if file.name.startswith("layer-") else image("vm", "trixie", read_toml(file), file.name)


def test_there_are_invalid_examples_for_layers_and_for_values() -> None:
    """The folder is not empty by mistake."""
    assert {one.name.partition("-")[0] for one in INVALID} == {"layer", "values"}


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_can_be_planned(target: str, tmp_path: Path) -> None:
    """The layers of each target are accepted, no variable stays open, and the packages come before the disk."""
    made = image(target, "trixie", values(tmp_path))
    found = list(steps(made, tmp_path / "tram.img"))
    text = "\n".join(command for _, command in found)
    assert not re.search(r"(?<!\$)\{(hostname|ssh_key|release_key|cma_mb|pi_kernel|mirror|wheelhouse|version|board)\}", text)
    titles = [title for title, _ in found]
    assert (
        titles.index("packages")
        < titles.index("roles")
        < titles.index("partition table")
        < titles.index("root A")
        < titles.index("checksums")
    )
    assert "losetup" not in text and "mount " not in text


def test_an_unknown_target_or_suite_is_refused(tmp_path: Path) -> None:
    """The refusal names the ones there are."""
    with pytest.raises(WrongImage, match="pi4, pi5, vm, vm-arm64"):
        image("pi3", "trixie", values(tmp_path))
    with pytest.raises(WrongImage, match="trixie"):
        image("vm", "bookworm", values(tmp_path))


def test_the_target_says_the_board_and_nobody_else(tmp_path: Path) -> None:
    """A bundle for another board must never fit: the image's board is its target's name."""
    for target in TARGETS:
        assert image(target, "trixie", values(tmp_path)).values["board"] == target
    with pytest.raises(WrongImage) as error:
        image("pi4", "trixie", values(tmp_path, board="vm"))
    assert error.value.key == "board"


def test_raspberry_pis_archive_stands_beside_debians(tmp_path: Path) -> None:
    """Its address and its key come together, and its kernel can be chosen; without them nothing but Debian is asked."""
    where = {"pi_mirror": "http://pi.example.org/debian", "pi_keyring": "/usr/share/keyrings/pi.gpg"}
    made = image("pi4", "trixie", values(tmp_path, pi_kernel="linux-image-rpi-v8", **where))
    assert "linux-image-rpi-v8" in packages_of(made) and "linux-image-arm64" not in packages_of(made)
    command = dict(steps(made, tmp_path / "t.img"))["packages"]
    assert "deb [signed-by=/usr/share/keyrings/pi.gpg] http://pi.example.org/debian trixie main" in command
    assert "pi.example.org" not in dict(steps(image("pi4", "trixie", values(tmp_path)), tmp_path / "t.img"))["packages"]
    with pytest.raises(WrongImage) as error:
        image("pi4", "trixie", values(tmp_path, pi_mirror=where["pi_mirror"]))
    assert error.value.key == "pi_keyring"


def test_the_command_prints_the_plan_or_the_reason(tmp_path: Path) -> None:
    """--plan needs no root and is a shell script without a mistake in it; a wrong value ends with 78 and says what to write."""
    file = tmp_path / "values.toml"
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values(tmp_path).items()))
    command = [sys.executable, str(HERE / "build"), "vm", "--values", str(file), "--out", str(tmp_path / "a b.img"), "--plan"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert subprocess.run(["sh", "-n"], input=done.stdout, text=True, check=False).returncode == 0
    file.write_text(file.read_text() + "root_mb = 5\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "from 1024 to 8192" in done.stderr and "2048" in done.stderr


def test_partitions_follow_each_other_without_overlap(tmp_path: Path) -> None:
    """Firmware, two roots of one size, data: each begins where the one before ends."""
    made = image("vm", "trixie", values(tmp_path, firmware_mb=64, root_mb=1024, data_mb=100))
    sizes = [int(found) * 512 for found in re.findall(r"size=(\d+)", table(made))]
    assert sizes == [64 << 20, 1024 << 20, 1024 << 20, 100 << 20]
    begin = starts(made)
    assert begin[0] == 4 << 20
    assert [one + size for one, size in zip(begin, sizes, strict=True)][:3] == begin[1:]


@pytest.mark.skipif(
    not all(shutil.which(one, path="/usr/bin:/usr/sbin:/sbin:/bin") for one in ("sfdisk", "mkfs.vfat", "mcopy", "mke2fs", "debugfs")),
    reason="needs the Debian packages fdisk, dosfstools, mtools and e2fsprogs",
)
def test_the_disk_is_laid_out_as_declared_without_root(tmp_path: Path) -> None:
    """The disk's own steps, run on a small root: the table has four partitions, root A has the files, the firmware what starts it."""
    made, out = image("vm", "trixie", values(tmp_path, firmware_mb=64, root_mb=1024, data_mb=64)), tmp_path / "tram.img"
    root = tmp_path / "tram.root"
    for name in ("boot/vmlinuz-1", "boot/firmware/grub/grub.cfg", "etc/hostname"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name}\n")
    wanted = ("partition table", "firmware", "root A", "root B (empty: the first update fills it)", "data")
    script = ["set -eu", "PATH=$PATH:/usr/sbin:/sbin", f"ROOT={root}", f"OUT={out}"]
    script += [f"# {title}\n{command}" for title, command in steps(made, out) if title in wanted or title.startswith("partitions: etc")]
    done = subprocess.run(["sh"], input="\n".join(script), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(["/usr/bin/env", "PATH=/usr/sbin:/sbin", "sfdisk", "-d", str(out)], capture_output=True, text=True, check=True)
    assert len(re.findall(r"start=", listed.stdout)) == 4
    first = tmp_path / "a.ext4"
    with out.open("rb") as source, first.open("wb") as target:
        source.seek(starts(made)[1])
        target.write(source.read(1024 << 20))
    shown = subprocess.run(["/usr/sbin/debugfs", "-R", "cat /etc/fstab", str(first)], capture_output=True, text=True, check=True)
    assert "LABEL=FIRMWARE /boot/firmware" in shown.stdout and " / ext4" not in shown.stdout
    started = subprocess.run(
        ["mcopy", "-i", f"{out}@@{starts(made)[0]}", "::/grub/grub.cfg", "-"], capture_output=True, text=True, check=True
    )
    assert started.stdout == "boot/firmware/grub/grub.cfg\n"
    assert not (root / "boot/firmware/grub").exists(), "the firmware's files are twice on the card"


def test_the_roles_get_the_values_as_what_they_are(tmp_path: Path) -> None:
    """A number stays a number and a table a table on the way into Ansible; what all boxes would share is made by the first boot."""
    cuff = {"cuff": {"driver": "suntech-nibp", "port": "/dev/tram/cuff"}}
    made = image("vm", "trixie", values(tmp_path, hostname="tram-0007", shard=7, devices=json.dumps(cuff)))
    found = roles_of(made)
    assert (found["station_id"], found["station_shard"], found["station_devices"]) == ("tram-0007", 7, cuff)
    assert found["base_offline"] is True and found["storage_run"] is False
    commands = [command for _, command in steps(made, tmp_path / "tram.img")]
    assert any('rm -f "$ROOT/etc/tram/store.key"' in one for one in commands)


def test_the_packages_of_the_roles_are_there_before_the_roles_run(tmp_path: Path) -> None:
    """What a role would install is in the list that the root file system is made from: inside there is no network."""
    made = image("vm", "trixie", values(tmp_path))
    assert {"chrony", "nftables", "network-manager", "cage", "chromium", "rauc", "grub-efi-amd64-bin"} <= set(packages_of(made))


@pytest.mark.skipif(
    not all(shutil.which(one, path="/usr/bin:/usr/sbin:/sbin:/bin") for one in ("sfdisk", "mkfs.vfat", "mcopy")),
    reason="needs the Debian packages fdisk, dosfstools and mtools",
)
def test_a_firmware_that_does_not_fit_ends_the_build(tmp_path: Path) -> None:
    """What is too large for its partition is no image: the step fails, and no partition is left without what starts the box."""
    made, out = image("vm", "trixie", values(tmp_path, firmware_mb=64, root_mb=1024, data_mb=64)), tmp_path / "tram.img"
    (tmp_path / "tram.root/boot/firmware").mkdir(parents=True)
    (tmp_path / "tram.root/boot/firmware/kernel").write_bytes(bytes(65 << 20))
    script = ["set -eu", "PATH=$PATH:/usr/sbin:/sbin", f"ROOT={tmp_path}/tram.root", f"OUT={out}"]
    script += [command for title, command in steps(made, out) if title in ("partition table", "firmware")]
    done = subprocess.run(["sh"], input="\n".join([*script, "echo went on"]), text=True, capture_output=True, check=False)
    assert done.returncode != 0 and "went on" not in done.stdout, done.stderr


def test_an_emulated_processor_gets_no_unchecked_allow_list(tmp_path: Path) -> None:
    """Where the role cannot have nft look at the list, the build does; where it can, the role does, and the build does not ask again."""
    for target in TARGETS:
        made = image(target, "trixie", values(tmp_path))
        titles = [title for title, _ in steps(made, tmp_path / "tram.img")]
        unchecked = roles_of(made).get("hardening_check", True) is False
        assert unchecked == ("allow-list" in titles) == (made.architecture != "amd64")
        assert not unchecked or titles.index("roles") < titles.index("allow-list") < titles.index("partition table")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft", path="/usr/sbin:/sbin"), reason="needs root and the package nftables")
@pytest.mark.parametrize(("rule", "good"), [("tcp dport 22 accept", True), ("tcp dport two accept", False)])
def test_the_build_refuses_an_allow_list_that_nft_refuses(rule: str, good: bool, tmp_path: Path) -> None:
    """The list's own text and what other roles add to it: a mistake in either ends the build."""
    made, out, root = image("pi4", "trixie", values(tmp_path)), tmp_path / "a b.img", tmp_path / "a b.root"
    (root / "etc/nftables.d").mkdir(parents=True)
    listed = "table inet tram {\n  chain input {\n    type filter hook input priority filter; policy drop;\n    %s\n  }\n}\n"
    look = dict(steps(made, out))["allow-list"]
    script = ["set -eu", "PATH=$PATH:/usr/sbin:/sbin", f"ROOT='{root}'", f"OUT='{out}'", look, "echo went on"]
    for own, added in ((rule, "iif lo accept"), ("iif lo accept", rule)):
        (root / "etc/nftables.conf").write_text(listed % own + 'include "/etc/nftables.d/*.nft"\n')
        (root / "etc/nftables.d/50-more.nft").write_text(listed % added)
        done = subprocess.run(["sh"], input="\n".join(script), text=True, capture_output=True, check=False)
        assert ("went on" in done.stdout) is good, done.stderr


def test_every_variable_the_roles_get_is_one_of_theirs() -> None:
    """A role's variable that was renamed is found here and not in an image that ignores it."""
    known = "\n".join(file.read_text("utf-8") for file in (HERE.parent / "provisioning/roles").glob("*/meta/argument_specs.yml"))
    asked = {key for file in (HERE / "layers").glob("*.toml") for key in layer(file).roles}
    assert asked and [key for key in sorted(asked) if f"      {key}:\n" not in known] == []


def test_no_layer_brings_a_password_or_a_key_of_everybody() -> None:
    """What two images have in common opens neither: no password, no private key, no host key."""
    text = "\n".join(
        file.read_text("utf-8") for file in HERE.rglob("*") if file.is_file() and not {"invalid", "__pycache__"} & set(file.parts)
    )
    assert not re.search(r"BEGIN [A-Z ]*PRIVATE|chpasswd|passwd --stdin|\$6\$|\$y\$", text)
    assert "ssh_host_*" in text and "--lock root" in text


def test_the_list_of_parts_is_cyclonedx(tmp_path: Path) -> None:
    """Each package becomes one component with its package URL; the same list gives the same bytes."""
    listed = tmp_path / "list"
    listed.write_text("libc6\t2.41-12\tamd64\ng++\t4:14.2\tamd64\n")
    said = tmp_path / "venv/lib/python3.13/site-packages/Some_Thing-1.2.dist-info/METADATA"
    said.parent.mkdir(parents=True)
    said.write_text("Metadata-Version: 2.1\nName: Some_Thing\nVersion: 1.2\n\nVersion: no header\n")
    command = [sys.executable, str(HERE / "sbom"), str(listed), str(tmp_path / "venv")]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    found = json.loads(first)
    assert first == second
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.5")
    assert [one["purl"] for one in found["components"]] == [
        "pkg:deb/debian/libc6@2.41-12?arch=amd64", "pkg:deb/debian/g%2B%2B@4%3A14.2?arch=amd64", "pkg:pypi/some-thing@1.2",
    ]  # fmt: skip
