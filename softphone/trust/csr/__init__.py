"""Certificate signing requests: key pairs, PKCS#10, and checks of what a CA would refuse.

Makes keys and requests with the names of a service, and reports every violation before anything is
written.  It issues no certificates (the test CA is in `softphone.lab`).  Enrollment of devices is
in `softphone.trust.capf`.  Import `check`, which reads requests made elsewhere, from its own
module: only the command line uses it.

RFC 2986 (PKCS#10), RFC 5280 (extensions), RFC 5758 section 3.2 (ECDSA), RFC 4985 (SRVName),
RFC 5922 (SIP URIs), RFC 6120 (xmppAddr).
"""

from __future__ import annotations

from softphone.trust.csr.request import (
    KeyKind,
    PrivateKey,
    Subject,
    SubjectAltNames,
    TlsPurpose,
    new_key,
    new_request,
    write_key,
)

__all__ = [
    "KeyKind",
    "PrivateKey",
    "Subject",
    "SubjectAltNames",
    "TlsPurpose",
    "new_key",
    "new_request",
    "write_key",
]
