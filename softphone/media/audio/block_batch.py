"""The blocks that many streams deliver in one frame, as arrays, and the sinks that take them so.

A sink that takes batches keeps a reference to its row of the batch; a `PcmBlock`, or what the
application reads, is made of it only when it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from softphone.media.audio.resample import Resampler
from softphone.media.interface import PcmBlock, Sink


@dataclass(slots=True, eq=False)
class BlockBatch:
    """The blocks of k streams, with the fields of `PcmBlock` as arrays.

    `pcm` int16[k, samples], `concealed` bool[k], `captured` float64[k], `captured_by_sender`
    bool[k]; `timestamp` and `security_generation` are lists, because sinks compare single ones.
    """

    pcm: npt.NDArray[np.int16]
    clock_rate_hz: int
    timestamp: list[int]
    security_generation: list[int]
    concealed: npt.NDArray[np.bool_]
    captured: npt.NDArray[np.float64]
    captured_by_sender: npt.NDArray[np.bool_]

    samples: int = field(init=False)
    """The number of samples of each block."""

    def __post_init__(self) -> None:
        self.samples = int(self.pcm.shape[1])

    def converted(self, pcm: npt.NDArray[np.int16], to_hz: int, lag: float) -> BlockBatch:
        """Return the batch converted to `pcm` int16[k, n] at `to_hz`; `lag` is the `Resampler.lag`
        of the converters before it, in seconds.
        """
        rate = self.clock_rate_hz
        return BlockBatch(
            pcm,
            to_hz,
            [converted_time(each, rate, to_hz, lag) for each in self.timestamp],
            self.security_generation,
            self.concealed,
            np.where(self.captured != 0.0, self.captured - lag, 0.0),
            self.captured_by_sender,
        )

    def select(self, at: npt.NDArray[np.intp]) -> BlockBatch:
        """Return the blocks at the indices `at`, copied."""
        places = at.tolist()
        return BlockBatch(
            self.pcm[at],
            self.clock_rate_hz,
            [self.timestamp[each] for each in places],
            [self.security_generation[each] for each in places],
            self.concealed[at],
            self.captured[at],
            self.captured_by_sender[at],
        )

    def block(self, at: int) -> PcmBlock:
        """Return block `at`; its samples are a view of the batch."""
        return PcmBlock(
            self.pcm[at],
            self.clock_rate_hz,
            self.timestamp[at],
            self.security_generation[at],
            self.concealed.item(at),
            self.captured.item(at),
            self.captured_by_sender.item(at),
        )

    def blocks(self) -> Iterator[PcmBlock]:
        """Yield all blocks; cheaper than `block` for each."""
        fields = zip(
            self.pcm,
            self.timestamp,
            self.security_generation,
            self.concealed.tolist(),
            self.captured.tolist(),
            self.captured_by_sender.tolist(),
            strict=True,
        )
        rate = self.clock_rate_hz
        for pcm, timestamp, generation, hidden, captured, by_sender in fields:
            yield PcmBlock(pcm, rate, timestamp, generation, hidden, captured, by_sender)


def converted_time(timestamp: int, from_hz: int, to_hz: int, lag: float) -> int:
    """Return the media time of the first sample that a converter gives for a block at `timestamp`,
    in samples at `to_hz`; `lag` is the `Resampler.lag` of the converter before it, in seconds."""
    # The rounding threshold is not exactly one half: a converter may stay at half a sample, and a
    # float error would then shift a block against its neighbors.
    return math.floor((timestamp / from_hz - lag) * to_hz + 0.499)


class BatchSink(Protocol):
    """A sink that takes its block as a row of a batch.

    Classes inherit from it explicitly: an application's sink may have an unrelated `take_block`.
    """

    clock_rate_hz: int
    """The rate of the blocks that it takes without conversion."""

    def converter_for(self, security_generation: int) -> Resampler | None:
        """Return the converter of blocks of another rate; None unless it has been fed blocks of
        that generation only."""

    def take_converted(self, batch: BlockBatch, at: int) -> None:
        """Take block `at` of a batch that its converter has converted."""

    def take_block(self, batch: BlockBatch, at: int) -> None:
        """Take block `at` of a batch, as `write` takes `batch.block(at)`."""


WAYS = ("take_block", "take_converted", "write", "prepare", "write_converted")
"""The methods by which a block reaches a sink."""


def as_batch_sink(sink: Sink) -> BatchSink | None:
    """Return the sink if it is a `BatchSink`, else None.

    None also for an application's subclass that overrides another way of writing to it.
    """
    kinds = type(sink).__mro__
    if BatchSink not in kinds:
        return None
    owner = next(kind for kind in kinds if any(name in vars(kind) for name in WAYS))
    return cast("BatchSink", sink) if "take_block" in vars(owner) else None
