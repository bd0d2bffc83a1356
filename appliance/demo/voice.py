"""What the demo says, and where: results and steps on standard output, everything else on standard error."""

import json
from typing import Any, TextIO

from appliance.demo.steps import Line, Way

KEYS = "n noise · u unplug/replug · c cut/restore the link · p kill and restart the box · q quit"
NAMES = {False: "reading", True: "answer"}


class Voice:
    """With `as_json` standard output carries JSON only: one object in all (``--once``) or one a line. `gone` = nobody reads it any more."""

    def __init__(self, out: TextIO, err: TextIO, *, as_json: bool, once: bool) -> None:
        self._out = out
        self._err = err
        self._json = as_json
        self._once = once
        self.gone = False

    def tell(self, text: str) -> None:
        """Something a person should know: set-up talk, a program that died, what a key did."""
        try:
            print(text, file=self._err, flush=True)
        except BrokenPipeError:
            self.gone = True

    def addresses(self, kiosk: str, console: str, logins: dict[str, tuple[str, str]]) -> None:
        """Where the screens are and who may log in; `logins` by screen: name and password or PIN."""
        if self._json:
            if not self._once:
                self._say(json.dumps({"kiosk": kiosk, "console": console, "logins": logins}, ensure_ascii=False))
            return
        staff = ", ".join(f"{name}: PIN {pin}" for screen, (name, pin) in logins.items() if screen != "console")
        doctor, password = logins["console"]
        self._say(
            f"\n  station kiosk     {kiosk}    {staff}\n  doctor's console  {console}    {doctor} / {password}\n\n"
            "  Everything is invented: simulated devices, test data. Not for patient care."
        )

    def keys(self) -> None:
        """The keys that work."""
        self.tell(f"  {KEYS}\n")

    def step(self, way: Way, line: Line) -> None:
        """One step of a reading's or an answer's way, with its latency since the step before and since the first."""
        rows = way.rows()
        n = way.names.index(line.step) + 1
        now = next(row for row in rows if row["n"] == n)
        if self._json:
            if not self._once:
                self._say(json.dumps({"way": NAMES[way.answer], "number": way.number, **now, "process": line.process}, ensure_ascii=False))
            return
        before = next((row["ms"] for row in reversed(rows) if row["n"] < n), now["ms"])
        ms = f"+{now['ms'] - before:9.1f} ms {now['ms']:11.1f} ms"
        self._say(f"  {NAMES[way.answer]} {way.number:<3} {n:2} {line.step:<10}{ms}   {line.at[11:23]}  {line.process}")

    def ended(self, result: dict[str, Any]) -> None:
        """The outcome of ``--once``."""
        if self._json:
            self._say(json.dumps(result, ensure_ascii=False))
        elif result["ok"]:
            self._say(f"\n  one whole round: reading {result['reading_key']} reached the doctor, the answer is on the kiosk")
        else:
            self.tell(f"tram demo: {result['failed_step']}: {result['reason']}")

    def _say(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            self.gone = True
