"""The body of a parcel: readings as columns of distances, everything else as CBOR on a pile beside them.

``[varint(length of the pile << 1 | compressed) | pile |] coded part | check``; the header says whether there is a pile.

The *coded part* (`bits`) walks through the events in order and says of each what the reader could not have guessed:
who, when, what, and of every number only its distance from what was expected of it (`expected`): of a patient's second
reading, the mean of those before it in the parcel; of a first reading, the mean of all first readings so far; of a mean
pressure, diastolic + ⅓ pulse pressure; of a lowest and highest value, the value itself.

The *pile* holds what is no reading: bodies of all other kinds without their readings, entries of later versions, the
device's own time; one CBOR item behind the other, in the order in which the coded part asks for them; compressed by
zstd with the parcel's dictionary when that is shorter.

`_Writer` and `_Reader` are mirror images step by step, and `expected.Memory` is what both know: whoever changes one
changes all three, and the wire version with them.
"""

from collections.abc import Sequence
from typing import Any

from appliance.contract import cbor
from appliance.contract.bits import Coin, Packer, Unpacker, read_varint, varint
from appliance.contract.codec import read_body, read_event, write_body, write_event
from appliance.contract.errors import WireError
from appliance.contract.events import (
    ConsultReply,
    ConsultRequested,
    Event,
    Marks,
    MeasurementUnassigned,
    ObservationRecorded,
    Unknown,
)
from appliance.contract.expected import FAR, SHORT, How, Memory, Moment, Person, Shape, Who
from appliance.contract.metrics import Metric, Status
from appliance.contract.pile import PILE_BYTES, press, unpress
from appliance.contract.readings import ClockQuality, Numeric, Reading, Source, Stamp
from appliance.contract.wiring import give

FEW = 6
"""From so many events on a parcel is read in one breath (`swift`)."""
INNER = 1024
"""The most readings inside consults and the like of one parcel that are written as columns: a bound for the reader."""

_NUMERICS = 16
_NAME_BITS = 4
_NAME = 1 << _NAME_BITS

# Names of people and versions come in the shortest of these alphabets, or as UTF-8.
_ALPHABETS = tuple(
    (letters, {letter: place for place, letter in enumerate(letters)}, (len(letters) - 1).bit_length())
    for letters in (
        "0123456789.-+abr",
        "abcdefghijklmnopqrstuvwxyz-._@01",
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-",
    )
)
_SOURCES = {int(one): one for one in Source}
_QUALITIES = {int(one): one for one in ClockQuality}
_STATUSES: dict[int, Status] = {}
_NUMBERS: dict[tuple[int, int | None, int, int], Numeric] = {}
_MOST_NUMBERS = 2048
"""A pulse of 72 without a remark is made once for all patients; so many different ones are remembered."""

_INSIDE: dict[int, tuple[int, str]] = {
    MeasurementUnassigned.KIND: (1, "reading"),
    ConsultRequested.KIND: (6, "readings"),
    ConsultReply.KIND: (4, "readings"),
}
"""Kinds with readings inside: number and name of their field (one reading, or many where the name says so)."""


class Draft:
    """A body that grows event by event and can be had for any number of events from the front.

    What is said of an event depends on those before it alone, so a shorter body is the front part of what was said.
    """

    def __init__(self, dictionary: int) -> None:
        """`dictionary` compresses the pile (0: none)."""
        self._dictionary = dictionary
        self._writer = _Writer()
        self._ends: list[tuple[int, int]] = []

    def add(self, event: Event) -> None:
        """One more event."""
        self._writer.event(event)
        self._ends.append((len(self._writer.out.steps), len(self._writer.pile)))

    def body(self, count: int) -> tuple[bytes, bool, bool]:
        """The body of the first `count` events without its check, whether it has a pile, and whether that is compressed."""
        steps, items = self._ends[count - 1] if count else (0, 0)
        coded = self._writer.out.bytes(steps)
        pile = b"".join(self._writer.pile[:items])
        if not pile:
            return coded, False, False
        short = press(pile, self._dictionary)
        packed = len(short) < len(pile)
        if packed:
            pile = short
        return varint(len(pile) << 1 | packed) + pile + coded, True, packed


def pile(events: Sequence[Event]) -> bytes:
    """What of these events goes on the pile, not compressed: what dictionaries are trained on."""
    writer = _Writer()
    for event in events:
        writer.event(event)
    return b"".join(writer.pile)


def read(body: bytes, count: int, dictionary: int, piled: bool) -> list[Event]:
    """The `count` events of a body without its check; WireError when it is none."""
    pile, end = b"", 0
    if piled:
        size, start = read_varint(body, 0)
        end = start + (size >> 1)
        pile = body[start:end]
        if end > len(body) or not size >> 1:
            raise WireError("truncated", "pile")
        if size & 1:
            pile = unpress(pile, dictionary)
        elif len(pile) > PILE_BYTES:
            raise WireError("oversized", "pile")
    reader = _Reader(Unpacker(body[end:]), cbor.Items(pile))
    if count < FEW:
        events = [reader.event() for _ in range(count)]
    else:
        from appliance.contract import swift  # a station is hardly ever told so much at once

        events = swift.observations(reader, count)
    reader.close()
    return events


def _place(things: Sequence[Any], thing: Any) -> int:
    """Where a thing stands among these, or their number."""
    return things.index(thing) if thing in things else len(things)


# --- what columns can say ------------------------------------------------------------------------------------------


def _tame(event: Event, body: ObservationRecorded) -> bool:
    """Whether columns can say this observation (all that a station will ever say)."""
    return (
        event.stamp == body.reading.stamp
        and _signed(event)
        and 0 < body.patient < SHORT
        and -FAR < body.saved_after < FAR
        and 0 <= body.marks < 256
        and _even(body.reading)
    )


def _signed(event: Event) -> bool:
    """Whether columns can say who and when."""
    return len(event.actor) < _NAME and len(event.software) < _NAME and _timely(event.stamp)


def _timely(stamp: Stamp) -> bool:
    return 0 <= stamp.boot < SHORT and 0 <= stamp.boot_seq < FAR and 0 <= stamp.ticks < SHORT and -SHORT < stamp.wall < SHORT


def _even(reading: Reading) -> bool:
    if not (len(reading.numerics) <= _NUMERICS and 0 <= reading.device < SHORT and 0 <= reading.rule < FAR):
        return False
    for one in reading.numerics:
        if one.value is not None and not -FAR < one.value < FAR:
            return False
        if not (-_NUMERICS <= one.scale <= _NUMERICS and 0 <= one.status < 1 << 16):
            return False
    return True


def _inside(event: Event) -> tuple[Reading, ...]:
    """The readings inside an event when columns can say all of them, otherwise none."""
    if isinstance(event.body, Unknown) or event.extra:
        return ()
    found = getattr(event.body, _INSIDE[event.kind][1])
    readings: tuple[Reading, ...] = found if isinstance(found, tuple) else (found,)
    return readings if all(_even(one) and _timely(one.stamp) for one in readings) else ()


def _how(reading: Reading, marks: int) -> How:
    return How(reading.source, reading.rule, marks, reading.device_time is not None or reading.ordinal is not None)


def _pattern(reading: Reading) -> tuple[int, ...]:
    return tuple([one.status << 1 | (one.value is None) for one in reading.numerics])


# --- writing -------------------------------------------------------------------------------------------------------


class _Writer:
    def __init__(self) -> None:
        self.out = Packer()
        self.know = Memory()
        self.pile: list[bytes] = []

    def event(self, event: Event) -> None:
        """One event, by the cheapest of: as an observation, as one of its kind, as it is."""
        know, out, body = self.know, self.out, event.body
        if type(body) is ObservationRecorded and not event.extra and _tame(event, body):
            out.coin(know.observed, True)
            self._observation(event, body)
            return
        wild = not _signed(event) or 0 in event.extra or not 0 <= event.kind < FAR
        out.coin(know.observed, False)
        out.coin(know.wild, wild)
        if wild:
            self.pile.append(write_event(event))
        else:
            self._other(event)

    def _observation(self, event: Event, body: ObservationRecorded) -> None:
        know, out, reading, ticks = self.know, self.out, body.reading, event.stamp.ticks
        stays = self._person(body.patient)
        person = know.person
        shape = self._shape(reading, person)
        how, pattern = _how(reading, body.marks), _pattern(reading)
        fresh = usual = False
        if shape.device is not None:
            usual = self._is_usual(event, shape, reading.device, how, pattern)
            out.coin(shape.usual, usual)
        if usual:
            shape.count(shape.top)
        else:
            fresh = self._frame(event)
            self._manner(shape, how, reading.device, pattern)
        values = self._values(shape, reading, person)
        if not fresh:
            moment, column = know.moments[know.moment], shape.since_same if stays else shape.since_other
            gap = ticks - moment.ticks - shape.lasts(values)
            out.number(column, gap - column.centre())
            column.place(gap)
            moment.ticks = ticks
        out.number(know.saved, body.saved_after - know.saved.centre())
        know.saved.place(body.saved_after)

    def _is_usual(self, event: Event, shape: Shape, device: int, how: How, pattern: tuple[int, ...]) -> bool:
        return (
            self._is_framed(event) and device == shape.device and how == self.know.hows[shape.how] and pattern == shape.patterns[shape.top]
        )

    def _is_framed(self, event: Event) -> bool:
        """Whether who, boot and the wall clock's offset are those of the event before."""
        know, stamp = self.know, event.stamp
        if not know.moments or not know.whos:
            return False
        moment, who = know.moments[know.moment], know.whos[know.who]
        return (
            stamp.boot == moment.boot
            and stamp.wall - stamp.ticks == moment.offset
            and stamp.boot_seq == moment.boot_seq
            and stamp.quality == moment.quality
            and event.actor == who.actor
            and event.software == who.software
        )

    def _other(self, event: Event) -> None:
        know, out, kind = self.know, self.out, event.kind
        if not self._frame(event):
            moment = know.moments[know.moment]
            out.number(know.event_gap, event.stamp.ticks - moment.ticks)
            moment.ticks = event.stamp.ticks
        out.coin(know.same_kind, kind == know.kind)
        if kind != know.kind:
            out.size(kind)
            know.kind = kind
        readings: tuple[Reading, ...] = ()
        if kind in _INSIDE:
            readings = _inside(event)
            if know.inner + len(readings) > INNER:
                readings = ()
            know.inner += len(readings)
            out.size(len(readings))
        if not readings:
            self.pile.append(write_body(event))
            return
        content = give(event.body)
        del content[_INSIDE[kind][0]]
        self.pile.append(cbor.dump_given(content))
        person, last = Person(0), event.stamp
        for reading in readings:
            self._inner(reading, person, last)
            last = reading.stamp

    def _inner(self, reading: Reading, person: Person, last: Stamp) -> None:
        know, out = self.know, self.out
        out.coin(know.same_stamp, reading.stamp == last)
        if reading.stamp != last:
            before = know.moment
            if not self._moment(reading.stamp):
                out.number(know.reading_gap, reading.stamp.ticks - last.ticks)
            know.moment = before
        shape = self._shape(reading, person)
        self._manner(shape, _how(reading, 0), reading.device, _pattern(reading))
        self._values(shape, reading, person)

    def _frame(self, event: Event) -> bool:
        """Who, boot and offset; True when it is a new boot, whose tick is told with it."""
        know = self.know
        if know.moments and know.whos:
            framed = self._is_framed(event)
            self.out.coin(know.same_frame, framed)
            if framed:
                return False
        self._who(event)
        return self._moment(event.stamp)

    def _manner(self, shape: Shape, how: How, device: int, pattern: tuple[int, ...]) -> None:
        self._how(shape, how)
        self._device(shape, device)
        self._pattern(shape, pattern)

    def _choose(self, place: int, things: Sequence[Any], new: Coin) -> None:
        """One of these things by its place, or (where there is no other choice: for nothing) *none of them*."""
        if things:
            self.out.coin(new, place == len(things))
            if place < len(things):
                self.out.plain(place, (len(things) - 1).bit_length())

    def _who(self, event: Event) -> None:
        know, who = self.know, Who(event.actor, event.software)
        place = _place(know.whos, who)
        if know.whos:
            self.out.coin(know.same_who, place == know.who)
            if place == know.who:
                return
        self._choose(place, know.whos, know.new_who)
        if place == len(know.whos):
            self._text(who.actor)
            same = bool(know.whos) and know.whos[know.who].software == who.software
            self.out.plain(same, 1)
            if not same:
                self._text(who.software)
            know.whos.append(who)
        know.who = place

    def _text(self, text: str) -> None:
        plain = self.out.plain
        mode = next((mode for mode, (_, places, _) in enumerate(_ALPHABETS) if places.keys() >= set(text)), len(_ALPHABETS))
        plain(mode, 2)
        if mode < len(_ALPHABETS):
            _, places, bits = _ALPHABETS[mode]
            plain(len(text), _NAME_BITS)
            for letter in text:
                plain(places[letter], bits)
        else:
            data = text.encode()
            plain(len(data), 6)
            for byte in data:
                plain(byte, 8)

    def _moment(self, stamp: Stamp) -> bool:
        """The boot and the wall clock's offset; True when it is a new boot, whose tick is told with it."""
        know, out = self.know, self.out
        key = (stamp.boot, stamp.boot_seq, stamp.quality)
        place = _place([(one.boot, one.boot_seq, one.quality) for one in know.moments], key)
        fresh = place == len(know.moments)
        if know.moments:
            out.coin(know.same_moment, place == know.moment)
        if place != know.moment or not know.moments:
            self._choose(place, know.moments, know.new_moment)
        if fresh:
            out.plain(stamp.boot, 40)
            out.size(stamp.boot_seq)
            out.plain(stamp.quality, 3)
            out.size(stamp.ticks)
            know.moments.append(Moment(*key))
            know.moments[-1].ticks = stamp.ticks
        know.moment = place
        moment, offset = know.moments[place], stamp.wall - stamp.ticks
        out.coin(know.same_offset, offset == moment.offset)
        if offset != moment.offset:
            out.signed(offset - moment.offset)
            moment.offset = offset
        return fresh

    def _how(self, shape: Shape, how: How) -> None:
        know, out = self.know, self.out
        place = _place(know.hows, how)
        out.coin(know.same_how, place == shape.how)
        if place != shape.how:
            self._choose(place, know.hows, know.new_how)
            if place == len(know.hows):
                for each in how:
                    out.coin(know.told, each != 0)
                    if each:
                        out.small(each)
                know.hows.append(how)
            shape.how = place

    def _person(self, number: int) -> bool:
        """The patient; True when it is the one before."""
        know, out = self.know, self.out
        stays = number == know.person.number
        out.coin(know.stays(), stays)
        if not stays:
            place = _place([one.number for one in know.people], number)
            self._choose(place, know.people, know.new_person)
            if place == len(know.people):
                out.plain(number, 40)
                know.people.append(Person(number))
            know.person = know.people[place]
        return stays

    def _shape(self, reading: Reading, person: Person) -> Shape:
        know, out = self.know, self.out
        key = (reading.kind, *[(one.metric, one.scale) for one in reading.numerics])
        guess, coin = know.follows(person)
        right = know.shapes[guess].key == key
        out.coin(coin, right)
        if not right:
            guess = _place([one.key for one in know.shapes], key)
            self._choose(guess, know.shapes, know.new_shape)
            if guess == len(know.shapes):
                out.size(reading.kind)
                out.size(len(reading.numerics))
                for one in reading.numerics:
                    out.size(one.metric)
                    out.signed(one.scale)
                know.shapes.append(Shape(guess, key))
        shape = know.shapes[guess]
        know.followed(person, shape)
        return shape

    def _device(self, shape: Shape, device: int) -> None:
        know, out = self.know, self.out
        if shape.device is not None:
            out.coin(shape.same_device, device == shape.device)
            if device == shape.device:
                return
        place = _place(know.devices, device)
        self._choose(place, know.devices, know.new_device)
        if place == len(know.devices):
            out.plain(device, 40)
            know.devices.append(device)
        shape.device = device

    def _pattern(self, shape: Shape, pattern: tuple[int, ...]) -> None:
        know, out = self.know, self.out
        usual = pattern == know.top_pattern(shape)
        out.coin(shape.same_pattern, usual)
        place = _place(shape.patterns, pattern)
        if not usual:
            self._choose(place, shape.patterns, know.new_statuses)
        if place == len(shape.patterns):
            if not usual:
                self._statuses(pattern, know.top_pattern(shape))
            know.new_pattern(shape, pattern)
        shape.count(place)

    def _statuses(self, pattern: tuple[int, ...], top: tuple[int, ...]) -> None:
        """A new pattern, by what distinguishes it: all alike with a value each, or number by number from `top`."""
        know, coin = self.know, self.out.coin
        level = len(set(pattern)) == 1 and not pattern[0] & 1
        coin(know.level, level)
        for each, usual in zip(pattern[:1] if level else pattern, top, strict=False):
            if not level:
                coin(know.as_top, each == usual)
                if each == usual:
                    continue
                coin(know.present, not each & 1)
            for bit, flag in enumerate(know.flags, 1):
                coin(flag, bool(each >> bit & 1))

    def _values(self, shape: Shape, reading: Reading, person: Person) -> list[int | None]:
        """The numbers, and on the pile what the device itself said about its time."""
        know, number, seen = self.know, self.out.number, person.of(shape)
        values = [one.value for one in reading.numerics]
        for place, value in enumerate(values):
            if value is not None:
                column, expected = know.expect(shape, place, values, person, seen)
                number(column, (value - expected) * shape.fields[place].sign)
        know.learn(shape, values, person, seen)
        if know.hows[shape.how].own:
            self.pile.append(cbor.dump([reading.device_time, reading.ordinal]))
        return values


# --- reading -------------------------------------------------------------------------------------------------------


class _Reader:
    def __init__(self, source: Unpacker, pile: cbor.Items) -> None:
        self.source = source
        self.know = Memory()
        self.pile = pile

    def close(self) -> None:
        """WireError when something was left over."""
        self.source.close()
        if self.pile.left():
            raise WireError("shape", f"{self.pile.left()} bytes on the pile nobody asked for")

    def event(self) -> Event:
        """The next event."""
        return self._observation() if self.source.coin(self.know.observed) else self.unobserved()

    def unobserved(self) -> Event:
        """An event that is no observation, or one that columns cannot say."""
        if self.source.coin(self.know.wild):
            return read_event(self.pile.next()[1])
        return self._other()

    def _observation(self) -> Event:
        know, source = self.know, self.source
        stays = self._person()
        shape = self._shape(know.person)
        if shape.device is not None and source.coin(shape.usual):
            fresh = False
            device, pattern = shape.device, shape.patterns[shape.top]
            shape.count(shape.top)
        else:
            fresh = self.frame()
            device, pattern = self.manner(shape)
        return self.rest(shape, device, pattern, stays=stays, fresh=fresh)

    def rest(self, shape: Shape, device: int, pattern: tuple[int, ...], *, stays: bool, fresh: bool) -> Event:
        """The numbers and the time of an observation of which everything else is known."""
        know, source, person = self.know, self.source, self.know.person
        values = self._values(shape, pattern, person)
        if not fresh:
            moment, column = know.moments[know.moment], shape.since_same if stays else shape.since_other
            gap = source.number(column) + column.centre()
            column.place(gap)
            moment.ticks += gap + shape.lasts(values)
        saved = source.number(know.saved) + know.saved.centre()
        know.saved.place(saved)
        if not -FAR < saved < FAR:
            raise WireError("range", "saved after")
        stamp, who, marks = self._stamp(), know.whos[know.who], know.hows[shape.how].marks
        reading = self._reading(shape, device, pattern, values, stamp)
        if isinstance(reading, Reading):
            return Event(stamp, who.actor, who.software, ObservationRecorded(person.number, reading, saved, _marks(marks)))
        content = {1: person.number, 2: reading, 3: saved, 4: marks}
        body = read_body(ObservationRecorded.KIND, content, lambda: cbor.dump(content))[0]
        return Event(stamp, who.actor, who.software, body)

    def _other(self) -> Event:
        know, source = self.know, self.source
        if not self.frame():
            know.moments[know.moment].ticks += source.number(know.event_gap)
        stamp, who = self._stamp(), know.whos[know.who]
        if not source.coin(know.same_kind):
            know.kind = source.size()
        kind = know.kind
        count = source.size() if kind in _INSIDE else 0
        know.inner += count
        if know.inner > INNER:
            raise WireError("range", f"{know.inner} readings inside events")
        content, raw = self.pile.next()
        if count:
            content, raw = self._with_readings(kind, content, count, stamp), b""
        body, extra = read_body(kind, content, lambda: raw or cbor.dump(content))
        return Event(stamp, who.actor, who.software, body, extra)

    def _with_readings(self, kind: int, content: Any, count: int, last: Stamp) -> dict[int, Any]:
        number, name = _INSIDE[kind]
        if not isinstance(content, dict) or number in content or (name == "reading" and count > 1):
            raise WireError("shape", "a body without its readings")
        person, readings = Person(0), []
        for _ in range(count):
            reading, last = self._inner(person, last)
            readings.append(reading)
        return {**content, number: readings[0] if name == "reading" else readings}

    def _inner(self, person: Person, last: Stamp) -> tuple[dict[int, Any], Stamp]:
        know, source = self.know, self.source
        if not source.coin(know.same_stamp):
            before = know.moment
            if self._moment():
                last = self._stamp()
            else:
                last = self._stamp(last.ticks + source.number(know.reading_gap))
            know.moment = before
        shape = self._shape(person)
        device, pattern = self.manner(shape)
        values = self._values(shape, pattern, person)
        reading = self._reading(shape, device, pattern, values, last)
        return (give(reading) if isinstance(reading, Reading) else reading), last

    def _chosen(self, things: Sequence[Any], new: Coin) -> int:
        """The place of one of these things, or their number for *none of them*."""
        if not things or self.source.coin(new):
            return len(things)
        place = self.source.plain((len(things) - 1).bit_length())
        if place >= len(things):
            raise WireError("shape", f"number {place} of {len(things)}")
        return place

    def frame(self) -> bool:
        """Who, boot and offset; True when it is a new boot, whose tick was told with it."""
        know = self.know
        if know.moments and know.whos and self.source.coin(know.same_frame):
            return False
        self._who()
        return self._moment()

    def manner(self, shape: Shape) -> tuple[int, tuple[int, ...]]:
        """How a reading came about, by which device, with which statuses."""
        self._how(shape)
        return self._device(shape), self._pattern(shape)

    def _who(self) -> None:
        know, source = self.know, self.source
        if know.whos and source.coin(know.same_who):
            return
        place = self._chosen(know.whos, know.new_who)
        if place == len(know.whos):
            actor = self._text()
            software = know.whos[know.who].software if source.plain(1) and know.whos else self._text()
            know.whos.append(Who(actor, software))
        know.who = place

    def _text(self) -> str:
        plain = self.source.plain
        mode = plain(2)
        if mode < len(_ALPHABETS):
            letters, _, bits = _ALPHABETS[mode]
            return "".join([letters[plain(bits)] for _ in range(plain(_NAME_BITS))])
        try:
            return bytes([plain(8) for _ in range(plain(6))]).decode()
        except UnicodeDecodeError as error:
            raise WireError("shape", "text") from error

    def _moment(self) -> bool:
        know, source = self.know, self.source
        if not know.moments or not source.coin(know.same_moment):
            know.moment = self._chosen(know.moments, know.new_moment)
        fresh = know.moment == len(know.moments)
        if fresh:
            boot, boot_seq, quality = source.plain(40), source.size(), source.plain(3)
            if quality not in _QUALITIES or boot_seq >= FAR:
                raise WireError("range", f"clock quality {quality}, boot {boot_seq}")
            know.moments.append(Moment(boot, boot_seq, _QUALITIES[quality]))
            know.moments[-1].ticks = source.size()
        if not source.coin(know.same_offset):
            know.moments[know.moment].offset += source.signed()
        return fresh

    def _stamp(self, ticks: int | None = None) -> Stamp:
        moment = self.know.moments[self.know.moment]
        ticks = moment.ticks if ticks is None else ticks
        wall = ticks + moment.offset
        if not (0 <= ticks < SHORT and -SHORT < wall < SHORT):
            raise WireError("range", "stamp")
        return Stamp(moment.boot, moment.boot_seq, ticks, wall, moment.quality)

    def _how(self, shape: Shape) -> None:
        know, source = self.know, self.source
        if source.coin(know.same_how):
            return
        place = self._chosen(know.hows, know.new_how)
        if place == len(know.hows):
            origin, rule, marks, own = [source.small() if source.coin(know.told) else 0 for _ in range(4)]
            if rule >= FAR or marks > 255 or own > 1:
                raise WireError("range", "rule or marks")
            know.hows.append(How(origin, rule, marks, bool(own)))
        shape.how = place

    def _person(self) -> bool:
        know, source = self.know, self.source
        stays = source.coin(know.stays())
        if stays:
            if not know.people:
                raise WireError("shape", "the patient before, but there is none")
        else:
            self.other_person()
        return stays

    def other_person(self) -> Person:
        """A patient who is not the one before."""
        know = self.know
        place = self._chosen(know.people, know.new_person)
        if place == len(know.people):
            know.people.append(Person(self.source.plain(40)))
        know.person = know.people[place]
        return know.person

    def _shape(self, person: Person) -> Shape:
        know = self.know
        guess, coin = know.follows(person)
        if not self.source.coin(coin):
            guess = self.other_shape()
        shape = know.shapes[guess]
        know.followed(person, shape)
        return shape

    def other_shape(self) -> int:
        """The number of a shape that is not the expected one."""
        know, source = self.know, self.source
        guess = self._chosen(know.shapes, know.new_shape)
        if guess == len(know.shapes):
            kind, width = source.size(), source.size()
            if width > _NUMERICS:
                raise WireError("range", f"{width} numbers in a reading")
            columns = [(source.size(), source.signed()) for _ in range(width)]
            if any(not -_NUMERICS <= scale <= _NUMERICS for _, scale in columns):
                raise WireError("range", "scale")
            know.shapes.append(Shape(guess, (kind, *columns)))
        return guess

    def _device(self, shape: Shape) -> int:
        know, source = self.know, self.source
        if shape.device is None or not source.coin(shape.same_device):
            place = self._chosen(know.devices, know.new_device)
            if place == len(know.devices):
                know.devices.append(source.plain(40))
            shape.device = know.devices[place]
        return shape.device

    def _pattern(self, shape: Shape) -> tuple[int, ...]:
        know, source = self.know, self.source
        usual = source.coin(shape.same_pattern)
        place = shape.top if usual else self._chosen(shape.patterns, know.new_statuses)
        if place == len(shape.patterns):
            top = know.top_pattern(shape)
            know.new_pattern(shape, top if usual else self._statuses(top))
        shape.count(place)
        return shape.patterns[place]

    def _statuses(self, top: tuple[int, ...]) -> tuple[int, ...]:
        know, coin = self.know, self.source.coin
        level = coin(know.level)
        pattern = []
        for usual in top[:1] if level else top:
            if not level and coin(know.as_top):
                pattern.append(usual)
                continue
            missing = 0 if level else int(not coin(know.present))
            pattern.append(sum([coin(flag) << bit for bit, flag in enumerate(know.flags, 1)]) | missing)
        return tuple(pattern * len(top) if level else pattern)

    def _values(self, shape: Shape, pattern: tuple[int, ...], person: Person) -> list[int | None]:
        know, number, seen = self.know, self.source.number, person.of(shape)
        values: list[int | None] = []
        for place, each in enumerate(pattern):
            if each & 1:
                values.append(None)
                continue
            column, expected = know.expect(shape, place, values, person, seen)
            value = expected + number(column) * shape.fields[place].sign
            if not -FAR < value < FAR:
                raise WireError("range", "value")
            values.append(value)
        know.learn(shape, values, person, seen)
        return values

    def _reading(
        self, shape: Shape, device: int, pattern: tuple[int, ...], values: list[int | None], stamp: Stamp
    ) -> Reading | dict[int, Any]:
        """The reading these make; its CBOR map when it holds a word of a later version."""
        how = self.know.hows[shape.how]
        device_time, ordinal = self._own() if how.own else (None, None)
        if shape.known and how.source in _SOURCES:
            numerics = tuple(
                [
                    _NUMBERS.get((metric, value, each, scale)) or _numeric(metric, value, each, scale)
                    for (metric, scale), value, each in zip(shape.metrics, values, pattern, strict=True)
                ]
            )
            return Reading(shape.reading_kind, device, numerics, stamp, _SOURCES[how.source], device_time, ordinal, how.rule)
        rows = [
            {1: metric, 2: value, 3: each >> 1, 4: scale}
            for (metric, scale), value, each in zip(shape.columns, values, pattern, strict=True)
        ]
        return {1: shape.kind, 2: device, 3: rows, 4: give(stamp), 5: how.source, 6: device_time, 7: ordinal, 8: how.rule}

    def _own(self) -> tuple[str | None, int | None]:
        item = self.pile.next()[0]
        if not isinstance(item, list) or len(item) != 2:
            raise WireError("shape", "the device's own time")
        device_time, ordinal = item
        if not isinstance(device_time, str | None) or not (ordinal is None or type(ordinal) is int):
            raise WireError("shape", "the device's own time")
        return device_time, ordinal


def _numeric(metric: Metric, value: int | None, each: int, scale: int) -> Numeric:
    """A number; the next one like it is the same object."""
    if len(_NUMBERS) >= _MOST_NUMBERS:
        _NUMBERS.clear()
    found = _NUMBERS[metric, value, each, scale] = Numeric(metric, value, _status(each >> 1), scale)
    return found


def _status(value: int) -> Status:
    found = _STATUSES.get(value)
    if found is None:
        found = _STATUSES[value] = Status(value)
    return found


_NO_MARKS = Marks(0)


def _marks(value: int) -> Marks:
    return Marks(value) if value else _NO_MARKS
