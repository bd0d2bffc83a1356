"""Golden messages: ``python -m tests.contract.make_golden`` adds what is missing, and never touches what is there.

``tests/contract/golden/v1/<name>-<n>.bin`` is a message as a released box or bridge made it, ``.json`` what it says: for
a parcel its header, each event in readable form and as the outbox keeps it. `<name>` is the kind's number for a parcel
of one kind; ``day`` for a stretch of a simulated day, ``sealed`` for one sealed with `SEAL_KEYS`, ``fragment``, ``hello``
and ``receipt`` for the other messages.
Run it once for each release, before the tag; from the first tag on the folder only grows.
"""

import json
from collections.abc import Iterator
from dataclasses import fields
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.contract import cbor
from appliance.contract.codec import write_event
from appliance.contract.events import KINDS, Event, ObservationRecorded, Unknown
from appliance.contract.metrics import Metric, Status
from appliance.contract.parcels import Header, pack, read_fragment, read_parcel, split
from appliance.contract.readable import readable
from appliance.contract.readings import ClockQuality, Numeric, Reading, ReadingKind, Source, Stamp
from appliance.contract.receipts import Hello, LaneReceipt, Level, Past, Receipt, open_receipt, read_hello, seal_receipt, write_hello
from appliance.contract.sealing import Seal, direction_key
from appliance.contract.wiring import plan
from appliance.simulate import day

FOLDER = Path(__file__).parent / "golden" / "v1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""A key for examples; it protects nothing."""
HEADER = Header("tram-0001", bytes(range(1, 9)), 2, 1200, 1, dictionary=1)
DOWN = Header("tram-0001", bytes(range(9, 17)), 0, 7, 1, epoch=bytes(range(1, 9)), dictionary=1)


SEAL_KEYS = [direction_key(bytes(range(32)), "tram-0001", HEADER.origin, store) for store in (b"", DOWN.origin)]
"""Keys of the way up and the way down, from a content key for examples."""


def told(payload: bytes) -> dict[str, Any]:
    """What a message says, as its ``.json`` holds it."""
    if payload[0] == 0x14:
        one = read_fragment(payload)
        return {"fragment": {"digest": one.digest.hex(), "part": one.part, "parts": one.parts, "data": one.data.hex()}}
    if payload[0] == 0x13:
        return {"hello": _shown(read_hello(payload))}
    if payload[0] == 0x12:
        return {"receipt": _shown(open_receipt(payload, {1: KEY.public_key()}))}
    header, events = read_parcel(payload, SEAL_KEYS)
    return {"header": _shown(header), "events": [{"says": readable(one), "outbox": write_event(one).hex()} for one in events]}


def messages() -> Iterator[tuple[str, bytes]]:
    """Every golden message of this version, with its name."""
    for kind, cls in sorted(KINDS.items()):
        for full in (False, True):
            event = Event(_stamp(), "ys-hoa" if full else "", "0.1.0", _example(cls, full=full))
            for header in (HEADER, DOWN):
                yield str(kind), pack(header, [event])[0]
    yield "999", pack(HEADER, [Event(_stamp(), "ys-hoa", "9.0.0", Unknown(999, cbor.dump({1: 5, 2: "later"})))])[0]
    yield "manual", pack(HEADER, [Event(one.stamp, "ys-hoa", "0.2.0", ObservationRecorded(5, one, 12)) for one in _by_hand()])[0]
    events = day(1)
    yield "day", pack(HEADER, events[:30])[0]
    yield "day", pack(HEADER, [one for one in events if one.kind == 10][:100])[0]
    yield "day", pack(HEADER, [one for one in events if one.kind != 10][:8], 1 << 20)[0]
    for one in split(pack(HEADER, events[:300], 1 << 20)[0])[:2]:
        yield "fragment", one
    for header, key in zip((HEADER, DOWN), SEAL_KEYS, strict=True):
        yield "sealed", pack(header, events[:30], seal=Seal(1, key, bytes(16)))[0]
    yield "sealed", pack(HEADER, [one for one in events if one.kind != 10][:8], 1 << 20, Seal(300, SEAL_KEYS[0], bytes(range(16))))[0]
    yield "hello", write_hello(Hello("tram-0001", bytes(range(1, 9)), bytes(range(16)), "0.1.0"))
    yield (
        "hello",
        write_hello(
            Hello("tram-0001", bytes(range(1, 9)), bytes(range(16)), "0.2.0", store=bytes([9, 10]), have=((0, 7, 7), (4, 1200, 1260)))
        ),
    )
    past = (Past(bytes(range(17, 25)), bytes([9, 10]), ((0, 3, 3),)), Past(bytes(range(25, 33)), bytes([9, 10])))
    yield "hello", write_hello(Hello("tram-0001", bytes(range(1, 9)), bytes(range(16)), "0.2.0", True, bytes([9, 10]), ((0, 7, 7),), past))
    lanes = (LaneReceipt(0, 7, 7), LaneReceipt(2, 1200, 1260, ((1201, 1203), (1230, 1230)), ((1240, 1241),)))
    yield (
        "receipt",
        seal_receipt(Receipt("tram-0001", bytes(range(1, 9)), bytes(range(9, 17)), 5, bytes(16), lanes, Level.SAFE, 1, (bytes(8),)), KEY),
    )


def main() -> None:
    """Add the messages whose bytes are not there yet."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, payload in messages():
        there = [path.read_bytes() for path in FOLDER.glob(f"{name}-*.bin")]
        if payload in there:
            continue
        path = FOLDER / f"{name}-{len(there) + 1}.bin"
        with path.open("xb") as out:
            out.write(payload)
        with path.with_suffix(".json").open("x", encoding="utf-8") as text:
            text.write(json.dumps(told(payload), ensure_ascii=False, indent=1) + "\n")


def _stamp() -> Stamp:
    return Stamp(0x12345678AB, 3, 123_456, 17_700_000_000, ClockQuality.SYNCED)


def _reading(*, full: bool) -> Reading:
    status = Status.TEST_DATA | Status.QUESTIONABLE
    numerics = (
        Numeric(Metric.SYSTOLIC, 134, status),
        Numeric(Metric.DIASTOLIC, 82, status),
        Numeric(Metric.MEAN, None, Status.NOT_AVAILABLE),
    )
    if full:
        return Reading(ReadingKind.BLOOD_PRESSURE, 77, numerics, _stamp(), device_time="2026-03-02T07:15:00", ordinal=4, rule=1)
    return Reading(ReadingKind.TEMPERATURE, 78, (Numeric(Metric.TEMPERATURE, 368, Status.TEST_DATA, 1),), _stamp())


def _by_hand() -> Iterator[Reading]:
    """Readings that a person typed or counted."""
    spo2, flow, mind = Numeric(Metric.SPO2, 93), Numeric(Metric.OXYGEN_FLOW, 25, scale=1), Numeric(Metric.CONSCIOUSNESS, 2)
    breaths = Numeric(Metric.RESPIRATION, 22)
    for kind, numerics, rule in (
        (ReadingKind.SPO2, (spo2, flow), 100), (ReadingKind.VITAL_SIGNS, (breaths,), 102), (ReadingKind.VITAL_SIGNS, (mind,), 100),
    ):  # fmt: skip
        yield Reading(kind, 79, numerics, _stamp(), Source.MANUAL, rule=rule)


def _example(cls: type, *, full: bool) -> Any:
    """A value of a wire dataclass: the required fields alone, or every field."""
    values = {p.name: _value(p.kind, p.name, p.many, full=full) for p in plan(cls) if p.required or full}
    return cls(**values)


def _value(kind: Any, name: str, many: bool, *, full: bool) -> Any:
    if many:
        return (_value(kind, name, False, full=full),) * 2
    if kind is Reading:
        return _reading(full=full)
    if hasattr(kind, "__dataclass_fields__"):
        return _example(kind, full=full)
    if isinstance(kind, type) and issubclass(kind, IntEnum | IntFlag):
        return list(kind)[-1]
    plain: dict[Any, Any] = {int: 40 + len(name), str: f"Thử Nghiệm ({name})", bytes: bytes(range(len(name))), bool: True}
    return plain[kind]


LATER = {"store": b"", "have": (), "past": ()}
"""Fields that a hello was given after 0.1.0: shown where they say something."""


def _shown(value: Any) -> dict[str, Any]:
    told = {each.name: getattr(value, each.name) for each in fields(value)}
    return {name: _flat(one) for name, one in told.items() if not isinstance(value, Hello) or name not in LATER or one != LATER[name]}


def _flat(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_shown(one) if hasattr(one, "__dataclass_fields__") else _flat(one) for one in value]
    return int(value) if isinstance(value, int) else value


if __name__ == "__main__":
    main()
