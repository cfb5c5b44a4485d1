"""softphone.net.datagrams."""

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
