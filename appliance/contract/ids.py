"""Identifiers: stations, epochs, short numbers, reading keys.

Short numbers are random 40-bit integers: five bytes on the wire, an integer key in SQLite, eight letters on paper.
The caller brings the random bytes (this package has no randomness of its own) and checks that the number is free in
its own store; two stations may hold the same number, so outside a station a number always travels with its station.
"""

import hashlib
import re

STATION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,14}[a-z0-9])?")
"""A station id: 1-16 lower-case letters, digits and inner hyphens; it is one level of an MQTT topic."""

SHORT_BITS = 40
EPOCH_BYTES = 8
"""An epoch is 64 random bits made with the outbox (decision: delivery contract, keys)."""
STORE_BYTES = 8
"""A store id is 64 random bits made with the bridge's store and anew at every restore."""
READING_KEY_BYTES = 16

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: no I, L, O, U to misread
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)} | {"I": 1, "L": 1, "O": 0}


def is_station(text: str) -> bool:
    """True when `text` is a well-formed station id."""
    return STATION.fullmatch(text) is not None


_STATION_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"
STATION_BYTES = 11
"""What the longest station id takes as a number."""


def station_number(text: str) -> int:
    """A station id as a number, every id its own: 5.2 bits a letter in headers.

    >>> station_number("b")
    2
    """
    number = 0
    for letter in text:
        number = number * 37 + _STATION_LETTERS.index(letter) + 1
    return number


def station_of(number: int) -> str:
    """The text behind `station_number`; not every number is a station's (see `is_station`).

    >>> station_of(station_number("tram-0001"))
    'tram-0001'
    """
    letters = []
    while number > 0:
        number, place = divmod(number - 1, 37)
        letters.append(_STATION_LETTERS[place])
    return "".join(reversed(letters))


def short_number(random_bytes: bytes) -> int:
    """A short number from five random bytes; never 0.

    >>> short_number(bytes(5))
    1
    """
    if len(random_bytes) != 5:
        raise ValueError(f"5 random bytes make a short number, not {len(random_bytes)}")
    return int.from_bytes(random_bytes) or 1


def short_of(text: str) -> int:
    """The short number that stands for a text (a device identity, a boot id): the first 40 bits of its SHA-256."""
    return short_number(hashlib.sha256(text.encode()).digest()[:5])


def spell(number: int) -> str:
    """A short number as people read it aloud: eight letters in two groups.

    >>> spell(1)
    '0000-0001'
    """
    letters = "".join(_LETTERS[number >> shift & 31] for shift in range(35, -1, -5))
    return f"{letters[:4]}-{letters[4:]}"


def unspell(text: str) -> int:
    """The short number behind what `spell` wrote; case, spaces and the hyphen do not matter.

    >>> unspell("0000-0oi1")
    33
    """
    letters = [letter for letter in text.upper() if letter not in " -"]
    if len(letters) != 8 or any(letter not in _VALUES for letter in letters):
        raise ValueError(f"a short number has eight letters such as 7K3M-9QPX, not {text!r}")
    number = 0
    for letter in letters:
        number = number << 5 | _VALUES[letter]
    return number
