"""Keys and certificates on disk: device identities, accepted trust lists, encryption at rest.

It only stores: `softphone.trust.csr` makes keys, `softphone.trust.capf` gets certificates, and
`softphone.trust.lists` decides which trust list is accepted.  Trust anchors and pins are in
`softphone.trust.store`, atomic file writes in `softphone.trust.disk`.

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
