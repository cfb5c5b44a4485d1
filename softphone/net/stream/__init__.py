"""TCP and TLS connections: dialing, accepting, the handshake, and the check of certificates.

No application data passes a TLS connection before the far end's certificate has been judged; the
judgment and the TLS settings are in `softphone.trust`.  Framing is left to the machine, which gets
the bytes as they arrive.  SIP's choice of servers is in `softphone.sip.transport`, connections for
other protocols are in `softphone.net.verified`.

RFC 3261 section 18 (stream transports), RFC 8446 and RFC 5246 (TLS 1.3 and 1.2), RFC 6761
section 6.3 (localhost), RFC 8305 (addresses of a host are tried side by side).
"""

from __future__ import annotations

from softphone.net.stream.certificate_prompts import CertificatePrompts
from softphone.net.stream.connection import (
    ConnectionOwner,
    StreamConnection,
    address_of,
    connect_socket,
)
from softphone.net.stream.dialer import (
    AdmitTarget,
    Dialer,
    HostResolver,
    PrepareSocket,
    addresses_of,
    system_addresses,
    with_port_advice,
)
from softphone.net.stream.handshake_slots import HandshakeSlots
from softphone.net.stream.listener import StreamListener, bind_stream
from softphone.net.stream.revocation_answers import Fetcher
from softphone.net.stream.tls_handshake import (
    CertificateGate,
    TlsClient,
    TlsServer,
    shown_chain,
    verified_chain,
)

__all__ = [
    "AdmitTarget",
    "CertificateGate",
    "CertificatePrompts",
    "ConnectionOwner",
    "Dialer",
    "Fetcher",
    "HandshakeSlots",
    "HostResolver",
    "PrepareSocket",
    "StreamConnection",
    "StreamListener",
    "TlsClient",
    "TlsServer",
    "address_of",
    "addresses_of",
    "bind_stream",
    "connect_socket",
    "shown_chain",
    "system_addresses",
    "verified_chain",
    "with_port_advice",
]
