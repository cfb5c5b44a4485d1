"""Audio codecs as batches: int16[rows, samples] in, uint8[rows, size] out, and back."""

from __future__ import annotations

from softphone_codecs.codec import (
    Bytes,
    CodecUnavailable,
    Lengths,
    PayloadRefused,
    Pcm,
    RowDecoder,
    RowEncoder,
    Samples,
    StatefulCodec,
    StatelessCodec,
    UnknownCodec,
    stateful_codec,
    stateful_codec_names,
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
