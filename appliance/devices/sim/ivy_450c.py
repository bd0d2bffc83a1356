"""The device's side of an Ivy 450C: a frame a second, with a finger, an ECG and a cuff. All numbers are made up."""

import random

from appliance.devices.sim.finger import Finger

SECOND = 1_000_000_000


def frame(
    spo2: int | None = 100, pulse: int | None = 80, *, heart: int | None = 80, breath: int | None = 35,
    cuff: tuple[int, int, int, int] | None = (121, 75, 92, 80), warm: str = "", pad: int = 0, waves: int = 400,
) -> bytes:  # fmt: skip
    """A frame; `pad` FB bytes stand in the middle of its waves."""
    wave = bytes(128 + at % 40 for at in range(waves // 2))
    lines = (
        f"HR=1;{_said(heart)};ECG-II-DIAG;",
        f"RR=1;{_said(breath)};APNEA: 20 SEC;",
        "ETCO2=1;;;",
        f"SPO2=1;{_said(spo2)};{'' if pulse is None else f'PR={pulse} '};",
        f"NIBP=4;{';'.join(map(str, cuff)) if cuff else ';;;'};;",
        "P1=3;111;73;88;;",
        "P2=3;;;;NO TRANSDUCER",
        f"T1=1;{warm};;",
        "T2=1;;;",
    )
    return b"\xffANSAR-B " + wave + b"\xfb" * pad + wave + "".join(f"{line}\r" for line in lines).encode() + b"\xfe"


def _said(value: int | None) -> str:
    return "" if value is None else str(value)


class Ivy450c:
    """One simulated monitor; the cuff has another result every `cycle` seconds."""

    def __init__(self, chance: random.Random, *, finger: str = "in", cycle: float = 20.0) -> None:
        self._chance = chance
        self._finger = Finger(chance, finger)
        self._cycle_ns = int(cycle * SECOND)
        self._next_ns = self._began_ns = -1
        self._cuff: tuple[int, int, int, int] | None = None
        self.sent: list[tuple[int, int, int]] = []
        """Systolic, diastolic, mean of every result of the cuff."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""

    def output(self, now_ns: int) -> list[bytes]:
        """The frame due by now."""
        if self._next_ns < 0:
            self._next_ns = self._began_ns = now_ns
        if now_ns < self._next_ns:
            return []
        self._next_ns = now_ns + SECOND
        if now_ns - self._began_ns >= self._cycle_ns:
            self._began_ns = now_ns
            systolic, diastolic = self._chance.randint(105, 165), self._chance.randint(60, 95)
            self._cuff = (systolic, diastolic, (systolic + 2 * diastolic) // 3, 70)
            self.sent.append(self._cuff[:3])
        if self._finger.place(now_ns) != "in":
            return [frame(None, None, cuff=self._cuff)]
        return [frame(self._finger.spo2, self._finger.pulse, cuff=self._cuff)]

    def order(self, words: list[str], now_ns: int) -> bool:
        """``finger in``, ``finger out``, ``finger cycle``; True when understood."""
        return self._finger.order(words, now_ns)

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The frame as a bad line delivers it: a letter of its text is none."""
        return frame[:-4] + b"\x80" + frame[-3:]
