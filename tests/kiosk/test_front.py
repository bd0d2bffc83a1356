"""The front of the station's network: real nginx with the role's own configuration, the real program behind it, a real browser's TLS."""

import http.client
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import jinja2
import pytest
import yaml  # type: ignore[import-untyped]  # comes with ansible-core, without types

from appliance.kiosk.lan import COOKIE, SOCKET
from appliance.store import audit, front
from tests import servers
from tests.journey.windows import browser
from tests.kiosk.station import FIRST, NURSE, PINS, Station
from tests.kiosk.test_screen import sign_in
from tests.polling import until

ROLE = Path(__file__).parents[2] / "provisioning/roles/front"
ADDRESS = "127.0.0.1"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


# --- the certificate -------------------------------------------------------------------------------------------------------------------


def test_a_certificate_is_made_once_and_anew_a_month_before_its_end(tmp_path: Path) -> None:
    """The same while it is good; another one for another address, near its end, before its beginning, or when its key is gone."""
    file = tmp_path / "lan/lan.pem"
    assert front.ensure(file, "10.77.0.1", NOW)
    first = front.fingerprint(file)
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", first)
    assert not front.ensure(file, "10.77.0.1", NOW + timedelta(days=front.DAYS - 40))
    assert front.fingerprint(file) == first
    assert (front.key_of(file).stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o600, 0o644)
    seen = {first}
    for address, now in (
        ("10.77.0.2", NOW), ("10.77.0.2", NOW + timedelta(days=front.DAYS - 20)), ("10.77.0.2", NOW - timedelta(days=9)),
    ):  # fmt: skip
        assert front.ensure(file, address, now)
        seen.add(front.fingerprint(file))
    front.key_of(file).unlink()
    assert front.ensure(file, "10.77.0.2", NOW - timedelta(days=9))
    seen.add(front.fingerprint(file))
    assert len(seen) == 5


def test_what_is_no_certificate_has_no_fingerprint_and_is_replaced(tmp_path: Path) -> None:
    """Half a file after a bad card is no reason to stay without a front."""
    file = tmp_path / "lan.pem"
    for content in (b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA"):
        file.write_bytes(content)
        assert front.fingerprint(tmp_path / "nothing") == ""
        assert front.ensure(file, "tram.lan", NOW)
        assert front.fingerprint(file)


# --- the front -------------------------------------------------------------------------------------------------------------------------


@dataclass
class Front:
    """A running front. `trust` is what a browser has after somebody compared the fingerprint."""

    port: int
    trust: ssl.SSLContext
    program: "subprocess.Popen[bytes]"

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[http.client.HTTPResponse, str]:
        """One request over TLS."""
        line = http.client.HTTPSConnection(ADDRESS, self.port, timeout=30, context=self.trust)
        try:
            if body:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            line.request(method, path, body.encode() or None, headers)
            answer = line.getresponse()
            return answer, answer.read().decode()
        finally:
            line.close()


def rendered(place: Path, port: int, socket: Path) -> Path:
    """The role's template with the role's values, in a folder of the test's."""
    values = yaml.safe_load((ROLE / "defaults/main.yml").read_text()) | yaml.safe_load((ROLE / "vars/main.yml").read_text())
    values |= {
        "ansible_managed": "test", "front_address": ADDRESS, "front_port": port, "front_socket": str(socket), "front_run": str(place),
        "front_certificate": str(place / "lan.pem"), "front_key": str(place / "lan.key"), "front_phone_port": servers.free_port(),
    }  # fmt: skip
    made = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, autoescape=False)
    file = place / "nginx.conf"
    file.write_text(made.from_string((ROLE / "templates/nginx.conf.j2").read_text()).render(values))
    return file


@pytest.fixture
def lan(station: Station) -> Iterator[Front]:
    """``tram lan`` on the station's store, and nginx in front of it as an unprivileged user."""
    nginx = servers.need("nginx", "nginx")
    person = servers.unprivileged("www-data")
    place = servers.folder(person, "front")
    try:
        port = servers.free_port()
        front.ensure(place / "lan.pem", ADDRESS, datetime.now(UTC))
        if person.uid is not None:
            shutil.chown(place / "lan.key", person.uid)
        file = station.settings.paths.data.parent / "tram.toml"
        text = file.read_text().replace('run = "run"', f'run = "{place}"')
        file.write_text(f'{text}[lan]\naddress = "{ADDRESS}"\nport = {port}\ncertificate = "{place}/lan.pem"\n')
        command = [sys.executable, "-m", "appliance.cli", "--config", str(file), "lan"]
        setpriv = servers.find("setpriv")
        program = servers.start([*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []), *command], place / "lan.log")
        until(lambda: (place / SOCKET).exists() or program.poll() is not None, 60, what="tram lan")
        if person.uid is not None:
            shutil.chown(place / SOCKET, person.uid)
        config = rendered(place, port, place / SOCKET)
        server = servers.start(servers.as_person(person, [nginx, "-e", "stderr", "-c", config]), place / "nginx.log")
        try:
            until(lambda: servers.listens(port) or server.poll() is not None, 20, what="nginx")
            assert server.poll() is None, (place / "nginx.log").read_text()
            yield Front(port, ssl.create_default_context(cafile=place / "lan.pem"), program)
        finally:
            servers.stop(server)
            servers.stop(program)
    finally:
        shutil.rmtree(place)


def test_a_computer_of_the_station_signs_in_over_tls_and_is_known_by_its_address(lan: Front, station: Station) -> None:
    """From the choice of the name to a patient; the cookie is for https alone; what the client says of its address is not believed."""
    answer, text = lan.ask("GET", "/", **{"X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6"})
    assert answer.status == 200, text
    cookie = (answer.headers["Set-Cookie"] or "").partition(";")[0]
    assert cookie.startswith(f"{COOKIE}=")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    token = re.findall(r'name="csrf" value="([0-9a-f]+)"', text)[0]
    for path, form in (("/staff", {"staff": NURSE}), ("/pin", {"staff": NURSE, "pin": PINS[NURSE]})):
        answer, _ = lan.ask("POST", path, urlencode({"csrf": token, **form}), Cookie=cookie, **{"X-Forwarded-For": "6.6.6.6"})
        assert answer.status == 303
    answer, text = lan.ask("GET", f"/patients/{station.first}", Cookie=cookie)
    assert FIRST in text
    answer, text = lan.ask("GET", f"/patients/{station.first}/measure", Cookie=cookie)
    assert answer.status == 403
    assert "màn hình của trạm" in text
    assert "staff.login" in {one.action for one in audit.entries(station.conn) if one.subject == f"lan:{ADDRESS}"}
    assert not [one for one in audit.entries(station.conn) if "6.6.6.6" in one.subject]


def test_plain_http_old_tls_and_a_browser_that_was_told_nothing_get_nothing(lan: Front) -> None:
    """No page without TLS, none below 1.2, and a browser without the fingerprint says so itself."""
    line = http.client.HTTPConnection(ADDRESS, lan.port, timeout=30)
    line.request("GET", "/")
    answer = line.getresponse()
    assert (answer.status, "Trạm" in answer.read().decode()) == (400, False)
    line.close()
    stranger = http.client.HTTPSConnection(ADDRESS, lan.port, timeout=30, context=ssl.create_default_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.request("GET", "/")
    stranger.close()
    curl = shutil.which("curl")
    if curl:
        done = subprocess.run([curl, "-sk", "--tls-max", "1.1", f"https://{ADDRESS}:{lan.port}/"], capture_output=True, check=False)
        assert done.returncode != 0


def test_guessing_is_slow_and_a_program_that_rests_is_a_sentence(lan: Front) -> None:
    """After some tens of tries of a PIN in a moment the front says wait; while the program starts anew it says so in Vietnamese."""
    found = {lan.ask("GET", "/pin")[0].status for _ in range(45)}
    assert 429 in found
    servers.stop(lan.program)
    answer, text = lan.ask("GET", "/")
    assert answer.status == 503
    assert "Phần mềm của trạm đang khởi động lại" in text


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 780)], ids=["computer", "telephone"])
def test_a_real_browser_of_either_size_shows_whole_pages(lan: Front, station: Station, width: int, height: int) -> None:
    """Name, PIN, patient, request: nothing sticks out to the side, the way home and the emergency are within reach, no request fails."""
    with browser() as chromium:
        page = chromium.new_context(viewport={"width": width, "height": height}, ignore_https_errors=True).new_page()
        failed: list[str] = []
        # What a page asks for while the next one is opened is dropped by the browser itself.
        page.on("requestfailed", lambda request: failed.append(request.url) if request.failure != "net::ERR_ABORTED" else None)
        page.goto(f"https://{ADDRESS}:{lan.port}/")
        sign_in(page)
        for path in ("/home", f"/patients/{station.first}", f"/patients/{station.first}/ask", "/consults", "/emergency", "/patients"):
            page.goto(f"https://{ADDRESS}:{lan.port}{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            for box in (page.locator(".sos").bounding_box(), page.locator("header .button").first.bounding_box()):
                assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width and box["height"] >= 56, path
            strip = page.locator("header").bounding_box()
            assert strip is not None and strip["height"] < height / 4, path
        assert failed == []
