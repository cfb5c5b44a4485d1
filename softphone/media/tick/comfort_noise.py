"""Comfort noise (RFC 3389): received noise is played until speech resumes.

Also the payload that we send in our own pauses.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from softphone.media.arrays import count_nonzero
from softphone.media.bank import NO_TYPE, StreamBank
from softphone_codecs import PAYLOAD_TYPE, ComfortNoise, pack_noise, unpack_noise

PAUSE_NOISE_PAYLOAD: Final = pack_noise(ComfortNoise(level=72))
"""The payload that we send in a pause: white noise, 72 dB below overload, as in a quiet room."""

REPEAT: Final = 10
"""Packets from one comfort noise payload to the next in a pause: 200 ms with 20 ms packets."""

CLOCK_RATE = 8000


def is_comfort_noise(bank: StreamBank, row: int, payload_type: int) -> bool:
    """Return whether a payload type is comfort noise: the negotiated one, or the static one (13)
    with a codec of 8,000 Hz."""
    if payload_type == bank.sender.noise_type[row] != NO_TYPE:
        return True
    stream = bank.streams[row]
    codec = None if stream is None else stream.receive_codec
    return payload_type == PAYLOAD_TYPE and codec is not None and codec.clock_rate == CLOCK_RATE


def receive_noise(bank: StreamBank, row: int, data: bytes) -> bool:
    """Begin a pause of `row` or change its noise; return whether the payload was valid.

    An invalid payload is counted as malformed.
    """
    noise = unpack_noise(data)
    stream = bank.streams[row]
    if noise is None or stream is None or stream.receive_codec is None:
        bank.receiver.count_malformed(row)
        return False
    rate = stream.receive_codec.sample_rate
    if rate != CLOCK_RATE:
        # The spectrum is for 8,000 Hz; at another rate only the level applies.
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
    """Write noise into `pcm` int16[k, samples] where a row is in a pause.

    `played` bool[k] marks rows with sound, whose pause is over.  Return a mask of the rows filled,
    and one of the rows where noise begins or ends, bool[k] each.
    """
    filled, edge = bank.delivery.fill_pauses(rows, played)
    if count_nonzero(filled):
        pcm[filled] = bank.noise(pcm.shape[1]).generate(rows[filled])
    return filled, edge
