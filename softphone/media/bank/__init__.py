"""softphone.media.bank."""

from __future__ import annotations

from softphone.media.bank.address import print_address, same_host, same_source
from softphone.media.bank.batch import FrameBatch, PacketBatch
from softphone.media.bank.codec_lookup import (
    AnyCodec,
    find_codec,
    is_stateful,
    is_stateless,
    payload_layout,
)
from softphone.media.bank.source_feed import SourceFeed, collect_payloads, read_frames
from softphone.media.bank.stateful_decoder import StatefulDecoder
from softphone.media.bank.stream_bank import (
    FEW_STREAMS,
    FRAME,
    FRAME_MS,
    LATENESS_BOUNDS_MS,
    NO_TYPE,
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
    "FrameBatch",
    "PacketBatch",
    "SourceFeed",
    "StatefulDecoder",
    "StreamBank",
    "StreamObjects",
    "collect_payloads",
    "find_codec",
    "is_stateful",
    "is_stateless",
    "payload_layout",
    "print_address",
    "read_frames",
    "same_host",
    "same_source",
]
