"""The media engine: clock, sockets and stages joined in one event loop.

It runs each phase of streams by a timer of its own, receives and sends datagrams, and puts
detectors on live streams.  What happens to a batch of packets is in `softphone.media.tick`, the
state of the streams in `softphone.media.bank`, the system calls in `softphone.net.datagrams`.  The
engine in a process of its own is `softphone.media.worker`.

RFC 3550 section 11 (pairs of ports), RFC 5761 (RTP and RTCP on one port), RFC 4961 (symmetric
RTP), RFC 3711 (SRTP).
"""

from __future__ import annotations

from softphone.media.engine.engine import MediaEngine
from softphone.media.engine.live_detection import start_detection
from softphone.media.engine.sockets import encode_remote

__all__ = ["MediaEngine", "encode_remote", "start_detection"]
