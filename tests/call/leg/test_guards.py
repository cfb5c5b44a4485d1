"""Guards of a call on virtual time: media that stays away, and the longest duration."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from softphone.call.leg import CallGuards, OnMediaTimeout
from softphone.events import CallEnded, CallState, EndedBy, MediaLost
from softphone.media import StreamTimedOut
from tests.support.stage import Stage

HANGUP = CallGuards(on_media_timeout=OnMediaTimeout.HANGUP)


@pytest.fixture
async def stage():
    return Stage()


def guard(party, guards):
    setup = party.setup
    party.setup = lambda: replace(setup(), guards=guards)


def silence(party, seconds=30.0):
    """The media loop reports that nothing came."""
    handle = party.leg.negotiation.audio.handle
    party.port.callbacks[handle](StreamTimedOut(handle, seconds))


def expected(party):
    """The time given to the media loop last."""
    return party.port.patience[party.leg.negotiation.audio.handle][-1]


def of(party, kind):
    return [event for event in party.events if isinstance(event, kind)]


async def hold(stage, leg, held):
    task = asyncio.ensure_future(leg.renegotiate(held=held))
    await asyncio.sleep(0)
    stage.run(0.5)
    await task


async def test_by_default_silence_is_reported_and_the_call_goes_on(stage):
    stage.answered()
    assert expected(stage.bob) == 30.0
    silence(stage.bob)
    stage.run(1)
    assert of(stage.bob, MediaLost) == [MediaLost(30.0)]
    assert stage.bob.leg.state is CallState.CONFIRMED


async def test_where_configured_the_call_ends_and_both_ends_know_why(stage):
    guard(stage.bob, HANGUP)
    stage.answered()
    silence(stage.bob)
    stage.run(1)
    assert stage.bob.leg.ended.result() == CallEnded(EndedBy.MEDIA, 408, "no media came for 30 s")
    (bye,) = [data for name, data in stage.wire if name == "bob" and data.startswith(b"BYE")]
    assert b'Reason: SIP;cause=408;text="no media came for 30 s"' in bye
    ended = stage.alice.leg.ended.result()
    assert (ended.by, ended.status, ended.reason) == (EndedBy.REMOTE, 408, "no media came for 30 s")


async def test_nothing_is_counted_while_it_rings_and_all_from_the_answer_on(stage):
    guard(stage.alice, HANGUP)
    guard(stage.bob, HANGUP)
    stage.dial()
    stage.run(60)
    assert stage.alice.port.patience == stage.bob.port.patience == {}
    stage.bob.leg.accept()
    # Early media is open before the ACK; the media loop then counts by its own time.
    silence(stage.bob)
    assert of(stage.bob, MediaLost) == []
    stage.run(1)
    assert stage.bob.leg.state is CallState.CONFIRMED
    assert expected(stage.alice) == expected(stage.bob) == 30.0


async def test_hold_pauses_it_at_both_ends_and_resuming_begins_anew(stage):
    caller, _ = stage.answered()
    await hold(stage, caller, True)
    assert expected(stage.alice) == expected(stage.bob) == 0.0
    await hold(stage, caller, False)
    assert expected(stage.alice) == expected(stage.bob) == 30.0
    counts = stage.bob.port.patience[stage.bob.leg.negotiation.audio.handle]
    assert counts == [30.0, 0.0, 30.0]


async def test_a_timeout_of_0_reports_nothing(stage):
    guard(stage.bob, CallGuards(media_timeout=0.0, on_media_timeout=OnMediaTimeout.HANGUP))
    stage.answered()
    assert expected(stage.bob) == 0.0
    silence(stage.bob)
    assert stage.bob.leg.state is CallState.CONFIRMED
    assert of(stage.bob, MediaLost) == []


async def test_the_longest_duration_counts_from_the_answer_and_ends_the_call(stage):
    guard(stage.bob, CallGuards(maximum_duration=60.0))
    stage.dial()
    stage.run(50)
    stage.bob.leg.accept()
    stage.run(59)
    assert stage.bob.leg.state is CallState.CONFIRMED
    stage.run(2)
    assert stage.bob.leg.ended.result() == CallEnded(
        EndedBy.DURATION, 408, "the longest duration of 60 s is over"
    )
    assert stage.alice.leg.ended.result().by is EndedBy.REMOTE


async def test_a_call_that_ended_before_is_left_alone(stage):
    guard(stage.bob, CallGuards(maximum_duration=60.0))
    stage.answered()
    stage.alice.leg.hang_up()
    stage.run(100)
    assert stage.bob.leg.ended.result().by is EndedBy.REMOTE
    assert stage.sent("bob").count("BYE") == 0
