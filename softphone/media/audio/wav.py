"""WAV files as a source and as a sink."""

from __future__ import annotations

import logging
import os
import wave
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError
from softphone.media.audio.part_file import PartFile
from softphone.media.audio.read_ahead import ReadAheadSource
from softphone.media.audio.resample import Resampler
from softphone.media.audio.wav_reader import WavReader
from softphone.media.interface import PcmBlock

logger = logging.getLogger("softphone.media")

CHUNK = 4096
"""Frames read from the file at a time."""
HEADER_INTERVAL = 5.0
"""Seconds of sound between updates of the header on disk."""
LONGEST_GAP = 10.0
"""Seconds of silence that one gap in the timestamps may add."""


class WavSource(ReadAheadSource):
    """A WAV file as mono samples at `clock_rate_hz`, read as it is played, once or in a `loop`.

    `path` may also be an open file at its beginning, such as one in memory; it is closed at the
    end.  Every rate, bit depth and number of channels is converted (see `WavReader`).  Raises
    ConfigurationError when the file is missing, empty, or holds what cannot be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        clock_rate_hz: int = 8000,
        *,
        loop: bool = False,
    ) -> None:
        self.clock_rate_hz = clock_rate_hz
        """The rate of its samples as played."""
        self._loop = loop
        self._file = WavReader(Path(path) if isinstance(path, str | os.PathLike) else path)
        try:
            self._converter = Resampler(self._file.format.rate_hz, clock_rate_hz)
        except ConfigurationError:
            self._file.close()
            raise
        self._ready = self._given = np.zeros(0, dtype=np.int16)
        self._exhausted = False

    @property
    def seconds(self) -> float:
        """The duration of the file."""
        return self._file.frames / self._converter.source_rate_hz

    @property
    def ended(self) -> bool:
        """Whether all samples were read."""
        return self._exhausted and not self._ready.size

    def read(self, samples: int) -> NDArray[np.int16]:
        """Return the next int16[samples], fewer at the end."""
        parts = [self._ready]
        size = self._ready.size
        while size < samples and not self._exhausted:
            parts.append(self._next_chunk())
            size += parts[-1].size
        pcm = np.concatenate(parts)
        self._ready, self._given = pcm[samples:], pcm[:samples]
        if self._exhausted and not self._ready.size:
            self.close()
        return self._given

    def unread(self, samples: int) -> None:
        """Take back the last `samples`: they are read again.

        :meta private:
        """
        kept = self._given.size - samples
        self._ready = np.concatenate((self._given[kept:], self._ready))
        self._given = self._given[:kept]

    def _next_chunk(self) -> NDArray[np.int16]:
        pcm = self._file.read(CHUNK)
        if not pcm.size and self._loop:
            self._file.rewind()
            pcm = self._file.read(CHUNK)
        self._exhausted = not pcm.size
        return self._converter.feed(pcm, last=self._exhausted)

    def close(self) -> None:
        """Close the file; nothing more can be read."""
        self._exhausted = True
        self._file.close()


class WavSink:
    """Records 16-bit mono to a WAV file, written as `path` + ".part" and renamed by `close`.

    The header of the ".part" file is updated every `HEADER_INTERVAL`, so a process that dies
    leaves a file that plays.  `secure` makes the file readable by its owner only (0600), for the
    audio of encrypted calls; else its mode is 0644.
    Raises ConfigurationError when `path` exists or cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], clock_rate_hz: int = 0, *, secure: bool = True
    ) -> None:
        self._own = PartFile(Path(path), mode=0o600 if secure else 0o644)
        self._file = self._own.file
        self.clock_rate_hz = clock_rate_hz
        """The sample rate of the file in Hz; 0 until the first block sets it."""
        self._converter: Resampler | None = None
        self._writer: wave.Wave_write | None = None
        self._expected: int | None = None
        self._unwritten = 0
        self.dropped_samples = 0
        """Samples not written because the disk was full or the file was closed."""
        self._closed = False

    def write(self, block: PcmBlock) -> None:
        """Append a block; silence fills a gap in the timestamps, `LONGEST_GAP` at most."""
        if self._closed:
            self.dropped_samples += block.pcm.size
            return
        if self.clock_rate_hz == 0:
            self.clock_rate_hz = block.clock_rate_hz
        if self._converter is None or self._converter.source_rate_hz != block.clock_rate_hz:
            self._converter = Resampler(block.clock_rate_hz, self.clock_rate_hz)
            self._expected = None
        gap = 0 if self._expected is None else block.timestamp - self._expected
        pcm = block.pcm
        if gap > 0:
            silence = np.zeros(min(gap, int(LONGEST_GAP * block.clock_rate_hz)), dtype=np.int16)
            pcm = np.concatenate((silence, pcm))
        self._expected = block.timestamp + block.pcm.size
        self._append(self._converter.feed(pcm))

    def _append(self, pcm: NDArray[np.int16]) -> None:
        try:
            if self._writer is None:
                self._writer = self._begin()
            self._writer.writeframesraw(pcm.astype("<i2").tobytes())
            self._unwritten += pcm.size
            if self._unwritten >= HEADER_INTERVAL * self.clock_rate_hz:
                # `writeframes` updates the header.
                self._writer.writeframes(b"")
                self._file.flush()
                self._unwritten = 0
        except OSError as error:
            if not self.dropped_samples:
                logger.warning("recording to %s stopped: %s", self._own.path, error.strerror)
            self.dropped_samples += pcm.size

    def _begin(self) -> wave.Wave_write:
        writer = wave.Wave_write(self._file)
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(self.clock_rate_hz)
        return writer

    def close(self) -> None:
        """Finish the header and rename the file to `path`; a second call does nothing.

        Raises MediaError when the disk is full or another file has the name; the ".part" file then
        stays, and the message names it.
        """
        if self._closed:
            return
        self._closed = True
        self._own.finish(self._end)

    def _end(self) -> None:
        self.clock_rate_hz = self.clock_rate_hz or 8000
        if self._converter is not None:
            self._append(self._converter.feed(np.zeros(0, dtype=np.int16), last=True))
        if self._writer is None:
            self._writer = self._begin()
            self._writer.writeframes(b"")
        self._writer.close()

    def discard(self) -> None:
        """Stop the recording and delete the file.  After `close` this does nothing."""
        if self._closed:
            return
        self._closed = True
        with suppress(OSError, wave.Error):  # the file is deleted anyway
            if self._writer is not None:
                self._writer.close()
        self._own.discard()
