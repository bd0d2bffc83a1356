"""Bundles of the whole: signed, refused when one byte changed, when older than what runs, when without a version."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from images.layering import HERE

PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
NEEDED = ("rauc", "mksquashfs", "mke2fs")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """images/bundle with these words."""
    return subprocess.run([sys.executable, str(HERE / "bundle"), *map(str, words)], capture_output=True, text=True, check=False)


def a_root(folder: Path, program: str = "0.1.0") -> Path:
    """A root with a program in it, and nothing else."""
    (folder / f"opt/tram/releases/1/venv/lib/python3.13/site-packages/tram-{program}.dist-info").mkdir(parents=True)
    (folder / "etc").mkdir()
    return folder


def told(bundle: Path, keyring: Path) -> subprocess.CompletedProcess[str]:
    """What RAUC says of a bundle after it has looked at its signature."""
    words = ["rauc", "info", f"--keyring={keyring}", str(bundle)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "PATH": PATH})


@pytest.mark.skipif(
    not all(shutil.which(one, path=PATH) for one in NEEDED), reason="needs the Debian packages rauc, squashfs-tools and e2fsprogs"
)
def test_a_bundle_is_signed_and_one_changed_byte_is_refused(tmp_path: Path) -> None:
    """The certificate of its key opens it and no other does; one byte of the signed part is enough to be refused."""
    for name in ("bundle", "stranger"):
        assert run("--new-key", tmp_path / name).returncode == 0
    assert stat.S_IMODE((tmp_path / "bundle.key").stat().st_mode) == 0o600
    assert run("--new-key", tmp_path / "bundle").returncode != 0
    bundle = tmp_path / "tram.raucb"
    done = run("vm", "--root", a_root(tmp_path / "root"), "--version", "0.3.0", "--key", tmp_path / "bundle.key",
               "--cert", tmp_path / "bundle.crt", "--out", bundle)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = told(bundle, tmp_path / "bundle.crt")
    assert found.returncode == 0 and "tram-vm" in found.stdout and "0.3.0" in found.stdout and "verity" in found.stdout, found
    assert told(bundle, tmp_path / "stranger.crt").returncode != 0
    content = bytearray(bundle.read_bytes())
    place = content.rindex(b"version=0.3.0")
    content[place + 8] ^= 1
    bundle.write_bytes(content)
    assert told(bundle, tmp_path / "bundle.crt").returncode != 0
    assert list(tmp_path.glob(".bundle-*")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pi9",), "pi4, pi5, vm"),
        (("vm", "--version", "neu"), "0.3.0"),
        (("vm", "--version", "1.0"), "expected one program"),
        (("vm", "--level", "23"), "--level 23: expected 1 to 22"),
    ],
)
def test_what_cannot_be_a_bundle_is_refused_with_an_example(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """An unknown board, a version that is none, a root without a program: a sentence, and no file."""
    (tmp_path / "empty").mkdir()
    more = ("--version", "1.0") if "--version" not in words else ()
    done = run(*words, *more, "--root", tmp_path / "empty", "--key", "k", "--cert", "c", "--out", tmp_path / "out.raucb")
    assert done.returncode == 2 and said in done.stderr
    assert not (tmp_path / "out.raucb").exists()


def box(folder: Path, image: str, program: str) -> Path:
    """A box's root folder as the check sees it: the image's version, and a program that says its own."""
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/tram-image").write_text(image + "\n")
    tram = folder / "opt/tram/current/bin/tram"
    tram.parent.mkdir(parents=True)
    tram.write_text(f"#!/bin/sh\necho tram {program}\n")
    tram.chmod(0o755)
    return folder


def asked(root: Path, image: str, program: str) -> subprocess.CompletedProcess[str]:
    """The box's own check of a bundle with these versions, as RAUC calls it."""
    source = root.with_name("bundle")
    source.mkdir()
    for name, text in (("version", image), ("program", program)):
        if text:
            (source / name).write_text(text + "\n")
    environment = {"RAUC_UPDATE_SOURCE": str(source), "TRAM_ROOT": str(root)}
    # The system's Python, as on the box: -I and no package of ours.
    words = [sys.executable, "-I", str(HERE / "files/tram-refuse-bundle")]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(("image", "program"), [("0.3.0", "0.2.0"), ("0.2.0", "0.2.0"), ("0.10.0", "0.2.1")])
def test_the_same_or_a_newer_bundle_passes(image: str, program: str, tmp_path: Path) -> None:
    """Numbers are compared as numbers: 0.10 is after 0.2."""
    found = asked(box(tmp_path / "box", "0.2.0", "0.2.0"), image, program)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize(
    ("image", "program", "said"),
    [
        ("0.1.9", "0.2.0", "The image in this bundle is 0.1.9, older than 0.2.0"),
        ("0.3.0", "0.1.0", "The program in this bundle is 0.1.0, older than 0.2.0"),
        ("", "0.2.0", "no version of its image"),
        ("0.3.0", "", "no version of its program"),
        ("0.3.0-beta", "0.2.0", "no version of its image"),
    ],
)
def test_an_older_bundle_is_refused_with_a_sentence(image: str, program: str, said: str, tmp_path: Path) -> None:
    """An older image, or one that would take the program back, or one that does not say: nothing is written."""
    found = asked(box(tmp_path / "box", "0.2.0", "0.2.0"), image, program)
    assert found.returncode == 1 and said in found.stderr and "không cài" in found.stderr.lower()


def test_a_box_whose_program_does_not_answer_takes_the_bundle(tmp_path: Path) -> None:
    """Such a box needs it most."""
    root = box(tmp_path / "box", "0.2.0", "0.2.0")
    shutil.rmtree(root / "opt")
    assert asked(root, "0.2.0", "0.1.0").returncode == 0


def test_every_script_of_the_box_is_one_its_shell_reads() -> None:
    """A shell script with a mistake in it would be found on a box that does not start."""
    scripts = [file for file in (HERE / "files").iterdir() if file.read_text("utf-8").startswith("#!/bin/sh")]
    assert len(scripts) >= 3
    for file in scripts:
        assert subprocess.run(["sh", "-n", str(file)], check=False).returncode == 0, file.name
