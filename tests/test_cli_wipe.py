"""`tram wipe`: refused while anything would be lost, then the keys are gone and a new station begins."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import durable
from appliance.cli import main
from appliance.database import StoreError, connect, transaction
from appliance.settings import Settings, load
from appliance.store import boots, keys, wipe
from appliance.store.opening import open_store

PINS = {"kt": "480713", "tt": "591824"}


@pytest.fixture
def box(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A station with a technician and a lead, and whatever `tram init` had to say to the bridge still unsent."""
    file = tmp_path / "tram.toml"
    file.write_text(
        '[station]\nid = "tram-0001"\n[paths]\ndata = "data"\nrun = "run"\n[store]\nkey_file = "store.key"\nballast_mb = 0\ngroup = ""\n',
        encoding="utf-8",
    )
    assert main(["init", "--config", str(file)]) == 0
    for code, role in (("kt", "technician"), ("tt", "lead")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(PINS[code] + "\n"))
        assert main(["staff", "add", code, "--name", "Thử Nghiệm", "--role", role, "--pin", "--config", str(file)]) == 0
    capfd.readouterr()
    return file


def tram_wipe(box: Path, *words: str, station: str = "tram-0001") -> int:
    """The command."""
    return main(["wipe", "--station", station, *words, "--config", str(box)])


def received(settings: Settings) -> None:
    """The bridge has everything."""
    conn = open_store(settings, {})
    with transaction(conn):
        conn.execute("UPDATE outbox SET state = 2")
    conn.close()


def test_what_would_be_lost_is_counted_and_the_post_bag_offered(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Refused in both languages, with the number; nothing has changed. One person alone changes nothing about it."""
    conn = open_store(load([box]), {})
    waiting = conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0]
    conn.close()
    for words in ([], ["--technician", "kt"], ["--lead", "tt"]):
        assert tram_wipe(box, *words) == 1
        err = capfd.readouterr().err
        assert f"Còn {waiting} mục" in err
        assert "tram bag export" in err
    open_store(load([box]), {}).close()


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (["--technician", "kt", "--lead", "tt"], [PINS["kt"], "000001"]),
        (["--technician", "kt", "--lead", "tt"], ["000001", PINS["tt"]]),
        (["--technician", "kt", "--lead", "kt"], [PINS["kt"], PINS["kt"]]),
        (["--technician", "tt", "--lead", "tt"], [PINS["tt"], PINS["tt"]]),
        (["--technician", "nobody", "--lead", "tt"], [PINS["kt"], PINS["tt"]]),
    ],
)
def test_both_must_confirm_and_be_who_they_say(box: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], typed: list[str]) -> None:
    """A wrong PIN, one person for both, somebody unknown: refused, the store is there."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(typed) + "\n"))
    assert tram_wipe(box, *words) == 1
    open_store(load([box]), {}).close()


def test_another_stations_id_wipes_nothing(box: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The id is asked for so that the wrong box is not wiped."""
    received(load([box]))
    assert tram_wipe(box, station="tram-0002") == 78
    assert "tram-0001" in capfd.readouterr().err
    open_store(load([box]), {}).close()


def test_an_open_store_is_not_wiped(box: Path) -> None:
    """While another program has it open the answer is to wait (75): it would go on writing."""
    received(load([box]))
    source = (
        "import sys; from pathlib import Path; from appliance.settings import load; from appliance.store.opening import open_store;"
        f"conn = open_store(load([Path({str(box)!r})]), {{}}); conn.execute('SELECT 1'); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert tram_wipe(box) == 75
        other.communicate()
    assert (box.parent / "store.key").exists()
    assert tram_wipe(box) == 0


@pytest.mark.parametrize("sent", [True, False])
def test_after_a_wipe_nothing_opens_and_a_new_station_begins(
    box: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, sent: bool
) -> None:
    """Everything received, or both confirmed: the keys are gone, a copy of the store is noise, init begins a new epoch and key."""
    settings = load([box])
    conn = open_store(settings, {})
    epoch, public = boots.epoch(conn)[1], keys.station_public(conn)[1]
    conn.close()
    if sent:
        received(settings)
    copy = box.parent / "copy.db"
    copy.write_bytes((box.parent / "data" / "tram.db").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PINS['kt']}\n{PINS['tt']}\n"))
    assert tram_wipe(box, *([] if sent else ["--technician", "kt", "--lead", "tt"])) == 0
    out, err = capfd.readouterr()
    said = json.loads(out)
    assert (said["lost"] == 0) is sent
    assert "flash" in err
    assert not (box.parent / "store.key").exists()
    assert [one.name for one in (box.parent / "data").iterdir() if one.name != ".init.lock" and one.stat().st_size] == []
    assert main(["init", "--config", str(box)]) == 0
    conn = open_store(settings, {})
    assert boots.epoch(conn)[1] != epoch
    assert keys.station_public(conn)[1] != public
    assert conn.execute("SELECT count(*) FROM staff").fetchone()[0] == 0
    conn.close()
    new = bytes.fromhex((box.parent / "store.key").read_text().strip())
    with pytest.raises(StoreError):
        connect(copy, key=new, page_size=settings.store.page_size, create=False)


def test_a_wipe_that_was_cut_off_is_ended_by_the_next(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power goes when the key is destroyed and the store still there: the next wipe asks for nothing and removes the rest."""
    received(load([box]))
    unlink = Path.unlink

    def cut(self: Path, missing_ok: bool = False) -> None:
        if self.name == "tram.db":
            raise KeyboardInterrupt
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", cut)
    assert tram_wipe(box) == 130
    monkeypatch.setattr(Path, "unlink", unlink)
    assert not (box.parent / "store.key").exists()
    assert (box.parent / "data" / "tram.db").exists()
    assert tram_wipe(box) == 0
    assert not (box.parent / "data" / "tram.db").exists()
    assert not wipe.begun(load([box]))


def test_a_key_is_written_over_before_it_goes(tmp_path: Path) -> None:
    """Another name of the same file shows what was written: not the key."""
    key, other = tmp_path / "key", tmp_path / "other"
    key.write_bytes(b"k" * 64)
    os.link(key, other)
    assert durable.shred(key, os.urandom)
    assert other.stat().st_size == 64
    assert b"kkkk" not in other.read_bytes()
