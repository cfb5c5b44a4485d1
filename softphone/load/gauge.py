"""What the generator itself used: processor time, lateness of packets, buffers that overflowed."""

from __future__ import annotations

import time
from collections.abc import Callable

from softphone.load.tally import Second
from softphone.load.watch import LATE_MS
from softphone.media.engine import MediaEngine
from softphone.media.lateness import BIN_MS

__all__ = ["Gauge"]


class Gauge:
    """Reads the process's clock and the engine's counters, and gives differences."""

    def __init__(
        self,
        engine: MediaEngine,
        *,
        processor: Callable[[], float] = time.process_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._processor = processor
        self._clock = clock
        self.start()

    def start(self) -> None:
        """Forget what was before."""
        self._used, self._at = self._processor(), self._clock()
        self._late = self._engine.lateness.counts.copy()
        self._overflows, self._jumps = self._engine.overflows, self._engine.jumps

    def read(self, second: Second) -> None:
        """Put what happened since the last time into a second."""
        used, at = self._processor(), self._clock()
        tally = second.tally
        tally.cpu_seconds += used - self._used
        second.cpu = (used - self._used) / max(at - self._at, 1e-3)
        self._used, self._at = used, at
        self._read_lateness(second)
        overflows, jumps = self._engine.overflows, self._engine.jumps
        tally.overflows += overflows - self._overflows
        tally.jumps += jumps - self._jumps
        self._overflows, self._jumps = overflows, jumps

    def _read_lateness(self, second: Second) -> None:
        counts = self._engine.lateness.counts
        new = counts - self._late
        self._late = counts.copy()
        for bin_number in new.nonzero()[0].tolist():
            late_ms, packets = bin_number * BIN_MS, int(new[bin_number])
            second.tally.lateness_ms.add(late_ms, packets)
            if late_ms > LATE_MS:
                second.tally.late += packets
