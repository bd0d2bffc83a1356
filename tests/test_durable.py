"""What must survive a power cut."""

import os
from pathlib import Path

import pytest

from appliance import durable


def test_a_file_is_replaced_whole_and_keeps_its_old_content_where_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new content with the new mode, no draft beside it; when the disk refuses, the old content."""
    file = tmp_path / "said.json"
    file.write_bytes(b"old")
    durable.replace(file, b"new" * 100, 0o640)
    assert (file.read_bytes(), file.stat().st_mode & 0o777, os.listdir(tmp_path)) == (b"new" * 100, 0o640, ["said.json"])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            durable.replace(file, b"newer", 0o640)
    assert file.read_bytes() == b"new" * 100
    durable.replace(file, b"newer", 0o640)
    assert (file.read_bytes(), os.listdir(tmp_path)) == (b"newer", ["said.json"])


def test_the_order_is_content_name_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is on the disk before the name leads to it, and the folder after: each pair the other way round loses the file."""
    done: list[str] = []
    honest_sync, honest_rename = os.fsync, Path.rename

    def sync(handle: int) -> None:
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "content")
        honest_sync(handle)

    def rename(self: Path, target: Path) -> Path:
        done.append("name")
        return honest_rename(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", rename)
    durable.replace(tmp_path / "one", b"x", 0o600)
    assert done == ["content", "name", "folder"]


def test_a_link_laid_for_us_is_not_written_through(tmp_path: Path) -> None:
    """A link in the place of the draft goes; what it leads to stays as it was."""
    other = tmp_path / "other"
    other.write_bytes(b"theirs")
    (tmp_path / ".one.new").symlink_to(other)
    durable.replace(tmp_path / "one", b"ours", 0o600)
    assert (other.read_bytes(), (tmp_path / "one").read_bytes()) == (b"theirs", b"ours")
