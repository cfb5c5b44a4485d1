"""Reception statistics of all streams: sequence numbers, loss and jitter, one row per stream.

RFC 3550 sections 6.4.1, A.1 (extended sequence numbers), A.3 (loss) and A.8 (jitter), vectorized.
`softphone.rtp.reception_statistics` does the same for one source.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import ArrayGroup, column, count_nonzero
from softphone.media.playout import BatchRounds, PacketRuns
from softphone.rtp import ReportBlock

MAX_DROPOUT = 3000
LEAST_LOST, MOST_LOST = -(1 << 23), (1 << 23) - 1


class ReceptionBank(ArrayGroup):
    """Reception state of `capacity` rows.

    Read-only to others: `received` int64[capacity], `ssrc` uint32[capacity], `jitter`
    float64[capacity] in timestamp units.
    """

    received = column(np.int64)
    ssrc = column(np.uint32)
    jitter = column(np.float64)
    _rate = column(np.float64, default=1.0)
    _base = column(np.int64)
    _highest = column(np.int64)
    _counted = column(np.int64)
    _transit = column(np.float64)
    _timestamp = column(np.uint32)
    _wild = column(np.int64, default=-1)
    _expected_prior = column(np.int64)
    _received_prior = column(np.int64)

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._rounds = BatchRounds(capacity)

    def open_row(self, row: int, *, clock_rate_hz: int, afresh: bool = True) -> None:
        """Start a row with empty statistics (`afresh`), or continue it with another clock rate
        (RFC 7160 section 4.2)."""
        if not afresh:
            ratio = clock_rate_hz / self._rate[row]
            self.jitter[row] *= ratio
            self._transit[row] *= ratio
        else:
            self.reset_row(row)
        self._rate[row] = clock_rate_hz

    def update(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        ssrc: NDArray[np.uint32],
        arrival: NDArray[np.float64],
    ) -> None:
        """Process the n packets of a batch in order of arrival; a new SSRC restarts its row."""

        def one_each(part: NDArray[np.intp] | slice) -> None:
            self._update_one_each(
                rows[part], sequence[part], timestamp[part], ssrc[part], arrival[part]
            )

        def in_runs(part: NDArray[np.intp]) -> NDArray[np.bool_]:
            order = rows[part].argsort(kind="stable")
            at = part[order]
            taken = np.zeros(part.size, dtype=np.bool_)
            taken[order] = near = self._near(rows[at], sequence[at], ssrc[at])
            if count_nonzero(near):
                at = at[near]
                self._update_runs(rows[at], sequence[at], timestamp[at], arrival[at])
            return taken

        left = self._rounds.serve(rows, one_each, in_runs)
        if left.size:
            np.add.at(self.received, rows[left], 1)

    def _near(
        self, rows: NDArray[np.intp], sequence: NDArray[np.uint16], ssrc: NDArray[np.uint32]
    ) -> NDArray[np.bool_]:
        """Return a mask of the packets (n, sorted by row) that belong to their row's source and
        cannot be a sequence jump in any order; in each row up to the first that does not."""
        ahead = (sequence - self._highest[rows].astype(np.uint16)).astype(np.int16)
        near = (ssrc == self.ssrc[rows]) & (self._counted[rows] > 0)
        near &= (ahead > -MAX_DROPOUT // 2) & (ahead < MAX_DROPOUT // 2)
        return PacketRuns(rows).leading(near)

    def _update_runs(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        arrival: NDArray[np.float64],
    ) -> None:
        """Process packets that passed `_near`."""
        runs = PacketRuns(rows)
        every, lengths = rows[runs.ends], runs.lengths
        ahead = (sequence - self._highest[rows].astype(np.uint16)).astype(np.int16)
        self.received[every] += lengths
        self._counted[every] += lengths
        self._highest[every] += np.maximum(np.maximum.reduceat(ahead, runs.starts), 0)
        came = arrival * self._rate[rows]
        ticks = (timestamp - runs.before(timestamp, self._timestamp[rows])).view(np.int32)
        variation = np.abs(came - runs.before(came, self._transit[rows]) - ticks)
        # A.8 over a whole run: each packet moves the estimate by 1/16 of the difference.
        left = lengths.repeat(lengths) - runs.nth
        moved = np.add.reduceat(variation * (15.0 / 16.0) ** (left - 1), runs.starts) / 16.0
        self.jitter[every] = self.jitter[every] * (15.0 / 16.0) ** lengths + moved
        self._transit[every], self._timestamp[every] = came[runs.ends], timestamp[runs.ends]

    def _update_one_each(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        ssrc: NDArray[np.uint32],
        arrival: NDArray[np.float64],
    ) -> None:
        highest, so_far = self._highest[rows], self._counted[rows]
        following = highest + 1
        known = sequence == following.astype(np.uint16)
        known &= ssrc == self.ssrc[rows]
        if count_nonzero(known) == rows.size and count_nonzero(so_far) == rows.size:
            self.received[rows] += 1
            self._counted[rows] = so_far + 1
            self._highest[rows] = following
            self._measure_steady(rows, timestamp, arrival)
            return
        ahead = (sequence - highest.astype(np.uint16)).astype(np.int16).astype(np.int64)
        fresh = (so_far == 0) | (ssrc != self.ssrc[rows])
        wild = np.abs(ahead) > MAX_DROPOUT
        if count_nonzero(wild):
            # A.1: a very large jump counts only once the next packet confirms it.
            fresh |= wild & (self._wild[rows] == sequence)
            lone = wild & ~fresh
            self._wild[rows[lone]] = sequence[lone].astype(np.int64) + 1 & 0xFFFF
        if count_nonzero(fresh):
            self._start(rows[fresh], sequence[fresh], ssrc[fresh])
            ahead = np.where(fresh, 0, ahead)
            highest = np.where(fresh, sequence, highest)
        self.received[rows] += 1
        counted = fresh | ~wild
        self._counted[rows] += counted
        self._highest[rows] = np.where(counted & (ahead > 0), highest + ahead, highest)
        self._measure(rows, timestamp, arrival, counted & ~fresh, fresh)

    def _start(
        self, rows: NDArray[np.intp], sequence: NDArray[np.uint16], ssrc: NDArray[np.uint32]
    ) -> None:
        self.ssrc[rows] = ssrc
        self._base[rows] = sequence
        self._wild[rows] = -1
        self._counted[rows] = 0
        self._expected_prior[rows] = 0
        self._received_prior[rows] = 0
        self.jitter[rows] = 0.0

    def _measure_steady(
        self,
        rows: NDArray[np.intp],
        timestamp: NDArray[np.uint32],
        arrival: NDArray[np.float64],
    ) -> None:
        """Update jitter (A.8) where each packet is the next one of its source."""
        ticks = (timestamp - self._timestamp[rows]).view(np.int32)
        came = arrival * self._rate[rows]
        variation = np.abs(came - self._transit[rows] - ticks)
        jitter = self.jitter[rows]
        variation -= jitter
        variation *= 1.0 / 16.0
        variation += jitter
        self.jitter[rows] = variation
        self._transit[rows] = came
        self._timestamp[rows] = timestamp

    def _measure(
        self,
        rows: NDArray[np.intp],
        timestamp: NDArray[np.uint32],
        arrival: NDArray[np.float64],
        steady: NDArray[np.bool_],
        fresh: NDArray[np.bool_],
    ) -> None:
        ticks = (timestamp - self._timestamp[rows]).astype(np.int32)
        came = arrival * self._rate[rows]
        variation = np.abs(came - self._transit[rows] - ticks)
        jitter = self.jitter[rows]
        self.jitter[rows] = np.where(steady, jitter + (variation - jitter) / 16.0, jitter)
        used = steady | fresh
        self._transit[rows] = np.where(used, came, self._transit[rows])
        self._timestamp[rows] = np.where(used, timestamp, self._timestamp[rows])

    def cumulative_lost(self, rows: slice | NDArray[np.intp]) -> NDArray[np.int64]:
        """Return packets expected minus received, int64 per row; negative with duplicates."""
        lost: NDArray[np.int64] = self.expected(rows) - self._counted[rows]
        return lost

    def expected(self, rows: slice | NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the packets that the source has sent by its sequence numbers, int64 per row."""
        counted = self._counted[rows]
        span: NDArray[np.int64] = self._highest[rows] - self._base[rows] + 1
        return np.where(counted > 0, span, 0)

    def row_numbers(self, row: int) -> tuple[int, int]:
        """Return `expected` and `cumulative_lost` of one row."""
        counted = self._counted.item(row)
        expected = self._highest.item(row) - self._base.item(row) + 1 if counted else 0
        return expected, expected - counted

    def report_block(self, row: int) -> ReportBlock | None:
        """Return the report block of a row, or None before its first packet; begin the row's next
        reporting interval (A.3)."""
        received = self._counted.item(row)
        if not received:
            return None
        highest = self._highest.item(row)
        expected = highest - self._base.item(row) + 1
        expected_interval = expected - self._expected_prior.item(row)
        lost_interval = expected_interval - (received - self._received_prior.item(row))
        self._expected_prior[row] = expected
        self._received_prior[row] = received
        lossy = expected_interval > 0 and lost_interval > 0
        return ReportBlock(
            ssrc=self.ssrc.item(row),
            fraction_lost=min(255, (lost_interval << 8) // expected_interval) if lossy else 0,
            cumulative_lost=max(LEAST_LOST, min(MOST_LOST, expected - received)),
            highest_sequence=highest & 0xFFFFFFFF,
            jitter=int(self.jitter.item(row)),
        )
