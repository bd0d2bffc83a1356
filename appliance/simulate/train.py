"""Training a parcel dictionary: ``python -m appliance.simulate train ID``.

The samples are what parcels compress: the piles of the days with seeds from `texts.FIRST_TRAINING_SEED` on, event by
event and in runs, so that single consults and batches both gain. A dictionary that has shipped is never trained again:
parcels of its number must stay readable for ever; another corpus or size gets the next number.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import zstandard

from appliance.contract import columns
from appliance.contract.answers import Answer, answer_bytes
from appliance.contract.events import (
    AnswerRead,
    AnswerSigned,
    Body,
    ClockAnchor,
    ConsentGiven,
    ConsultClaimed,
    ConsultOpened,
    ConsultQuestion,
    ConsultReply,
    ConsultRequested,
    DeviceRegistered,
    Event,
    PatientRegistered,
)
from appliance.contract.readings import Stamp
from appliance.simulate import STATION, day, filled, texts

DAYS = 30
DICTIONARY_BYTES = 8_192
SEGMENT, MATCH = 64, 8
"""The trainer's `k` and `d`: the best of a few tried on days 2 to 5; larger dictionaries gained nothing."""


def samples() -> list[bytes]:
    """Uncompressed piles, one for each event that has one and one for each four of them in a row; the same every time."""
    found = []
    for seed in range(texts.FIRST_TRAINING_SEED, texts.FIRST_TRAINING_SEED + DAYS):
        events = [event for event in _widened(day(seed), seed) if columns.pile([event])]
        found += [columns.pile([event]) for event in events]
        found += [columns.pile(events[start : start + 4]) for start in range(0, len(events), 4)]
    return found


def train() -> bytes:
    """The dictionary's bytes. The same with the same release of zstd; another may choose other pieces."""
    return zstandard.train_dictionary(DICTIONARY_BYTES, [*samples()], k=SEGMENT, d=MATCH, level=12).as_bytes()


def write_dictionary(number: int, folder: Path) -> Path:
    """Train and write ``<number>.zdict``; FileExistsError when there is one: shipped dictionaries never change."""
    path = folder / f"{number}.zdict"
    with path.open("xb") as out:
        out.write(train())
    return path


def _widened(events: list[Event], seed: int) -> list[Event]:
    """The day's events, and beside each consult what else is said around one: registration, questions, the answer."""
    chance = random.Random(f"tram training {seed}")  # noqa: S311 - simulation, nothing secret
    wide = []
    for event in events:
        wide.append(event)
        if isinstance(event.body, ConsultRequested):
            wide += [Event(event.stamp, event.actor, event.software, one) for one in _around(chance, event.body, event.stamp)]
    return wide


def _around(chance: random.Random, body: ConsultRequested, stamp: Stamp) -> Iterator[Body]:
    consult, doctor, device = body.consult, "BS. Giả Định", body.devices[0].device
    first = body.complaint.split(". ", maxsplit=1)[0]
    told = [filled(chance, one) for one in chance.sample(texts.TRAINING_ADVICE, 4)]
    answer = Answer(STATION, consult, 1, "bs-gia-dinh", doctor, stamp.wall, " ".join(told[:2]), told[2], told[3], test_data=True)
    yield PatientRegistered(body.identity)
    yield ConsentGiven(body.identity.patient, "TREAT", "2026-01")
    yield ConsultOpened(consult, doctor)
    yield ConsultClaimed(consult, doctor, stamp.wall + 6000)
    yield ConsultQuestion(consult, 1, doctor, f"{first}, từ khi nào ạ?")
    yield ConsultReply(consult, 1, first)
    yield AnswerSigned(consult, 1, answer_bytes(answer), 1, b"")
    yield AnswerRead(consult, 1, "ys-hoa", confirmed=False)
    yield DeviceRegistered(device, "suntech-nibp:SIM", "Máy đo huyết áp", "suntech-nibp", "SunTech", "SIM", test_data=True)
    yield ClockAnchor(stamp.boot, stamp.ticks, stamp.wall, 5, "bridge")
