"""The media engine: the clock and the sockets of all audio streams, in one event loop.

The engine runs a timer for each phase (a group of streams served together every 20 ms), receives
and sends datagrams, and attaches detectors to live streams.  The processing of a batch of packets
is in `softphone.media.tick`, the state of the streams in `softphone.media.bank`, the system calls
in `softphone.net.datagrams`.  `softphone.media.worker` runs an engine in another process.

RFC 3550 section 11 (pairs of ports), RFC 5761 (RTP and RTCP on one port), RFC 4961 (symmetric
RTP), RFC 3711 (SRTP).
"""

from __future__ import annotations

from softphone.media.engine.engine import MediaEngine
from softphone.media.engine.live_detection import LiveDetector, start_detection
from softphone.media.engine.sockets import encode_remote

__all__ = ["LiveDetector", "MediaEngine", "encode_remote", "start_detection"]
