"""The stage: every call is counted once, from its dial to its end, with a cause."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from softphone.errors import Busy, CallError, NoAnswer, NoPortFree
from softphone.events import CallEnded, CallState, EndedBy, PacketCounts, StreamStatistics
from softphone.load.measure import Histogram
from softphone.load.plan import parse_holding_time
from softphone.load.run.audio_check import AudioSources
from softphone.load.run.call_tracker import COUNTED, CallTracker, RunEnd
from softphone.security import (
    CryptoSuite,
    MediaSecurity,
    SecurityState,
    SignalingSecurity,
)


class Audio:
    """A stream that counts."""

    def __init__(self):
        self.statistics = StreamStatistics()
        self.played = None

    @property
    def packet_counts(self):
        now = self.statistics
        return PacketCounts(now.packets_sent, now.packets_received, now.cumulative_lost)

    def play(self, source):
        self.played = source

    def record(self, sink):
        self.recorded = sink


class Call:
    """A call that ends when it is told to."""

    id = "a call"

    def __init__(self, suite=CryptoSuite.AEAD_AES_256_GCM):
        self.audio = Audio()
        self.state = CallState.CONFIRMED
        self.security = SecurityState(SignalingSecurity(), (MediaSecurity("audio", "RTP", suite),))
        self.over = asyncio.get_running_loop().create_future()
        self.expects_media = True
        self.bye = None

    async def ended(self):
        return await asyncio.shield(self.over)

    async def await_bye_answer(self, within):
        assert within > 0
        return self.bye or (await self.ended()).by

    def end(self, by, status=0):
        if not self.over.done():
            self.state = CallState.TERMINATED
            self.over.set_result(CallEnded(by, status))

    def hangup(self):
        self.end(EndedBy.LOCAL)


class Outgoing:
    """A call on its way: answered after `takes` seconds of the clock, or failing."""

    id = "one on its way"

    def __init__(self, clock, outcome, takes=0.04):
        self.clock, self.outcome, self.takes = clock, outcome, takes
        self.left = False

    async def answered(self, within):
        self.clock[0] += self.takes
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def __aexit__(self, *exc_info):
        self.left = True


@pytest.fixture
async def world():
    """A stage, its clock, and what it said had run out."""
    clock, starved = [100.0], []
    stage = CallTracker(
        target="600",
        holding_time=parse_holding_time("run", seed=1),
        sounds=AudioSources(),
        starved=starved.append,
        checks=0,
        clock=lambda: clock[0],
    )
    return SimpleNamespace(clock=clock, starved=starved, stage=stage)


async def test_a_call_is_counted_from_dial_to_end(world):
    call = Call()
    due = world.clock[0] - 0.3
    async with world.stage.track_outgoing(Outgoing(world.clock, call), 3, due=due):
        assert world.stage.calls_up == 1
        assert call.audio.played is not None
        world.clock[0] += 10.0
        call.audio.statistics = StreamStatistics(
            packets_sent=500, packets_received=495, cumulative_lost=5, mos=4.2
        )
    assert world.stage.calls_up == 0
    assert [world.stage.take_peak(), world.stage.take_peak()] == [1, 0]
    tally = world.stage.take_tally()
    assert (tally.attempted, tally.answered) == (1, 1)
    assert tally.setup_ms.quantile(0.5) == pytest.approx(40.0, abs=0.1)
    assert tally.arrival_ms.quantile(0.5) == pytest.approx(340.0, abs=1.0)
    assert tally.suites == {"AEAD_AES_256_GCM": 1}
    assert (tally.sent, tally.received, tally.lost) == (500, 495, 5)
    assert tally.mos.quantile(0.5) == pytest.approx(4.2, abs=0.01)
    assert tally.call_seconds == pytest.approx(10.0)
    assert (tally.ended, tally.dropped) == ({"local": 1}, {})


async def test_packets_are_counted_in_the_second_in_which_they_are_seen(world):
    call = Call(suite=None)
    async with world.stage.track_outgoing(Outgoing(world.clock, call), 0):
        found = []
        for sent in (50, 100, 150):
            world.clock[0] += 1.0
            call.audio.statistics = StreamStatistics(packets_sent=sent, packets_received=sent)
            world.stage.poll_some_calls()
            found.append(world.stage.take_tally())
        assert [tally.sent for tally in found] == [50, 50, 50]
        assert [tally.call_seconds for tally in found] == pytest.approx([1.0, 1.0, 1.0])
        assert found[0].suites == {"clear": 1}


async def test_a_failure_is_counted_by_cause_and_raised(world):
    for error in (Busy("x", status=486), NoAnswer("x", status=408)):
        outgoing = Outgoing(world.clock, error)
        with pytest.raises(CallError):
            async with world.stage.track_outgoing(outgoing, 0):
                raise AssertionError("it was not answered")
        assert outgoing.left
    tally = world.stage.take_tally()
    assert (tally.attempted, tally.answered) == (2, 0)
    assert tally.failed == {"486 Busy Here": 1, "no answer in time": 1}


async def test_ports_that_run_out_are_our_own_fault(world):
    with pytest.raises(NoPortFree):
        async with world.stage.track_outgoing(Outgoing(world.clock, NoPortFree("none left")), 0):
            pass
    assert "media ports" in world.starved[0]


async def test_a_call_given_up_at_the_end_has_a_cause(world):
    with pytest.raises(asyncio.CancelledError):
        async with world.stage.track_outgoing(Outgoing(world.clock, asyncio.CancelledError()), 0):
            pass
    assert world.stage.take_tally().failed == {"given up at the end of the run": 1}


async def test_a_call_that_the_far_end_ends_is_dropped(world):
    call = Call()
    async with world.stage.track_outgoing(Outgoing(world.clock, call), 0):
        call.end(EndedBy.TIMEOUT, 408)
        await world.stage.stay_in_call(call, None)
    tally = world.stage.take_tally()
    assert tally.dropped == tally.ended == {"timeout 408 Request Timeout": 1}


async def test_a_call_that_the_scenario_ends_is_not(world):
    call = Call()
    async with world.stage.track_outgoing(Outgoing(world.clock, call), 0):
        world.stage.ending(call)
        call.end(EndedBy.REMOTE)
    assert world.stage.take_tally().dropped == {}


async def test_an_answered_call_that_brings_nothing_has_failed_and_has_no_quality(world):
    for statistics in (
        StreamStatistics(packets_sent=10),
        StreamStatistics(packets_sent=500),
        StreamStatistics(packets_sent=500, packets_received=1),
        StreamStatistics(packets_sent=500, packets_received=499, mos=4.4),
    ):
        call = Call()
        async with world.stage.track_outgoing(Outgoing(world.clock, call), 0):
            call.audio.statistics = statistics
    tally = world.stage.take_tally()
    assert tally.failed == {"no_media": 1}
    assert (tally.mos.total, tally.mos.quantile(0.5)) == (1, 4.4)
    assert tally.loss.total == 1
    assert (tally.attempted, tally.answered, tally.served) == (4, 4, 3)


async def test_a_callee_that_hears_nothing_is_told_apart(world):
    call = Call()

    class Incoming:
        async def answer(self):
            return call

    async with world.stage.track_incoming(Incoming(), 0):
        call.audio.statistics = StreamStatistics(packets_sent=500)
    tally = world.stage.take_tally()
    assert tally.failed == {"no_media at the callee": 1}
    assert tally.served == 0


async def test_many_calls_are_looked_at_in_turn(world):
    calls = [Call() for _ in range(COUNTED + 5)]
    entered = [
        world.stage.track_outgoing(Outgoing(world.clock, call), n) for n, call in enumerate(calls)
    ]
    for each in entered:
        await each.__aenter__()
    for call in calls:
        call.audio.statistics = StreamStatistics(packets_sent=50, packets_received=50, mos=4.0)
    sent = []
    for _ in range(6):
        world.stage.poll_some_calls()
        sent.append(world.stage.take_tally().sent)
    assert sent == [550] * 5 + [0]
    mos, jitter = Histogram(0.001), Histogram(0.01)
    world.stage.add_current_quality(mos, jitter)
    assert mos.total == 6
    # All statistics are read of one in each poll of eleven, of others in each rotation.
    for _ in range(11 * 5):
        world.stage.poll_some_calls()
    mos, jitter = Histogram(0.001), Histogram(0.01)
    world.stage.add_current_quality(mos, jitter)
    assert mos.total == jitter.total == COUNTED + 5
    for each in entered:
        await each.__aexit__(None, None, None)


async def test_what_is_awaited_is_cut_at_its_time_or_with_the_run_and_leaves_nothing():
    curtain, tasks = RunEnd(), asyncio.all_tasks()
    never = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(1):
        await curtain.await_until_end(never, 0.01)
        never = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(curtain.await_until_end(never, None))
        # Its time has come in the very moment in which the run ends.
        late = asyncio.ensure_future(curtain.await_until_end(asyncio.sleep(60), 0.0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        curtain.set()
        await asyncio.gather(waiting, late)
        await curtain.await_until_end(asyncio.sleep(60), None)
    assert asyncio.all_tasks() == tasks
    curtain.set()


async def test_who_is_canceled_while_waiting_is_not_merely_cut():
    curtain = RunEnd()
    waiting = asyncio.ensure_future(curtain.await_until_end(asyncio.sleep(60), None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    curtain.set()


async def test_talking_ends_with_the_run(world):
    call = Call()
    async with world.stage.track_outgoing(Outgoing(world.clock, call), 0):
        talking = asyncio.ensure_future(world.stage.stay_in_call(call, None))
        await asyncio.sleep(0.01)
        assert not talking.done()
        world.stage.run_end.set()
        async with asyncio.timeout(1):
            await talking


@contextlib.asynccontextmanager
async def heard(world, call, caller=True):
    """A call whose far end sends for ten seconds, polled every second."""

    class Incoming:
        async def answer(self):
            return call

    stage, outgoing = world.stage, Outgoing(world.clock, call)
    entered = stage.track_outgoing(outgoing, 0) if caller else stage.track_incoming(Incoming(), 0)
    async with entered:
        listen(world, call, *range(50, 501, 50))
        yield


def listen(world, call, *received):
    for packets in received:
        world.clock[0] += 1.0
        call.audio.statistics = StreamStatistics(
            packets_sent=500, packets_received=packets, mos=4.4
        )
        world.stage.poll_some_calls()


async def test_a_call_whose_media_stops_before_its_end_is_dropped(world):
    for silent, expected in ((2, {}), (3, {"media_stopped": 1})):
        call = Call()
        async with heard(world, call):
            listen(world, call, *[500] * silent)
        tally = world.stage.take_tally()
        assert tally.dropped == expected
        assert tally.ended == (expected or {"local": 1})
        assert tally.failed == {}


async def test_media_that_stops_after_the_last_poll_is_seen_at_the_end(world):
    async with heard(world, Call()):
        world.clock[0] += 2.5
    assert world.stage.take_tally().dropped == {"media_stopped": 1}


async def test_media_that_goes_on_or_is_not_expected_has_not_stopped(world):
    call = Call()
    async with heard(world, call):
        listen(world, call, 500, 500, 500, 500, 501)
    async with heard(world, call := Call()):
        call.expects_media = False
        listen(world, call, 500, 500, 500, 500)
    async with heard(world, call := Call()):
        # On hold, between two polls, and resumed by the scenario.
        world.clock[0] += 4.0
        world.stage.expect_media(call)
        world.clock[0] += 1.0
    async with heard(world, call := Call()):
        world.stage.ending(call)
        listen(world, call, 500, 500, 500, 500)
    assert world.stage.take_tally().dropped == {}


async def test_media_that_stopped_before_the_scenario_ends_the_call_is_dropped(world):
    async with heard(world, call := Call()):
        listen(world, call, 500, 500, 500)
        world.stage.ending(call)
        call.hangup()
        world.clock[0] += 5.0
    assert world.stage.take_tally().dropped == {"media_stopped": 1}


async def test_the_callee_tells_of_its_own_media_only(world):
    async with heard(world, call := Call(), caller=False):
        listen(world, call, 500, 500, 500)
        call.end(EndedBy.REMOTE)
    assert world.stage.take_tally().dropped == {"media_stopped at the callee": 1}
    for bye in (EndedBy.TIMEOUT, EndedBy.TRANSPORT):
        async with heard(world, call := Call(), caller=False):
            call.bye = bye
    assert world.stage.take_tally().dropped == {}


async def test_a_bye_without_an_answer_is_dropped(world):
    for bye, cause in (
        (EndedBy.TIMEOUT, "BYE without an answer"),
        (EndedBy.TRANSPORT, "connection lost"),
    ):
        async with heard(world, call := Call()):
            call.bye = bye
        tally = world.stage.take_tally()
        assert tally.dropped == tally.ended == {cause: 1}


async def test_a_failure_in_the_call_is_counted_once(world):
    call = Call()
    call.bye = EndedBy.TIMEOUT

    async def fail():
        async with heard(world, call):
            listen(world, call, 500, 500, 500)
            raise Busy("x", status=486)

    with pytest.raises(Busy):
        await fail()
    assert world.stage.take_tally().dropped == {"in the call: 486 Busy Here": 1}
