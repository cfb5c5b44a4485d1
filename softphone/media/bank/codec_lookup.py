"""Codec look-up for streams: by name, stateful or stateless, and payload layout in buffers."""

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
    """The properties that two codecs must share to use one jitter buffer in turn."""

    clock_rate: int
    octets_per_tick: int


def payload_layout(chosen: AnyCodec) -> PayloadLayout:
    """Return the payload layout of a codec."""
    return PayloadLayout(chosen.clock_rate, chosen.octets_per_tick)


def is_stateful(chosen: AnyCodec) -> TypeGuard[StatefulCodec]:
    """Return whether each stream needs its own encoder and decoder."""
    return isinstance(chosen, StatefulCodec)


def is_stateless(chosen: AnyCodec) -> TypeGuard[StatelessCodec]:
    """Return whether one object encodes and decodes for all streams, in batches."""
    return isinstance(chosen, StatelessCodec)


def find_codec(name: str) -> AnyCodec:
    """Return the codec of an encoding name.  Raises ConfigurationError for an unknown one."""
    try:
        return softphone_codecs.find_codec(name)
    except UnknownCodec as error:
        raise ConfigurationError(str(error)) from error
