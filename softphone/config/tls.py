"""Reads the trust store, certificates and trust lists that a configuration names."""

from __future__ import annotations

from collections.abc import Iterator

from softphone.config.account import TlsConfig
from softphone.errors import ConfigurationError
from softphone.personas import DeviceIdentity
from softphone.trust import TlsCredential, TrustLists, TrustStore
from softphone.trust.certificate import serves_clients, serves_servers


def credential_of(tls: TlsConfig) -> TlsCredential | None:
    """Return the client certificate with its key; None without one."""
    if tls.certificate is None or tls.key is None:
        return None
    place = tls.place_of("certificate")
    return TlsCredential(tls.certificate, tls.key, tls.passphrase, place)


def server_credential_of(tls: TlsConfig) -> TlsCredential | None:
    """Return what a listener shows: the server certificate, else the client's; None without."""
    if tls.server_certificate is None or tls.server_key is None:
        return credential_of(tls)
    place = tls.place_of("server_certificate")
    return TlsCredential(tls.server_certificate, tls.server_key, tls.server_passphrase, place)


def purpose_warnings(tls: TlsConfig, *, dials: bool, listens: bool) -> Iterator[str]:
    """Warn of our certificates that are shown for what their extended key usage does not allow.

    `dials` is whether the account connects to servers, `listens` whether it has a listener.
    Raises ConfigurationError for a file without certificate.
    """
    client, server = credential_of(tls), server_credential_of(tls)
    if dials and client is not None and not serves_clients(client.certificate):
        yield (
            f"{client.certificate} is for servers only (its extended key usage has no clientAuth),"
            " and is shown to a server: many refuse it. Public authorities issue no other since"
            " 2026: have the server's own or a private authority sign a client certificate for"
            " tls.certificate, and name this one in tls.server_certificate if the account listens"
        )
    if listens and server is not None and not serves_servers(server.certificate):
        yield (
            f"{server.certificate} is for clients only (its extended key usage has no serverAuth),"
            " and is shown by the listener: its clients refuse it. Name a server certificate in"
            " tls.server_certificate"
        )


def trust_lists_of(device: DeviceIdentity | None) -> TrustLists:
    """Load the trust lists of the store that a device has booted into; none without a store.

    Raises ConfigurationError when there is none in the store, or a damaged one.
    """
    if device is None or device.store is None:
        return TrustLists()
    from softphone.trust import TrustListStore  # with the keystore, which few accounts need

    lists = TrustListStore(device.store).held()
    if not lists:
        raise ConfigurationError(
            f"device.store: {device.store} holds no trust list: boot {device.name} into it first"
            " (Phone.boot)"
        )
    return lists


def trust_store_of(tls: TlsConfig, trust: TrustStore | None = None) -> TrustStore:
    """Open the trust anchors, and the store for certificates that a person accepts.

    `trust` supplies the anchors if `tls` names no authority, and the store if it names none.
    Raises ConfigurationError, with the place of the key, when a file is missing or holds no
    certificate.
    """
    keep = trust if tls.store is None else TrustStore.open(tls.store, make=False)
    sources = [str(path) for path in tls.ca] + (["system"] if tls.system else [])
    try:
        return TrustStore.from_sources(*sources, keep=keep) if sources else keep or TrustStore()
    except ConfigurationError as error:
        raise ConfigurationError(f"{tls.place_of('ca')}: {error}") from error
