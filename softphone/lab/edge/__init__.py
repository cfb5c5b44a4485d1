"""The lab's edge server: an Expressway in front of its cluster, as published traces show one.

`web` answers `get_edge_config` and tunnels HTTPS, `proxy` carries SIP over TLS to the registrar,
`xmpp` carries XMPP to the IM and Presence node, `relay` encrypts media towards the phone.
Misbehavior is in `EdgeFaults`.  No standard says what an edge is: it was never compared with a real
one.

RFC 3261 section 16 (proxies), RFC 3711 and RFC 4568 (SRTP by SDES), RFC 6120 section 5 (STARTTLS),
RFC 6265 (cookies).
"""

from __future__ import annotations

from softphone.lab.edge.proxy import EdgeProxy, ProxyRefusal
from softphone.lab.edge.relay import CallRelay
from softphone.lab.edge.server import ROUTE, LabEdge
from softphone.lab.edge.web import EdgeFaults, LabEdgeWeb
from softphone.lab.edge.xmpp import EdgeXmpp

__all__ = [
    "ROUTE",
    "CallRelay",
    "EdgeFaults",
    "EdgeProxy",
    "EdgeXmpp",
    "LabEdge",
    "LabEdgeWeb",
    "ProxyRefusal",
]
