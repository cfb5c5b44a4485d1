"""The light echo, which also counts the packets that left late: for bench_held_calls.

    python bench/load/timed_echo.py FOLDER

How late a packet left is measured here for every phone alike: from the system's stamp at its
arrival, which on loopback is when it was sent, and the timestamp of its RTP header.  A stream's
packets are compared with that one of them which was earliest by its timestamp since the counts were
last asked for; so a constant delay, such as the place of a call within a tick, counts for none of
them, even if it has grown while calls began.
"""

from __future__ import annotations

import numpy as np

from softphone.lab.echo_server import EchoBackend, EchoStream, main

LATE = 0.005
"""Seconds."""
STREAMS = 1 << 16
"""Streams of one life of the echo."""
RATE = 8000


class TimedEchoBackend(EchoBackend):
    """Counts the packets that are decrypted, and the late ones among them."""

    def __init__(self) -> None:
        super().__init__()
        self._streams: dict[int, int] = {}
        self._first = np.zeros(STREAMS, np.int64)
        self._earliest = np.full(STREAMS, np.inf)
        self._timed = self._late = 0

    def counts(self) -> list[int]:
        """Add the packets so far, and those that left late; begin to look for the earliest anew."""
        self._earliest[:] = np.inf
        return [*super().counts(), self._timed, self._late]

    def _decrypted(self, found: list[tuple[int, EchoStream]]) -> list[tuple[int, EchoStream]]:
        good = super()._decrypted(found)
        if good:
            rows = [at for at, _ in good]
            self._time([row.ssrc for _, row in good], self._came.data.view(">u4")[rows, 1], rows)
        return good

    def _time(self, names: list[int], stamps: np.ndarray, rows: list[int]) -> None:
        known = self._streams
        for name, stamp in zip(names, stamps.tolist(), strict=True):
            if name not in known:
                known[name] = len(known)
                self._first[known[name]] = stamp
        streams = np.array([known[name] for name in names])
        # The first packet need not have the least timestamp, and timestamps wrap.
        passed = (stamps.astype(np.int64) - self._first[streams] + 2**31) % 2**32 - 2**31
        transit = self._came.arrival[rows] - passed / RATE
        np.minimum.at(self._earliest, streams, transit)
        self._timed += len(rows)
        self._late += int(np.count_nonzero(transit - self._earliest[streams] > LATE))


if __name__ == "__main__":
    main(TimedEchoBackend)
