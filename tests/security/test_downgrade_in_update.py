"""An UPDATE that offers RTP/AVP is answered 488, before and after the answer."""

from __future__ import annotations

from softphone.events import CallState
from softphone.security import SecurityLevel
from tests.support.attack import assert_never_in_clear, rewriting
from tests.support.stage import Stage


async def test_an_update_in_clear_changes_nothing():
    stage = Stage()
    caller, callee = stage.answered()
    stage.tamper = rewriting("UPDATE", by="bob")
    offer = callee.negotiation.create_offer()
    with stage.bob.change() as now:
        callee.usage.update(offer, now=now)
    stage.run(0.3)
    assert stage.sent("alice")[-1] == "488"
    assert caller.state is callee.state is CallState.CONFIRMED
    assert len(stage.alice.port.specs) == 1
    assert caller.security.level is SecurityLevel.ENCRYPTED
    assert_never_in_clear(stage)


async def test_an_update_in_an_early_dialog_is_judged_like_any_offer():
    stage = Stage()
    stage.bob.rings = False
    caller = stage.dial()
    stage.run(0.1)
    callee = stage.bob.leg
    body = callee.make_description()
    shortfalls = callee.apply_proposal(callee._proposal)
    assert shortfalls == ()
    with stage.bob.change() as now:
        callee.usage.send_provisional(183, now=now, body=body, reliable=True)
    stage.run(0.2)
    assert len(stage.alice.port.specs) == 1
    stage.tamper = rewriting("UPDATE", by="bob")
    offer = callee.negotiation.create_offer()
    with stage.bob.change() as now:
        callee.usage.update(offer, now=now)
    stage.run(0.2)
    assert stage.sent("alice")[-1] == "488"
    assert caller.state is CallState.EARLY
    assert len(stage.alice.port.specs) == 1
    assert_never_in_clear(stage)
