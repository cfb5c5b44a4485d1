"""The last processor of a pipeline: what the bot says, dials and does with the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.transports.base_output import BaseOutputTransport

from softphone.agents.pipecat.call_frames import (
    CallHoldFrame,
    CallResumeFrame,
    CallTransferFrame,
    PlaybackInterruptedFrame,
)
from softphone.agents.pipecat.call_session import CallSession
from softphone.call import Call
from softphone.errors import LocalProtocolError, SoftphoneError


class SoftphoneOutputTransport(BaseOutputTransport):
    """Writes sound to a call as fast as it is played, so pipecat's frames say when it is heard."""

    def __init__(self, session: CallSession, *, name: str | None = None) -> None:
        super().__init__(session.params, name=name)
        self._session = session
        self._speaking = False
        self._interruptible = True
        self._written_samples = 0
        """Samples that were handed to the call since the bot began to speak."""

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Learn the rate that the pipeline writes at."""
        await super().setup(setup)
        self._session.set_rates(write_hz=self.sample_rate)

    async def start(self, frame: StartFrame) -> None:
        """Be ready to speak; without an input, answer the call, too."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._session.begin(self)

    async def stop(self, frame: EndFrame) -> None:
        """Let the last word be played, then hang up."""
        await super().stop(frame)
        await self._session.finish()

    async def cancel(self, frame: CancelFrame) -> None:
        """End the call at once."""
        self._session.leave()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """End what is left."""
        await self._session.close()
        await super().cleanup()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Hand a chunk to the call; returns when at most `lead_seconds` of it wait."""
        call = self._session.live_call
        samples = len(frame.audio) // 2
        if call is None:
            if self._params.audio_out_mixer:
                # A mixer always has a next frame: without a call nothing else would slow it down.
                await asyncio.sleep(samples / self.sample_rate)
            return False
        self._interruptible = frame.interruptible
        self._written_samples += samples
        try:
            await call.audio.write(frame.audio, lead=self._session.params.lead_seconds)
        except LocalProtocolError:
            return False
        return True

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Push a frame, and note when the bot begins and ceases to speak."""
        if isinstance(frame, BotStartedSpeakingFrame):
            self._speaking = True
            if direction is FrameDirection.DOWNSTREAM:
                self._written_samples = 0
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self._speaking = False
        await super().push_frame(frame, direction)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame; an interruption silences the call within a frame of media."""
        speaking = self._speaking
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            await self._discard(speaking)

    async def _discard(self, speaking: bool) -> None:
        call = self._session.call
        # Sound that may not be interrupted is still to be played: it is never more than the lead.
        if call is None or not self._interruptible:
            return
        discarded = call.audio.flush()
        written, self._written_samples = self._written_samples, 0
        if speaking or discarded:
            await self.broadcast_frame(
                PlaybackInterruptedFrame,
                sent_seconds=max(0, written - discarded) / self.sample_rate,
                discarded_seconds=discarded / self.sample_rate,
            )

    # Digits and what is done with the call --------------------------------------------------------

    def _supports_native_dtmf(self) -> bool:
        return True

    async def _write_dtmf_native(self, frame: OutputDTMFFrame | OutputDTMFUrgentFrame) -> None:
        digits = frame.to_string()
        wait = isinstance(frame, OutputDTMFFrame)
        await self._carry_out(lambda call: call.send_digits(digits), wait, "send digits")

    async def write_transport_frame(self, frame: Frame) -> None:
        """Transfer, hold or resume, when what was said before has been played."""
        match frame:
            case CallTransferFrame():
                target = frame.target
                await self._carry_out(lambda call: call.transfer(target), True, "transfer the call")
            case CallHoldFrame():
                await self._carry_out(lambda call: call.hold(), True, "hold the call")
            case CallResumeFrame():
                await self._carry_out(lambda call: call.resume(), True, "resume the call")

    async def _carry_out(
        self, command: Callable[[Call], Awaitable[None]], wait: bool, what: str
    ) -> None:
        """Give a command to the call; a refusal becomes an ErrorFrame."""
        try:
            call = self._session.up()
            if wait:
                await call.audio.played()
            await command(call)
        except SoftphoneError as error:
            await self.push_error(f"cannot {what}: {error}", exception=error)
