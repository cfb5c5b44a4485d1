"""Reads certificate requests, ours and others', and reports all that a CA would refuse.

PKCS#10 (RFC 2986) in PEM or DER.  Only the request itself is checked, not whether the requester
controls its names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from softphone.errors import ConfigurationError
from softphone.trust.certificate import UNREADABLE, names_in
from softphone.trust.csr.profile import CsrProfile
from softphone.trust.csr.request import (
    Subject,
    SubjectAltNames,
    TlsPurpose,
    is_fqdn,
    name_violations,
)

_CURVES = {"secp256r1": "ec-p256", "secp384r1": "ec-p384", "secp521r1": "ec-p521"}
_HASHES = ("sha256", "sha384", "sha512")
# RFC 2606, RFC 6761, RFC 6762 and ICANN reserve these: nobody can prove control of such a name.
_NOT_PUBLIC = frozenset(
    {"corp", "example", "home", "internal", "invalid", "lan", "local", "localhost", "test"}
)
_SHARED = ("organization", "unit", "locality", "state", "country")


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A parsed request: `key` as in KeyKind where it is one of those, `digest` by its name.

    `armored` is True for PEM; `problems` are faults for which every CA refuses it.
    """

    source: str
    subject: Subject
    names: SubjectAltNames
    key: str
    digest: str
    purposes: TlsPurpose
    armored: bool
    problems: tuple[str, ...] = ()


def read_certificate_request(data: bytes, *, source: str = "request") -> CertificateRequest:
    """Parse a request in PEM or DER.

    Raises ConfigurationError, naming `source`, when it is no PKCS#10 request.
    """
    armored = b"-----BEGIN" in data
    try:
        parsed = x509.load_pem_x509_csr(data) if armored else x509.load_der_x509_csr(data)
        subject = _subject_of(parsed.subject)
    except UNREADABLE as exc:
        raise ConfigurationError(
            f"{source} is no certificate request in PEM or DER, or it is damaged"
        ) from exc
    problems = [] if _is_signed(parsed) else ["its signature is not that of its key"]
    try:
        extensions = parsed.extensions
        names, purposes = _names_of(extensions), _purposes_of(extensions)
    except UNREADABLE as exc:
        problems.append(f"its extensions cannot be read: {exc}")
        names, purposes = SubjectAltNames(), TlsPurpose(0)
    return CertificateRequest(
        source=source,
        subject=subject,
        names=names,
        key=_key_of(parsed),
        digest=_digest_of(parsed),
        purposes=purposes,
        armored=armored,
        problems=tuple(problems),
    )


def request_violations(request: CertificateRequest, profile: CsrProfile) -> tuple[str, ...]:
    """List all that a CA with this profile would refuse in one request."""
    return (
        *request.problems,
        *_form_violations(request, profile),
        *request.subject.violations(forbidden=profile.forbidden),
        *request.names.violations(),
        *name_violations(request.subject, request.names),
        *_name_violations(request, profile),
    )


def batch_violations(requests: Sequence[CertificateRequest]) -> tuple[str, ...]:
    """List the subject fields that differ between the requests of one deployment.

    CAs want organization, unit, locality, state and country to be the same.
    """
    found = []
    for field in _SHARED:
        values = {getattr(request.subject, field): request.source for request in requests}
        if len(values) > 1:
            values_by_source = ", ".join(
                f"{value!r} in {source}" for value, source in values.items()
            )
            found.append(f"the {field} differs: {values_by_source}")
    return tuple(found)


def _form_violations(request: CertificateRequest, profile: CsrProfile) -> Iterator[str]:
    if not request.armored:
        yield "it is in binary form (DER): authorities take Base64 (PEM)"
    if request.key not in profile.keys:
        yield f"its key is {request.key}; taken are {', '.join(profile.keys)}"
    if request.digest not in _HASHES:
        yield f"it is signed with {request.digest}; taken are {', '.join(_HASHES)}"
    if request.subject.unit and not profile.unit:
        yield f"it has an organizational unit, {request.subject.unit!r}: leave it out"
    if TlsPurpose.CLIENT in request.purposes and not profile.client:
        yield "it asks for the purpose of a TLS client, which is not issued any more"


def _name_violations(request: CertificateRequest, profile: CsrProfile) -> Iterator[str]:
    names = request.names
    if len(names.dns) > 1 and not profile.several:
        yield f"it has {len(names.dns)} domain names: one certificate is for one name"
    if profile.private:
        return
    for name in names.dns:
        if is_fqdn(name) and name.rpartition(".")[2].lower() in _NOT_PUBLIC:
            yield f"{name!r} is no public domain name"
    kinds = {"address": names.ip, "URI": names.uri, "xmppAddr": names.xmpp, "SRVName": names.srv}
    for kind, values in kinds.items():
        for value in values:
            yield f"the {kind} {value!r} is issued by private authorities only"


def _is_signed(parsed: x509.CertificateSigningRequest) -> bool:
    try:
        return parsed.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False


def _subject_of(name: x509.Name) -> Subject:
    def field(oid: x509.ObjectIdentifier) -> str:
        values = name.get_attributes_for_oid(oid)
        return str(values[-1].value) if values else ""

    return Subject(
        common_name=field(NameOID.COMMON_NAME),
        organization=field(NameOID.ORGANIZATION_NAME),
        unit=field(NameOID.ORGANIZATIONAL_UNIT_NAME),
        locality=field(NameOID.LOCALITY_NAME),
        state=field(NameOID.STATE_OR_PROVINCE_NAME),
        country=field(NameOID.COUNTRY_NAME),
    )


def _names_of(extensions: x509.Extensions) -> SubjectAltNames:
    try:
        general = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return SubjectAltNames()
    xmpp, srv = names_in(general)
    addresses = general.get_values_for_type(x509.IPAddress)
    return SubjectAltNames(
        dns=tuple(general.get_values_for_type(x509.DNSName)),
        ip=tuple(
            str(each)
            for each in addresses
            if isinstance(each, ipaddress.IPv4Address | ipaddress.IPv6Address)
        ),
        uri=tuple(general.get_values_for_type(x509.UniformResourceIdentifier)),
        xmpp=xmpp,
        srv=srv,
    )


def _purposes_of(extensions: x509.Extensions) -> TlsPurpose:
    try:
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return TlsPurpose(0)
    found = TlsPurpose(0)
    if ExtendedKeyUsageOID.SERVER_AUTH in usage:
        found |= TlsPurpose.SERVER
    if ExtendedKeyUsageOID.CLIENT_AUTH in usage:
        found |= TlsPurpose.CLIENT
    return found


def _key_of(parsed: x509.CertificateSigningRequest) -> str:
    try:
        key = parsed.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "of an unknown kind"
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, f"ec-{key.curve.name}")
    return type(key).__name__.removesuffix("PublicKey").lower().lstrip("_")


def _digest_of(parsed: x509.CertificateSigningRequest) -> str:
    try:
        algorithm = parsed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "an unknown hash"
    return "no hash" if algorithm is None else algorithm.name
