"""A browser without a screen: pages, forms and cookies over loopback HTTP, for the staff and the doctor of ``tram demo --once``.

It knows what a form is and nothing about our pages: hidden fields (CSRF tokens among them) go back as they came.
"""

import http.client
import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

PATIENCE = 10.0
"""Seconds a page may take: loopback, but a busy machine."""


class PageError(OSError):
    """A page that could not be had or is not what was expected; the text names its address and what it said."""


@dataclass
class Form:
    """One form of a page: `values` as the page set them, `choices` the values a select or a set of radio buttons offers.

    `also` are further values of a name that occurs more than once.
    """

    action: str = ""
    method: str = "get"
    values: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    also: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    """Name and value of each named submit button."""


@dataclass
class Page:
    """An answer: where it came from in the end, its status, its text, and what can be done on it."""

    url: str
    status: int
    text: str
    forms: list[Form] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    """The first of each ``data-…`` attribute: where the page's own script would ask for news."""

    def form(self, *, action: str = "", has: str = "") -> Form:
        """The first form whose action ends with `action` and that has a field named `has`; PageError when there is none."""
        for form in self.forms:
            names = (*form.values, *form.choices, *(name for name, _ in form.buttons))
            if urllib.parse.urlsplit(form.action).path.endswith(action) and (not has or has in names):
                return form
        raise PageError(
            f"{self.url} ({self.status}) has no form to {action or 'anywhere'}{f' with {has}' if has else ''}: {self.words()[:200]}"
        )

    def words(self) -> str:
        """What the page says, without its tags."""
        reader = _Reader()
        reader.feed(self.text)
        return " ".join(" ".join(reader.words).split())


class Browser:
    """One person's browser at `origin` (``http://127.0.0.1:8080``): keeps cookies, follows redirects, uses no proxy."""

    def __init__(self, origin: str) -> None:
        self.origin = origin.rstrip("/")
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )

    def get(self, path: str) -> Page:
        """Open a page; `path` is relative to the origin or whole. PageError when the page says no."""
        return self._page(urllib.request.Request(urllib.parse.urljoin(self.origin + "/", path)))  # noqa: S310 - the origin is ours

    def data(self, path: str) -> Any:
        """What a JSON address says."""
        return json.loads(self.get(path).text)

    def send(self, page: Page, form: Form, press: str = "", **values: str) -> Page:
        """Fill `values` into a form and send it, pressing the button named `press` or ``name=value``; the next page."""
        name, _, value = press.partition("=")
        pressed = next(((n, v) for n, v in form.buttons if n == name and value in ("", v)), None)
        if press and pressed is None:
            raise PageError(f"{page.url} has no button {press}: {form.buttons}")
        unknown = set(values) - set(form.values) - set(form.choices)
        if unknown:
            raise PageError(f"{page.url} has no field {', '.join(sorted(unknown))}: {sorted(form.values)}")
        body = urllib.parse.urlencode([*({**form.values, **values}).items(), *form.also, *([pressed] if pressed else [])])
        address = urllib.parse.urljoin(page.url, form.action)
        if form.method == "get":
            return self.get(urllib.parse.urlsplit(address)._replace(query=body).geturl())
        return self._page(urllib.request.Request(address, body.encode(), {"Referer": page.url}))  # noqa: S310 - as above

    def _page(self, request: urllib.request.Request) -> Page:
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                return read_page(answer.url, answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                page = read_page(request.full_url, error.code, error.read().decode(errors="replace"))
            raise PageError(f"{request.get_method()} {page.url}: {page.status} {page.words()[:900]}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:  # the last: the program was killed in mid-answer
            raise PageError(f"{request.get_method()} {request.full_url}: {error}") from error


def read_page(url: str, status: int, text: str) -> Page:
    """A page from its HTML; other text has no forms and links."""
    reader = _Reader()
    reader.feed(text)
    return Page(url, status, text, reader.forms, reader.links, reader.data)


class _Reader(HTMLParser):
    """Collects forms, links and words. Fields outside their form (``form=`` attribute) join it by its id."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.data: dict[str, str] = {}
        self._form: Form | None = None
        self._ids: dict[str, Form] = {}
        self._select = ""
        self._area = ""
        self._quiet = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {key: value or "" for key, value in attrs}
        for key, value in said.items():
            if key.startswith("data-"):
                self.data.setdefault(key.removeprefix("data-"), value)
        if tag in ("script", "style"):
            self._quiet += 1
        elif tag == "a" and said.get("href"):
            self.links.append(said["href"])
        elif tag == "form":
            self._form = self._ids.setdefault(said.get("id", f"#{len(self.forms)}"), Form())
            self._form.action, self._form.method = said.get("action", ""), said.get("method", "get").lower()
            self.forms.append(self._form)
        elif tag in ("input", "button", "select", "option", "textarea"):
            self._field(tag, said)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._quiet -= 1
        elif tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area and self._form is not None:
            self._form.values[self._area] += data
        elif not self._quiet:
            self.words.append(data)

    def _field(self, tag: str, said: dict[str, str]) -> None:
        form = self._ids.setdefault(said["form"], Form()) if "form" in said else self._form
        name, kind = said.get("name", ""), said.get("type", "submit" if tag == "button" else "text")
        if form is None or "disabled" in said:
            return
        if tag == "option" and self._select:
            form.choices[self._select].append(said.get("value", ""))
            if "selected" in said or self._select not in form.values:
                form.values[self._select] = said.get("value", "")
        elif not name:
            return
        elif tag == "select":
            self._select = name
            form.choices[name] = []
        elif tag == "textarea":
            self._area = name
            form.values[name] = ""
        elif kind in ("radio", "checkbox"):
            form.choices.setdefault(name, []).append(said.get("value", "on"))
            if "checked" in said:
                form.values[name] = said.get("value", "on")
        elif kind in ("submit", "image"):
            form.buttons.append((name, said.get("value", "")))
        elif kind not in ("button", "reset", "file") and name in form.values:
            form.also.append((name, said.get("value", "")))
        elif kind not in ("button", "reset", "file"):
            form.values[name] = said.get("value", "")
