"""Shared sources: each is read once per packet for all its streams, and encoded once per codec.

A `SourceReader` reads one source in frames; a `SourceFeed` is a reader with a codec.  Both keep the
packet number of their current frame, so that streams in different phases send the same octets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from softphone.errors import LocalProtocolError
from softphone.media.audio.resample import Resampler, ResamplingSource, resample_together
from softphone.media.bank.codec_lookup import AnyCodec, is_stateless
from softphone.media.interface import Source

logger = logging.getLogger("softphone.media")


class SourceReader:
    """The reader of one source in frames of `samples` samples.

    `pcm` int16[samples] is the current frame, `number` its packet number, and `count` the samples
    of it that the source gave; the rest is silence.
    """

    __slots__ = ("count", "number", "origin", "pcm", "samples", "source")

    def __init__(self, origin: Source, source: Source, samples: int) -> None:
        """Read `source`, which is `origin` converted to the rate of the stream."""
        self.origin = origin
        self.source = source
        self.samples = samples
        self.number = -1
        self.count = samples
        self.pcm = np.zeros(samples, dtype=np.int16)

    @property
    def ended(self) -> bool:
        """Whether the current frame is after the source's last sample."""
        return self.count == 0 and self.source.ended

    def conversion_input(self, number: int) -> npt.NDArray[np.int16] | None:
        """Return the input that the resampler needs before `read_packet(number)`, or None.

        A source that raises is logged and the frame is silent.
        """
        if number == self.number or not isinstance(self.source, ResamplingSource):
            return None
        try:
            return self.source.conversion_input(self.samples)
        except Exception:
            self._fail(number)
        return None

    def read_packet(self, number: int) -> None:
        """Read the frame of packet `number`, once; silence replaces missing samples."""
        if number == self.number:
            return
        try:
            pcm = self.source.read(self.samples)
        except Exception:
            self._fail(number)
            return
        self._fill(number, pcm)

    def _fail(self, number: int) -> None:
        # The source is the application's; an error in it must not stop other streams.
        logger.exception("a media source failed; silence is sent in its place")
        self._fill(number, self.pcm[:0])

    def _fill(self, number: int, pcm: npt.NDArray[np.int16]) -> None:
        self.number = number
        before, self.count = self.count, min(len(pcm), self.samples)
        self.pcm[: self.count] = pcm[: self.count]
        # Beyond `before` the frame is zero already: clear only what the last one filled.
        self.pcm[self.count : before] = 0


class SourceFeed:
    """The frames of a reader in one codec; silence without a reader.

    `payload` is the current encoded frame for a stateless codec.  For a stateful one it is empty,
    because each stream has its own encoder.
    """

    __slots__ = ("codec", "key", "number", "payload", "reader", "silence", "users")

    def __init__(
        self,
        reader: SourceReader | None,
        codec: AnyCodec,
        samples: int,
        key: tuple[int, str, int, int],
    ) -> None:
        self.reader = reader
        self.key = key
        self.codec = codec
        self.users = 0
        self.number = -1
        self.silence = np.zeros(samples, dtype=np.int16)
        self.payload = np.zeros(0, dtype=np.uint8)
        if is_stateless(codec):
            self.payload = codec.encode(self.silence[None])[0][0]

    @property
    def pcm(self) -> npt.NDArray[np.int16]:
        """The current frame, int16[samples]."""
        return self.silence if self.reader is None else self.reader.pcm


def read_frames(feeds: Sequence[SourceFeed], number: int) -> list[SourceFeed]:
    """Read packet `number` of `feeds` without encoding; return the feeds that had not read it yet.

    Sources of another rate are resampled as one batch.
    """
    stale = [feed for feed in feeds if feed.number != number and feed.reader is not None]
    readers = [feed.reader for feed in stale if feed.reader is not None]
    _convert(readers, number)
    for feed, reader in zip(stale, readers, strict=True):
        feed.number = number
        reader.read_packet(number)
    return stale


def _convert(readers: Sequence[SourceReader], number: int) -> None:
    sources: list[ResamplingSource] = []
    frames: list[npt.NDArray[np.int16]] = []
    for reader in readers:
        pcm = reader.conversion_input(number)
        if pcm is not None and isinstance(reader.source, ResamplingSource):
            sources.append(reader.source)
            frames.append(pcm)
    converted = resample_together([source.converter for source in sources], frames)
    for source, pcm in zip(sources, converted, strict=True):
        source.append_converted(pcm)


def collect_payloads(feeds: Sequence[SourceFeed], number: int) -> npt.NDArray[np.uint8]:
    """Return the payloads of `feeds` for packet `number`, uint8[len(feeds), size].

    All feeds have the same stateless codec and frame length.  A payload that another phase has
    already requested is not encoded again.
    """
    stale = read_frames(feeds, number)
    codec = feeds[0].codec
    if stale and is_stateless(codec):
        encoded, _ = codec.encode(np.stack([feed.pcm for feed in stale]))
        for feed, payload in zip(stale, encoded, strict=True):
            feed.payload = payload
        if len(stale) == len(feeds):
            return encoded
    if len(feeds) == 1:
        return feeds[0].payload[None, :]
    return np.stack([feed.payload for feed in feeds])


def same_rate(source: Source, clock_rate_hz: int) -> Source:
    """Return the source itself.  Raises LocalProtocolError when it has another rate."""
    if source.clock_rate_hz != clock_rate_hz:
        raise LocalProtocolError(
            f"the source has {source.clock_rate_hz} Hz and the stream {clock_rate_hz} Hz"
        )
    return source


def resume_at_rate(reader: SourceReader, clock_rate_hz: int) -> Source:
    """Return the reader's source at another rate, continuing without a click."""
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
            feed = self._feeds[key] = SourceFeed(reader, codec, samples, key)
        feed.users += 1
        return feed

    def silence(self, codec: AnyCodec, ptime_ms: int) -> SourceFeed:
        """Return the feed of silence in `codec`, without adding a user."""
        feed = self.acquire_feed(None, codec, ptime_ms)
        feed.users -= 1
        return feed

    def silent_octet(self, codec: AnyCodec) -> int:
        """Return the octet of silence that fills gaps between cut packets; 0 for a stateful
        codec."""
        return int(self.silence(codec, codec.ptime).payload[0]) if is_stateless(codec) else 0

    def _reader(
        self, source: Source, clock_rate_hz: int, samples: int, *, lone: bool
    ) -> SourceReader:
        reader, users = self._readers.get(id(source), (None, 0))
        changes = reader is not None and reader.samples != samples
        if reader is None:
            reader = SourceReader(source, self._adapt(source, clock_rate_hz), samples)
        elif changes and lone and users == 1:
            self._adapt(source, clock_rate_hz)  # raises if the rate is not possible
            reader = SourceReader(source, resume_at_rate(reader, clock_rate_hz), samples)
        elif reader.samples != samples:
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
