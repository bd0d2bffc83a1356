import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from flask import url_for

from appliance.contract.events import Department, Urgency
from appliance.store import consults
from appliance.store.consults import ConsultDraft
from tests.kiosk.station import Station, add_patient

NASTY = """<script>alert(1)</script>'"><img src=x onerror=alert(2)>"""


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One tag."""
        self.found.append((tag, dict(attrs)))


def every_page(station: Station) -> Iterator[tuple[str, str]]:
    """Address and text of each kind of page, with a result, a tray, a consult, an answer, an error."""
    window = station.window()
    session = window.open(station.first)
    saved, waiting = station.measure("oxi", session), 0
    window.post(f"/sessions/{session}/save", measurement=saved, patient=station.first)
    station.hand.turn(1)
    waiting = station.measure("oxi", session)
    station.hand.turn(1)
    stray = station.measure("oxi", None, SPO2=97, PULSE_RATE=61)
    draft = ConsultDraft(station.first, Urgency.EMERGENCY, Department.INTERNAL, f"đau {NASTY}", (saved,))
    consults.request(station.conn, draft, consult=5001, staff="y1", now=station.now)
    station.answer(5001, advice=f"nghỉ {NASTY}", diagnosis=NASTY)
    paths = (
        "/home", "/patients", "/patients/new", f"/patients/{station.first}", f"/patients/{station.first}/measure",
        f"/patients/{station.first}/confirm?device=oxi", f"/sessions/{session}", f"/sessions/{session}/again/{waiting}", "/tray",
        f"/tray/{stray}", f"/tray/{stray}/to/{station.first}", f"/patients/{station.first}/ask", "/consults", "/consults/5001",
        "/consults/5001/withdraw", "/aside", "/nowhere", f"/patients/{station.first}/undecided/{waiting}",
    )  # fmt: skip
    for path in paths:
        yield path, window.get(path).text
    yield "/found", window.post("/find", q=NASTY.replace("|", "")).text
    yield "/patients/new", window.post("/patients/new", patient="1", name=NASTY, birth=NASTY, village=NASTY).text
    window.post(f"/patients/{station.first}/ask", complaint=NASTY, department="internal", urgency="urgent", readings="1")
    yield "review", window.text
    yield "/", station.window("").get("/").text


def test_no_page_runs_or_loads_anything_foreign(station: Station) -> None:
    """No inline script or style, no event attribute, no address of another origin; what people typed stays text."""
    station.conn.execute("UPDATE patient SET village = ? WHERE id = ?", (NASTY, station.first))
    station.conn.execute("UPDATE patient SET name = ? WHERE id = ?", (f"Thử {NASTY}", station.first))
    seen = 0
    for path, text in every_page(station):
        assert "<script>alert" not in text, path
        assert "<img" not in text, path
        tags = Tags()
        tags.feed(text)
        for tag, attrs in tags.found:
            assert tag not in ("style", "iframe", "object", "embed", "base"), path
            assert not [name for name in attrs if name.startswith("on") or name == "style"], (path, tag, attrs)
            assert tag != "script" or (attrs.get("src") or "").startswith("/static/"), path
            for name in ("src", "href", "action", "formaction"):
                assert (attrs.get(name) or "/").startswith(("/", "#")), (path, tag, attrs)
                assert not (attrs.get(name) or "/").startswith("//"), (path, tag, attrs)
        seen += 1
    assert seen > 20


def test_every_answer_carries_the_guards(station: Station) -> None:
    """Content security policy without unsafe words, no sniffing, no frame, no cache, no referrer."""
    window = station.window()
    for path in ("/home", "/status.json", "/nowhere", "/live/oxi.json"):
        headers = window.get(path).page.headers  # type: ignore[union-attr]
        assert headers["Cache-Control"] == "no-store", path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_the_cookie_holds_a_random_number_only(station: Station) -> None:
    """HttpOnly, strict; nothing about people in it."""
    answer = station.app.test_client().get("/")
    cookie = answer.headers["Set-Cookie"]
    assert re.fullmatch(r"tram=[0-9a-f]{48}; HttpOnly; Path=/; SameSite=Strict", cookie)


def test_every_write_needs_the_windows_token(station: Station) -> None:
    """Each POST address of the kiosk refuses a missing, a wrong and another window's token, and changes nothing."""
    window, other = station.window(), station.window()
    window.open(station.first)
    tokens = ("", "0" * 48, other.token(), "é")
    with station.app.test_request_context():
        rules = [
            url_for(rule.endpoint, **dict.fromkeys(rule.arguments, 1))
            for rule in station.app.url_map.iter_rules()
            if "POST" in (rule.methods or ())
        ]
    assert len(rules) > 15
    before = station.count("SELECT count(*) FROM outbox")
    for path in rules:
        for token in tokens:
            assert window.post(path, csrf=token, staff="y1").status == 400, path
            assert "K419" in window.text
    assert station.count("SELECT count(*) FROM outbox") == before
    assert window.get("/home").path == "/home"


def test_a_write_from_an_unknown_window_starts_at_the_beginning(station: Station) -> None:
    """After a restart of the kiosk nothing is written for a page that was open before: it says so and asks for the name."""
    window = station.window()
    station.kiosk.desks._desks.clear()
    window.post("/find", q="x", csrf="0" * 48)
    assert window.path == "/"
    assert "vừa khởi động lại" in window.text


def test_only_names_of_this_machine_are_answered(station: Station) -> None:
    """A foreign host name that points at loopback (DNS rebinding) gets nothing."""
    answer = station.app.test_client().get("/status.json", headers={"Host": "evil.example"})
    assert answer.status_code == 400


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""])
def test_going_back_stays_in_the_house(station: Station, back: str) -> None:
    """The path to return to is one of ours."""
    window = station.window()
    answer = window.client.post("/language", data={"csrf": window.token(), "language": "vi", "back": back})
    assert answer.headers["Location"] == "/"


def test_a_form_that_is_too_large_is_refused_with_a_sentence(station: Station) -> None:
    """No page takes more than a few short texts."""
    window = station.window()
    window.post("/find", q="x" * 100_000)
    assert window.status == 413
    assert "dài quá" in window.text


def test_a_broken_form_is_a_sentence_and_not_a_bug(station: Station) -> None:
    """Missing, huge and foreign numbers in every form: 4xx with words, and the journal has no bug."""
    window = station.window()
    session = window.open(station.first)
    for value in ("", "x", "-1", "9" * 30, "\u0661", "1e3"):
        for path in (
            f"/sessions/{session}/save",
            f"/sessions/{session}/discard",
            "/consults/1/read",
            f"/patients/{station.first}/ask/send",
        ):
            window.post(path, measurement=value, patient=value, consult=value, answer=value, reason=value)
            assert 400 <= window.status < 500, (path, value)
    for path in (
        "/sessions/9",
        "/tray/9",
        "/consults/9",
        "/patients/9/ask",
        "/sessions/9/again/9",
        "/live/x.json",
        "/patients/99999999999999999999",
    ):
        assert window.get(path).status in (404, 409), path
    assert '"bug' not in station.journal.getvalue()


def test_the_journal_holds_no_patient(station: Station) -> None:
    """Whatever pages were shown, no name, number, village or complaint is in the log."""
    add_patient(station, 1009, "Bí Mật Thử", "1950", "001050000009")
    for _path, _text in every_page(station):
        pass
    for secret in ("Bí Mật", "001061012345", "Bản Thử", "đau", "1961"):
        assert secret not in station.journal.getvalue()
