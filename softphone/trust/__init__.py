"""Certificates: trust anchors and trust lists, verification, requests, enrollment and storage.

The package opens no connection: `softphone.net` runs the handshakes and fetches, and
`softphone.provisioning` runs enrollment.  It issues no certificate (the test CA is in
`softphone.lab`), and does not decide how secure a call must be (`softphone.security`).  Import
`fips` from its own package.  Names of CAPF, certificate requests and key stores are loaded on first
use, since a phone that boots no device needs none.

RFC 5280 (certificates and CRLs), RFC 5922 (SIP), RFC 6125 and RFC 9525 (names), RFC 6120
section 13.7 (XMPP), RFC 6960 (OCSP), RFC 2986 (PKCS#10); Cisco's CAPF, TVS, CTL and ITL, for which
there is no public standard.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from softphone.trust.certificate import (
    Pin,
    Service,
    check_identity,
    der_of,
    fingerprint_in,
    fingerprint_of,
    identifies,
    issuer_of,
    load_certificate_file,
    load_certificates,
    names_of,
    peer_identity,
    subject_of,
)
from softphone.trust.disk import readable_by_others, write_private
from softphone.trust.lists import (
    Acceptance,
    Bootstrap,
    FileHashAlgorithm,
    FileRefusalReason,
    FileRefused,
    FileSigner,
    ListKind,
    ListPolicy,
    RecordFields,
    Role,
    TrustBasis,
    TrustList,
    TrustListRecord,
    TrustLists,
    TrustListUpdate,
    accept_list,
    new_trust_list,
    parse_trust_list,
    role_names,
    update_lists,
    verify_trust_list,
)
from softphone.trust.resuming_context import ResumingContext, SessionOffer, offering
from softphone.trust.store import TrustStore
from softphone.trust.tls_settings import (
    TlsCredential,
    TlsSettings,
    check_credential,
    client_context,
    probe_context,
    server_context,
    verification_error,
)
from softphone.trust.tvs import (
    TvsAnswer,
    TvsAnswered,
    TvsAsked,
    TvsClient,
    TvsServer,
    TvsUnanswered,
)
from softphone.trust.verification import (
    AskTvs,
    AskUser,
    CertificateVerdict,
    Examination,
    Fetch,
    FetchFailed,
    FetchKind,
    GateRules,
    ServiceEndpoint,
    UnknownCertificate,
    VerdictCache,
    examine,
    next_update,
    question_about,
)

if TYPE_CHECKING:
    from softphone.trust.capf import (
        CapfBusy,
        CapfCertificateRejected,
        CapfClient,
        CapfError,
        CapfEvent,
        CapfFailed,
        CapfFinished,
        CapfInterrupted,
        CapfKeyRefused,
        CapfMalformed,
        CapfNotShown,
        CapfNotStored,
        CapfOperation,
        CapfRefused,
        CapfRequest,
        CapfState,
        CapfTimes,
        CapfUnfinished,
        CapfUnknownDevice,
        CertificateIssued,
        CertificateShown,
        DeletionWanted,
        KeyWanted,
    )
    from softphone.trust.csr import (
        KeyKind,
        Subject,
        SubjectAltNames,
        new_key,
        new_request,
        write_key,
    )
    from softphone.trust.keystore import (
        AcceptedList,
        Identity,
        IdentityStore,
        TrustListStore,
        bootstrap_of,
        is_encrypted,
        public_key_of,
    )

__all__ = [
    "Acceptance",
    "AcceptedList",
    "AskTvs",
    "AskUser",
    "Bootstrap",
    "CapfBusy",
    "CapfCertificateRejected",
    "CapfClient",
    "CapfError",
    "CapfEvent",
    "CapfFailed",
    "CapfFinished",
    "CapfInterrupted",
    "CapfKeyRefused",
    "CapfMalformed",
    "CapfNotShown",
    "CapfNotStored",
    "CapfOperation",
    "CapfRefused",
    "CapfRequest",
    "CapfState",
    "CapfTimes",
    "CapfUnfinished",
    "CapfUnknownDevice",
    "CertificateIssued",
    "CertificateShown",
    "CertificateVerdict",
    "DeletionWanted",
    "Examination",
    "Fetch",
    "FetchFailed",
    "FetchKind",
    "FileHashAlgorithm",
    "FileRefusalReason",
    "FileRefused",
    "FileSigner",
    "GateRules",
    "Identity",
    "IdentityStore",
    "KeyKind",
    "KeyWanted",
    "ListKind",
    "ListPolicy",
    "Pin",
    "RecordFields",
    "ResumingContext",
    "Role",
    "Service",
    "ServiceEndpoint",
    "SessionOffer",
    "Subject",
    "SubjectAltNames",
    "TlsCredential",
    "TlsSettings",
    "TrustBasis",
    "TrustList",
    "TrustListRecord",
    "TrustListStore",
    "TrustListUpdate",
    "TrustLists",
    "TrustStore",
    "TvsAnswer",
    "TvsAnswered",
    "TvsAsked",
    "TvsClient",
    "TvsServer",
    "TvsUnanswered",
    "UnknownCertificate",
    "VerdictCache",
    "accept_list",
    "bootstrap_of",
    "check_credential",
    "check_identity",
    "client_context",
    "der_of",
    "examine",
    "fingerprint_in",
    "fingerprint_of",
    "identifies",
    "is_encrypted",
    "issuer_of",
    "load_certificate_file",
    "load_certificates",
    "names_of",
    "new_key",
    "new_request",
    "new_trust_list",
    "next_update",
    "offering",
    "parse_trust_list",
    "peer_identity",
    "probe_context",
    "public_key_of",
    "question_about",
    "readable_by_others",
    "role_names",
    "server_context",
    "subject_of",
    "update_lists",
    "verification_error",
    "verify_trust_list",
    "write_key",
    "write_private",
]

_LATER = ("capf", "csr", "keystore")
"""The subpackages that only devices and enrollment need, loaded with the first of their names."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        for each in _LATER:
            module = import_module(f"{__name__}.{each}")
            if name in module.__all__:
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
