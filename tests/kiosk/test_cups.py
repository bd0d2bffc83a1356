"""Paper through a real CUPS with the role's own settings: the test print and a patient's slip reach the queue's printer, here a file."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import servers
from tests.kiosk.station import TECHNICIAN, Station
from tests.kiosk.test_paper import pages
from tests.polling import until

QUEUE = "roll"
FILES = """
ServerRoot {place}
ServerBin {place}/bin
CacheDir {place}/cache
StateDir {place}/state
RequestRoot {place}/spool
TempDir {place}/tmp
AccessLog {place}/access
ErrorLog {place}/errors
PageLog {place}/pages
Printcap
User {user}
Group {group}
"""
BACKEND = """#!/bin/sh
# A printer as CUPS speaks to one (backend(7)): the paper comes on standard input, or as a file's name.
[ $# -gt 0 ] || exit 0
cat "${6:--}" >"${DEVICE_URI#paper:}"
"""
CONF = Path(__file__).parents[2] / "provisioning/roles/printing/templates/cupsd.conf.j2"
"""What the scheduler of a station answers: the role's own."""


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A scheduler of its own on a local socket, with one queue whose printer writes a file; `lp` finds it by its environment."""
    cupsd, lpadmin = servers.need("cupsd", "cups-daemon"), servers.need("lpadmin", "cups-client")
    person = servers.unprivileged("lp")
    place = servers.folder(person, "cups")
    names = {"place": place, "user": person.name, "group": person.name}
    for name in ("cache", "state", "spool", "spool/tmp", "tmp"):
        (place / name).mkdir()
        if person.uid is not None:
            shutil.chown(place / name, person.uid)
    (place / "cups-files.conf").write_text(FILES.format(**names))
    conf = CONF.read_text().replace("{{ ansible_managed }}", "").replace("/run/cups/cups.sock", str(place / "cups.sock"))
    (place / "cupsd.conf").write_text(conf)
    out = place / "tmp/out"
    (place / "bin/backend").mkdir(parents=True)
    (place / "bin/backend/paper").write_text(BACKEND)
    (place / "bin/backend/paper").chmod(0o755)
    (place / "bin/daemon").symlink_to("/usr/lib/cups/daemon")  # cups-exec, which starts a backend
    command = [cupsd, "-f", "-c", place / "cupsd.conf", "-s", place / "cups-files.conf"]
    server = servers.start(servers.as_person(person, command), place / "log")
    try:
        until(lambda: (place / "cups.sock").exists() or server.poll() is not None, 20, what="cupsd")
        assert server.poll() is None, (place / "log").read_text() + (place / "errors").read_text()
        monkeypatch.setenv("CUPS_SERVER", str(place / "cups.sock"))
        made = servers.start([lpadmin, "-p", QUEUE, "-E", "-v", f"paper:{out}", "-m", "raw"], place / "lpadmin")
        assert made.wait(30) == 0, (place / "lpadmin").read_text()
        yield out
    finally:
        servers.stop(server)
        shutil.rmtree(place)


def printed(out: Path) -> list[str]:
    """The text of the pages that came out of the printer."""
    until(lambda: out.exists() and out.read_bytes().rstrip().endswith(b"%%EOF"), 30, what="the paper")
    return pages(out.read_bytes())


def test_the_test_print_comes_out_of_the_printer(station: Station, paper: Path) -> None:
    """The technician presses once; what the printer got is the page with every tone, and their page says that it was taken."""
    station.kiosk.settings = replace(station.settings, kiosk=replace(station.settings.kiosk, printer=QUEUE))
    window = station.window(TECHNICIAN)
    window.get("/technician/test.pdf?size=roll")
    assert window.path == "/technician/printer", window.text[:300]
    (page,) = printed(paper)
    assert "BẢN IN THỬ" in page
    assert "ứ ừ ử ữ ự" in page


def test_a_queue_that_is_not_there_is_a_sentence(station: Station, paper: Path) -> None:
    """Nothing is printed, and the page says what to look at."""
    station.kiosk.settings = replace(station.settings, kiosk=replace(station.settings.kiosk, printer="nobody"))
    window = station.window()
    window.get(f"/patients/{station.first}/slip.pdf?size=roll")
    assert window.status == 503
    assert "Máy in không nhận" in window.text
    assert not paper.exists()


def test_a_patients_slip_comes_out_of_the_printer(station: Station, paper: Path) -> None:
    """The same way as the test print: nobody at a station has a print dialog."""
    station.kiosk.settings = replace(station.settings, kiosk=replace(station.settings.kiosk, printer=QUEUE))
    station.window().get(f"/patients/{station.first}/slip.pdf?size=roll")
    assert "PHIẾU KHÁM TẠI TRẠM" in " ".join(printed(paper))
