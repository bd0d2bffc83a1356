"""A mosquitto with mutual TLS 1.3 for the benches: P-256 keys, certificates straight from one authority, as a station has them."""

import datetime as dt
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.demo.broker import PLACES, BrokerError, answers, free_ports
from appliance.relay.link import Broker, tls_context

_CONF = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
"""
_DAY = dt.timedelta(days=1)

OPENSSL_CONF = """\
openssl_conf = default_conf
[default_conf]
ssl_conf = ssl_sect
[ssl_sect]
system_default = system_default_sect
[system_default_sect]
MinProtocol = TLSv1.2
CipherString = DEFAULT:@SECLEVEL=2
NumTickets = 1
Options = -SessionTicket
"""
"""What the broker's environment variable of this name points to, as the role broker has it: one small ticket, remembered by the broker."""


@contextmanager
def secure_broker() -> Iterator[Broker]:
    """A running broker as a station's settings would name it; BrokerError where mosquitto is not installed."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:{PLACES}")
    if program is None:
        raise BrokerError("this bench needs mosquitto (apt-get install mosquitto)")
    folder = Path(tempfile.mkdtemp(prefix="tram-tls-", dir="/tmp"))
    running = None
    try:
        folder.chmod(0o755)
        port = free_ports(1)[0]
        certificates(folder)
        (folder / "conf").write_text(_CONF.format(port=port, folder=folder))
        running = subprocess.Popen(
            [*_rights(), program, "-c", str(folder / "conf")],
            env=os.environ | openssl_environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait(port, running)
        context = tls_context(f"{folder}/ca.pem", f"{folder}/client.pem", f"{folder}/client.key")
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        yield Broker("localhost", port, context, version="5")
    finally:
        if running is not None and running.poll() is None:
            running.send_signal(signal.SIGTERM)
            running.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def openssl_environment(folder: Path) -> dict[str, str]:
    """The environment of a broker with small tickets; the file is written into `folder`."""
    file = folder / "openssl.cnf"
    file.write_text(OPENSSL_CONF, encoding="ascii")
    file.chmod(0o644)
    return {"OPENSSL_CONF": str(file)}


def _wait(port: int, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while not answers(port):
        if running.poll() is not None or time.monotonic() > deadline:
            raise BrokerError("mosquitto did not start")
        time.sleep(0.02)


def _rights() -> list[str]:
    """As root: somebody without rights, and gone when we are."""
    setpriv = shutil.which("setpriv", path=f"{os.environ.get('PATH', os.defpath)}:{PLACES}")
    if setpriv is None:
        return []
    nobody = pwd.getpwnam("nobody")
    user = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"] if os.geteuid() == 0 else []
    return [setpriv, *user, "--pdeathsig", "KILL", "--"]


def certificates(folder: Path, address: str = "127.0.0.1") -> None:
    """ca, server (for localhost and `address`) and client as PEM files that everybody may read: they live as long as the bench."""
    authority = _certificate(folder, "ca", None, address)
    for name in ("server", "client"):
        _certificate(folder, name, authority, address)
    for file in folder.iterdir():
        file.chmod(0o644)


_Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _certificate(folder: Path, name: str, signer: _Signer | None, address: str) -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing = (subject, key) if signer is None else (signer[0].subject, signer[1])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), now - _DAY, now + _DAY)
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .add_extension(_usage(authority=signer is None), critical=True)
        .sign(signing, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.key").write_bytes(plain)
    return made, key


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
