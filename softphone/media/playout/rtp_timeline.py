"""The RTP timelines of all streams: extended sequence numbers and timestamps, and source changes.

RFC 3550 sections A.1 and 8.2 in arrays.  Sequence numbers and timestamps are extended across their
wrap.  A packet with another SSRC, or with a jump of the timestamp, restarts the row, but only after
a second one has followed it in sequence, so that a stray packet has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from softphone.media.arrays import ArrayGroup, column, count_nonzero
from softphone.media.playout.batch_rounds import PacketRuns
from softphone.media.playout.frame import ReceivedPackets

MAX_DROPOUT = 3000
JUMP = 1.0
JUMP_IN_PAUSE = 0.1
"""Change of transit in seconds above which the sender's clock is taken to have jumped."""
REMEMBERED = 64
"""Sequence numbers that a packet may be behind the highest; duplicates are detected within them."""


PacketPositions: TypeAlias = tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]
]
"""The positions of packets: sequence numbers and ticks ahead of the highest one; extended sequence
number and timestamp; seconds since the row's origin."""


@dataclass(frozen=True, slots=True)
class TimelineInput:
    """The header fields of n packets, and their arrival.

    `sequence` uint16[n], `timestamp` uint32[n], `ssrc` uint32[n], `arrival` float64[n] in seconds.
    `sound` bool[n] is false for telephone-events and comfort noise.  Their timestamps are not used
    to detect jumps: that of an event is its beginning, not its sending (RFC 4733 section 2.1).
    """

    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    arrival: NDArray[np.float64]
    sound: NDArray[np.bool_]

    @classmethod
    def from_packets(
        cls, arrivals: ReceivedPackets, source: NDArray[np.intp] | slice
    ) -> TimelineInput:
        """Return the fields of the packets of `arrivals` at `source`."""
        return cls(
            arrivals.sequence[source],
            arrivals.timestamp[source],
            arrivals.ssrc[source],
            arrivals.arrival[source],
            arrivals.length[source] > 0,
        )

    def select(self, chosen: NDArray[np.intp]) -> TimelineInput:
        """Some of them."""
        return TimelineInput(*(getattr(self, each.name)[chosen] for each in fields(self)))


@dataclass(frozen=True, slots=True)
class TimelineResult:
    """The verdicts on n packets, of distinct rows or in runs.

    `taken` bool[n]: the packet belongs to the row's source and is not a duplicate.  `started`
    bool[n]: the row restarts with it.  `forward` bool[n]: it is the highest in sequence so far.
    `sequence` and `timestamp` int64[n] are extended; `media_time` float64[n] is the timestamp in
    seconds since the row's origin.
    """

    taken: NDArray[np.bool_]
    started: NDArray[np.bool_]
    forward: NDArray[np.bool_]
    sequence: NDArray[np.int64]
    timestamp: NDArray[np.int64]
    media_time: NDArray[np.float64]

    def select(self, chosen: NDArray[np.bool_]) -> TimelineResult:
        """Some of them."""
        return TimelineResult(
            self.taken[chosen],
            self.started[chosen],
            self.forward[chosen],
            self.sequence[chosen],
            self.timestamp[chosen],
            self.media_time[chosen],
        )


class RtpTimelineBank(ArrayGroup):
    """The RTP timelines of `capacity` rows.

    Read-only to others, [capacity]: `opened` bool; `ssrc` uint32; `frame_ticks`,
    `octets_per_tick`, `frame_octets` int64; `frame_time` float64, seconds; `duplicates` and
    `resynchronized` int64 counters.
    """

    opened = column(np.bool_)
    ssrc = column(np.uint32)
    frame_ticks = column(np.int64, default=1)
    octets_per_tick = column(np.int64)
    frame_octets = column(np.int64, default=1)
    frame_time = column(np.float64, default=1.0)
    duplicates = column(np.int64)
    resynchronized = column(np.int64)
    _rate = column(np.float64, default=1.0)
    _heard = column(np.bool_)
    _top_sequence = column(np.int64)
    _top_timestamp = column(np.int64)
    _clock_origin = column(np.int64)
    _frame_origin = column(np.int64)
    _seen = column(np.uint64)
    _doubted = column(np.bool_)
    _candidate_ssrc = column(np.uint32)
    _candidate_sequence = column(np.uint16)

    def open_row(
        self,
        row: int,
        *,
        clock_rate_hz: int,
        frame_ticks: int,
        octets_per_tick: int,
        afresh: bool = True,
    ) -> None:
        """Start a row; `afresh` resets its counters."""
        self.opened[row] = True
        self.ssrc[row] = 0
        self.frame_ticks[row] = frame_ticks
        self.octets_per_tick[row] = octets_per_tick
        self.frame_octets[row] = max(frame_ticks * octets_per_tick, 1)
        self.frame_time[row] = frame_ticks / clock_rate_hz
        self._rate[row] = clock_rate_hz
        self._heard[row] = self._doubted[row] = False
        if afresh:
            self.duplicates[row] = self.resynchronized[row] = 0

    def close_row(self, row: int) -> None:
        """Close a row: its packets are ignored."""
        self.opened[row] = False
        self._heard[row] = False

    def judge_packets(
        self,
        rows: NDArray[np.intp],
        claims: TimelineInput,
        *,
        expected: NDArray[np.float64],
        idle: NDArray[np.bool_],
    ) -> TimelineResult:
        """Judge one packet of each of `rows` (distinct), and advance their timelines.

        `expected` float64[n] is each row's least recent transit in seconds.  A row in `idle`
        bool[n] accepts a new source at once.
        """
        sequence, timestamp, ssrc = claims.sequence, claims.timestamp, claims.ssrc
        place = self._read(rows, claims)
        ahead, moved, number, ticks, media_time = place
        last = self._top_timestamp[rows]
        heard = self._heard[rows]
        drift = np.abs(claims.arrival - media_time - expected)
        foreign = ssrc != self.ssrc[rows]
        bound = np.where(idle, JUMP_IN_PAUSE, JUMP) if count_nonzero(idle) else JUMP
        jumped = (drift > bound) | (moved < 0)
        foreign |= claims.sound & (ahead > 0) & jumped
        foreign |= (ahead > MAX_DROPOUT) | (ahead <= -REMEMBERED) | ~heard
        if count_nonzero((ahead == 1) & ~foreign) == rows.size:
            return self._advance(rows, claims, place, foreign)
        started = foreign.copy()
        if count_nonzero(foreign):
            started[foreign] = self._promote_sources(
                rows[foreign], sequence[foreign], ssrc[foreign], (idle | ~heard)[foreign]
            )
            self._start(rows[started], sequence[started], timestamp[started], ssrc[started])
            number = np.where(started, sequence, number)
            ticks = np.where(started, timestamp, ticks)
            media_time = np.where(started, 0.0, media_time)
            ahead = np.where(started, 0, ahead)
        known = ~foreign
        self._doubted[rows] &= foreign
        fresh = started | (known & self._remember(rows, ahead, known))
        forward = fresh & (started | (ahead > 0))
        self._top_sequence[rows] = np.where(forward, number, self._top_sequence[rows])
        self._top_timestamp[rows] = np.where(forward & claims.sound, ticks, last)
        return TimelineResult(fresh, started, forward, number, ticks, media_time)

    def find_continuing(
        self,
        rows: NDArray[np.intp],
        claims: TimelineInput,
        *,
        expected: NDArray[np.float64],
        idle: NDArray[np.bool_],
    ) -> NDArray[np.intp]:
        """Return the indices of the packets that continue their row's source, sorted by row and
        sequence; a row may have any number of packets.

        They are those that `judge_packets`, called for one packet after the other in that order,
        would accept as the row's source.  New sound of an idle row is excluded, because the row
        restarts with it.  The first packet of another source, or with a clock jump, excludes the
        rest of its row.
        """
        ahead = self._ahead(rows, claims.sequence)
        own = (claims.ssrc == self.ssrc[rows]) & self._heard[rows]
        own &= (ahead > -REMEMBERED) & (ahead <= MAX_DROPOUT)
        # Telephone-events in a pause, and retransmitted packets, do not wake an idle row.
        own &= ~idle | ~claims.sound | (ahead <= 0)
        order = rows.argsort(kind="stable")
        if count_nonzero(own) != own.size:
            order = order[PacketRuns(rows[order]).leading(own[order])]
        order = order[np.lexsort((ahead[order], rows[order]))]
        rows, claims, expected = rows[order], claims.select(order), expected[order]
        return order[self._steady(rows, PacketRuns(rows), claims, expected)]

    def _steady(
        self,
        rows: NDArray[np.intp],
        runs: PacketRuns,
        claims: TimelineInput,
        expected: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Return a mask of the packets before the first of their run with a clock jump; the runs
        are in order of sequence."""
        ahead, moved, _, _, media_time = self._read(rows, claims)
        transit = claims.arrival - media_time
        least = np.minimum(runs.before(runs.lowest(transit), np.inf), expected)
        guiding = claims.sound & (ahead > 0)
        highest = -runs.lowest(np.where(guiding, -moved, 0))
        jumped = (np.abs(transit - least) > JUMP) | (moved < runs.before(highest, 0))
        return runs.leading(~(guiding & jumped))

    def _ahead(self, rows: NDArray[np.intp], sequence: NDArray[np.uint16]) -> NDArray[np.int64]:
        """Return how far each packet is ahead of its row's highest sequence number, int64[n]."""
        top = self._top_sequence[rows].astype(np.uint16)
        return (sequence - top).astype(np.int16).astype(np.int64)

    def _read(self, rows: NDArray[np.intp], claims: TimelineInput) -> PacketPositions:
        ahead = self._ahead(rows, claims.sequence)
        last = self._top_timestamp[rows]
        moved = (claims.timestamp - last.astype(np.uint32)).astype(np.int32).astype(np.int64)
        number, ticks = self._top_sequence[rows] + ahead, last + moved
        return ahead, moved, number, ticks, (ticks - self._clock_origin[rows]) / self._rate[rows]

    def judge_runs(
        self, rows: NDArray[np.intp], runs: PacketRuns, claims: TimelineInput
    ) -> TimelineResult:
        """Judge runs of packets that `find_continuing` has found, and advance their timelines."""
        ahead, moved, number, ticks, media_time = self._read(rows, claims)
        seen, every = self._seen[rows], rows[runs.ends]
        bits = np.uint64(1) << np.maximum(-ahead, 0).astype(np.uint64)
        double = (ahead == runs.before(ahead, -REMEMBERED)) | ((ahead <= 0) & (seen & bits != 0))
        np.add.at(self.duplicates, rows[double], 1)
        fresh = ~double
        forward = fresh & (ahead > 0)
        self._remember_runs(every, runs, ahead)
        self._top_sequence[every] += np.maximum(ahead[runs.ends], 0)
        guiding = np.where(forward & claims.sound, moved, 0)
        self._top_timestamp[every] += np.maximum.reduceat(guiding, runs.starts)
        self._doubted[every] = False
        return TimelineResult(fresh, np.zeros_like(fresh), forward, number, ticks, media_time)

    def _remember_runs(
        self, rows: NDArray[np.intp], runs: PacketRuns, ahead: NDArray[np.int64]
    ) -> None:
        """Mark the packets of runs in the sequence windows of k `rows`."""
        climb = np.maximum(ahead[runs.ends], 0)
        behind = climb.repeat(runs.lengths) - ahead
        # A NumPy shift by 64 bits or more gives 0.
        bits = np.uint64(1) << behind.astype(np.uint64)
        kept = self._seen[rows] << climb.astype(np.uint64)
        self._seen[rows] = kept | np.bitwise_or.reduceat(bits, runs.starts)

    def _advance(
        self,
        rows: NDArray[np.intp],
        claims: TimelineInput,
        place: PacketPositions,
        foreign: NDArray[np.bool_],
    ) -> TimelineResult:
        """Accept packets that are each the next one of their source; `foreign` is false for all."""
        _, _, number, ticks, media_time = place
        self._doubted[rows] = False
        self._seen[rows] = self._seen[rows] << np.uint64(1) | np.uint64(1)
        self._top_sequence[rows] = number
        if count_nonzero(claims.sound) == rows.size:
            self._top_timestamp[rows] = ticks
        else:
            sound = claims.sound
            self._top_timestamp[rows[sound]] = ticks[sound]
        known = ~foreign
        return TimelineResult(known, foreign, known, number, ticks, media_time)

    def _promote_sources(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        ssrc: NDArray[np.uint32],
        at_once: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Return a mask of the packets whose source is promoted: those in `at_once`, and the second
        in sequence of a new source (RFC 3550 A.1, bad_seq)."""
        following = (self._candidate_sequence[rows] == sequence) & (
            self._candidate_ssrc[rows] == ssrc
        )
        believed: NDArray[np.bool_] = at_once | (self._doubted[rows] & following)
        self._doubted[rows] = ~believed
        self._candidate_ssrc[rows] = ssrc
        self._candidate_sequence[rows] = sequence + np.uint16(1)
        return believed

    def _start(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        ssrc: NDArray[np.uint32],
    ) -> None:
        self.resynchronized[rows] += self._heard[rows]
        self._heard[rows] = True
        self.ssrc[rows] = ssrc
        self._clock_origin[rows] = timestamp
        self._frame_origin[rows] = timestamp
        self._seen[rows] = 1
        self._top_sequence[rows] = sequence
        self._top_timestamp[rows] = timestamp

    def _remember(
        self, rows: NDArray[np.intp], ahead: NDArray[np.int64], known: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Mark the packets in their rows' sequence windows; return a mask of non-duplicates."""
        seen = self._seen[rows]
        behind = np.minimum(np.maximum(-ahead, 0), REMEMBERED - 1).astype(np.uint64)
        forward = np.minimum(np.maximum(ahead, 0), REMEMBERED - 1).astype(np.uint64)
        bit = np.uint64(1) << behind
        double = (ahead <= 0) & (seen & bit != 0)
        shifted = np.where(ahead >= REMEMBERED, np.uint64(0), seen << forward)
        self._seen[rows] = np.where(known, np.where(ahead > 0, shifted, seen) | bit, seen)
        self.duplicates[rows[double & known]] += 1
        fresh: NDArray[np.bool_] = ~double
        return fresh

    def locate(
        self, rows: NDArray[np.intp], timestamp: NDArray[np.int64], movable: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the frame of each timestamp, and the ticks from the beginning of that frame.

        Where `movable`, align the frame grid to the packet; frame numbers keep growing.  After a
        pause that is not a multiple of the frame, packets are then whole frames again.
        """
        ticks = timestamp - self._frame_origin[rows]
        frame, rest = np.divmod(ticks, self.frame_ticks[rows])
        off = movable & (rest != 0)
        if count_nonzero(off):
            # Recompute for all packets: a row's other packets use the new grid, too.
            self._frame_origin[rows[off]] -= self.frame_ticks[rows[off]] - rest[off]
            ticks = timestamp - self._frame_origin[rows]
            frame, rest = np.divmod(ticks, self.frame_ticks[rows])
        return frame, rest

    def frame_at(
        self, rows: NDArray[np.intp], media_time: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Return the frame of each row at `media_time` seconds."""
        shift = self._clock_origin[rows] - self._frame_origin[rows]
        ticks = media_time * self._rate[rows] + shift
        return np.floor(ticks / self.frame_ticks[rows] + 1e-6).astype(np.int64)

    def time_of(self, rows: NDArray[np.intp], frame: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the media time at which a frame of each row begins, in seconds."""
        shift = self._frame_origin[rows] - self._clock_origin[rows]
        return (frame * self.frame_ticks[rows] + shift) / self._rate[rows]

    def timestamps_of(self, rows: NDArray[np.intp], frame: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the 32-bit RTP timestamp at which a frame of each row begins."""
        begins: NDArray[np.int64] = self._frame_origin[rows] + frame * self.frame_ticks[rows]
        return begins & 0xFFFFFFFF
