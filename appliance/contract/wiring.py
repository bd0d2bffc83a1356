"""How a frozen dataclass becomes a CBOR map with small integer keys, and back, without losing what it does not know.

Every field of a wire dataclass carries its number: ``patient: int = wire(1)``. Numbers are never reused. Fields at
their default are left out. A map read back may hold numbers this version does not know: `take` returns them so that
the event can keep them (docs/decisions: unknown fields are kept).
"""

import types
import typing
from dataclasses import MISSING, dataclass, field, fields
from enum import IntEnum, IntFlag
from functools import cache
from typing import Any

from appliance.contract.errors import WireError


def wire(number: int, *, default: Any = MISSING) -> Any:
    """A dataclass field with its wire number; with a default it is optional on the wire."""
    if default is MISSING:
        return field(metadata={"n": number})
    return field(default=default, metadata={"n": number})


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    number: int
    required: bool
    default: Any
    kind: Any
    optional: bool
    many: bool


@cache
def plan(cls: type) -> tuple[_Plan, ...]:
    """The wire fields of a dataclass, in order of their numbers."""
    hints = typing.get_type_hints(cls)
    plans = []
    for each in fields(cls):
        if "n" not in each.metadata:
            continue
        kind, optional, many = hints[each.name], False, False
        if isinstance(kind, types.UnionType):
            optional = True
            (kind,) = (arm for arm in typing.get_args(kind) if arm is not type(None))
        if typing.get_origin(kind) is tuple:
            many = True
            kind = typing.get_args(kind)[0]
        plans.append(_Plan(each.name, each.metadata["n"], each.default is MISSING, each.default, kind, optional, many))
    return tuple(sorted(plans, key=lambda one: one.number))


def give(value: Any) -> Any:
    """A wire dataclass (or a tuple, enum or plain value in it) as what CBOR knows."""
    if isinstance(value, tuple):
        return [give(one) for one in value]
    if isinstance(value, (IntEnum, IntFlag)):
        return int(value)
    if hasattr(value, "__dataclass_fields__"):
        return {
            p.number: give(getattr(value, p.name))
            for p in plan(type(value))
            if p.required or getattr(value, p.name) != p.default
        }
    return value


def take(cls: type, data: Any) -> tuple[Any, dict[int, Any]]:
    """The dataclass `cls` out of a decoded CBOR map, and the entries nobody here knows.

    Raises WireError ``shape`` when a required number is missing or a value has another type than the field's, and
    ``range`` when an enumeration holds a value this version does not know.
    """
    if not isinstance(data, dict):
        raise WireError("shape", f"{cls.__name__} wants a map, got {type(data).__name__}")
    left = dict(data)
    values: dict[str, Any] = {}
    for p in plan(cls):
        if p.number not in left:
            if p.required:
                raise WireError("shape", f"{cls.__name__}.{p.name} is missing")
            continue
        values[p.name] = _one(cls, p, left.pop(p.number))
    return cls(**values), left


def _one(cls: type, p: _Plan, raw: Any) -> Any:
    if raw is None and p.optional:
        return None
    if p.many:
        if not isinstance(raw, list):
            raise WireError("shape", f"{cls.__name__}.{p.name} wants a list")
        return tuple(_scalar(cls, p, one) for one in raw)
    return _scalar(cls, p, raw)


def _scalar(cls: type, p: _Plan, raw: Any) -> Any:
    kind = p.kind
    if hasattr(kind, "__dataclass_fields__"):
        return take(kind, raw)[0]
    if typing.get_origin(kind) is tuple:  # a pair of numbers, such as one hole in a receipt
        whole = isinstance(raw, list) and len(raw) == len(typing.get_args(kind))
        if not whole or not all(type(one) is int for one in raw):
            raise WireError("shape", f"{cls.__name__}.{p.name} wants pairs of numbers")
        return tuple(raw)
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        _check(cls, p, raw, int)
        try:
            return kind(raw)
        except ValueError:
            raise WireError("range", f"{cls.__name__}.{p.name} = {raw}") from None
    if isinstance(kind, type) and issubclass(kind, IntFlag):
        _check(cls, p, raw, int)
        return kind(raw)
    _check(cls, p, raw, kind)
    return raw


def _check(cls: type, p: _Plan, raw: Any, kind: type) -> None:
    if not isinstance(raw, kind) or (kind is int and isinstance(raw, bool)):
        raise WireError("shape", f"{cls.__name__}.{p.name} wants {kind.__name__}, got {type(raw).__name__}")
