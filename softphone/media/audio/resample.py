"""Rate conversion that keeps its state from block to block: a polyphase FIR filter.

Every block fed gives the block that is due, 3 ms of sound later (at 8,000 Hz).  soxr is better
than needed for speech and holds back 100 ms at a time, which a conversation cannot afford.
Many streams are converted at once: those that stand alike, by one product of matrices.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError
from softphone.media.audio.polyphase import filter_rows, polyphase
from softphone.media.interface import PcmBlock, Sink, Source

LEAST_RATE, MOST_RATE = 4000, 192_000
LEAST, MOST = -32768.0, 32767.0
NOTHING: NDArray[np.int16] = np.zeros(0, dtype=np.int16)
NOTHING.flags.writeable = False


class Resampler:
    """A streaming converter of mono int16 between two rates; the same rate passes through.

    Block boundaries leave no trace: feeding a signal in any pieces gives the same samples.
    Raises ConfigurationError for a rate outside 4,000 to 192,000 Hz.
    """

    __slots__ = (
        "_before", "_fed", "_held", "_past", "_position", "_ratio", "_width", "source_rate_hz",
        "target_rate_hz",
    )  # fmt: skip

    def __init__(self, source_rate_hz: int, target_rate_hz: int) -> None:
        for rate in (source_rate_hz, target_rate_hz):
            if not LEAST_RATE <= rate <= MOST_RATE:
                raise ConfigurationError(
                    f"a sample rate of {rate} Hz is outside {LEAST_RATE} to {MOST_RATE} Hz"
                )
        self.source_rate_hz = source_rate_hz
        self.target_rate_hz = target_rate_hz
        divisor = math.gcd(source_rate_hz, target_rate_hz)
        self._ratio = target_rate_hz // divisor, source_rate_hz // divisor
        self._width = polyphase(*self._ratio).shape[1]
        # The first output stands on the first input: half a filter of silence goes before it.
        self._before = self._width // 2 - 1 if self._converts else 0
        self._held = self._before
        """How many of the last samples the next ones are still made of."""
        self._past: NDArray[np.int16] = np.zeros(max(self._held, self._kept), dtype=np.int16)
        self._position = 0
        self._fed = False

    @property
    def _converts(self) -> bool:
        return self.source_rate_hz != self.target_rate_hz

    @property
    def _kept(self) -> int:
        """Samples of 10 ms, which a converter that goes on after this one is given."""
        return self.source_rate_hz // 100

    def next_rates(
        self, source_rate_hz: int, target_rate_hz: int, *, owed: float = 0.0
    ) -> Resampler:
        """A converter that goes on where this one is, with other rates and without a joint.

        `owed` seconds of what this one has given were not used, and are given once more.
        Raises ConfigurationError.
        """
        lag = self.lag + owed
        return self.after(self._past, self.source_rate_hz, source_rate_hz, target_rate_hz, lag)

    @property
    def lag(self) -> float:
        """Seconds from the next sample that it will give to the end of what it was fed."""
        ahead = self._held - self._before - self._position / self._ratio[0]
        return ahead / self.source_rate_hz

    @property
    def idle(self) -> bool:
        """Whether it holds nothing that it was fed: silence follows silence."""
        return not self._fed

    def rest(self) -> NDArray[np.int16]:
        """What the filter holds of what it was fed, int16[n]: silence follows.  Empty when
        nothing was fed since the last time."""
        if not self._converts or not self._fed:
            return NOTHING
        converted = self.feed(np.zeros(self._width, dtype=np.int16))
        self._fed = False
        return converted

    @classmethod
    def after(
        cls,
        heard: NDArray[np.int16],
        heard_rate_hz: int,
        source_rate_hz: int,
        target_rate_hz: int,
        lag: float = 0.0,
    ) -> Resampler:
        """A converter that goes on after `heard` [n], sound of another rate; its next sample
        stands `lag` seconds before the end of that.  Raises ConfigurationError."""
        made = cls(source_rate_hz, target_rate_hz)
        if not heard.size:
            return made
        # Where rates are equal nothing is held but what is still owed.
        ahead = lag * source_rate_hz
        made._held = math.ceil(made._before + ahead - 1e-6)
        behind = made._held - ahead - made._before
        made._position = max(round(behind * made._ratio[0]), 0)
        places = np.arange(-max(made._held, made._kept), 0) / source_rate_hz
        known = np.arange(-heard.size, 0) / heard_rate_hz
        past = np.rint(np.interp(places, known, heard.astype(np.float64)))
        made._past = past.astype(np.int16)
        return made

    def feed(self, pcm: NDArray[np.int16], *, last: bool = False) -> NDArray[np.int16]:
        """Convert int16[n] to int16[m]; `last` also gives what the filter still holds."""
        if not self._converts:
            return self._pass_on(pcm)
        fed = self._fed or pcm.size > 0
        if last:
            pcm = np.concatenate((pcm, np.zeros(self._width // 2, dtype=np.int16)))
        converted: NDArray[np.int16] = _convert_alike((self,), (pcm,))[0]
        self._fed = fed
        return converted

    def _pass_on(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        owed, self._held = self._held, 0
        whole = np.concatenate((self._past[self._past.size - owed :], pcm)) if owed else pcm
        if pcm.size >= self._kept:
            self._past = pcm[pcm.size - self._kept :].copy()
        else:
            self._past = np.concatenate((self._past, pcm))[-self._kept :]
        return whole


def resample_together(
    streams: Sequence[Resampler], frames: Sequence[NDArray[np.int16]]
) -> list[NDArray[np.int16]]:
    """What each of `streams` gives for its frame: what `feed` would give, bit for bit.

    Those that agree in rates and in what they hold, as streams do that have been fed alike, are
    converted by one operation.  Each stream at most once.
    """
    converted = [NOTHING] * len(streams)
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for at, (stream, pcm) in enumerate(zip(streams, frames, strict=True)):
        if not stream._converts:
            converted[at] = stream._pass_on(pcm)
            continue
        rates = stream.source_rate_hz, stream.target_rate_hz
        standing = stream._position, stream._held, stream._past.size
        alike[*rates, *standing, pcm.size].append(at)
    for places in alike.values():
        some = _convert_alike([streams[at] for at in places], [frames[at] for at in places])
        for at, row in zip(places, some, strict=True):
            converted[at] = row
    return converted


def _convert_alike(
    streams: Sequence[Resampler], frames: Sequence[NDArray[np.int16]]
) -> NDArray[np.int16]:
    """int16[k, m] of k streams with the same state, whose frames are of one length."""
    first, rows = streams[0], len(streams)
    ratio, position, fed = first._ratio, first._position, frames[0].size
    up, down = ratio
    parts = [
        part for pair in zip(streams, frames, strict=True) for part in (pair[0]._past, pair[1])
    ]
    whole = np.concatenate(parts).reshape(rows, -1)
    held = first._held + fed
    # Output k stands at input position (position + k * down) / up.
    available = (held - first._width + 1) * up - position
    count = max(-(-available // down), 0)
    sound = filter_rows(
        whole[:, whole.shape[1] - held :].astype(np.float64), ratio, position, count
    )
    used, position = divmod(position + down * count, up)
    # A long way down can pass the end of what is there: the rest is owed by the next block.
    position += max(used - held, 0) * up
    held = max(held - used, 0)
    past = whole[:, whole.shape[1] - max(held, first._kept) :]
    for stream, kept in zip(streams, past, strict=True):
        # A copy: a stream that is not fed for long does not hold on to the others' sound.
        stream._past = kept.copy()
        stream._held, stream._position = held, position
        stream._fed = stream._fed or fed > 0
    # np.clip costs more than both of these.
    np.maximum(sound, LEAST, out=sound)
    np.minimum(sound, MOST, out=sound)
    return np.rint(sound, out=sound).astype(np.int16)


class ConvertingSink(Protocol):
    """A sink whose blocks can be converted together with those of others: a class of ours that
    names this one, since a sink of the application's may have methods of these names, too."""

    def prepare(self, block: PcmBlock) -> Resampler | None:
        """What the block is to be converted by, before `write_converted`; None: it is not
        wanted."""

    def write_converted(self, block: PcmBlock, pcm: NDArray[np.int16]) -> None:
        """Take the block that was prepared last, converted to `pcm`."""


def as_converting_sink(sink: Sink) -> ConvertingSink | None:
    """The sink, if it may be given its blocks converted; not if a class of the application's has
    put a `write` of its own before that which converts."""
    kinds = type(sink).__mro__
    if ConvertingSink not in kinds:
        return None
    for kind in kinds:
        if "prepare" in vars(kind):
            return cast("ConvertingSink", sink)
        if "write" in vars(kind):
            break
    return None


class FlushableSource(Protocol):
    """A source whose application can have it fall silent at once: a class of ours that names this
    one, since a source of the application's may have something of this name, too."""

    @property
    def flushes(self) -> int:
        """How often that has been done."""


def as_flushable_source(source: Source) -> FlushableSource | None:
    """The source, if it is one that is flushed."""
    return cast("FlushableSource", source) if FlushableSource in type(source).__mro__ else None


class ResamplingSource:
    """Another source at another rate; it is read no further ahead than the conversion needs."""

    __slots__ = (
        "_asked",
        "_finished",
        "_flushed",
        "_flushes",
        "_ready",
        "_source",
        "clock_rate_hz",
        "converter",
    )

    def __init__(
        self, source: Source, clock_rate_hz: int, *, converter: Resampler | None = None
    ) -> None:
        """`converter` has converted it until now, to another rate."""
        self._source = source
        self.clock_rate_hz = clock_rate_hz
        """The rate of its samples."""
        self.converter = converter or Resampler(source.clock_rate_hz, clock_rate_hz)
        """What it is converted by."""
        self._ready = NOTHING
        self._finished = False
        self._asked = False
        self._flushed = as_flushable_source(source)
        self._flushes = 0 if self._flushed is None else self._flushed.flushes

    def at_rate(self, clock_rate_hz: int) -> ResamplingSource:
        """The same source from here on at another rate; this one is not read any more."""
        rates = self._source.clock_rate_hz, clock_rate_hz
        owed = self._ready.size / self.clock_rate_hz
        converter = self.converter.next_rates(*rates, owed=owed)
        return ResamplingSource(self._source, clock_rate_hz, converter=converter)

    @property
    def ended(self) -> bool:
        """Whether the source has ended and all of it was read."""
        return self._finished and not self._ready.size

    def conversion_input(self, samples: int) -> NDArray[np.int16] | None:
        """What `converter` is to be fed before `samples` are read, for `append_converted`; None:
        nothing.

        So that many sources are converted at once; a source that has too little is done here.
        """
        if self._flushed is not None and self._flushed.flushes != self._flushes:
            self._fall_silent(self._flushed.flushes)
        lacking = samples - self._ready.size
        if lacking <= 0 or self._finished:
            return None
        wanted = -(-lacking * self._source.clock_rate_hz // self.clock_rate_hz)
        pcm = self._source.read(wanted)
        self._finished = self._source.ended
        if pcm.size == wanted and not self._finished:
            return pcm
        self._asked = pcm.size < wanted
        if pcm.size or self._finished or not self.converter.idle:
            self.append_converted(self.converter.feed(pcm, last=self._finished))
            if self._asked and not self._finished:
                # A gap: what the filter still holds belongs before it.
                self.append_converted(self.converter.rest())
        return None

    def _fall_silent(self, flushes: int) -> None:
        """Forget what was converted, and what the filter holds: it was flushed with the rest."""
        self._flushes = flushes
        self._ready = NOTHING
        self.converter = Resampler(self._source.clock_rate_hz, self.clock_rate_hz)

    def append_converted(self, converted: NDArray[np.int16]) -> None:
        """Have these samples read next, behind what waits."""
        ready = self._ready
        self._ready = np.concatenate((ready, converted)) if ready.size else converted

    def read(self, samples: int) -> NDArray[np.int16]:
        """Take out at most `samples`; fewer mean that the source has no more now."""
        while not self._asked:
            pcm = self.conversion_input(samples)
            if pcm is None:
                break
            self.append_converted(self.converter.feed(pcm))
        self._asked = False
        taken, rest = self._ready[:samples], self._ready[samples:]
        # A copy: what waits for long does not hold on to all that it was converted with.
        self._ready = rest.copy() if rest.size else NOTHING
        return taken


def at_rate(source: Source, clock_rate_hz: int) -> Source:
    """`source` itself if it has that rate, else converted to it, continuously.

    Raises ConfigurationError for a rate that cannot be converted.
    """
    if source.clock_rate_hz == clock_rate_hz:
        return source
    return ResamplingSource(source, clock_rate_hz)
