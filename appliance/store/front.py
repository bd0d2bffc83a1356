"""The certificate of the front in the station's own network: made on the box, for one address, and known by its fingerprint.

There is no authority behind it: a station without a line could ask none. Whoever lets a computer or telephone in compares the
fingerprint that its browser shows with the one on the technician's page, once; from then on the browser knows it again.
"""

import hashlib
import ipaddress
from base64 import b64decode
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import durable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import GeneralName

DAYS = 825
"""The longest that telephones accept a server's certificate (Apple, "Requirements for trusted certificates in iOS 13")."""
LEFT = timedelta(days=30)
"""A new one is made when less than this is left."""
KEY_SUFFIX = ".key"


def key_of(file: Path) -> Path:
    """Where the certificate's key is: beside it."""
    return file.with_suffix(KEY_SUFFIX)


def fingerprint(file: Path) -> str:
    """SHA-256 of the PEM file's certificate as browsers show it (``AB:CD:…``); empty where there is none.

    The standard library alone: the kiosk asks too, and has no room for more.
    """
    try:
        _before, _, after = file.read_text(encoding="ascii").partition("-----BEGIN CERTIFICATE-----")
        der = b64decode(after.partition("-----END")[0])
    except (OSError, ValueError):
        return ""
    if not der:
        return ""
    return hashlib.sha256(der).digest().hex(":").upper()


def ensure(file: Path, address: str, now: datetime) -> bool:
    """Make certificate and key for `address` unless good ones are there; True when they were made. OSError where they cannot be kept.

    The key comes first and is root's alone (0600); the certificate may be read by all. Each is written beside and renamed, so a power
    cut leaves the old pair, or a key without its certificate: then the next run makes both.
    """
    if _is_good(file, address, now):
        return False
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.parent.mkdir(parents=True, exist_ok=True)
    durable.replace(key_of(file), pem, 0o600)
    durable.replace(file, _made(key, address, now), 0o644)
    file.chmod(0o644)  # whatever the umask: the kiosk shows its fingerprint
    return True


def _is_good(file: Path, address: str, now: datetime) -> bool:
    """Whether it is for this address, for now and a month more, and goes with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = x509.load_pem_x509_certificate(file.read_bytes())
        key = load_pem_private_key(key_of(file).read_bytes(), None)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    return (
        found.not_valid_before_utc <= now < found.not_valid_after_utc - LEFT
        and list(names) == [_name(address)]
        and found.public_key() == key.public_key()
    )


def _name(address: str) -> "GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _made(key: "EllipticCurvePrivateKey", address: str, now: datetime) -> bytes:
    """The certificate in PEM: self-signed, for TLS servers alone, no authority (RFC 5280)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Tram {address}"[:64])])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=DAYS - 1))
        .add_extension(x509.SubjectAlternativeName([_name(address)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
