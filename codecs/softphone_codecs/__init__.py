"""Audio codecs as batches: int16[rows, samples] in, uint8[rows, size] out, and back."""

from __future__ import annotations

from softphone_codecs.base import Bytes, Codec, Lengths, Pcm, UnknownCodec, codec, codec_names

__all__ = ["Bytes", "Codec", "Lengths", "Pcm", "UnknownCodec", "codec", "codec_names"]
