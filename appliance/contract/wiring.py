"""How a frozen dataclass becomes a CBOR map with small integer keys, and back, without losing what it does not know.

Every field of a wire dataclass carries its number: ``patient: int = wire(1)``. Numbers are never reused. Fields at
their default are left out. A map read back may hold numbers this version does not know: `take` returns them so that
the event can keep them, and `blend` puts them back (docs/decisions: unknown fields are kept). What is left over inside
a nested dataclass stands under the field's own number, inside one of a list under its place: ``{2: {99: 1}, 6: {0: {99: 1}}}``.
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
    exact: type | None
    """The type of a plain field, which needs no look at what stands inside."""
    members: dict[int, Any]
    """The members of an enumeration by their numbers (of flags: those met so far, up to `_MET`)."""


_LOW, _HIGH = -(1 << 63), (1 << 63) - 1
"""What every database of ours holds."""
_MET = 256
_AS_IS = frozenset({int, str, bytes, bool, type(None)})


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
        exact = kind if kind in _AS_IS and not many else None
        members: dict[int, Any] = {}
        if isinstance(kind, type) and not many:
            members = {int(one): one for one in kind} if issubclass(kind, IntEnum) else {0: kind(0)} if issubclass(kind, IntFlag) else {}
        plans.append(_Plan(each.name, each.metadata["n"], each.default is MISSING, each.default, kind, optional, many, exact, members))
    return tuple(sorted(plans, key=lambda one: one.number))


def give(value: Any) -> Any:
    """A wire dataclass (or a tuple, enum or plain value in it) as what CBOR knows."""
    cls: Any = type(value)
    if cls in _AS_IS:
        return value
    if isinstance(value, tuple):
        return [give(one) for one in value]
    if isinstance(value, int):  # a member of an enumeration
        return int(value)
    content = {}
    for name, number, required, default in _giving(cls):
        each = getattr(value, name)
        if required or each != default:
            content[number] = each if type(each) in _AS_IS else give(each)
    return content


@cache
def _giving(cls: Any) -> tuple[tuple[str, int, bool, Any], ...]:
    return tuple((p.name, p.number, p.required, p.default) for p in plan(cls))


def take(cls: type, data: Any) -> tuple[Any, dict[Any, Any]]:
    """The dataclass `cls` out of a decoded CBOR map, and the entries nobody here knows.

    Raises WireError ``shape`` when a required number is missing or a value has another type than the field's, and
    ``range`` when an enumeration holds a value this version does not know, a number leaves 64 bits or a text holds NUL.
    """
    if not isinstance(data, dict):
        raise WireError("shape", f"{cls.__name__} wants a map, got {type(data).__name__}")
    values: dict[str, Any] = {}
    left: dict[Any, Any] = {}
    found = 0
    for p in plan(cls):
        if p.number not in data:
            if p.required:
                raise WireError("shape", f"{cls.__name__}.{p.name} is missing")
            continue
        found += 1
        raw = data[p.number]
        kind = type(raw)
        if kind is int and raw in p.members:
            values[p.name] = p.members[raw]
        elif kind is p.exact and (kind is not int or _LOW <= raw <= _HIGH) and (kind is not str or "\0" not in raw):
            values[p.name] = raw
        else:
            values[p.name], unknown = _one(cls, p, raw)
            if unknown:
                left[p.number] = unknown
    if found < len(data):
        known = {p.number for p in plan(cls)}
        left |= {number: value for number, value in data.items() if number not in known}
    return cls(**values), left


def blend(known: Any, unknown: Any) -> Any:
    """What `give` made with the leftovers of `take` put back where they stood."""
    if isinstance(known, list) and isinstance(unknown, dict):
        return [blend(one, unknown[place]) if place in unknown else one for place, one in enumerate(known)]
    if isinstance(known, dict) and isinstance(unknown, dict):
        return known | {number: blend(known[number], value) if number in known else value for number, value in unknown.items()}
    return unknown


def _one(cls: type, p: _Plan, raw: Any) -> tuple[Any, dict[Any, Any]]:
    if raw is None and p.optional:
        return None, {}
    nested = hasattr(p.kind, "__dataclass_fields__")
    if p.many:
        if not isinstance(raw, list):
            raise WireError("shape", f"{cls.__name__}.{p.name} wants a list")
        if nested:
            pairs = [take(p.kind, one) for one in raw]
            return tuple(one for one, _ in pairs), {place: unknown for place, (_, unknown) in enumerate(pairs) if unknown}
        return tuple(_scalar(cls, p, one) for one in raw), {}
    return take(p.kind, raw) if nested else (_scalar(cls, p, raw), {})


def _scalar(cls: type, p: _Plan, raw: Any) -> Any:
    kind = p.kind
    if p.exact is not None:
        _check(cls, p, raw, kind)
        return raw
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
        if raw < 0:
            raise WireError("range", f"{cls.__name__}.{p.name} = {raw}")
        flags = kind(raw)
        if len(p.members) < _MET:
            p.members[raw] = flags
        return flags
    _check(cls, p, raw, kind)
    return raw


def _check(cls: type, p: _Plan, raw: Any, kind: Any) -> None:
    if not isinstance(raw, kind) or (kind is int and isinstance(raw, bool)):
        raise WireError("shape", f"{cls.__name__}.{p.name} wants {kind.__name__}, got {type(raw).__name__}")
    if kind is int and not _LOW <= raw <= _HIGH:
        raise WireError("range", f"{cls.__name__}.{p.name} leaves 64 bits")
    if kind is str and "\0" in raw:  # PostgreSQL cannot keep it
        raise WireError("range", f"{cls.__name__}.{p.name} holds NUL")
