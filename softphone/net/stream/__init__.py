"""softphone.net.stream."""

from __future__ import annotations

from softphone.net.stream.certificate_prompts import CertificatePrompts
from softphone.net.stream.connection import (
    ConnectionOwner,
    StreamConnection,
    address_of,
    connect_socket,
)
from softphone.net.stream.dialer import (
    Dialer,
    HostResolver,
    PrepareSocket,
    addresses_of,
    system_addresses,
)
from softphone.net.stream.handshake_slots import HandshakeSlots
from softphone.net.stream.inner_tls import InnerTls
from softphone.net.stream.listener import StreamListener, bind_stream
from softphone.net.stream.revocation_answers import Fetcher
from softphone.net.stream.tls_handshake import CertificateGate, TlsClient, TlsServer, verified_chain

__all__ = [
    "CertificateGate",
    "CertificatePrompts",
    "ConnectionOwner",
    "Dialer",
    "Fetcher",
    "HandshakeSlots",
    "HostResolver",
    "InnerTls",
    "PrepareSocket",
    "StreamConnection",
    "StreamListener",
    "TlsClient",
    "TlsServer",
    "address_of",
    "addresses_of",
    "bind_stream",
    "connect_socket",
    "system_addresses",
    "verified_chain",
]
