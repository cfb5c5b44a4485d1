"""The media tick: the pure stages that process one 20 ms frame of one phase of streams.

A tick takes received packets and the time, and gives packets to send, all as arrays.  There is no
socket, no clock and no thread here.  Sockets and timers are in `softphone.media.engine`, stream
state in `softphone.media.bank`, jitter buffers and loss concealment in `softphone.media.playout`,
SRTP in `softphone.srtp`, the formats of single packets in `softphone.rtp`.

RFC 3550 sections 5.1, 6, 8.2 and A.1, RFC 3711 with RFC 4568 section 7.1.4 (new keys), RFC 3389
(comfort noise), RFC 4733 sections 2.3.5 and 2.5 (digits), RFC 4961 (symmetric RTP), RFC 5761
section 4, RFC 3611 (XR), RFC 3264 section 6.1 and RFC 7160 (a change of codec).
"""

from __future__ import annotations

from softphone.media.tick.lateness import BIN_STARTS_MS, BINS, LatenessHistogram, LatenessNotice
from softphone.media.tick.rtcp import make_bye
from softphone.media.tick.stream_commands import RemoteAddresses
from softphone.media.tick.tick import (
    TickTime,
    count_due_packets,
    run_receive_half,
    run_send_half,
    skip_frames,
)

__all__ = [
    "BINS",
    "BIN_STARTS_MS",
    "LatenessHistogram",
    "LatenessNotice",
    "RemoteAddresses",
    "TickTime",
    "count_due_packets",
    "make_bye",
    "run_receive_half",
    "run_send_half",
    "skip_frames",
]
