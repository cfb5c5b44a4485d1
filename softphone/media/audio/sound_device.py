"""A sound card as source and sink, by sounddevice (PortAudio), which is loaded on first use.

The media loop reads and writes samples without blocking.  The only buffers are PortAudio's; no
callback is used.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from softphone.errors import ConfigurationError
from softphone.media.audio.resample import Resampler
from softphone.media.interface import MediaError, Pcm, PcmBlock


class SoundDevice:
    """Microphone (a `Source`) and loudspeaker (a `Sink`) of one device, by name or number.

    "default" is the system's.  Raises ConfigurationError where sounddevice is not installed,
    MediaError where the device cannot be opened.
    """

    def __init__(self, name: str = "default", clock_rate_hz: int = 48_000) -> None:
        try:
            module: Any = importlib.import_module("sounddevice")
        except (ImportError, OSError) as error:
            raise ConfigurationError(
                "a sound card needs sounddevice and PortAudio: pip install 'softphone[audio]', and "
                f"libportaudio2 of your system ({error})"
            ) from error
        device = None if name == "default" else int(name) if name.isdecimal() else name
        try:
            self._stream: Any = module.Stream(
                samplerate=clock_rate_hz,
                blocksize=0,
                device=device,
                channels=1,
                dtype="int16",
                latency="low",
            )
            self._stream.start()
        except (module.PortAudioError, ValueError) as error:
            raise MediaError(f"the sound device {name!r} cannot be opened: {error}") from error
        self._error: type[Exception] = module.PortAudioError
        self.clock_rate_hz = clock_rate_hz
        """The sample rate of the device in Hz."""
        self._converter: Resampler | None = None
        self.dropped_samples = 0
        self.ended = False
        """Whether the device was closed, or has failed."""

    def read(self, samples: int) -> Pcm:
        """Return samples of the microphone, `samples` at most, without waiting."""
        if self.ended:
            return np.zeros(0, dtype=np.int16)
        try:
            there = min(self._stream.read_available, samples)
            pcm, _ = self._stream.read(there)
        except self._error:
            self.close()
            return np.zeros(0, dtype=np.int16)
        return np.asarray(pcm, dtype=np.int16).reshape(-1)

    def write(self, block: PcmBlock) -> None:
        """Play a block; samples beyond the device's buffer are dropped and counted."""
        if self._converter is None or self._converter.source_rate_hz != block.clock_rate_hz:
            self._converter = Resampler(block.clock_rate_hz, self.clock_rate_hz)
        pcm = self._converter.feed(block.pcm)
        if self.ended:
            self.dropped_samples += pcm.size
            return
        try:
            writable = min(self._stream.write_available, pcm.size)
            self.dropped_samples += pcm.size - writable
            self._stream.write(np.ascontiguousarray(pcm[:writable]).reshape(-1, 1))
        except self._error:
            self.close()

    def close(self) -> None:
        """Release the device; a second call does nothing."""
        if not self.ended:
            self.ended = True
            self._stream.close()
