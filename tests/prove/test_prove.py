"""A pinch of each proof, the histories that once went wrong, and the page. `make prove` is the whole of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from appliance.database import connect, integrity, transaction
from appliance.store import boots
from tests.kills.recorder import KEY, make
from tests.prove import __main__ as command
from tests.prove import fleet, histories, lossy, power
from tests.prove.disk import Disk, Op, recorded, write_down
from tests.prove.histories import Said, Town, history, memory
from tests.prove.page import write
from tests.prove.proofs import BAD, PROOFS
from tests.prove.result import Found, SkippedError
from tests.world import NetLink


@pytest.fixture
def town() -> Iterator[Callable[..., Town]]:
    """A function that makes districts in memory."""
    made: list[Town] = []
    with memory() as folder:

        def make_town(seed: int = 1, boxes: int = 1) -> Town:
            place = folder / str(len(made))
            place.mkdir()
            made.append(Town(place, seed, boxes))
            return made[-1]

        yield make_town
        for one in made:
            one.close()


def test_a_pinch_of_histories_holds() -> None:
    """Boxes, broker, bridge and doctor through everything that can happen: nothing lost, doubled, out of order or believed wrongly."""
    assert [one.wrong for one in map(history, range(5)) if one.wrong] == []


def test_the_same_seed_is_the_same_history() -> None:
    """Nothing asks the machine for the time or for chance."""
    assert history(7).print == history(7).print


def test_the_same_seed_is_the_same_history_in_another_process() -> None:
    """Python spreads a set of names in another order in every process; these two histories once went by it."""
    shown = "from tests.prove.histories import history; print(history(20261134).print, history(20261138).print)"
    told = [
        subprocess.run(
            [sys.executable, "-c", shown],
            env=os.environ | {"PYTHONHASHSEED": dice},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for dice in ("0", "1")
    ]
    assert told[0] == told[1] != ""


@pytest.mark.parametrize("seed", [1093, 1275, 20261138, 20261860])
def test_a_history_that_once_went_wrong(seed: int) -> None:
    """An older card, put back, moved to other hardware before it spoke to anybody: its new rows stood under taken numbers. An older
    bridge and then an older card were put back: what the bridge had forgotten came in the card's new epoch, behind what was said since.
    """
    assert history(seed).wrong == []


def put_back(one: Town) -> None:
    """A card of yesterday is put back, and the bridge has more from it than it ever sent."""
    box = one.boxes[0]
    box.record(2)
    one.work(6)
    card, before = box.image(), Said({lane: list(said) for lane, said in box.said.up.items()})
    box.record(2)
    one.work(6)
    box.put(card, before)


def test_an_older_card_begins_one_epoch_and_comes_to_rest(town: Callable[..., Town]) -> None:
    """Receipts of its older stream are ahead of it for ever; that is no reason for one epoch after the other."""
    one = town()
    put_back(one)
    one.boxes[0].record(2)
    assert one.settle() == []
    one.boxes[0].record(0)
    assert one.settle() == []
    assert one.judge() == []
    assert one.boxes[0].conn.execute("SELECT count(*) FROM epoch").fetchone()[0] == 2


def test_what_moved_to_a_new_epoch_leaves_without_anybody_saving_anything(town: Callable[..., Town]) -> None:
    """The carrier's own commit is nobody's news; it looks again all the same."""
    one = town()
    box = one.boxes[0]
    put_back(one)
    box.record(2)
    box.news = True
    for _ in range(20):
        one.work(1)
        one.pass_time(3.0)
    assert one.owed() == {}


def test_a_card_put_back_and_moved_keeps_what_it_saved_in_between(town: Callable[..., Town]) -> None:
    """Its row stands under a number the bridge knows otherwise: it travels under another one."""
    one = town()
    box = one.boxes[0]
    put_back(one)
    box.record(2)
    with transaction(box.conn):
        boots.open_epoch(box.conn, b"machine2", "machine", box.wall())
    box.stop()
    box.start()
    assert one.settle() == []
    assert one.judge() == []


@pytest.mark.parametrize("name", ["deleted on PUBACK", "unsigned receipt accepted", "epoch used again after a card was flashed"])
def test_the_oracle_of_histories_bites(name: str) -> None:
    """A planted bug is seen within a few histories."""
    assert histories._caught(name, 1000)[1] is not None


def test_a_pinch_of_power_cuts_holds() -> None:
    """Every boundary of the beginning of a morning, three ways, and again while it recovers."""
    done, wrong = power.day(1, most=90)
    assert wrong == []
    assert done["cuts"] >= 90


@pytest.mark.parametrize("bug", ["synchronous = OFF", "promised before the commit"])
def test_the_oracle_of_power_cuts_bites(bug: str) -> None:
    """A store that does not wait for the disk is found out within a morning."""
    assert power.day(1, bug)[1]


def test_a_page_torn_while_the_log_was_written_back_is_no_damage(tmp_path: Path) -> None:
    """The log still holds the whole page: a cut in the middle of a checkpoint must not keep a station from starting."""
    make(tmp_path).close()
    start = {power.NAME: (tmp_path / power.NAME).read_bytes()}
    ops: list[Op] = []
    conn = connect(tmp_path / power.NAME, key=KEY)
    conn.close()
    with recorded(ops):
        conn = connect(tmp_path / power.NAME, key=KEY)
        with transaction(conn):
            conn.execute("UPDATE meta SET value = value")
            conn.execute("CREATE TABLE more (id INTEGER PRIMARY KEY, body BLOB)")
            conn.executemany("INSERT INTO more (body) VALUES (?)", [(bytes(900),)] * 40)
        conn.execute("PRAGMA wal_checkpoint(PASSIVE)")
    conn.close()
    disk = Disk(start)
    written = [place for place, op in enumerate(ops) if op.what == "write" and op.file == power.NAME]
    assert written, "nothing was written back into the file: this test proves nothing"
    for op in ops[: written[len(written) // 2] + 1]:
        if op.what != "promise":
            disk.do(op)
    write_down(disk.cut("torn", Random(1)), tmp_path, power.NAMES)
    conn = connect(tmp_path / power.NAME, key=KEY)
    assert integrity(conn, quick=True) == []
    conn.close()


def test_the_recorder_leaves_the_driver_as_it_was(tmp_path: Path) -> None:
    """After the recording nothing is written down any more."""
    ops: list[Op] = []
    with recorded(ops):
        connect(tmp_path / "a.db", key=KEY).close()
    count = len(ops)
    assert count > 0
    connect(tmp_path / "b.db", key=KEY).close()
    assert len(ops) == count


def test_a_pinch_of_lossy_cards_holds() -> None:
    """A whole command on a disk that forgets; skipped where no program may mount one."""
    try:
        lossy.possible()
    except SkippedError as error:
        pytest.skip(str(error))
    wrong, promised = lossy.run(5)
    assert wrong == []
    assert promised >= 0


def test_a_small_fleet_comes_back() -> None:
    """Twelve stations and a bridge that stands still: nothing lost, nobody shouts."""
    found = Found()
    fleet.STILL_S, before = 2.0, fleet.STILL_S
    try:
        fleet.storm(6, 5, 1, found)
    except SkippedError as error:
        pytest.skip(str(error))
    finally:
        fleet.STILL_S = before
    assert (found.figures["lost"], found.figures["doubled"]) == (0, 0)


def test_the_page_says_what_was_done_and_what_escaped() -> None:
    """A saboteur that got away is no proof, and the page says so."""
    good = Found({"cuts": 20_000.0}, saboteurs={"no fsync": True}, repeat="again", size="commit")
    page = write(
        {"P2": good, "P4": Found({"histories": 1.0}, saboteurs={"no dedup": False}, size="pinch"), "P5": Found(skipped="no broker")}, PROOFS
    )
    assert "cuts 20,000 | holds | 1 of 1" in page
    assert "NOT PROVED: a saboteur escaped | 0 of 1" in page
    assert "no broker | not run" in page


def test_a_number_that_must_be_zero_is_known_by_its_name() -> None:
    """Proofs of other modules are judged by these words."""
    assert {"lost", "doubled", "wrong"} <= set(BAD)


def test_what_was_found_is_kept_for_the_next_slice(tmp_path: Path) -> None:
    """Two runs with one file make one page."""
    file = tmp_path / "kept.json"
    command.keep(file, {"P1": Found({"kills": 5.0})})
    command.keep(file, {"P2": Found({"cuts": 7.0})})
    assert {number: found.figures for number, found in command.kept(file).items()} == {"P1": {"kills": 5.0}, "P2": {"cuts": 7.0}}
    assert json.loads(file.read_text())["P1"]["wrong"] == []


def test_an_unknown_promise_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """And says which there are."""
    with pytest.raises(SystemExit):
        command.main(["--only", "P99"])
    assert "for example --only P4" in capsys.readouterr().err


def test_a_request_does_not_wait_behind_the_receipts_of_a_district(town: Callable[..., Town], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where much is due at once the broker's room lasts for some of it only, and the next turn may be a group of the backlog away."""
    one = town(boxes=3)
    one.work(8)
    said: list[str] = []
    sent = one.net.sent

    def noted(link: NetLink, where: str, payload: bytes, token: int, *, sure: bool) -> None:
        said.append(where.split("/")[2])
        sent(link, where, payload, token, sure=sure)

    *others, pressed = one.boxes
    for _ in range(2):  # the first receipts go at once; those of the second round are owed from then on, and due in two seconds
        for box in others:
            box.record(2)
            box.turn()
        one.net.carry("up")
        one.turn_bridge()
        one.pass_time(0.5)
    one.pass_time(2.5)
    pressed.record(0)
    pressed.turn()
    one.net.carry("up")
    one.bridge.live = {box.name: None for box in one.boxes}
    monkeypatch.setattr(one.net, "sent", noted)
    one.turn_bridge()
    assert (said[0], set(said)) == (pressed.name, {box.name for box in one.boxes})
