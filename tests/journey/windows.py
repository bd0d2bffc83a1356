"""Real browser windows for tests: headless Chromium, watched for everything a page must not do, photographed step by step."""

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, ViewportSize, expect, sync_playwright

from tests import servers

FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
PATIENCE_MS = 20_000
"""How long a step may take on a busy machine."""
VIOLATION = "document.addEventListener('securitypolicyviolation', (e) => console.error('CSP ' + e.violatedDirective + ' ' + e.blockedURI));"
TONES = {"\u0301": "\u00b4", "\u0300": "`", "\u0309": "\u02c0", "\u0303": "\u02dc", "\u0323": "·"}
"""Combining tone marks and the keys of the kiosk that set them."""


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium of the system; it can resolve no name and so reach nothing but loopback."""
    program = servers.need("chromium", "chromium")
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=program, args=flags)
        try:
            yield running
        finally:
            running.close()


class Window:
    """One person's window. `complaints` collects what a page must not do; `picture` takes the next picture of the story."""

    def __init__(self, of: Browser, name: str, size: ViewportSize, pictures: Path, *, touch: bool = False) -> None:
        self._name, self._pictures = name, pictures
        self._context = of.new_context(viewport=size, has_touch=touch, locale="vi-VN", timezone_id="Asia/Ho_Chi_Minh")
        self._context.set_default_timeout(PATIENCE_MS)
        self._context.add_init_script(VIOLATION)
        self.complaints: list[str] = []
        self.page: Page = self._context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))
        self.page.on("request", self._asked)
        self._count = 0

    def picture(self, name: str) -> Path:
        """What the person sees now, as a PNG; nothing may stick out of the screen sideways."""
        self._count += 1
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            self.complaints.append(f"{self.page.url}: {wide} px wider than the screen")
        path = self._pictures / f"{self._name}-{self._count:02d}-{name}.png"
        self.page.screenshot(path=path)
        return path

    def type(self, field: Locator, text: str) -> None:
        """Write with the keys on the screen, as a finger does: letters, then the tone."""
        field.tap()
        expect(self.page.locator(".keys")).to_be_visible()
        for sign in text:
            for key in keys(sign):
                self.page.locator(f'.keys button[data-key="{key}"]').tap()
        expect(field).to_have_value(text)
        self.page.locator('.keys button[data-key="✓"]').tap()
        expect(self.page.locator(".keys")).to_have_count(0)

    def close(self) -> None:
        """Close it."""
        self._context.close()

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "about", "blob") and parts.hostname != "127.0.0.1":
            self.complaints.append(f"{self.page.url} asks {request.url}")


def keys(sign: str) -> list[str]:
    """The keys of the kiosk that write one letter: a plain or marked vowel, then its tone. Capitals come by themselves.

    >>> keys("ử"), keys("ệ"), keys("a"), keys("N")
    (['ư', 'ˀ'], ['ê', '·'], ['a'], ['n'])
    """
    plain, tones = "", []
    for part in unicodedata.normalize("NFD", sign.lower()):
        if part in TONES:
            tones.append(TONES[part])
        else:
            plain += part
    return [unicodedata.normalize("NFC", plain), *tones]
