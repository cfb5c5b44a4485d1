"""Media of SIPp scenarios: what is sent, where it goes and under which keys, and what is heard.

RFC 3550 (RTP), RFC 4568 (keys in SDP); libpcap's file format has no standard.  Nothing is exported.
"""

from __future__ import annotations

__all__: list[str] = []
