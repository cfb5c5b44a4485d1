"""A small PKI for tests, made once a process: a trusted authority and an untrusted one."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

from softphone.lab import Authority, CertificateNames, IssuedCertificate
from softphone.sans_io import Target, Transport
from softphone.trust import TlsCredential, TlsSettings, TrustStore

HOST = "pbx.example.test"


@cache
def authority() -> Authority:
    return Authority("test CA")


@cache
def foreign() -> Authority:
    return Authority("foreign CA")


@cache
def server() -> IssuedCertificate:
    return authority().server(HOST, CertificateNames(dns=(HOST,), ip=("127.0.0.1",)))


@cache
def alice() -> IssuedCertificate:
    return authority().client("sip:alice@example.test")


@cache
def mallory() -> IssuedCertificate:
    return foreign().client("sip:alice@example.test")


def store(*authorities: Authority) -> TrustStore:
    return TrustStore(each.certificate for each in authorities or (authority(),))


def settings(
    folder: Path, issued: IssuedCertificate | None, name: str = "own", **more
) -> TlsSettings:
    """TLS settings that believe the test CA, unless told otherwise."""
    credential = issued.write(folder, name) if issued is not None else None
    return TlsSettings(**{"store": store(), "credential": credential, **more})


def raw_server_context(credential: TlsCredential, *, ask_client: bool = False) -> ssl.SSLContext:
    """A server context of plain `ssl`, without our checks of its own credential."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(credential.certificate, credential.key)
    if ask_client:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def tls_target(address, server_name: str | None = HOST) -> Target:
    return Target(Transport.TLS, *address, server_name)
