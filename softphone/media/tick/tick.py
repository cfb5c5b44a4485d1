"""One tick of one phase: the ordered stages between what came in and what goes out.

This is the media plane's sans-IO boundary: packets in arrays and the time come in, packets in
arrays go out, and everything else happens to the bank.  The same bank, packets and times give the
same packets out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softphone.media.bank import FRAME, FRAME_MS, PacketBatch, StreamBank
from softphone.media.interface import StreamTimedOut
from softphone.media.tick.deliver import Audience, deliver, make_audiences
from softphone.media.tick.receive import expire_digits, receive, split
from softphone.media.tick.rtcp import receive_control, send_control
from softphone.media.tick.send import Cohort, make_cohorts, send

__all__ = ["Moment", "Plan", "hear", "skip", "speak", "tick"]

TIMEOUT_FRAMES = 25
"""Frames between two looks at who has gone silent."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a tick is: `frame` counts frames of 20 ms, `now` is that frame's time for the phase
    (not the moment at which the tick happens to run), `wall` seconds since 1970."""

    frame: int
    now: float
    wall: float

    @property
    def milliseconds(self) -> int:
        """The media time of the frame."""
        return self.frame * FRAME_MS


@dataclass(frozen=True, slots=True)
class Plan:
    """What a phase does tick after tick, until a command changes it."""

    cohorts: tuple[Cohort, ...]
    receiving: npt.NDArray[np.intp]
    audiences: tuple[Audience, ...]


def _plan(bank: StreamBank, phase: int) -> Plan:
    plan = bank.plans[phase]
    if isinstance(plan, Plan):
        return plan
    receiving = bank.rows(phase, bank.receives)
    made = Plan(make_cohorts(bank, phase), receiving, make_audiences(bank, receiving))
    bank.plans[phase] = made
    return made


def hear(bank: StreamBank, phase: int, received: PacketBatch, moment: Moment) -> None:
    """The receiving half: unprotect, check and account for `received` (of any phase), buffer its
    sound, and play `phase`'s frame to its sinks."""
    if received.count:
        media, control = split(bank, received)
        receive(bank, received, media, now=moment.now)
        receive_control(bank, received, control, now=moment.now, wall=moment.wall)
    expire_digits(bank, now=moment.now)
    plan = _plan(bank, phase)
    frame, now, wall = moment.frame, moment.now, moment.wall
    deliver(bank, plan.receiving, plan.audiences, frame, now=now, wall=wall)
    if moment.frame % TIMEOUT_FRAMES == 0:
        _look_for_silence(bank, phase, now=moment.now)


def speak(bank: StreamBank, phase: int, out: PacketBatch, moment: Moment) -> PacketBatch:
    """The sending half: `out` is cleared, filled with what `phase` sends in this frame, first RTP
    (`out.media` packets), then RTCP, and returned."""
    out.count = out.media = 0
    send(bank, _plan(bank, phase).cohorts, moment.frame, out)
    send_control(bank, out, moment.milliseconds, now=moment.now, wall=moment.wall)
    out.drop_empty()
    return out


def tick(
    bank: StreamBank, phase: int, received: PacketBatch, out: PacketBatch, moment: Moment
) -> PacketBatch:
    """Serve `phase` once, both halves; gives what is to be sent.

    A sink may be the source of another stream, or of its own: what it is given goes out at once.
    """
    hear(bank, phase, received, moment)
    return speak(bank, phase, out, moment)


def skip(bank: StreamBank, phase: int, frames: int, *, now: float) -> None:
    """Let media time jump over `frames` frames that nobody can be given any more."""
    receiving = _plan(bank, phase).receiving
    if len(receiving):
        for ahead in range(min(frames, 64), 0, -1):
            bank.playout.get(receiving, now=now - ahead * FRAME)
    bank.talking[bank.span(phase)] = False


def _look_for_silence(bank: StreamBank, phase: int, *, now: float) -> None:
    span = bank.span(phase)
    overdue = bank.receives[span] & ~bank.timed_out[span]
    overdue &= now - bank.last_received[span] > bank.stream_timeout
    for row in (np.flatnonzero(overdue) + span.start).tolist():
        stream = bank.streams[row]
        if stream is not None:
            bank.timed_out[row] = True
            bank.emit(StreamTimedOut(stream.handle, now - float(bank.last_received[row])))
