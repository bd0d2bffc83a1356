"""What is true of every file in the repository."""

import ast
import codecs
import re
import tomllib
import unicodedata
from pathlib import Path

import pytest

from tests.house.tree import ROOT, code, files, name, text, texts

# Written backwards-ish (rot13), so that this file does not contain them either: machines, registries and tools of whoever
# happens to work on the project have no place in it.
FOREIGN = codecs.decode(
    "/jbex/|clcv.bet|clgubaubfgrq|ertvfgel.aczwf|qro.qrovna.bet|fancfubg.qrovna|naguebcvp|pynhqr|pungtcg|bcranv|tvguho pbcvybg"
    "|fhontrag|nv nffvfgnag|ynathntr zbqry|furyy frffvba bs|arkhf/ercbfvgbel|negvsnpgbel",
    "rot13",
).split("|")

FORBIDDEN_ENDINGS = ("Manager", "Helper", "Util", "Utils", "Base", "Handler", "Service", "Client")


def test_no_file_speaks_of_a_workplace() -> None:
    """No machine's paths, no package registry's address, no tool of whoever typed it, in any file."""
    found = [f"{name(path)}: {word}" for path in texts() for word in FOREIGN if word in text(path).lower()]
    assert not found


def test_nothing_is_left_to_do_in_comments() -> None:
    """Open ends live in the issue list, not in the tree."""
    marks = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b")
    skipped = {"pyproject.toml"}
    found = [name(path) for path in texts() if path.name not in skipped and marks.search(text(path))]
    assert not found


def test_text_is_clean() -> None:
    """UTF-8, composed letters (NFC) as Vietnamese needs them, Unix line ends, a newline at the end."""
    found = []
    for path in texts():
        raw = path.read_bytes()
        try:
            letters = raw.decode("utf-8")
        except UnicodeDecodeError:
            found.append(f"{name(path)}: not UTF-8")
            continue
        if unicodedata.normalize("NFC", letters) != letters:
            found.append(f"{name(path)}: not NFC")
        if b"\r\n" in raw:
            found.append(f"{name(path)}: Windows line ends")
        if raw and not raw.endswith(b"\n"):
            found.append(f"{name(path)}: no newline at the end")
    assert not found


def test_every_exception_from_a_check_says_why() -> None:
    """A silenced warning names its code and its reason on the same line. (Types are checked in the product, not in tests.)"""
    good = {
        "noqa": re.compile(r"# noqa: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*\s+\S.{5,}"),
        "type: ignore": re.compile(r"# type: ignore\[[a-z-]+(, ?[a-z-]+)*\]\s+#\s*\S.{5,}"),
        "fmt: ": re.compile(r"# fmt: (skip|on)(\s+#\s*\S.{5,})?|# fmt: off\s+#\s*\S.{5,}"),
        "pragma: no cover": re.compile(r"# pragma: no cover\s+#\s*\S.{5,}"),
    }
    found = []
    for path in code("appliance", "cloud-bridge", "tests"):
        if path == Path(__file__):
            continue
        asked = {mark: pattern for mark, pattern in good.items() if mark != "type: ignore" or "tests" not in path.parts}
        for number, line in enumerate(text(path).splitlines(), 1):
            wrong = any(f"# {mark}" in line and not pattern.search(line) for mark, pattern in asked.items())
            found += [f"{name(path)}:{number}: {line.strip()}"] if wrong else []
    assert not found


def test_every_rule_switched_off_says_why() -> None:
    """Each code in ruff's ignore lists carries a comment."""
    lines = text(ROOT / "pyproject.toml").splitlines()
    listed = [line for line in lines if re.fullmatch(r'  "[A-Z]+[0-9]*",[^"]*', line)]
    bare = [line for line in listed if not re.search(r"#\s*\S.{5,}", line)]
    assert listed
    assert not bare


def test_only_the_deadline_sleeps() -> None:
    """No test waits a fixed time: tests/polling.py asks again until a deadline. Programs that tests start may sleep."""
    found = []
    for path in code("tests"):
        calls = [node.func for node in ast.walk(ast.parse(text(path))) if isinstance(node, ast.Call)]
        program = "__main__" in text(path) or "saboteurs" in path.parts
        if path.name != "polling.py" and not program and any(ast.unparse(call) in ("time.sleep", "sleep") for call in calls):
            found.append(name(path))
    assert not found


def test_nothing_of_ours_is_mocked() -> None:
    """Tests use real code with files, sockets and pseudo-terminals; no mock library."""
    mocks = re.compile(r"unittest\.mock|\bMagicMock\b|pytest_mock|\bmocker\b")
    found = [name(path) for path in code("tests") if path != Path(__file__) and mocks.search(text(path))]
    assert not found


def test_classes_are_named_after_things() -> None:
    """No class is called a manager, helper, handler and the like; names are those of IEEE 11073, FHIR and MQTT."""
    found = []
    for path in code("appliance", "cloud-bridge", "tests"):
        classes = [node for node in ast.walk(ast.parse(text(path))) if isinstance(node, ast.ClassDef)]
        wrong = [node for node in classes if node.name.endswith(FORBIDDEN_ENDINGS) and not _named_by_library(node)]
        found += [f"{name(path)}: {node.name}" for node in wrong]
    assert not found


def _named_by_library(node: ast.ClassDef) -> bool:
    """A private class may carry the name of the library's class that it refines (`_Client(mqtt.Client)`)."""
    return node.name.startswith("_") and any(ast.unparse(base).endswith(f".{node.name[1:]}") for base in node.bases)


def test_one_module_opens_hid_devices() -> None:
    """Only devices/hidraw.py names /dev/hidraw in its code."""
    found = []
    for path in code("appliance", "cloud-bridge"):
        strings = [node.value for node in ast.walk(ast.parse(text(path))) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        docs = {
            ast.get_docstring(node, clean=False)
            for node in ast.walk(ast.parse(text(path)))
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        }
        if any("/dev/hidraw" in each for each in strings if each not in docs):
            found.append(name(path))
    assert set(found) <= {"appliance/devices/hidraw.py"}


@pytest.mark.parametrize("extra", ["box", "bridge", "demo", "dev"])
def test_locks_hold_every_package_of_their_extra_by_hash_and_no_address(extra: str) -> None:
    """requirements/<extra>.txt pins what pyproject.toml asks for; no line names a place to fetch it from."""
    project = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]
    locked = text(ROOT / "requirements" / f"{extra}.txt")
    assert "//" not in locked and "index" not in locked
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", locked, re.M))
    blocks = re.split(r"\n(?=[a-z])", locked.strip())
    assert len(pinned) == len(blocks)
    assert all("--hash=sha256:" in block for block in blocks)
    missing = _wanted(project, extra) - set(pinned)
    assert not missing


def _wanted(project: dict, extra: str) -> set[str]:  # type: ignore[type-arg]  # whatever TOML holds
    names: set[str] = set()
    for line in [*project["dependencies"], *project["optional-dependencies"][extra]]:
        own = re.fullmatch(r"tram\[([a-z,]+)\]", line)
        if own:
            names |= {each for part in own[1].split(",") for each in _wanted(project, part)}
        else:
            found = re.match(r"[A-Za-z0-9-]+", line)
            assert found
            names.add(found[0].lower())
    return names


def test_locks_of_tools_have_hashes_and_no_address() -> None:
    """The build and the locking tool are pinned like everything else."""
    for tool in ("build", "lock"):
        locked = text(ROOT / "requirements" / f"{tool}.txt")
        assert "--hash=sha256:" in locked and "//" not in locked


def test_no_other_lock_file() -> None:
    """requirements/*.txt are the only locks: a second one would go its own way."""
    names = {path.name for path in files()}
    assert not names & {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "package-lock.json", "yarn.lock"}
