"""The generator's own resources: processor time, lateness of packets, buffer overflows."""

from __future__ import annotations

import time
from collections.abc import Callable

from softphone.load.measure import RunSecond
from softphone.media import AnyEngine
from softphone.media.tick import BIN_STARTS_MS


class ResourceGauge:
    """Reads the processes' clocks and the engine's counters, and gives differences.

    A media process counts too; the share of a core is that of the busier process.
    """

    def __init__(
        self,
        engine: AnyEngine,
        *,
        processor: Callable[[], float] = time.process_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._processor = processor
        self._clock = clock
        self.start()

    def start(self) -> None:
        """Restart: later differences count from now."""
        self._used, self._at = self._read_processor(), self._clock()
        self._late = self._engine.lateness.counts.copy()
        self._overflows, self._jumps = self._engine.overflows, self._engine.jumps
        self._skipped = self._engine.packets_skipped

    def read_into(self, second: RunSecond) -> None:
        """Write the differences since the previous reading into a second."""
        used, at = self._read_processor(), self._clock()
        tally = second.tally
        own, media = used[0] - self._used[0], used[1] - self._used[1]
        tally.cpu_seconds += own + media
        second.cpu = max(own, media) / max(at - self._at, 1e-3)
        self._used, self._at = used, at
        self._read_lateness(second)
        overflows, jumps = self._engine.overflows, self._engine.jumps
        tally.overflows += overflows - self._overflows
        tally.jumps += jumps - self._jumps
        self._overflows, self._jumps = overflows, jumps
        skipped = self._engine.packets_skipped
        tally.skipped += skipped - self._skipped
        self._skipped = skipped

    def _read_processor(self) -> tuple[float, float]:
        """Processor seconds of this process, and of the media process (0.0 without one)."""
        return self._processor(), getattr(self._engine, "processor_seconds", 0.0)

    def _read_lateness(self, second: RunSecond) -> None:
        tally, counts = second.tally, self._engine.lateness.counts
        new = counts - self._late
        self._late = counts.copy()
        for bin_number in new.nonzero()[0].tolist():
            tally.count_lateness(BIN_STARTS_MS[bin_number], int(new[bin_number]))
