"""Codecs as streams use them: with and without a memory, and how payloads lie in the buffers."""

from __future__ import annotations

from typing import NamedTuple, TypeGuard

import softphone_codecs
from softphone.errors import ConfigurationError
from softphone_codecs import AnyCodec, StatefulCodec, StatelessCodec, UnknownCodec

__all__ = [
    "AnyCodec",
    "PayloadLayout",
    "find_codec",
    "is_stateful",
    "is_stateless",
    "payload_layout",
]


class PayloadLayout(NamedTuple):
    """What two codecs must agree in for their payloads to lie in one buffer."""

    clock_rate: int
    octets_per_tick: int


def payload_layout(chosen: AnyCodec) -> PayloadLayout:
    """How the payloads of a codec lie in the buffers."""
    return PayloadLayout(chosen.clock_rate, chosen.octets_per_tick)


def is_stateful(chosen: AnyCodec) -> TypeGuard[StatefulCodec]:
    """Whether each stream needs an encoder and a decoder of its own."""
    return isinstance(chosen, StatefulCodec)


def is_stateless(chosen: AnyCodec) -> TypeGuard[StatelessCodec]:
    """Whether one object serves every stream, in batches."""
    return isinstance(chosen, StatelessCodec)


def find_codec(name: str) -> AnyCodec:
    """The codec of an encoding name.  Raises ConfigurationError."""
    try:
        return softphone_codecs.find_codec(name)
    except UnknownCodec as error:
        raise ConfigurationError(str(error)) from error
