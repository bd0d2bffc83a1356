"""Nobody leaves the kiosk: keys, mouse, fingers and addresses against Chromium as a station starts it."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Error, Page, sync_playwright

from tests.journey.escape import AT_LINK, INSPECTED, KEYS, MOUSE, SIZE, TOUCHES, WAYS, Walled, act, addresses, spelt, walled
from tests.polling import until

OWN = "chrome-error://chromewebdata/"
"""Where Chromium says *blocked by the administrator*: its own empty page, from which the kiosk is one step back."""


def test_there_are_three_hundred_ways_to_try() -> None:
    """The script is as long as was promised: 300 keys, gestures and addresses, each another one."""
    tried = [*KEYS, *MOUSE, *TOUCHES, *(f"{way} {to}" for way in WAYS for to in addresses(1, 2))]
    assert len(tried) == len(set(tried)) >= 300


@pytest.mark.slow
def test_no_key_and_no_mouse_leaves_the_kiosk(tmp_path: Path) -> None:
    """After each key, menu, click and drag every page is the kiosk's, and it hears the next key; no file, no other program."""
    with walled(tmp_path) as browser:
        assert by_hand(browser, KEYS, MOUSE) == {}
        assert browser.traces() == []


@pytest.mark.slow
def test_no_finger_and_no_address_leaves_the_kiosk(tmp_path: Path) -> None:
    """After each touch and each address the page is the kiosk's or Chromium's own refusal; nobody was asked, nothing was started."""
    with walled(tmp_path, without=INSPECTED) as browser:
        assert from_within(browser, TOUCHES, WAYS, addresses(browser.front.port, browser.front.trap)) == {}
        assert browser.traces() == []


PATIENCE = 4
"""How often the script is tried where it must find a way: a page that is still being drawn misses a click, and a wall stays a wall."""


@pytest.mark.slow
def test_without_the_policies_the_script_finds_the_way_out(tmp_path: Path) -> None:
    """The planted bug: the file of policies is missing. Another origin and a page of Chromium's own open."""
    with walled(tmp_path, policies=False) as browser:
        out = (f"http://127.0.0.1:{browser.front.trap}/", "about:blank")
        for _ in range(PATIENCE):
            found = from_within(browser, (), ("link", "window"), out)
            if f"link {out[0]}" in found:
                break
        assert f"link {out[0]}" in found and browser.traces() != []


@pytest.mark.slow
def test_without_the_locked_window_the_script_finds_the_way_out(tmp_path: Path) -> None:
    """The planted bug: --force-app-mode is missing from the command line. A key opens another window."""
    with walled(tmp_path, line=("--force-app-mode",)) as browser:
        assert by_hand(browser, ("ctrl+n", "ctrl+t"), ()) != {}


def by_hand(browser: Walled, keys: Sequence[str], mouse: Sequence[str]) -> dict[str, str]:
    """Every key and gesture that left the kiosk, and where it was then; the first one that did ends it."""
    for each in (*keys, *mouse):
        if each in keys:
            browser.do("key", "--delay", "0", each)
        else:
            act(browser, each)
        if away := browser.away():
            return {each: away}
    return {}


def from_within(browser: Walled, touches: Sequence[str], ways: Sequence[str], to: Sequence[str]) -> dict[str, str]:
    """Every touch and address that left the kiosk, and where it was then."""
    found: dict[str, str] = {}
    with sync_playwright() as play:
        inside = play.chromium.connect_over_cdp(f"http://127.0.0.1:{browser.inside}")
        (context,) = inside.contexts
        page, *late = context.pages
        for other in late:
            # A window that opened after the last look is a way out too.
            found["before"] = other.url
            other.close()
        page.set_default_timeout(20_000)
        start = f"http://127.0.0.1:{browser.front.port}/"
        fingers = context.new_cdp_session(page)
        for each in touches:
            touch(fingers, each)
            pause(page)
            if where := elsewhere(context.pages, start):
                found[each] = where
            page.goto(start)
        for way in ways:
            for address in to:
                attempt(page, way, address, spelt(browser, way, address), start)
                if where := elsewhere(context.pages, start):
                    found[f"{way} {address}"] = where
                for other in context.pages:
                    if other != page:
                        other.close()
        inside.close()
    return found


def attempt(page: Page, way: str, to: str, address: str, start: str) -> None:
    """Try to go to `to` in one way; what Chromium refuses with an error is refused."""
    try:
        page.goto(start if way == "location" else address, wait_until="domcontentloaded")
        if way == "location":
            page.evaluate("(to) => { location.assign(to) }", to)
        elif way in ("link", "window"):
            page.mouse.click(*AT_LINK)
        elif way == "form":
            page.evaluate("document.getElementById('form').submit()")
    except Error:
        pass
    pause(page)


def pause(page: Page) -> None:
    """Give Chromium the time of two pictures and a little more; a page that goes away meanwhile is what is waited for."""
    try:
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 40))))")
    except Error:
        page.wait_for_load_state("domcontentloaded")


def elsewhere(pages: Sequence[Page], start: str) -> str:
    """The origins that are neither the kiosk's nor Chromium's refusal; empty when there are none."""
    found = []
    for each in pages:
        address, origin = until(partial(asked, each), 10, every=0.1, what="a page that stands still")
        if address != OWN and origin + "/" != start:
            found.append(f"{address} ({origin})")
    return ", ".join(found)


def asked(page: Page) -> tuple[str, ...]:
    """Address and origin of a page; empty while it is on its way."""
    try:
        address, origin = page.evaluate("[location.href, self.origin]")
    except Error:
        return ()
    return address, origin


def touch(fingers: CDPSession, gesture: str) -> None:
    """One line of `TOUCHES` done."""
    what, how = gesture.split()
    width, height = SIZE
    if what == "pinch":
        fingers.send(
            "Input.synthesizePinchGesture", {"x": 400, "y": 240, "scaleFactor": 3 if how == "out" else 0.3, "gestureSourceType": "touch"}
        )
        return
    if how == "link":
        swipe(fingers, [AT_LINK], [(width - 5, height - 5)])
    elif what in ("tap", "long"):
        places = [(400 + 60 * number, 300) for number in range(int(how))]
        put(fingers, "touchStart", places)
        if what == "long":
            fingers.send("Runtime.evaluate", {"expression": "new Promise((done) => setTimeout(done, 800))", "awaitPromise": True})
        put(fingers, "touchEnd", [])
    else:
        count = range(int(how))
        from_x, from_y, to_x, to_y = {"left": (1, 200, 700, 200), "right": (width - 1, 200, 100, 200), "top": (300, 1, 300, 400),
                                      "bottom": (300, height - 1, 300, 80)}[what]  # fmt: skip
        side = (0, 50) if what in ("left", "right") else (50, 0)
        begin = [(from_x + side[0] * number, from_y + side[1] * number) for number in count]
        swipe(fingers, begin, [(to_x + side[0] * number, to_y + side[1] * number) for number in count])


def swipe(fingers: CDPSession, begin: Sequence[tuple[int, int]], end: Sequence[tuple[int, int]]) -> None:
    """Fingers go from `begin` to `end` in ten steps."""
    put(fingers, "touchStart", begin)
    for step in range(1, 11):
        put(
            fingers,
            "touchMove",
            [(x + (to_x - x) * step // 10, y + (to_y - y) * step // 10) for (x, y), (to_x, to_y) in zip(begin, end, strict=True)],
        )
    put(fingers, "touchEnd", [])


def put(fingers: CDPSession, kind: str, places: Sequence[tuple[int, int]]) -> None:
    """One event of the fingers at `places`."""
    points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
    fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
