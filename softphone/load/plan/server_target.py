"""Finds the server for messages sent without transactions: SIPp scenarios, conformance cases."""

from __future__ import annotations

from softphone.config import AccountConfig
from softphone.errors import ConfigurationError
from softphone.sans_io import Target, Transport
from softphone.sip import SipUri

PORTS = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}


def server_target(account: AccountConfig, called: SipUri, credential: str = "") -> Target:
    """Return the account's own server, else that of the URI that is called, without RFC 3263.

    `credential` is as in `Target`.  Raises ConfigurationError for an unknown transport.
    """
    server = account.server_uri or called
    transport = _transport_of(server)
    name = account.tls.server_name or server.host
    return Target(transport, server.host, server.port or PORTS[transport], name, credential)


def _transport_of(uri: SipUri) -> Transport:
    """The transport of a server's URI.  Raises ConfigurationError."""
    if uri.scheme == "sips":
        return Transport.TLS
    try:
        return Transport((uri.transport or "udp").lower())
    except ValueError:
        raise ConfigurationError(
            f"--target: transport={uri.transport}: expected udp, tcp or tls"
        ) from None
