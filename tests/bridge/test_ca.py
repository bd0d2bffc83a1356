"""The authority: what it signs holds under strict verification, its root is nothing without the passphrase, no nonsense is signed."""

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from cloud_bridge import ca
from tests.enrolling import PASSPHRASE, authority

NOW = ca.now_utc()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ca.Authority:
    """An authority."""
    return authority(tmp_path_factory.mktemp("ca"))


def request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, name: str = "somebody-else") -> bytes:
    """A certificate request under any name."""
    from cryptography.hazmat.primitives.serialization import Encoding

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_leaf_holds_under_strict_verification(made: ca.Authority) -> None:
    """RFC 5280 as the web's verifier reads it: key identifiers, usages, path lengths, a chain to the root; for 180 days."""
    key = ca.new_key()
    leaf = made.server(["localhost", "127.0.0.1"], key.public_key(), NOW)
    policy = PolicyBuilder().store(Store([made.root])).time(NOW)
    assert [ca.der(one) for one in policy.build_server_verifier(x509.DNSName("localhost")).verify(leaf, [made.issuing])] == list(
        made.chain(leaf)
    )
    station = made.station("tram-0001", request(ca.new_key()), NOW)
    names = [one.value for one in station.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    assert names == ["tram-0001"], "the name is the bridge's word, not the request's"
    assert station.not_valid_after_utc - NOW == timedelta(days=180)
    usage = station.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    late = PolicyBuilder().store(Store([made.root])).time(NOW + timedelta(days=400)).build_server_verifier(x509.DNSName("localhost"))
    with pytest.raises(VerificationError):
        late.verify(leaf, [made.issuing])


def test_python_itself_believes_it_strictly(made: ca.Authority, tmp_path: Path) -> None:
    """A handshake both ways with VERIFY_X509_STRICT, which Python 3.13 sets by itself."""
    for name in ("server", "client"):
        key = ca.new_key()
        leaf = made.server(["localhost"], key.public_key(), NOW) if name == "server" else made.member("tram-bridge", key.public_key(), NOW)
        ca.issue_files(tmp_path, name, leaf, key, made)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context, name in ((server, "server"), (client, "client")):
        context.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        context.load_verify_locations(tmp_path / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[int] = set()
    for _ in range(10):
        for number, side in enumerate((ours, theirs)):
            try:
                side.do_handshake()
                done.add(number)
            except ssl.SSLWantReadError:
                continue
    assert done == {0, 1} and theirs.getpeercert()


def test_the_root_is_nothing_without_its_passphrase(made: ca.Authority, tmp_path: Path) -> None:
    """Its key is encrypted, a wrong passphrase signs nothing, a short one is refused, a second root does not replace the first."""
    ca.make_root(tmp_path / "root", PASSPHRASE, NOW)
    assert b"ENCRYPTED" in (tmp_path / "root" / "ca-root.key").read_bytes()
    asked = ca.request_issuing(tmp_path / "keys")
    with pytest.raises(ca.AuthorityError, match="passphrase"):
        ca.sign_issuing(tmp_path / "root", "mot cau khac han", asked, NOW)
    with pytest.raises(ca.AuthorityError, match="at least 12"):
        ca.make_root(tmp_path / "else", "ngan", NOW)
    with pytest.raises(FileExistsError):
        ca.make_root(tmp_path / "root", PASSPHRASE, NOW)
    signed = ca.sign_issuing(tmp_path / "root", PASSPHRASE, asked, NOW)
    with pytest.raises(ca.AuthorityError, match="not made by this root"):
        ca.install_issuing(tmp_path / "keys", ca.pem(made.root), signed)
    with pytest.raises(ca.AuthorityError, match="not for the key"):
        ca.install_issuing(tmp_path / "keys", ca.pem(made.root), ca.pem(made.issuing))
    assert not ca.installed(tmp_path / "keys")


def test_a_readable_issuing_key_is_refused(tmp_path: Path) -> None:
    """Whoever could read it could be the authority."""
    authority(tmp_path)
    (tmp_path / "keys" / ca.KEY).chmod(0o644)
    with pytest.raises(ca.AuthorityError, match="chmod 600"):
        ca.load(tmp_path / "keys")


def test_only_requests_for_p256_keys_are_signed(made: ca.Authority) -> None:
    """Noise, another kind of key, another curve, a request that its key did not sign."""
    broken = bytearray(request(ca.new_key()))
    broken[-1] ^= 1
    others = request(rsa.generate_private_key(65537, 2048)), request(ec.generate_private_key(ec.SECP384R1())), bytes(broken), b"noise", b""
    for data in others:
        with pytest.raises(ca.AuthorityError):
            made.station("tram-0001", data, NOW)


def test_the_list_of_revoked_serials(made: ca.Authority) -> None:
    """Signed by the issuing authority, every serial in it."""
    found = x509.load_pem_x509_crl(made.revoked([7, 9], NOW))
    assert [one.serial_number for one in found] == [7, 9]
    assert found.is_signature_valid(made.issuing.public_key())  # type: ignore[arg-type]
