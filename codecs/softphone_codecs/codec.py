"""The interface of codecs: arrays in, arrays out, and their parameters in RTP and SDP.

A stateless codec keeps nothing of a stream: one object serves every row of a batch.  A stateful one
(G.722, Opus) predicts each sample from earlier ones, so each stream has its own encoder and decoder
object, which the caller keeps.  Both know nothing of RTP headers, sequence numbers or time; payload
types are the static ones of RFC 3551 section 6, and the caller keeps negotiated dynamic ones.
`softphone_codecs.registry` finds codecs by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pcm: TypeAlias = NDArray[np.int16]
"""Linear samples, int16[rows, samples]."""

Samples: TypeAlias = NDArray[np.int16]
"""Linear samples of one stream, int16[samples]."""

Bytes: TypeAlias = NDArray[np.uint8]
"""Encoded payloads, uint8[rows, size]."""

Lengths: TypeAlias = NDArray[np.int32]
"""Octets used of each row, int32[rows]."""


class CodecUnavailable(RuntimeError):
    """The library that a codec needs is not installed; the text names it."""


class PayloadRefused(ValueError):
    """A payload that this codec cannot decode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One payload format; names as in the IANA registry of RTP payload formats.

    `payload_type` is the static number, or the dynamic one that we offer.  `clock_rate` is the RTP
    clock in Hz, `sample_rate` that of the samples in Hz (they differ for G.722, RFC 3551 section
    4.5.2).  `channels` is the number in `a=rtpmap`; samples here are always mono.  `ptime` is the
    default packet time in ms.  `octets_per_tick` is the octets of one RTP clock tick, 0 where
    packets cannot be cut at a tick.
    """

    name: str
    payload_type: int
    clock_rate: int = 8000
    sample_rate: int = 8000
    channels: int = 1
    ptime: int = 20
    octets_per_tick: int = 1

    @property
    def fmtp(self) -> str:
        """Our receive parameters for `a=fmtp`; empty if there are none."""
        return ""

    def check_available(self) -> None:
        """Raise CodecUnavailable where the library that the codec needs is not installed."""


class StatelessCodec(Codec, ABC):
    """A codec without state: one object encodes and decodes all streams, in batches."""

    __slots__ = ()

    @property
    def octet_values(self) -> Pcm | None:
        """The sample of each octet, int16[256], where every sample is one octet; else None."""
        return None

    @property
    def octet_codes(self) -> Bytes | None:
        """The octet of each sample, uint8[65536] by its two's complement; None as above."""
        return None

    @abstractmethod
    def encode(self, pcm: Pcm) -> tuple[Bytes, Lengths]:
        """Encode int16[rows, samples] to uint8[rows, size] and the octets used of each row."""

    @abstractmethod
    def decode(self, data: Bytes, length: Lengths) -> Pcm:
        """Decode uint8[rows, size], of which `length[row]` octets count, to int16[rows, samples].

        The result has as many samples as `size` octets hold; samples beyond a row's length are
        silence.
        """


class RowEncoder(Protocol):
    """The encoder of one stream."""

    def encode(self, pcm: Samples) -> bytes:
        """Encode one packet time of int16[samples] to a payload.

        Returns b"" when nothing is to be sent (discontinuous transmission).
        """

    def expect_loss(self, percent: int) -> None:
        """Set the expected loss of what we send, 0 to 100 percent; some codecs adapt to it."""


class RowDecoder(Protocol):
    """The decoder of one stream."""

    def decode(self, data: bytes) -> Samples:
        """Decode one payload to int16[samples].  Raises PayloadRefused; the stream goes on."""

    def conceal(self, samples: int, following: bytes | None = None) -> Samples:
        """int16[samples] to play in place of a lost packet.

        `following` is the next packet if it has already arrived: some codecs repeat the lost sound
        there.
        """


class StatefulCodec(Codec, ABC):
    """A codec with state: each stream has its own encoder and decoder."""

    __slots__ = ()

    conceals: ClassVar[bool] = False
    """Whether the decoders fill a gap better than with silence."""

    @abstractmethod
    def encoder(self, fmtp: str = "") -> RowEncoder:
        """Make an encoder for a far end whose `a=fmtp` is `fmtp`.  Raises CodecUnavailable."""

    @abstractmethod
    def decoder(self) -> RowDecoder:
        """Make a decoder.  Raises CodecUnavailable."""
