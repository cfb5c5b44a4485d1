"""What a codec is: arrays in, arrays out, and a registry by name.

A codec object holds no stream: one object serves every row of a bank.  It does not know RTP
headers, sequence numbers or time; payload types are the static ones of RFC 3551 section 6, and a
negotiated dynamic number is the caller's business.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Bytes",
    "Lengths",
    "Pcm",
    "StatelessCodec",
    "UnknownCodec",
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
    """The names that `codec` knows, in order of preference."""
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
    return cast("Codec", getattr(import_module(module), attribute))
