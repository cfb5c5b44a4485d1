"""Revocation: what a verified path declares, and what the bytes fetched for it say.

CRLs by the distribution points of RFC 5280 section 4.2.1.13, OCSP (RFC 6960) by the authority
information access of 4.2.2.1; judged by pyhanko-certvalidator, which fetches nothing here.

Revoked by any answer: refused, whatever the others say.  Nothing declared, or (in the soft mode)
nobody reachable: accepted.  Reachable and wrong, that is stale, forged or unknown, without a sound
answer beside it: refused, unless `Relaxation.INVALID_REVOCATION` has it count as no answer.
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
from softphone.trust.certificate import der_of, subject_of
from softphone.trust.verification.crl import crl_about, crl_next_update

T = TypeVar("T")

_MOST_FETCHES = 8
_MOST_OF_ONE = 4
# Between our clock and that of who signs an answer; pyhanko's own second is not enough.
_SKEW = timedelta(minutes=5)
_MOST_URL = 1024
_AUTHORITY_KEY = "authority_key_identifier"


class FetchKind(StrEnum):
    """What is fetched."""

    CRL = "crl"
    OCSP = "ocsp"
    TVS = "tvs"


@dataclass(frozen=True, slots=True)
class Fetch:
    """Something wanted over HTTP: a CRL by GET, or an OCSP answer by POST of `request`.

    Or, without `url`, the answer of a TVS about the certificate (DER) in `request`.

    `local` allows a server at a loopback, link-local, multicast or unspecified address.
    """

    kind: FetchKind
    url: str
    request: bytes = b""
    local: bool = False


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A fetch that brought nothing, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class RevocationJudgment:
    """What is known: "good", "undeclared", "unreachable", "invalid" or "unchecked"."""

    status: str
    relaxations: tuple[str, ...] = ()


def revocation_fetches(
    path: Sequence[x509.Certificate], *, local: bool = False
) -> tuple[Fetch, ...]:
    """What the certificates of a verified path, its anchor apart, declare: `http:` URLs only.

    From the anchor down, and few of each: what a certificate declares displaces nothing that is
    asked about its issuers.
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
    except (x509.ExtensionNotFound, ValueError):
        return
    # RFC 5019 section 2.1.1: SHA-1, which every responder knows; nothing rests on its strength.
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())
    request = builder.build().public_bytes(Encoding.DER)
    for description in access.value:
        if description.access_method == AuthorityInformationAccessOID.OCSP:
            for url in _http_urls([description.access_location]):
                yield Fetch(FetchKind.OCSP, url, request)


def _lists(certificate: x509.Certificate) -> Iterator[Fetch]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    except (x509.ExtensionNotFound, ValueError):
        return
    for point in points.value:
        for url in _http_urls(point.full_name or []):
            yield Fetch(FetchKind.CRL, url)


def _http_urls(names: Sequence[x509.GeneralName]) -> Iterator[str]:
    for name in names:
        if isinstance(name, x509.UniformResourceIdentifier) and _may_be_fetched(name.value):
            yield name.value


def _may_be_fetched(url: str) -> bool:
    """Whether it is an `http:` URL in the characters of RFC 3986, with a port that there is."""
    if len(url) > _MOST_URL or not all("!" <= character <= "~" for character in url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def next_update(fetch: Fetch, data: bytes) -> datetime | None:
    """Until when an answer may be kept (UTC); None when it says nothing or cannot be read."""
    try:
        if fetch.kind is FetchKind.CRL:
            return crl_next_update(data)
        return ocsp.load_der_ocsp_response(data).next_update_utc
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        return None


@cache
def load_validator() -> None:
    """Import what judges answers: it is heavy, and most connections never need it.

    A loop has it done in a thread, before the first answer, while `validator_is_loaded` is False.
    """
    import_module("pyhanko_certvalidator")


def validator_is_loaded() -> bool:
    """Whether `load_validator` has been called, and has returned."""
    return load_validator.cache_info().currsize > 0


def judge_revocation(
    path: Sequence[x509.Certificate],
    answers: Mapping[Fetch, bytes | FetchFailed],
    *,
    mode: RevocationMode,
    wall: datetime,
    allow: Collection[Relaxation] = (),
) -> RevocationJudgment:
    """What is known of the path's revocation.

    Raises CertificateRevoked; CertificateUntrusted for answers that are stale, forged or unknown,
    unless `allow` has them count as none, and, in the hard mode, for none at all.
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
            raise CertificateUntrusted(
                f"the revocation of {subject_of(certificate)} cannot be determined: nobody answers"
            )
    return RevocationJudgment(_summary(words), tuple(passed))


def _summary(words: Sequence[str]) -> str:
    """The path's word: the worst of its certificates', else the leaf's."""
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
    """One certificate of the path: where anything was brought, it must settle the question.

    Each answer is judged by itself, so that none that is good or wrong hides one that revokes.
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
    # CRLs of some reasons each (RFC 5280 section 5.2.5) say enough only together.
    _validate(certificate, issuer, brought, wall=wall)
    return "good"


def _answered(fetch: Fetch, data: bytes) -> bool:
    """Whether this is an answer, and no responder's excuse such as tryLater (RFC 6960 2.3)."""
    if fetch.kind is FetchKind.CRL:
        return True
    try:
        status = ocsp.load_der_ocsp_response(data).response_status
    except (ValueError, UnsupportedAlgorithm):
        return True  # what cannot be read is judged, not excused
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
        # Its issuer, verified already, is the anchor; so each certificate stands for itself.
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
        # Anybody on the way may have made these bytes, and the library stumbles over some of them
        # (KeyError, AttributeError): whatever it raises, nothing was determined.
        raise CertificateUntrusted(
            f"the revocation of {subject} cannot be determined: {_cause(exc)}"
        ) from exc


def _anchor_of(issuer: x509.Certificate) -> Any:
    """A trust anchor as asn1crypto has it: the name and the key (RFC 5280 section 6.1.1).

    The validator takes an anchor for the signer of its CRLs only where it has issued itself, which
    an intermediate has not.
    """
    from asn1crypto import x509 as asn1

    anchor = asn1.Certificate.load(der_of(issuer))
    named = anchor["tbs_certificate"]
    named["issuer"] = named["subject"]
    kept = [each for each in named["extensions"] if each["extn_id"].native != _AUTHORITY_KEY]
    named["extensions"] = kept
    return anchor


def _cause(exc: Exception) -> str:
    """Words that were meant to be read, or a word for those that were not."""
    if isinstance(exc, ValueError | TypeError) or type(exc).__module__.startswith("pyhanko"):
        return _line(exc)
    return f"what was answered is malformed ({type(exc).__name__})"


def _line(exc: Exception) -> str:
    """The library's words, which may be several lines, in one."""
    return " ".join(str(exc).split())


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that awaits nothing: the validator is asynchronous only for its fetchers."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise CertificateUntrusted("the revocation check waits for something that nobody brings")
