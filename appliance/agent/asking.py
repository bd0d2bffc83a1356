"""Asking the bridge's door what time it is, with a clock that may be years off (`contract.signedtime`).

The only place where a certificate's dates are not looked at: who we speak to is still the pinned authority's, and what
it says counts by its signature under the key that a person pinned, not by the certificate. One short blocking exchange.
"""

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.agent.clock import Learnt
from appliance.contract.signedtime import ANSWER_MOST, NONCE_MOST, PATH, open_time

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL (x509_vfy.h); `SSLContext.verify_flags` takes it from Python 3.11 on (tested)."""
TIMEOUT = 15.0
"""Seconds for the whole: TCP, TLS and one round trip at 20 kbit/s and 600 ms take about 4."""
SLOWEST = 200
"""Tenths: an answer that took longer is worth nothing (its error would be more than ten seconds)."""
_MOST = 4096
"""Bytes of an answer with its headers."""


class NoTimeError(ValueError):
    """Whoever answers is not the bridge's door, or not one that we can use."""


def ask_time(
    host: str,
    port: int,
    ca: Path | None,
    keys: Mapping[int, Ed25519PublicKey],
    ticks: Callable[[], int],
    *,
    random: Callable[[int], bytes] = os.urandom,
    timeout: float = TIMEOUT,
) -> Learnt:
    """The bridge's time, its error being half the round trip and the bridge's own radius.

    `ca` pins the authority of the door's certificate, `keys` are those pinned for the time, `ticks` gives tenths of
    CLOCK_BOOTTIME. OSError (ssl.SSLError among them) when the door cannot be reached now; ValueError when what answers
    cannot be believed.
    """
    nonce = random(NONCE_MOST)
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags = ssl.VerifyFlags(int(context.verify_flags) | NO_CHECK_TIME)
    with socket.create_connection((host, port), timeout) as plain, context.wrap_socket(plain, server_hostname=host) as sock:
        asked = ticks()
        sock.sendall(_request(host, nonce))
        said = open_time(_answer(sock), keys, nonce)
        came = ticks()
    if came - asked > SLOWEST:
        raise NoTimeError(f"the answer took {(came - asked) / 10:.0f} s")
    half = (came - asked + 1) // 2
    return Learnt(asked + half, said.wall, half + said.radius + 1, "bridge")


def _request(host: str, nonce: bytes) -> bytes:
    name = f"[{host}]" if ":" in host else host
    head = f"POST {PATH} HTTP/1.1\r\nHost: {name}\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(nonce)}\r\n"
    return head.encode("ascii") + b"Connection: close\r\n\r\n" + nonce


def _answer(sock: socket.socket) -> bytes:
    """The body of the answer; NoTimeError when it is none."""
    raw = b""
    while len(raw) <= _MOST and (piece := sock.recv(_MOST)):
        raw += piece
    head, _, body = raw.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or len(raw) > _MOST:
        raise NoTimeError("no answer of a door")
    if status[1] == b"429":
        raise OSError("the door is asked too often: later")
    if status[1] != b"200" or len(body) > ANSWER_MOST:
        raise NoTimeError(f"the door says {status[1][:3].decode('ascii', 'replace')}")
    return body


def judge_by(context: ssl.SSLContext, now: Callable[[], float]) -> None:
    """Make `context` look at the dates of certificates itself whenever OpenSSL is told not to (`trust`).

    `now` gives seconds since 1970. Looked at are the other end's certificate and the authority that issued it; what stands
    between them is not (Python below 3.13 does not show it): with a pinned authority that signs directly there is nothing.
    """

    class Dated(ssl.SSLSocket):
        """A socket whose handshake ends with a look at the dates."""

        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            if int(self.context.verify_flags) & NO_CHECK_TIME:
                check_dates(self.context, self.getpeercert() or {}, now())

    context.sslsocket_class = Dated


def trust(context: ssl.SSLContext, *, system: bool) -> None:
    """Whether the next handshakes judge dates by the system's clock, as OpenSSL does, or by what `judge_by` was given."""
    flags = int(context.verify_flags) & ~NO_CHECK_TIME
    context.verify_flags = ssl.VerifyFlags(flags if system else flags | NO_CHECK_TIME)


def check_dates(context: ssl.SSLContext, leaf: Mapping[str, object], now: float) -> None:
    """ssl.SSLCertVerificationError unless a checked certificate and the authority named as its issuer are valid at `now`."""
    issuers = [one for one in context.get_ca_certs() if one.get("subject") == leaf.get("issuer")]
    for what, one in [("certificate", leaf), *(("authority", each) for each in issuers[:1])]:
        first, last = (ssl.cert_time_to_seconds(str(one[name])) if name in one else None for name in ("notBefore", "notAfter"))
        if first is None or last is None or not first <= now <= last:
            raise ssl.SSLCertVerificationError(1, f"the {what} is not valid at the time that was learnt")
