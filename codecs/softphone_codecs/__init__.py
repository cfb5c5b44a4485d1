"""Audio codecs as batches: int16[rows, samples] in, uint8[rows, size] out, and back."""

from __future__ import annotations

from softphone_codecs.codec import Bytes, Codec, Lengths, Pcm, UnknownCodec, codec, codec_names
from softphone_codecs.comfort_noise import PAYLOAD_TYPE, Noise, NoiseSource, pack, unpack
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
    "Codec",
    "CodecUnavailable",
    "Lengths",
    "Noise",
    "NoiseSource",
    "PayloadRefused",
    "Pcm",
    "RowDecoder",
    "RowEncoder",
    "Samples",
    "StatefulCodec",
    "UnknownCodec",
    "codec",
    "codec_names",
    "pack",
    "stateful_codec",
    "stateful_codec_names",
    "unpack",
]
