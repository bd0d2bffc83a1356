"""What is proved of every driver that listens, in one call each; the families' own tests prove what is particular to them."""

import random
from collections.abc import Sequence

import pytest

from appliance.devices import decode as decoding
from appliance.devices.decode import decode
from appliance.devices.driver import SECOND
from appliance.devices.events import Notice, Sample, Word
from appliance.devices.registry import ROWS
from tests.devices.lines_of import Wire, heard, no_value_in_noise
from tests.lines import GARBAGE, every_way, feed


def frames_survive(name: str, frames: Sequence[bytes], between: bytes = GARBAGE) -> None:
    """Each frame gives the same samples alone, among garbage, with another one's head before it; however it is cut."""
    row = ROWS[name]
    alone = [heard(name, each) for each in frames]
    assert any(alone)
    data = between.join([b"", *frames]) + between
    found = every_way(row, data)
    assert [(each.frame, each.invalid) for each in found] == [(each.frame, each.invalid) for some in alone for each in some]
    for frame in frames:
        assert not [each for each in every_way(row, frame[: len(frame) // 2]) if each.valid]


def damage_is_noise(name: str, frame: bytes) -> None:
    """Any one bit turned, any one byte lost: never a valid sample with other numbers."""
    (good,) = heard(name, frame)
    for at in range(len(frame)):
        wrong = [frame[:at] + bytes([frame[at] ^ 1 << bit]) + frame[at + 1 :] for bit in range(8)]
        for data in [*wrong, frame[:at] + frame[at + 1 :]]:
            for sample in heard(name, data):
                assert not sample.valid or sample.numerics == good.numerics, f"{data.hex()} became {sample}"


def never_sends(name: str) -> None:
    """Nothing at opening, later or at closing; a start is refused."""
    driver = ROWS[name].make(None)
    assert driver.begin(0) == driver.tick(10**12) == driver.end(0) == driver.abort(0, "stop") == driver.flush() == []
    assert driver.start("adult", 0, 1) == [Notice(Word.REFUSED, "not-commanded")]
    assert not driver.busy
    assert not ROWS[name].writes


def a_cut_frame_ends_with_silence(name: str, frame: bytes) -> None:
    """Half a frame does not wait for the half of another one; the next frame is heard."""
    driver = ROWS[name].make(None)
    driver.begin(0)
    half = frame[: len(frame) // 2]
    driver.feed(half, 0)
    assert driver.pending
    driver.tick(SECOND // 2)
    assert driver.pending
    driver.tick(2 * SECOND)
    assert not driver.pending
    assert [each.frame for each in driver.feed(frame, 3 * SECOND) if isinstance(each, Sample)]


def decodes_alike(name: str, patch: pytest.MonkeyPatch, seconds: float = 40, **options: str) -> None:
    """A recording with noise and lost bytes: the same lines byte by byte, at least one measurement, all bytes accounted for."""
    recorded = Wire(name, "noise@9:2", "drop@14:2", seed=5, **options).run(seconds).recorded
    found = list(decode(ROWS[name], recorded, samples=True))
    assert any("kind" in each for each in found)
    patch.setattr(decoding, "CHUNK", 1)
    assert list(decode(ROWS[name], recorded, samples=True)) == found
    totals = found[-1]["totals"]
    assert totals["bytes"] == len(recorded) == totals["frame_bytes"] + totals["noise_bytes"] + totals["pending_bytes"]


def noise_is_no_value(name: str, alphabet: bytes = b"", heads: Sequence[bytes] = ()) -> None:
    """Random bytes; random bytes of the format's own alphabet; random bytes behind the frames' own heads. No value, nothing lost."""
    no_value_in_noise(name, 1)
    chance = random.Random(3)
    if alphabet:
        assert not any(each.valid for each in heard(name, bytes(chance.choices(alphabet, k=30_000))))
    for head in heads:
        data = b"".join(head + chance.randbytes(chance.randint(0, 12)) for _ in range(500))
        feed(ROWS[name].listen(), [data], bound=ROWS[name].bound)
