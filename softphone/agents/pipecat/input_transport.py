"""The first processor of a pipeline: what the far end says and dials."""

from __future__ import annotations

from pipecat.frames.frames import CancelFrame, EndFrame, StartFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.transports.base_input import BaseInputTransport

from softphone.agents.pipecat.call_session import CallSession


class SoftphoneInputTransport(BaseInputTransport):
    """Pushes the sound and the events of a call; `alone` if no output ends the call."""

    def __init__(self, session: CallSession, *, name: str | None = None) -> None:
        super().__init__(session.params, name=name)
        self._session = session
        self.alone = True

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Learn the rate that the pipeline reads at."""
        await super().setup(setup)
        self._session.set_rates(read_hz=self.sample_rate)

    async def start(self, frame: StartFrame) -> None:
        """Answer the call, or be ready to dial."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._session.begin(self)

    async def stop(self, frame: EndFrame) -> None:
        """End the call, if no output does after the last word."""
        if self.alone:
            await self._session.finish()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """End the call at once."""
        self._session.leave()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """End what is left."""
        await self._session.close()
        await super().cleanup()
