"""Name constraints of CAs, applied to the names that OpenSSL does not compare.

OpenSSL compares dNSName, iPAddress, rfc822Name, directoryName and URI names with the subtrees of
their own form (RFC 5280 section 4.2.1.10).  A SIP URI, an xmppAddr and an SRVName have other
forms, so a CA constrained to one domain could name any other domain in them.  This check is
stricter than the RFC: dNSName subtrees also bind the domains of these names, and the reference
identity, which a wildcard may match.  SRVName subtrees are compared by RFC 4985 section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509

from softphone.errors import CertificateUntrusted
from softphone.trust.certificate.certificate import (
    SRV_NAME,
    UNREADABLE,
    address_of,
    names_in,
    names_of,
    presented_domain,
    subject_of,
)

_EXTENSION = b"\x06\x03\x55\x1d\x1e"
"""The object identifier 2.5.29.30 in DER: tells whether an unreadable extension is there."""
_SIP_HOST = re.compile(r"sips?:(?:[^@]*@)?(?P<host>[^@:;?]+)(?:[:;?].*)?", re.I | re.S)
_MOST_DOMAIN = 253
"""Most characters of a domain name."""
_COMPARED = (
    x509.DNSName,
    x509.IPAddress,
    x509.RFC822Name,
    x509.DirectoryName,
    x509.UniformResourceIdentifier,
)


@dataclass(frozen=True, slots=True)
class _LeafNames:
    """The names that the constraints bind: (name, its domain) pairs, SRVNames, and URIs."""

    domains: tuple[tuple[str, str], ...]
    srv: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _DomainTrees:
    """dNSName subtrees.  A lookup takes one step a label, however many subtrees there are.

    `bases` contain themselves and all subdomains; `below` (written with a leading dot) contain
    subdomains only.  The empty base contains every domain.
    """

    bases: frozenset[str]
    below: frozenset[str]

    @classmethod
    def of(cls, subtrees: Iterable[str]) -> _DomainTrees:
        """Build the trees from subtrees as the extension writes them."""
        written = {each.rstrip(".").lower() for each in subtrees}
        dotted = {each for each in written if each.startswith(".")}
        return cls(frozenset(written - dotted), frozenset(each[1:] for each in dotted))

    def __bool__(self) -> bool:
        return bool(self.bases or self.below)

    def __contains__(self, domain: str) -> bool:
        if "" in self.bases or domain in self.bases:
            return True
        labels = domain.split(".")
        parents = (".".join(labels[n:]) for n in range(1, len(labels)))
        return any(each in self.bases or each in self.below for each in parents)


_NO_TREES = _DomainTrees(frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class _Subtrees:
    """The permitted, or the excluded, subtrees of one CA; `srv` is keyed by service."""

    domains: _DomainTrees
    srv: Mapping[str, _DomainTrees]
    has_uris: bool


def check_name_constraints(path: Sequence[x509.Certificate], reference: str | None = None) -> None:
    """Raise CertificateUntrusted unless the constraints of every CA of the path allow its leaf.

    `reference` is the name that the leaf was accepted for, a domain or a bare JID.  Constraints
    that cannot be read, or are critical and of an unknown form, allow nothing.
    """
    found = [
        (authority, extension)
        for authority in path[1:]
        if (extension := _constraints_of(authority)) is not None
    ]
    if not found:
        return
    names = _names_of(path[0], reference)
    for authority, extension in found:
        _check_forms(authority, extension)
        permitted = _subtrees(extension.value.permitted_subtrees or ())
        excluded = _subtrees(extension.value.excluded_subtrees or ())
        escaped = _escaped(names, permitted, excluded)
        if escaped is not None:
            raise CertificateUntrusted(
                f"the certificate of {subject_of(path[0])} names {escaped}, for which"
                f" {subject_of(authority)} may not vouch: its name constraints are for other names"
            )


def _constraints_of(authority: x509.Certificate) -> x509.Extension[x509.NameConstraints] | None:
    try:
        extension = authority.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return None
    except UNREADABLE as exc:
        if _EXTENSION not in authority.tbs_certificate_bytes:
            return None
        raise _unreadable(authority, "they cannot be read") from exc
    # The library ignores `minimum` and `maximum`, which RFC 5280 does not allow.  If encoding what
    # it parsed gives the same octets, they are absent.
    if extension.value.public_bytes() not in authority.tbs_certificate_bytes:
        raise _unreadable(authority, "they hold more than RFC 5280 allows")
    return extension


def _check_forms(
    authority: x509.Certificate, extension: x509.Extension[x509.NameConstraints]
) -> None:
    bases = (
        *(extension.value.permitted_subtrees or ()),
        *(extension.value.excluded_subtrees or ()),
    )
    for base in bases:
        srv = isinstance(base, x509.OtherName) and base.type_id == SRV_NAME
        known = bool(_srv_name(base)) if srv else isinstance(base, _COMPARED)
        if extension.critical and not known:
            raise _unreadable(authority, "they are critical, and of a form that is not known")


def _unreadable(authority: x509.Certificate, why: str) -> CertificateUntrusted:
    return CertificateUntrusted(
        f"the name constraints of {subject_of(authority)} do not tell for whom it may vouch: {why}"
    )


def _names_of(leaf: x509.Certificate, reference: str | None) -> _LeafNames:
    wanted: tuple[tuple[str, str], ...] = ()
    if reference is not None and address_of(reference) is None:
        wanted = ((reference, presented_domain(_jid_domain(reference))),)
    # A common name of the form user@host names a user where there is no SIP URI.
    common = (name.removeprefix("cn:") for name in names_of(leaf) if name.startswith("cn:"))
    wanted += tuple((name, _jid_domain(name)) for name in common if "@" in name)
    try:
        general = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return _LeafNames(wanted)  # its alternative names count for nothing
    uris = tuple(general.get_values_for_type(x509.UniformResourceIdentifier))
    xmpp, srv = names_in(general)
    domains = (
        *wanted,
        *_sip_domains(uris),
        *((name, presented_domain(_jid_domain(name))) for name in xmpp),
        *((name, presented_domain(_srv_parts(name)[1])) for name in srv),
    )
    return _LeafNames(domains, srv, uris)


def _sip_domains(uris: Sequence[str]) -> Iterator[tuple[str, str]]:
    for uri in uris:
        if uri.lower().startswith(("sip:", "sips:")):
            match = _SIP_HOST.fullmatch(uri)
            yield uri, presented_domain(match["host"]) if match else ""


def _jid_domain(jid: str) -> str:
    return jid.partition("/")[0].rpartition("@")[2]


def _srv_name(base: x509.GeneralName) -> str:
    """The SRVName, or part of one, of a subtree; empty for subtrees of other forms."""
    found = names_in(x509.SubjectAlternativeName([base]))[1]
    return found[0] if found else ""


def _srv_parts(name: str) -> tuple[str, str]:
    """Split an SRVName into service (with its underscore) and domain; either may be empty."""
    if not name.startswith("_"):
        return "", name
    service, _, domain = name.partition(".")
    return service.lower(), domain


def _subtrees(bases: Sequence[x509.GeneralName]) -> _Subtrees:
    services: dict[str, list[str]] = {}
    for base in bases:
        if name := _srv_name(base):
            service, domain = _srv_parts(name)
            services.setdefault(service, []).append(domain)
    return _Subtrees(
        _DomainTrees.of(base.value for base in bases if isinstance(base, x509.DNSName)),
        {service: _DomainTrees.of(domains) for service, domains in services.items()},
        any(isinstance(base, x509.UniformResourceIdentifier) for base in bases),
    )


def _escaped(names: _LeafNames, permitted: _Subtrees, excluded: _Subtrees) -> str | None:
    """The first name that the subtrees do not allow, for the error text; None: all allowed."""
    if permitted.has_uris or excluded.has_uris:
        # RFC 5280: URI constraints are about hosts; a URI without authority has none to compare.
        for uri in names.uris:
            if "://" not in uri:
                return uri
    for name, domain in names.domains:
        if not (permitted.domains or excluded.domains):
            break
        if not 0 < len(domain) <= _MOST_DOMAIN:
            return name
        outside = permitted.domains and domain not in permitted.domains
        if outside or domain in excluded.domains:
            return name
    for name in names.srv:
        missing = permitted.srv and not _srv_within(name, permitted.srv)
        if missing or _srv_within(name, excluded.srv):
            return name
    return None


def _srv_within(name: str, restrictions: Mapping[str, _DomainTrees]) -> bool:
    """RFC 4985 section 4: a restriction is `_Service.Name`, `_Service` or `Name`."""
    service, domain = _srv_parts(name)
    presented = presented_domain(domain)
    return any(presented in restrictions.get(each, _NO_TREES) for each in {"", service})
