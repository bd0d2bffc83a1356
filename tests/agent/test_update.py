"""Another version of the program: only what is signed, never backwards, and whatever happens something runs that ran before."""

import hashlib
import platform
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from appliance import cli, database
from appliance.agent import update
from appliance.agent.release import Release, open_release, pack, trusted, unpack
from appliance.store.errors import Refused
from appliance.store.opening import database_file
from tests.agent.updating import KEY, STRANGER, box, quickly, quiet, release, wheel
from tests.store.station import Station

OLD, NEW = "1.0.0", "1.1.0"


def turned(place: update.Place, file: Path) -> Release:
    """The release of `file` is put on and in force."""
    return update.update(place, file, quiet, quickly, update.unasked)


def runs(place: update.Place) -> str:
    """What the program in force says it is."""
    command = [str(place.current / "bin/tram"), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def place(tmp_path: Path) -> update.Place:
    """A box on which the old release runs."""
    made = box(tmp_path)
    turned(made, release(tmp_path, OLD))
    return made


def refused(place: update.Place, file: Path) -> str:
    """What a person hears when `file` is refused; the old release is in force and nothing is left of the other."""
    before = sorted((place.home / "releases").iterdir())
    with pytest.raises(Refused) as error:
        turned(place, file)
    assert runs(place) == f"tram {OLD}"
    assert sorted((place.home / "releases").iterdir()) == before
    assert error.value.vi
    return error.value.en


def test_a_release_is_installed_by_pip_and_put_in_force(tmp_path: Path) -> None:
    """A signed file becomes an environment of its own, from its wheels alone, and the link leads there."""
    made = box(tmp_path)
    steps: list[str] = []
    found = update.update(made, release(tmp_path, NEW), steps.append, update.installed, update.unasked)
    assert (found.version, runs(made)) == (NEW, f"tram {NEW}")
    assert tuple(steps) == update.STEPS


def test_the_release_before_is_kept_and_older_ones_go(place: update.Place, tmp_path: Path) -> None:
    """After two updates the box has two releases: the one in force and the one before."""
    turned(place, release(tmp_path, NEW))
    turned(place, release(tmp_path, "1.2.0"))
    names = sorted(one.name.partition("-")[0] for one in (place.home / "releases").iterdir())
    assert names == [NEW, "1.2.0"]
    assert update.back(place, quiet, update.unasked) == NEW
    assert runs(place) == f"tram {NEW}"


def test_the_same_release_again_changes_nothing(place: update.Place, tmp_path: Path) -> None:
    """A stick that is put in twice installs once."""
    file = release(tmp_path, NEW)
    turned(place, file)
    stamp = (place.current / "bin/tram").stat().st_mtime_ns
    turned(place, file)
    assert (runs(place), (place.current / "bin/tram").stat().st_mtime_ns) == (f"tram {NEW}", stamp)


def test_an_older_version_is_refused(place: update.Place, tmp_path: Path) -> None:
    """A signed release of last year is a way to bring last year's holes back."""
    assert "older" in refused(place, release(tmp_path, "0.9.9"))


def test_versions_are_compared_as_numbers(tmp_path: Path) -> None:
    """1.10.0 comes after 1.9.0."""
    made = box(tmp_path)
    turned(made, release(tmp_path, "1.9.0"))
    turned(made, release(tmp_path, "1.10.0"))
    assert runs(made) == "tram 1.10.0"


def test_a_release_signed_by_somebody_else_is_refused(place: update.Place, tmp_path: Path) -> None:
    """The pinned key alone decides."""
    assert "signature" in refused(place, release(tmp_path, NEW, key=STRANGER))


def test_a_second_pinned_key_is_trusted_too(place: update.Place, tmp_path: Path) -> None:
    """The next key can be pinned before the last one goes."""
    public = STRANGER.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    place.keys.write_bytes(place.keys.read_bytes() + public)
    turned(place, release(tmp_path, NEW, key=STRANGER))
    assert runs(place) == f"tram {NEW}"


def test_a_box_without_a_key_installs_nothing(place: update.Place, tmp_path: Path) -> None:
    """No key is not any key."""
    place.keys.write_text("")
    assert "key" in refused(place, release(tmp_path, NEW))


def test_no_changed_byte_gets_through(tmp_path: Path) -> None:
    """A bit flipped anywhere that counts, or an end cut off, is refused and never another error; the wheels are never other ones."""
    content, dice = release(tmp_path, NEW).read_bytes(), random.Random(6)
    keys = trusted(box(tmp_path).keys)
    whole = content.rstrip(b"\0")
    for turn in range(400):
        at = dice.randrange(len(whole))
        changed = content[:at] if turn % 4 == 0 else content[:at] + bytes([content[at] ^ 1 << dice.randrange(8)]) + content[at + 1 :]
        file, folder = tmp_path / "changed", tmp_path / f"wheels{turn}"
        file.write_bytes(changed)
        folder.mkdir()
        with file.open("rb") as source:
            try:
                found, archive = open_release(source, keys)
                unpack(found, archive, folder)
            except Refused:
                continue
        for name, digest in found.wheels.items():  # what changed was the tar's own dates, modes, owners
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert {one.name for one in folder.iterdir()} == {*found.wheels, "requirements.txt"}


def test_a_release_for_another_machine_is_refused(place: update.Place, tmp_path: Path) -> None:
    """The sentence names the machine to look for."""
    pack(wheel(NEW) | {"other-1.0-py3-none-manylinux_2_17_aarch64.whl": b""}, KEY, tmp_path / "arm.tram")
    pack(wheel(NEW) | {"other-1.0-py3-none-manylinux_2_17_x86_64.whl": b""}, KEY, tmp_path / "intel.tram")
    wanted = "x86_64" if platform.machine() == "aarch64" else "aarch64"
    assert f"for {wanted}" in refused(place, tmp_path / ("intel.tram" if wanted == "x86_64" else "arm.tram"))
    pack(wheel(NEW) | {"other-1.0-cp39-cp39-any.whl": b""}, KEY, tmp_path / "old.tram")
    assert "for 3.9" in refused(place, tmp_path / "old.tram")


@pytest.mark.parametrize("wrong", ["--version", "config"])
def test_a_release_that_does_not_stand_is_not_turned_to(place: update.Place, tmp_path: Path, wrong: str) -> None:
    """The new program is tried before the link turns: it starts, it accepts the settings."""
    assert "planted fault" in refused(place, release(tmp_path, NEW, wrong=wrong))


def test_a_release_that_finds_the_store_damaged_is_not_turned_to(place: update.Place, station: Station, tmp_path: Path) -> None:
    """The new program looks at the store before the link turns."""
    assert "planted fault" in refused(place, release(tmp_path, NEW, wrong="store"))


def test_a_release_that_stops_once_in_service_is_turned_back(place: update.Place, tmp_path: Path) -> None:
    """The screens do not come: the old release is in force again, the new one is not the one before."""

    def look(there: update.Place) -> str:
        return "no screens" if runs(there) == f"tram {NEW}" else ""

    with pytest.raises(Refused, match="the old one is back"):
        update.update(place, release(tmp_path, NEW), quiet, quickly, look)
    assert runs(place) == f"tram {OLD}"
    assert not (place.home / update.TRIAL).is_symlink()


def test_a_store_of_a_later_schema_is_refused_with_its_own_sentence(place: update.Place, station: Station, tmp_path: Path) -> None:
    """Code that may not read the store is not turned to, forwards or back, and the sentence says that nothing is lost."""
    turned(place, release(tmp_path, NEW))
    with database.transaction(station.conn):
        station.conn.execute("UPDATE meta SET value = 9 WHERE key IN ('schema', 'min_reader')")
    with pytest.raises(Refused, match=r"schema 9.*knows 3: nothing is lost"):
        update.back(place, quiet, update.unasked)
    with pytest.raises(Refused, match=r"schema 9.*knows 3: nothing is lost"):
        turned(place, release(tmp_path, "1.2.0"))
    assert runs(place) == f"tram {NEW}"
    turned(place, release(tmp_path, "1.3.0", schema=9))
    assert runs(place) == "tram 1.3.0"


def test_the_outbox_is_not_touched(place: update.Place, station: Station, tmp_path: Path) -> None:
    """Not a byte of the store changes, forwards or back."""
    database.truncate_log(station.conn)
    before = database_file(station.settings).read_bytes()
    turned(place, release(tmp_path, NEW))
    update.back(place, quiet, update.unasked)
    assert database_file(station.settings).read_bytes() == before


@pytest.mark.parametrize("step", update.STEPS)
def test_a_power_cut_at_any_step_leaves_a_version_that_runs(place: update.Place, tmp_path: Path, step: str) -> None:
    """Killed at the start of each step the box runs the old version until the switch and the new one after it; the next try ends it."""
    file = release(tmp_path, NEW)
    command = [sys.executable, "-m", "tests.agent.updating", str(tmp_path), str(file), step]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    switched = update.STEPS.index(step) > update.STEPS.index("switch")
    assert runs(place) == f"tram {NEW if switched else OLD}"
    turned(place, file)
    assert runs(place) == f"tram {NEW}"
    assert update.back(place, quiet, update.unasked) == OLD


def test_after_a_power_cut_at_the_switch_a_version_that_does_not_run_is_left(place: update.Place, tmp_path: Path) -> None:
    """The trial that a cut left open is ended by looking: here the screens do not come, so the old one is back."""
    command = [sys.executable, "-m", "tests.agent.updating", str(tmp_path), str(release(tmp_path, NEW)), "look"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not update.settle(place, lambda _there: "no screens")
    assert runs(place) == f"tram {OLD}"
    assert update.settle(place, lambda _there: "no screens")


def test_a_full_card_is_said_before_anything_is_written(place: update.Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is looked at first."""
    monkeypatch.setattr(update, "ROOM_TIMES", 1 << 40)
    assert "needed" in refused(place, release(tmp_path, NEW))


def test_two_updates_at_once_do_not_meet(place: update.Place, tmp_path: Path) -> None:
    """The second one is told."""
    first, second = release(tmp_path, NEW), release(tmp_path, "1.2.0")

    def say(step: str) -> None:
        if step == "switch":
            with pytest.raises(Refused, match="under way"):
                turned(place, second)

    update.update(place, first, say, quickly, update.unasked)
    assert runs(place) == f"tram {NEW}"


def test_the_stick_may_hold_one_release(place: update.Place, tmp_path: Path) -> None:
    """A folder with one release is enough to say; with none or two the person chooses."""
    stick = tmp_path / "stick"
    stick.mkdir()
    with pytest.raises(Refused, match="one file"):
        turned(place, stick)
    release(stick, NEW)
    turned(place, stick)
    assert runs(place) == f"tram {NEW}"
    release(stick, "1.2.0")
    with pytest.raises(Refused, match="one file"):
        turned(place, stick)


def test_the_command_says_what_it_did_and_what_it_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`tram update FILE` ends with 1 and both languages where a file is refused."""
    made = box(tmp_path)
    with made.config[0].open("a") as more:
        more.write('[update]\nhome = "opt"\nkey_file = "release.pem"\n')
    assert cli.main(["update", str(release(tmp_path, NEW, key=STRANGER)), "--config", str(made.config[0])]) == cli.REFUSED
    assert "Chữ ký" in capsys.readouterr().err
    assert cli.main(["update", "--settle", "--config", str(made.config[0])]) == cli.DONE
    assert cli.main(["update", "--back", "--config", str(made.config[0])]) == cli.REFUSED
