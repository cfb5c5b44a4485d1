"""Rate conversion that keeps its state from block to block: a polyphase FIR filter.

The filter delays sound by 3 ms (at 8,000 Hz).  soxr has better quality than speech needs, but
holds back 100 ms, too much for a conversation.  Streams with the same state are converted
together, by one matrix product.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError
from softphone.media.audio.polyphase import filter_rows, polyphase, ratio_of
from softphone.media.interface import PcmBlock, Sink, Source

LEAST_RATE, MOST_RATE = 4000, 192_000
LEAST, MOST = -32768.0, 32767.0
NOTHING: NDArray[np.int16] = np.zeros(0, dtype=np.int16)
NOTHING.flags.writeable = False


class Resampler:
    """A streaming converter of mono int16 between two rates; the same rate passes through.

    The result does not depend on block boundaries: any split of a signal gives the same samples.
    Raises ConfigurationError for a rate outside 4,000 to 192,000 Hz.
    """

    __slots__ = (
        "_before", "_fed", "_group", "_held", "_past", "_position", "_ratio", "_width",
        "source_rate_hz", "target_rate_hz",
    )  # fmt: skip

    def __init__(self, source_rate_hz: int, target_rate_hz: int) -> None:
        for rate in (source_rate_hz, target_rate_hz):
            if not LEAST_RATE <= rate <= MOST_RATE:
                raise ConfigurationError(
                    f"a sample rate of {rate} Hz is outside {LEAST_RATE} to {MOST_RATE} Hz"
                )
        self.source_rate_hz = source_rate_hz
        self.target_rate_hz = target_rate_hz
        self._ratio = ratio_of(target_rate_hz, source_rate_hz)
        self._width = polyphase(*self._ratio).shape[1]
        # The first output aligns with the first input, so half a filter of silence precedes it.
        self._before = self._width // 2 - 1 if self._converts else 0
        self._held = self._before
        """The number of past input samples that the next output still needs."""
        self._past: NDArray[np.int16] = np.zeros(max(self._held, self._kept), dtype=np.int16)
        self._position = 0
        self._fed = False
        self._group: ResamplerGroup | None = None

    def _settle(self) -> None:
        """Move the state back from the `ResamplerGroup` that holds it."""
        if self._group is not None:
            self._group.dissolve()

    @property
    def _converts(self) -> bool:
        return self.source_rate_hz != self.target_rate_hz

    @property
    def _kept(self) -> int:
        """Samples of 10 ms, kept as the history of a converter that continues this one."""
        return self.source_rate_hz // 100

    def next_rates(
        self, source_rate_hz: int, target_rate_hz: int, *, owed: float = 0.0
    ) -> Resampler:
        """Return a converter with other rates that continues this one without a discontinuity.

        It repeats the last `owed` seconds of this one's output, which were not used.
        Raises ConfigurationError.
        """
        self._settle()
        lag = self.lag + owed
        return self.after(self._past, self.source_rate_hz, source_rate_hz, target_rate_hz, lag)

    @property
    def lag(self) -> float:
        """Seconds from the next output sample to the end of the input."""
        self._settle()
        ahead = self._held - self._before - self._position / self._ratio[0]
        return ahead / self.source_rate_hz

    @property
    def standing(self) -> tuple[int, ...]:
        """The rates and the state, without the samples held; equal ones are converted together.

        :meta private:
        """
        self._settle()
        return (
            self.source_rate_hz,
            self.target_rate_hz,
            self._position,
            self._held,
            self._past.size,
        )

    @property
    def passes(self) -> bool:
        """Whether the rates are equal and it owes no samples: what is fed comes out."""
        return self.source_rate_hz == self.target_rate_hz and not self._held

    @property
    def idle(self) -> bool:
        """Whether the filter holds no input: nothing was fed since the start or `rest`."""
        self._settle()
        return not self._fed

    def rest(self) -> NDArray[np.int16]:
        """Flush the filter with silence; return its tail, int16[n].

        Empty when nothing was fed since the last call.
        """
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
        """Return a converter that continues after `heard` int16[n], sound of another rate.

        Its next sample is `lag` seconds before the end of `heard`.  Raises ConfigurationError.
        """
        made = cls(source_rate_hz, target_rate_hz)
        if not heard.size:
            return made
        # With equal rates the converter holds only the samples that it must repeat.
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
        """Convert int16[n] to int16[m]; with `last`, append the filter's tail."""
        if not self._converts:
            return self._pass_on(pcm)
        self._settle()
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
    """Feed each of `streams` its frame; return the output of each, identical to `feed`'s.

    One operation converts all streams with the same rates and state, such as streams fed with the
    same numbers of samples.  A stream may occur only once.
    """
    converted = [NOTHING] * len(streams)
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for at, (stream, pcm) in enumerate(zip(streams, frames, strict=True)):
        if not stream._converts:
            converted[at] = stream._pass_on(pcm)
            continue
        alike[*stream.standing, pcm.size].append(at)
    for places in alike.values():
        some = _convert_alike([streams[at] for at in places], [frames[at] for at in places])
        for at, row in zip(places, some, strict=True):
            converted[at] = row
    return converted


def _convert_alike(
    streams: Sequence[Resampler], frames: Sequence[NDArray[np.int16]]
) -> NDArray[np.int16]:
    """Convert k frames of one length for streams with the same state; int16[k, m]."""
    parts = [
        part for pair in zip(streams, frames, strict=True) for part in (pair[0]._past, pair[1])
    ]
    whole = np.concatenate(parts).reshape(len(streams), -1)
    sound, past = _convert_lines(streams[0], whole, frames[0].size)
    first = streams[0]
    for stream, kept in zip(streams, past, strict=True):
        # A copy, so that a stream that is not fed for long does not keep the whole batch in memory.
        stream._past = kept.copy()
        stream._held, stream._position = first._held, first._position
        stream._fed = stream._fed or frames[0].size > 0
    return sound


def _convert_lines(
    stream: Resampler, whole: NDArray[np.int16], fed: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Convert lines in the state of `stream`, and advance its state, except for the samples held.

    `whole` int16[k, n] is what each line has kept and then `fed` new samples.  Returns int16[k, m],
    and what each line keeps from now on.
    """
    ratio, position, width = stream._ratio, stream._position, stream._width
    up, down = ratio
    held = stream._held + fed
    # Output k is at input position (position + k * down) / up.
    available = (held - width + 1) * up - position
    count = max(-(-available // down), 0)
    sound = filter_rows(
        whole[:, whole.shape[1] - held :].astype(np.float64), ratio, position, count
    )
    used, position = divmod(position + down * count, up)
    # With a large `down` the next output may lie beyond the input held: the position counts the
    # inputs of the next block to skip.
    stream._position = position + max(used - held, 0) * up
    stream._held = max(held - used, 0)
    past = whole[:, whole.shape[1] - max(stream._held, stream._kept) :]
    # np.clip costs more than both of these.
    np.maximum(sound, LEAST, out=sound)
    np.minimum(sound, MOST, out=sound)
    return np.rint(sound, out=sound).astype(np.int16), past


class ResamplerGroup:
    """Converters in the same state, whose samples stand in one array while they are fed together.

    Whoever uses one of them alone dissolves the group; it is not fed after that.  Raises
    ConfigurationError for converters that are not alike.
    """

    def __init__(self, streams: Sequence[Resampler]) -> None:
        self._streams = tuple(streams)
        if len({stream.standing for stream in streams}) != 1 or not streams[0]._converts:
            raise ConfigurationError("converters of several states are no group")
        self._past = np.stack([stream._past for stream in streams])
        for stream in streams:
            stream._group = self

    @property
    def dissolved(self) -> bool:
        """Whether the converters are on their own again."""
        return not self._streams

    @property
    def lag(self) -> float:
        """The `lag` of each converter."""
        first = self._streams[0]
        ahead = first._held - first._before - first._position / first._ratio[0]
        return ahead / first.source_rate_hz

    def feed(self, frames: NDArray[np.int16]) -> NDArray[np.int16]:
        """Feed each converter its line of int16[k, n]; return the output of all, int16[k, m]."""
        first = self._streams[0]
        first._fed = first._fed or frames.shape[1] > 0
        whole = np.concatenate((self._past, frames), axis=1)
        sound, past = _convert_lines(first, whole, frames.shape[1])
        self._past = past.copy()
        return sound

    def dissolve(self) -> None:
        """Give the converters their states back."""
        streams, self._streams = self._streams, ()
        for stream, past in zip(streams, self._past, strict=True):
            first = streams[0]
            stream._group, stream._past = None, past.copy()
            stream._held, stream._position, stream._fed = first._held, first._position, first._fed
        self._past = self._past[:0]


class ConvertingSink(Protocol):
    """A sink whose blocks can be converted together with those of other sinks.

    Classes inherit from it explicitly: an application's sink may have unrelated methods of these
    names.
    """

    def prepare(self, block: PcmBlock) -> Resampler | None:
        """Return the converter for a block; None: the sink does not take it.

        `write_converted` follows.
        """

    def write_converted(self, block: PcmBlock, pcm: NDArray[np.int16]) -> None:
        """Write the block last passed to `prepare`, converted to `pcm`."""


def as_converting_sink(sink: Sink) -> ConvertingSink | None:
    """Return the sink if it is a `ConvertingSink`, else None.

    None also for an application's subclass that overrides `write`: its `write` must be called.
    """
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
    """A source that its application can flush, which silences it at once.

    Classes inherit from it explicitly: an application's source may have an unrelated `flushes`.
    """

    @property
    def flushes(self) -> int:
        """How often the source was flushed."""


def as_flushable_source(source: Source) -> FlushableSource | None:
    """Return the source if it is a `FlushableSource`, else None."""
    return cast("FlushableSource", source) if FlushableSource in type(source).__mro__ else None


class ResamplingSource:
    """Converts a source to another rate, and reads no more of it than the conversion needs."""

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
        """Convert `source`; `converter` continues an earlier conversion of it."""
        self._source = source
        self.clock_rate_hz = clock_rate_hz
        """The sample rate in Hz."""
        self.converter = converter or Resampler(source.clock_rate_hz, clock_rate_hz)
        """The converter of the source's samples."""
        self._ready = NOTHING
        self._finished = False
        self._asked = False
        self._flushed = as_flushable_source(source)
        self._flushes = 0 if self._flushed is None else self._flushed.flushes

    def at_rate(self, clock_rate_hz: int) -> ResamplingSource:
        """Return a source that continues this one at another rate; do not read this one again."""
        rates = self._source.clock_rate_hz, clock_rate_hz
        owed = self._ready.size / self.clock_rate_hz
        converter = self.converter.next_rates(*rates, owed=owed)
        return ResamplingSource(self._source, clock_rate_hz, converter=converter)

    @property
    def ended(self) -> bool:
        """Whether the source has ended and all of it was read."""
        return self._finished and not self._ready.size

    def conversion_input(self, samples: int) -> NDArray[np.int16] | None:
        """Read the source samples that `converter` needs for `read(samples)`; None: none needed.

        The caller converts those of many sources at once and passes the results to
        `append_converted`.  A source that gives fewer samples than asked is converted here.
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
                # A gap follows: the filter's tail belongs before it.
                self.append_converted(self.converter.rest())
        return None

    def _fall_silent(self, flushes: int) -> None:
        """Drop the converted samples and the filter's state, since the source was flushed."""
        self._flushes = flushes
        self._ready = NOTHING
        self.converter = Resampler(self._source.clock_rate_hz, self.clock_rate_hz)

    def append_converted(self, converted: NDArray[np.int16]) -> None:
        """Queue converted samples for `read`."""
        ready = self._ready
        self._ready = np.concatenate((ready, converted)) if ready.size else converted

    def read(self, samples: int) -> NDArray[np.int16]:
        """Return the next `samples`; fewer when the source has no more now."""
        while not self._asked:
            pcm = self.conversion_input(samples)
            if pcm is None:
                break
            self.append_converted(self.converter.feed(pcm))
        self._asked = False
        taken, rest = self._ready[:samples], self._ready[samples:]
        # A copy, since a view would keep the whole converted batch in memory.
        self._ready = rest.copy() if rest.size else NOTHING
        return taken


def at_rate(source: Source, clock_rate_hz: int) -> Source:
    """Return `source` if it has that rate, else a `ResamplingSource` of it.

    Raises ConfigurationError for a rate that cannot be converted.
    """
    if source.clock_rate_hz == clock_rate_hz:
        return source
    return ResamplingSource(source, clock_rate_hz)
