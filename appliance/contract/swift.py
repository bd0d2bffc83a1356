"""Observations read in one breath: what `columns` reads step by step, as functions that are written for each shape of reading.

Why: a national day is millions of numbers, and each of them is some fifteen operations on a long integer. Read by the plain reader
they come with a call, a look at the rule and half a dozen attributes each, which cost more than the numbers do. Here the steps stand
one behind the other with the coder's state in a local variable: `_LOOP` for the frame of an observation, and for each shape and pattern
(`values_of`) one function in which the rules of its numbers are worked out beforehand. Both are made once, of the same
snippets (`_COIN`, `_NUMBER`, `_PLACED`), as `dataclasses` makes its methods.

Nothing here decides anything: what is not usual is read by the plain reader's own steps on the same memory, and a test compares
the two on every golden parcel and on broken bytes. What is known of a reading on the way, its bytes (`spelling`) and its key, is kept.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Callable
from textwrap import indent
from typing import Any

from appliance.contract import spelling
from appliance.contract.bits import FULL
from appliance.contract.errors import WireError
from appliance.contract.events import Event, Marks, ObservationRecorded
from appliance.contract.expected import BESIDE, FAR, PULSE, QUARTER, SHORT, THIRD, WHOLE, Field, How, Shape
from appliance.contract.ids import READING_KEY_BYTES
from appliance.contract.metrics import Status
from appliance.contract.readings import KEY_DOMAIN, Numeric, Reading, Source, Stamp

Values = Callable[..., tuple[int, tuple[Numeric, ...], bytes, str, int]]
"""(state, words, source, shape, person) → the coder's state, the numbers, their bytes, their words in the key, the ticks they lasted."""

_COIN = """\
share, slot = {coin}.share, state & 65535
yes, no = {coin}.yes, {coin}.no
if said := slot < share:
    state = share * (state >> 16) + slot
    yes += 2
else:
    state = (65536 - share) * (state >> 16) + (slot - share)
    no += 2
if state < FULL and words:
    state = state << 64 | words.pop()
whole = yes + no
if whole > 250:
    yes, no = yes + 1 >> 1, no + 1 >> 1
    whole = yes + no
{coin}.yes, {coin}.no, {coin}.share = yes, no, (yes << 16) // whole
"""
"""`Unpacker.coin`: the outcome is in `said`."""

_NUMBER = """\
low, limits, slots = {column}.bell
slot = state & 16383
place = bisect_right(limits, slot) - 1
state = slots[place] * (state >> 14) + (slot - limits[place])
if state < FULL and words:
    state = state << 64 | words.pop()
if slot >= 16382:
    source.state = state
    distance = source.signed()
    state = source.state
elif plain := {column}.plain:
    distance = place + low << plain | state & (1 << plain) - 1
    state >>= plain
    if state < FULL and words:
        state = state << 64 | words.pop()
else:
    distance = place + low
scatter, seen = {column}.scatter + ((distance if distance >= 0 else -distance) << 6), {column}.seen + 1
if seen > 48:
    scatter, seen = scatter >> 1, seen >> 1
{column}.scatter, {column}.seen = scatter, seen
if not {column}.least <= scatter // seen < {column}.most:
    {column}.fit()
"""
"""`Unpacker.number`: the outcome is in `distance`."""

_CENTRE = "({column}.total + ({column}.count >> 1)) // {column}.count"
"""`Column.centre`."""
_PLACED = """\
total, count = {column}.total + {value}, {column}.count + 1
{column}.total, {column}.count = (total, count) if count <= 64 else (total >> 1, count >> 1)
"""
"""`Column.place`."""

_LOOP = """\
def observations(reader, many):
    source, know = reader.source, reader.know
    words, state = source.words, source.state
    events, made, frames, fronts, spell = [], {{}}, {{}}, {{}}, spelling.whole
    for _ in range(many):
        coin = know.observed
{observed}
        if not said:
            source.state = state
            events.append(reader.unobserved())
            state = source.state
            continue

        person = know.person
        coin = know.stays()
{stays}
        if stays := said:
            if not know.people:
                raise WireError("shape", "the patient before, but there is none")
        else:
            source.state = state
            person = reader.other_person()
            state = source.state

        guess, coin = know.follows(person)
{follows}
        if not said:
            source.state = state
            guess = reader.other_shape()
            state = source.state
        shape = know.shapes[guess]
        know.followed(person, shape)

        coin, fresh = shape.usual, False
        if shape.device is not None:
{usual}
        if shape.device is not None and said:
            top = shape.top
            shape.counts[top] += 1
            device, pattern = shape.device, shape.patterns[top]
            values = made.get((guess, top))
            if values is None:
                values = made[guess, top] = values_of(shape, pattern)
        else:
            source.state = state
            fresh = reader.frame()
            device, pattern = reader.manner(shape)
            state = source.state
            values = values_of(shape, pattern)

        frame = frames.get((guess, device, shape.how))
        if frame is None:
            frame = frames[guess, device, shape.how] = frame_of(shape, device, know.hows[shape.how])
        if frame is OTHER or values is OTHER:
            source.state = state
            events.append(reader.rest(shape, device, pattern, stays=stays, fresh=fresh))
            state = source.state
            continue

        state, numerics, spelt, told, lasts = values(state, words, source, shape, person)

        moment = know.moments[know.moment]
        if not fresh:
            column = shape.since_same if stays else shape.since_other
{gap}
            gap = distance + {centre}
{gap_placed}
            moment.ticks += gap + lasts
        column = know.saved
{saved}
        saved = distance + {centre}
{saved_placed}
        if not -FAR < saved < FAR:
            raise WireError("range", "saved after")

        ticks = moment.ticks
        wall = ticks + moment.offset
        if not (0 <= ticks < SHORT and -SHORT < wall < SHORT):
            raise WireError("range", "stamp")
        stamp = Stamp(moment.boot, moment.boot_seq, ticks, wall, moment.quality)
        front, back, named, origin, rule, marks = frame
        reading = Reading(shape.reading_kind, device, numerics, stamp, origin, None, None, rule)
        when = fronts.get(know.moment)
        if when is None:
            when = fronts[know.moment] = spelling.around_ticks(moment.boot, moment.boot_seq, moment.quality)
        when = when[0] + spell(ticks) + b"\\x04" + spell(wall) + when[1]
        inner = front + spelt + b"\\x04" + when + back
        named = f"{{named}}{{moment.boot}}/{{ticks}}|{{shape.kind}}|{{told}}".encode()
        reading.remember(inner, sha256(named).digest()[:READING_KEY_BYTES])
        who, patient = know.whos[know.who], person.number
        event = Event(stamp, who.actor, who.software, ObservationRecorded(patient, reading, saved, marks))
        event.remember(spelling.framed(when, who.actor, who.software, patient, inner, saved, marks))
        events.append(event)
    source.state = state
    return events
"""
"""`columns._Reader.event` so many times; whatever is not usual is done by the reader itself, on the same memory."""

_VALUES = """\
def values(state, words, source, shape, person):
    fields, known = shape.fields, person.of(shape)
{steps}
    return state, ({numerics}), b"".join(({spelt})), f"{told}", {lasts}
"""


def values_of(shape: Shape, pattern: tuple[int, ...]) -> Any:
    """The function that reads the numbers of this shape in this pattern; `OTHER` where the plain reader has to."""
    found = _MADE.get((shape.key, pattern))
    if found is None:
        if not shape.known or len(_MADE) >= MOST_MADE:
            return OTHER
        found = _MADE[shape.key, pattern] = _written("values", _values_text(shape, pattern), _names_of(shape, pattern))
    return found


def _values_text(shape: Shape, pattern: tuple[int, ...]) -> str:
    """The source: per number its expectation, its distance and its bounds; then what is learnt of them all, as `Memory.learn` does."""
    there = [not each & 1 for each in pattern]
    steps: list[str] = []
    for place, field in enumerate(shape.fields):
        if there[place]:
            steps += [
                _expected(field, place, there),
                _NUMBER.format(column="column"),
                _VALUE.format(p=place, sign="-+"[field.sign > 0]),
            ]
    steps += [_learnt(field, place) for place, field in enumerate(shape.fields) if there[place]]
    many = range(len(pattern))
    window = shape.window
    return _VALUES.format(
        steps=indent("".join(steps), "    "),
        numerics="".join(f"n{place}, " for place in many),
        spelt="".join(f"b{place}, " for place in many),
        told=",".join(f"{{t{place}}}" for place in many),
        lasts="0" if window is None or not there[window] else f"v{window}",
    )


_VALUE = """\
v{p} = expected {sign} distance
if not -FAR < v{p} < FAR:
    raise WireError("range", "value")
n{p}, b{p}, t{p} = kept{p}.get(v{p}) or meet(kept{p}, v{p})
"""


def _expected(field: Field, place: int, there: list[bool]) -> str:
    """`Memory.expect` with the rule known: the column and the expected value."""
    rule, others = field.rule, field.others
    if rule == THIRD and there[others[0]] and there[others[1]]:
        high, low = others
        return f"column, expected = fields[{place}].repeat, (v{high} + v{low} + v{low} + 1) // 3\n"
    if rule == BESIDE and there[others[0]]:
        return f"column, expected = fields[{place}].first, v{others[0]}\n"
    if rule == WHOLE:
        return f"column = fields[{place}].first\nexpected = {_CENTRE.format(column='column')}\n"
    first = f"column = fields[{place}].first\nexpected = {_CENTRE.format(column='column')}"
    if rule == QUARTER and there[others[0]]:
        first += f" + (v{others[0]} - fields[{others[0]}].first.centre() >> 2)"
    again = f"column = fields[{place}].repeat\nexpected = (total + (count >> 1)) // count"
    text = f"total, count = known[{place}]\nif count:\n{indent(again, '    ')}\nelse:\n{indent(first, '    ')}\n"
    if rule == PULSE:
        pulse = f"column, expected = fields[{place}].repeat, (person.pulse + (person.pulses >> 1)) // person.pulses"
        text = f"if person.pulses:\n    {pulse}\nelse:\n{indent(text, '    ')}"
    return text


def _learnt(field: Field, place: int) -> str:
    """`Memory.learn` with the rule known."""
    put = f"column = fields[{place}].first\n" + _PLACED.format(column="column", value=f"v{place}")
    text = f"sums = known[{place}]\n"
    if field.rule == PULSE:
        text += f"if not person.pulses:\n{indent(put, '    ')}person.pulse += v{place}\nperson.pulses += 1\n"
    elif field.rule < BESIDE:
        text += f"if not sums[1]:\n{indent(put, '    ')}"
    return text + f"sums[0] += v{place}\nsums[1] += 1\n"


class _Kept(dict[int, tuple[Numeric, bytes, str]]):
    """What is known of the numbers of one place of a pattern, by their values."""

    def __init__(self, metric: Any, scale: int, each: int) -> None:
        super().__init__()
        self.metric, self.scale, self.status = metric, scale, Status(each >> 1)

    def of(self, value: int | None) -> tuple[Numeric, bytes, str]:
        """A number, its bytes, its words in the key."""
        one = Numeric(self.metric, value, self.status, self.scale)
        return one, spelling.numeric(one), one.told


def _meet(known: _Kept, value: int) -> tuple[Numeric, bytes, str]:
    """A value that was not met before; the next one like it is the same object."""
    if len(known) >= _MOST_KNOWN:
        known.clear()
    found = known[value] = known.of(value)
    return found


def _names_of(shape: Shape, pattern: tuple[int, ...]) -> dict[str, Any]:
    """What the function of a shape finds under its names: per place the numbers met, and of one without a value what it always is."""
    names: dict[str, Any] = {"meet": _meet}
    for place, ((metric, scale), each) in enumerate(zip(shape.metrics, pattern, strict=True)):
        kept = names[f"kept{place}"] = _Kept(metric, scale, each)
        if each & 1:
            names[f"n{place}"], names[f"b{place}"], names[f"t{place}"] = kept.of(None)
    return names


def frame_of(shape: Shape, device: int, how: How) -> Any:
    """What all readings of one device taken in one manner have in common: their bytes before and after the numbers and the stamp, the
    beginning of what their keys are made of, source, rule, marks. `OTHER` where the plain reader has to.
    """
    if how.own or how.source not in _SOURCES:
        return OTHER
    front, back = spelling.around(shape.kind, device, len(shape.columns), how.source, how.rule)
    return front, back, f"{KEY_DOMAIN}|{device}|{how.source}|b", _SOURCES[how.source], how.rule, Marks(how.marks)


def _written(name: str, text: str, names: dict[str, Any]) -> Any:
    """The function in a source that is made of our own words and small numbers alone."""
    space = {**_SPACE, **names}
    exec(compile(text, f"<swift {name}>", "exec"), space)  # noqa: S102 - see above: nothing of a parcel is in the text
    return space[name]


def _loop_text() -> str:
    def coin(spaces: int) -> str:
        return indent(_COIN.format(coin="coin"), " " * spaces).rstrip()

    def number(spaces: int) -> str:
        return indent(_NUMBER.format(column="column"), " " * spaces).rstrip()

    def placed(value: str, spaces: int) -> str:
        return indent(_PLACED.format(column="column", value=value), " " * spaces).rstrip()

    return _LOOP.format(
        observed=coin(8), stays=coin(8), follows=coin(8), usual=coin(12), gap=number(12), gap_placed=placed("gap", 12), saved=number(8),
        saved_placed=placed("saved", 8), centre=_CENTRE.format(column="column"),
    )  # fmt: skip


OTHER = object()
"""The plain reader's turn."""
_SOURCES = {int(one): one for one in Source}
_SPACE: dict[str, Any] = {
    "FULL": FULL, "FAR": FAR, "SHORT": SHORT, "OTHER": OTHER, "READING_KEY_BYTES": READING_KEY_BYTES, "Event": Event,
    "ObservationRecorded": ObservationRecorded, "Reading": Reading, "Stamp": Stamp, "WireError": WireError, "bisect_right": bisect_right,
    "frame_of": frame_of, "sha256": hashlib.sha256, "spelling": spelling, "values_of": values_of,
}  # fmt: skip
_MADE: dict[Any, Any] = {}
MOST_MADE = 64
"""Shapes and patterns that get a function of their own. The boxes of a country have a dozen; more are read by the plain reader."""
_MOST_KNOWN = 1024
observations: Callable[[Any, int], list[Event]] = _written("observations", _loop_text(), {})
"""(reader, count) → the next `count` events."""


def made() -> frozenset[Any]:
    """The (shape, pattern) that have a function of their own in this process."""
    return frozenset(_MADE)
