"""Fuzz targets of octets that are no text: STUN answers, and the sound of a voice message."""

from __future__ import annotations

import io
import ipaddress
import wave
from contextlib import suppress

from softphone.errors import ConfigurationError
from softphone.media.audio import WavSource
from softphone.net.stun import parse_binding_response
from tests.support.stun import attribute, mapped, other, response

TRANSACTION = bytes(12)
STUN = [
    response(TRANSACTION, mapped("192.0.2.1", 4000), other("192.0.2.9", 3479)),
    response(TRANSACTION, attribute(0x0009, b"\0\0\4\1no"), kind=0x0111),
]


def _sound(channels: int, width: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((channels, width, 8000, 0, "NONE", ""))
        written.writeframes(bytes(range(48)))
    return file.getvalue()


SOUNDS = [_sound(1, 2), _sound(2, 3), _sound(1, 1)]


def check_stun(data: bytes) -> None:
    """An answer with addresses or with words, or None; for another transaction always None."""
    found = parse_binding_response(data, TRANSACTION)
    if found is not None:
        assert (found.mapped is None) == bool(found.error)
        for host, port in filter(None, (found.mapped, found.other)):
            ipaddress.ip_address(host)
            assert 0 < port < 65_536
    assert parse_binding_response(data, b"x" * 12) is None or data[8:20] == b"x" * 12


def check_sound(data: bytes) -> None:
    """Samples, or ConfigurationError."""
    with suppress(ConfigurationError):
        source = WavSource(io.BytesIO(data), 8000)
        for _ in range(20):
            source.read(160)
        source.close()
