"""The device's side of a MaiBoBo cuff: somebody puts an arm in now and then. All numbers are made up."""

from functools import reduce
from operator import xor

from appliance.devices.sim.button import ButtonCuff


def packet(about: int, data: bytes) -> bytes:
    """A packet of the device: ``01 about``, with its xor.

    >>> packet(5, bytes([0x00, 0x30])).hex()
    'aa8003040105003033'
    """
    body = bytes([0x03, len(data) + 2, 0x01, about]) + data
    return b"\xaa\x80" + body + bytes([reduce(xor, body)])


def result(systolic: int, diastolic: int, pulse: int) -> bytes:
    """A result; the seven bytes before the numbers are zero here."""
    return packet(6, bytes(7) + b"".join(each.to_bytes(2, "big") for each in (systolic, diastolic, pulse)))


class Maibobo(ButtonCuff):
    """One simulated cuff."""

    def pressure(self, value: int) -> bytes:
        """What is in the cuff."""
        return packet(5, value.to_bytes(2, "big"))

    def failed(self, error: int) -> bytes:
        """A measurement that failed."""
        return packet(7, bytes([error]))

    def result(self, systolic: int, diastolic: int, pulse: int) -> bytes:
        """A finished measurement."""
        return result(systolic, diastolic, pulse)
