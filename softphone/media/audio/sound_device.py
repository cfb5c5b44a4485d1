"""A sound card as source and sink, by sounddevice (PortAudio); it is loaded when one is opened.

Samples are taken and given without waiting, from the media loop: PortAudio's buffers are the only
ones, and no callback is used.
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
        """The rate at which it runs."""
        self._converter: Resampler | None = None
        self.dropped_samples = 0
        self.ended = False
        """Whether it was closed, or is gone."""

    def read(self, samples: int) -> Pcm:
        """Take out at most `samples` that the microphone has heard."""
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
        """Say a block; what the card has no room for is lost, and counted."""
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
        """Give the card back; a second call does nothing."""
        if not self.ended:
            self.ended = True
            self._stream.close()
