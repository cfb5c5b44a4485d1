"""softphone.net.stream."""

from __future__ import annotations

from softphone.net.stream.certificate_prompts import Questions
from softphone.net.stream.connection import (
    StreamConnection,
    StreamOwner,
    address_of,
    connect_socket,
)
from softphone.net.stream.dialer import Dialer, Prepare, Resolver, addresses_of, system_addresses
from softphone.net.stream.handshake_slots import Slots
from softphone.net.stream.inner_tls import InnerTls
from softphone.net.stream.listener import Listener, bind_stream
from softphone.net.stream.revocation_answers import Fetcher
from softphone.net.stream.tls_handshake import Gate, TlsClient, TlsServer, verified_chain

__all__ = [
    "Dialer",
    "Fetcher",
    "Gate",
    "InnerTls",
    "Listener",
    "Prepare",
    "Questions",
    "Resolver",
    "Slots",
    "StreamConnection",
    "StreamOwner",
    "TlsClient",
    "TlsServer",
    "address_of",
    "addresses_of",
    "bind_stream",
    "connect_socket",
    "system_addresses",
    "verified_chain",
]
