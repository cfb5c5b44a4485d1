"""An offer that was rewritten to RTP/AVP is answered 488 with the reason; nobody is alerted."""

from __future__ import annotations

from tests.support.attack import assert_never_in_clear, assert_refused, rewriting, unopened
from tests.support.stage import Stage


async def test_an_offer_in_clear_is_refused_before_anybody_is_alerted():
    stage = Stage()
    stage.tamper = rewriting("INVITE", by="alice")
    caller = stage.dial()
    stage.run(0.5)
    assert_refused(stage.bob.leg)
    assert stage.sent("bob") == ["488"]
    assert b"Warning: 302" in stage.wire[1][1]
    assert caller.ended.result().status == 488
    assert unopened(stage.alice)
    assert unopened(stage.bob)
    assert_never_in_clear(stage)
