"""Which of a Raspberry Pi's two systems starts, without a board: the firmware's rule is played, everything else is the box's own script.

The rule (Raspberry Pi's documentation, *tryboot*): config.txt names the system; restarted with the one-shot flag the firmware reads
tryboot.txt instead, once.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from images.layering import HERE, image, steps
from tests.images.test_layering import values

SCRIPT = HERE / "files/tram-slots-pi"
CONFIG = (HERE / "files/config-pi.txt").read_text("utf-8")
NOTES = (HERE / "files/slots-pi.txt").read_text("utf-8")


def loaded() -> ModuleType:
    """The script as a module: its rules are functions without files."""
    made = ModuleType("tram_slots_pi")
    sys.modules[made.__name__] = made  # where its data class looks itself up
    exec(compile(SCRIPT.read_text("utf-8"), SCRIPT, "exec"), made.__dict__)
    return made


slots = loaded()


class Board(RuleBasedStateMachine):
    """A board whose power may go after any file: `files` is the firmware's partition, `roots` says how each slot's system turns out."""

    def __init__(self) -> None:
        """As the image leaves it: A stands, B is empty."""
        super().__init__()
        self.files = {"config.txt": CONFIG, "slots.txt": NOTES}
        self.roots = {"A": "stands", "B": "empty"}
        self.kernels = {"A": True, "B": False}
        self.running, self.stood = "A", {"A"}
        self.starts: list[str] = []

    @property
    def state(self) -> Any:
        """What the script reads off the card; a module that is loaded by hand has no types."""
        return slots.parsed(self.files["config.txt"], self.files["slots.txt"])

    def keep(self, now: object, cut: int | None = None) -> bool:
        """Write what changed; with `cut` the power goes after so many files. True when all was written."""
        made = slots.changes(self.state, now, self.files["config.txt"])
        for name, text in made[:cut]:
            self.files[name] = text
        return cut is None or cut >= len(made)

    def start(self, flag: bool = False, late: bool = False) -> None:
        """The firmware's rule, then what the started system does; `late`: it stands, and is not called good yet."""
        read = "tryboot.txt" if flag and "tryboot.txt" in self.files else "config.txt"
        self.running = re.findall(r"^os_prefix=(.)/", self.files[read], re.MULTILINE)[0].upper()
        self.starts.append(self.running)
        assert flag or self.running in self.stood, f"slot {self.running} starts by itself and has never stood"
        assert self.kernels[self.running], f"slot {self.running} starts with half a kernel"
        if self.roots[self.running] == "panics":
            self.start()
            return
        self.keep(slots.settled(self.state, self.running))
        if self.roots[self.running] == "stands":
            self.stood.add(self.running)
            if not late:
                self.keep(slots.called(self.state, self.running, True, self.running))
        elif slots.other(self.running) not in self.state.bad:
            self.keep(slots.called(self.state, self.running, False, self.running))
            self.restart()

    @rule(late=st.booleans())
    def restart(self, late: bool = False) -> None:
        """An orderly restart: the flag is armed where a whole system waits."""
        waits = self.state.trying
        self.start(flag=bool(waits) and waits != self.running and self.kernels[waits], late=late)

    @rule()
    def power_goes(self) -> None:
        """No stop, no flag."""
        self.start()

    @rule(new=st.sampled_from(["stands", "stands", "broken", "panics"]))
    def install(self, new: str) -> None:
        """A bundle, to its end."""
        self.install_until(new, None)

    @rule(new=st.sampled_from(["stands", "broken", "panics"]), cut=st.sampled_from([0, 1, 2, 3, 4, 5, 6]))
    def install_until(self, new: str, cut: int | None) -> None:
        """RAUC's order: the slot called bad, its root written, made primary, its kernel copied; the power may go in between."""
        slot = slots.other(self.running)
        self.kernels[slot] = False
        done = self.keep(slots.called(self.state, slot, False, self.running), cut if cut is not None and cut < 2 else None)
        if not done or cut == 2:
            # Whatever the root's first blocks are now, the system in it is gone.
            self.roots[slot] = "empty" if done else self.roots[slot]
            self.stood -= {slot} if done else set()
            self.kernels[slot] = not done and slot in self.stood
            return self.start()
        self.roots[slot] = "empty"
        self.stood -= {slot}
        if cut == 3:
            return self.start()
        self.roots[slot] = new
        done = self.keep(slots.made_primary(self.state, slot), cut - 4 if cut is not None and cut < 6 else None)
        if not done or cut == 6:
            return self.start()
        self.kernels[slot] = True
        return None

    @invariant()
    def a_system_that_stands_runs(self) -> None:
        """Whatever was installed and whenever the power went: what runs in the end stands."""
        assert self.roots[self.running] == "stands"

    @invariant()
    def what_starts_next_is_not_called_bad(self) -> None:
        """RAUC is never told that a bad slot is the primary one."""
        found = self.state
        assert slots.primary(found) not in found.bad


TestBoard = Board.TestCase
TestBoard.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_new_system_that_stands_stays() -> None:
    """Tried once by the flag, called good, and from then on started without it."""
    board = Board()
    board.install("stands")
    assert slots.primary(board.state) == "B" and board.running == "A"
    board.restart()
    assert board.running == "B"
    board.power_goes()
    assert board.running == "B"


@pytest.mark.parametrize("new", ["broken", "panics"])
def test_a_new_system_that_does_not_stand_is_given_up(new: str) -> None:
    """The old one starts again by itself; a panic, which nobody reports, uses up the tries."""
    board = Board()
    board.install(new)
    for _ in range(slots.TRIES + 1):
        board.restart()
        assert board.running == "A"
    assert board.starts.count("B") == (1 if new == "broken" else slots.TRIES)
    assert slots.parsed(board.files["config.txt"], board.files["slots.txt"]) == slots.State("A", frozenset("B"))


def test_a_power_cut_before_the_restart_does_not_lose_the_update() -> None:
    """Who pulls the plug after the installation gets the old system once more, and the new one at the next restart."""
    board = Board()
    board.install("stands")
    board.power_goes()
    assert board.running == "A"
    board.restart()
    assert board.running == "B"


def test_a_system_on_its_try_may_be_told_to_write_over_the_one_before() -> None:
    """Then the one that runs is the one that starts: the power may go while the other one is half written."""
    board = Board()
    board.install("stands")
    board.restart(late=True)
    assert board.running == "B" and board.starts == ["B"]
    board.install_until("stands", 2)
    assert board.running == "B"


@pytest.mark.parametrize("notes", ["", "bad=\n", "bad=Q\ntrying=\nleft=0\n", "bad=B\ntrying=C\nleft=2\n", "\x00\x00\x00"])
def test_damaged_notes_start_what_the_firmware_starts(notes: str) -> None:
    """The other slot is held for bad, nothing is tried."""
    found = slots.parsed(CONFIG.replace("os_prefix=a/", "os_prefix=b/"), notes)
    assert (found.starts, found.bad, found.trying) == ("B", frozenset("A"), "")


# --- the script on files ---------------------------------------------------------------------------------------------------------------


def box(folder: Path, running: str = "A") -> Path:
    """A box's root folder as the script sees it."""
    for name, text in {
        "boot/firmware/config.txt": CONFIG, "boot/firmware/slots.txt": NOTES, "boot/firmware/a/whole": "0.2.0\n",
        "boot/firmware/b/whole": "0.1.0\n", "proc/cmdline": f"root=PARTUUID=7472616d-02 rw rauc.slot={running} quiet\n",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def says(root: Path, *words: str) -> str:
    """The script's answer, by the system's Python as on the box."""
    environment = {"TRAM_ROOT": str(root)}
    return subprocess.run(
        [sys.executable, "-I", SCRIPT, *words], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_rauc_is_answered_from_what_lies_on_the_card(tmp_path: Path) -> None:
    """The whole of an installation as RAUC and the box's units ask it, up to the slot that starts by itself."""
    root = box(tmp_path)
    assert [says(root, *ask.split()) for ask in ("get-primary", "get-current", "get-state A", "get-state B")] == ["A", "A", "good", "bad"]
    says(root, "set-state", "B", "bad")
    says(root, "set-primary", "B")
    param = root / "run/systemd/reboot-param"
    says(root, "arm")
    assert not param.exists(), "the kernel of the slot was not copied to its end"
    (root / "boot/firmware/b/whole").write_text("0.3.0\n")
    says(root, "arm")
    assert param.read_text() == "0 tryboot\n"
    assert "os_prefix=b/" in (root / "boot/firmware/tryboot.txt").read_text()
    assert "os_prefix=a/" in (root / "boot/firmware/config.txt").read_text()
    (root / "proc/cmdline").write_text("rauc.slot=B\n")
    says(root, "settle")
    says(root, "set-state", "B", "good")
    assert (root / "boot/firmware/config.txt").read_text() == CONFIG.replace("os_prefix=a/", "os_prefix=b/")
    assert [says(root, *ask.split()) for ask in ("get-primary", "get-state A", "get-state B")] == ["B", "good", "good"]
    assert not list((root / "boot/firmware").glob("*.new"))


def test_a_word_that_is_none_is_refused(tmp_path: Path) -> None:
    """Nothing is written, and the words there are follow."""
    root = box(tmp_path)
    words: list[str | Path] = [sys.executable, "-I", SCRIPT, "set-primary", "C"]
    found = subprocess.run(words, env={"TRAM_ROOT": str(root)}, capture_output=True, text=True, check=False)
    assert found.returncode == 2 and "get-primary" in found.stderr
    assert (root / "boot/firmware/slots.txt").read_text() == NOTES


def a_root(folder: Path, version: str) -> Path:
    """A root with a kernel in it."""
    for name in (
        "boot/vmlinuz-6.9-pi", "boot/vmlinuz-6.12-pi", "boot/initrd.img-6.12-pi",
        "usr/lib/linux-image-6.12-pi/broadcom/bcm2711-rpi-4-b.dtb", "usr/lib/linux-image-6.12-pi/overlays/README",
        "usr/local/lib/tram/cmdline", "etc/tram-image",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("cma=64M\n" if name.endswith("cmdline") else f"{version}\n" if name.startswith("etc") else f"{name}\n")
    return folder


def test_a_slot_gets_the_kernel_of_its_root(tmp_path: Path) -> None:
    """The newest kernel, its trees and a command line that names root and slot; what lay there before is gone."""
    root, firmware = a_root(tmp_path / "root", "0.3.0"), tmp_path / "firmware"
    (firmware / "b").mkdir(parents=True)
    (firmware / "b/old.dtb").touch()
    subprocess.run([HERE / "files/tram-fill-firmware", root, "B", firmware], check=True)
    names = sorted(str(one.relative_to(firmware)) for one in firmware.rglob("*") if one.is_file())
    assert names == ["b/bcm2711-rpi-4-b.dtb", "b/cmdline.txt", "b/initrd.img", "b/overlays/README", "b/vmlinuz", "b/whole"]
    assert (firmware / "b/vmlinuz").read_text() == "boot/vmlinuz-6.12-pi\n" and (firmware / "b/whole").read_text() == "0.3.0\n"
    assert "root=PARTUUID=7472616d-03 rw rootwait rauc.slot=B " in (firmware / "b/cmdline.txt").read_text()


def test_a_root_without_a_kernel_leaves_no_slot_that_is_tried(tmp_path: Path) -> None:
    """It fails with a sentence; the mark that it is whole is gone or never there."""
    root, firmware = a_root(tmp_path / "root", "0.3.0"), tmp_path / "firmware"
    (root / "usr/lib/linux-image-6.12-pi/broadcom/bcm2711-rpi-4-b.dtb").unlink()
    (firmware / "b").mkdir(parents=True)
    (firmware / "b/whole").touch()
    assert subprocess.run([HERE / "files/tram-fill-firmware", root, "B", firmware], capture_output=True, check=False).returncode != 0
    assert not (firmware / "b/whole").exists()


@pytest.mark.parametrize("target", ["pi4", "pi5"])
def test_the_firmware_of_a_pi_image_has_a_system_of_its_own_in_a_folder(target: str, tmp_path: Path) -> None:
    """The board's own steps on a small root: what Debian's package put there is gone, RAUC asks our script, the board is named."""
    made, root = image(target, "trixie", values(tmp_path)), a_root(tmp_path / "t.root", "0.2.0")
    for name in ("boot/firmware/start4.elf", "boot/firmware/vmlinuz-6.12-pi", "boot/firmware/cmdline.txt", "boot/firmware/config.txt",
                 "etc/kernel/postinst.d/z50-raspi-firmware"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("Debian's\n")
    found = [(title, one) for title, one in steps(made, tmp_path / "t.img") if title.startswith(("board-pi", "slots"))]
    script = "\n".join(["set -eu", f"ROOT={root}", *(one for _, one in found if "systemctl" not in one)])
    done = subprocess.run(["sh"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    firmware = root / "boot/firmware"
    assert sorted(one.name for one in firmware.iterdir()) == ["a", "config.txt", "slots.txt", "start4.elf"]
    assert not (root / "etc/kernel/postinst.d/z50-raspi-firmware").exists()
    said = (root / "etc/rauc/system.conf").read_text()
    assert f"compatible=tram-{target}\n" in said and "bootloader=custom\n" in said and "grub" not in said
    assert "bootloader-custom-backend=/usr/local/lib/tram/slots\n" in said.partition("[handlers]\n")[2]
    assert os.access(root / "usr/local/lib/tram/slots", os.X_OK)
