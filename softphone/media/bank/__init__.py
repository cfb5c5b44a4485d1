"""The state of all audio streams, as arrays with one row per stream.

The bank holds rows and handles, addresses, counters, shared sources, decoders, reception
statistics, and the look-up of a row by socket and source address.  The processing at each tick is
in `softphone.media.tick`, jitter buffers are in `softphone.media.playout`, sockets and the clock in
`softphone.media.engine`, SRTP in `softphone.srtp`.

RFC 3550 sections 6.4.1, A.1, A.3 and A.8 (sequence numbers, loss, jitter), RFC 7160 section 4.2 (a
change of the clock rate), RFC 3711 section 3.3.1 (the first sequence number).
"""

from __future__ import annotations

from softphone.media.bank.address import is_same_source, print_address, same_host, same_source
from softphone.media.bank.batch import PacketBatch
from softphone.media.bank.codec_lookup import (
    AnyCodec,
    find_codec,
    is_stateful,
    is_stateless,
    payload_layout,
)
from softphone.media.bank.send_grouping import SendFormat, SendGroupingBank
from softphone.media.bank.sender import LATENESS_BOUNDS_MS, NO_TYPE
from softphone.media.bank.source_feed import FeedGroup, FrameBank, SourceFeed, SourceReader
from softphone.media.bank.stateful_decoder import StatefulDecoder
from softphone.media.bank.stream_bank import (
    FEW_STREAMS,
    FRAME,
    FRAME_MS,
    StreamBank,
    StreamObjects,
)

__all__ = [
    "FEW_STREAMS",
    "FRAME",
    "FRAME_MS",
    "LATENESS_BOUNDS_MS",
    "NO_TYPE",
    "AnyCodec",
    "FeedGroup",
    "FrameBank",
    "PacketBatch",
    "SendFormat",
    "SendGroupingBank",
    "SourceFeed",
    "SourceReader",
    "StatefulDecoder",
    "StreamBank",
    "StreamObjects",
    "find_codec",
    "is_same_source",
    "is_stateful",
    "is_stateless",
    "payload_layout",
    "print_address",
    "same_host",
    "same_source",
]
