"""What the storage role copies to the data partition: once, whole, and again after a cut."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.provisioning.nspawn import PROVISIONING

ROLE = PROVISIONING / "roles/storage"


@pytest.fixture
def keep(tmp_path: Path) -> Path:
    """The role's program for two folders and the host key, in the words of its template."""
    text = (ROLE / "templates/tram-keep.j2").read_text().replace("# {{ ansible_managed }}\n", "")
    text = re.sub(r"\{% for .* %\}\n.*\n\{% endfor %\}\n", "/etc/tram\n/var/lib/chrony\n/etc/ssh/keys\n", text)
    text = re.sub(r"\{% (if .*|endif) %\}\n", "", text)
    assert "{%" not in text and "{{" not in text
    program = tmp_path / "tram-keep"
    program.write_text(text)
    return program


def run(keep: Path, data: Path, root: Path) -> None:
    """The program on a data partition and a root that are folders."""
    subprocess.run(["sh", keep, data, root], check=True, stdin=subprocess.DEVNULL)


def test_what_the_root_has_is_copied_once_and_never_again(keep: Path, tmp_path: Path) -> None:
    """The first start copies the root's settings; what the box wrote since is not touched by a later one, nor by a new root."""
    data, root = tmp_path / "data", tmp_path / "root"
    (root / "etc/tram").mkdir(parents=True)
    (root / "etc/tram/tram.toml").write_text("first")
    (root / "etc/tram/tram.toml").chmod(0o640)
    data.mkdir()
    run(keep, data, root)
    kept = data / "etc/tram/tram.toml"
    assert kept.read_text() == "first" and kept.stat().st_mode & 0o777 == 0o640 and (data / "var/lib/chrony").is_dir()
    kept.write_text("mine")
    (root / "etc/tram/tram.toml").write_text("second")
    run(keep, data, root)
    assert kept.read_text() == "mine"


def test_a_cut_in_the_middle_of_copying_is_made_whole(keep: Path, tmp_path: Path) -> None:
    """A folder that has not got its name yet is not believed: it is copied again from the start."""
    data, root = tmp_path / "data", tmp_path / "root"
    (root / "etc/tram").mkdir(parents=True)
    (root / "etc/tram/tram.toml").write_text("whole")
    (data / "etc/tram.new").mkdir(parents=True)
    (data / "etc/tram.new/half").write_text("h")
    run(keep, data, root)
    assert os.listdir(data / "etc/tram") == ["tram.toml"] and not (data / "etc/tram.new").exists()


def test_the_host_key_is_the_roots_or_made_and_then_stays(keep: Path, tmp_path: Path) -> None:
    """A box that has a host key keeps it, an image without one gets its own, a key that was cut off is made again."""
    data, root = tmp_path / "data", tmp_path / "root"
    (data / "etc/ssh/keys").mkdir(parents=True)
    key = data / "etc/ssh/keys/ssh_host_ed25519_key"
    key.write_bytes(b"")
    run(keep, data, root)
    made = key.read_text()
    assert "PRIVATE KEY" in made and key.stat().st_mode & 0o777 == 0o600 and key.with_suffix(".pub").read_text().startswith("ssh-ed25519 ")
    run(keep, data, root)
    assert key.read_text() == made
    other = tmp_path / "other"
    (root / "etc/ssh").mkdir(parents=True)
    (root / "etc/ssh/ssh_host_ed25519_key").write_text("the root's")
    (root / "etc/ssh/ssh_host_ed25519_key.pub").write_text("the root's, public")
    other.mkdir()
    run(keep, other, root)
    assert (other / "etc/ssh/keys/ssh_host_ed25519_key").read_text() == "the root's"


def test_no_mount_may_hide_the_system() -> None:
    """Folders that are kept or light lie below /etc, /opt, /srv, /var or are /tmp; all others are refused by the role's first task."""
    (pattern,) = re.findall(r"select\('match', '([^']+)'\)", (ROLE / "tasks/main.yml").read_text())
    assert all(re.match(pattern, path) for path in ("/var/lib/tram", "/etc/tram", "/tmp", "/etc/NetworkManager/system-connections"))
    assert not any(re.match(pattern, path) for path in ("/", "/etc", "/usr/lib", "/var", "/home/a", "/etc/../usr", "tmp", "/data"))
