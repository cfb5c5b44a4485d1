"""Codecs by their names, with and without a memory, and how their payloads lie in the buffers."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, TypeGuard

from softphone.errors import ConfigurationError
from softphone_codecs import (
    StatefulCodec,
    StatelessCodec,
    UnknownCodec,
    stateful_codec,
    stateful_codec_names,
    stateless_codec,
    stateless_codec_names,
)

__all__ = [
    "AnyCodec",
    "PayloadLayout",
    "find_codec",
    "is_stateful",
    "is_stateless",
    "payload_layout",
]

AnyCodec: TypeAlias = StatelessCodec | StatefulCodec


class PayloadLayout(NamedTuple):
    """What two codecs must agree in for their payloads to lie in one buffer."""

    clock_rate: int
    octets_per_tick: int


def payload_layout(chosen: AnyCodec) -> PayloadLayout:
    """How the payloads of a codec lie in the buffers."""
    return PayloadLayout(chosen.clock_rate, chosen.octets_per_tick)


def is_stateful(chosen: AnyCodec) -> TypeGuard[StatefulCodec]:
    """Whether each stream needs an encoder and a decoder of its own."""
    return hasattr(chosen, "encoder")


def is_stateless(chosen: AnyCodec) -> TypeGuard[StatelessCodec]:
    """Whether one object serves every stream, in batches."""
    return not is_stateful(chosen)


def find_codec(name: str) -> AnyCodec:
    """The codec of an encoding name.  Raises ConfigurationError."""
    try:
        return stateless_codec(name)
    except UnknownCodec:
        pass  # it may be one with a memory
    try:
        return stateful_codec(name)
    except UnknownCodec as error:
        known = ", ".join((*stateless_codec_names(), *stateful_codec_names()))
        raise ConfigurationError(
            f"there is no codec {name[:64]!r} here; there are {known}"
        ) from error
