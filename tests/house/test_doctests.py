"""Examples in docstrings say what the code does."""

import doctest
import importlib

import pytest

from tests.house.test_imports import modules
from tests.house.tree import ROOT, text


def _with_examples() -> list[str]:
    found = []
    for package, folder in (("appliance", ROOT), ("cloud_bridge", ROOT / "cloud-bridge")):
        for module in modules(package):
            path = folder / (module.replace(".", "/") + ".py")
            if path.is_file() and ">>> " in text(path):
                found.append(module)
    return found


@pytest.mark.parametrize("module", _with_examples())
def test_examples_hold(module: str) -> None:
    """Every example in the module's docstrings gives what it shows."""
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried > 0
    assert failed == 0
