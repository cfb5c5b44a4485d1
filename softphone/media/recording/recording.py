"""A recording of both sides of a call, encoded and written outside the media tick.

The sinks queue blocks; five times a second a timer of the event loop encodes and writes them,
between the phases of the tick.  Blocks beyond the backlog are dropped and counted, so a slow disk
harms only the recording.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from softphone.errors import MediaError
from softphone.media.interface import (
    PcmBlock,
)
from softphone.media.recording.recording_file import RecordingFile
from softphone.media.recording.stereo_timeline import RecordingSide, StereoTimeline

PERIOD = 0.2
LONGEST_BACKLOG = 500
"""The most blocks that may wait: five seconds of both sides."""


class _RecordingSink:
    """The sink of one side."""

    def __init__(
        self, side: RecordingSide, take: Callable[[RecordingSide, PcmBlock], None]
    ) -> None:
        self._side, self._queue_block = side, take
        self.clock_rate_hz = 0
        self.dropped_samples = 0

    def write(self, block: PcmBlock) -> None:
        self._queue_block(self._side, block)


class Recording:
    """Records the audio written to its two sinks, `near` and `far`; needs a running event loop.

    `lost_blocks` counts dropped blocks.  Raises ConfigurationError for a file that cannot be
    created.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.file = RecordingFile(path)
        self.near, self.far = (
            _RecordingSink(RecordingSide.NEAR, self._queue_block),
            _RecordingSink(RecordingSide.FAR, self._queue_block),
        )
        self.lost_blocks = 0
        self._timeline = StereoTimeline(self.file.rate)
        self._backlog: list[tuple[RecordingSide, PcmBlock, bool]] = []
        self.paused = False
        """Whether silence is recorded in place of both sides."""
        self._failed: Callable[[str], None] = lambda _: None
        self._forbidden: Callable[[], str] = str
        self.problem = ""
        """Why the recording has stopped; "" while it runs."""
        self._closed = False
        self._timer = asyncio.get_running_loop().call_later(PERIOD, self._visit)
        self._detach: Callable[[], None] | None = None

    @property
    def path(self) -> Path:
        """The path of the finished file."""
        return self.file.path

    @property
    def seconds(self) -> float:
        """The duration recorded so far."""
        return self._timeline.seconds

    def watch(
        self,
        *,
        failed: Callable[[str], None],
        forbidden: Callable[[], str],
        detach: Callable[[], None],
    ) -> None:
        """Set the callbacks.

        `failed` is called once, with the reason, when the recording stops.  `forbidden` is called
        before each write; a reason other than "" stops the recording.  `detach` is called by
        `close` and `discard`, to remove the sinks from the call.

        :meta private:
        """
        self._failed, self._forbidden, self._detach = failed, forbidden, detach

    def pause(self) -> None:
        """Record silence in place of both sides from now on, for what must not be kept."""
        self.paused = True

    def resume(self) -> None:
        """Record both sides again."""
        self.paused = False

    def _queue_block(self, side: RecordingSide, block: PcmBlock) -> None:
        if self._closed or self.problem:
            return
        if len(self._backlog) >= LONGEST_BACKLOG:
            self.lost_blocks += 1
            return
        self._backlog.append((side, block, self.paused))

    def _visit(self) -> None:
        self._write(last=False)
        if not (self._closed or self.problem):
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self._visit)

    def _write(self, *, last: bool) -> None:
        backlog, self._backlog = self._backlog, []
        if self.problem:
            return
        reason = self._forbidden()
        if reason:
            self._fail(reason)
            return
        for side, block, paused in backlog:
            self._timeline.paused = paused
            self._timeline.add_block(side, block)
        frames = self._timeline.take_frames(last=last)
        if not len(frames):
            return
        try:
            self.file.write(frames, self._timeline.clock_rate_hz)
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _fail(self, reason: str) -> None:
        self.problem = reason
        self._failed(reason)

    def close(self) -> None:
        """Write the rest and rename the file to `path`; a second call does nothing.

        Raises MediaError when the recording is cut short or its file cannot be completed; a file
        that cannot be completed stays as `path` + ".part".
        """
        if self._closed:
            return
        if self._detach is not None:
            self._detach()
        self._write(last=True)
        self._closed = True
        self._timer.cancel()
        try:
            self.file.close()
        except MediaError as error:
            if not self.problem:
                self._fail(str(error))
            raise
        if self.problem:
            raise MediaError(f"the recording in {self.path} is cut short: {self.problem}")

    def discard(self) -> None:
        """Stop the recording and delete its file.  After `close` this does nothing."""
        if not self._closed:
            if self._detach is not None:
                self._detach()
            self._closed = True
            self._timer.cancel()
            self.file.discard()
