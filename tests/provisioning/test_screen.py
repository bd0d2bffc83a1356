"""The screen's role without a machine: Chromium knows each policy, the unit shuts what a browser does not need."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests import servers
from tests.journey.escape import said_by_the_role
from tests.provisioning.nspawn import PROVISIONING

ROLE = PROVISIONING / "roles/screen"
LOCKS = ("URLBlocklist", "DeveloperToolsAvailability", "RemoteDebuggingAllowed")
"""Left out to be able to look at the page where Chromium says what it makes of the rest."""
ROWS = """() => {
  const rows = [], walk = (root) => root.querySelectorAll("*").forEach((each) => {
    if (each.shadowRoot) walk(each.shadowRoot);
    if (each.tagName !== "POLICY-ROW") return;
    const said = (name) => (each.shadowRoot.querySelector(name)?.innerText ?? "").trim();
    rows.push([said(".name"), said(".messages")]);
  });
  walk(document);
  return rows;
}"""


@pytest.mark.slow
def test_chromium_knows_every_policy_of_the_role(tmp_path: Path) -> None:
    """The installed Chromium reads each policy as it is written: none unknown, none with a wrong value."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("Chromium reads its policies in /etc/chromium: another folder can be put there by root only")
    policies, _ = said_by_the_role(tmp_path, 8080)
    asked = {name: value for name, value in policies.items() if name not in LOCKS}
    file = tmp_path / "etc/policies/managed/tram.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(asked))
    program = tmp_path / "chromium"
    mount = f'mount --bind {tmp_path}/etc /etc/chromium && exec {servers.need("chromium", "chromium")} "$@"'
    program.write_text(f"#!/bin/sh\nexec unshare --mount --propagation private sh -c '{mount}' sh \"$@\"\n")
    program.chmod(0o755)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto("chrome://policy")
        page.wait_for_function(f"() => ({ROWS})().length > {len(asked) // 2}")
        said = dict(page.evaluate(ROWS))
        browser.close()
    assert set(asked) <= set(said)
    # A policy on its way out still holds in the Chromium of Debian 13; one that is unknown or wrong does not.
    assert {name: said[name] for name in asked if said[name] not in ("OK", "Deprecated")} == {}


def test_one_address_is_open_and_every_other_is_shut(tmp_path: Path) -> None:
    """The allow-list has the kiosk's address alone, with its port; the block-list names everything, Chromium's own pages too."""
    policies, line = said_by_the_role(tmp_path, 8099)
    assert policies["URLAllowlist"] == ["http://127.0.0.1:8099"]
    assert {"*", "chrome://*", "devtools://*", "view-source:*", "file://*"} <= set(policies["URLBlocklist"])
    assert {"--kiosk", "--force-app-mode", "--app=http://127.0.0.1:8099/"} <= set(line)
    assert not any(word in " ".join(line) for word in ("no-sandbox", "remote-debugging", "disable-web-security"))


def test_the_keyboard_of_the_screen_has_no_shortcut_on_it() -> None:
    """No key of the map sends Ctrl, Alt, Super, a function key or a key with a picture; figures, letters and Enter are there."""
    text = (ROLE / "vars/main.yml").read_text()
    sent = {word for row in re.findall(r"- \[[A-Z0-9]+, \"(\w+)\", \"(\w+)\"\]", text) for word in row}
    assert {"a", "Z", "0", "Return", "BackSpace"} <= sent
    assert not [word for word in sent if re.match(r"Control|Alt|Super|Meta|Hyper|Menu|F\d|XF86|Print", word)]
