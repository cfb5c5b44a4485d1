"""The sound of a call as input and output of an agent session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from livekit import rtc
from livekit.agents.voice import io

from softphone.agents.realtime.playback import ReplyPlayback
from softphone.agents.sound_coding import SoundCoding
from softphone.call import Call
from softphone.errors import ConfigurationError, LocalProtocolError
from softphone.media.audio import ReceivedAudio


class CallAudioInput(io.AudioInput):
    """What the caller says, as frames of 16-bit mono at `sample_rate`, to the end of the call.

    Raises ConfigurationError for a rate that `AudioStream.use_rates` does not take,
    LocalProtocolError once that direction is already read.
    """

    def __init__(self, call: Call, *, sample_rate: int = 16000) -> None:
        super().__init__(label="softphone")
        call.audio.use_rates(read_hz=sample_rate)
        self._heard: AsyncIterator[ReceivedAudio] = aiter(call.audio)

    async def __anext__(self) -> rtc.AudioFrame:
        """Return the next frame, int16 mono, about 20 ms.

        Raises StopAsyncIteration when the call ends.
        """
        heard = await anext(self._heard)
        return rtc.AudioFrame(bytes(heard), heard.clock_rate_hz, 1, len(heard))


class CallAudioOutput(io.AudioOutput):
    """Plays what an agent says to the caller.

    At most 300 s of sound wait.  A segment that was interrupted, or that the end of the call has
    cut, is reported too: `on_playback_finished` gets the seconds that were sent.  `aclose` ends the
    output.  Raises ConfigurationError for a rate that `AudioStream.use_rates` does not take,
    LocalProtocolError once that direction is already written.
    """

    def __init__(self, call: Call, *, sample_rate: int = 24000) -> None:
        super().__init__(
            label="softphone",
            capabilities=io.AudioOutputCapabilities(pause=True),
            sample_rate=sample_rate,
        )
        call.audio.use_rates(write_hz=sample_rate)
        self._audio = call.audio
        self._playback = ReplyPlayback(call.audio, SoundCoding.PCM, sample_rate)
        self._playing = asyncio.ensure_future(self._playback.play())
        self._ended = asyncio.ensure_future(call.ended())
        self._finishing: asyncio.Task[None] | None = None
        self._segment = 0
        self._open = False
        self._pushed = self._heard = 0.0
        self._interrupted = False

    async def aclose(self) -> None:
        """Drop what was not sent, and end the output."""
        self.clear_buffer()
        tasks = [self._playing, self._ended]
        if self._finishing is not None:
            await self._finishing
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Wait for a flushed segment to finish, then queue a frame.

        Drops it while the segment is interrupted.  Raises ConfigurationError for one with another
        rate or more channels, TransportError where more than 300 s would wait.
        """
        await super().capture_frame(frame)
        if self._finishing is not None:
            await self._finishing
        if frame.sample_rate != self.sample_rate or frame.num_channels != 1:
            raise ConfigurationError(f"a call takes frames of one channel at {self.sample_rate} Hz")
        if not self._open:
            self._open = True
            self._segment += 1
            self.on_playback_started(created_at=time.time())
        if not self._interrupted:
            self._pushed += frame.samples_per_channel / frame.sample_rate
            self._playback.add_sound(str(self._segment), bytes(frame.data))

    def flush(self) -> None:
        """Mark the end of a segment: it is finished when its last sample was sent."""
        super().flush()
        if self._open and self._finishing is None:
            self._finishing = asyncio.ensure_future(self._finish())

    def clear_buffer(self) -> None:
        """Drop what was not sent: silence from the next frame on."""
        if not self._open:
            return
        for name, heard_ms in self._playback.interrupt():
            if name == str(self._segment):
                self._interrupted, self._heard = True, heard_ms / 1000

    def pause(self) -> None:
        """Send silence from the next frame on; what was not sent waits."""
        super().pause()
        with suppress(LocalProtocolError):  # the call is over
            self._audio.pause()

    def resume(self) -> None:
        """Go on where `pause` has stopped the sound."""
        super().resume()
        with suppress(LocalProtocolError):  # the call is over
            self._audio.resume()

    async def _finish(self) -> None:
        """Wait for the end of a segment, and report it."""
        draining = asyncio.ensure_future(self._playback.drain())
        try:
            ends = {draining, self._ended}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            draining.cancel()
        if not draining.done():
            self.clear_buffer()
        position = self._heard if self._interrupted else self._pushed
        interrupted = self._interrupted
        self._open = self._interrupted = False
        self._pushed, self._finishing = 0.0, None
        self.on_playback_finished(playback_position=position, interrupted=interrupted)
