"""Shared sources: each is read once per packet for all its streams.

A `SourceReader` reads one source in frames; a `SourceFeed` is a reader with a codec.  The frames of
all readers stand in the arrays of a `FrameBank` with their packet numbers, so that streams in
different phases send the same octets, and a `FeedGroup` gathers those of its feeds at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from softphone.errors import LocalProtocolError
from softphone.media.audio.read_ahead import as_read_ahead_source
from softphone.media.audio.resample import Resampler, ResamplingSource, resample_together
from softphone.media.bank.codec_lookup import AnyCodec, is_stateless
from softphone.media.interface import Pcm, Source

logger = logging.getLogger("softphone.media")

AHEAD: Final = 10
"""Frames that are read at once of a source that may be read ahead."""

NOTHING: Final[Pcm] = np.zeros(0, dtype=np.int16)


class FrameBank:
    """The frames of all readers with frames of `samples` samples, a row each; row 0 is silence.

    A row of `pcm` int16[rows, AHEAD * samples] holds `frames` frames, of which `frame` is the
    current one, that of packet `number`.  The last frame has `last` samples of its source, and
    silence after them; the others are whole.  The arrays are others once a row is added.
    """

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.pcm = np.zeros((1, AHEAD * samples), dtype=np.int16)
        self.number = np.zeros(1, dtype=np.int64)
        self.frame, self.frames = np.zeros(1, dtype=np.int32), np.ones(1, dtype=np.int32)
        self.last = np.full(1, samples, dtype=np.int32)
        self._readers: list[SourceReader | None] = [None]
        self._free: list[int] = []

    def add_row(self, reader: SourceReader) -> int:
        """Return a row for a reader, with a silent frame of no packet."""
        if not self._free:
            rows = len(self._readers)
            self._free = list(range(2 * rows - 1, rows - 1, -1))
            self._readers += [None] * rows
            for name in ("pcm", "number", "frame", "frames", "last"):
                array = getattr(self, name)
                setattr(self, name, np.concatenate((array, np.zeros_like(array))))
        row = self._free.pop()
        self._readers[row] = reader
        self.number[row], self.last[row] = -1, self.samples
        self.frame[row], self.frames[row] = 0, 1
        self.pcm[row, : self.samples] = 0
        return row

    def free_row(self, row: int) -> None:
        """Free the row of a reader."""
        self._readers[row] = None
        self._free.append(row)

    def reader(self, row: int) -> SourceReader:
        """Return the reader of a row in use, other than row 0."""
        reader = self._readers[row]
        if reader is None:
            raise RuntimeError(f"row {row} has no reader")
        return reader

    def counts(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
        """Return how many samples of the rows' current frames their sources gave, int32[k]."""
        whole = self.frame[rows] < self.frames[rows] - 1
        counts: npt.NDArray[np.int32] = np.where(whole, self.samples, self.last[rows])
        return counts

    def gather(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int16]:
        """Return the rows' current frames, int16[k, samples]."""
        return self.pcm.reshape(-1, self.samples).take(rows * AHEAD + self.frame[rows], axis=0)

    def drop_ahead(self, row: int) -> int:
        """Drop the frames after the current one; return the number of their samples."""
        dropped = int(self.frames[row] - 1 - self.frame[row])
        self.frames[row] -= dropped
        last, self.last[row] = int(self.last[row]), self.samples if dropped else self.last[row]
        return dropped and (dropped - 1) * self.samples + last

    def read(self, rows: npt.NDArray[np.intp], number: int) -> None:
        """Go to the frame of packet `number` in those of `rows` that are not there."""
        stale = rows[self.number[rows] != number]
        stale = stale[stale > 0]
        if not stale.size:
            return
        self.number[stale] = number
        self.frame[stale] += 1
        dry = stale[self.frame[stale] >= self.frames[stale]]
        if dry.size:
            self.fill(dry)

    def fill(self, rows: npt.NDArray[np.intp]) -> None:
        """Read the sources of rows without a further frame; convert those of other rates
        together."""
        places = rows.tolist()
        readers = [self._readers[row] for row in places]
        _convert([reader for reader in readers if reader is not None and reader.converts])
        samples, sizes = self.samples, []
        for row, reader in zip(places, readers, strict=True):
            pcm = NOTHING if reader is None else reader.read()
            line, size = self.pcm[row], pcm.size
            sizes.append(size)
            line[:size] = pcm
            over = size % samples
            if over or not size:
                line[size : size + samples - over] = 0
        counts = np.array(sizes, dtype=np.int32)
        self.frame[rows] = 0
        self.frames[rows] = np.maximum(-(-counts // self.samples), 1)
        self.last[rows] = counts - (self.frames[rows] - 1) * self.samples


class SourceReader:
    """The reader of one source, which has a row of `bank`."""

    __slots__ = ("_ahead", "_failed", "_most", "bank", "converts", "origin", "row", "source")

    def __init__(self, origin: Source, source: Source, bank: FrameBank) -> None:
        """Read `source`, which is `origin` converted to the rate of the stream."""
        self.origin = origin
        self.source = source
        self.bank = bank
        self.converts = isinstance(source, ResamplingSource)
        """Whether the source is of another rate."""
        self._ahead = as_read_ahead_source(source)
        self._most = bank.samples if self._ahead is None else bank.samples * AHEAD
        self._failed = False
        self.row = bank.add_row(self)

    @property
    def pcm(self) -> Pcm:
        """The current frame, int16[samples], copied."""
        pcm: Pcm = self.bank.gather(np.array([self.row]))[0]
        return pcm

    @property
    def count(self) -> int:
        """The samples of the current frame that the source gave; the rest is silence."""
        return int(self.bank.counts(np.array([self.row]))[0])

    @property
    def ended(self) -> bool:
        """Whether the current frame is after the source's last sample."""
        return self.count == 0 and self.source.ended

    def conversion_input(self) -> Pcm | None:
        """Return the input that the resampler needs before `read`, or None.

        A source that raises is logged and the frame is silent.
        """
        if not isinstance(self.source, ResamplingSource):
            return None
        try:
            return self.source.conversion_input(self.bank.samples)
        except Exception:
            self._fail()
        return None

    def read(self) -> Pcm:
        """Read the next frame, or AHEAD frames where that may be; nothing of a source that
        raises."""
        if self._failed:
            self._failed = False
            return NOTHING
        try:
            return self.source.read(self._most)[: self._most]
        except Exception:
            self._fail()
            self._failed = False
        return NOTHING

    def return_ahead(self) -> None:
        """Give back to the source what was read after the current frame."""
        samples = self.bank.drop_ahead(self.row)
        if samples and self._ahead is not None:
            self._ahead.unread(samples)

    def _fail(self) -> None:
        # The source is the application's; an error in it must not stop other streams.
        logger.exception("a media source failed; silence is sent in its place")
        self._failed = True


def _convert(readers: Sequence[SourceReader]) -> None:
    if not readers:
        return
    sources: list[ResamplingSource] = []
    frames: list[Pcm] = []
    for reader in readers:
        pcm = reader.conversion_input()
        if pcm is not None and isinstance(reader.source, ResamplingSource):
            sources.append(reader.source)
            frames.append(pcm)
    converted = resample_together([source.converter for source in sources], frames)
    for source, pcm in zip(sources, converted, strict=True):
        source.append_converted(pcm)


class SourceFeed:
    """The frames of a reader (None: silence), to be encoded with one codec."""

    __slots__ = ("bank", "codec", "key", "reader", "row", "users")

    def __init__(
        self,
        reader: SourceReader | None,
        codec: AnyCodec,
        bank: FrameBank,
        key: tuple[int, str, int, int],
    ) -> None:
        self.reader = reader
        self.bank = bank
        self.key = key
        self.codec = codec
        self.users = 0
        self.row = 0 if reader is None else reader.row
        """The row of its frames in `bank`."""


class FeedGroup:
    """Readers of one frame length, which are read together: `rows` intp[len(self)] of `bank`."""

    def __init__(self, bank: FrameBank, rows: npt.NDArray[np.intp]) -> None:
        self.bank = bank
        self.rows = rows

    def __len__(self) -> int:
        return self.rows.size

    def read(self, number: int) -> None:
        """Go to the frames of packet `number`.

        Sources that this or another group has read for that packet are not read again.
        """
        self.bank.read(self.rows, number)

    def frames(self) -> npt.NDArray[np.int16]:
        """Return the current frames, int16[len(self), samples]."""
        return self.bank.gather(self.rows)

    def short_readers(self) -> list[tuple[int, SourceReader, int]]:
        """Return the readers whose sources did not fill the current frame, their places before
        them, and how many samples they gave after them."""
        counts = self.bank.counts(self.rows)
        short = (counts < self.bank.samples).nonzero()[0].tolist()
        return [(at, self.bank.reader(self.rows.item(at)), counts.item(at)) for at in short]


def same_rate(source: Source, clock_rate_hz: int) -> Source:
    """Return the source itself.  Raises LocalProtocolError when it has another rate."""
    if source.clock_rate_hz != clock_rate_hz:
        raise LocalProtocolError(
            f"the source has {source.clock_rate_hz} Hz and the stream {clock_rate_hz} Hz"
        )
    return source


def resume_at_rate(reader: SourceReader, clock_rate_hz: int) -> Source:
    """Return the reader's source at another rate, continuing without a click."""
    reader.return_ahead()
    source = reader.source
    if isinstance(source, ResamplingSource):
        return source.at_rate(clock_rate_hz)
    rate = source.clock_rate_hz
    converter = Resampler.after(reader.pcm, rate, rate, clock_rate_hz)
    return ResamplingSource(source, clock_rate_hz, converter=converter)


class FeedTable:
    """The feeds in use.  A feed is deleted with its last user, except feeds of silence.

    Every call starts with silence, and there is only one such feed per codec and ptime.
    """

    def __init__(self, adapt: Callable[[Source, int], Source] = same_rate) -> None:
        """Convert sources to a stream's rate with `adapt`; the default refuses other rates."""
        self._adapt = adapt
        self._feeds: dict[tuple[int, str, int, int], SourceFeed] = {}
        self._readers: dict[int, tuple[SourceReader, int]] = {}
        self.banks: dict[int, FrameBank] = {}
        """The frames of all readers, by samples of a frame."""
        self._silent_octets: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(feed.users > 0 for feed in self._feeds.values())

    def acquire_feed(
        self,
        source: Source | None,
        codec: AnyCodec,
        ptime_ms: int,
        *,
        instead: SourceFeed | None = None,
    ) -> SourceFeed:
        """Return the feed of `source` (None: silence) in `codec`, and add a user to it.

        `instead` is the feed that the caller will release afterwards.  Raises LocalProtocolError
        when others read the source at another rate or ptime.
        """
        samples = codec.sample_rate * ptime_ms // 1000
        identity = 0 if source is None else id(source)
        key = (identity, codec.name, codec.sample_rate, ptime_ms)
        feed = self._feeds.get(key)
        if feed is None:
            lone = instead is not None and instead.users == 1
            reader = None
            if source is not None:
                reader = self._reader(source, codec.sample_rate, samples, lone=lone)
            feed = self._feeds[key] = SourceFeed(reader, codec, self._bank(samples), key)
        feed.users += 1
        return feed

    def _bank(self, samples: int) -> FrameBank:
        if samples not in self.banks:
            self.banks[samples] = FrameBank(samples)
        return self.banks[samples]

    def silent_octet(self, codec: AnyCodec) -> int:
        """Return the octet of silence that fills gaps between cut packets; 0 for a stateful
        codec."""
        octet = self._silent_octets.get(codec.name)
        if octet is None:
            silence = np.zeros((1, 1), dtype=np.int16)
            octet = int(codec.encode(silence)[0][0, 0]) if is_stateless(codec) else 0
            self._silent_octets[codec.name] = octet
        return octet

    def _reader(
        self, source: Source, clock_rate_hz: int, samples: int, *, lone: bool
    ) -> SourceReader:
        reader, users = self._readers.get(id(source), (None, 0))
        changes = reader is not None and reader.bank.samples != samples
        if reader is None:
            adapted = self._adapt(source, clock_rate_hz)
            reader = SourceReader(source, adapted, self._bank(samples))
        elif changes and lone and users == 1:
            self._adapt(source, clock_rate_hz)  # raises if the rate is not possible
            resumed = resume_at_rate(reader, clock_rate_hz)
            reader = SourceReader(source, resumed, self._bank(samples))
        elif reader.bank.samples != samples:
            raise LocalProtocolError(
                "streams that share a source must agree in clock rate and ptime"
            )
        self._readers[id(source)] = reader, users + 1
        return reader

    def release_feed(self, feed: SourceFeed) -> None:
        """Remove one user of `feed`; without users, forget it and its source, except silence."""
        feed.users -= 1
        if feed.users or feed.reader is None:
            return
        del self._feeds[feed.key]
        identity = id(feed.reader.origin)
        reader, users = self._readers.pop(identity)
        if users > 1:
            self._readers[identity] = reader, users - 1
        if users == 1 or reader is not feed.reader:
            feed.reader.return_ahead()
            feed.reader.bank.free_row(feed.reader.row)
