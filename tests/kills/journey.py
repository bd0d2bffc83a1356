"""Every program of both ends is killed at random moments while readings, requests and answers travel; then all is counted.

``python -m tests.kills.journey FOLDER EXECUTIONS FORKS SEED`` prints one JSON object. A *promise* is what a person was told: a journal line
written after the commit (readings), a page that says so (patients, requests, signed answers). Killed are the real
commands, first EXECUTIONS times as processes of their own, then FORKS times as forks of the loaded program.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from appliance.agent.clock import Clock
from appliance.bench.stand import DEVICE
from appliance.contract.codec import read_event
from appliance.contract.events import ObservationRecorded
from appliance.demo import broker, places
from appliance.demo.browser import PageError
from appliance.demo.person import PATIENT, Doctor, Nurse, number
from appliance.demo.state import open_state
from appliance.devices.sim.suntech_nibp import result
from appliance.settings import load
from appliance.store import pins
from appliance.store.opening import open_store
from cloud_bridge.store.engine import open_engine
from tests.kills.line import Line
from tests.polling import until

_WORDS = ("Không", "Một", "Hai", "Ba", "Bốn", "Năm", "Sáu", "Bảy", "Tám", "Chín")
PACE_S = 0.06
"""A reading every so often."""
BREATH_S, WORK_S = 30.0, 1.5
"""A screen is not killed again before its person was promised something since its last start (at most so many seconds), and then at a
random moment of the work that follows. Otherwise a busy machine kills screens faster than they start, and nothing is proved."""


@dataclass
class Promises:
    """What people were told is safe."""

    patients: set[int] = field(default_factory=set)
    consults: set[int] = field(default_factory=set)
    answered: set[int] = field(default_factory=set)


class Programs:
    """The programs of both ends: started as processes of their own or as forks, killed, started again."""

    def __init__(self, folder: Path, station: Path, bridge: Path, session: int) -> None:
        self._folder, self._zygote = (
            folder,
            subprocess.Popen([sys.executable, "-m", "tests.kills.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True),
        )
        assert self._zygote.stdout is not None
        assert self._zygote.stdout.readline() == "ready\n"
        box, cloud = ("appliance.cli", ["--config", str(station)]), ("cloud_bridge.cli", ["--config", str(bridge)])
        self.commands: dict[str, tuple[str, list[str]]] = {
            "collect": (box[0], [*box[1], "collect", DEVICE, "--session", str(session)]),
            "carry": (box[0], [*box[1], "carry"]),
            "kiosk": (box[0], [*box[1], "kiosk"]),
            "bridge-carry": (cloud[0], [*cloud[1], "carry"]),
            "console": (cloud[0], [*cloud[1], "console"]),
        }
        self._running: dict[str, subprocess.Popen[bytes] | int] = {}
        self.forked: Counter[str] = Counter()
        self.executed: Counter[str] = Counter()

    def log(self, name: str) -> Path:
        """What a program said, over all its lives."""
        return self._folder / f"{name}.log"

    def start(self, name: str, fork: bool) -> None:
        """Start one."""
        module, argv = self.commands[name]
        if fork:
            self._running[name] = int(self._ask({"module": module, "argv": argv, "log": str(self.log(name))}))
            return
        with self.log(name).open("ab") as log:
            start = f"import sys; from {module} import main; sys.exit(main())"
            self._running[name] = subprocess.Popen([sys.executable, "-c", start, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self, name: str, how: int = signal.SIGKILL) -> None:
        """End one and wait for it; counted when it was a kill."""
        one = self._running.pop(name)
        if isinstance(one, int):
            os.kill(one, how)
            self._ask({"reap": one})
            self.forked[name] += how == signal.SIGKILL
        else:
            one.send_signal(how)
            one.wait(30)
            self.executed[name] += how == signal.SIGKILL

    def close(self) -> None:
        """End all."""
        for name in list(self._running):
            self.end(name, signal.SIGTERM)
        assert self._zygote.stdin is not None and self._zygote.stdout is not None
        self._zygote.stdin.close()
        self._zygote.wait(30)
        self._zygote.stdout.close()

    def _ask(self, wish: dict[str, Any]) -> str:
        assert self._zygote.stdin is not None and self._zygote.stdout is not None
        self._zygote.stdin.write(json.dumps(wish) + "\n")
        self._zygote.stdin.flush()
        return self._zygote.stdout.readline()


def people(
    kiosk: str,
    console: str,
    pin: str,
    unlock: Callable[[], None],
    login: tuple[str, str],
    promises: Promises,
    going_on: Callable[[], bool],
) -> list[threading.Thread]:
    """A nurse who registers and asks, a doctor who answers; both try again when a page does not come."""

    def nurse() -> None:
        count = 0
        while going_on():
            with contextlib.suppress(PageError):
                count += 1
                staff = Nurse(kiosk, pin)  # a screen that knows nothing of the one before
                try:
                    staff.sign_in()
                except PageError:
                    unlock()  # a try whose comparison was killed counts as a wrong one: the lead lets the nurse in again
                    raise
                page = staff.browser.get("/patients/new")
                given = PATIENT | {"name": "Thử Nghiệm " + " ".join(_WORDS[int(digit)] for digit in str(count))}
                page = staff.browser.send(page, page.form(action="/patients/new", has="name"), **given)
                if any("different" in form.values for form in page.forms):
                    page = staff.browser.send(page, page.form(action="/patients/new", has="different"))
                patient = number(page, "patients")
                promises.patients.add(patient)
                staff.consent(patient)
                promises.consults.add(staff.ask(patient))
            time.sleep(0.3)

    def doctor() -> None:
        while going_on():
            with contextlib.suppress(PageError):
                one = Doctor(console)
                one.log_in(*login)
                while going_on():
                    for waiting in one.browser.data("/consults.json")["consults"]:
                        if waiting["consult"] in promises.answered or not going_on():
                            continue
                        page = one.open(waiting["url"])
                        one.answer(page, login[1])
                        promises.answered.add(waiting["consult"])
                    time.sleep(0.3)
            time.sleep(0.3)

    threads = [threading.Thread(target=work, daemon=True) for work in (nurse, doctor)]
    for thread in threads:
        thread.start()
    return threads


def main(folder: Path, executions: int, forks: int, seed: int) -> dict[str, Any]:
    """Kill, let everything arrive, count."""
    draw = random.Random(seed)
    state = open_state(folder / "state")
    ports = broker.free_ports(3)
    laid = places.lay_out(state, places.Ports(ports[0], ports[0], ports[1], ports[2]))
    line = Line(state.short / "tty")
    with laid.station.open("a", encoding="utf-8") as file:
        file.write(
            f'\n[devices.{DEVICE}]\ndriver = "suntech-nibp-unasked"\nport = "{state.short / "tty"}"\nname = "Máy thử"\nsimulated = true\n'
        )
    program = broker.program(broker.find("auto"), ports[0], state.short)
    with subprocess.Popen([*_rights(program), *program.command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        programs = None
        try:
            until(lambda: broker.answers(ports[0]), 20, what="the broker")
            for one, given in places.set_up(laid, state):
                subprocess.run(one.command, input=given.encode(), check=True, stdout=subprocess.DEVNULL, timeout=60)
            session = _session(laid)
            programs = Programs(folder, laid.station, laid.bridge, session)
            found = _run(
                programs,
                laid,
                line,
                draw,
                executions,
                forks,
                ports,
                state.pin(places.STAFF),
                (places.DOCTOR, state.password(places.DOCTOR)),
            )
        finally:
            if programs is not None:
                programs.close()
            line.close()
            running.terminate()
            state.close()
    return {"seed": seed, **found}


def _rights(program: Any) -> list[str]:
    return ["setpriv", *program.rights, "--"] if program.rights else []


def _session(laid: places.Places) -> int:
    def ask(*words: str) -> dict[str, Any]:
        done = subprocess.run(places.tram("--config", laid.station, *words), capture_output=True, check=True, timeout=60)
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    patient = ask("patient", "add", "--name", "Thử Nghiệm Không", "--birth", "1950")["patient"]
    return int(ask("session", "open", "--patient", str(patient), "--device", DEVICE)["session"])


def _run(
    programs: Programs,
    laid: places.Places,
    line: Line,
    draw: random.Random,
    executions: int,
    forks: int,
    ports: list[int],
    pin: str,
    login: tuple[str, str],
) -> dict[str, Any]:
    promises, over = Promises(), threading.Event()
    for name in programs.commands:
        programs.start(name, fork=False)
    until(lambda: broker.answers(ports[1]) and broker.answers(ports[2]), 60, what="the two screens")
    kiosk, console = f"http://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{ports[2]}"
    threads = people(kiosk, console, pin, lambda: _unlock(laid), login, promises, lambda: not over.is_set())
    names = ["collect", "carry", "bridge-carry"] * 4 + ["kiosk", "console"]
    told: dict[str, Callable[[], int]] = {"kiosk": lambda: len(promises.consults), "console": lambda: len(promises.answered)}
    before = dict.fromkeys(told, 0)

    def live(seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Readings come for so long, or until it is enough."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not enough():
            line.send(_frame(line.sent))
            time.sleep(PACE_S)

    for count in range(executions + forks):
        fork = count >= executions
        # every program in turn, so that each has its share; the moment is what chance decides
        name = names[count % len(names)]
        if name in told:
            live(BREATH_S, lambda screen=name: told[screen]() > before[screen])  # type: ignore[misc]
            before[name] = told[name]()
        live(draw.random() * (WORK_S if name in told else 0.5 if fork else 0.9))
        programs.end(name)
        programs.start(name, fork=fork)
    # What was asked while everything died is answered now that nothing dies any more. An answer whose page was lost in a kill
    # is signed all the same: the bridge knows it, the doctor was promised nothing.
    engine = open_engine(load([laid.bridge]).bridge.database)

    def answered() -> set[int]:
        with engine.connect() as tx:
            return {int(row[0]) for row in tx.execute(text("SELECT consult FROM answer"))}

    until(lambda: promises.consults <= answered(), 180, every=0.2, what="the doctor to answer every request")
    engine.dispose()
    over.set()
    for thread in threads:
        thread.join(30)
    return _count(programs, laid, promises)


def _unlock(laid: places.Places) -> None:
    with contextlib.closing(open_store(load([laid.station]))) as conn:
        pins.unlock(conn, places.STAFF, by="", now=Clock(1).stamp())


def _frame(n: int) -> bytes:
    systolic, diastolic, pulse = 100 + n % 140, 50 + n // 140 % 45, 60 + n // 6300 % 60
    return result(systolic, diastolic, (systolic + 2 * diastolic) // 3, pulse)


def _count(programs: Programs, laid: places.Places, promises: Promises) -> dict[str, Any]:
    conn = open_store(load([laid.station]))
    engine = open_engine(load([laid.bridge]).bridge.database)
    promised = Counter(said["reading_key"] for said in _journal(programs.log("collect")) if said.get("step") == "record")

    def unsent() -> int:
        return int(conn.execute("SELECT count(*) FROM outbox WHERE state < 2").fetchone()[0])

    def at_home() -> set[int]:
        return {int(row[0]) for row in conn.execute("SELECT consult FROM answer WHERE verified = 1")}

    until(lambda: unsent() == 0 and promises.answered <= at_home(), 180, every=0.2, what="everything to arrive")
    here = Counter(bytes(row[0]).hex() for row in conn.execute("SELECT key FROM observation"))
    events = [read_event(bytes(row[0])) for row in conn.execute("SELECT body FROM outbox WHERE kind = 10")]
    sent = Counter(event.body.reading.key.hex() for event in events if isinstance(event.body, ObservationRecorded))
    answers = Counter(int(row[0]) for row in conn.execute("SELECT consult FROM answer"))
    with engine.connect() as tx:
        there = Counter(bytes(row[0]).hex() for row in tx.execute(text("SELECT key FROM observation")))
        patients = {int(row[0]) for row in tx.execute(text("SELECT patient FROM patient"))}
        consults = Counter(int(row[0]) for row in tx.execute(text("SELECT consult FROM consult")))
        quarantined = int(tx.execute(text("SELECT count(*) FROM relay_quarantine")).scalar_one())
    engine.dispose()
    return {
        "executions_killed": dict(programs.executed),
        "forks_killed": dict(programs.forked),
        "readings_promised": len(promised),
        "patients_promised": len(promises.patients),
        "consults_promised": len(promises.consults),
        "answers_promised": len(promises.answered),
        "lost": {
            "readings_on_the_box": len(set(promised) - set(here)),
            "readings_at_the_bridge": len(set(here) - set(there)),
            "patients": len(promises.patients - patients),
            "consults": len(promises.consults - set(consults)),
            "answers": len(promises.answered - set(answers)),
        },
        "doubled": sum(count - 1 for many in (here, sent, there, consults) for count in many.values()),
        "answers_doubled": sum(count - 1 for count in answers.values()),
        "invented": len(set(there) - set(here)),
        "quarantined": quarantined,
    }


def _journal(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(ValueError):  # a line cut by a kill
            said = json.loads(line)
            if isinstance(said, dict):
                found.append(said)
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])), ensure_ascii=False))
