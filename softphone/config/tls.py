"""What a `TlsConfig` names, read: its trust store and its client certificate."""

from __future__ import annotations

from softphone.config.account import TlsConfig
from softphone.trust import TlsCredential, TrustStore


def credential_of(tls: TlsConfig) -> TlsCredential | None:
    """The certificate that is shown, with its key; None without one."""
    if tls.certificate is None or tls.key is None:
        return None
    return TlsCredential(tls.certificate, tls.key, tls.passphrase)


def trust_store_of(tls: TlsConfig, trust: TrustStore | None = None) -> TrustStore:
    """Whom it believes, and where certificates are kept that were accepted when asked.

    `trust` is believed where it names no authority, and keeps where it names no store.  Raises
    ConfigurationError when a file is missing or holds no certificate.
    """
    keep = trust if tls.store is None else TrustStore.open(tls.store, make=False)
    sources = [str(path) for path in tls.ca] + (["system"] if tls.system else [])
    return TrustStore.from_sources(*sources, keep=keep) if sources else keep or TrustStore()
