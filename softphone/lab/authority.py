"""The lab's certificate authority: for demonstrations and tests, never for production.

Certificates per RFC 5280 with every key identifier, so that they pass OpenSSL's strict checks;
SIP identities per RFC 5922.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from softphone.errors import ConfigurationError
from softphone.trust import TlsCredential, write_private
from softphone.trust.certificate import SRV_NAME, XMPP_ADDR, string_der

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


BOTH_PURPOSES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
"""The extended key usage of a certificate for both sides of TLS."""


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """The subject alternative names of a certificate; `uri` holds SIP URIs (RFC 5922).

    `xmpp` are domains and bare JIDs (RFC 6120 section 13.7.1.4), `srv` SRVNames (RFC 4985).
    """

    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    xmpp: tuple[str, ...] = ()
    srv: tuple[str, ...] = ()

    def general(self) -> list[x509.GeneralName]:
        """The names as RFC 5280 GeneralNames."""
        return [
            *(x509.DNSName(name) for name in self.dns),
            *(x509.IPAddress(ipaddress.ip_address(name)) for name in self.ip),
            *(x509.UniformResourceIdentifier(name) for name in self.uri),
            *(x509.OtherName(XMPP_ADDR, string_der(name, utf8=True)) for name in self.xmpp),
            *(x509.OtherName(SRV_NAME, string_der(name, utf8=False)) for name in self.srv),
        ]


@dataclass(frozen=True, slots=True)
class Validity:
    """A validity period, as distances from now; `Validity.expired()` ended yesterday."""

    starts: timedelta = timedelta(hours=-1)
    ends: timedelta = timedelta(days=30)

    @classmethod
    def expired(cls) -> Validity:
        """A period that ended a day ago."""
        return cls(timedelta(days=-30), timedelta(days=-1))

    @classmethod
    def future(cls) -> Validity:
        """A period that begins tomorrow."""
        return cls(timedelta(days=1), timedelta(days=30))


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate with its private key and the intermediates above it."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()

    def write(self, folder: Path, name: str) -> TlsCredential:
        """Write NAME.crt (0644, its chain after it) and NAME.key (0600) into `folder`.

        Raises ConfigurationError when the folder cannot be written.
        """
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        pem = b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.chain))
        write_private(certificate, pem, mode=0o644)
        write_private(
            key, self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return TlsCredential(certificate, key)


def _name(common_name: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "softphone lab")]
    if common_name:
        # RFC 5280 appendix A: a common name has at most 64 characters.
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]))
    return x509.Name(attributes)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """A root or intermediate that issues certificates; keeps its key in memory.

    `wall` is the time that validity counts from; None: the present.  `crl_url` goes into every
    certificate as its CRL distribution point, `ocsp_url` as its OCSP responder.  Without
    `key_identifiers` the certificates lack key identifiers, as those of many private authorities
    do, and fail OpenSSL's strict checks.
    """

    def __init__(
        self,
        name: str = "softphone lab CA",
        *,
        wall: datetime | None = None,
        parent: Authority | None = None,
        crl_url: str | None = None,
        ocsp_url: str | None = None,
        key_identifiers: bool = True,
    ) -> None:
        self._key_identifiers = key_identifiers
        self._wall = (wall or datetime.now(UTC)).replace(microsecond=0)
        self._parent = parent
        self._crl_url = crl_url
        self._ocsp_url = ocsp_url
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _name(name)
        self._revoked: dict[int, datetime] = {}
        signer = parent or self
        validity = Validity(ends=timedelta(days=365))
        builder = self._builder(self._subject, self._key.public_key(), signer, validity)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        ).add_extension(_usage(authority=True), critical=True)
        if parent is not None:
            builder = parent._declaring(builder)
        self.certificate: x509.Certificate = builder.sign(signer._key, hashes.SHA256())

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The chain to send with an issued certificate: all authorities but the root."""
        return () if self._parent is None else (self.certificate, *self._parent.chain)

    @property
    def own(self) -> IssuedCertificate:
        """The authority's own certificate and key, for a server that is an authority (CAPF)."""
        return IssuedCertificate(self.certificate, self._key)

    def write(self, folder: Path, name: str = "ca") -> Path:
        """Write NAME.crt into `folder`; returns its path."""
        path = folder / f"{name}.crt"
        write_private(path, self.certificate.public_bytes(Encoding.PEM), mode=0o644)
        return path

    def intermediate(self, name: str) -> Authority:
        """Make a subordinate authority."""
        return Authority(
            name, wall=self._wall, parent=self, crl_url=self._crl_url, ocsp_url=self._ocsp_url
        )

    def server(
        self,
        name: str,
        names: CertificateNames | None = None,
        *,
        validity: Validity | None = None,
        key: PrivateKey | None = None,
    ) -> IssuedCertificate:
        """Issue a server certificate; `name` is its CN and, without `names`, its dNSName."""
        return self.issue(
            name,
            CertificateNames(dns=(name,)) if names is None else names,
            validity=validity or Validity(),
            key=key,
        )

    def client(self, aor: str, *, validity: Validity | None = None) -> IssuedCertificate:
        """Issue a client certificate for an AOR ("sip:alice@example.test"): URI SAN, and a CN."""
        return self.issue(
            aor.removeprefix("sips:").removeprefix("sip:"),
            CertificateNames(uri=(aor,)),
            validity=validity or Validity(),
        )

    def issue(
        self,
        name: str,
        names: CertificateNames,
        *,
        validity: Validity,
        key: PrivateKey | None = None,
        purposes: Sequence[x509.ObjectIdentifier] = BOTH_PURPOSES,
    ) -> IssuedCertificate:
        """Issue a certificate, for both sides of TLS; no SAN extension when `names` is empty."""
        return self.issue_general(
            name, names.general(), validity=validity, key=key, purposes=purposes
        )

    def issue_general(
        self,
        name: str,
        general: list[x509.GeneralName],
        *,
        validity: Validity | None = None,
        key: PrivateKey | None = None,
        purposes: Sequence[x509.ObjectIdentifier] = BOTH_PURPOSES,
    ) -> IssuedCertificate:
        """Issue a certificate with any GeneralNames; no common name when `name` is empty."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        lasting = validity or Validity()
        certificate = self._end_entity(name, general, key.public_key(), lasting, purposes)
        return IssuedCertificate(certificate, key, self.chain)

    def enroll(
        self,
        device: str,
        public_key: bytes,
        *,
        uris: tuple[str, ...] = (),
        validity: Validity | None = None,
    ) -> bytes:
        """Issue an LSC (DER) as CAPF does: the device's name as common name and URI.

        `public_key` is a DER SubjectPublicKeyInfo; `uris` are further URIs of the device.
        Raises ConfigurationError for a key that is neither RSA nor elliptic curve.
        """
        key = load_der_public_key(public_key)
        if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            raise ConfigurationError("certificates are issued for RSA and EC keys only")
        names = [x509.UniformResourceIdentifier(name) for name in (device, *uris)]
        certificate = self._end_entity(device, names, key, validity or Validity())
        return certificate.public_bytes(Encoding.DER)

    def _end_entity(
        self,
        name: str,
        general: Sequence[x509.GeneralName],
        key: PublicKey,
        validity: Validity,
        purposes: Sequence[x509.ObjectIdentifier] = BOTH_PURPOSES,
    ) -> x509.Certificate:
        builder = self._builder(_name(name), key, self, validity)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=False, path_length=None), critical=True
        )
        builder = builder.add_extension(_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if general:
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        return self._declaring(builder).sign(self._key, hashes.SHA256())

    def revoke(self, issued: IssuedCertificate) -> None:
        """Put a certificate on the revocation list."""
        self.revoke_certificate(issued.certificate)

    def revoke_certificate(self, certificate: x509.Certificate) -> None:
        """Put a certificate without its key on the list, such as an intermediate's."""
        self._revoked[certificate.serial_number] = self._wall - timedelta(minutes=5)

    def revocation_list(self, *, lasts: timedelta = timedelta(days=1)) -> bytes:
        """The CRL (DER, RFC 5280 section 5) as of this authority's time."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._subject)
            .last_update(self._wall - timedelta(minutes=1))
            .next_update(self._wall + lasts)
            .add_extension(x509.CRLNumber(len(self._revoked) + 1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        for serial, since in self._revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def status_of(
        self, issued: IssuedCertificate, *, lasts: timedelta = timedelta(days=1)
    ) -> bytes:
        """The OCSP response (DER, RFC 6960) about a certificate, signed by the authority itself."""
        since = self._revoked.get(issued.certificate.serial_number)
        status = ocsp.OCSPCertStatus.GOOD if since is None else ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=issued.certificate,
            issuer=self.certificate,
            algorithm=hashes.SHA1(),  # RFC 5019 section 2.1.1
            cert_status=status,
            this_update=self._wall - timedelta(minutes=1),
            next_update=self._wall + lasts,
            revocation_time=since,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def _declaring(self, builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        """Add the URLs of the CRL and the OCSP responder to a certificate."""
        if self._crl_url is not None:
            place = x509.DistributionPoint(
                full_name=[x509.UniformResourceIdentifier(self._crl_url)],
                relative_name=None,
                reasons=None,
                crl_issuer=None,
            )
            builder = builder.add_extension(x509.CRLDistributionPoints([place]), critical=False)
        if self._ocsp_url is not None:
            responder = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP,
                x509.UniformResourceIdentifier(self._ocsp_url),
            )
            access = x509.AuthorityInformationAccess([responder])
            builder = builder.add_extension(access, critical=False)
        return builder

    def _builder(
        self, subject: x509.Name, public: PublicKey, signer: Authority, validity: Validity
    ) -> x509.CertificateBuilder:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(signer._subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._wall + validity.starts)
            .not_valid_after(self._wall + validity.ends)
        )
        if not self._key_identifiers:
            return builder
        return builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public), critical=False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer._key.public_key()),
            critical=False,
        )
