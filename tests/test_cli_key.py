"""`tram key`: bound to a real TPM's software twin and to a Raspberry Pi's OTP key, opened at the start, moved to another box, wiped.

The Pi's mailbox is a program put first in PATH that answers as the firmware does; no board has been asked yet.
"""

import base64
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.agent import board
from appliance.cli import main
from appliance.database import transaction
from appliance.settings import load
from appliance.store.opening import open_store
from cloud_bridge.cli import main as bridge
from tests import servers
from tests.polling import until

OWN, FOREIGN = "a5" * 32, "3c" * 32
BLANK = "00" * 32
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def box(tmp_path: Path, capfd: Captured, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file of a station with a technician, a lead, a pinned recovery key and no chip anywhere."""
    monkeypatch.setattr(board, "TPM_DEVICE", tmp_path / "no-tpm")
    monkeypatch.delenv(board.TPM_NAMED, raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "etc").mkdir()
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    file = tmp_path / "tram.toml"
    file.write_text(
        '[station]\nid = "tram-0001"\n[paths]\ndata = "data"\nrun = "run"\n[store]\nkey_file = "etc/store.key"\nballast_mb = 0\n'
        f'group = ""\n[bridge]\ndatabase = "sqlite:///{tmp_path}/bridge.db"\nkey_dir = "{tmp_path}/keys"\n',
        encoding="utf-8",
    )
    there = ["--config", str(file)]
    assert bridge(["recovery-key", "make", "--to", str(tmp_path / "safe")]) == 0
    (private,) = (tmp_path / "safe").glob("*.key")
    assert bridge(["init", *there]) == 0
    assert bridge(["recovery-key", "add", str(private.with_suffix(".pub")), *there]) == 0
    assert bridge(["init", "--export", str(tmp_path / "pins.json"), *there]) == 0
    assert main(["init", "--pin", str(tmp_path / "pins.json"), "--export", str(tmp_path / "me.json"), *there]) == 0
    assert bridge(["stations", "add", "tram-0001", "--key", str(tmp_path / "me.json"), "--name", "Trạm Thử", *there]) == 0
    capfd.readouterr()
    return file


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """``chip("one")`` puts the card into a machine with a TPM of that name and starts it: a software TPM, spoken to by systemd as to a real
    one. It starts with its machine, because no kernel stands between that would take back what systemd leaves open in it.
    """
    program = servers.need("swtpm", "swtpm")
    if servers.find("systemd-creds") is None:
        pytest.skip("systemd-creds is not on this machine (it comes with systemd 250 and later)")
    place = servers.folder(servers.Person("", None, None), "tpm")
    running: list[subprocess.Popen[bytes]] = []

    def plug(name: str) -> None:
        socket = place / f"{name}.s"
        while running:
            servers.stop(running.pop())
        (place / name).mkdir(exist_ok=True)
        for old in place.glob(f"{name}.s*"):
            old.unlink()
        ways = [f"type=unixio,path={socket}{end}" for end in ("", ".ctrl")]
        command = [program, "socket", "--tpm2", "--tpmstate", f"dir={place / name}", "--server", ways[0], "--ctrl", ways[1]]
        person = servers.Person("", None, None)
        running.append(servers.start(servers.as_person(person, [*command, "--flags", "not-need-init,startup-clear"]), place / "log"))
        until(lambda: socket.exists() and Path(f"{socket}.ctrl").exists(), what=f"the TPM {name}")
        monkeypatch.setenv(board.TPM_NAMED, f"swtpm:path={socket}")

    yield plug
    for process in running:
        servers.stop(process)
    shutil.rmtree(place)


@pytest.fixture
def rows(box: Path) -> Callable[[str], None]:
    """``rows(hex)`` puts the card into a Raspberry Pi whose OTP rows hold that; empty: a firmware that does not know the tag."""

    def program(held: str) -> None:
        words = " ".join(f"0x{held[at : at + 8]}" for at in range(0, 64, 8))
        good = f"0x00000040 0x80000000 0x00030081 0x00000028 0x80000028 0x00000000 0x00000008 {words} 0x00000000"
        unknown = "0x00000040 0x80000001 0x00030081 0x00000028 0x00000028 0x00000000 0x00000008" + " 0x00000000" * 9
        asked = "0x00030081 40 40 0 8 0 0 0 0 0 0 0 0"
        text = f'#!/bin/sh\n[ "$*" = "{asked}" ] || exit 9\necho "{good if held else unknown}"\n'
        mailbox = box.parent / "bin" / "vcmailbox"
        mailbox.write_text(text)
        mailbox.chmod(0o755)

    return program


def tram(box: Path, *words: str) -> int:
    """The command."""
    return main([*words, "--config", str(box)])


def said(capfd: Captured) -> tuple[dict[str, object], str]:
    """The line of JSON, and the words for people."""
    out, err = capfd.readouterr()
    return json.loads(out), err


def names(box: Path) -> list[str]:
    """What lies in the folder of the key."""
    return sorted(one.name for one in (box.parent / "etc").iterdir())


def started(box: Path) -> int:
    """A start of the box: what was in memory is gone, the key is opened and bound, the store is made ready; the first bad exit code."""
    shutil.rmtree(box.parent / "run-key", ignore_errors=True)
    return tram(box, "key", "open", "--bind") or tram(box, "init")


def epochs(box: Path) -> int:
    """How many epochs the store has: one more would be a new beginning."""
    conn = open_store(load([box]), {})
    try:
        return int(conn.execute("SELECT count(*) FROM epoch").fetchone()[0])
    finally:
        conn.close()


def test_without_a_chip_the_key_is_a_file_and_that_is_said_plainly(box: Path, capfd: Captured) -> None:
    """In `tram key status`, at the start, and in `tram check`, in both languages; binding is refused with the reasons."""
    assert tram(box, "key", "status") == 0
    line, words = said(capfd)
    assert line == {"form": "file", "recovery": True, "offers": {"tpm2": False, "otp": False}}
    assert "không gắn với bo mạch" in words and "bound to no board" in words and "no TPM 2" in words and "no Raspberry Pi" in words
    assert started(box) == 0
    assert "bound to no board" in capfd.readouterr().err
    assert names(box) == ["store.key"]
    assert tram(box, "key", "bind") == 1
    assert "no TPM 2" in capfd.readouterr().err
    tram(box, "check")
    assert "Khóa gắn với bo mạch" in (shown := capfd.readouterr().out) and "ai lấy thẻ là có cả hai" in shown


def test_a_tpm_binds_the_key_at_the_first_start_after_the_enrolment(box: Path, chip: Callable[[str], None], capfd: Captured) -> None:
    """Nothing but a credential of systemd's for this chip is left on the card; every later start opens it; `tram check` says so."""
    key = bytes.fromhex((box.parent / "etc" / "store.key").read_text().strip())
    chip("one")
    assert started(box) == 0
    assert "TPM của máy này" in capfd.readouterr().err
    assert names(box) == ["store.key.tpm2"]
    held = (box.parent / "etc" / "store.key.tpm2").read_bytes()
    assert key not in held and key not in base64.b64decode(held) and key.hex().encode() not in held
    chip("one")
    assert started(box) == 0
    assert (box.parent / "run-key" / "store.key").read_bytes() == key
    assert stat.S_IMODE((box.parent / "run-key").stat().st_mode) == 0o700
    assert epochs(box) == 1
    chip("one")
    capfd.readouterr()
    assert tram(box, "key", "bind") == 0
    assert said(capfd)[0] == {"bound": False, "form": "tpm2"}
    tram(box, "check", "--json")
    lights = {one["name"]: one for one in map(json.loads, capfd.readouterr().out.splitlines()) if "name" in one}
    assert lights["key"]["state"] == "ok" and "TPM" in lights["key"]["vi"]
    assert tram(box, "key", "unbind") == 0
    assert names(box) == ["store.key"] and (box.parent / "etc" / "store.key").read_bytes() == key


def test_a_card_in_a_machine_with_another_tpm_or_none_starts_nothing(
    box: Path, chip: Callable[[str], None], capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says whose card it is and names the way out; no key, no store, no epoch is made; back in its own box it goes on."""
    chip("one")
    assert started(box) == 0
    before = {one.name: one.read_bytes() for one in (box.parent / "etc").iterdir()}
    chip("two")
    capfd.readouterr()
    assert started(box) == 1
    err = capfd.readouterr().err
    assert "thuộc bo mạch khác" in err and "belongs to another board" in err and "tram-bridge recover" in err
    monkeypatch.delenv(board.TPM_NAMED)
    assert started(box) == 1
    assert tram(box, "init") == 75
    assert "bound to a board" in capfd.readouterr().err
    (box.parent / "data" / "tram.db").rename(box.parent / "away.db")
    assert tram(box, "init") == 75, "not even where no store is there"
    (box.parent / "away.db").rename(box.parent / "data" / "tram.db")
    assert {one.name: one.read_bytes() for one in (box.parent / "etc").iterdir()} == before
    chip("one")
    assert started(box) == 0
    assert epochs(box) == 1


def test_a_tpm_that_does_not_answer_is_waited_for_and_not_taken_for_another(
    box: Path, chip: Callable[[str], None], capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 75, try again; a plain key goes on without it."""
    monkeypatch.setenv(board.TPM_NAMED, f"swtpm:path={box.parent}/nobody")
    assert started(box) == 0
    assert "not bound" in capfd.readouterr().err and names(box) == ["store.key"]
    chip("one")
    assert started(box) == 0
    monkeypatch.setenv(board.TPM_NAMED, f"swtpm:path={box.parent}/nobody")
    capfd.readouterr()
    assert started(box) == 75
    assert "another board" not in capfd.readouterr().err


def test_a_pis_own_key_binds_and_another_pi_does_not_open(box: Path, rows: Callable[[str], None], capfd: Captured) -> None:
    """By the firmware's mailbox: the programmed rows bind; a board with other rows, or blank ones, is told whose card it is."""
    rows(OWN)
    assert started(box) == 0
    assert "bo mạch này" in capfd.readouterr().err
    assert names(box) == ["store.key.otp"]
    for other in (FOREIGN, BLANK):
        rows(other)
        assert started(box) == 1
        assert "tram-bridge recover" in capfd.readouterr().err
    rows(OWN)
    assert started(box) == 0
    assert (epochs(box), names(box)) == (1, ["store.key.otp"])


@pytest.mark.parametrize(("held", "why"), [(BLANK, "hold no key yet"), ("", "does not give the OTP key")])
def test_rows_that_nobody_programmed_are_left_alone(box: Path, rows: Callable[[str], None], capfd: Captured, held: str, why: str) -> None:
    """All zero is no key, and a firmware that does not know the tag gives none: said, with the page that says how."""
    rows(held)
    assert tram(box, "key", "bind") == 1
    assert why in capfd.readouterr().err
    assert started(box) == 0
    assert names(box) == ["store.key"]


def test_a_mailbox_that_answers_nonsense_keeps_no_station_from_starting(box: Path, capfd: Captured) -> None:
    """The plain key goes on; the journal has the reason."""
    mailbox = box.parent / "bin" / "vcmailbox"
    mailbox.write_text("#!/bin/sh\necho no\n")
    mailbox.chmod(0o755)
    assert started(box) == 0
    assert "vcmailbox answered something else" in capfd.readouterr().err


def test_before_the_enrolment_nothing_is_bound(box: Path, rows: Callable[[str], None], capfd: Captured) -> None:
    """Without the recovery copy a start binds nothing and says why; the station runs."""
    rows(OWN)
    (box.parent / "data" / "store.key.wrapped").unlink()
    assert tram(box, "key", "open", "--bind") == 0
    assert "tram enrol" in capfd.readouterr().err
    assert names(box) == ["store.key"]
    assert started(box) == 0, "tram init makes the copy again"
    assert started(box) == 0
    assert names(box) == ["store.key.otp"]


def test_a_wipe_destroys_every_form(box: Path, rows: Callable[[str], None], capfd: Captured) -> None:
    """The bound form, what was handed over, and whatever a power cut left beside them; afterwards a new station begins."""
    rows(OWN)
    assert started(box) == 0
    key = (box.parent / "run-key" / "store.key").read_bytes()
    for left in (".store.key.leaving", ".store.key.new", "store.key.tpm2"):
        (box.parent / "etc" / left).write_bytes(key)
    conn = open_store(load([box]), {})
    with transaction(conn):
        conn.execute("UPDATE outbox SET state = 2")
    conn.close()
    assert tram(box, "wipe", "--station", "tram-0001") == 0
    assert names(box) == []
    assert not (box.parent / "run-key" / "store.key").exists()
    assert not (box.parent / "data" / "store.key.wrapped").exists()
    capfd.readouterr()
    assert tram(box, "init") == 0
    assert bytes.fromhex((box.parent / "etc" / "store.key").read_text().strip()) != key


def test_the_card_of_a_dead_bound_board_is_recovered(box: Path, rows: Callable[[str], None], capfd: Captured) -> None:
    """The board is gone for ever: the card and the recovery key bring what it had to the bridge."""
    rows(OWN)
    assert started(box) == 0
    rows(FOREIGN)
    there = ["--config", str(box)]
    (private,) = (box.parent / "safe").glob("*.key")
    assert tram(box, "key", "open") == 1
    capfd.readouterr()
    assert bridge(["recover", str(box.parent / "data"), "--key", str(private), *there]) == 0
    assert json.loads(capfd.readouterr().out)["new"] > 0
