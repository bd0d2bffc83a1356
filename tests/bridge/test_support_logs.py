"""`tram-bridge logs open`: a station's bundle becomes readable texts, for who has the key, in a folder of their own."""

import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from appliance.agent.logs import packed
from appliance.contract import bundle
from appliance.contract.bundle import Label
from cloud_bridge.cli import main
from cloud_bridge.store import keys


def sealed(folder: Path, public: X25519PublicKey, key_id: int, purpose: str = "seal") -> Path:
    """A bundle on a stick."""
    file = folder / "tram-logs-tram-0001-20261122-0705.sealed"
    file.write_bytes(bundle.seal(Label("tram-0001", purpose, key_id), packed({"check.json": "{}\n"}, 1_770_000_000), public))
    return file


def test_who_has_the_key_reads_the_texts_and_nobody_else(tmp_path: Path, migrated: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The bridge's own key opens it at once, a recovery key by its file; another's bundle and a torn one are refused in words."""
    shutil.copy(migrated, tmp_path / "bridge.sqlite")
    config = tmp_path / "bridge.toml"
    config.write_text(f'[bridge]\ndatabase = "sqlite:///{tmp_path}/bridge.sqlite"\nkey_dir = "{tmp_path}/keys"\n', encoding="utf-8")
    assert main(["init", "--config", str(config)]) == 0
    ((number, private),) = keys.openers(tmp_path / "keys").items()
    file = sealed(tmp_path, private.public_key(), number)
    capfd.readouterr()
    assert main(["logs", "open", str(file), "--config", str(config)]) == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["station"], said["texts"]) == ("tram-0001", ["check.json"])
    folder = Path(said["folder"])
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "check.json").read_text() == "{}\n"
    secret, _public = keys.make_recovery(tmp_path, 1_770_000_000, bytes)
    other = keys.read_recovery(secret)
    sealed(tmp_path, other.public_key(), 9, "recovery")
    assert main(["logs", "open", str(file), "--to", str(tmp_path / "again"), "--config", str(config)]) == 1
    assert "--key" in capfd.readouterr().err
    assert main(["logs", "open", str(file), "--to", str(tmp_path / "again"), "--key", str(secret), "--config", str(config)]) == 0
    sealed(tmp_path, X25519PrivateKey.generate().public_key(), number)
    assert main(["logs", "open", str(file), "--to", str(tmp_path / "more"), "--config", str(config)]) == 1
    file.write_bytes(file.read_bytes()[:-20])
    assert main(["logs", "open", str(file), "--to", str(tmp_path / "more"), "--config", str(config)]) == 1
    assert not (tmp_path / "more").exists()
