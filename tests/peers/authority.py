"""A test authority: the peers' server certificates and the phones' client certificates."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=7)


class TestAuthority:
    """One certificate authority that writes PEM files into `folder`."""

    __test__ = False

    def __init__(self, folder: Path, name: str, key: ec.EllipticCurvePrivateKey) -> None:
        self.folder = folder
        self._key = key
        self._name = _name(name)
        self.certificate = folder / "ca.crt"
        self.server = folder / "server.crt", folder / "server.key"

    @classmethod
    def make(cls, folder: Path, name: str) -> TestAuthority:
        """A new authority with its certificate and a server certificate in `folder`."""
        folder.mkdir(parents=True)
        authority = cls(folder, name, ec.generate_private_key(ec.SECP256R1()))
        certificate = (
            _builder(authority._name, authority._name, authority._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(authority._key, hashes.SHA256())
        )
        authority.certificate.write_bytes(_pem(certificate))
        _write_key(folder / "ca.key", authority._key)
        authority._issue_server()
        return authority

    @classmethod
    def load(cls, folder: Path, name: str) -> TestAuthority:
        """An authority that another process made."""
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{folder} holds no key of ours")
        return cls(folder, name, key)

    def issue(self, name: str, folder: Path, *names: x509.GeneralName) -> tuple[Path, Path]:
        """Certificate and key files in `folder`, good for a server and for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(_name(name), self._name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = folder / f"{name}.crt", folder / f"{name}.key"
        files[0].write_bytes(_pem(certificate))
        _write_key(files[1], key)
        return files

    def issue_user(self, user: str, folder: Path) -> tuple[Path, Path]:
        """A certificate of the AOR `sip:USER@127.0.0.1`, for a client or a phone that answers.

        Certificate and key come into `folder` as USER.crt and USER.key.
        """
        return self.issue(user, folder, _uri(f"sip:{user}@127.0.0.1"), *_host())

    def _issue_server(self) -> None:
        # RFC 5922 7.1: the SIP domain as a URI too, beside the host name and the address.
        self.issue("server", self.folder, _uri("sip:127.0.0.1"), *_host())


def _uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def _host() -> list[x509.GeneralName]:
    return [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
