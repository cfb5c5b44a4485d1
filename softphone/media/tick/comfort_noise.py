"""Comfort noise of the far end's pauses (RFC 3389): taken when it comes, played until speech does.

Also the level at which we ask for it in our own pauses.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from softphone.media.bank import NO_TYPE, StreamBank
from softphone_codecs import PAYLOAD_TYPE, ComfortNoise, pack_noise, unpack_noise

PAUSE_NOISE_PAYLOAD: Final = pack_noise(ComfortNoise(level=72))
"""What we send in a pause: no color, 72 dB below overload, as a quiet room is."""

REPEAT: Final = 10
"""Packets between two times that it is said: one that is lost is made up for in 200 ms."""

CLOCK_RATE = 8000


def is_comfort_noise(bank: StreamBank, row: int, payload_type: int) -> bool:
    """Whether that is comfort noise: by its static number where nobody has said another."""
    if payload_type == bank.sender.noise_type[row] != NO_TYPE:
        return True
    stream = bank.streams[row]
    codec = None if stream is None else stream.receive_codec
    return payload_type == PAYLOAD_TYPE and codec is not None and codec.clock_rate == CLOCK_RATE


def receive_noise(bank: StreamBank, row: int, data: bytes) -> bool:
    """A pause of `row` has begun, or its noise has changed; whether the payload made sense."""
    noise = unpack_noise(data)
    stream = bank.streams[row]
    if noise is None or stream is None or stream.receive_codec is None:
        bank.receiver.count_malformed(row)
        return False
    rate = stream.receive_codec.sample_rate
    if rate != CLOCK_RATE:
        # Its color is told for 8,000 Hz: at another rate only the level is meant.
        noise = ComfortNoise(noise.level)
    bank.noise(rate // 50).set_noise(row, noise)
    bank.delivery.begin_pause(row)
    return True


def fill_pauses(
    bank: StreamBank,
    rows: npt.NDArray[np.intp],
    pcm: npt.NDArray[np.int16],
    played: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Put noise into int16[k, samples] where a row is in a pause: where that was, and where noise
    begins or ends, bool[k] each.

    `played` bool[k]: there is sound, so that the pause is over.
    """
    filled, edge = bank.delivery.fill_pauses(rows, played)
    if np.count_nonzero(filled):
        pcm[filled] = bank.noise(pcm.shape[1]).generate(rows[filled])
    return filled, edge
