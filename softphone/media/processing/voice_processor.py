"""VoiceProcessor: removes from one stream the echo of another, and noise, in frames of 10 ms."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from softphone.errors import ConfigurationError
from softphone.extras import require_module
from softphone.media.interface import Pcm
from softphone.value_types import settle_types

LEAST_RATE = 8000
"""In Hz."""
FRAMES_A_SECOND = 100
BACKLOG = 0.04
"""Seconds of played sound that may wait for the near end; beyond it the oldest is dropped.

With more backlog, recorded echo would reach the canceller before its reference.
"""


class NoiseSuppression(StrEnum):
    """How much steady noise is reduced, at most: not, or by 6, 12, 18 or 21 dB."""

    OFF = "off"
    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    VERY_HIGH = "very_high"


_LEVELS = tuple(NoiseSuppression)[1:]


@dataclass(frozen=True, slots=True)
class VoiceProcessing:
    """What is done to sound.

    Raises ConfigurationError where it needs pywebrtc-audio, and that is not installed.
    """

    echo_cancellation: bool = False
    """Whether the echo of what was played is removed."""
    noise_suppression: NoiseSuppression = NoiseSuppression.OFF
    """How much steady noise is reduced."""

    @property
    def active(self) -> bool:
        """Whether anything is done."""
        return self.echo_cancellation or self.noise_suppression is not NoiseSuppression.OFF

    def __post_init__(self) -> None:
        settle_types(self, "VoiceProcessing")
        if self.active:
            require_module(
                "pywebrtc_audio",
                "voice-processing",
                "echo cancellation and noise suppression need pywebrtc-audio",
            )


class VoiceProcessor:
    """Processes one stream of sound, which is then about 10 ms late.

    `delay_ms`: milliseconds from playing a sound to recording its echo; 0 if unknown.
    Raises ConfigurationError for a rate below 8,000 Hz.
    """

    def __init__(self, wanted: VoiceProcessing, clock_rate_hz: int, *, delay_ms: int = 0) -> None:
        if clock_rate_hz < LEAST_RATE:
            raise ConfigurationError(
                f"echo cancellation and noise suppression need {LEAST_RATE} Hz or more, and not "
                f"{clock_rate_hz}"
            )
        module: Any = importlib.import_module("pywebrtc_audio")
        suppression = wanted.noise_suppression
        suppresses = suppression is not NoiseSuppression.OFF
        self._cancels = wanted.echo_cancellation
        self._inner = module.AudioProcessor(
            sample_rate=clock_rate_hz,
            echo_cancellation=self._cancels,
            noise_suppression=suppresses,
            ns_level=_LEVELS.index(suppression) if suppresses else 0,
            stream_delay_ms=delay_ms,
        )
        self.clock_rate_hz = clock_rate_hz
        self._frame = clock_rate_hz // FRAMES_A_SECOND
        self._backlog = round(BACKLOG * clock_rate_hz)
        self._held = self._played = np.zeros(0, dtype=np.int16)

    @property
    def held_samples(self) -> int:
        """The number of samples that wait for the rest of their frame."""
        return int(self._held.size)

    def note_played(self, pcm: Pcm) -> None:
        """Note int16[n] at our rate that was played, and of which there may be an echo."""
        if self._cancels:
            self._played = np.concatenate((self._played, pcm))[-self.clock_rate_hz :]

    def process(self, pcm: Pcm) -> Pcm:
        """Process the held samples and int16[n] in whole 10 ms frames; keep the rest."""
        near = np.concatenate((self._held, pcm))
        whole = near.size - near.size % self._frame
        self._held = near[whole:]
        if not whole:
            return near[:0]
        far = self._take_played(whole) if self._cancels else None
        processed: Pcm = self._inner.process(near[:whole], far)
        return processed

    def _take_played(self, samples: int) -> Pcm:
        """Return the played sound beside the near end; silence stands before what is missing."""
        waiting = self._played[-(samples + self._backlog) :]
        self._played = waiting[samples:]
        taken = waiting[:samples]
        if taken.size < samples:
            taken = np.concatenate((np.zeros(samples - taken.size, dtype=np.int16), taken))
        return taken
