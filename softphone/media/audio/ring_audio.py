"""Audio over a `SharedRing`: samples to a worker, blocks from a worker.

A block keeps its timestamp and its security generation.  When the ring is full, a block is dropped
and counted, and the timestamp of the next one shows the gap.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from softphone.media.audio.resample import FlushableSource
from softphone.media.audio.shared_ring import SharedRing
from softphone.media.interface import Pcm, PcmBlock

SAMPLE_RING_OCTETS: Final = 1 << 16
BLOCK_RING_OCTETS: Final = 1 << 17
"""Octets of a ring of samples and of one of blocks: 4 and 7 seconds of narrowband audio."""

HELD: Final = 0.004
"""Seconds that a rate conversion may hold back while more sound follows."""

HEAD: Final = struct.Struct("=IIqqIId")
"""The head of a block: number of samples, clock rate, timestamp, security generation, concealed,
captured by the sender's clock (or by ours), time of capture."""

NOTHING: Final[Pcm] = np.zeros(0, dtype=np.int16)


def write_samples(ring: SharedRing, pcm: Pcm) -> None:
    """Write int16[n] to a ring of samples; samples that do not fit are dropped and counted."""
    fitting = pcm[: ring.free_octets // 2]
    ring.write_octets(np.ascontiguousarray(fitting).view(np.uint8))
    ring.count_dropped(pcm.size - fitting.size)


class RingSource(FlushableSource):
    """The worker's end of a ring of samples: a `Source`."""

    def __init__(self, ring: SharedRing, clock_rate_hz: int) -> None:
        self._ring = ring
        self.clock_rate_hz = clock_rate_hz
        """The sample rate in Hz."""
        self._held = 2 * round(HELD * clock_rate_hz)

    @property
    def ended(self) -> bool:
        """Whether the writer has ended the source and all samples were read."""
        return self._ring.ended and self._ring.available < 2

    @property
    def flushes(self) -> int:
        """How often the writer flushed the ring."""
        return self._ring.flushes

    def read(self, samples: int) -> Pcm:
        """Return the next samples without waiting, `samples` at most.

        A call confirms that the samples read before have been sent, except for `HELD` seconds that
        a rate conversion may hold back.
        """
        ring = self._ring
        if not ring.confirm_taken(self._held):
            return NOTHING
        return ring.read_octets(2 * samples).view(np.int16)


class RingSink:
    """The worker's end of a ring of blocks: a `Sink`."""

    def __init__(self, ring: SharedRing, clock_rate_hz: int) -> None:
        self._ring = ring
        self.clock_rate_hz = clock_rate_hz
        """The sample rate in Hz that the sink at the other end takes, 0 for any."""

    @property
    def dropped_samples(self) -> int:
        """Samples dropped because the ring was full."""
        return self._ring.dropped

    def write(self, block: PcmBlock) -> None:
        """Write one block to the ring, or drop and count it if the ring is full."""
        head = HEAD.pack(
            block.pcm.size,
            block.clock_rate_hz,
            block.timestamp,
            block.security_generation,
            block.concealed,
            block.captured_by_sender,
            block.captured,
        )
        pcm = np.ascontiguousarray(block.pcm).view(np.uint8)
        if not self._ring.write_octets(np.frombuffer(head, dtype=np.uint8), pcm):
            self._ring.count_dropped(block.pcm.size)


def read_blocks(ring: SharedRing) -> list[PcmBlock]:
    """Return and remove all blocks in the ring."""
    blocks: list[PcmBlock] = []
    while ring.available >= HEAD.size:
        head = ring.read_octets(HEAD.size).tobytes()
        samples, rate, timestamp, generation, concealed, by_sender, captured = HEAD.unpack(head)
        pcm = ring.read_octets(2 * samples).view(np.int16)
        block = PcmBlock(
            pcm, rate, timestamp, generation, bool(concealed), captured, bool(by_sender)
        )
        blocks.append(block)
    return blocks
