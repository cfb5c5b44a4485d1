"""What a codec is: arrays in, arrays out, and the codecs by name.

A stateless codec object holds no stream: one object serves every row of a bank.  A stateful one
(G.722, Opus) predicts each sample from those before it, so there is an encoder and a decoder object
for each stream, which the caller keeps beside its row.  Neither knows RTP headers, sequence numbers
or time; payload types are the static ones of RFC 3551 section 6, and a negotiated dynamic number is
the caller's business.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Bytes",
    "CodecUnavailable",
    "Lengths",
    "PayloadRefused",
    "Pcm",
    "RowDecoder",
    "RowEncoder",
    "Samples",
    "StatefulCodec",
    "StatelessCodec",
    "UnknownCodec",
    "stateful_codec",
    "stateful_codec_names",
    "stateless_codec",
    "stateless_codec_names",
]

Pcm: TypeAlias = NDArray[np.int16]
"""Linear samples, int16[rows, samples]."""

Bytes: TypeAlias = NDArray[np.uint8]
"""Encoded payloads, uint8[rows, size]."""

Lengths: TypeAlias = NDArray[np.int32]
"""Octets used of each row, int32[rows]."""


class UnknownCodec(LookupError):
    """There is no codec of that name here."""


class StatelessCodec(Protocol):
    """One payload format; names as in the IANA registry of RTP payload formats.

    `clock_rate` is the RTP clock in Hz, `sample_rate` that of the samples in Hz (they differ for
    G.722 only, RFC 3551 section 4.5.2), `ptime` the default packet time in ms, and
    `octets_per_tick` the octets that one RTP clock tick takes, 0 where packets cannot be cut.
    `payload_type` is the static number, or the customary dynamic one.
    """

    @property
    def name(self) -> str:
        """The encoding name of RFC 3551, as in `a=rtpmap`."""

    @property
    def payload_type(self) -> int:
        """The static payload type, or the one we offer."""

    @property
    def clock_rate(self) -> int:
        """The RTP clock, Hz."""

    @property
    def sample_rate(self) -> int:
        """The rate of the samples, Hz."""

    @property
    def ptime(self) -> int:
        """The default packet time, ms."""

    @property
    def octets_per_tick(self) -> int:
        """Octets per RTP clock tick; 0: the payload cannot be cut at a tick."""

    def encode(self, pcm: Pcm) -> tuple[Bytes, Lengths]:
        """Encode int16[rows, samples] to uint8[rows, size] and the octets used of each row."""

    def decode(self, data: Bytes, length: Lengths) -> Pcm:
        """Decode uint8[rows, size], of which `length[row]` octets count, to int16[rows, samples].

        The result has as many samples as `size` octets hold; what lies beyond a row's length is
        silence.
        """


STATELESS_CODECS = {
    "PCMU": ("softphone_codecs.g711", "PCMU"),
    "PCMA": ("softphone_codecs.g711", "PCMA"),
    "L16": ("softphone_codecs.l16", "L16_8000"),
    "L16/16000": ("softphone_codecs.l16", "L16_16000"),
}


def stateless_codec_names() -> tuple[str, ...]:
    """The names that `stateless_codec` knows, in order of preference."""
    return tuple(STATELESS_CODECS)


def stateless_codec(name: str) -> StatelessCodec:
    """The codec of that name, case-insensitive; its module is imported on first use.

    `name` is an encoding name, with "/clock rate" where it is not the usual one.

    Raises UnknownCodec.
    """
    key = name.upper()
    if key.endswith("/8000"):
        key = key.removesuffix("/8000")
    if key not in STATELESS_CODECS:
        known = ", ".join(STATELESS_CODECS)
        raise UnknownCodec(f"there is no codec {name[:64]!r} here; there are {known}")
    module, attribute = STATELESS_CODECS[key]
    return cast("StatelessCodec", getattr(import_module(module), attribute))


Samples: TypeAlias = NDArray[np.int16]
"""Linear samples of one stream, int16[samples]."""


class CodecUnavailable(RuntimeError):
    """The library that a codec stands on is not installed."""


class PayloadRefused(ValueError):
    """A payload that is none of this codec."""


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


class StatefulCodec(Protocol):
    """One payload format with memory; the properties are those of `StatelessCodec`."""

    @property
    def name(self) -> str:
        """The encoding name, as in `a=rtpmap`."""

    @property
    def payload_type(self) -> int:
        """The static payload type, or the one we offer."""

    @property
    def clock_rate(self) -> int:
        """The RTP clock, Hz."""

    @property
    def sample_rate(self) -> int:
        """The rate of the samples, Hz."""

    @property
    def channels(self) -> int:
        """What `a=rtpmap` says; samples here are mono all the same."""

    @property
    def ptime(self) -> int:
        """The default packet time, ms."""

    @property
    def octets_per_tick(self) -> int:
        """Octets per RTP clock tick; 0: the payload cannot be cut at a tick."""

    @property
    def conceals(self) -> bool:
        """Whether its decoders fill a gap better than with silence."""

    def encoder(self, fmtp: str = "") -> RowEncoder:
        """A new sending half, for a far end that has said `fmtp`.  Raises CodecUnavailable."""

    def decoder(self) -> RowDecoder:
        """A new receiving half.  Raises CodecUnavailable."""


STATEFUL_CODECS = {
    "G722": ("softphone_codecs.g722", "G722"),
    "OPUS": ("softphone_codecs.opus", "OPUS"),
}


def stateful_codec_names() -> tuple[str, ...]:
    """The names that `stateful_codec` knows."""
    return tuple(STATEFUL_CODECS)


def stateful_codec(name: str) -> StatefulCodec:
    """The codec of that name, case-insensitive; its module is imported on first use.

    Raises UnknownCodec.
    """
    key = name.upper().removesuffix("/8000" if name.upper().startswith("G722") else "/48000/2")
    if key not in STATEFUL_CODECS:
        known = ", ".join(STATEFUL_CODECS)
        raise UnknownCodec(f"there is no codec {name[:64]!r} with a memory here; there are {known}")
    module, attribute = STATEFUL_CODECS[key]
    return cast("StatefulCodec", getattr(import_module(module), attribute))
