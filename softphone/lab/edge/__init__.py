"""The lab's edge server: an Expressway in front of its cluster, as published traces show one.

`web` answers `get_edge_config` and tunnels HTTPS.  Its misbehavior is in `EdgeFaults`.

RFC 3261 section 16 (proxies), RFC 3711 and RFC 4568 (SRTP by SDES), RFC 6265 (cookies).
"""

from __future__ import annotations

from softphone.lab.edge.web import EdgeFaults, LabEdgeWeb

__all__ = ["EdgeFaults", "LabEdgeWeb"]
