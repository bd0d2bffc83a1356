"""A monitor that sends HL7: a message every `cycle` seconds. All numbers are made up."""

import random

SECOND = 1_000_000_000


def observation(place: int, code: str, value: str, unit: str = "", status: str = "F", when: str = "") -> str:
    """One OBX segment."""
    return f"OBX|{place}|NM|{code}||{value}|{unit}|||||{status}|||{when}"


def message(observations: list[str], *, kind: str = "ORU^R01^ORU_R01", when: str = "20260305094200", drawn: str = "") -> bytes:
    """A whole message in its frame; the patient is nobody."""
    segments = (
        f"MSH|^~\\&|SIM|WARD|TRAM|STATION|{when}||{kind}|1|P|2.6",
        "PID|1||TEST||Nghiệm^Thử",
        f"OBR|1||1|182777000^monitoring of patient^SCT|||{drawn}",
        *observations,
    )
    return b"\x0b" + "".join(f"{segment}\r" for segment in segments).encode() + b"\x1c\r"


class Hl7Mllp:
    """One simulated monitor."""

    def __init__(self, chance: random.Random, *, cycle: float = 8.0) -> None:
        self._chance = chance
        self._cycle_ns = int(cycle * SECOND)
        self._due_ns: int | None = None
        self.sent: list[tuple[int, int, int, int]] = []
        """SpO2, pulse, systolic and diastolic of every message."""

    def feed(self, data: bytes, now_ns: int) -> None:
        """It does not listen."""

    def output(self, now_ns: int) -> list[bytes]:
        """The message due by now."""
        if self._due_ns is None:
            self._due_ns = now_ns + self._cycle_ns
        if now_ns < self._due_ns:
            return []
        self._due_ns = now_ns + self._cycle_ns
        chance = self._chance
        spo2, pulse, systolic, diastolic = chance.randint(94, 99), chance.randint(55, 100), chance.randint(105, 165), chance.randint(60, 95)
        self.sent.append((spo2, pulse, systolic, diastolic))
        return [
            message(
                [
                    observation(1, "150456^MDC_PULS_OXIM_SAT_O2^MDC", str(spo2), "262688^MDC_DIM_PERCENT^MDC"),
                    observation(2, "149530^MDC_PULS_OXIM_PULS_RATE^MDC", str(pulse), "264864^MDC_DIM_BEAT_PER_MIN^MDC"),
                    observation(3, "8480-6^Systolic^LN", str(systolic), "mm[Hg]^^UCUM"),
                    observation(4, "8462-4^Diastolic^LN", str(diastolic), "mm[Hg]^^UCUM"),
                ]
            )
        ]

    def order(self, words: list[str], now_ns: int) -> bool:
        """``button``: a message is due after the next cycle; True when understood."""
        if words == ["button"]:
            self._due_ns = now_ns + self._cycle_ns
            return True
        return False

    @staticmethod
    def damage(frame: bytes) -> bytes:
        """The message as a bad line delivers it: its end is none."""
        return frame[:-2] + b"\x1d\r"
