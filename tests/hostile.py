"""Requests nobody would send: every route of a Flask application with every kind of value, from a seed.

A `Stranger` makes them; what is known about an application (its routes, the names of its form fields, numbers that exist)
is read from the application itself, so that a new page is met by it without being told.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from flask import Flask

TEXTS = (
    "", " ", "0", "1", "-1", "00", "1.5", "1e9", "NaN", "true", "vi", "en", "on", "Đặng Thử", "Đặng", "đ" * 300, "a" * 5000, "\0",
    "a\0b", "\ud7ff", "𠀀", "\u202etxt", "\ufeff", "\r\nSet-Cookie: a=b", "%s%n", "{{7*7}}", "${7*7}", "'; DROP TABLE patient;--",
    "<script>alert(1)</script>", "../../etc/passwd", "//evil.example", "\\\\evil", "https://evil.example/", "/home", "2026-02-30",
    "30/02/2026", "1961", "9999-99-99", "001061098765", "00106101234", "0" * 18, "9" * 19, "9" * 400, "HS4010012345678", "||||||",
    "001061098765||Đặng Thử|30041961|Nam|Bản Thử|01012021", "[1,2]", '{"a":1}', "7K3M-9QPX", "٣", "²", "1_000", "+1", "0x10", "adult",
    "neonate", "urgent", "2", "3", "4", "5", "6",
)  # fmt: skip
"""Values for paths and fields."""
_FIELD = re.compile(r"""(?:name="([A-Za-z_]\w*)"|(?:form\.get(?:list)?|number)\("([A-Za-z_]\w*)")""")


def fields_of(*folders: Path) -> list[str]:
    """The names of form fields that templates and screens speak of."""
    found: set[str] = set()
    for folder in folders:
        for file in [*folder.rglob("*.html"), *folder.rglob("*.py")]:
            found |= {name for pair in _FIELD.findall(file.read_text(encoding="utf-8")) for name in pair if name}
    return sorted(found - {"csrf"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready for `FlaskClient.open`."""

    method: str
    path: str
    form: dict[str, Any]
    headers: dict[str, str]
    endpoint: str


@dataclass
class Stranger:
    """A source of requests. `numbers` and `words` exist in the application: a value that exists opens more doors than one that does not."""

    app: Flask
    fields: Sequence[str]
    seed: int
    numbers: Sequence[int] = ()
    words: Sequence[str] = ()
    dice: Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)
        self.rules = sorted(self.app.url_map.iter_rules(), key=lambda rule: (rule.rule, rule.endpoint))

    def requests(self, count: int) -> Iterator[Request]:
        """So many of them."""
        for _ in range(count):
            yield self.request()

    def request(self) -> Request:
        """The next one."""
        dice = self.dice
        rule = dice.choice(self.rules)
        usual = sorted((rule.methods or {"GET"}) - {"OPTIONS", "HEAD"})
        method = dice.choice(usual) if dice.random() < 0.93 else dice.choice(("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"))
        path = re.sub(r"<(?:([^:<>]+)(?:\([^)]*\))?:)?([^<>]+)>", lambda found: self._part(found[1] or "string"), rule.rule)
        if dice.random() < 0.1:
            path += "?" + "&".join(f"{quote(self._name())}={quote(self._text())}" for _ in range(dice.randint(1, 3)))
        form = {self._name(): self._value() for _ in range(dice.randint(0, 7))} if method != "GET" else {}
        headers = {}
        if dice.random() < 0.1:
            headers[dice.choice(("X-Idle", "X-Tram-Page", "X-CSRF", "Accept-Language", "Range", "If-None-Match", "X-Forwarded-For"))] = (
                dice.choice(("", "0", "-5", "999999", "bytes=9-1", "x" * 300, "*"))
            )
        return Request(method, path, form, headers, rule.endpoint)

    def _part(self, converter: str) -> str:
        """A value for one variable of a path: mostly one that the converter takes, sometimes one that exists."""
        dice = self.dice
        if converter in ("int", "short") and dice.random() < 0.85:
            existing = [*self.numbers, *self.numbers, *self.numbers]
            return str(dice.choice([*existing, 0, 1, 2, 3, 2**31, 2**63 - 1, 2**63, 10**25]))
        if dice.random() < 0.7 and self.words:
            return quote(dice.choice(self.words), safe="")
        return quote(self._text(), safe="") or "x"

    def _name(self) -> str:
        return self.dice.choice(self.fields) if self.dice.random() < 0.97 else self._text()[:20] or "x"

    def _text(self) -> str:
        return self.dice.choice(TEXTS)

    def _value(self) -> Any:
        dice, roll = self.dice, self.dice.random()
        if roll < 0.4 and self.numbers:
            return str(dice.choice(self.numbers))
        if roll < 0.5 and self.words:
            return dice.choice(self.words)
        if roll < 0.6:
            return [self._text(), self._text()]
        return self._text()


def held(body: str, marks: Iterable[str]) -> list[str]:
    """Which of the marks stand in a body."""
    return [mark for mark in marks if mark in body]
