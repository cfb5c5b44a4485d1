"""Mobile and remote access through an edge server (Cisco Expressway): sign-in and HTTPS tunnel.

`tunnel_url`, `ticket` and `document` work without I/O: addresses, the cookie, the configuration.
`session` signs in and tunnels requests, `sign_in` discovers what is behind the edge.  SIP goes
through `softphone.account` with the `[edge]` of its configuration, which `softphone.device` makes.

RFC 6265 (cookies), RFC 7617 (Basic), RFC 4648 section 5 (base64url), RFC 4985 (SRVName); Cisco's
mobile and remote access, as its traces show it.
"""

from __future__ import annotations

from softphone.edge.document import EdgeConfiguration, parse_edge_configuration
from softphone.edge.session import EdgeOptions, EdgeSession, SingleSignOnAnswer
from softphone.edge.sign_in import EdgeSignIn, sign_in_at_edge
from softphone.edge.ticket import EdgeTicket, NoTicket, read_ticket
from softphone.edge.tunnel_url import (
    InsideServer,
    configuration_path,
    decode_segment,
    inside_server,
    single_sign_on_path,
    tunnel_path,
)

__all__ = [
    "EdgeConfiguration",
    "EdgeOptions",
    "EdgeSession",
    "EdgeSignIn",
    "EdgeTicket",
    "InsideServer",
    "NoTicket",
    "SingleSignOnAnswer",
    "configuration_path",
    "decode_segment",
    "inside_server",
    "parse_edge_configuration",
    "read_ticket",
    "sign_in_at_edge",
    "single_sign_on_path",
    "tunnel_path",
]
