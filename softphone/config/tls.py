"""Reads the trust store and the client certificate that a `TlsConfig` names."""

from __future__ import annotations

from softphone.config.account import TlsConfig
from softphone.trust import TlsCredential, TrustStore


def credential_of(tls: TlsConfig) -> TlsCredential | None:
    """Return the client certificate with its key; None without one."""
    if tls.certificate is None or tls.key is None:
        return None
    return TlsCredential(tls.certificate, tls.key, tls.passphrase)


def trust_store_of(tls: TlsConfig, trust: TrustStore | None = None) -> TrustStore:
    """Open the trust anchors, and the store for certificates that a person accepts.

    `trust` supplies the anchors if `tls` names no authority, and the store if it names none.
    Raises ConfigurationError when a file is missing or holds no certificate.
    """
    keep = trust if tls.store is None else TrustStore.open(tls.store, make=False)
    sources = [str(path) for path in tls.ca] + (["system"] if tls.system else [])
    return TrustStore.from_sources(*sources, keep=keep) if sources else keep or TrustStore()
