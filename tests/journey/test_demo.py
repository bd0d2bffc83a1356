"""The demo with real processes: one whole round on each broker, its faults, and no process ever left behind."""

import itertools
import json
import re
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.contract.ids import EPOCH_BYTES, READING_KEY_BYTES, is_station
from appliance.database import connect
from appliance.demo import broker
from appliance.demo.person import Doctor, Nurse
from appliance.demo.places import CUFF, OXIMETER, STAFF_NAME
from appliance.demo.state import open_state
from appliance.demo.steps import ANSWER, READING
from tests.journey.demos import ROUND_S, Running, running
from tests.polling import until

pytestmark = pytest.mark.slow


def need(kind: str) -> None:
    """Skip where a broker is not installed."""
    try:
        broker.find(kind)
    except broker.BrokerError as error:
        pytest.skip(str(error))


def once(state: Path, *words: str) -> dict[str, Any]:
    """One ``tram demo --once --json``: it succeeds, prints one object, and leaves nothing running."""
    with running(state, "--once", "--json", *words) as demo:
        status = demo.ended(ROUND_S)
        assert status == 0, demo.said
        assert demo.left() == []
        lines = demo.said["out"].splitlines()
        assert len(lines) == 1, lines
        result: dict[str, Any] = json.loads(lines[0])
        return result


def check_steps(steps: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    """Every step once, in order, each with its time."""
    assert [(step["n"], step["name"]) for step in steps] == list(enumerate(names, 1))
    assert all(set(step) == {"n", "name", "at", "ms"} for step in steps)
    assert steps[0]["ms"] == 0
    for before, after in itertools.pairwise(steps):
        assert before["ms"] <= after["ms"], (before, after)
        assert before["at"] <= after["at"], (before, after)
    for step in steps:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", step["at"])
        assert abs((datetime.now(UTC) - datetime.fromisoformat(step["at"])).total_seconds()) < 300


def check(result: dict[str, Any]) -> None:
    """The object of the issue, with values that can be true."""
    assert set(result) == {
        "ok", "station", "epoch", "lane", "seq", "patient", "reading_key", "consult", "answer", "test_data", "steps", "answer_steps",
    }  # fmt: skip
    assert result["ok"] is True
    assert result["test_data"] is True
    assert is_station(result["station"])
    assert len(bytes.fromhex(result["epoch"])) == EPOCH_BYTES
    assert len(bytes.fromhex(result["reading_key"])) == READING_KEY_BYTES
    assert all(isinstance(result[name], int) and result[name] > 0 for name in ("lane", "seq", "patient", "consult", "answer"))
    check_steps(result["steps"], READING)
    check_steps(result["answer_steps"], ANSWER)


def stored(state: Path, key: str) -> int:
    """How many observations with this reading key the bridge has."""
    conn = connect(state / "bridge" / "bridge.db", key=None, readonly=True)
    try:
        return int(conn.execute("SELECT count(*) FROM observation WHERE key = ?", (bytes.fromhex(key),)).fetchone()[0])
    finally:
        conn.close()


def test_one_round_with_mosquitto_and_again_from_nothing(tmp_path: Path) -> None:
    """The object is whole, what it names is in the bridge once; --fresh on a folder with a history begins anew."""
    need("mosquitto")
    first = once(tmp_path / "demo", "--fresh", "--broker", "mosquitto")
    check(first)
    assert stored(tmp_path / "demo", first["reading_key"]) == 1
    second = once(tmp_path / "demo", "--fresh", "--broker", "mosquitto")
    check(second)
    assert second["epoch"] != first["epoch"]
    assert stored(tmp_path / "demo", first["reading_key"]) == 0
    assert stored(tmp_path / "demo", second["reading_key"]) == 1


def test_one_round_with_iotcore(tmp_path: Path) -> None:
    """A broker that speaks only MQTT 3.1.1 carries the same round."""
    need("iotcore")
    result = once(tmp_path / "demo", "--broker", "iotcore")
    check(result)
    assert stored(tmp_path / "demo", result["reading_key"]) == 1


def test_a_round_that_is_broken_off_says_where_and_leaves_nothing(tmp_path: Path) -> None:
    """SIGINT in the middle of a round: one object with the step it was at, exit 1, no process; the folder can be used again."""
    with running(tmp_path / "demo", "--once", "--json") as demo:
        demo.hears("ready after")
        assert len(demo.left()) > 8
        until(lambda: " measuring" in (tmp_path / "demo" / "log" / "collect-oximeter.log").read_text(), what="the finger to be in")
        demo.process.send_signal(signal.SIGINT)
        assert demo.ended(30) == 1
        assert demo.left() == []
        result = json.loads(demo.said["out"])
        assert result["ok"] is False
        assert result["failed_step"] in READING
        assert "signal" in result["reason"]
    check(once(tmp_path / "demo"))


def test_ctrl_c_during_the_set_up_leaves_nothing(tmp_path: Path) -> None:
    """Nobody has to wait for the end of the set-up."""
    with running(tmp_path / "demo", "--once", "--json") as demo:
        demo.hears("tram demo: broker")
        demo.process.send_signal(signal.SIGINT)
        assert demo.ended(30) == 1
        assert demo.left() == []
        assert json.loads(demo.said["out"])["failed_step"] == "set-up"


def test_a_demo_that_is_killed_takes_everything_with_it(tmp_path: Path) -> None:
    """SIGKILL cannot be cleaned up after: the kernel ends the children."""
    with running(tmp_path / "demo") as demo:
        demo.hears("doctor's console", "out")
        assert len(demo.left()) > 8
        demo.process.kill()
        until(lambda: not demo.left(), within=10, what="every process of the demo to end")
    open_state(tmp_path / "demo").close()  # removes what the killed demo had in /tmp


def test_ctrl_c_ends_a_demo_that_stays(tmp_path: Path) -> None:
    """Without --once it runs until somebody ends it; with --json every line of standard output is an object, the addresses first."""
    with running(tmp_path / "demo", "--json") as demo:
        demo.hears("Ctrl-C ends it")
        demo.process.send_signal(signal.SIGINT)
        assert demo.ended(30) == 0
        assert demo.left() == []
        said = [json.loads(line) for line in demo.said["out"].splitlines()]
        assert all(said[0][name].startswith("http://127.0.0.1:") for name in ("kiosk", "console"))
        assert set(said[0]["logins"]) == {"kiosk", "lead", "console"}


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Nothing is touched, nothing is started, the reason is said; with --json as an object."""
    (tmp_path / "letter").write_text("dear")
    with running(tmp_path, "--fresh", "--once", "--json") as demo:
        assert demo.ended(30) == 1
        result = json.loads(demo.said["out"])
        assert (result["ok"], result["failed_step"]) == (False, "set-up")
        assert "not made by the demo" in result["reason"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter"]


def measure(demo: Running, nurse: Nurse, patient: int) -> None:
    """An oximeter's reading, saved; the demo is listened to meanwhile, since its pipes must not fill up.

    Nobody puts a finger in: the demo does when a session is opened.
    """
    page = nurse.begin(patient, OXIMETER)

    def going_on() -> bool:
        demo.listen(0.01)
        return True

    _measurement, page = nurse.save(nurse.watch(page, 40, going_on))
    nurse.finish(page, going_on)


def state_of(nurse: Nurse, device: str) -> str:
    """What the kiosk knows of a device."""
    return str(nurse.browser.data(f"/live/{device}.json")["state"])


def test_a_reading_taken_between_faults_arrives_exactly_once(tmp_path: Path) -> None:
    """Noise, unplugging, a cut link and a power cut, by keys on a terminal: what was saved reaches the doctor once."""
    with running(tmp_path / "demo", keys=True) as demo:
        demo.hears("q quit")
        kiosk, pin, console, login, password = addresses(demo)
        nurse, doctor = Nurse(kiosk, pin), Doctor(console)
        nurse.sign_in()
        patient = nurse.register()

        demo.press("n")
        demo.hears("noise on both wires")
        demo.press("u")
        demo.hears("both devices are unplugged")
        until(lambda: state_of(nurse, CUFF) in ("absent", "lost"), within=20, what="the kiosk to miss the cuff")
        demo.press("u")
        demo.hears("plugged in again")
        demo.hears("quiet again")
        until(lambda: state_of(nurse, CUFF) == "ready", within=60, what="the cuff to be back")

        demo.press("c")
        demo.hears("the link to the broker is cut")
        measure(demo, nurse, patient)
        consult = nurse.ask(patient)
        until(lambda: "Chờ mạng" in nurse.browser.get("/home").words(), within=30, what="the kiosk to say that it waits for the network")
        demo.press("p")
        demo.hears("SIGKILL to .*kiosk")
        demo.hears("kiosk ended .SIGKILL.; starting it again")
        demo.press("c")
        demo.hears("the link is back")
        demo.hears(r"reading 1 +9 receipt", "out", within=60)

        doctor.log_in(login, password)
        row = until(lambda: doctor.find(consult), within=30, what="the request in the doctor's queue")
        doctor.open(row["url"])
        facts = doctor.facts(row["url"])
        keys = [one["key"] for one in [*facts["readings"], *facts["other_readings"]]]
        assert len(keys) == 1
        assert stored(tmp_path / "demo", keys[0]) == 1
        demo.hears(r"reading 1 +10 shown", "out", within=30)
        for name in READING:
            assert len(re.findall(rf"reading 1 +\d+ {name} ", demo.said["out"])) == 1, (name, demo.said["out"])

        demo.press("q")
        assert demo.ended(30) == 0
        assert demo.left() == []


def addresses(demo: Running) -> tuple[str, str, str, str, str]:
    """Kiosk, the nurse's PIN, console, login and password, as a person reads them."""
    kiosk = re.search(rf"station kiosk +(\S+) +{STAFF_NAME}: PIN ([0-9]{{6}})", demo.said["out"])
    console = re.search(r"doctor's console +(\S+) +(\S+) / (\S+)", demo.said["out"])
    assert kiosk is not None, demo.said
    assert console is not None, demo.said
    return kiosk[1], kiosk[2], console[1], console[2], console[3]
