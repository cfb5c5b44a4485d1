"""UDP sockets for media: batches of many sockets in few system calls, and single pairs.

On Linux the batches use recvmmsg and sendmmsg on arrays that are laid out once.  Pairs are read by
the event loop and suit few, large packets such as video.  RTP and the owner of a packet are known
to `softphone.media`; UDP for signaling is in `softphone.net.driver`.

RFC 3550 section 11 (pairs of ports); RFC 791, RFC 4291 and RFC 4007 (addresses and zones).
"""

from __future__ import annotations

from softphone.net.datagrams.batched_udp import (
    BURST,
    CONTROL_BURST,
    DatagramBatch,
    DatagramPort,
    DatagramPorts,
    PortPairs,
)
from softphone.net.datagrams.datagram_pair import DatagramPair
from softphone.net.datagrams.socket_address import decode_address, encode_address

__all__ = [
    "BURST",
    "CONTROL_BURST",
    "DatagramBatch",
    "DatagramPair",
    "DatagramPort",
    "DatagramPorts",
    "PortPairs",
    "decode_address",
    "encode_address",
]
