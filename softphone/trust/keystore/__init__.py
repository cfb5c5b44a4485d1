"""softphone.trust.keystore."""

from __future__ import annotations

from softphone.trust.keystore.encryption_at_rest import FileCipher, open_file_cipher
from softphone.trust.keystore.identity import Identity, is_encrypted, public_key_of
from softphone.trust.keystore.identity_store import IdentityStore
from softphone.trust.keystore.list_store import AcceptedList, TrustListStore, bootstrap_of

__all__ = [
    "AcceptedList",
    "FileCipher",
    "Identity",
    "IdentityStore",
    "TrustListStore",
    "bootstrap_of",
    "is_encrypted",
    "open_file_cipher",
    "public_key_of",
]
