"""The device's side of a BPM PRO 2: somebody presses its button now and then. All numbers are made up."""

from appliance.devices.sim.button import ButtonCuff

CRC_BITS = 8


def packet(about: int, data: bytes, unit: int = 0xF2) -> bytes:
    """A packet with its check, high byte first.

    >>> packet(0x28, bytes([0x00, 0x30])).hex()
    '5a0828f200306745'
    """
    body = bytes([0x5A, len(data) + 6, about, unit]) + data
    crc = 0xFFFF
    for byte in body:
        crc ^= byte
        for _ in range(CRC_BITS):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return body + crc.to_bytes(2, "big")


def result(systolic: int, diastolic: int, mean: int, pulse: int, when: tuple[int, int, int, int, int] = (2026, 3, 5, 9, 42)) -> bytes:
    """A result with its time."""
    year, *rest = when
    return packet(0x22, b"".join(each.to_bytes(2, "big") for each in (systolic, diastolic, mean, pulse, year)) + bytes(rest))


class BpmPro2(ButtonCuff):
    """One simulated cuff."""

    def pressure(self, value: int) -> bytes:
        """What is in the cuff."""
        return packet(0x28, value.to_bytes(2, "big"))

    def failed(self, error: int) -> bytes:
        """A measurement that failed."""
        return packet(0x25, bytes([error]))

    def result(self, systolic: int, diastolic: int, pulse: int) -> bytes:
        """A finished measurement."""
        return result(systolic, diastolic, (systolic + 2 * diastolic) // 3, pulse)
