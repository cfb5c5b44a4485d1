"""softphone.media.bank."""

from __future__ import annotations

from softphone.media.bank.address import print_address, same_host, same_source
from softphone.media.bank.batch import FrameBatch, PacketBatch
from softphone.media.bank.codec_lookup import AnyCodec, find_codec, forgets, geometry, remembers
from softphone.media.bank.source_feed import Feed, collect, read
from softphone.media.bank.stateful_decoder import Voice
from softphone.media.bank.stream_bank import (
    FEW,
    FRAME,
    FRAME_MS,
    LATENESS_BOUNDS_MS,
    NO_TYPE,
    Stream,
    StreamBank,
)

__all__ = [
    "FEW",
    "FRAME",
    "FRAME_MS",
    "LATENESS_BOUNDS_MS",
    "NO_TYPE",
    "AnyCodec",
    "Feed",
    "FrameBatch",
    "PacketBatch",
    "Stream",
    "StreamBank",
    "Voice",
    "collect",
    "find_codec",
    "forgets",
    "geometry",
    "print_address",
    "read",
    "remembers",
    "same_host",
    "same_source",
]
