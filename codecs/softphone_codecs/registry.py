"""The codecs by name: a row makes one known to account files, negotiation, media and the docs."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TypeAlias, cast

from softphone_codecs.codec import StatefulCodec, StatelessCodec

AnyCodec: TypeAlias = StatelessCodec | StatefulCodec

CODECS = {
    "PCMU": ("g711", "PCMU"),
    "PCMA": ("g711", "PCMA"),
    "G722": ("g722", "G722"),
    "OPUS": ("opus", "OPUS"),
    "L16": ("l16", "L16_8000"),
    "L16/16000": ("l16", "L16_16000"),
}
"""Module and object of each encoding name in capitals.

"/clock rate" is added where it is not the usual one.  A module is imported when its codec is first
requested.
"""


class UnknownCodec(LookupError):
    """No codec has that name here."""


def codec_names() -> tuple[str, ...]:
    """The names that an account may list."""
    return tuple(CODECS)


def codec_name(encoding_name: str, clock_rate: int) -> str:
    """The name of the codec of an `a=rtpmap`: with its clock rate where that is not the usual."""
    name = encoding_name.upper()
    rated = f"{name}/{clock_rate}"
    return rated if rated in CODECS else name


@lru_cache(maxsize=64)
def find_codec(name: str) -> AnyCodec:
    """Find the codec with a name, case-insensitive; it may be as in `a=rtpmap` ("PCMU/8000").

    Raises UnknownCodec.
    """
    key = name.upper()
    row = CODECS.get(key) or CODECS.get(key.partition("/")[0])
    if row is not None:
        module, attribute = row
        found = getattr(import_module(f"softphone_codecs.{module}"), attribute)
        channels = f"/{found.channels}" if found.channels > 1 else ""
        if key in CODECS or key == f"{found.name.upper()}/{found.clock_rate}{channels}":
            return cast("AnyCodec", found)
    raise UnknownCodec(f"there is no codec {name[:64]!r} here; there are {', '.join(CODECS)}")
