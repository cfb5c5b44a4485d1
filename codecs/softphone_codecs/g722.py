"""G.722 at 64 kbit/s (ITU-T G.722; RFC 3551 section 4.5.2), through PyAV.

Its samples run at 16 kHz and its RTP clock at 8 kHz, because of an error in RFC 1890.
"""

from __future__ import annotations

import importlib.util
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
    """Wide-band speech; an octet encodes two samples.  Packet times are multiples of 20 ms."""

    name: str = "G722"
    payload_type: int = 9
    sample_rate: int = SAMPLE_RATE

    def check_available(self) -> None:
        """Raise CodecUnavailable where PyAV is not installed."""
        if importlib.util.find_spec("av") is None:
            raise CodecUnavailable("G.722 needs PyAV")

    def encoder(self, fmtp: str = "") -> G722Encoder:
        """Make an encoder; `fmtp` is ignored, G.722 has no parameters.

        Raises CodecUnavailable.
        """
        return G722Encoder()

    def decoder(self) -> G722Decoder:
        """Make a decoder.  Raises CodecUnavailable."""
        return G722Decoder()


def _context(mode: Literal["r", "w"]) -> AudioCodecContext:
    try:
        from av import CodecContext
    except ImportError as exc:
        raise CodecUnavailable("G.722 needs PyAV") from exc
    context = CodecContext.create("g722", mode)
    context.sample_rate = SAMPLE_RATE
    context.layout = "mono"
    context.format = "s16"
    if mode == "w":
        context.time_base = Fraction(1, SAMPLE_RATE)
    return context


class G722Encoder:
    """The encoder of one stream: predictor and quantizers."""

    __slots__ = ("_context",)

    def __init__(self) -> None:
        self._context = _context("w")

    def encode(self, pcm: Samples) -> bytes:
        """Encode int16[samples], a multiple of 320, to half as many octets.

        Raises ValueError for another number of samples: the encoder would hold back the remainder.
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
        """Do nothing: G.722 has no protection against loss."""


class G722Decoder:
    """The decoder of one stream: its predictor."""

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
        """Silence: the playout conceals from what was heard before.

        The predictor is not changed; it recovers within a few milliseconds (ITU-T G.722 is made to
        survive bit errors).
        """
        return np.zeros(samples, dtype=np.int16)


G722 = G722Codec()
