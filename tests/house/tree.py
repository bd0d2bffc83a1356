"""The files of the repository, as the checks of this folder read them."""

import os
import subprocess
from functools import cache
from pathlib import Path
from shutil import which

ROOT = Path(__file__).resolve().parent.parent.parent
SKIPPED = {".git", ".venv", ".demo", "artefacts", "dist", "build", "__pycache__", "node_modules"}
PYTHON = {".py", ".pyi"}
BINARY = {".png", ".ttf", ".webp", ".bin", ".zdict", ".woff2", ".ico", ".db", ".sqlite", ".ogg", ".mp3", ".jpg", ".gz"}


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository: what git tracks or would track; without git, everything outside the usual by-products."""
    names = _tracked() if which("git") and (ROOT / ".git").exists() else None
    if names is None:
        names = _walked()
    return tuple(sorted(ROOT / name for name in names if (ROOT / name).is_file()))


def _tracked() -> list[str] | None:
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return [each for each in told.stdout.split("\0") if each] if told.returncode == 0 else None


def _walked() -> list[str]:
    found: list[str] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [each for each in folders if each not in SKIPPED and not each.endswith((".egg-info", "_cache"))]
        found += [os.path.relpath(os.path.join(folder, each), ROOT) for each in names]
    return found


@cache
def text(path: Path) -> str:
    """The file's text; whatever is not UTF-8 stays visible as an escape."""
    return path.read_bytes().decode("utf-8", errors="backslashreplace")


def texts() -> list[Path]:
    """Files a person reads: no pictures, dictionaries, databases; nothing vendored."""
    return [path for path in files() if path.suffix not in BINARY and "vendor" not in path.parts and ".min." not in path.name]


def code(*folders: str) -> list[Path]:
    """Python files below the given folders of the repository."""
    return [path for path in files() if path.suffix in PYTHON and any(path.is_relative_to(ROOT / folder) for folder in folders)]


def name(path: Path) -> str:
    """The path as people say it: from the root of the repository."""
    return str(path.relative_to(ROOT))
