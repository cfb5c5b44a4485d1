"""Audio codecs over NumPy arrays, in batches or with one object for each stream.

A batch is int16[rows, samples] in and uint8[rows, size] out, and the reverse.  RTP headers,
sequence numbers and time are in `softphone.rtp` and `softphone.media`, jitter buffers and loss
concealment in `softphone.media.playout`, negotiated payload types in `softphone.sdp`, video codecs
in `softphone.media.video`.  This package imports nothing of `softphone`.

ITU-T G.711, G.722 (by PyAV) and Opus (RFC 6716 and RFC 7587, by libopus), L16 and the static
payload types of RFC 3551 (sections 4.5 and 6), comfort noise of RFC 3389.  The codec modules are
not exported: each is imported when its codec is first requested by name.
"""

from __future__ import annotations

from softphone_codecs.codec import (
    Bytes,
    Codec,
    CodecUnavailable,
    Lengths,
    PayloadRefused,
    Pcm,
    RowDecoder,
    RowEncoder,
    Samples,
    StatefulCodec,
    StatelessCodec,
)
from softphone_codecs.comfort_noise import (
    PAYLOAD_TYPE,
    ComfortNoise,
    ComfortNoiseGenerator,
    pack_noise,
    unpack_noise,
)
from softphone_codecs.registry import AnyCodec, UnknownCodec, codec_name, codec_names, find_codec

__all__ = [
    "PAYLOAD_TYPE",
    "AnyCodec",
    "Bytes",
    "Codec",
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
    "codec_name",
    "codec_names",
    "find_codec",
    "pack_noise",
    "unpack_noise",
]
