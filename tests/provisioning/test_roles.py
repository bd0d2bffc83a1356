"""What can be said of the roles without a machine: they parse, they document themselves, they refuse what is wrong, they hold no secret."""

import grp
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with ansible-core, without types

from appliance.settings import keys
from tests.provisioning import rig_cut, walls
from tests.provisioning.nspawn import PROVISIONING, ROOT

BIN = ROOT / ".venv/bin"
ROLES = sorted(each.name for each in (PROVISIONING / "roles").iterdir())
PLAYBOOKS = ("site.yml", "update.yml", "enrol.yml", "wipe.yml")


def ansible(place: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of Ansible's programs in our folder, with its own state in `place`."""
    environment = {
        **os.environ, "ANSIBLE_HOME": str(place), "ANSIBLE_CONFIG": str(PROVISIONING / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }  # fmt: skip
    command = [str(BIN / program), *arguments]
    return subprocess.run(command, cwd=PROVISIONING, env=environment, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)


def options(role: str) -> dict[str, Any]:
    """What a role says it takes."""
    found: dict[str, Any] = yaml.safe_load((PROVISIONING / "roles" / role / "meta/argument_specs.yml").read_text())
    options: dict[str, Any] = found["argument_specs"]["main"]["options"]
    return options


def defaults(role: str) -> dict[str, Any]:
    """What a role takes when nothing is said."""
    found: dict[str, Any] = yaml.safe_load((PROVISIONING / "roles" / role / "defaults/main.yml").read_text())
    return found


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_playbook_parses(playbook: str, tmp_path: Path) -> None:
    """Ansible reads every playbook and every role in it."""
    found = ansible(tmp_path, "ansible-playbook", "--syntax-check", playbook)
    assert found.returncode == 0, found.stderr


def test_ansible_lint_finds_nothing_at_its_strictest(tmp_path: Path) -> None:
    """Profile production, and not one rule switched off anywhere."""
    found = ansible(tmp_path, "ansible-lint", "--offline", "--profile", "production", "-q", "--nocolor")
    assert found.returncode == 0, found.stdout
    silenced = [str(file) for file in PROVISIONING.rglob("*.yml") if re.search(r"noqa|skip_list|warn_list", file.read_text())]
    assert silenced == []


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_of_a_role_is_described_with_an_example(role: str) -> None:
    """Each default has a description, each description a default or a demand, and its last sentence is an example of that variable."""
    described = options(role)
    assert set(defaults(role)) >= {name for name, one in described.items() if not one.get("required")}
    assert set(defaults(role)) <= set(described)
    for name, one in described.items():
        assert one["description"][-1].startswith(f"Example: {name}: "), name
        example = yaml.safe_load(one["description"][-1].removeprefix("Example: "))
        kinds = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
        assert isinstance(example[name], kinds[one["type"]]), name


def test_the_example_inventory_is_whole(tmp_path: Path) -> None:
    """Every host has its wave, and the variables of its roles that must be given."""
    found = ansible(tmp_path, "ansible-inventory", "--list", "--yaml")
    assert found.returncode == 0, found.stderr
    groups = yaml.safe_load(found.stdout)["all"]["children"]
    waves = {host for wave in groups["stations"]["children"].values() for host in wave["hosts"]}
    assert {"pilot", "wave1"} <= set(groups["stations"]["children"]) and {"tram-0001", "tram-0002", "tram-0003"} == waves


@pytest.mark.parametrize(
    ("wrong", "example"),
    [
        ({"hardening_tcp_in": "everything"}, "Example: hardening_tcp_in: [8883, 8443]"),
        ({"station_environment": "productive"}, "Example: station_environment: production"),
        ({"station_metered": "sometimes"}, "Example: station_metered: true"),
        ({"network_connections": [{"name": "sim1", "kind": "pigeon"}]}, "Example: network_connections: [{name: sim1, kind: modem"),
        ({"remote_support_listen": "any"}, "Example: remote_support_listen: 20001"),
    ],
)
def test_a_wrong_variable_is_refused_with_an_example_before_anything_changes(wrong: dict[str, Any], example: str, tmp_path: Path) -> None:
    """The run ends before it has spoken to the machine, which is not there at all: 192.0.2.1 answers nobody."""
    variables = tmp_path / "wrong.yml"
    variables.write_text(yaml.safe_dump({**wrong, "ansible_host": "192.0.2.1"}))
    found = ansible(tmp_path / "a", "ansible-playbook", "site.yml", "--limit", "tram-0002", "--extra-vars", f"@{variables}")
    assert found.returncode != 0
    assert example in re.sub(r"\s+", " ", found.stdout + found.stderr), found.stdout[-3000:]
    assert "unreachable=0" in found.stdout and "changed=0" in found.stdout


def test_what_is_told_of_a_changed_file_is_a_reader_that_exists() -> None:
    """Every `notify` of an entry of tram.box.files is the name of a handler; Ansible would find out only when the file changes."""
    handlers = {one["name"] for file in PROVISIONING.glob("roles/*/handlers/main.yml") for one in yaml.safe_load(file.read_text())}
    told = set()
    for file in PROVISIONING.glob("roles/*/tasks/*.yml"):
        for task in tasks_of(yaml.safe_load(file.read_text())):
            for entry in (task.get("tram.box.files") or {"files": []})["files"]:
                notify = entry.get("notify", [])
                told |= {notify} if isinstance(notify, str) else set(notify)
    assert len(told) > 15 and told <= handlers, told - handlers


def tasks_of(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The tasks of a file, those of its blocks too."""
    for task in found:
        yield task
        yield from tasks_of(task.get("block", []) + task.get("rescue", []))


def test_files_are_written_once_whole_and_told_one_by_one(tmp_path: Path) -> None:
    """What differs is written and its own handler told; what is refused leaves the old file; the same again changes nothing."""
    place = tmp_path / "box"
    place.mkdir()
    me = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
    (tmp_path / "drawn.j2").write_text("{{ item }} {{ said }}\n")
    entries: list[dict[str, Any]] = [
        {"folder": True, "path": f"{place}/*", "each": ["inner"]},
        {"template": str(tmp_path / "drawn.j2"), "path": f"{place}/inner/*.conf", "each": {"a": "first", "b": "second"}, "notify": "Read"},
        {"content": "never 480713\n", "path": f"{place}/secret", "mode": "0600", "hidden": True, "notify": "Read the secret"},
        {"link": "/dev/null", "path": f"{place}/link"},
        {"content": "kept\n", "path": f"{place}/kept", "keep": True},
        {"absent": True, "path": f"{place}/gone"},
        {"content": "{{ said }}\n", "path": f"{place}/looked", "validate": "grep -q good %s"},
    ]
    handlers = [{"name": name, "ansible.builtin.debug": {"msg": f"told: {name}"}} for name in ("Read", "Read the secret")]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "handlers": handlers, "vars": {"said": "good"}}
    play["tasks"] = [{"tram.box.files": {"files": [{**one, **me} for one in entries]}}]
    book = tmp_path / "book.yml"
    book.write_text(yaml.safe_dump([play]))
    (place / "kept").write_text("other\n")
    (place / "gone").mkdir()
    python = ("-e", f"ansible_python_interpreter={sys.executable}")
    looked = ansible(tmp_path / "a", "ansible-playbook", str(book), *python, "--check", "--diff")
    assert looked.returncode == 0 and "changed=1" in looked.stdout and "480713" not in looked.stdout, looked.stdout + looked.stderr
    assert sorted(one.name for one in place.iterdir()) == ["gone", "kept"]
    first = ansible(tmp_path / "a", "ansible-playbook", str(book), *python)
    assert first.stdout.count("told: ") == 2, first.stdout + first.stderr
    assert (place / "inner/b.conf").read_text() == "second good\n" and (place / "kept").read_text() == "other\n"
    assert (place / "secret").stat().st_mode & 0o777 == 0o600 and (place / "link").readlink() == Path("/dev/null")
    assert not (place / "gone").exists()
    again = ansible(tmp_path / "a", "ansible-playbook", str(book), *python)
    assert "changed=0" in again.stdout and "told: " not in again.stdout, again.stdout
    (place / "inner/a.conf").write_text("somebody else\n")
    one = ansible(tmp_path / "a", "ansible-playbook", str(book), *python)
    assert "told: Read" in one.stdout and "told: Read the secret" not in one.stdout
    refused = ansible(tmp_path / "a", "ansible-playbook", str(book), *python, "-e", "said=bad")
    assert refused.returncode != 0 and (place / "looked").read_text() == "good\n"
    assert [each.name for each in place.iterdir() if each.name.startswith(".")] == []


def test_no_secret_stands_in_plain_text() -> None:
    """No private key, no password, no token: what is secret is a file that is made on the machine or a vault."""
    words = re.compile(r"PRIVATE KEY|(password|passphrase|psk|pin|secret|token)\s*[:=]\s*(?!\s|\{\{|\"\"$)\S|_pass:", re.IGNORECASE)
    found = [f"{file}: {line}" for file in files() for line in file.read_text().splitlines() if words.search(line)]
    assert [line for line in found if "Example: network_access_point_passphrase: taken-from-a-vault" not in line] == []


def test_every_key_a_role_writes_exists_in_the_program() -> None:
    """The sections and keys of the settings templates are ones `tram config --check` knows."""
    for role in ("station", "bridge"):
        said = yaml.safe_load((PROVISIONING / "roles" / role / "vars/main.yml").read_text())[f"{role}_said"]
        written = {f"{section}.{key}" for section, inner in said.items() for key in inner}
        assert written <= set(keys())


def test_every_wall_of_the_sandbox_is_in_every_unit() -> None:
    """A unit of ours that runs a program stands behind the shared walls."""
    owned = ("station", "bridge", "broker", "screen", "storage", "hardening", "backup", "monitoring", "remote_support")
    units = [each for role in owned for each in (PROVISIONING / "roles" / role / "templates").glob("*.service.j2")]
    assert len(units) >= 16
    assert [each.name for each in units if "{% include 'sandbox.j2' %}" not in each.read_text()] == []


def test_a_unit_whose_walls_are_lower_has_its_number_and_its_reason_on_the_page() -> None:
    """What is more than the rest stands in the README with the number that is asserted on the station; no unit is named that is none."""
    page = (PROVISIONING / "README.md").read_text()
    assert set(walls.HIGHER) <= {*walls.drawn(), *walls.LENT}
    for unit, (most, reason) in walls.HIGHER.items():
        assert f"| `{unit.removesuffix('.service')}` | {most} | {reason} |" in page, unit


def test_a_run_that_was_cut_starts_every_reader_anew_that_any_role_would() -> None:
    """The list in site.yml has each handler of each role once; what a role only says to another handler comes with it."""
    said = yaml.safe_load((PROVISIONING / "site.yml").read_text())[1]["vars"]["site_readers"]
    handlers = [one for file in PROVISIONING.glob("roles/*/handlers/main.yml") for one in yaml.safe_load(file.read_text())]
    reload_alone = {"Reload Mosquitto"}  # its restart is among them
    assert sorted(said) == sorted({one["name"] for one in handlers if "listen" not in one} - reload_alone)


def test_where_the_rig_cuts_the_power_is_a_step_of_its_role() -> None:
    """A place that was renamed would be found out only after the hours that the cuts before it take."""
    for place in rig_cut.CUTS:
        role, _, step = place.partition(" : ")
        found = [file for kind in ("tasks", "handlers") for file in (PROVISIONING / "roles" / role / kind).glob("*.yml")]
        assert any(one["name"].startswith(step) for file in found for one in tasks_of(yaml.safe_load(file.read_text()))), place


def files() -> Iterator[Path]:
    """Every text of the project of Ansible."""
    for each in PROVISIONING.rglob("*"):
        if each.is_file() and ".ansible" not in each.parts and "__pycache__" not in each.parts:
            yield each


def test_no_socket_waits_for_a_service() -> None:
    """Sockets come before every service: one that waits for a service is a circle, and systemd leaves all sockets out at the start."""
    sockets = sorted(PROVISIONING.glob("roles/*/templates/*.socket.j2"))
    assert sockets
    waits = re.compile(r"^(After|Requires|BindsTo)=.*\.service", re.MULTILINE)
    assert [file.name for file in sockets if "DefaultDependencies=no" not in (text := file.read_text("utf-8")) and waits.search(text)] == []
