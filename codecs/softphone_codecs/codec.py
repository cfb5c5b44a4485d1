"""What a codec is: arrays in, arrays out, and what RTP and session descriptions say of it.

A stateless codec object holds no stream: one object serves every row of a bank.  A stateful one
(G.722, Opus) predicts each sample from those before it, so there is an encoder and a decoder object
for each stream, which the caller keeps beside its row.  Neither knows RTP headers, sequence numbers
or time; payload types are the static ones of RFC 3551 section 6, and a negotiated dynamic number is
the caller's business.  `softphone_codecs.registry` has the codecs by name.
"""

from __future__ import annotations

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
    """The library that a codec stands on is not installed."""


class PayloadRefused(ValueError):
    """A payload that is none of this codec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One payload format; names as in the IANA registry of RTP payload formats.

    `payload_type` is the static number, or the dynamic one that we offer.  `clock_rate` is the RTP
    clock in Hz, `sample_rate` that of the samples in Hz (they differ for G.722, RFC 3551 section
    4.5.2).  `channels` are what `a=rtpmap` says; samples here are mono all the same.  `ptime` is
    the default packet time in ms, `octets_per_tick` the octets that one RTP clock tick takes, 0
    where packets cannot be cut at a tick.
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
        """What `a=fmtp` says of what we like to receive; empty: nothing."""
        return ""


class StatelessCodec(Codec):
    """A codec without a memory: one object encodes and decodes all streams, in batches."""

    __slots__ = ()

    def encode(self, pcm: Pcm) -> tuple[Bytes, Lengths]:
        """Encode int16[rows, samples] to uint8[rows, size] and the octets used of each row."""
        raise NotImplementedError

    def decode(self, data: Bytes, length: Lengths) -> Pcm:
        """Decode uint8[rows, size], of which `length[row]` octets count, to int16[rows, samples].

        The result has as many samples as `size` octets hold; what lies beyond a row's length is
        silence.
        """
        raise NotImplementedError


class RowEncoder(Protocol):
    """The sending half of one stream."""

    def encode(self, pcm: Samples) -> bytes:
        """One packet's payload from one packet time of int16[samples].

        Empty: nothing is to be sent now (discontinuous transmission).
        """

    def expect_loss(self, percent: int) -> None:
        """How much of what we send is lost (0 to 100), where the codec can provide for it."""


class RowDecoder(Protocol):
    """The receiving half of one stream."""

    def decode(self, data: bytes) -> Samples:
        """The int16[samples] of one payload.  Raises PayloadRefused; the stream goes on."""

    def conceal(self, samples: int, following: bytes | None = None) -> Samples:
        """int16[samples] in place of a packet that did not come.

        `following` is the packet after it where that is already here: some codecs carry the lost
        one's sound there once more.
        """


class StatefulCodec(Codec):
    """A codec with a memory: each stream has an encoder and a decoder of its own."""

    __slots__ = ()

    conceals: ClassVar[bool] = False
    """Whether its decoders fill a gap better than with silence."""

    def encoder(self, fmtp: str = "") -> RowEncoder:
        """A new sending half, for a far end that has said `fmtp`.  Raises CodecUnavailable."""
        raise NotImplementedError

    def decoder(self) -> RowDecoder:
        """A new receiving half.  Raises CodecUnavailable."""
        raise NotImplementedError
