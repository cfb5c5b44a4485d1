"""Keys and certificates on disk: device identities, accepted trust lists, encryption at rest.

It keeps what others have made and checked: keys come from `softphone.trust.csr`, certificates from
`softphone.trust.capf`, and which trust list is accepted is decided in `softphone.trust.lists`.
Trust anchors and pins are kept by `softphone.trust` itself, plain files by `softphone.trust.disk`.

RFC 7468 (PEM), RFC 5958 (encrypted PKCS#8 keys), NIST SP 800-38D (AES-256-GCM with random nonces).
"""

from __future__ import annotations

from softphone.trust.keystore.identity import Identity, is_encrypted, public_key_of
from softphone.trust.keystore.identity_store import IdentityStore
from softphone.trust.keystore.list_store import AcceptedList, TrustListStore, bootstrap_of

__all__ = [
    "AcceptedList",
    "Identity",
    "IdentityStore",
    "TrustListStore",
    "bootstrap_of",
    "is_encrypted",
    "public_key_of",
]
