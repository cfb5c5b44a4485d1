"""The search for issuers that a server has not shown: what to fetch, and which answers are links.

A certificate names where its issuer's is found (AIA caIssuers, RFC 5280 section 4.2.2.1).  Only
`http:` addresses of listed hosts are fetched, `MOST_ISSUERS` one after the other, one certificate
in DER each.  An answer counts only if it has signed the certificate below it, is an authority, and
is not self-issued: what is fetched links a path, and no anchor comes from it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID

from softphone.trust.certificate import UNREADABLE, der_of
from softphone.trust.verification.revocation import Fetch, FetchFailed, FetchKind

MOST_ISSUERS = 3
"""How many certificates of one path are fetched."""
_MOST_SHOWN = 8
_MOST_PLACES = 2
_MOST_URL = 1024


class IssuerSearch:
    """Goes up from the leaf of `shown` (DER, leaf first) to issuers that are not there.

    `wanted` is what to fetch next, empty at the end; `found` are the issuers (DER) so far.  `hosts`
    are "host" for port 80 or "host:port", in lower case; `local` allows loopback addresses.
    The search ends below an issuer of one of the names `known`.
    """

    def __init__(
        self,
        shown: Sequence[bytes],
        hosts: Collection[str],
        *,
        known: Collection[x509.Name] = (),
        local: bool = False,
    ) -> None:
        self._hosts = hosts
        self._known = known
        self._local = local
        self._found: list[x509.Certificate] = []
        self.wanted: tuple[Fetch, ...] = ()
        read = [_read(der) for der in shown[:_MOST_SHOWN]]
        self._shown = [each for each in read[1:] if each is not None]
        self._top = read[0] if read else None
        self._rise()

    @property
    def found(self) -> tuple[bytes, ...]:
        """The issuers that were fetched (DER): links, not anchors."""
        return tuple(der_of(each) for each in self._found)

    def receive(self, answers: Mapping[Fetch, bytes | FetchFailed]) -> bool:
        """Take the answers to `wanted`; says whether an issuer was among them."""
        for answer in map(answers.get, self.wanted):
            issuer = _read(answer) if isinstance(answer, bytes) else None
            if issuer is not None and issuer not in self._found and self._is_link(issuer):
                self._found.append(issuer)
                self._top = issuer
                self._rise()
                return True
        self.wanted = ()
        return False

    def _is_link(self, issuer: x509.Certificate) -> bool:
        return self._top is not None and not _is_self_issued(issuer) and _issued(issuer, self._top)

    def _rise(self) -> None:
        """Go up through what was shown, each certificate once, and set what is wanted there."""
        top = self._top
        while top is not None:
            above = next((each for each in self._shown if _issued(each, top)), None)
            if above is None:
                break
            self._shown.remove(above)
            top = above
        self._top = top
        places = () if top is None or self._ends_at(top) else _places(top, self._hosts)
        self.wanted = tuple(
            Fetch(FetchKind.ISSUER, url, local=self._local)
            for url in list(dict.fromkeys(places))[:_MOST_PLACES]
        )

    def _ends_at(self, top: x509.Certificate) -> bool:
        full = len(self._found) == MOST_ISSUERS
        return full or _is_self_issued(top) or top.issuer in self._known


def _read(der: bytes) -> x509.Certificate | None:
    """Read a certificate from somebody else, whose names can be read as well."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _is_self_issued(certificate)
    except (x509.InvalidVersion, *UNREADABLE):
        return None
    return certificate


def _is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether issuer and subject are one name to OpenSSL, which would take it for an anchor.

    It compares without regard to case and blanks (RFC 5280 section 7.1).
    """
    return _prepared(certificate.issuer) == _prepared(certificate.subject)


def _prepared(name: x509.Name) -> list[frozenset[tuple[x509.ObjectIdentifier, str | bytes]]]:
    return [
        frozenset(
            (each.oid, " ".join(each.value.split()).casefold())
            if isinstance(each.value, str)
            else (each.oid, each.value)
            for each in part
        )
        for part in name.rdns
    ]


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether an authority has signed a certificate; its strength the gate judges."""
    try:
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(issuer)
    except (
        x509.ExtensionNotFound,
        InvalidSignature,
        UnsupportedAlgorithm,
        *UNREADABLE,  # also of a key that signs nothing
    ):
        return False
    return basic.ca


def _places(certificate: x509.Certificate, hosts: Collection[str]) -> Iterator[str]:
    """Yield where a certificate says that its issuer is, at listed hosts."""
    try:
        kind = x509.AuthorityInformationAccess
        access = certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return
    for each in access:
        place = each.access_location
        if (
            each.access_method == AuthorityInformationAccessOID.CA_ISSUERS
            and isinstance(place, x509.UniformResourceIdentifier)
            and _is_listed(place.value, hosts)
        ):
            yield place.value


def _is_listed(url: str, hosts: Collection[str]) -> bool:
    """Whether it is an `http:` URL of printable ASCII characters with a listed host and port."""
    if len(url) > _MOST_URL or not all("!" <= character <= "~" for character in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "http" and parts.netloc.lower().removesuffix(":80") in hosts
