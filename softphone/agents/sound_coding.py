"""Samples of a call as octets of a bot or a service, and back.

G.711 octets of a call in the same coding survive the way to it unchanged, but for the two
codes of silence: each code stands for a sample of its own.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from softphone.media.interface import Pcm
from softphone_codecs.g711 import PCMA, PCMU


class SoundCoding(StrEnum):
    """How sound is coded on the WebSocket."""

    PCMU = "pcmu"
    """mu-law (ITU-T G.711), 8 kHz."""
    PCMA = "pcma"
    """A-law (ITU-T G.711), 8 kHz."""
    PCM = "pcm"
    """16-bit samples, little-endian, mono."""


_G711 = {SoundCoding.PCMU: PCMU, SoundCoding.PCMA: PCMA}


def octets_a_sample(coding: SoundCoding) -> int:
    """Return how many octets a sample has."""
    return 2 if coding is SoundCoding.PCM else 1


def encode_sound(pcm: Pcm, coding: SoundCoding) -> bytes:
    """Encode int16[n]."""
    if coding is SoundCoding.PCM:
        return pcm.astype("<i2", copy=False).tobytes()
    data, _ = _G711[coding].encode(np.ascontiguousarray(pcm).reshape(1, -1))
    return data.tobytes()


def decode_sound(octets: bytes, coding: SoundCoding) -> Pcm:
    """Decode to int16[n]; an odd octet of 16-bit samples is left out."""
    if coding is SoundCoding.PCM:
        whole = octets[: len(octets) & ~1]
        return np.frombuffer(whole, dtype="<i2").astype(np.int16, copy=False)
    data = np.frombuffer(octets, np.uint8).reshape(1, -1)
    pcm: Pcm = _G711[coding].decode(data, np.array([data.shape[1]], dtype=np.int32))[0]
    return pcm
