"""Codecs that remember: one encoder and one decoder object a stream, and a registry by name.

G.722 and Opus predict each sample from those before it, so they cannot serve a whole bank from
one object as `softphone_codecs.codec` has it.  The caller keeps the objects beside its row.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from softphone_codecs.codec import UnknownCodec

__all__ = [
    "CodecUnavailable",
    "PayloadRefused",
    "RowDecoder",
    "RowEncoder",
    "Samples",
    "StatefulCodec",
    "stateful_codec",
    "stateful_codec_names",
]

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
    """One payload format with memory; the properties are those of `Codec`."""

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
