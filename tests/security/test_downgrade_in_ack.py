"""A delayed offer whose answer, in the ACK, was rewritten to RTP/AVP is ended with BYE."""

from __future__ import annotations

from tests.support.attack import REASON, assert_refused, rewriting, unopened
from tests.support.stage import Stage


async def test_an_answer_in_clear_in_the_ack_ends_the_call():
    stage = Stage()
    stage.tamper = rewriting("ACK", by="alice")
    _, callee = stage.answered(delayed=True)
    assert_refused(callee)
    assert stage.sent("bob") == ["180", "200", "BYE"]
    assert any(REASON in data for name, data in stage.wire if name == "bob")
    assert unopened(stage.bob)


async def test_an_offer_in_clear_in_the_200_of_a_delayed_offer_ends_the_call():
    stage = Stage()
    stage.tamper = rewriting("SIP/2.0 200", by="bob")
    caller, _ = stage.answered(delayed=True)
    assert_refused(caller)
    assert stage.sent("alice")[:3] == ["INVITE", "ACK", "BYE"]
    assert unopened(stage.alice)
