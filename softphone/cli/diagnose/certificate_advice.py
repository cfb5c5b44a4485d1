"""What `softphone doctor` says of a server's certificate that is not accepted.

The repair in the account file comes first; accepting the one certificate is offered once, last.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from softphone.config import TlsConfig
from softphone.sans_io import Target
from softphone.trust import (
    UnknownCertificate,
    load_certificate_file,
    load_certificates,
    subject_of,
)
from softphone.trust.capf.issued_certificate import issued_by

_SHOWN_SUBJECTS = 3


def explain_unknown(tls: TlsConfig, question: UnknownCertificate) -> str:
    """Return why the certificate is unknown: who issued it, and who did not.

    Raises ConfigurationError when a file of `tls.ca` cannot be read.
    """
    reason = f"{question.reason}{'; ' + question.mismatch if question.mismatch else ''}"
    if question.issuer == question.subject:
        return f"{reason}; it is self-signed: no authority issued it"
    (leaf, *_) = load_certificates(question.certificate)
    found = {Path(ca): load_certificate_file(ca) for ca in tls.ca}
    if any(issued_by(leaf, authorities) for authorities in found.values()):
        return f"{reason}; {question.issuer}, which tls.ca names, issued it"
    names = {path: [subject_of(each) for each in read] for path, read in found.items()}
    tried = [f"{path.name} ({_shown(subjects)})" for path, subjects in names.items()]
    tried += ["the system's authorities"] if tls.system else []
    if not tried:
        return f"{reason}; tls.ca names nobody; the issuer is {question.issuer}"
    same = any(question.issuer in subjects for subjects in names.values())
    other = ", of the same name and with another key" if same else ""
    return (
        f"{reason}; {' and '.join(tried)} did not issue it; the issuer is {question.issuer}{other}"
    )


def _shown(subjects: Sequence[str]) -> str:
    rest = len(subjects) - _SHOWN_SUBJECTS
    shown = ", ".join(subjects[:_SHOWN_SUBJECTS])
    return f"{shown} and {rest} more" if rest > 0 else shown


def advise_unknown(
    account: Path, tls: TlsConfig, question: UnknownCertificate, target: Target
) -> str:
    """Return how to have the certificate accepted: the authority's first, this one last."""
    line, _, _ = tls.place_of("ca").rpartition(": ")
    where = f"tls.ca ({line})" if line else f'tls.ca (ca = "FILE" below [tls] in {account})'
    host = f"[{target.host}]" if ":" in target.host else target.host
    named = target.server_name not in (None, target.host)
    name = f" --name {target.server_name}" if named else ""
    look = f"softphone trust verify {host}:{target.port} --service sip{name} --ca FILE"
    if question.issuer == question.subject:
        repair = f"have the server's certificate issued by an authority, and put that into {where}"
    else:
        repair = f"put the certificate of {question.issuer}, or of one above it, into {where}"
    return (
        f"{repair}; `{look}` shows the chain, and tries a FILE; or, if you know that this one is"
        f" right, accept it: --accept-fingerprint {question.fingerprint}"
    )


def advise_name(tls: TlsConfig) -> str | None:
    """Return what to correct where the certificate lacks `tls.server_name`; None without one."""
    if tls.server_name is None:
        return None
    place, _, key = tls.place_of("server_name").rpartition(": ")
    where = f" in {place}" if place else ""
    return (
        f'{key} says "{tls.server_name}", which the certificate does not: remove or correct it'
        f"{where}"
    )


def unused_tls(account: Path, tls: TlsConfig, target: str) -> str | None:
    """Return what is probably meant where `[tls]` says something and `target` is no TLS."""
    if tls == TlsConfig():
        return None
    return (
        f"[tls] in {account} is not used over {target}: sips: in place of sip:, or"
        " ;transport=tls, is probably meant"
    )
