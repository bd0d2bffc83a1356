"""The bridge's certificate authority: a root that stays offline, an issuing authority in the bridge, what both of them sign.

P-256 throughout, extensions as RFC 5280 and Python 3.13's strict verification want them: key identifiers everywhere, key
usage critical. A station's leaf lives 180 days and is renewed when a third of that is left (docs/decisions/0013).
"""

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LEAF = timedelta(days=180)
RENEW_LEFT = LEAF / 3
LATE = timedelta(days=730)
"""How long after its end a leaf may still be renewed, unless it was revoked: a box may stand in a cupboard."""
SERVER = timedelta(days=397)
ISSUING_YEARS, ROOT_YEARS = 5, 20
BEFORE = timedelta(hours=1)
"""Certificates begin so much earlier: a clock may be a little behind."""
LEAST_PASSPHRASE = 12
CRL_DAYS = 365
"""A broker refuses everybody once its list of revoked serials is too old, so it lives long; each revocation writes a new one."""

ROOT, ISSUING, KEY, CRL = "ca-root.pem", "ca-issuing.pem", "ca-issuing.key", "ca-revoked.pem"
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
    "encipher_only", "decipher_only",
)  # fmt: skip


class AuthorityError(ValueError):
    """The authority cannot do that; the sentence says why, and what to do."""


def fingerprint(certificate: x509.Certificate) -> bytes:
    """SHA-256 of a certificate, as it stands in a token's QR code."""
    return certificate.fingerprint(hashes.SHA256())


def der(certificate: x509.Certificate) -> bytes:
    """A certificate's bytes."""
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(*certificates: x509.Certificate) -> bytes:
    """Certificates as text, one after the other."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def write_new(file: Path, content: bytes, mode: int = 0o644) -> None:
    """A new file, on the disk when this returns; FileExistsError where there is one."""
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    try:
        os.fchmod(handle, mode)  # as said, whatever the umask: the broker reads what a unit of the bridge wrote
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_file(file: Path, content: bytes, mode: int = 0o644) -> None:
    """The file has this content or, after a power cut, what it had."""
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    write_new(draft, content, mode)
    draft.rename(file)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*named: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{one: one in named for one in _USAGES})


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _authority(builder: x509.CertificateBuilder, depth: int, signer: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )


def spki(public: object) -> bytes:
    """A public key as DER of its SubjectPublicKeyInfo."""
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_of(request: bytes) -> bytes:
    """The key that a certificate request is for, as `spki`. AuthorityError for no request."""
    return spki(_request(request).public_key())


# --- the root, on a machine of its own ------------------------------------------------------------------------------------------------


def make_root(folder: Path, passphrase: str, now: datetime, name: str = "Tram root") -> x509.Certificate:
    """``ca-root.pem`` and ``ca-root.key`` (under the passphrase) in `folder`. FileExistsError where there is one already."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise AuthorityError(f"the passphrase of the root needs at least {LEAST_PASSPHRASE} characters: words that do not belong together")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = new_key()
    made = _authority(_builder(_name(name), _name(name), key.public_key(), now - BEFORE, now + timedelta(days=365 * ROOT_YEARS)), 1, key)
    locked = serialization.BestAvailableEncryption(passphrase.encode())
    write_new(folder / "ca-root.key", key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked), 0o600)
    write_new(folder / ROOT, pem(made))
    return made


def sign_issuing(folder: Path, passphrase: str, request: bytes, now: datetime) -> bytes:
    """The root's word for an issuing authority's request (PEM): its certificate (PEM). AuthorityError, OSError."""
    root = x509.load_pem_x509_certificate((folder / ROOT).read_bytes())
    try:
        key = serialization.load_pem_private_key((folder / "ca-root.key").read_bytes(), passphrase.encode())
    except ValueError as error:
        raise AuthorityError("the passphrase does not open the root's key") from error
    asked = _request(request)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    end = min(now + timedelta(days=365 * ISSUING_YEARS), root.not_valid_after_utc)
    return pem(_authority(_builder(_name("Tram issuing"), root.subject, _public(asked), now - BEFORE, end), 0, key))


def _request(data: bytes) -> x509.CertificateSigningRequest:
    try:
        asked = x509.load_pem_x509_csr(data) if data.lstrip().startswith(b"-----") else x509.load_der_x509_csr(data)
        good = asked.is_signature_valid and isinstance(asked.public_key(), ec.EllipticCurvePublicKey)
        good = good and isinstance(_public(asked).curve, ec.SECP256R1)
    except (ValueError, InvalidSignature, TypeError, UnsupportedAlgorithm) as error:
        raise AuthorityError(f"this is no certificate request: {error}") from error
    if not good:
        raise AuthorityError("the request is not signed by the P-256 key it is for")
    return asked


def _public(asked: x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey:
    public = asked.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return public


# --- the issuing authority, in the bridge ---------------------------------------------------------------------------------------------


def request_issuing(folder: Path) -> bytes:
    """The request (PEM) of the bridge's issuing key in `folder`, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (folder / KEY).exists():
        write_new(folder / KEY, _plain(new_key()), 0o600)
    made = x509.CertificateSigningRequestBuilder().subject_name(_name("Tram issuing")).sign(_key_of(folder), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def _plain(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _key_of(folder: Path) -> ec.EllipticCurvePrivateKey:
    file = folder / KEY
    if file.stat().st_mode & 0o077:
        raise AuthorityError(f"{file}: others may read it: chmod 600, and make a new one if anybody could have")
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def two(bundle: bytes) -> tuple[bytes, bytes]:
    """The issuing authority's certificate and the root's (PEM) in the file of ``ca sign``. AuthorityError."""
    try:
        found = x509.load_pem_x509_certificates(bundle)
    except ValueError as error:
        raise AuthorityError(f"this file holds no certificates: {error}") from error
    if len(found) != 2:
        raise AuthorityError("this file does not hold two certificates: it is what tram-bridge ca sign wrote")
    return pem(found[0]), pem(found[1])


def install_issuing(folder: Path, root: bytes, issuing: bytes) -> None:
    """Take the root's word for our key: both certificates into the key folder. AuthorityError where they do not belong to it."""
    top, ours = x509.load_pem_x509_certificate(root), x509.load_pem_x509_certificate(issuing)
    if ours.public_key() != _key_of(folder).public_key():
        raise AuthorityError("this certificate is not for the key of this bridge: tram-bridge ca request writes the request for it")
    try:
        ours.verify_directly_issued_by(top)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise AuthorityError("this certificate was not made by this root") from error
    replace_file(folder / ROOT, pem(top))
    replace_file(folder / ISSUING, pem(ours))


@dataclass(frozen=True)
class Authority:
    """The issuing authority, ready to sign; `root` stands over it."""

    root: x509.Certificate
    issuing: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def chain(self, leaf: x509.Certificate) -> tuple[bytes, ...]:
        """A leaf and what stands over it, the root last, as DER."""
        return der(leaf), der(self.issuing), der(self.root)

    def station(self, station: str, request: bytes, now: datetime, life: timedelta = LEAF) -> x509.Certificate:
        """A station's certificate for the key of its request, whatever else the request says. AuthorityError for no request."""
        return self._leaf(station, _public(_request(request)), now, life, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def server(self, names: Iterable[str], public: ec.EllipticCurvePublicKey, now: datetime, life: timedelta = SERVER) -> x509.Certificate:
        """A server's certificate for these host names and addresses."""
        wanted = list(names)
        return self._leaf(wanted[0], public, now, life, ExtendedKeyUsageOID.SERVER_AUTH, wanted)

    def member(self, name: str, public: ec.EllipticCurvePublicKey, now: datetime, life: timedelta = SERVER) -> x509.Certificate:
        """The certificate with which a program of the bridge comes to the broker."""
        return self._leaf(name, public, now, life, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def _leaf(
        self,
        common: str,
        public: ec.EllipticCurvePublicKey,
        now: datetime,
        life: timedelta,
        use: x509.ObjectIdentifier,
        names: Iterable[str],
    ) -> x509.Certificate:
        end = min(now + life, self.issuing.not_valid_after_utc)
        builder = (
            _builder(_name(common), self.issuing.subject, public, now - BEFORE, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        alternatives = [_alternative(one) for one in names]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def revoked(self, serials: Iterable[int], now: datetime) -> bytes:
        """The list of revoked serials (PEM) as brokers read it (``crlfile``)."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.issuing.subject)
        builder = builder.last_update(now - BEFORE).next_update(now + timedelta(days=CRL_DAYS))
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        builder = builder.add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        for serial in serials:
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(one.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def installed(folder: Path) -> bool:
    """Whether this bridge has an authority."""
    return (folder / ISSUING).exists()


def load(folder: Path) -> Authority:
    """The authority of a key folder. AuthorityError where there is none."""
    if not installed(folder):
        raise AuthorityError("this bridge has no certificate authority yet: tram-bridge ca request, then sign and install")
    root, issuing = (x509.load_pem_x509_certificate((folder / name).read_bytes()) for name in (ROOT, ISSUING))
    return Authority(root, issuing, _key_of(folder))


def issue_files(
    folder: Path, stem: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, authority: Authority
) -> list[Path]:
    """``<stem>.pem`` (the certificate and the issuing one), ``<stem>.key`` (0600) and ``ca.pem`` (the root) in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{stem}.pem", folder / f"{stem}.key", folder / "ca.pem"]
    replace_file(files[1], _plain(key), 0o600)
    replace_file(files[0], pem(certificate, authority.issuing))
    replace_file(files[2], pem(authority.root))
    return files


def now_utc() -> datetime:
    """The machine's time, whole seconds: certificates know no fractions."""
    return datetime.now(UTC).replace(microsecond=0)
