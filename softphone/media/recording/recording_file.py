"""Audio recording files: WAV, or a container that PyAV writes, chosen by the file's suffix.

A file is written as `path` + ".part", readable by its owner only, and renamed at the end.  PyAV is
loaded only for files that need it, when their encoder opens.
"""

from __future__ import annotations

import os
import wave
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError
from softphone.extras import require_module
from softphone.media.audio.part_file import PartFile

CODECS = {
    ".ogg": ("ogg", "libopus"),
    ".opus": ("ogg", "libopus"),
    ".webm": ("webm", "libopus"),
    ".mka": ("matroska", "libopus"),
    ".mkv": ("matroska", "libopus"),
    ".mp4": ("mp4", "aac"),
    ".m4a": ("mp4", "aac"),
    ".flac": ("flac", "flac"),
    ".mp3": ("mp3", "libmp3lame"),
}


class _Encoder(Protocol):
    def write(self, frames: NDArray[np.int16]) -> None:
        """Append int16[n, 2]."""

    def finish(self) -> None:
        """Write the end of the file."""


class _WavEncoder:
    def __init__(self, file: IO[bytes], rate: int) -> None:
        self._writer = wave.Wave_write(file)
        self._writer.setnchannels(2)
        self._writer.setsampwidth(2)
        self._writer.setframerate(rate)

    def write(self, frames: NDArray[np.int16]) -> None:
        self._writer.writeframes(frames.astype("<i2").tobytes())

    def finish(self) -> None:
        self._writer.close()


class _AvEncoder:
    def __init__(self, file: IO[bytes], rate: int, container: str, codec: str) -> None:
        import av

        self._av = av
        self._container: Any = av.open(file, "w", format=container)
        stream: Any = self._container.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        self._stream = stream
        self._rate = rate
        self._position = 0

    def write(self, frames: NDArray[np.int16]) -> None:
        frame = self._av.AudioFrame.from_ndarray(
            np.ascontiguousarray(frames).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate, frame.pts = self._rate, self._position
        self._position += len(frames)
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def finish(self) -> None:
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()


class RecordingFile:
    """One file of stereo frames; the first frames open its encoder and set the rate.

    Raises ConfigurationError when the file or its ".part" exists, it cannot be written, its
    suffix is unknown, or PyAV is missing for it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in (".wav", *CODECS):
            known = " ".join(sorted((".wav", *CODECS)))
            raise ConfigurationError(f"{self.path}: a recording's name ends in one of {known}")
        if suffix in CODECS:
            require_module("av", "video", f"{self.path}: a {suffix} recording needs PyAV")
        self._own = PartFile(self.path)
        self.part, self._file = self._own.part, self._own.file
        self._encoder: _Encoder | None = None
        self._closed = False

    @property
    def rate(self) -> int:
        """The sample rate in Hz that the file needs: 48,000 for Opus, 0 for any."""
        opus = CODECS.get(self.path.suffix.lower(), ("", ""))[1] == "libopus"
        return 48_000 if opus else 0

    def write(self, frames: NDArray[np.int16], clock_rate_hz: int) -> None:
        """Append int16[n, 2] and flush.  Raises OSError, for example when the disk is full."""
        if self._encoder is None:
            self._encoder = self._make(clock_rate_hz)
        self._encoder.write(frames)
        self._file.flush()

    def _make(self, rate: int) -> _Encoder:
        kind = CODECS.get(self.path.suffix.lower())
        return (
            _WavEncoder(self._file, rate) if kind is None else _AvEncoder(self._file, rate, *kind)
        )

    def close(self) -> None:
        """Complete the file and rename it to its name; a second call does nothing.

        Raises MediaError when it cannot be completed or another file has the name; the ".part" file
        then stays.
        """
        if self._closed:
            return
        self._closed = True
        self._own.finish(self._end)

    def _end(self) -> None:
        if self._encoder is None:
            self._encoder = self._make(self.rate or 8000)
        self._encoder.finish()

    def discard(self) -> None:
        """Delete the ".part" file.  After `close` this does nothing."""
        if self._closed:
            return
        self._closed = True
        with suppress(OSError):  # a full disk may raise again
            if self._encoder is not None:
                self._encoder.finish()
        self._own.discard()
