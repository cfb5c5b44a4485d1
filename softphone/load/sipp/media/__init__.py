"""Media of SIPp scenarios: recorded packets, where they go and under which keys, and their replay.

RFC 3550 (RTP), RFC 4568 (keys in SDP); libpcap's file format has no standard.  Nothing is exported.
"""

from __future__ import annotations

__all__: list[str] = []
