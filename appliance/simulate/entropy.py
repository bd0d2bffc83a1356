"""What the measured day is worth: the least any encoding can take for its numbers, from the distributions they are drawn of.

Sum of the (differential) entropies in bits; a rounded normal with a spread of s units has log2(s √(2πe)). Names (patients, devices,
boot, station, staff) and headers are not in it: they are no numbers, and every parcel must bring its own.
"""

import math

from appliance import simulate as s

READINGS = 6
"""Readings of one patient."""
_NORMAL = math.log2(math.sqrt(2 * math.pi * math.e))


def bits() -> dict[str, float]:
    """Bits per patient by part of the day."""
    return {
        "systolic": _repeats(s.SYSTOLIC[1], s.SYSTOLIC_NOISE, 3),
        "diastolic": _repeats(math.hypot(s.DIASTOLIC[1], _slack() / 4), s.DIASTOLIC_NOISE, 3),
        "mean": 3 * (_NORMAL + math.log2(s.MEAN_NOISE)),
        "pulse": _repeats(s.PULSE[1], s.PULSE_NOISE, 4),
        "status": 3 * (_binary(s.STATUS_SHARE) + s.STATUS_SHARE * math.log2(3)),
        "spo2": _capped(*s.SPO2, s.SPO2_TOP),
        "spo2_low_high": _geometric(s.SPO2_DIP) + _geometric(s.SPO2_RISE),
        "pulse_low_high": 2 * _geometric(s.PULSE_SWING),
        "perfusion": _NORMAL + math.log2(s.PERFUSION_SPREAD * s.PERFUSION),
        "window": _uniform(s.WINDOW),
        "usable": _geometric(s.LOST),
        "temperature": _NORMAL + math.log2(s.TEMPERATURE[1]),
        "weight": _NORMAL + math.log2(s.WEIGHT[1]),
        "times": sum(map(_uniform, (s.ARRIVAL, s.TO_WEIGHT, s.TO_FINGER, *[s.TO_CUFF] * 3))) + _binary(s.OVERLAP),
        "saved_after": READINGS * _saved(),
    }


def floor() -> dict[str, float]:
    """Bytes per reading: with everything, and without `saved_after`, which the fact sheet's 3.25 does not have."""
    parts = bits()
    whole = sum(parts.values())
    return {
        "bytes_per_reading": round(whole / 8 / READINGS, 3),
        "without_saved_after": round((whole - parts["saved_after"]) / 8 / READINGS, 3),
    }


def _slack() -> float:
    """What is still open about a patient's own systolic pressure after three measurements, mmHg: it adds to the diastolic's scatter."""
    return 1 / math.sqrt(1 / s.SYSTOLIC[1] ** 2 + 3 / s.SYSTOLIC_NOISE**2)


def _repeats(between: float, within: float, times: int) -> float:
    """Several measurements around one patient's own value."""
    return times * _NORMAL + ((times - 1) * math.log2(within**2) + math.log2(within**2 + times * between**2)) / 2


def _binary(share: float) -> float:
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)


def _uniform(bounds: tuple[int, int]) -> float:
    return math.log2(bounds[1] - bounds[0] + 1)


def _geometric(mean: float) -> float:
    """The whole part of an exponential with this mean."""
    stop = 1 - math.exp(-1 / mean)
    return _binary(stop) / stop


def _discrete(shares: list[float]) -> float:
    return -sum(share * math.log2(share) for share in shares if share > 0)


def _capped(mean: float, spread: float, top: int) -> float:
    """A rounded normal whose upper tail sits on `top`."""

    def below(value: float) -> float:
        return (1 + math.erf((value - mean) / spread / math.sqrt(2))) / 2

    shares = [below(value + 0.5) - below(value - 0.5) for value in range(top - 30, top)]
    return _discrete([*shares, 1 - below(top - 0.5)])


def _saved() -> float:
    def below(value: float) -> float:
        return (1 + math.erf(math.log(value / s.SAVE) / s.SAVE_SPREAD / math.sqrt(2))) / 2 if value > 0 else 0.0

    shares = [below(value + 0.5) - below(value - 0.5) for value in range(2, 200)]
    return _discrete([below(1.5), *shares])
