"""A recording of the far end's video and audio in one file, in lip sync.

Pictures and sound share one time line: by capture times from RTCP if both streams have them, else
by arrival.  A thread of the recording encodes them; with MOST_WAITING blocks queued, new ones
are dropped and counted in `lost`.  The file is written as `path` + ".part", readable by its
owner only, and renamed at the end.  PyAV is loaded on first use.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from softphone.errors import ConfigurationError
from softphone.extras import require_module
from softphone.media.audio import PartFile, Resampler
from softphone.media.interface import Pcm, PcmBlock
from softphone.media.video import BlockTiming, ReceivedVideoFrame, SharedTimeline

logger = logging.getLogger("softphone.media")

KINDS = {
    ".mp4": ("mp4", "libx264", "aac"),
    ".mov": ("mov", "libx264", "aac"),
    ".mkv": ("matroska", "libx264", "aac"),
    ".webm": ("webm", "libvpx", "libopus"),
}
RATE, CLOCK = 48_000, 90_000
MOST_WAITING = 400
"""The most blocks that wait for the thread: some seconds of both streams."""
MOST_SOUND = 3000
"""The most audio packets, about a minute, that wait for the first picture; more drop the oldest."""
TOLERANCE = 0.04
"""Seconds by which audio may deviate from its position before it is corrected."""
X264 = {"preset": "veryfast", "crf": "18"}
VPX = {"deadline": "realtime", "cpu-used": "6", "crf": "10"}
BITRATE = 4_000_000


class _AudioSink:
    """The sink of the audio; passes each block, at its own rate, to the recording."""

    def __init__(self, take: Callable[[PcmBlock], None]) -> None:
        self._queue_block = take
        self.clock_rate_hz = 0
        self.dropped_samples = 0

    def write(self, block: PcmBlock) -> None:
        self._queue_block(block)


class VideoRecording:
    """Records the pictures written to it (a `VideoSink`) and the audio of its `audio_sink`.

    `wall` returns seconds since 1970.  Raises ConfigurationError when the file or its ".part"
    exists, it cannot be created, its suffix is unknown, or PyAV is missing.
    """

    wants_pictures = True

    def __init__(
        self, path: str | os.PathLike[str], *, wall: Callable[[], float] = time.time
    ) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in KINDS:
            known = " ".join(sorted(KINDS))
            raise ConfigurationError(f"{path}: a video recording's name ends in one of {known}")
        require_module("av", "video", f"{self.path}: a video recording needs PyAV")
        self._own = PartFile(self.path)
        self.part, self._file = self._own.part, self._own.file
        self.audio_sink = _AudioSink(self._queue_audio)
        self.lost = 0
        """Blocks dropped because MOST_WAITING were queued."""
        self.pictures = 0
        """Pictures written to the file."""
        self._wall = wall
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="video-recording")
        self._waiting = 0
        self._timeline = SharedTimeline()
        self._held: list[tuple[ReceivedVideoFrame | PcmBlock, BlockTiming]] = []
        self._film: _VideoWriter | None = None
        self.problem = ""
        """Why the recording has stopped; "" while it runs."""
        self._closed = False
        self.failed: Callable[[str], None] = lambda _: None
        """Called once, on any of the threads, with the reason for which the recording stops.

        :meta private:
        """
        self.forbidden: Callable[[], str] = str
        """Called for each block; returns why recording is forbidden now, "" if it is allowed.

        :meta private:
        """
        self.detach: Callable[[], None] = lambda: None
        """Called by `close` and `discard` to detach the recording from its streams.

        :meta private:
        """

    @property
    def by_clock(self) -> bool:
        """Whether the far end's clock, from its RTCP, aligns pictures and sound."""
        return self._timeline.by_clock

    # Both streams' threads ----------------------------------------------------------------------

    def write(self, block: ReceivedVideoFrame) -> None:
        """Queue a picture for the recording's thread.

        :meta private:
        """
        self._queue_block(block, BlockTiming(block.seconds, block.captured, self._wall()))

    def _queue_audio(self, block: PcmBlock) -> None:
        captured = block.captured if block.captured_by_sender else None
        self._queue_block(
            block, BlockTiming(block.timestamp / block.clock_rate_hz, captured, self._wall())
        )

    def _queue_block(self, block: ReceivedVideoFrame | PcmBlock, moment: BlockTiming) -> None:
        if self._closed or self.problem:
            return
        reason = self.forbidden()
        if reason:
            self._fail(reason)
        elif self._waiting >= MOST_WAITING:
            self.lost += 1
        else:
            self._waiting += 1
            self._pool.submit(self._work, block, moment).add_done_callback(self._worked)

    def _fail(self, reason: str) -> None:
        if not self.problem:
            self.problem = reason
            self.failed(reason)

    # Its own thread -----------------------------------------------------------------------------

    def _work(self, block: ReceivedVideoFrame | PcmBlock, moment: BlockTiming) -> None:
        self._waiting -= 1
        if not self.problem:
            self._place_or_hold(block, moment)

    def _worked(self, done: Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            # A full disk, mostly; any error ends the recording, never the call.
            logger.debug("a video recording failed", exc_info=error)
            self._fail(str(getattr(error, "strerror", None) or error))

    def _place_or_hold(self, block: ReceivedVideoFrame | PcmBlock, moment: BlockTiming) -> None:
        if not self._timeline.decided:
            self._timeline.observe_block(_kind(block), moment)
            self._held.append((block, moment))
            self._release()
            return
        self._write_block(block, moment)

    def _release(self) -> None:
        """Write the held blocks, once the time line is decided."""
        if not self._timeline.decided:
            return
        held, self._held = self._held, []
        for block, moment in held:
            self._write_block(block, moment)

    def _write_block(self, block: ReceivedVideoFrame | PcmBlock, moment: BlockTiming) -> None:
        at = self._timeline.position_of(_kind(block), moment)
        if self._film is None:
            self._film = _VideoWriter(self._file, *KINDS[self.path.suffix.lower()])
        if isinstance(block, PcmBlock):
            self._film.add_audio(block, at)
        elif block.picture is not None:
            self.pictures += 1
            self._film.add_picture(block.picture, at)

    def _finish(self) -> None:
        self._timeline.decide()
        self._release()
        if self._film is not None:
            self._film.finish()

    # The end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Write the rest and rename the file to its name; a second call does nothing.

        Without a picture there is no file.  Raises MediaError when the recording is cut short or
        another file has the name; the ".part" file then stays.
        """
        if self._closed:
            return
        self.detach()
        self._closed = True
        last = self._pool.submit(self._finish)
        self._pool.shutdown()
        self._worked(last)
        self._end()
        if self.problem:
            raise self._own.cut_short(self.problem)
        if self.pictures:
            self._own.move_into_place()
        else:
            self._own.discard()

    def discard(self) -> None:
        """Stop the recording and delete its file.  After `close` this does nothing."""
        if self._closed:
            return
        self.detach()
        self._closed = True
        self._pool.shutdown(cancel_futures=True)
        self._end()
        self._own.discard()

    def _end(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self._fail(error.strerror or str(error))


def _kind(block: ReceivedVideoFrame | PcmBlock) -> str:
    return "audio" if isinstance(block, PcmBlock) else "video"


class _VideoWriter:
    """The container and its two encoders."""

    def __init__(self, file: Any, container: str, video: str, audio: str) -> None:
        import av

        self._av = av
        self._container: Any = av.open(file, "w", format=container)
        self._codec = video
        self._sound: Any = self._container.add_stream(audio, rate=RATE, layout="mono")
        self._pictures: Any = None
        self._packets: deque[Any] = deque(maxlen=MOST_SOUND)
        self._position = 0
        self._last = -1
        self._converter: Resampler | None = None

    def add_picture(self, picture: Any, at: float) -> None:
        """Encode an I420 picture at a time in seconds; the first one sets the size of the video."""
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="yuv420p")
        if self._pictures is None:
            self._begin(frame.width, frame.height)
        stream = self._pictures
        if (frame.width, frame.height) != (stream.width, stream.height):
            frame = frame.reformat(width=stream.width, height=stream.height)
        frame.pts = self._last = max(round(at * CLOCK), self._last + 1)
        frame.time_base = Fraction(1, CLOCK)
        self._mux(stream.encode(frame))

    def _begin(self, width: int, height: int) -> None:
        stream = self._container.add_stream(self._codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, CLOCK)
        stream.bit_rate = BITRATE if self._codec == "libvpx" else 0
        stream.options = dict(VPX if self._codec == "libvpx" else X264)
        self._pictures = stream

    def add_audio(self, block: PcmBlock, at: float) -> None:
        """Encode audio at a time in seconds.

        Beyond TOLERANCE, silence fills a gap and overlapping audio is dropped.
        """
        rates = block.clock_rate_hz, RATE
        if self._converter is None:
            self._converter = Resampler(*rates)
        elif self._converter.source_rate_hz != block.clock_rate_hz:
            self._converter = self._converter.next_rates(*rates)
        place = round((at - self._converter.lag) * RATE)
        pcm = self._converter.feed(block.pcm)
        off = place - self._position
        if off > TOLERANCE * RATE:
            for at in range(0, off, RATE):  # one second at a time: a hold may last an hour
                self._encode_audio(np.zeros(min(RATE, off - at), dtype=np.int16))
        elif off < -TOLERANCE * RATE:
            pcm = pcm[-off:]
        self._encode_audio(pcm)

    def _encode_audio(self, pcm: Pcm) -> None:
        if not pcm.size:
            return
        frame = self._av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._position
        frame.time_base = Fraction(1, RATE)
        self._position += pcm.size
        self._mux(self._sound.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        # The header contains the size of the video, so audio waits for the first picture.
        self._packets += packets
        while self._packets and self._pictures is not None:
            self._container.mux(self._packets.popleft())

    def finish(self) -> None:
        """Flush the encoders and write the end of the file."""
        if self._pictures is None:
            return
        self._mux(self._pictures.encode(None))
        self._mux(self._sound.encode(None))
        self._container.close()
