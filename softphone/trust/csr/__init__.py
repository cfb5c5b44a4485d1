"""Certificate requests: key pairs, PKCS#10, and what an authority would refuse.

It makes keys and requests with the names of a service, and names every violation before anything is
written.  It issues nothing: that is an authority's work (tests use the one in `softphone.lab`).
Enrollment of devices is in `softphone.trust.capf`.  `check`, which reads requests made elsewhere,
is imported from its own module: only the command line uses it.

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
