"""Adaptive jitter buffers of all audio streams, as arrays with one row per stream.

Payloads wait encoded in a ring, so that only rows with a sink need decoding.  The ring is addressed
by RTP time, not by packet: packets of any ptime come in, and frames of one ptime go out.
`softphone.media.playout.concealment` replaces missing frames after decoding.

Conditions on whole arrays use `count_nonzero`, which on some hundred rows costs a fraction of
`.any()`.

RFC 3550 sections 5.1 and 8.2.  Delays are in seconds unless named otherwise.  This module has no
clock.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softphone.errors import ConfigurationError
from softphone.media.arrays import ArrayGroup, column, count_nonzero
from softphone.media.playout.batch_rounds import BatchRounds, PacketRuns
from softphone.media.playout.frame import (
    CONCEALED,
    PLAYED,
    SILENT,
    JitterBufferConfig,
    PlayoutFrames,
    ReceivedPackets,
)
from softphone.media.playout.loss_bursts import LossBurstBank
from softphone.media.playout.payload_ring import (
    EMPTY,
    NO_FRAME,
    PayloadRingBank,
    RingWrites,
    index_array,
)
from softphone.media.playout.rtp_timeline import RtpTimelineBank, TimelineInput, TimelineResult
from softphone.media.playout.target_delay import TargetDelayBank

__all__ = ["JitterBufferBank", "JitterBufferConfig", "PlayoutFrames", "ReceivedPackets"]

LONG_LOSS = 5
"""Consecutive missing frames after which a row is silent, and idle if no packet waits."""
HYSTERESIS = 0.5
SHORTFALL = 0.03
"""Tolerances in frames: the delay moves when it is more than 1 + HYSTERESIS above its target, or
more than SHORTFALL below."""
COOLDOWN = 5
PATIENCE = 25
"""Minimum frames between two moves of the delay, and maximum frames to wait for a quiet one."""
QUIET_SHARE = 0.1
QUIET_ENERGY = 2500.0
"""A frame is quiet below this share of the row's mean energy, or below about -50 dBm0."""


class JitterBufferBank(ArrayGroup):
    """The jitter buffers of `capacity` rows.

    The counters are int64[capacity], read-only to others: `played` and `concealed` frames, `late`
    packets (after their playout time), `duplicates`, `resynchronized` (restarts after SSRC or
    timestamp jumps), `inserted` and `dropped` frames (to move the delay).  `ssrc` uint32[capacity]
    is the current source.  `bursts` is None until `measure_bursts` is first called for a row.
    """

    played = column(np.int64)
    concealed = column(np.int64)
    late = column(np.int64)
    inserted = column(np.int64)
    dropped = column(np.int64)
    # Frames are counted from a row's origin: `head` is the next to play, `floor` the first
    # never played, `newest` the last in the ring.  The default `head` of 1 is a frame that the
    # ring of an unopened row does not hold.
    _head = column(np.int64, default=1)
    _floor = column(np.int64)
    _newest = column(np.int64, default=EMPTY)
    # `pending`: the next frame sets a new playout position.
    _pending = column(np.bool_)
    _missing = column(np.int64)
    # Frames concealed while the ring was empty: lost, or never sent.  The next packet decides.
    _unsure = column(np.int64)
    # Sequence numbers count packets of sound only: `void`, the number of others, is subtracted.
    _last_sequence = column(np.int64)
    _void = column(np.int64)
    _wait = column(np.float64)
    _rested = column(np.int64)
    _wanting = column(np.int64)
    _loud = column(np.bool_)
    _spliced = column(np.bool_)
    _energy = column(np.float32)

    def __init__(self, capacity: int, config: JitterBufferConfig | None = None) -> None:
        super().__init__(capacity)
        self.config = config or JitterBufferConfig()
        self._delay = TargetDelayBank(
            capacity, maximum=self.config.maximum_delay, percentile=self.config.percentile
        )
        self._ring = PayloadRingBank(capacity, self.config.slots, self.config.slot_octets)
        self.payload = self._ring.gather
        """Return the payloads, uint8[k, octets], of rows that `next_frames` has just returned."""
        self.take_joined = self._ring.take_joined
        """Return all payloads of a frame that `next_frames` has just returned, if more than one
        packet begins in it (codecs whose packets cannot be cut); else an empty list."""
        self._line = RtpTimelineBank(capacity)
        self._rounds = BatchRounds(capacity)
        self.bursts: LossBurstBank | None = None
        self.ssrc = self._line.ssrc
        self.duplicates = self._line.duplicates
        self.resynchronized = self._line.resynchronized

    @property
    def groups(self) -> dict[str, ArrayGroup]:
        """The state groups of the jitter buffers, by their names in the kernel's layout."""
        return {"buffer": self, "line": self._line, "delay": self._delay, "ring": self._ring}

    def open_row(
        self,
        row: int,
        *,
        clock_rate_hz: int,
        frame_ticks: int,
        octets_per_tick: int,
        silence: int = 0,
        afresh: bool = True,
    ) -> None:
        """Start a row with frames of `frame_ticks` RTP clock ticks; `afresh` resets its counters.

        `octets_per_tick` 0 means packets that cannot be cut (Opus); several may share a frame.
        `silence` is the octet that fills gaps between cut packets.
        Raises ConfigurationError when a frame does not fit into a slot, the ring is shorter than
        the maximum delay, or a number is out of its range.
        """
        if clock_rate_hz < 1 or frame_ticks < 1 or octets_per_tick < 0:
            raise ConfigurationError("a stream has a positive clock rate and frame")
        if frame_ticks * octets_per_tick > self.config.slot_octets:
            raise ConfigurationError(
                f"a frame of {frame_ticks * octets_per_tick} octets does not fit into a slot of "
                f"{self.config.slot_octets}"
            )
        frame = frame_ticks / clock_rate_hz
        if self.config.maximum_delay / frame + 4 > self.config.slots:
            raise ConfigurationError(
                f"{self.config.slots} slots of {frame * 1000:g} ms hold less than the maximum delay"
            )
        minimum = self.config.minimum_delay
        self._delay.open_row(row, minimum=frame if minimum is None else minimum)
        self._ring.open_row(row, silence=silence)
        self._line.open_row(
            row,
            clock_rate_hz=clock_rate_hz,
            frame_ticks=frame_ticks,
            octets_per_tick=octets_per_tick,
            afresh=afresh,
        )
        if afresh:
            self.reset_row(row)
            if self.bursts is not None:
                self.bursts.stop_measuring(row)
        self._begin(row)
        self._pending[row] = False
        self._loud[row] = False
        self._energy[row] = 0.0

    def measure_bursts(self, row: int, wanted: bool = True) -> None:
        """Start, or stop, counting the bursts and gaps of a row."""
        if wanted:
            self.bursts = self.bursts or LossBurstBank(self.played.size)
            self.bursts.start_measuring(row, int(self.played[row]))
        elif self.bursts is not None:
            self.bursts.stop_measuring(row)

    def close_row(self, row: int) -> None:
        """Empty a row and ignore packets for it until it is opened again."""
        self._line.close_row(row)
        self._ring.clear_row(row)
        self._begin(row)
        self._pending[row] = False

    def _begin(self, rows: int | NDArray[np.intp]) -> None:
        """Reset the playout position: the next packet's frame is frame 0."""
        self._head[rows] = 0
        self._floor[rows] = EMPTY + 1
        self._newest[rows] = EMPTY
        self._pending[rows] = True
        self._unsure[rows] = 0
        self._missing[rows] = LONG_LOSS
        self._void[rows] = 0
        self._wait[rows] = 0.0
        self._rested[rows] = 0
        self._wanting[rows] = 0
        self._spliced[rows] = False

    # In ------------------------------------------------------------------------------------------

    def insert_packets(self, arrivals: ReceivedPackets) -> None:
        """Insert packets into the rings; count and drop late ones and duplicates."""
        opened = self._line.opened[arrivals.row]
        if count_nonzero(opened) != opened.size:
            arrivals = arrivals.select(opened.nonzero()[0])
        rows = arrivals.row
        left = self._rounds.serve(
            rows,
            lambda part: self._insert(rows[part], None, arrivals, part),
            lambda part: self._insert_runs(arrivals, part),
        )
        if left.size:
            np.add.at(self.late, rows[left], 1)

    def _insert_runs(
        self, arrivals: ReceivedPackets, source: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """Insert the packets that continue their row's source, in sequence; return a mask of
        them."""
        rows = arrivals.row[source]
        baseline, idle = self._delay.baseline[rows], self._idle(rows)
        claims = TimelineInput.from_packets(arrivals, source)
        order = self._line.find_continuing(rows, claims, expected=baseline, idle=idle)
        taken = np.zeros(source.size, dtype=np.bool_)
        taken[order] = True
        if order.size:
            rows = rows[order]
            self._insert(rows, PacketRuns(rows), arrivals, source[order])
        return taken

    def _idle(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        idle: NDArray[np.bool_] = (self._newest[rows] < self._head[rows]) & ~self._pending[rows]
        idle &= self._missing[rows] >= LONG_LOSS
        return idle

    def _insert(
        self,
        rows: NDArray[np.intp],
        runs: PacketRuns | None,
        arrivals: ReceivedPackets,
        source: NDArray[np.intp] | slice,
    ) -> None:
        """Insert one packet of each row, or `runs` of packets that continue their source."""
        claims = TimelineInput.from_packets(arrivals, source)
        if runs is None:
            idle, expected = self._idle(rows), self._delay.baseline[rows]
            verdicts = self._line.judge_packets(rows, claims, expected=expected, idle=idle)
            self._start(rows, verdicts)
        else:
            verdicts = self._line.judge_runs(rows, runs, claims)
        arrival, sound = claims.arrival, claims.sound
        if count_nonzero(verdicts.taken) != verdicts.taken.size:
            taken, source = verdicts.taken, index_array(source)[verdicts.taken]
            rows, arrival, sound = rows[taken], arrival[taken], sound[taken]
            runs, verdicts = runs and PacketRuns(rows), verdicts.select(taken)
        number = verdicts.sequence - self._void[rows]
        if count_nonzero(sound) != sound.size:
            np.add.at(self._void, rows[~sound], 1)
            number = number[sound] if runs is None else (number - runs.so_far(~sound))[sound]
            rows, arrival, source = rows[sound], arrival[sound], index_array(source)[sound]
            runs, verdicts = runs and PacketRuns(rows), verdicts.select(sound)
        self._delay.observe_transit(rows, runs, arrival - verdicts.media_time, arrival)
        self._store_timely(rows, runs, verdicts, number, arrivals, source)

    def _start(self, rows: NDArray[np.intp], verdicts: TimelineResult) -> None:
        started = verdicts.started
        if count_nonzero(started):
            begun = rows[started]
            self._delay.rebase(begun)
            self._ring.clear_rows(begun)
            self._begin(begun)
            self._last_sequence[begun] = verdicts.sequence[started] - 1

    def _store_timely(
        self,
        rows: NDArray[np.intp],
        runs: PacketRuns | None,
        verdicts: TimelineResult,
        number: NDArray[np.int64],
        arrivals: ReceivedPackets,
        source: NDArray[np.intp] | slice,
    ) -> None:
        """Store the packets whose playout time has not passed; count the others as late."""
        line, length = self._line, arrivals.length[source].astype(np.int64)
        head = self._head[rows]
        empty = self._newest[rows] < np.where(self._pending[rows], self._floor[rows], head)
        resuming = verdicts.forward & empty
        if runs is not None:
            resuming &= runs.so_far(resuming) == 1
        frame, rest = line.locate(rows, verdicts.timestamp, resuming)
        timely = frame >= head
        if count_nonzero(empty & (self._missing[rows] >= LONG_LOSS)) or not timely.all():
            timely |= self._revive(rows, frame, resuming, timely)
        unit, octets = line.octets_per_tick[rows], line.frame_octets[rows]
        exact, last = (rest == 0) & (length == octets), frame
        if count_nonzero(exact) != exact.size:
            single = unit == 0
            exact |= single
            limit = np.where(single, self.config.slot_octets, octets * (self.config.slots // 2))
            timely &= length <= limit
            last = frame + np.where(exact, 0, (rest * unit + length - 1) // octets)
        if count_nonzero(timely) != timely.size:
            np.add.at(self.late, rows[~timely], 1)
        stored, last = rows[timely], last[timely]
        if runs is None:
            self._newest[stored] = np.maximum(self._newest[stored], last)
        else:
            np.maximum.at(self._newest, stored, last)
            # The newest packet would overwrite those more than a ring's length behind it.
            timely &= frame > self._newest[rows] - self.config.slots
        pieces = RingWrites(
            rows=rows,
            frame=frame,
            skip=rest * unit,
            sequence=number,
            payload_type=arrivals.payload_type[source],
            data=arrivals.data,
            source=source,
            offset=arrivals.offset[source].astype(np.int64),
            length=length,
        )
        self._ring.store_payloads(pieces, timely, exact, unit == 0, octets)

    def _revive(
        self,
        rows: NDArray[np.intp],
        frame: NDArray[np.int64],
        resuming: NDArray[np.bool_],
        timely: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Reset the playout position of some rows; return a mask of the packets that are timely
        because of it.

        This is done for an idle row, and for a row without packets whose delay has to grow anyway.
        """
        frame_time = self._line.frame_time[rows]
        short = self._delay.target[rows] > self._wait[rows] + HYSTERESIS * frame_time
        dry = ~timely & (self._missing[rows] > 0) & short
        self._pending[rows[resuming & (self._idle(rows) | dry)]] = True
        revived: NDArray[np.bool_] = self._pending[rows] & (frame >= self._floor[rows])
        return revived

    # Out -----------------------------------------------------------------------------------------

    def next_frames(self, rows: slice | NDArray[np.intp], *, now: float) -> PlayoutFrames:
        """Advance each of `rows` (distinct) by one frame, due at `now`, and return the frames."""
        index = self._index(rows)
        self._anchor_pending(index, now)
        moved = self._adapt(index, now)
        head = self._head[index]
        slot = head & (self.config.slots - 1)
        flat = index * self.config.slots + slot
        have = (self._ring.frames[flat] == head) & ~moved
        shown, length = slot.astype(np.int32), self._ring.lengths[flat]
        status = np.where(have, PLAYED, SILENT)
        if count_nonzero(have) == have.size:
            spliced = self._spliced[index]
            self._take_frames(index, flat, head)
            return PlayoutFrames(status, shown, length, self._ring.types[flat], spliced)
        shown[~have], length[~have] = -1, 0
        lacking = (~have & (self._newest[index] > EMPTY)).nonzero()[0]
        status[lacking], behind = self._bridge(index[lacking], moved[lacking], now)
        near = lacking[behind]
        shown[near] = (slot[near] + 1) & (self.config.slots - 1)
        length[near] = self._ring.length[index[near], shown[near]]
        spliced = have & self._spliced[index]
        self._take_frames(index[have], flat[have], head[have])
        return PlayoutFrames(status, shown, length, self._ring.payload_type[index, shown], spliced)

    def _index(self, rows: slice | NDArray[np.intp]) -> NDArray[np.intp]:
        if isinstance(rows, slice):
            return np.arange(*rows.indices(self.played.size))
        return rows

    def _take_frames(
        self, rows: NDArray[np.intp], flat: NDArray[np.int64], head: NDArray[np.int64]
    ) -> None:
        """Remove the frames `head` of `rows` from the slots `flat` of the ring, and count them."""
        sequence = self._ring.sequences[flat]
        unsure = self._unsure[rows]
        if count_nonzero(unsure):
            # Without a gap in sequence numbers it was a pause, of the length that RTP time gives.
            paused = sequence <= self._last_sequence[rows] + 1
            unsure -= np.where(paused, head - self._floor[rows], 0)
            self._miss(rows, np.maximum(unsure, 0))
            self._unsure[rows] = 0
        self._last_sequence[rows] = self._ring.last_sequence(flat, sequence)
        self._ring.frames[flat] = EMPTY
        self._head[rows] = self._floor[rows] = head + 1
        self._missing[rows] = 0
        self._spliced[rows] = False
        self.played[rows] += 1

    def _miss(self, rows: NDArray[np.intp], frames: NDArray[np.int64]) -> None:
        """Count `frames` int64[n] of `rows` as lost or late."""
        self.concealed[rows] += frames
        if self.bursts is not None and count_nonzero(frames):
            lacking = frames > 0
            self.bursts.count_lost(rows[lacking], frames[lacking], self.played[rows[lacking]])

    def _place_by_target(self, rows: NDArray[np.intp], now: float) -> NDArray[np.int64]:
        """Return the frame due at `now` with the target delay, rounded up to less than one frame
        more."""
        position = now - self._delay.baseline[rows] - self._delay.target[rows]
        return self._line.frame_at(rows, position)

    def _anchor_pending(self, index: NDArray[np.intp], now: float) -> None:
        pending = self._pending[index]
        if count_nonzero(pending):
            pending &= self._newest[index] >= self._floor[index]
        if not count_nonzero(pending):
            return
        rows = index[pending]
        self._pending[rows] = False
        self._rested[rows] = 0
        first, _ = self._ring.next_frame(rows, self._floor[rows])
        head = np.maximum(self._place_by_target(rows, now), self._floor[rows])
        self.dropped[rows] += np.maximum(np.minimum(head, self._newest[rows]) - first, 0)
        self._head[rows] = head

    def _adapt(self, index: NDArray[np.intp], now: float) -> NDArray[np.bool_]:
        """Move the delay towards its target by a frame; return a mask of the rows that wait for
        one frame, to increase it."""
        line = self._line
        frame = line.frame_time[index]
        head = self._head[index]
        target = self._delay.target[index]
        wait = now - self._delay.baseline[index] - line.time_of(index, head)
        idle = self._missing[index] >= LONG_LOSS
        known = np.where(idle, self._wait[index], wait) if count_nonzero(idle) else wait
        self._wait[index] = known
        over = wait > target + (1.0 + HYSTERESIS) * frame
        under = wait < target - SHORTFALL * frame
        rested = self._rested[index] + 1
        self._rested[index] = rested
        off = over | under
        if count_nonzero(off):
            off &= (self._newest[index] >= head) & ~self._pending[index]
        loud = self._loud[index]
        self._loud[index] = False
        if not count_nonzero(off):
            self._wanting[index] = 0
            return off
        wanting = np.where(off, self._wanting[index] + 1, 0)
        far = wait > np.maximum(self.config.maximum_delay, target) + 2.0 * frame
        ready = off & (rested > COOLDOWN) & (~loud | (wanting > PATIENCE))
        acting = ready | (off & far)
        wanting[acting] = 0
        self._wanting[index] = wanting
        self._rested[index[acting]] = 0
        self._skip(index[acting & over & ~far], 1)
        leaping = acting & far
        if count_nonzero(leaping):
            rows = index[leaping]
            self._skip(rows, np.maximum(self._place_by_target(rows, now) - self._head[rows], 0))
            self._wait[rows] = (
                now - self._delay.baseline[rows] - line.time_of(rows, self._head[rows])
            )
        growing = acting & under
        self.inserted[index[growing]] += 1
        return growing

    def _skip(self, rows: NDArray[np.intp], frames: int | NDArray[np.int64]) -> None:
        if not rows.size:
            return
        head = self._head[rows] + frames
        self._head[rows] = head
        self._floor[rows] = np.maximum(self._floor[rows], head)
        self.dropped[rows] += frames
        self._spliced[rows] = True
        # Skipped frames are not lost: treat the next frame as contiguous in sequence.
        first, sequence = self._ring.next_frame(rows, head)
        found = first < NO_FRAME
        self._last_sequence[rows[found]] = sequence[found] - 1

    def _bridge(
        self, rows: NDArray[np.intp], moved: NDArray[np.bool_], now: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Handle rows without a frame now: it is lost, was never sent (a pause), or is still to
        come.  Return their FrameStatus, and a mask of the rows whose frame is lost and the one
        after it is in the ring."""
        head = self._head[rows]
        missing = self._missing[rows]
        brief = missing < LONG_LOSS
        waiting = self._newest[rows] >= head
        following, sequence = self._ring.next_frame(rows, head)
        unsent = waiting & (sequence <= self._last_sequence[rows] + 1)
        lost = waiting & ~unsent
        dry = ~waiting & brief
        steps = np.where(lost | dry, 1, 0)
        pausing = unsent & ~moved
        if count_nonzero(pausing):
            # A pause allows to set the delay to its target without a splice.
            paused = rows[pausing]
            wanted = self._place_by_target(paused, now) + 1
            steps[pausing] = np.clip(wanted - head[pausing], 0, following[pausing] - head[pausing])
        steps[moved] = 0
        self._head[rows] = head + steps
        self._missing[rows] = np.where(moved, missing, np.minimum(missing + 1, LONG_LOSS))
        self._miss(rows, (lost & ~moved).astype(np.int64))
        self._unsure[rows] += dry & ~moved
        status = np.where(brief, CONCEALED, SILENT)
        return status, lost & ~moved & (following == head + 1)

    def observe_energy(self, rows: NDArray[np.intp], energy: NDArray[np.float32]) -> None:
        """Note the energy (mean square) of the frames just decoded, float32 per row.

        The delay of these rows then moves in quiet moments; other rows move at once.
        """
        mean = self._energy[rows]
        self._loud[rows] = (energy > QUIET_ENERGY) & (energy > QUIET_SHARE * mean)
        self._energy[rows] = np.maximum(0.95 * mean + 0.05 * energy, 0.0)
        if self.bursts is not None:
            self.bursts.observe_energy(rows, energy)

    def playout_delay(self, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the seconds that a packet of least transit waits in the buffer, as of the last
        frame, float64 per row."""
        return np.maximum(self._wait[rows], 0.0)

    def earliest_arrival(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the arrival time of the frame just played for a packet of least transit, in
        seconds on the clock of `now`, float64 per row."""
        media_time = self._line.time_of(rows, self._head[rows] - 1)
        due: NDArray[np.float64] = self._delay.baseline[rows] + media_time
        return due

    def timestamps(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the RTP timestamps of the frames just played, int64 per row."""
        return self._line.timestamps_of(rows, self._head[rows] - 1)

    def target_delay(self, rows: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the target delay in seconds, float64 per row."""
        return self._delay.target[rows]

    def row_delays(self, row: int) -> tuple[float, float]:
        """Return `playout_delay` and `target_delay` of one row."""
        return max(self._wait.item(row), 0.0), self._delay.target.item(row)
