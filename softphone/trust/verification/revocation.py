"""Revocation: the fetches that a verified path declares, and the judgment of their answers.

CRLs by the distribution points of RFC 5280 section 4.2.1.13, OCSP (RFC 6960) by the authority
information access of 4.2.2.1.  pyhanko-certvalidator judges them, with its own fetching off.

If any answer says revoked, the certificate is refused.  If the certificate declares no source, or
(in the soft mode) no source answers, it is accepted.  If the answers are invalid (stale, forged or
unknown) and none is valid, it is refused, unless `Relaxation.INVALID_REVOCATION` counts them as
no answer.
"""

from __future__ import annotations

from collections.abc import Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib import import_module
from itertools import chain, islice, pairwise
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from softphone.errors import CertificateRevoked, CertificateUntrusted
from softphone.security import Relaxation, RevocationMode
from softphone.trust.certificate import UNREADABLE, der_of, subject_of
from softphone.trust.verification.crl import crl_about, crl_next_update

T = TypeVar("T")

_MOST_FETCHES = 8
_MOST_OF_ONE = 4
# Tolerated between our clock and the signer's; pyhanko's default of one second is not enough.
_SKEW = timedelta(minutes=5)
_MOST_URL = 1024
_AUTHORITY_KEY = "authority_key_identifier"


class FetchKind(StrEnum):
    """What is fetched."""

    CRL = "crl"
    OCSP = "ocsp"
    TVS = "tvs"
    ISSUER = "issuer"


@dataclass(frozen=True, slots=True)
class Fetch:
    """One fetch over HTTP: a CRL by GET, or an OCSP response by POST of `request`.

    Without `url` it is a query to TVS about the certificate (DER) in `request`.

    `local` allows a server at a loopback, link-local, multicast or unspecified address.
    """

    kind: FetchKind
    url: str
    request: bytes = b""
    local: bool = False


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A fetch that failed, with the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class RevocationJudgment:
    """The revocation status of a path, and the relaxations that were used.

    `status` is "good", "undeclared", "unreachable", "invalid" or "unchecked".
    """

    status: str
    relaxations: tuple[str, ...] = ()


def revocation_fetches(
    path: Sequence[x509.Certificate], *, local: bool = False
) -> tuple[Fetch, ...]:
    """List the fetches that a verified path declares, without its anchor; `http:` URLs only.

    At most 8 in all and 4 for one certificate, from the anchor down: many URLs in a certificate
    do not displace the fetches about its issuers.
    """
    found = (
        replace(fetch, local=local)
        for certificate, issuer in reversed(tuple(pairwise(path)))
        for fetch in _declared(certificate, issuer)
    )
    return tuple(dict.fromkeys(found))[:_MOST_FETCHES]


def _declared(certificate: x509.Certificate, issuer: x509.Certificate) -> Iterator[Fetch]:
    return islice(chain(_responders(certificate, issuer), _lists(certificate)), _MOST_OF_ONE)


def _responders(certificate: x509.Certificate, issuer: x509.Certificate) -> Iterator[Fetch]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, *UNREADABLE):
        return
    # RFC 5019 section 2.1.1: SHA-1, which every responder supports; its strength does not matter.
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())
    request = builder.build().public_bytes(Encoding.DER)
    for description in access.value:
        if description.access_method == AuthorityInformationAccessOID.OCSP:
            for url in _http_urls([description.access_location]):
                yield Fetch(FetchKind.OCSP, url, request)


def _lists(certificate: x509.Certificate) -> Iterator[Fetch]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    except (x509.ExtensionNotFound, *UNREADABLE):
        return
    for point in points.value:
        for url in _http_urls(point.full_name or []):
            yield Fetch(FetchKind.CRL, url)


def _http_urls(names: Sequence[x509.GeneralName]) -> Iterator[str]:
    for name in names:
        if isinstance(name, x509.UniformResourceIdentifier) and _may_be_fetched(name.value):
            yield name.value


def _may_be_fetched(url: str) -> bool:
    """Whether it is an `http:` URL of at most 1,024 printable ASCII characters, port not 0."""
    if len(url) > _MOST_URL or not all("!" <= character <= "~" for character in url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def next_update(fetch: Fetch, data: bytes) -> datetime | None:
    """The nextUpdate of an answer, in UTC; None when it is absent or cannot be read."""
    try:
        if fetch.kind is FetchKind.CRL:
            return crl_next_update(data)
        return ocsp.load_der_ocsp_response(data).next_update_utc
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        return None


@cache
def load_validator() -> None:
    """Import the validator library, which takes long and which most connections never need.

    An event loop calls this in a thread before the first judgment, unless `validator_is_loaded`.
    """
    import_module("pyhanko_certvalidator")


def validator_is_loaded() -> bool:
    """Whether `load_validator` has finished."""
    return load_validator.cache_info().currsize > 0


def judge_revocation(
    path: Sequence[x509.Certificate],
    answers: Mapping[Fetch, bytes | FetchFailed],
    *,
    mode: RevocationMode,
    wall: datetime,
    allow: Collection[Relaxation] = (),
) -> RevocationJudgment:
    """Judge the revocation status of a path from the fetched answers.

    Raises CertificateRevoked.  Raises CertificateUntrusted for answers that are stale, forged or
    unknown, unless `allow` counts them as none, and in the hard mode when no answer came.
    """
    if mode is RevocationMode.OFF:
        return RevocationJudgment("unchecked")
    local = Relaxation.LOCAL_REVOCATION in allow
    words: list[str] = []
    passed: list[str] = []
    for certificate, issuer in pairwise(path):
        declared = revocation_fetches((certificate, issuer), local=local)
        if not declared:
            words.append("undeclared")
            continue
        given = {fetch: answers[fetch] for fetch in declared if fetch in answers}
        try:
            words.append(_judge_one(certificate, issuer, given, wall=wall))
        except CertificateUntrusted as exc:
            if Relaxation.INVALID_REVOCATION not in allow:
                raise
            words.append("invalid")
            passed.append(f"{exc}, allowed by {Relaxation.INVALID_REVOCATION.value}")
        if mode is RevocationMode.HARD and words[-1] in ("unreachable", "invalid"):
            failed = {each.reason for each in given.values() if isinstance(each, FetchFailed)}
            why = f" ({'; '.join(sorted(failed))})" if failed else ""
            raise CertificateUntrusted(
                f"the revocation of {subject_of(certificate)} cannot be determined: nobody"
                f" answers{why}"
            )
    return RevocationJudgment(_summary(words), tuple(passed))


def _summary(words: Sequence[str]) -> str:
    """The path's status: "invalid" or "unreachable" if any certificate's is, else the leaf's."""
    for worst in ("invalid", "unreachable"):
        if worst in words:
            return worst
    return words[0] if words else "undeclared"


def _judge_one(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    answers: Mapping[Fetch, bytes | FetchFailed],
    *,
    wall: datetime,
) -> str:
    """Judge one certificate: "good", or "unreachable" when no answer came.

    Each answer is judged by itself, so that a good or an invalid one cannot hide a revocation.
    Raises CertificateRevoked, and CertificateUntrusted when no answer is valid.
    """
    brought = {
        fetch: data
        for fetch, data in answers.items()
        if isinstance(data, bytes) and _answered(fetch, data)
    }
    if not brought:
        return "unreachable"
    wrong: list[CertificateUntrusted] = []
    for fetch, data in brought.items():
        try:
            _validate(certificate, issuer, {fetch: data}, wall=wall)
        except CertificateUntrusted as exc:
            wrong.append(exc)
    if len(wrong) < len(brought):
        return "good"
    if len(wrong) == 1:
        raise wrong[0]
    # CRLs that cover some reasons each (RFC 5280 section 5.2.5) are conclusive only together.
    _validate(certificate, issuer, brought, wall=wall)
    return "good"


def _answered(fetch: Fetch, data: bytes) -> bool:
    """Whether the response carries an answer: not so an error such as tryLater (RFC 6960 2.3)."""
    if fetch.kind is FetchKind.CRL:
        return True
    try:
        status = ocsp.load_der_ocsp_response(data).response_status
    except (ValueError, UnsupportedAlgorithm):
        return True  # an unreadable response counts as an invalid answer, not as none
    return status is ocsp.OCSPResponseStatus.SUCCESSFUL


def _validate(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    brought: Mapping[Fetch, bytes],
    *,
    wall: datetime,
) -> None:
    # Imported here, see load_validator.
    from asn1crypto import x509 as asn1  # type: ignore[import-untyped]
    from pyhanko_certvalidator import CertificateValidator, ValidationContext
    from pyhanko_certvalidator.errors import RevokedError, StaleRevinfoError

    subject = subject_of(certificate)
    try:
        leaf = asn1.Certificate.load(der_of(certificate))
        serial = leaf["tbs_certificate"]["serial_number"].dump()
        # The issuer is verified already: as the anchor, it lets each certificate be judged alone.
        context = ValidationContext(
            trust_roots=[_anchor_of(issuer)],
            crls=[
                crl_about(data, serial)
                for fetch, data in brought.items()
                if fetch.kind is FetchKind.CRL
            ],
            ocsps=[data for fetch, data in brought.items() if fetch.kind is FetchKind.OCSP],
            moment=wall,
            time_tolerance=_SKEW,
            allow_fetching=False,
            revocation_mode="hard-fail",
        )
        validator = CertificateValidator(leaf, validation_context=context)
        usage = validator.async_validate_usage(set(), set(), extended_optional=True)  # type: ignore[no-untyped-call]
        _at_once(usage)
    except RevokedError as exc:
        raise CertificateRevoked(
            f"the certificate of {subject} has been revoked: {_line(exc)}"
        ) from exc
    except StaleRevinfoError as exc:
        raise CertificateUntrusted(
            f"what is said of the revocation of {subject} is out of date: {_line(exc)}"
        ) from exc
    except Exception as exc:
        # The bytes come over plain HTTP and may be hostile; the library raises KeyError,
        # AttributeError and others for some of them.  Whatever it raises, nothing was determined.
        raise CertificateUntrusted(
            f"the revocation of {subject} cannot be determined: {_cause(exc)}"
        ) from exc


def _anchor_of(issuer: x509.Certificate) -> Any:
    """The issuer as a trust anchor in asn1crypto's type: name and key (RFC 5280 section 6.1.1).

    It is made to look self-issued, which an intermediate is not: the validator accepts an anchor
    as the signer of CRLs only then.
    """
    from asn1crypto import x509 as asn1

    anchor = asn1.Certificate.load(der_of(issuer))
    named = anchor["tbs_certificate"]
    named["issuer"] = named["subject"]
    kept = [each for each in named["extensions"] if each["extn_id"].native != _AUTHORITY_KEY]
    named["extensions"] = kept
    return anchor


def _cause(exc: Exception) -> str:
    """The message of an error that has a readable one, else the name of its class."""
    if isinstance(exc, ValueError | TypeError) or type(exc).__module__.startswith("pyhanko"):
        return _line(exc)
    return f"what was answered is malformed ({type(exc).__name__})"


def _line(exc: Exception) -> str:
    """The library's message on one line."""
    return " ".join(str(exc).split())


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that awaits nothing: the validator is asynchronous only for its fetchers.

    Raises CertificateUntrusted when it does await something.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise CertificateUntrusted("the revocation check waits for something that nobody brings")
