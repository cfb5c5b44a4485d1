"""A scenario for bench_load_echo: `echo` with a reader in every call that reads all audio."""

from __future__ import annotations

from softphone.load import Scenario, ScenarioRun
from softphone.media import PcmBlock

__all__ = ["reader"]


class CountingSink:
    """A sink that counts the samples: so every packet of its call is played out and decoded."""

    clock_rate_hz = 8000
    dropped_samples = 0

    def __init__(self) -> None:
        self.samples = 0

    def write(self, block: PcmBlock) -> None:
        """See `Sink`."""
        self.samples += block.pcm.size


async def _read(turn: ScenarioRun) -> None:
    async with turn.dial() as call:
        call.audio.record(CountingSink())
        await turn.talk(call)


reader = Scenario("reader", _read)
