"""A sound card as source and sink, by sounddevice (PortAudio), which is loaded on first use.

The media loop reads and writes samples without blocking; `play_sound` plays without one.  The only
buffers are PortAudio's; no callback is used.
"""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from softphone.errors import ConfigurationError, MediaError
from softphone.extras import install_command
from softphone.media.audio.resample import Resampler
from softphone.media.interface import (
    Pcm,
    PcmBlock,
    Source,
)
from softphone.media.processing import VoiceProcessing, VoiceProcessor


@dataclass(frozen=True, slots=True)
class SoundDeviceInfo:
    """A sound card as the system lists it; `driver` is the system's audio API for it, such as ALSA.

    `inputs` and `outputs` are numbers of channels; for a call both are needed.
    """

    number: int
    name: str
    driver: str
    inputs: int
    outputs: int
    clock_rate_hz: int
    default_input: bool = False
    default_output: bool = False


def list_sound_devices() -> tuple[SoundDeviceInfo, ...]:
    """The system's sound cards; SoundDevice takes the name or the number of one.

    Raises ConfigurationError where sounddevice is not installed, MediaError where the system cannot
    list them.
    """
    module = _sounddevice()
    try:
        found = module.query_devices()
        drivers = [each["name"] for each in module.query_hostapis()]
    except module.PortAudioError as error:
        raise MediaError(f"the sound devices cannot be listed: {error}") from error
    first_input, first_output = module.default.device
    return tuple(
        SoundDeviceInfo(
            number=number,
            name=str(each["name"]),
            driver=str(drivers[each["hostapi"]]),
            inputs=int(each["max_input_channels"]),
            outputs=int(each["max_output_channels"]),
            clock_rate_hz=int(each["default_samplerate"]),
            default_input=number == first_input,
            default_output=number == first_output,
        )
        for number, each in enumerate(found)
    )


def _sounddevice() -> Any:  # it has no types
    try:
        return importlib.import_module("sounddevice")
    except (ImportError, OSError) as error:
        raise ConfigurationError(
            f"a sound card needs sounddevice and PortAudio: {install_command('audio')}, and "
            f"libportaudio2 of your system ({error})"
        ) from error


class SoundDevice:
    """Microphone (a `Source`) and loudspeaker (a `Sink`) of a device, by number or name.

    An entry of `list_sound_devices` stands for its number, "default" for the system's device.
    `processing` removes from the microphone the echo of the loudspeaker, and noise.  Raises
    ConfigurationError where sounddevice is not installed, MediaError where the device cannot be
    opened.
    """

    def __init__(
        self,
        name: str | int | SoundDeviceInfo = "default",
        clock_rate_hz: int = 48_000,
        *,
        processing: VoiceProcessing | None = None,
    ) -> None:
        module = _sounddevice()
        try:
            self._stream: Any = module.Stream(
                samplerate=clock_rate_hz,
                blocksize=0,
                device=_device_of(name),
                channels=1,
                dtype="int16",
                latency="low",
            )
            self._stream.start()
        except (module.PortAudioError, ValueError) as error:
            raise MediaError(_unusable(name, error)) from error
        self._error: type[Exception] = module.PortAudioError
        self._processor: VoiceProcessor | None = None
        self._processed: Pcm = np.zeros(0, dtype=np.int16)
        if processing is not None and processing.active:
            delay_ms = round(1000 * sum(self._stream.latency))
            self._processor = VoiceProcessor(processing, clock_rate_hz, delay_ms=delay_ms)
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
            read, _ = self._stream.read(there)
        except self._error:
            self.close()
            return np.zeros(0, dtype=np.int16)
        pcm: Pcm = np.asarray(read, dtype=np.int16).reshape(-1)
        if self._processor is None:
            return pcm
        # Whole frames of 10 ms come out, of which less than one may be left for the next time.
        pcm = np.concatenate((self._processed, self._processor.process(pcm)))
        self._processed = pcm[samples:]
        return pcm[:samples]

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
            if self._processor is not None:
                self._processor.note_played(pcm[:writable])
        except self._error:
            self.close()

    def close(self) -> None:
        """Release the device; a second call does nothing."""
        if not self.ended:
            self.ended = True
            self._stream.close()


async def play_sound(
    source: Source, name: str | int | SoundDeviceInfo = "default", clock_rate_hz: int = 48_000
) -> None:
    """Play a source, whose samples are at `clock_rate_hz`, on a loudspeaker until it ends.

    Canceling stops it at once.  Raises ConfigurationError where sounddevice is not installed,
    MediaError where the device cannot be opened or fails.
    """
    module = _sounddevice()
    try:
        stream: Any = module.OutputStream(
            samplerate=clock_rate_hz, device=_device_of(name), channels=1, dtype="int16"
        )
        stream.start()
    except (module.PortAudioError, ValueError) as error:
        raise MediaError(_unusable(name, error)) from error
    try:
        while (pcm := source.read(clock_rate_hz // 10)).size:
            # It waits while the device has enough to play.
            await asyncio.to_thread(stream.write, np.ascontiguousarray(pcm).reshape(-1, 1))
        # It waits until all has been played.
        await asyncio.to_thread(stream.stop)
    except module.PortAudioError as error:
        raise MediaError(f"the sound device {_name_of(name)!r} failed: {error}") from error
    finally:
        stream.close()


def _name_of(name: str | int | SoundDeviceInfo) -> str:
    return str(name.number if isinstance(name, SoundDeviceInfo) else name)


def _device_of(name: str | int | SoundDeviceInfo) -> str | int | None:
    """Return the device as PortAudio names it; None is the system's default."""
    text = _name_of(name)
    return None if text == "default" else int(text) if text.isdecimal() else text


def _unusable(name: str | int | SoundDeviceInfo, error: Exception) -> str:
    return (
        f"the sound device {_name_of(name)!r} cannot be opened: {error};"
        " list_sound_devices() gives what there is"
    )
