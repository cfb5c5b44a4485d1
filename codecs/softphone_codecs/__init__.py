"""Audio codecs as batches: int16[rows, samples] in, uint8[rows, size] out, and back."""

from __future__ import annotations

from softphone_codecs.codec import (
    Bytes,
    Lengths,
    Pcm,
    StatelessCodec,
    UnknownCodec,
    stateless_codec,
    stateless_codec_names,
)
from softphone_codecs.comfort_noise import (
    PAYLOAD_TYPE,
    ComfortNoise,
    ComfortNoiseGenerator,
    pack_noise,
    unpack_noise,
)
from softphone_codecs.stateful import (
    CodecUnavailable,
    PayloadRefused,
    RowDecoder,
    RowEncoder,
    Samples,
    StatefulCodec,
    stateful_codec,
    stateful_codec_names,
)

__all__ = [
    "PAYLOAD_TYPE",
    "Bytes",
    "CodecUnavailable",
    "ComfortNoise",
    "ComfortNoiseGenerator",
    "Lengths",
    "PayloadRefused",
    "Pcm",
    "RowDecoder",
    "RowEncoder",
    "Samples",
    "StatefulCodec",
    "StatelessCodec",
    "UnknownCodec",
    "pack_noise",
    "stateful_codec",
    "stateful_codec_names",
    "stateless_codec",
    "stateless_codec_names",
    "unpack_noise",
]
