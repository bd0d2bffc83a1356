"""The demo's folder: emptied only when it is the demo's, used by one demo at a time."""

from pathlib import Path

import pytest

from appliance.demo.state import MADE_BY, MARK, FolderError, open_state
from appliance.store.pins import weak


def test_the_folder_is_made_marked_and_kept(tmp_path: Path) -> None:
    """A second demo in the same folder finds what the first left; the short folder is gone."""
    state = open_state(tmp_path / "demo")
    (state.root / "box.db").write_text("x")
    password = state.password("tram")
    assert state.run.is_dir()
    assert (state.root / "logins.json").stat().st_mode & 0o777 == 0o600
    state.close()
    assert not state.short.exists()
    again = open_state(tmp_path / "demo")
    assert (again.root / "box.db").exists()
    assert again.password("tram") == password
    assert again.password("bacsi") != password
    assert again.pin("tram") == again.pin("tram") != again.pin("truong")
    assert not weak(again.pin("tram"))
    again.close()


def test_what_a_killed_demo_left_in_tmp_is_removed_by_the_next(tmp_path: Path) -> None:
    """A demo that is killed cannot tidy up; the next one in the same folder does it, and touches no other folder."""
    state = open_state(tmp_path / "demo")
    (state.run / "cuff.live").write_text("x")
    other = open_state(tmp_path / "other")
    state._lock.close()  # what the kernel does for a killed process
    again = open_state(tmp_path / "demo")
    assert not state.short.exists()
    assert other.short.exists()
    again.close()
    (again.root / MARK).write_text(f"{tmp_path}\n/etc\n")
    open_state(tmp_path / "demo").close()
    assert tmp_path.exists()
    other.close()


def test_fresh_empties_the_demos_own_folder_and_follows_no_link(tmp_path: Path) -> None:
    """Everything of the demo goes, nothing outside is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    state = open_state(tmp_path / "demo")
    (state.root / "box").mkdir()
    (state.root / "box" / "db").write_text("x")
    (state.root / "link").symlink_to(outside)
    state.close()
    state = open_state(tmp_path / "demo", fresh=True)
    assert {entry.name for entry in state.root.iterdir()} == {MARK, MADE_BY}
    assert (outside / "precious").exists()
    state.close()


@pytest.mark.parametrize("fresh", [True, False])
def test_somebody_elses_folder_is_refused_and_untouched(fresh: bool, tmp_path: Path) -> None:
    """A folder with things in it and no marker is not ours."""
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(FolderError, match="was not made by the demo"):
        open_state(tmp_path, fresh=fresh)
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter"]
    with pytest.raises(FolderError, match="is not a folder"):
        open_state(tmp_path / "letter", fresh=fresh)


def test_two_demos_never_share_a_folder(tmp_path: Path) -> None:
    """The second is told, and nothing is emptied under the first."""
    state = open_state(tmp_path / "demo")
    (state.root / "box.db").write_text("x")
    with pytest.raises(FolderError, match="another demo is running"):
        open_state(tmp_path / "demo", fresh=True)
    assert (state.root / "box.db").exists()
    state.close()


@pytest.mark.parametrize("by", [None, "0.0.9 1\n", "0.1.0 0\n"])
def test_what_another_versions_demo_left_is_not_gone_on_with(tmp_path: Path, by: str | None) -> None:
    """Its logins would be refused in the middle of the round; the sentence says how to begin anew, and that does it."""
    state = open_state(tmp_path / "demo")
    old = state.password("bacsi")
    state.close()
    mark = tmp_path / "demo" / MADE_BY
    mark.unlink() if by is None else mark.write_text(by)
    with pytest.raises(FolderError, match=r"another version.*--fresh"):
        open_state(tmp_path / "demo")
    anew = open_state(tmp_path / "demo", fresh=True)
    assert anew.password("bacsi") != old
    anew.close()
    open_state(tmp_path / "demo").close()
