"""What a reading takes on the wire: parcels beside JSON and FHIR, on the measured day (docs/decisions: the measured day).

A *reading* is one numeric observation; a blood pressure with its four values is one. Batches are consecutive readings
of the day in the order in which they were saved, without the consults between them; what is left over at the end of the
day is not counted. Bytes are the whole message: for parcels everything before sealing, for JSON and FHIR the text, UTF-8,
without white space. The day's mix (388 events with consults) is measured apart. Zstd has level 12, dictionaries have
8 KiB and come from training days, whose sentences are others.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import zstandard

from appliance.bench import fhir_text
from appliance.contract.codec import write_event
from appliance.contract.events import ConsultRequested, Event, ObservationRecorded
from appliance.contract.lanes import Lane
from appliance.contract.parcels import PAYLOAD_BYTES, Header, pack, read_parcel
from appliance.contract.readable import readable
from appliance.simulate import STATION, day, entropy, texts

SEED = 1
BATCHES = (1, 10, 30, 100)
LIMITS = {30: 7.2, 100: 6.0}
"""The most bytes a reading may take in a parcel, by batch."""
EPOCH = bytes(range(1, 9))
FIRST_SEQ = 1_200
TRAINING_DAYS = 3
LEVEL = 12
ROUNDS = 12

Batch = Sequence[Event]


def run() -> dict[str, Any]:
    """Bytes per reading and per event, and microseconds per reading of CPU."""
    events = day(SEED)
    readings = numeric(events)
    return {
        "bench": "wire",
        "seed": SEED,
        "events": len(events),
        "readings": len(readings),
        "floor": entropy.floor()
        | {
            "fact_sheet": 3.25,
            "what": "entropy of the day's numbers, times at 0.1 s; no names, no headers; the fact sheet's day has no saved_after",
        },
        "limits": LIMITS,
        "bytes_per_reading": {name: _by_batch(measure, readings) for name, measure in forms(numeric).items()},
        "bytes_per_event_of_the_day": {name: {100: _each(measure, events, 100)} for name, measure in forms(list).items()},
        "bytes_per_consult": _consults(events),
        "bytes_of_the_day": _day_bytes(events),
        "us_per_reading": {batch: _times(readings, batch) for batch in (30, 100)},
    }


def numeric(events: Batch) -> list[Event]:
    """The readings among a day's events."""
    return [event for event in events if isinstance(event.body, ObservationRecorded)]


def parcel(batch: Batch) -> bytes:
    """A batch as the box sends it: lane 2, dictionary 1 where it helps."""
    payload, taken = pack(Header(STATION, EPOCH, Lane.READINGS, FIRST_SEQ, 1, dictionary=1), batch, PAYLOAD_BYTES)
    assert taken == len(batch)
    return payload


def json_text(batch: Batch) -> bytes:
    """One plain JSON object per reading: time, patient, device, values, status; other events in their readable form.

    It flatters JSON: stream, sequence, boot, clock quality, staff and software, which parcels carry, are not in it.
    """
    return _json([_row(event) for event in batch])


def fhir_bundle(batch: Batch) -> bytes:
    """A FHIR R4 bundle with one resource per event."""
    return _json({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": fhir_text.resource(event)} for event in batch]})


def cbor_events(batch: Batch) -> bytes:
    """The events as the outbox keeps them, one behind the other."""
    return b"".join(write_event(event) for event in batch)


def forms(part: Callable[[list[Event]], Batch]) -> dict[str, Callable[[Batch], int]]:
    """The forms compared, each as a function to the bytes of a batch; `part` chooses what of a day trains their dictionaries."""
    found: dict[str, Callable[[Batch], int]] = {"parcel": lambda batch: len(parcel(batch))}
    for name, write in (("cbor", cbor_events), ("json", json_text), ("fhir", fhir_bundle)):
        press = _trained(write, part)
        found[name] = lambda batch, write=write: len(write(batch))  # type: ignore[misc]  # a lambda with a default has no type
        found[f"{name}_zstd_dictionary"] = lambda batch, write=write, press=press: len(press.compress(write(batch)))  # type: ignore[misc]  # a lambda with a default has no type
    return found


def _trained(write: Callable[[Batch], bytes], part: Callable[[list[Event]], Batch]) -> zstandard.ZstdCompressor:
    samples: list[bytes | bytearray | memoryview[int]] = []
    for seed in range(texts.FIRST_TRAINING_SEED, texts.FIRST_TRAINING_SEED + TRAINING_DAYS):
        events = part(day(seed))
        samples += [write(events[start : start + 10]) for start in range(0, len(events), 10)]
        samples += [write([event]) for event in events[::2]]
    dictionary = zstandard.train_dictionary(8192, samples, level=LEVEL)
    settings = zstandard.ZstdCompressionParameters.from_level(
        LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False, write_checksum=False, write_dict_id=False
    )
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=settings)


def _by_batch(measure: Callable[[Batch], int], events: Batch) -> dict[int, float]:
    return {batch: _each(measure, events, batch) for batch in BATCHES}


def _each(measure: Callable[[Batch], int], events: Batch, batch: int) -> float:
    """Mean bytes per event over the whole batches of a day."""
    whole = len(events) // batch * batch
    return round(sum(measure(events[start : start + batch]) for start in range(0, whole, batch)) / whole, 3)


def _consults(events: Batch) -> dict[str, float]:
    sizes = [len(parcel([event])) for event in events if isinstance(event.body, ConsultRequested)]
    return {"least": min(sizes), "mean": round(sum(sizes) / len(sizes), 1), "most": max(sizes)}


def _day_bytes(events: Batch) -> dict[str, int]:
    """The day as the relay would send it on a metered link: other lanes one by one, readings thirty at a time; and as JSON."""
    readings = numeric(events)
    others = [event for event in events if event not in readings]
    batches = [readings[start : start + 30] for start in range(0, len(readings), 30)] + [[event] for event in others]
    return {
        "messages": len(batches),
        "parcels": sum(len(parcel(one)) for one in batches),
        "json": sum(len(json_text([one])) for one in events),
    }


def _times(readings: Batch, batch: int) -> dict[str, float]:
    """CPU microseconds per reading, the best of some rounds: what the program takes when nobody disturbs it."""
    batches = [readings[start : start + batch] for start in range(0, len(readings) // batch * batch, batch)]
    payloads = [parcel(one) for one in batches]
    count = batch * len(batches)
    return {
        "encode": _best(lambda: [parcel(one) for one in batches], count),
        "decode": _best(lambda: [read_parcel(one) for one in payloads], count),
        "json_encode": _best(lambda: [json_text(one) for one in batches], count),
    }


def _best(work: Callable[[], object], count: int) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return round(best / count * 1e6, 1)


def _row(event: Event) -> dict[str, Any]:
    body = event.body
    if not isinstance(body, ObservationRecorded):
        return readable(event)
    reading = body.reading
    row: dict[str, Any] = {"t": event.stamp.wall, "patient": body.patient, "device": reading.device, "saved": body.saved_after}
    row |= {one.metric.name.lower(): one.value for one in reading.numerics}
    return row | ({"status": int(reading.status)} if reading.status else {})


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
