"""G.711 mu-law and A-law (ITU-T G.711, RFC 3551 section 4.5.14) as tables.

Each decoder is a table of 256 values, each encoder one of 65,536 octets, indexed by the sample's
two's complement.  Concealment is in `softphone.media.playout`; packets are unknown here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from softphone_codecs.codec import Bytes, Lengths, Pcm, StatelessCodec


def mu_law_values() -> Pcm:
    """The 256 output values of the mu-law decoder, on the 16-bit scale (G.711 table 2)."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def a_law_values() -> Pcm:
    """The 256 output values of the A-law decoder, on the 16-bit scale (G.711 table 1)."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (code >> 4) & 7
    step = ((code & 0x0F) << 4) + 8
    magnitude = np.where(segment == 0, step, (step + 0x100) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def mu_law_codes() -> Bytes:
    """The octet of each 16-bit sample, by the decision values of G.711 table 2."""
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.minimum(np.abs(sample), 32635) + 0x84
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    code = (segment << 4) | ((magnitude >> (segment + 3)) & 0x0F)
    octets: Bytes = (~(code | np.where(sample < 0, 0x80, 0)) & 0xFF).astype(np.uint8)
    return octets


def a_law_codes() -> Bytes:
    """The octet of each 16-bit sample, by the decision values of G.711 table 1."""
    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(sample < 0, -sample - 1, sample) >> 4
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 3, 0)
    mantissa = np.where(segment == 0, magnitude, magnitude >> np.maximum(segment - 1, 0)) & 0x0F
    code = (segment << 4) | mantissa | np.where(sample < 0, 0, 0x80)
    octets: Bytes = (code ^ 0x55).astype(np.uint8)
    return octets


@dataclass(frozen=True, slots=True, kw_only=True)
class G711(StatelessCodec):
    """G.711 with one of the two laws: a table each way, one octet a sample at 8,000 Hz.

    `silence` is the octet of sample 0.
    """

    values: Pcm = field(repr=False)
    codes: Bytes = field(repr=False)
    silence: int

    @property
    def octet_values(self) -> Pcm:
        """The sample of each octet, int16[256]."""
        return self.values

    @property
    def octet_codes(self) -> Bytes:
        """The octet of each sample, uint8[65536] by its two's complement."""
        return self.codes

    def encode(self, pcm: Pcm) -> tuple[Bytes, Lengths]:
        """Encode int16[rows, samples] to uint8[rows, samples]."""
        data = np.take(self.codes, pcm.view(np.uint16))
        return data, np.full(pcm.shape[0], pcm.shape[1], dtype=np.int32)

    def decode(self, data: Bytes, length: Lengths) -> Pcm:
        """Decode uint8[rows, size] to int16[rows, size]; zeros beyond each row's length."""
        pcm = np.take(self.values, data)
        if pcm.size and int(length.min()) < pcm.shape[1]:
            pcm[np.arange(pcm.shape[1]) >= length[:, None]] = 0
        return pcm


PCMU = G711(name="PCMU", payload_type=0, values=mu_law_values(), codes=mu_law_codes(), silence=0xFF)
PCMA = G711(name="PCMA", payload_type=8, values=a_law_values(), codes=a_law_codes(), silence=0xD5)
