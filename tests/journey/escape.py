"""Ways out of the kiosk, and the browser they are tried on: Chromium as the role `screen` starts it, with the policies that role writes.

`walled` starts the installed Chromium, in a mount namespace where /etc/chromium is a folder of ours, on a screen of its own (Xvfb):
keys and the mouse are real events of that screen, touches and addresses go in through the browser's own test interface. Two
policies that forbid that interface are left out, and they alone: `RemoteDebuggingAllowed` always, `DeveloperToolsAvailability`
where touches and addresses are tried.
"""

import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests import servers
from tests.polling import until
from tests.provisioning.nspawn import PROVISIONING, ROOT

SIZE = (800, 480)
INSPECTED = ("DeveloperToolsAvailability",)
"""Left out as well where the browser is to be touched and led from within."""
LETTERS, DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
NAMED = (
    "Tab", "Escape", "BackSpace", "Delete", "Insert", "Home", "End", "Prior", "Next", "Left", "Right", "Up", "Down", "Return",
    "space", "Print", "Menu", "plus", "minus", "comma",
)  # fmt: skip
PICTURED = (
    "XF86HomePage", "XF86Search", "XF86Back", "XF86Forward", "XF86Reload", "XF86Refresh", "XF86Mail", "XF86WWW", "XF86Favorites",
    "XF86Explorer", "XF86Calculator", "XF86Tools", "XF86New", "XF86Open", "XF86Close", "XF86Save", "XF86AddFavorite", "XF86History",
)  # fmt: skip
"""The keys with pictures on them."""
KEYS = (
    *(f"{held}+{key}" for held in ("ctrl", "ctrl+shift", "alt") for key in LETTERS),
    *(f"{held}+{key}" for held in ("ctrl", "alt") for key in DIGITS),
    *(f"{held}F{number}" for held in ("", "shift+", "ctrl+", "alt+") for number in range(1, 13)),
    *(f"{held}{key}" for held in ("", "ctrl+", "alt+", "shift+") for key in NAMED),
    *(f"super+{key}" for key in "delrs"), *(f"ctrl+alt+{key}" for key in ("Delete", "BackSpace", "t", "F1", "F2", "F7")), *PICTURED,
)  # fmt: skip
"""What a keyboard can send, as xdotool spells it."""
AT_LINK, AT_TEXT, AT_PICTURE, AT_NOTHING = (150, 60), (150, 180), (600, 100), (700, 420)
"""Where the page's link, its field, its picture and nothing at all are (`PAGE`)."""
CORNERS = ((5, 5), (795, 5), (400, 475), AT_NOTHING)
MENU = tuple(f"menu {down} {x} {y}" for x, y in (AT_LINK, AT_TEXT, AT_PICTURE, AT_NOTHING) for down in (1, 3))
"""The menu of the right button at a place, its n-th line chosen."""
MOUSE = (
    *MENU,
    *(f"click {button} {x} {y}" for button in (2, 3, 8, 9) for x, y in (AT_LINK, AT_PICTURE, AT_NOTHING)),
    *(f"held {held} {AT_LINK[0]} {AT_LINK[1]}" for held in ("ctrl", "shift", "ctrl+shift", "alt")),
    *(f"drag {x} {y} {to_x} {to_y}" for x, y in (AT_LINK, AT_PICTURE, AT_TEXT) for to_x, to_y in CORNERS),
    *(f"drag {edge}" for edge in ("0 240 700 240", "799 240 100 240", "400 0 400 400", "400 479 400 60")),
    "wheel ctrl 4", "wheel ctrl 5", "long 150 60", "long 700 420",
)  # fmt: skip
"""What a mouse can do to the page."""
TOUCHES = (
    "tap 1", "tap 2", "tap 3", "long 1", "long 2", "pinch out", "pinch in", "left 1", "left 2", "left 3", "right 1", "right 2", "right 3",
    "top 1", "top 2", "top 3", "bottom 1", "bottom 2", "bottom 3", "drag link",
)  # fmt: skip
"""What fingers can do: tap, long press, pinch, a swipe from an edge with one to three of them."""


def addresses(port: int, trap: int) -> tuple[str, ...]:
    """Addresses that are not the kiosk's, in every scheme. `trap` is a port of ours where nobody may ever knock."""
    return (
        "file:///etc/passwd", "file:///", "chrome://settings", "chrome://version", "chrome://history", "chrome://newtab", "chrome://flags",
        "chrome-untrusted://print/", "devtools://devtools/bundled/inspector.html", f"view-source:http://127.0.0.1:{port}/",
        "view-source:file:///etc/passwd", "data:text/html,<h1>out</h1>", "data:text/html;base64,PGgxPm91dDwvaDE+",
        "javascript:open('about:blank')", "about:blank", "about:version", "blob:null/1", "filesystem:http://127.0.0.1/temporary/x", "ftp://127.0.0.1/",
        "mailto:a@example.org", "tel:115", "sms:115", "intent://scan/#Intent;scheme=zxing;end", "ssh://127.0.0.1",
        "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai/",
        f"http://127.0.0.1:{trap}/", f"http://localhost:{trap}/", f"http://localhost:{port}/", f"http://[::1]:{port}/", "https://example.org/",
        f"http://127.0.0.1.example.org:{port}/",
    )  # fmt: skip


WAYS = ("location", "link", "window", "form", "frame", "redirect")
"""How a page can be made to go somewhere: by its script, by a tap on a link, in a new window, as a form's target, in a frame, by the
server's answer."""

PAGE = """<!doctype html><html lang="vi"><head><meta charset="utf-8"><title>Trạm</title><style>
html,body{{margin:0;height:100%;background:#cfe8ef}} *{{position:absolute}} html,head,body{{position:static}}
a{{left:20px;top:30px;width:300px;height:60px;font-size:28px}} input{{left:20px;top:150px;width:300px;height:60px}}
img{{left:500px;top:20px;width:200px;height:160px;background:#157}} iframe{{left:20px;top:300px;width:300px;height:100px}}
</style></head><body><a id="link" href="{link}" {target}>Trạm</a><input id="field" value="Thử Nghiệm Một">
<img alt="" src="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>">
<form id="form" method="get" action="{link}"></form>{frame}
<script>fetch("/ready"); addEventListener("keydown", (e) => {{ if (e.key === "b") fetch("/heard") }}, true)</script></body></html>"""


@dataclass
class Front:
    """The page in the kiosk's place, and the trap.

    `ready` counts its pages that stand, `heard` the letters b they were given, `trapped` holds what knocked elsewhere.
    """

    port: int = 0
    trap: int = 0
    ready: int = 0
    heard: int = 0
    trapped: list[str] = field(default_factory=list)


@contextmanager
def front() -> Iterator[Front]:
    """Both servers on loopback, for as long as the block runs."""
    here = Front()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
            here.heard += parts.path == "/heard"
            here.ready += parts.path == "/ready"
            self.send_response(302 if parts.path == "/redirect" else 200)
            if parts.path == "/redirect":
                self.send_header("Location", asked["to"])
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page(asked.get("way", ""), asked.get("to", f"http://127.0.0.1:{here.port}/other")).encode())

        def log_message(self, *_words: object) -> None:
            """Quiet."""

    class Trap(Answer):
        def do_GET(self) -> None:
            here.trapped.append(self.path)
            self.send_response(200)
            self.end_headers()

    running = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), each) for each in (Answer, Trap)]
    here.port, here.trap = (each.server_address[1] for each in running)
    threads = [threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True) for each in running]
    for each in threads:
        each.start()
    try:
        yield here
    finally:
        for server, thread in zip(running, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join(5)


def page(way: str, to: str) -> str:
    """The kiosk's page with one way out built into it."""
    to = to.replace('"', "&quot;")
    return PAGE.format(
        link=to, target='target="_blank"' if way == "window" else "", frame=f'<iframe src="{to}"></iframe>' if way == "frame" else "",
    )  # fmt: skip


@dataclass(frozen=True)
class Walled:
    """A running kiosk browser. `kept` is where its outside programs and downloads would leave a trace."""

    display: str
    inside: int
    front: Front
    kept: Path

    def pages(self) -> list[str]:
        """The addresses of its pages, those of the browser's own parts left out."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.inside}/json/list", timeout=10) as answer:
            found = json.load(answer)
        return [each["url"] for each in found if each["type"] == "page" and "omnibox-popup" not in each["url"]]

    def do(self, *words: str) -> None:
        """xdotool."""
        subprocess.run(["xdotool", *words], env={**os.environ, "DISPLAY": self.display}, check=False, capture_output=True, timeout=30)

    def away(self) -> str:
        """Why this is no kiosk any more: another page, or the next key does not reach the kiosk's; empty while it is one."""
        before = self.front.heard
        # A menu is shut by Escape, but a page that is being loaded is stopped by it: then it is loaded again.
        tries = iter(["b", "b", "b", "Escape b", "Escape b", "F5", *["b"] * 8, "Escape b", "F5", *["b"] * 12])

        def heard() -> bool:
            self.do("key", "--delay", "0", *next(tries, "b").split())
            with suppress(AssertionError):
                return until(lambda: self.front.heard > before, 0.3)
            return False

        try:
            until(heard, 20)
        except AssertionError:
            return f"no key reaches the kiosk: {self.pages()}"
        here = f"http://127.0.0.1:{self.front.port}/"

        def alone() -> bool:
            # A second window with the kiosk's page is still the kiosk; the right address elsewhere is not.
            pages = self.pages()
            return bool(pages) and all(each.startswith(here) for each in pages)

        try:
            # A page that is being loaded again has no address for a moment, on a busy machine for some.
            until(alone, 15, every=0.1)
        except AssertionError:
            return f"pages {self.pages()}"
        return ""

    def traces(self) -> list[str]:
        """Files that were downloaded, programs that were started, and knocks elsewhere."""
        return [*(each.name for each in self.kept.iterdir() if each.name not in ("bin",)), *self.front.trapped]


def said_by_the_role(place: Path, port: int) -> tuple[dict[str, Any], list[str]]:
    """The policies and the command line that the role writes for a kiosk at `port`, rendered by Ansible itself."""
    template, made = place / "said.j2", place / "said.json"
    template.write_text(
        "{{ {'policies': screen_policies | combine(screen_policies_extra), 'line': screen_line + screen_flags} | to_json }}"
    )
    role = PROVISIONING / "roles/screen"
    command = [
        ROOT / ".venv/bin/ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "ansible.builtin.template",
        "-a", f"src={template} dest={made} mode=0600", "-e", f"@{role}/defaults/main.yml", "-e", f"@{role}/vars/main.yml",
        "-e", f"screen_port={port}", "-e", f"ansible_python_interpreter={sys.executable}",
    ]  # fmt: skip
    environment = {**os.environ, "ANSIBLE_HOME": str(place / "a"), "ANSIBLE_LOCALHOST_WARNING": "0"}
    subprocess.run(list(map(str, command)), check=True, capture_output=True, env=environment, stdin=subprocess.DEVNULL)
    said = json.loads(made.read_text())
    return said["policies"], said["line"]


@contextmanager
def walled(place: Path, *, without: Sequence[str] = (), policies: bool = True, line: Sequence[str] = ()) -> Iterator[Walled]:
    """Chromium on the page in the kiosk's place; skips where the machine gives no mount namespace (not root).

    `without` names policies that are left out, `line` words that are taken off its command line; `policies=False` leaves out all.
    """
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("Chromium reads its policies in /etc/chromium: another folder can be put there by root only")
    chromium, xvfb = servers.need("chromium", "chromium"), servers.need("Xvfb", "xvfb")
    servers.need("xdotool", "xdotool")
    with front() as here:
        ruled, said = said_by_the_role(place, here.port)
        etc, kept = place / "etc", place / "kept"
        (etc / "policies/managed").mkdir(parents=True)
        (kept / "bin").mkdir(parents=True)
        if policies:
            left = {key: value for key, value in ruled.items() if key not in ("RemoteDebuggingAllowed", *without)}
            (etc / "policies/managed/tram.json").write_text(json.dumps(left))
        for program in ("xdg-open", "xdg-email", "gio", "kde-open", "x-www-browser"):
            (kept / "bin" / program).write_text(f'#!/bin/sh\necho "$@" >>{kept}/{program}\n')
            (kept / "bin" / program).chmod(0o755)
        profile = place / "profile"
        taken = ("--ozone-platform", "--user-data-dir", *line)
        words = [each for each in said if not each.startswith(taken)]
        assert len(words) == len(said) - len(taken), said
        if "--app" in line:
            words.append(f"http://127.0.0.1:{here.port}/")
        words += [
            f"--user-data-dir={profile}",
            "--ozone-platform=x11",
            "--disable-gpu",
            "--remote-debugging-port=0",
            "--touch-events=enabled",
        ]
        words += [f"--window-size={SIZE[0]},{SIZE[1]}", "--window-position=0,0", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        read, write = os.pipe()
        screen = subprocess.Popen(
            [xvfb, "-displayfd", str(write), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp", "-noreset"],
            pass_fds=[write], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(write)
        running: subprocess.Popen[bytes] | None = None
        try:
            with os.fdopen(read) as said_by_screen:
                display = f":{said_by_screen.readline().strip()}"
            home = {
                "HOME": str(kept),
                "XDG_DOWNLOAD_DIR": str(kept),
                "XDG_CONFIG_HOME": str(place / "config"),
                "XDG_CACHE_HOME": str(place / "cache"),
            }
            path = {"PATH": f"{kept}/bin:{os.environ['PATH']}", "DISPLAY": display}
            mount = 'mount --bind "$1" /etc/chromium && shift && exec "$@"'
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh", str(etc), chromium, *words]
            running = servers.start(command, place / "chromium.log", {**os.environ, **home, **path})
            port = profile / "DevToolsActivePort"
            until(lambda: port.exists() and port.read_text().strip(), 60, every=0.1, what="Chromium")
            browser = Walled(display, int(port.read_text().split()[0]), here, kept)
            # Before it stands an Escape would stop it.
            until(lambda: here.ready, 60, every=0.1, what="the kiosk's page")
            until(lambda: not browser.away(), 60, every=0.3, what="a key that reaches the kiosk's page")
            yield browser
        finally:
            if running is not None:
                servers.stop(running)
            servers.stop(screen)


def act(browser: Walled, gesture: str) -> None:
    """One line of `MOUSE` done."""
    what, *rest = gesture.split()
    if what == "menu":
        down, x, y = rest
        browser.do("mousemove", x, y, "click", "3", "key", "--delay", "5", *(["Down"] * int(down)), "Return")
    elif what == "click":
        browser.do("mousemove", rest[1], rest[2], "click", rest[0])
    elif what == "held":
        browser.do("mousemove", rest[1], rest[2], "keydown", rest[0], "click", "1", "keyup", rest[0])
    elif what == "drag":
        x, y, to_x, to_y = rest
        middle = (str((int(x) + int(to_x)) // 2), str((int(y) + int(to_y)) // 2))
        browser.do("mousemove", x, y, "mousedown", "1", "mousemove", *middle, "mousemove", to_x, to_y, "mouseup", "1")
    elif what == "wheel":
        browser.do("keydown", rest[0], "click", rest[1], "keyup", rest[0])
    elif what == "long":
        browser.do("mousemove", rest[0], rest[1], "mousedown", "1", "sleep", "0.8", "mouseup", "1")


def spelt(browser: Walled, way: str, to: str) -> str:
    """The kiosk's own address at which `way` leads to `to`."""
    return f"http://127.0.0.1:{browser.front.port}/{'redirect' if way == 'redirect' else ''}?way={way}&to={quote(to, safe='')}"
