"""The door: a signed time over TLS for whoever asks, and a plain refusal for everything else."""

import io
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance import journal
from appliance.agent.asking import NoTimeError, ask_time, check_dates, judge_by, trust
from appliance.contract.errors import WireError
from appliance.contract.signedtime import PATH, TimeSaid, open_time, seal_time
from appliance.relay.link import tls_context
from cloud_bridge.door.rooms import Turnstile, application, rooms
from cloud_bridge.door.server import DoorServer, context_of
from tests.certificates import NOW, certificate

KEY = Ed25519PrivateKey.from_private_bytes(b"\x21" * 32)
PINNED = {3: KEY.public_key()}
WALL = 18_000_000_000


class Standing:
    """A door on a free port, its authority in `ca`."""

    def __init__(self, folder: Path, *, start: datetime = NOW - timedelta(days=1), days: int = 400, **limits: float) -> None:
        self.ca = folder / "ca.pem"
        certificate(folder, "door", certificate(folder, "ca", start=start, days=days), start=start, days=days)
        self.seconds = 0.0
        app = application(rooms((3, KEY), lambda: WALL), Turnstile(lambda: self.seconds))
        context = context_of(folder / "door.pem", folder / "door.key")
        self.log = io.StringIO()
        self.server = DoorServer(("127.0.0.1", 0), app, context, journal.open("bridge-door", self.log), **limits)  # type: ignore[arg-type]
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self) -> None:
        """Shut it."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def ask(self, ticks: int = 5000, **more: object) -> object:
        """What a box learns here, its clock standing at `ticks`."""
        return ask_time("127.0.0.1", self.port, self.ca, more.pop("keys", PINNED), lambda: ticks, **more)  # type: ignore[arg-type]

    def say(self, raw: bytes) -> bytes:
        """What the door answers to bytes of any kind, inside TLS."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.verify_flags = ssl.VerifyFlags(int(context.verify_flags) | 0x200000)
        with (
            socket.create_connection(("127.0.0.1", self.port), 20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as line,
        ):
            heard = b""
            try:
                line.sendall(raw)
                while piece := line.recv(4096):
                    heard += piece
            except OSError:
                pass  # it closed in our face, which is an answer too
            return heard


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Standing]:
    """A door whose certificate is good today."""
    standing = Standing(tmp_path)
    yield standing
    standing.close()


def post(body: bytes, path: str = PATH, **headers: str) -> bytes:
    """A request."""
    said = {"Content-Length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items() if value)
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode() + body


def test_a_box_learns_the_time(door: Standing) -> None:
    """The bridge's clock, half the round trip and the bridge's radius as the error."""
    learnt = door.ask()
    assert (learnt.ticks, learnt.wall, learnt.error, learnt.source) == (5000, WALL, 11, "bridge")  # type: ignore[attr-defined]


@pytest.mark.parametrize("years", [-56, -6, 6])
def test_the_dates_of_the_certificate_do_not_matter_here(tmp_path: Path, years: int) -> None:
    """A box that is years off meets a certificate that is not yet, or no longer, valid for it: the signature decides."""
    standing = Standing(tmp_path, start=datetime.now(UTC) + timedelta(days=365 * years) - timedelta(days=10), days=20)
    try:
        assert standing.ask().wall == WALL  # type: ignore[attr-defined]
        with pytest.raises(ssl.SSLCertVerificationError):
            socket_to(standing, tls_context(str(standing.ca)))
    finally:
        standing.close()


def test_another_authority_is_not_asked(door: Standing, tmp_path: Path) -> None:
    """Without looking at dates the certificate must still come from the pinned authority."""
    (tmp_path / "else").mkdir()
    certificate(tmp_path / "else", "ca")
    with pytest.raises(ssl.SSLCertVerificationError):
        ask_time("127.0.0.1", door.port, tmp_path / "else" / "ca.pem", PINNED, lambda: 0)


def test_only_the_pinned_key_counts(door: Standing) -> None:
    """Another key under the same id, or no key under this id: not believed."""
    for keys in ({3: Ed25519PrivateKey.generate().public_key()}, {0: KEY.public_key()}, {}):
        with pytest.raises(WireError, match="signature"):
            door.ask(keys=keys)


def test_an_old_answer_is_no_answer() -> None:
    """The nonce is part of what is signed; a changed byte anywhere breaks the signature or the shape."""
    nonce = bytes(range(32))
    answer = seal_time(TimeSaid(nonce, WALL, 10, 3), KEY)
    assert open_time(answer, PINNED, nonce).wall == WALL
    with pytest.raises(WireError, match="nonce"):
        open_time(answer, PINNED, nonce[::-1])
    for at in range(len(answer)):
        spoilt = bytearray(answer)
        spoilt[at] ^= 1
        with pytest.raises(WireError):
            open_time(bytes(spoilt), PINNED, nonce)


def test_a_slow_answer_is_not_believed(door: Standing) -> None:
    """Whoever holds the answer back for more than twenty seconds turns no clock."""
    ticks = iter((0, 201))
    with pytest.raises(NoTimeError):
        ask_time("127.0.0.1", door.port, door.ca, PINNED, lambda: next(ticks))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (post(b"x" * 15), b"400"),
        (post(b"x" * 33), b"413"),
        (post(b"x" * 32, Content_Length="99999999999999"), b"413"),
        (post(b"x" * 32, Content_Length="-1"), b"400"),
        (post(b"x" * 32, Content_Length=""), b"411"),
        (post(b"x" * 32, Transfer_Encoding="chunked"), b"411"),
        (post(b"x" * 32, "/v1/else"), b"404"),
        (post(b"x" * 32, "/v1/time/../time"), b"404"),
        (b"GET /v1/time HTTP/1.1\r\n\r\n", b"405"),
        (b"POST /v1/time HTTP/9.9\r\n\r\n", b"400"),
    ],
)
def test_everything_else_is_refused(door: Standing, request_: bytes, status: bytes) -> None:
    """With the status that says why, and nothing else."""
    assert door.say(request_).split(b" ")[1] == status


def test_hostile_bytes_never_break_it(door: Standing) -> None:
    """Changed, cut and random requests: a refusal or nothing at all, never a 5xx, and the next box is served."""
    dice = Random(7)
    good = post(os.urandom(32))
    for number in range(150):
        door.seconds += 1
        raw = bytearray(good if number % 3 else dice.randbytes(dice.randrange(1, 300)) + b"\r\n\r\n")
        for _ in range(dice.randrange(1, 6)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        heard = door.say(bytes(raw) + b"\r\n\r\n" + b"x" * 40)
        assert not heard.startswith((b"HTTP/1.0 5", b"HTTP/1.1 5")), heard
    assert door.ask().wall == WALL  # type: ignore[attr-defined]
    assert "broke" not in door.log.getvalue()


def test_who_asks_too_often_waits(door: Standing) -> None:
    """After its burst an address is told to come later; time gives it room again."""
    for _ in range(60):
        door.server.get_app()({"REMOTE_ADDR": "127.0.0.1"}, lambda *_: None)  # type: ignore[arg-type]  # what the application reads
    with pytest.raises(OSError, match="too often"):
        door.ask()
    door.seconds += 1
    assert door.ask().wall == WALL  # type: ignore[attr-defined]


def test_silent_callers_do_not_keep_others_out(tmp_path: Path) -> None:
    """More of them than there are threads: each is shown out in the end, and whoever has something to say gets in."""
    standing = Standing(tmp_path, threads=2, silent=0.2, life=0.3)
    silent = [socket.create_connection(("127.0.0.1", standing.port)) for _ in range(2)]
    try:
        for one in silent:
            one.settimeout(20)
            assert one.recv(1) == b""
        assert standing.ask().wall == WALL  # type: ignore[attr-defined]
    finally:
        for one in silent:
            one.close()
        standing.close()


def socket_to(door: Standing, context: ssl.SSLContext) -> None:
    """A whole handshake."""
    with socket.create_connection(("127.0.0.1", door.port), 20) as plain, context.wrap_socket(plain, server_hostname="localhost"):
        pass


def test_strict_tls_with_the_learnt_time(tmp_path: Path) -> None:
    """A certificate of six years ahead: refused by the system's clock, taken by what was learnt, refused when that says otherwise."""
    ahead = datetime.now(UTC) + timedelta(days=6 * 365)
    standing = Standing(tmp_path, start=ahead - timedelta(days=5), days=10)
    try:
        context, learnt = tls_context(str(standing.ca)), [ahead.timestamp()]
        judge_by(context, lambda: learnt[0])
        with pytest.raises(ssl.SSLCertVerificationError):
            socket_to(standing, context)
        trust(context, system=False)
        socket_to(standing, context)
        learnt[0] += 6 * 86_400
        with pytest.raises(ssl.SSLCertVerificationError, match="learnt"):
            socket_to(standing, context)
        trust(context, system=True)
        with pytest.raises(ssl.SSLCertVerificationError):
            socket_to(standing, context)
    finally:
        standing.close()


def test_an_authority_that_has_run_out_is_said() -> None:
    """Dates that cannot be read count as none."""
    with pytest.raises(ssl.SSLCertVerificationError):
        check_dates(ssl.create_default_context(), {"issuer": ()}, 0.0)
