"""G.722 at 64 kbit/s (ITU-T G.722; RFC 3551 section 4.5.2), through PyAV.

Its samples run at 16 kHz while its RTP clock runs at 8 kHz, for an old error of RFC 1890.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np

from softphone_codecs.codec import CodecUnavailable, PayloadRefused, Samples, StatefulCodec

if TYPE_CHECKING:  # PyAV is imported where it is used
    from av import AudioCodecContext

SAMPLE_RATE = 16000
FRAME = 320  # samples that the encoder takes at a time: 20 ms
MAX_PAYLOAD = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class G722Codec(StatefulCodec):
    """Wide-band speech; an octet holds two samples.  Packet times are multiples of 20 ms."""

    name: str = "G722"
    payload_type: int = 9
    sample_rate: int = SAMPLE_RATE

    def encoder(self, fmtp: str = "") -> G722Encoder:
        """A new sending half; there is nothing that `fmtp` could ask for.

        Raises CodecUnavailable.
        """
        return G722Encoder()

    def decoder(self) -> G722Decoder:
        """A new receiving half.  Raises CodecUnavailable."""
        return G722Decoder()


def _context(mode: Literal["r", "w"]) -> AudioCodecContext:
    try:
        from av import CodecContext
    except ImportError as exc:
        raise CodecUnavailable("G.722 needs PyAV: pip install av") from exc
    context = CodecContext.create("g722", mode)
    context.sample_rate = SAMPLE_RATE
    context.layout = "mono"
    context.format = "s16"
    if mode == "w":
        context.time_base = Fraction(1, SAMPLE_RATE)
    return context


class G722Encoder:
    """One stream's predictor and quantizers, sending."""

    __slots__ = ("_context",)

    def __init__(self) -> None:
        self._context = _context("w")

    def encode(self, pcm: Samples) -> bytes:
        """Encode int16[samples], a multiple of 320, to half as many octets.

        Raises ValueError for another number of samples: the encoder would keep the rest back.
        """
        from av import AudioFrame

        if pcm.size % FRAME:
            raise ValueError(f"G.722 is encoded {FRAME} samples (20 ms) at a time, not {pcm.size}")
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(pcm, dtype=np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = SAMPLE_RATE
        return b"".join(bytes(packet) for packet in self._context.encode(frame))

    def expect_loss(self, percent: int) -> None:
        """G.722 has nothing to set against loss."""


class G722Decoder:
    """One stream's predictor, receiving."""

    __slots__ = ("_context",)

    def __init__(self) -> None:
        self._context = _context("r")

    def decode(self, data: bytes) -> Samples:
        """Decode octets to twice as many samples.  Raises PayloadRefused."""
        from av import Packet

        if not 0 < len(data) <= MAX_PAYLOAD:
            raise PayloadRefused(f"{len(data)} octets are no G.722 packet")
        frames = self._context.decode(Packet(data))
        pcm: Samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
        return pcm

    def conceal(self, samples: int, following: bytes | None = None) -> Samples:
        """Silence: concealment from what was heard before is the playout's work.

        The predictor is left as it is; it finds back within a few milliseconds by itself
        (ITU-T G.722 is made to survive bit errors).
        """
        return np.zeros(samples, dtype=np.int16)


G722 = G722Codec()
