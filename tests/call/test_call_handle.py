"""What a handle on a call shows is its leg's, at every stage."""

from __future__ import annotations

import pytest

from softphone.call import Call, IncomingCall
from softphone.events import CallState
from tests.support.stage import Stage


@pytest.mark.parametrize("kind", [Call, IncomingCall])
async def test_a_handle_shows_what_its_leg_knows(kind):
    stage = Stage()
    caller, callee = stage.answered()
    handle = kind(callee)
    assert handle.id == caller.usage.call_id
    assert handle.peer.uri.user == "alice"
    assert handle.state is CallState.CONFIRMED
    assert handle.security == callee.security
    assert (handle.refused, handle.explanation) == ((), "")
    told = [type(event) async for event in ended(stage, callee, handle)]
    assert told[-1].__name__ == "CallEnded"
    assert handle.state is CallState.TERMINATED


def ended(stage, leg, handle):
    leg.hang_up()
    stage.run(0.1)
    return handle.events()


async def test_why_a_call_was_refused_is_shown_after_its_end():
    stage = Stage()
    _, callee = stage.answered()
    callee.end_for_shortfalls(callee.policy.judge(callee.security), "because")
    assert Call(callee).explanation == "because"
    assert Call(callee).refused == callee.refused
