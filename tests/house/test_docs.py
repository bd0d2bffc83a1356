"""What the documents tell people to do exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT, code, files, name, text
from tests.journey import manual

MARKDOWN = [path for path in files() if path.suffix == ".md"]


def commands() -> dict[str, str]:
    """Every line of a shell block in the documents, with the place it stands."""
    found: dict[str, str] = {}
    for path in MARKDOWN:
        for block in re.findall(r"```(?:sh|console|shell|bash)\n(.*?)```", text(path), re.S):
            for line in block.splitlines():
                command = line.removeprefix("$ ").removeprefix("sudo ").strip()
                if command and not command.startswith("#"):
                    found.setdefault(command, name(path))
    return found


def test_the_readme_shows_both_commands() -> None:
    """One command to see it work, one to test it."""
    shown = [command for command, place in commands().items() if place == "README.md"]
    assert "script/demo" in shown and "script/test" in shown


def test_scripts_that_documents_name_exist() -> None:
    """Each script/… in a document is an executable file, and each `make` word a target."""
    targets = set(re.findall(r"^([a-z]+):", text(ROOT / "Makefile"), re.M))
    wrong = []
    for path in MARKDOWN:
        scripts = set(re.findall(r"(?<![\w/.-])script/[a-z]+(?![a-z.])", text(path)))
        wrong += [f"{name(path)}: {script}" for script in scripts if not os.access(ROOT / script, os.X_OK)]
        wrong += [f"{name(path)}: make {word}" for word in re.findall(r"`make ([a-z]+)`", text(path)) if word not in targets]
    assert not wrong


def test_make_offers_only_what_is_there() -> None:
    """Each target that calls a script calls one that exists, and `make` alone lists every target."""
    makefile = text(ROOT / "Makefile")
    assert all((ROOT / script).is_file() for script in re.findall(r"script/[a-z-]+", makefile))
    explained = set(re.findall(r"^([a-z-]+):[^\n]*##", makefile, re.M))
    assert explained == set(re.findall(r"^([a-z-]+):", makefile, re.M))


@pytest.mark.parametrize("program", ["tram", "tram-bridge"])
def test_program_commands_in_documents_exist(program: str) -> None:
    """Each `tram …` and `tram-bridge …` that a document shows is understood by the program."""
    wanted: dict[tuple[str, ...], str] = {}
    for command, place in commands().items():
        words = command.split()
        if words and Path(words[0]).name == program:
            leading = tuple(word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word))
            wanted.setdefault(leading, place)
    for inline in MARKDOWN:
        for found in re.findall(rf"`{program} ((?:[a-z-]+ ?)+)", text(inline)):
            wanted.setdefault(tuple(found.split()), name(inline))
    wrong = [f"{place}: {program} {' '.join(words)}" for words, place in wanted.items() if not _understood(program, words)]
    assert not wrong


def _understood(program: str, words: tuple[str, ...]) -> bool:
    """The program shows its help for these words, or for these words without their last (a name, not a command)."""
    module = {"tram": "appliance.cli", "tram-bridge": "cloud_bridge.cli"}[program]
    start = f"import sys; sys.argv[0] = {program!r}; from {module} import main; sys.exit(main())"
    for leading in dict.fromkeys([words, words[:-1] or words]):
        done = subprocess.run([sys.executable, "-c", start, *leading, "--help"], capture_output=True, cwd=ROOT, check=False)
        if done.returncode == 0:
            return True
    return False


def test_links_between_documents_lead_somewhere() -> None:
    """Relative links and pictures in documents exist."""
    wrong = []
    for path in MARKDOWN:
        for link in re.findall(r"\]\(([^)\s]+)\)", text(path)):
            target = link.split("#")[0]
            if target and "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
                wrong.append(f"{name(path)}: {link}")
    assert not wrong


def test_documents_that_code_refers_to_exist() -> None:
    """`docs/…` in a docstring or a comment leads to a file or folder; a decision may be named by its number alone."""
    wrong = []
    for path in code("appliance", "cloud-bridge", "tests"):
        targets = set(re.findall(r"docs/[a-z0-9/_.-]*[a-z0-9]", text(path)))
        wrong += [f"{name(path)}: {target}" for target in targets if not list(ROOT.glob(f"{target}*"))]
    assert not wrong


def test_decisions_are_numbered_and_complete() -> None:
    """Decisions are numbered without a gap and say context, decision and consequences."""
    decisions = sorted(path for path in MARKDOWN if path.parent == ROOT / "docs" / "decisions" and path.name[0].isdigit())
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        for heading in ("## Context", "## Decision", "## Consequences"):
            assert heading in text(path), f"{name(path)} lacks {heading}"


def test_readme_says_what_this_is_not() -> None:
    """Nobody can take it for a cleared medical device."""
    for path in (ROOT / "README.md", ROOT / "SECURITY.md"):
        assert "not a medical device" in text(path).lower(), name(path)
        assert "not cleared for patient care" in text(path).lower(), name(path)


def test_pictures_of_the_manuals_are_small_and_each_is_shown() -> None:
    """Nothing in docs/vi/hinh that no manual shows or that nobody can take again, and nothing too large for a thin link."""
    shown = {found for path in MARKDOWN for found in re.findall(r"hinh/([a-z0-9-]+)\.png", text(path))}
    kept = {path.stem: path.stat().st_size for path in (ROOT / "docs" / "vi" / "hinh").iterdir()}
    assert set(kept) == shown == set(manual.PICTURES)
    assert max(kept.values()) <= manual.MOST
