"""What the publisher runs: a key once, then a signed release from a wheel-house, which a box with that key takes."""

import hashlib
import io
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

from appliance.agent.release import open_release, trusted, unpack
from images.layering import HERE
from tests.agent.updating import wheel


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """images/release with these words."""
    return subprocess.run([sys.executable, str(HERE / "release"), *map(str, words)], capture_output=True, text=True, check=False)


def test_a_wheel_house_becomes_a_release_that_its_key_opens(tmp_path: Path) -> None:
    """The private key is its owner's alone, an existing one is never overwritten, and the public one opens what was signed."""
    assert run("--new-key", tmp_path / "release").returncode == 0
    assert stat.S_IMODE((tmp_path / "release.key").stat().st_mode) == 0o600
    assert run("--new-key", tmp_path / "release").returncode != 0
    with tarfile.open(tmp_path / "wheels.tar", "w") as archive:
        for name, content in wheel("1.0.0").items():
            one = tarfile.TarInfo(f"./{name}")
            one.size = len(content)
            archive.addfile(one, io.BytesIO(content))
    done = run(tmp_path / "wheels.tar", "--key", tmp_path / "release.key", "--out", tmp_path / "tram.tram")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "tram.tram").open("rb") as source:
        found, archive = open_release(source, trusted(tmp_path / "release.pem"))
        (tmp_path / "wheels").mkdir()
        unpack(found, archive, tmp_path / "wheels")
    assert (found.version, found.schema, found.python, found.machine) == ("1.0.0", 3, "any", "any")


def test_what_is_no_wheel_house_makes_no_release(tmp_path: Path) -> None:
    """Without our own wheel there is nothing to publish, and no half a file is left."""
    assert run("--new-key", tmp_path / "release").returncode == 0
    tarfile.open(tmp_path / "wheels.tar", "w").close()
    done = run(tmp_path / "wheels.tar", "--key", tmp_path / "release.key", "--out", tmp_path / "tram.tram")
    assert done.returncode == 2 and "one wheel of tram" in done.stderr
    assert not list(tmp_path.glob("tram.tram*"))


def test_an_image_is_checked_by_its_signature_and_its_sums(tmp_path: Path) -> None:
    """What was signed passes; another image, other sums, another key and a missing signature each get a sentence."""
    for name in ("release", "stranger"):
        run("--new-key", tmp_path / name)
    (tmp_path / "tram.img").write_bytes(b"an image")
    sums = tmp_path / "tram.img.sha256"
    sums.write_text(f"{hashlib.sha256(b'an image').hexdigest()}  tram.img\n")

    def checked(key: str = "release") -> subprocess.CompletedProcess[str]:
        return run("--check", sums, "--pem", tmp_path / f"{key}.pem")

    assert "sig is missing" in checked().stderr
    assert run("--sign", sums, "--key", tmp_path / "release.key").returncode == 0
    assert checked().returncode == 0
    assert checked("stranger").returncode == 1
    (tmp_path / "tram.img").write_bytes(b"another image")
    assert "is not what the list says" in checked().stderr
    sums.write_text(f"{hashlib.sha256(b'another image').hexdigest()}  tram.img\n")
    assert "signature does not fit" in checked().stderr


def test_a_list_that_is_not_whole_or_not_true_is_not_signed(tmp_path: Path) -> None:
    """An image whose build was cut off, or that changed after its sums were made, gets no signature."""
    run("--new-key", tmp_path / "release")
    sums = tmp_path / "tram.img.sha256"
    for content, said in (("", "names no file"), (f"{hashlib.sha256(b'1').hexdigest()}  tram.img\n", "is not what the list says")):
        (tmp_path / "tram.img").write_bytes(b"2")
        sums.write_text(content)
        done = run("--sign", sums, "--key", tmp_path / "release.key")
        assert done.returncode == 2 and said in done.stderr
        assert not (tmp_path / "tram.img.sha256.sig").exists()
