"""Makes key pairs and PKCS#10 requests (RFC 2986) with the names of a service.

What a public CA would refuse raises an error with every violation, before anything is written.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from enum import Flag, StrEnum, auto
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from softphone import openssl_provider
from softphone.errors import ConfigurationError, FipsUnavailable
from softphone.security import KeyMaterial
from softphone.trust.certificate import SRV_NAME, XMPP_ADDR, string_der
from softphone.trust.disk.private_file import write_private
from softphone.trust.fips import key_generation

CsrHash: TypeAlias = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class TlsPurpose(Flag):
    """The sides of TLS that a certificate is for (RFC 5280 section 4.2.1.12)."""

    SERVER = auto()
    CLIENT = auto()


class KeyKind(StrEnum):
    """The kinds of keys: RSA by size, EC by curve."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    EC_P521 = "ec-p521"


_CURVES: dict[KeyKind, ec.EllipticCurve] = {
    KeyKind.EC_P256: ec.SECP256R1(),
    KeyKind.EC_P384: ec.SECP384R1(),
    KeyKind.EC_P521: ec.SECP521R1(),
}
_RSA_BITS = {KeyKind.RSA_2048: 2048, KeyKind.RSA_3072: 3072, KeyKind.RSA_4096: 4096}
# RFC 5758 section 3.2: the hash is as strong as the curve.
_CURVE_HASHES: dict[int, CsrHash] = {384: hashes.SHA384(), 521: hashes.SHA512()}

# Characters that authorities are known to refuse in the fields of a subject.
FORBIDDEN = re.compile(r"""[^\x20-\x7e]|[@&!#$%^*<>~?=+"/\\;]""")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.I)
_LONGEST = {"common name": 64, "organization": 64, "unit": 64, "locality": 128, "state": 128}


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a request (RFC 5280 appendix A.1); `country` is two letters of ISO 3166."""

    common_name: str
    organization: str = ""
    unit: str = ""
    locality: str = ""
    state: str = ""
    country: str = ""

    def violations(self, *, forbidden: re.Pattern[str] | None = FORBIDDEN) -> list[str]:
        """List what a CA would refuse; `forbidden` matches characters that it refuses."""
        fields = {
            "organization": self.organization,
            "unit": self.unit,
            "locality": self.locality,
            "state": self.state,
        }
        found = [
            f"the {name} {value!r} holds {found[0]!r}"
            for name, value in fields.items()
            if forbidden is not None and (found := forbidden.search(value))
        ]
        found += [
            f"the {name} is longer than {_LONGEST[name]} characters"
            for name, value in {"common name": self.common_name, **fields}.items()
            if len(value) > _LONGEST[name]
        ]
        if not self.common_name:
            found.append("the common name is empty")
        if self.country and not re.fullmatch(r"[A-Z]{2}", self.country):
            found.append(f"the country {self.country!r} is not two capital letters")
        return found

    def name(self) -> x509.Name:
        """The subject as an X.509 name, without empty fields."""
        pairs = (
            (NameOID.COUNTRY_NAME, self.country),
            (NameOID.STATE_OR_PROVINCE_NAME, self.state),
            (NameOID.LOCALITY_NAME, self.locality),
            (NameOID.ORGANIZATION_NAME, self.organization),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, self.unit),
            (NameOID.COMMON_NAME, self.common_name),
        )
        return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs if value])


@dataclass(frozen=True, slots=True)
class SubjectAltNames:
    """The subject alternative names of a request.

    `uri` are SIP URIs (RFC 5922), `xmpp` XmppAddr (RFC 6120) and `srv` SRVName (RFC 4985), which
    only private authorities issue.
    """

    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    xmpp: tuple[str, ...] = ()
    srv: tuple[str, ...] = ()

    def violations(self) -> list[str]:
        """List names with the wrong form; also reports when there is no name at all."""
        found = [f"{name!r} is no full domain name" for name in self.dns if not is_fqdn(name)]
        found += [f"{address!r} is no IP address" for address in self.ip if not _is_ip(address)]
        found += [
            f"{uri!r} is no SIP URI" for uri in self.uri if not re.fullmatch(r"sips?:[!-~]+", uri)
        ]
        found += [
            f"{name!r} is not _service.domain"
            for name in self.srv
            if not name.startswith("_") or not is_fqdn(name.partition(".")[2])
        ]
        found += [f"{name!r} is no JID" for name in self.xmpp if not 0 < len(name) <= 127]
        if not any((self.dns, self.ip, self.uri, self.xmpp, self.srv)):
            found.append("no subject alternative name is asked for")
        return found

    def general(self) -> list[x509.GeneralName]:
        """The names as GeneralNames (RFC 5280 section 4.2.1.6)."""
        return [
            *(x509.DNSName(name) for name in self.dns),
            *(x509.IPAddress(ipaddress.ip_address(name)) for name in self.ip),
            *(x509.UniformResourceIdentifier(name) for name in self.uri),
            *(x509.OtherName(XMPP_ADDR, string_der(name, utf8=True)) for name in self.xmpp),
            *(x509.OtherName(SRV_NAME, string_der(name, utf8=False)) for name in self.srv),
        ]


def is_fqdn(name: str) -> bool:
    """Whether it is a full domain name; a wildcard may be the whole leftmost label."""
    labels = name.split(".")
    if labels[0] == "*":
        labels = labels[1:]
    return (
        len(name) <= 253 and len(labels) >= 2 and all(_LABEL.fullmatch(label) for label in labels)
    )


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def new_key(kind: KeyKind = KeyKind.EC_P256) -> PrivateKey:
    """Make a key pair; in FIPS mode with the FIPS provider.  RSA 4096 takes seconds.

    Raises FipsUnavailable when the provider makes none.
    """
    if openssl_provider.fips_in_force():
        return _provided_key(kind)
    curve = _CURVES.get(kind)
    if curve is not None:
        return ec.generate_private_key(curve)
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[kind])


def _provided_key(kind: KeyKind) -> PrivateKey:
    curve, bits = _CURVES.get(kind), _RSA_BITS.get(kind)
    options = [f"rsa_keygen_bits:{bits}"]
    if curve is not None:
        options = [f"ec_paramgen_curve:P-{curve.key_size}", "ec_param_enc:named_curve"]
    der = key_generation.generate_key("RSA" if curve is None else "EC", options)
    key = load_der_private_key(der, password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise FipsUnavailable(f"`openssl genpkey` made no {kind.value} key")
    return key


def write_key(
    key: PrivateKey, path: str | os.PathLike[str], *, password: KeyMaterial | None = None
) -> None:
    """Write the key atomically as PKCS#8 PEM (0600), encrypted when there is a password.

    Never overwrites a key: raises ConfigurationError when the file exists, or the folder cannot be
    written.
    """
    path = Path(path)
    if path.exists():
        raise ConfigurationError(f"{path} exists: a private key is never overwritten")
    protection: KeySerializationEncryption = NoEncryption()
    if password is not None:
        protection = BestAvailableEncryption(password.reveal())
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))


def name_violations(subject: Subject, names: SubjectAltNames) -> list[str]:
    """Report a common name that is a domain name but none of the dNSNames."""
    name = subject.common_name.lower()
    if not is_fqdn(name) or not names.dns or name in {each.lower() for each in names.dns}:
        return []
    return [f"the common name {subject.common_name!r} is not among the alternative names"]


def new_request(
    key: PrivateKey,
    subject: Subject,
    names: SubjectAltNames,
    *,
    purposes: TlsPurpose = TlsPurpose.SERVER | TlsPurpose.CLIENT,
    forbidden: re.Pattern[str] | None = FORBIDDEN,
) -> bytes:
    """Make a PKCS#10 request in PEM, by default for TLS server and client.

    Raises ConfigurationError, with every violation, when a CA would refuse it.
    """
    violations = [
        *subject.violations(forbidden=forbidden),
        *names.violations(),
        *name_violations(subject, names),
    ]
    if violations:
        raise ConfigurationError(f"the request would be refused: {'; '.join(violations)}")
    algorithm: CsrHash = hashes.SHA256()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = _CURVE_HASHES.get(key.curve.key_size, algorithm)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject.name())
        .add_extension(x509.SubjectAlternativeName(names.general()), critical=False)
        .add_extension(_usage(key), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_oids(purposes)), critical=False)
        .sign(key, algorithm)
    )
    return request.public_bytes(Encoding.PEM)


def _oids(purposes: TlsPurpose) -> list[x509.ObjectIdentifier]:
    pairs = (
        (TlsPurpose.SERVER, ExtendedKeyUsageOID.SERVER_AUTH),
        (TlsPurpose.CLIENT, ExtendedKeyUsageOID.CLIENT_AUTH),
    )
    return [oid for purpose, oid in pairs if purpose in purposes]


def _usage(key: PrivateKey) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=isinstance(key, rsa.RSAPrivateKey),
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
