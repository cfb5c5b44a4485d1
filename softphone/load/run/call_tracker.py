"""Tracks the calls of a load run: every call is measured from dial to end.

An answered call is tracked until it has ended.  Its packets, and its end, go into the tally of the
second in which they are seen.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from softphone.call import Call, IncomingCall, OutgoingCall
from softphone.errors import LocalProtocolError, NoPortFree, SoftphoneError
from softphone.events import CallState, EndedBy, PacketCounts, StreamStatistics
from softphone.load.measure import (
    BYE_UNANSWERED,
    CONNECTION_LOST,
    MEDIA_STOPPED,
    NO_MEDIA,
    Histogram,
    Tally,
    end_cause,
    failure_cause,
)
from softphone.load.plan import CLEAR, HoldingTime
from softphone.load.run.audio_check import AudioCheckSink, AudioSources
from softphone.media.kernel import describe_path

LOOK_EVERY = 0.2
"""Seconds between two polls, long enough that one reads many calls at once: a lone one costs twice
as much, since its code is in no cache any more."""
COUNTED = 50
"""Calls whose packets one poll counts; further ones take their turn in later polls, because
reading many calls at once would make their media late.  Of more calls than those, a poll reads all
statistics of one, because that costs ten times as much."""
CHECK_AFTER = 0.5
"""Seconds into a call at which its audio is checked."""
END_PATIENCE = 5.0
BYE_PATIENCE = 5.0
"""Seconds that the far end may take to answer our BYE; the call is over meanwhile."""
STOPPED_AFTER = 2.0
"""Seconds without a packet, up to the end of a call, after which its media counts as stopped."""
SILENT_PACKETS = 50
"""Packets that we must have sent before a call that received none counts as failed."""


@dataclass(slots=True)
class TrackedCall:
    """A call that is up, with its packets at the last poll, and its statistics when they were last
    read; `ending`: we are ending it.

    `heard` is when a poll last found new packets, or that none were to come; `stopped`: none had
    come for STOPPED_AFTER at the last poll of the confirmed call.  `dropped`: it has been counted.
    """

    call: Call
    says: int | None
    hears: int | None
    since: float
    caller: bool = True
    last: StreamStatistics = field(default_factory=StreamStatistics)
    counts: PacketCounts = field(default_factory=PacketCounts)
    ending: bool = False
    heard: float = field(init=False)
    stopped: bool = False
    dropped: bool = False

    def __post_init__(self) -> None:
        self.heard = self.since


class RunEnd(asyncio.Event):
    """The event that the run is over; also ends the waits that `await_until_end` bounds.

    A call awaits its own end and that of the run in one task; a second task for each call would
    take as much memory as the scenario run itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pauses: set[asyncio.Timeout] = set()

    def set(self) -> None:
        """Set the event and end all waits."""
        super().set()
        for pause in self._pauses:
            if not pause.expired():
                pause.reschedule(0.0)

    async def await_until_end(self, work: Awaitable[object], seconds: float | None) -> None:
        """Await `work` for at most `seconds` (None: no limit), at most to the end of the run."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.0 if self.is_set() else seconds) as pause:
                self._pauses.add(pause)
                try:
                    await work
                finally:
                    self._pauses.discard(pause)


class FollowedCall:
    """A call of a load run as a block: entered once the call is up, left once it has ended."""

    def __init__(
        self,
        calls: CallTracker,
        begin: Callable[[], Awaitable[TrackedCall]],
        outgoing: OutgoingCall | None = None,
    ) -> None:
        """`begin` dials or answers; `outgoing` is the attempt, which is given up on leaving.

        :meta private:
        """
        self._calls = calls
        self._begin = begin
        self._outgoing = outgoing

    async def __aenter__(self) -> Call:
        try:
            live = self._live = await self._begin()
            self._calls.begin_following(live)
        except BaseException:
            await self._leave()
            raise
        return live.call

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        try:
            await self._calls.end_following(self._live, error)
        finally:
            await self._leave()

    async def _leave(self) -> None:
        if self._outgoing is not None:
            # Cancels or hangs up; entering it would have sent the INVITE.
            await self._outgoing.__aexit__(None, None, None)


class CallTracker:
    """Measures the calls of all scenario runs of a load run.

    `tally` is that of the current second; `take_tally` replaces it.

    `starved` is called with the name of a resource that ran out here, `failed` with the Call-ID of
    a call that failed or was dropped, and why; `checks` is how many calls may be recorded at once.
    `says` and `hears` of a call are numbers of `sounds`.  `says` is None where who tracks a call
    plays something itself, `hears` when it is unknown what comes back.
    """

    def __init__(
        self,
        *,
        target: str,
        holding_time: HoldingTime,
        sounds: AudioSources,
        starved: Callable[[str], None],
        failed: Callable[[str, str], None] = lambda call_id, cause: None,
        checks: int = 8,
        answer_timeout: float = 32.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self.holding_time = holding_time
        self.clock = clock
        self.run_end = RunEnd()
        self.tally = Tally(media_paths=Counter([describe_path()]))
        self._sounds = sounds
        self._starved = starved
        self._failed = failed
        self._checks = checks
        self._answer_timeout = answer_timeout
        self._live: dict[Call, TrackedCall] = {}
        self._poll_order: Iterator[TrackedCall] = iter(())
        self._rotations = self._polled = 0
        self._looked: dict[Call, StreamStatistics] = {}
        self._seconds_from = clock()
        self._up = self._peak = 0

    @property
    def calls_up(self) -> int:
        """Calls that are up; a call whose two ends are both ours counts once."""
        return self._up

    def take_peak(self) -> int:
        """The most calls that were up at once since the previous use of this method."""
        peak, self._peak = self._peak, self._up
        return peak

    def take_tally(self) -> Tally:
        """Return the tally since the previous use of this method, and begin a new one."""
        now = self.clock()
        self._count_seconds(now)
        taken, self.tally = self.tally, Tally()
        return taken

    def _count_seconds(self, now: float) -> None:
        for live in self._live.values():
            self.tally.call_seconds += now - max(live.since, self._seconds_from)
        self._seconds_from = now

    # Calls --------------------------------------------------------------------------------------

    def track_outgoing(
        self,
        outgoing: OutgoingCall,
        says: int | None,
        hears: int | None = None,
        *,
        due: float | None = None,
    ) -> FollowedCall:
        """Place a call and measure it, from when it was `due`, too.

        Entering it counts a failure and raises it.
        """
        return FollowedCall(self, partial(self._dial, outgoing, says, hears, due), outgoing)

    async def _dial(
        self, outgoing: OutgoingCall, says: int | None, hears: int | None, due: float | None
    ) -> TrackedCall:
        self.tally.attempted += 1
        begun = self.clock()
        try:
            call = await outgoing.answered(self._answer_timeout)
        except SoftphoneError as error:
            self._fail(error, outgoing.id)
            raise
        except asyncio.CancelledError:
            self.tally.failed["given up at the end of the run"] += 1
            raise
        tally = self.tally
        tally.answered += 1
        answered = self.clock()
        tally.setup_ms.record_value((answered - begun) * 1e3)
        tally.arrival_ms.record_value((answered - (begun if due is None else due)) * 1e3)
        media = call.security.media
        suite = media[0].suite if media else None
        tally.suites[CLEAR if suite is None else suite.value] += 1
        return TrackedCall(call, says, hears, answered)

    def track_incoming(
        self, incoming: IncomingCall, says: int, hears: int | None = None
    ) -> FollowedCall:
        """Answer a call and count its packets; the caller's side counts its set-up."""
        return FollowedCall(self, partial(self._answer, incoming, says, hears))

    async def _answer(self, incoming: IncomingCall, says: int, hears: int | None) -> TrackedCall:
        call = await incoming.answer()
        return TrackedCall(call, says, hears, self.clock(), caller=False)

    def _fail(self, error: SoftphoneError, call_id: str) -> None:
        cause = failure_cause(error)
        self.tally.failed[cause] += 1
        self._failed(call_id, cause)
        if isinstance(error, NoPortFree):
            self._starved(f"media ports: give a wider --ports ({error})")
        elif isinstance(error.__cause__, OSError) and error.__cause__.errno == 24:
            self._starved("file descriptors: raise the limit (ulimit -n)")

    def begin_following(self, live: TrackedCall) -> None:
        """Count a call from now on, and play what it says."""
        call = live.call
        self._live[call] = live
        self._up += live.caller
        self._peak = max(self._peak, self._up)
        if live.says is not None:
            call.audio.play(self._sounds.source_for_call(live.says))

    async def end_following(self, live: TrackedCall, error: BaseException | None) -> None:
        """Hang up, and count how the call ended; `error` is what left its block."""
        call = live.call
        if (
            isinstance(error, SoftphoneError)
            and not live.ending
            and call.state is CallState.CONFIRMED
        ):
            self._drop(call, f"in the call: {failure_cause(error)}")
            live.ending = live.dropped = True
        ours = live.ending or call.state is CallState.CONFIRMED
        self._count_packets(live, call.audio.packet_counts)
        call.hangup()
        try:
            ended = await self._await_end(call)
        finally:
            del self._live[call]
            self._up -= live.caller
        self.tally.call_seconds += max(0.0, self.clock() - max(live.since, self._seconds_from))
        self._count(live)
        self._count_quality(live)
        asked = ours and not live.dropped and call.state is CallState.TERMINATED
        lost = await self._loss_of(live) if asked else ""
        if live.caller:
            self.tally.ended[lost or ended] += 1
            if lost or not ours:
                self._drop(call, lost or ended)
        elif live.stopped and lost in ("", MEDIA_STOPPED):
            # A lost connection, or a BYE without an answer, is counted by the caller's side.
            self._drop(call, f"{MEDIA_STOPPED} at the callee")

    async def _await_end(self, call: Call) -> str:
        """Wait for the end, which is immediate for a call that was up; return its cause."""
        if call.state is CallState.TERMINATED:
            return end_cause(await call.ended())
        try:
            async with asyncio.timeout(END_PATIENCE):
                return end_cause(await call.ended())
        except TimeoutError:
            return "never confirmed"

    def _drop(self, call: Call, cause: str) -> None:
        self.tally.dropped[cause] += 1
        self._failed(call.id, cause)

    async def _loss_of(self, live: TrackedCall) -> str:
        """Return why a call was lost that seemed to end as it should; "" if it was not."""
        by = await live.call.await_bye_answer(BYE_PATIENCE)
        if by is EndedBy.TRANSPORT:
            return CONNECTION_LOST
        if live.stopped:
            return MEDIA_STOPPED
        return BYE_UNANSWERED if by is EndedBy.TIMEOUT else ""

    def ending(self, call: Call) -> None:
        """Note that the scenario itself ends this call, so that it does not count as dropped."""
        live = self._live.get(call)
        if live is not None:
            self._count_packets(live, live.call.audio.packet_counts)
            live.ending = True

    def end_newest(self, count: int) -> None:
        """Hang up the newest `count` calls, which so do not count as dropped."""
        callers = [live.call for live in self._live.values() if live.caller and not live.ending]
        for call in callers[len(callers) - count :] if count > 0 else ():
            self.ending(call)
            call.hangup()

    def expect_media(self, call: Call) -> None:
        """Note that packets come from now on: the scenario has resumed the call."""
        if call in self._live:
            self._live[call].heard = self.clock()

    # Packets ------------------------------------------------------------------------------------

    def _count(self, live: TrackedCall) -> StreamStatistics:
        """Count the packets since the last poll; returns the current statistics."""
        now = live.last = live.call.audio.statistics
        counts = PacketCounts(now.packets_sent, now.packets_received, now.cumulative_lost)
        self._count_packets(live, counts)
        return now

    def _count_packets(self, live: TrackedCall, now: PacketCounts) -> None:
        before, live.counts = live.counts, now
        tally = self.tally
        tally.sent += now.sent - before.sent
        tally.received += now.received - before.received
        tally.lost += now.lost - before.lost
        if live.call.state is CallState.CONFIRMED and not live.ending:
            at = self.clock()
            if now.received > before.received or not live.call.expects_media:
                live.heard = at
            live.stopped = now.received > 0 and at - live.heard > STOPPED_AFTER

    def _count_quality(self, live: TrackedCall) -> None:
        """Count a whole call's quality; a call that received nothing counts as failed instead."""
        last = live.last
        if last.mos is not None:
            self.tally.mos.record_value(last.mos)
            self.tally.jitter_ms.record_value(last.interarrival_jitter_ms)
            self.tally.loss.record_value(100.0 * last.fraction_lost)
        elif last.packets_sent >= SILENT_PACKETS and not last.packets_received:
            cause = NO_MEDIA if live.caller else f"{NO_MEDIA} at the callee"
            self.tally.failed[cause] += 1
            self._failed(live.call.id, cause)

    def poll_some_calls(self, most: int = COUNTED) -> None:
        """Count the packets of at most `most` calls, in rotation, each about once a second, and
        read a sample of them."""
        share = min(most, -(-len(self._live) // round(1.0 / LOOK_EVERY)))
        for _ in range(share):
            live = next(self._poll_order, None)
            if live is None:
                self._poll_order = iter(tuple(self._live.values()))
                live = next(self._poll_order, None)
                self._rotations += 1
                self._polled = self._rotations  # so that each call's turn comes
            if live is None or live.call not in self._live:
                continue
            self._polled += 1
            if self._polled % share and len(self._live) > COUNTED:
                self._count_packets(live, live.call.audio.packet_counts)
            else:
                self._looked[live.call] = self._count(live)

    def add_current_quality(self, mos: Histogram, jitter: Histogram) -> None:
        """Add MOS and jitter of the calls polled since the previous use of this method."""
        for last in self._looked.values():
            if last.mos is not None:
                mos.record_value(last.mos)
                jitter.record_value(last.interarrival_jitter_ms)
        self._looked.clear()

    # Talking ------------------------------------------------------------------------------------

    async def stay_in_call(self, call: Call, seconds: float | None) -> None:
        """Stay in the call for `seconds` (None: until the run is over), or until it ends."""
        live = self._live.get(call)
        hears = None if live is None else live.hears
        if live is not None and hears is not None and self._checks > 0 and _patient(seconds):
            begun = self.clock()
            await self._wait(call, CHECK_AFTER)
            await self._check(live, hears)
            if seconds is not None:
                seconds -= self.clock() - begun
        await self._wait(call, seconds)

    async def _check(self, live: TrackedCall, hears: int) -> None:
        """Record a call for a moment, and count whether it heard the expected audio."""
        if self.run_end.is_set() or live.call.state is not CallState.CONFIRMED or self._checks <= 0:
            return
        listener = AudioCheckSink()
        self._checks -= 1
        try:
            live.call.audio.record(listener)
            await self._wait(live.call, 1.2)
            if listener.complete:
                self.tally.checked += 1
                self.tally.heard += self._sounds.heard(listener, hears)
        finally:
            self._checks += 1
            with suppress(LocalProtocolError):
                # `record` raises when the call is already over.
                live.call.audio.record(None)

    async def _wait(self, call: Call, seconds: float | None) -> None:
        if seconds is not None and seconds <= 0:
            return
        await self.run_end.await_until_end(call.ended(), seconds)


def _patient(seconds: float | None) -> bool:
    return seconds is None or seconds > CHECK_AFTER + 1.2
