"""One tick of one phase: the stages of the receive half and the send half, in order.

This is the sans-IO boundary of the media plane.  A tick takes packets and the time, changes the
bank, and gives packets.  The same bank, packets and times give the same packets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softphone.fast_dataclass import fast_init
from softphone.media.bank import FRAME, FRAME_MS, PacketBatch, StreamBank
from softphone.media.interface import StreamTimedOut
from softphone.media.kernel import MOST_PACKETS, BankKernel
from softphone.media.tick.deliver import ReceiveGroup, deliver_frames, make_receive_groups
from softphone.media.tick.receive import expire_digits, receive_rtp, split_rtp_and_rtcp
from softphone.media.tick.rtcp import receive_rtcp, send_rtcp
from softphone.media.tick.send import SendGroup, make_send_groups, send_rtp

TIMEOUT_FRAMES = 25
"""Frames between two checks for stream timeouts."""


@fast_init
@dataclass(frozen=True, slots=True)
class TickTime:
    """The time of a tick: `frame` counts frames of 20 ms; `now` is the frame's deadline in the
    phase (not the time when the tick runs), in monotonic seconds; `wall` is `now` in seconds since
    1970."""

    frame: int
    now: float
    wall: float

    @property
    def milliseconds(self) -> int:
        """The media time of the frame in ms."""
        return self.frame * FRAME_MS


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """The groups of rows that a phase serves at each tick; kept until a command changes them."""

    send_groups: tuple[SendGroup, ...]
    receiving: npt.NDArray[np.intp]
    receive_groups: tuple[ReceiveGroup, ...]


def _plan(bank: StreamBank, phase: int) -> PhasePlan:
    plan = bank.plans[phase]
    if isinstance(plan, PhasePlan):
        return plan
    receiving = bank.flagged_rows(phase, bank.receiver.receives)
    made = PhasePlan(make_send_groups(bank, phase), receiving, make_receive_groups(bank, receiving))
    bank.plans[phase] = made
    return made


def run_receive_half(
    bank: StreamBank,
    phase: int,
    received: PacketBatch,
    moment: TickTime,
    kernel: BankKernel | None = None,
) -> None:
    """Run the receive half: process `received` (packets of any phase) into the jitter buffers, and
    deliver one frame of each receiving row of `phase` to its sink.

    With `kernel`, which is bound to `bank`, ordinary packets and rows take the compiled path.
    """
    if received.count:
        if kernel is None or bank.on_clear_packet is not None or received.count > MOST_PACKETS:
            media, control = split_rtp_and_rtcp(bank, received)
        else:
            media, control = kernel.receive(received, now=moment.now)
        receive_rtp(bank, received, media, now=moment.now)
        receive_rtcp(bank, received, control, now=moment.now, wall=moment.wall)
    expire_digits(bank, now=moment.now)
    plan = _plan(bank, phase)
    if len(plan.receiving):
        buffers = bank.playout if kernel is None else kernel
        frames = buffers.next_frames(plan.receiving, now=moment.now)
        since_1970 = moment.wall - moment.now
        deliver_frames(
            bank, plan.receiving, plan.receive_groups, frames, moment.frame, since_1970, kernel
        )
    if moment.frame % TIMEOUT_FRAMES == 0:
        _detect_timeouts(bank, phase, now=moment.now)


def run_send_half(
    bank: StreamBank,
    phase: int,
    out: PacketBatch,
    moment: TickTime,
    kernel: BankKernel | None = None,
) -> PacketBatch:
    """Run the send half: replace the contents of `out` with the packets that `phase` sends in this
    frame, RTP first (`out.media` packets), then RTCP; return `out`."""
    out.count = out.media = 0
    send_rtp(bank, _plan(bank, phase).send_groups, moment.frame, out, kernel)
    send_rtcp(bank, out, moment.milliseconds, now=moment.now, wall=moment.wall)
    out.drop_empty()
    return out


def tick(
    bank: StreamBank,
    phase: int,
    received: PacketBatch,
    out: PacketBatch,
    moment: TickTime,
    kernel: BankKernel | None = None,
) -> PacketBatch:
    """Run both halves for `phase`; return `out`, the packets to send.

    The receive half runs first, so that a sink that is also a source sends its sound at once.
    """
    run_receive_half(bank, phase, received, moment, kernel)
    return run_send_half(bank, phase, out, moment, kernel)


def skip_frames(bank: StreamBank, phase: int, frames: int, *, now: float) -> None:
    """Skip `frames` frames: advance the jitter buffers (64 frames at most) without delivery, and
    begin a new talkspurt."""
    receiving = _plan(bank, phase).receiving
    if len(receiving):
        for ahead in range(min(frames, 64), 0, -1):
            bank.playout.next_frames(receiving, now=now - ahead * FRAME)
    bank.sender.end_talkspurt(bank.span(phase))


def count_due_packets(
    bank: StreamBank, phase: int, first: int, frames: int
) -> npt.NDArray[np.int64]:
    """Return how many RTP packets `phase` has to send in each of `frames` frames from `first` on,
    int64[frames]; pauses of the sources are not known in advance and count as sound."""
    begins_ms = np.arange(first, first + frames + 1, dtype=np.int64) * FRAME_MS
    due = np.zeros(frames, dtype=np.int64)
    for group in _plan(bank, phase).send_groups:
        # As `packets_due`, for all frames at once.
        due += np.diff(-(-begins_ms // group.ptime_ms)) * group.rows.size
    return due


def _detect_timeouts(bank: StreamBank, phase: int, *, now: float) -> None:
    span, receiver = bank.span(phase), bank.receiver
    overdue = receiver.receives[span] & ~receiver.timed_out[span]
    overdue &= now - receiver.last_received[span] > receiver.patience[span]
    overdue &= receiver.patience[span] > 0
    for row in (overdue.nonzero()[0] + span.start).tolist():
        stream = bank.streams[row]
        if stream is not None:
            receiver.note_timeout(row)
            bank.emit(StreamTimedOut(stream.handle, now - float(receiver.last_received[row])))
