"""The demo's browser reads forms as people's browsers do."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from appliance.demo.browser import Browser, PageError, read_page

HTML = """<html><script>var x = "<form>";</script><body><p>Xin chào</p><a href="/next">đi</a>
<form action="/patients" method="post"><input type="hidden" name="csrf" value="t0k&quot;en"><input name="name" value="">
<select name="sex"><option value="1">Nam<option value="2" selected>Nữ</select>
<input type="radio" name="kind" value="a"><input type="radio" name="kind" value="b" checked><input type="checkbox" name="off" value="1">
<textarea name="why">vì  sao</textarea><button name="do" value="save">Lưu</button><button name="do" value="again">Đo lại</button>
<input name="dead" value="1" disabled></form>
<form id="f2" action="/two">
<input type="hidden" name="seen" value="1"><input type="hidden" name="seen" value="2"></form>
<input name="outside" value="o" form="f2"></body></html>"""


def test_a_form_is_read_as_a_browser_would_send_it() -> None:
    """Hidden fields, defaults of selects and radio buttons, text areas, buttons; disabled and unchecked fields stay at home."""
    page = read_page("http://x/", 200, HTML)
    form = page.form(action="/patients")
    assert form.values == {"csrf": 't0k"en', "name": "", "sex": "2", "kind": "b", "why": "vì  sao"}
    assert form.choices == {"sex": ["1", "2"], "kind": ["a", "b"], "off": ["1"]}
    assert form.buttons == [("do", "save"), ("do", "again")]
    assert page.form(has="outside").action == "/two"
    assert page.links == ["/next"]
    assert page.words().startswith("Xin chào đi")
    with pytest.raises(PageError, match="has no form to /nowhere"):
        page.form(action="/nowhere")


class Answers(BaseHTTPRequestHandler):
    """Shows what was sent."""

    def do_GET(self) -> None:
        """The form; with a cookie; and a page that says no."""
        if self.path == "/no":
            self.send_error(403, "Forbidden")
            return
        self.send_response(200)
        self.send_header("Set-Cookie", "who=tram")
        self.end_headers()
        self.wfile.write(HTML.encode() if self.path == "/" else f"path={self.path} cookie={self.headers['Cookie']}".encode())

    def do_POST(self) -> None:
        """What came, after a redirect when asked for."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(303)
        self.send_header("Location", f"/seen?{body}")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Quiet."""


@pytest.fixture
def origin() -> Iterator[str]:
    """The address of a small web server."""
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_form_is_sent_with_its_token_the_pressed_button_and_the_cookie(origin: str) -> None:
    """What the page hid goes back, what a person filled in goes with it, the redirect is followed."""
    browser = Browser(origin)
    page = browser.get("/")
    seen = browser.send(page, page.form(action="/patients"), "do=save", name="Thử Nghiệm Một", sex="1")
    assert "csrf=t0k%22en" in seen.text
    assert "name=Th%E1%BB%AD+Nghi%E1%BB%87m+M%E1%BB%99t" in seen.text
    assert "do=save" in seen.text
    assert "sex=1" in seen.text
    assert "cookie=who=tram" in seen.text
    assert browser.send(page, page.form(action="/two"), outside="x").url.endswith("/two?seen=1&outside=x&seen=2")


def test_what_is_not_on_the_page_cannot_be_sent(origin: str) -> None:
    """A person cannot fill in a field or press a button that is not there; a page that says no is an error with its words."""
    browser = Browser(origin)
    page = browser.get("/")
    with pytest.raises(PageError, match="has no field dead"):
        browser.send(page, page.form(action="/patients"), dead="2")
    with pytest.raises(PageError, match="has no button do=drop"):
        browser.send(page, page.form(action="/patients"), "do=drop")
    with pytest.raises(PageError, match="403"):
        browser.get("/no")
    with pytest.raises(PageError, match=r"127\.0\.0\.1:1"):
        Browser("http://127.0.0.1:1").get("/")
