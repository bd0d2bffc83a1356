"""What the publisher runs: a key once, then a signed release from a wheel-house, which a box with that key takes."""

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
