"""Loads certificates, reads their names, and compares the names with the reference identity.

RFC 5922 (SIP), RFC 9525 and RFC 6125 (DNS names, wildcards, common names), RFC 6120 section 13.7
(XMPP), RFC 5280 section 4.2.1.6.  `softphone.trust.verification.gate` judges paths and dates.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from softphone.errors import ConfigurationError, IdentityMismatch
from softphone.sans_io import PeerIdentity
from softphone.trust.disk.private_file import read_whole

XMPP_ADDR = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")  # RFC 6120 section 13.7.1.4
SRV_NAME = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7")  # RFC 4985
UNREADABLE = (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""What is raised for a name in a certificate that cannot be read, and for all its extensions where
one cannot be read.  It is a TypeError for an attribute that is a BIT STRING."""
_UTF8_STRING, _IA5_STRING = 0x0C, 0x16
_MOST_SHOWN = 100
"""Most names in an error text, and most characters of each: a peer may present any number."""
# RFC 3261 section 25.1, reduced to a domain identity: a URI with a user part is none (RFC 5922
# section 7.1); the port and the parameters are ignored.  A user part may hold ";" and "?", so any
# "@" means that there is a user part.
_SIP_DOMAIN_URI = re.compile(r"sip:(?P<domain>[A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?:[;?][^@]*)?", re.I)


class Service(StrEnum):
    """The protocol that the certificate secures; each has its own identity rules."""

    SIP = "sip"
    HTTPS = "https"
    LDAP = "ldap"
    POSTGRESQL = "postgresql"
    XMPP = "xmpp"
    XMPP_USER = "xmpp-user"
    CAPF = "capf"
    TVS = "tvs"

    @property
    def allows_wildcard(self) -> bool:
        """Whether `*` may match the leftmost label (not for SIP: RFC 5922 section 7.2)."""
        return self in (Service.HTTPS, Service.LDAP, Service.POSTGRESQL, Service.XMPP)


@dataclass(frozen=True, slots=True)
class _Names:
    """The identities of a certificate, normalized.

    `alternative` tells whether it has a subjectAltName; `users` are bare JIDs.
    """

    dns: tuple[str, ...] = ()
    ip: tuple[bytes, ...] = ()
    uri: tuple[str, ...] = ()
    xmpp: tuple[str, ...] = ()
    srv: tuple[str, ...] = ()
    common: tuple[str, ...] = ()
    alternative: bool = False
    users: tuple[str, ...] = ()

    def domains(self, service: Service) -> tuple[str, ...]:
        """The domain patterns to compare for a service: subjectAltName, else common name."""
        if service is Service.SIP:
            matches = (_SIP_DOMAIN_URI.fullmatch(uri) for uri in self.uri)
            found = self.dns + tuple(_normalized(match["domain"]) for match in matches if match)
            return found if self.alternative else self.common
        if service is Service.XMPP:
            client = "_xmpp-client."
            found = self.xmpp + tuple(
                name.removeprefix(client) for name in self.srv if name.startswith(client)
            )
            better = found + self.dns + self.srv
            return found + self.dns if better else self.common
        if service is Service.POSTGRESQL:
            return self.dns if self.alternative else self.common
        return self.dns or self.common


def load_certificates(data: bytes, *, source: str = "certificate") -> tuple[x509.Certificate, ...]:
    """Load all certificates of a PEM text, in order, or the one certificate of a DER encoding.

    Raises ConfigurationError, naming `source`, when there is none or one cannot be read.
    """
    try:
        if b"-----BEGIN" in data:
            return tuple(x509.load_pem_x509_certificates(data))
        return (x509.load_der_x509_certificate(data),)
    except (ValueError, x509.InvalidVersion) as exc:
        found = "a key, and " if b"PRIVATE KEY-----" in data else ""
        raise ConfigurationError(
            f"{source} holds {found}no certificate in PEM or DER that can be read"
        ) from exc


def load_certificate_file(path: str | os.PathLike[str]) -> tuple[x509.Certificate, ...]:
    """Load the certificates of a PEM or DER file.  Raises ConfigurationError."""
    where = Path(path)
    return load_certificates(read_whole(where), source=str(where))


def der_of(certificate: x509.Certificate) -> bytes:
    """The certificate's DER."""
    return certificate.public_bytes(Encoding.DER)


def fingerprint_of(certificate: x509.Certificate | bytes) -> str:
    """The SHA-256 of the DER, in lower-case hex."""
    der = certificate if isinstance(certificate, bytes) else der_of(certificate)
    return hashlib.sha256(der).hexdigest()


def fingerprint_in(text: str) -> str | None:
    """Parse a SHA-256 fingerprint as people write it; returns lower-case hex, or None.

    Colons, capitals and a "sha256:" prefix are allowed.
    """
    digest = text.strip().lower().removeprefix("sha256:").replace(":", "")
    return digest if re.fullmatch(r"[0-9a-f]{64}", digest) else None


def subject_of(certificate: x509.Certificate) -> str:
    """The subject as RFC 4514 text on one line; "(unreadable subject)" if it cannot be read."""
    try:
        return _one_line(certificate.subject.rfc4514_string())
    except UNREADABLE:
        return "(unreadable subject)"


def issuer_of(certificate: x509.Certificate) -> str:
    """The issuer as RFC 4514 text on one line; "(unreadable issuer)" if it cannot be read."""
    try:
        return _one_line(certificate.issuer.rfc4514_string())
    except UNREADABLE:
        return "(unreadable issuer)"


def _one_line(text: str) -> str:
    """Escape characters that are not printable as octets (RFC 4514 section 2.4).

    The text comes from a certificate that may be hostile, and is shown and logged before the
    certificate is verified.
    """
    return "".join(c if c.isprintable() else _octets(c) for c in text)


def _octets(character: str) -> str:
    # A BMPString may hold half of a surrogate pair.
    return "".join(f"\\{octet:02X}" for octet in character.encode("utf-8", "surrogatepass"))


def _string_of(der: bytes, tag: int) -> str | None:
    """The text of a DER string with a one-byte length (127 bytes at most); None for others."""
    if len(der) < 2 or der[0] != tag or der[1] > 127 or len(der) != 2 + der[1]:
        return None
    try:
        return der[2:].decode("utf-8" if tag == _UTF8_STRING else "ascii")
    except UnicodeDecodeError:
        return None


def string_der(text: str, *, utf8: bool) -> bytes:
    """Encode a UTF8String (XmppAddr) or an IA5String (SRVName) in DER.

    Raises ValueError beyond 127 bytes, or for an IA5String that is not ASCII.
    """
    value = text.encode("utf-8" if utf8 else "ascii")
    if len(value) > 127:
        raise ValueError("the name is longer than 127 bytes")
    return bytes((_UTF8_STRING if utf8 else _IA5_STRING, len(value))) + value


def _normalized(domain: str) -> str:
    """Lower case, A-labels, no trailing dot; the empty string when IDNA cannot encode it."""
    domain = domain.strip().rstrip(".").lower()
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def presented_domain(domain: str) -> str:
    """Normalize a domain from a certificate; returns the empty string for a look-alike.

    IDNA maps full-width letters and similar characters to ASCII.  No registered name holds them,
    so a certificate with such a name imitates another domain.
    """
    normal = _normalized(domain)
    if domain.isascii():
        return normal
    written = domain.strip().rstrip(".").split(".")
    pairs = zip(written, normal.split("."), strict=False)
    honest = len(written) == normal.count(".") + 1
    if not honest or any(not a.isascii() and not b.startswith("xn--") for a, b in pairs):
        return ""
    return normal


def _bare_jid(text: str) -> str:
    """Normalize a bare JID (RFC 7622) for comparison; the empty string for anything else.

    The local part is only lowercased, not prepared by PRECIS: both sides of the comparison pass
    through here.
    """
    local, _, domain = text.strip().partition("@")
    domain = presented_domain(domain)
    return f"{local.lower()}@{domain}" if local and domain and "/" not in text else ""


def _common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        attributes = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except UNREADABLE:
        return ()
    # RFC 6125 section 6.4.4: only the most specific common name counts.
    return tuple(
        name for attribute in attributes[-1:] if (name := presented_domain(str(attribute.value)))
    )


def _read_names(certificate: x509.Certificate) -> _Names:
    common = _common_names(certificate)
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return _Names(common=common)
    except UNREADABLE:
        # An unreadable subjectAltName gives no name, and still rules out the common name.
        return _Names(common=common, alternative=True)
    general = extension.value
    xmpp, srv = names_in(general)
    addresses = general.get_values_for_type(x509.IPAddress)
    return _Names(
        dns=tuple(map(_normalized, general.get_values_for_type(x509.DNSName))),
        ip=tuple(
            address.packed
            for address in addresses
            if isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
        ),
        uri=tuple(general.get_values_for_type(x509.UniformResourceIdentifier)),
        xmpp=tuple(map(presented_domain, xmpp)),
        srv=tuple(map(presented_domain, srv)),
        common=common,
        alternative=True,
        users=tuple(bare for name in xmpp if (bare := _bare_jid(name))),
    )


def names_in(general: x509.SubjectAlternativeName) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The XmppAddr values and the SRVName values of a subjectAltName, not normalized."""
    others = general.get_values_for_type(x509.OtherName)
    xmpp = (_string_of(name.value, _UTF8_STRING) for name in others if name.type_id == XMPP_ADDR)
    srv = (_string_of(name.value, _IA5_STRING) for name in others if name.type_id == SRV_NAME)
    return tuple(name for name in xmpp if name), tuple(name for name in srv if name)


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """All identities, prefixed by kind: "dns:", "ip:", "uri:", "xmpp:", "srv:", "cn:"."""
    names = _read_names(certificate)
    return (
        *(f"dns:{name}" for name in names.dns),
        *(f"ip:{ipaddress.ip_address(packed)}" for packed in names.ip),
        *(f"uri:{name}" for name in names.uri),
        *(f"xmpp:{name}" for name in names.xmpp),
        *(f"srv:{name}" for name in names.srv),
        *(f"cn:{name}" for name in names.common),
    )


def address_of(reference: str) -> bytes | None:
    """The octets of an IP address, in brackets or not; None for a domain."""
    try:
        return ipaddress.ip_address(reference.strip("[]")).packed
    except ValueError:
        return None


def _covers(pattern: str, domain: str, *, wildcard: bool) -> bool:
    """Whether a presented domain matches the reference domain (RFC 9525 section 6.3)."""
    if pattern == domain:
        return "*" not in pattern and bool(pattern)
    first, _, rest = pattern.partition(".")
    if not wildcard or first != "*" or "*" in rest or "." not in rest:
        return False
    label, _, parent = domain.partition(".")
    return bool(label) and parent == rest


def identifies(certificate: x509.Certificate, service: Service, reference: str) -> bool:
    """Whether the certificate names `reference`: a domain, an IP address or a bare JID.

    For SIP the reference is the domain of the URI, before NAPTR and SRV (RFC 5922 section 4);
    for XMPP it is the domain of the JID.  Only iPAddress names an IP address.  For XMPP_USER the
    reference is the bare JID, which only an xmppAddr (RFC 6120 section 13.7.1.4) names.
    """
    names = _read_names(certificate)
    if service is Service.XMPP_USER:
        user = _bare_jid(reference)
        return bool(user) and user in names.users
    address = address_of(reference)
    if address is not None:
        return address in names.ip
    domain = _normalized(reference)
    return any(
        _covers(pattern, domain, wildcard=service.allows_wildcard)
        for pattern in names.domains(service)
    )


def check_identity(certificate: x509.Certificate, service: Service, reference: str) -> None:
    """Raise IdentityMismatch, listing the certificate's names, unless it names `reference`."""
    if identifies(certificate, service, reference):
        return
    names = names_of(certificate)
    found = [_one_line(name)[:_MOST_SHOWN] for name in names[:_MOST_SHOWN]]
    if len(names) > _MOST_SHOWN:
        found.append(f"and {len(names) - _MOST_SHOWN} more")
    sentence = (
        f'the certificate is not one of "{reference}": it names {", ".join(found) or "nobody"}'
    )
    if service is Service.XMPP_USER:
        raise IdentityMismatch(sentence)
    if address_of(reference) is not None or "." not in reference.rstrip("."):
        sentence += "; use the server's full name, as one of these"
    raise IdentityMismatch(sentence)


def check_edge_domain(certificate: x509.Certificate, domain: str) -> None:
    """Raise IdentityMismatch unless an edge server's certificate names the `domain` that it serves.

    Beside the host name, Cisco's endpoints demand the domain as dNSName, or as SRVName
    `_collab-edge._tls.DOMAIN`; `_collab-edge.DOMAIN` is how RFC 4985 spells it.  A wildcard names
    hosts and no domain.
    """
    names, domain = _read_names(certificate), _normalized(domain)
    accepted = (f"_collab-edge._tls.{domain}", f"_collab-edge.{domain}")
    if not domain or (domain not in names.dns and not any(each in accepted for each in names.srv)):
        raise IdentityMismatch(
            f"the certificate of {subject_of(certificate)} does not name {domain}, as that of an"
            f" edge server has to: as dNSName, or as SRVName _collab-edge._tls.{domain}"
        )


def peer_identity(
    certificate: x509.Certificate,
    *,
    protocol: str,
    cipher: str,
    verdict: str,
    revocation: str,
    relaxations: tuple[str, ...] = (),
) -> PeerIdentity:
    """The identity of a verified peer, as its flow carries it."""
    return PeerIdentity(
        subject=subject_of(certificate),
        names=names_of(certificate),
        fingerprint=fingerprint_of(certificate),
        protocol=protocol,
        cipher=cipher,
        verdict=verdict,
        revocation=revocation,
        relaxations=relaxations,
        expires=certificate.not_valid_after_utc.timestamp(),
    )
