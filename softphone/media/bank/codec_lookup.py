"""Codecs by their names, with and without a memory, and how their payloads lie in the buffers."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, TypeGuard

from softphone.errors import ConfigurationError
from softphone_codecs import (
    Codec,
    StatefulCodec,
    UnknownCodec,
    codec,
    codec_names,
    stateful_codec,
    stateful_codec_names,
)

__all__ = [
    "AnyCodec",
    "Geometry",
    "find_codec",
    "forgets",
    "geometry",
    "remembers",
]

AnyCodec: TypeAlias = Codec | StatefulCodec


class Geometry(NamedTuple):
    """What two codecs must agree in for their payloads to lie in one buffer."""

    clock_rate: int
    octets_per_tick: int


def geometry(chosen: AnyCodec) -> Geometry:
    """How the payloads of a codec lie in the buffers."""
    return Geometry(chosen.clock_rate, chosen.octets_per_tick)


def remembers(chosen: AnyCodec) -> TypeGuard[StatefulCodec]:
    """Whether each stream needs an encoder and a decoder of its own."""
    return hasattr(chosen, "encoder")


def forgets(chosen: AnyCodec) -> TypeGuard[Codec]:
    """Whether one object serves every stream, in batches."""
    return not remembers(chosen)


def find_codec(name: str) -> AnyCodec:
    """The codec of an encoding name.  Raises ConfigurationError."""
    try:
        return codec(name)
    except UnknownCodec:
        pass  # it may be one with a memory
    try:
        return stateful_codec(name)
    except UnknownCodec as error:
        known = ", ".join((*codec_names(), *stateful_codec_names()))
        raise ConfigurationError(
            f"there is no codec {name[:64]!r} here; there are {known}"
        ) from error
