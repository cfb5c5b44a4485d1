"""L16: linear 16-bit samples in network byte order (RFC 3551 section 4.5.11), one channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softphone_codecs.codec import Bytes, Lengths, Pcm, StatelessCodec


@dataclass(frozen=True, slots=True, kw_only=True)
class L16(StatelessCodec):
    """Linear samples with a dynamic payload type; two octets a sample."""

    name: str = "L16"
    octets_per_tick: int = 2

    def encode(self, pcm: Pcm) -> tuple[Bytes, Lengths]:
        """Encode int16[rows, samples] to uint8[rows, 2 * samples]."""
        data = np.ascontiguousarray(pcm).astype(">i2").view(np.uint8)
        return data, np.full(pcm.shape[0], 2 * pcm.shape[1], dtype=np.int32)

    def decode(self, data: Bytes, length: Lengths) -> Pcm:
        """Decode uint8[rows, size] to int16[rows, size // 2]; zeros beyond each row's length."""
        samples = data.shape[1] // 2
        octets = np.ascontiguousarray(data[:, : 2 * samples])
        pcm = octets.view(">i2").astype(np.int16)
        if pcm.size and int(length.min()) < 2 * samples:
            pcm[np.arange(samples) >= (length // 2)[:, None]] = 0
        return pcm


L16_8000 = L16(payload_type=96)
L16_16000 = L16(payload_type=97, clock_rate=16000, sample_rate=16000)
