"""Releases made for tests: small wheels that behave like ours, signed with a key of the test, and a box to put them on."""

import io
import os
import signal
import sys
import zipfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.agent import update
from appliance.agent.release import pack
from appliance.settings import load
from tests.store.station import settings_at

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)

_CLI = """
import sys
from appliance import __version__

def main():
    said = sys.argv[1:]
    if {wrong!r} and said[:1] == [{wrong!r}]:
        print("planted fault", file=sys.stderr)
        return 1
    if said == ["--version"]:
        print("tram", __version__)
    return 0

if __name__ == "__main__":
    sys.exit(main())
"""


def wheel(version: str, *, schema: int = 3, wrong: str = "") -> dict[str, bytes]:
    """A wheel of a program that calls itself tram `version`; the command that begins with the word `wrong` fails in it."""
    meta = f"tram-{version}.dist-info"
    files = {
        "appliance/__init__.py": f'__version__ = "{version}"\n',
        "appliance/store/__init__.py": "",
        "appliance/store/version.py": f"SCHEMA = {schema}\nMIN_READER = 1\n",
        "appliance/cli.py": _CLI.format(wrong=wrong),
        f"{meta}/METADATA": f"Metadata-Version: 2.1\nName: tram\nVersion: {version}\n",
        f"{meta}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{meta}/entry_points.txt": "[console_scripts]\ntram = appliance.cli:main\n",
    }
    files[f"{meta}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{meta}/RECORD"))
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return {f"tram-{version}-py3-none-any.whl": content.getvalue()}


def release(folder: Path, version: str, *, key: Ed25519PrivateKey = KEY, schema: int = 3, wrong: str = "") -> Path:
    """A signed release in a file of `folder`."""
    out = folder / f"tram-{version}{wrong}.tram"
    pack(wheel(version, schema=schema, wrong=wrong), key, out)
    return out


def box(folder: Path) -> update.Place:
    """A box with settings and the public key; no store and no release yet."""
    if not (folder / "tram.toml").exists():
        settings_at(folder)
    public = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "release.pem").write_bytes(public)
    file = folder / "tram.toml"
    return update.Place(folder / "opt", folder / "release.pem", [file], load([file]))


def quickly(wheels: Path, venv: Path, say: update.Say) -> None:
    """An environment like pip's, in milliseconds: an interpreter, the unpacked wheel, a program."""
    say("environment")
    base = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    packages = venv / f"lib/python3.{sys.version_info[1]}/site-packages"
    (venv / "bin").mkdir(parents=True)
    packages.mkdir(parents=True)
    (venv / "bin/python").symlink_to(base)
    (venv / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    say("install")
    for one in wheels.glob("*.whl"):
        with zipfile.ZipFile(one) as archive:
            archive.extractall(packages)
    program = venv / "bin/tram"
    program.write_text(f'#!/bin/sh\nexec "{venv}/bin/python" -I -m appliance.cli "$@"\n')
    program.chmod(0o755)


def quiet(_step: str) -> None:
    """Nobody listens."""


def main() -> None:
    """A whole update that is killed at the start of one step: BOX FILE STEP."""
    place, file, last = box(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]

    def say(step: str) -> None:
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)

    update.update(place, file, say, quickly, update.unasked)


if __name__ == "__main__":
    main()
