"""Early media in clear is not early media: the call is canceled with the Reason."""

from __future__ import annotations

import pytest

from tests.support.attack import REASON, assert_refused, rewriting, unopened
from tests.support.stage import Stage, in_clear, without_keys


@pytest.mark.parametrize("edit", [in_clear, without_keys])
@pytest.mark.parametrize("reliable", [True, False])
async def test_an_early_answer_in_clear_cancels_the_call(reliable, edit):
    stage = Stage()
    stage.bob.rings = False
    stage.tamper = rewriting("SIP/2.0 183", edit, by="bob")
    caller = stage.dial()
    stage.run(0.1)
    callee = stage.bob.leg
    body = callee.make_description()
    with stage.bob.change() as now:
        callee.usage.send_provisional(183, now=now, body=body, reliable=reliable)
    stage.run(0.5)
    assert_refused(caller)
    expected = ["INVITE", "PRACK", "CANCEL", "ACK"] if reliable else ["INVITE", "CANCEL", "ACK"]
    assert stage.sent("alice") == expected
    assert any(REASON in data for _, data in stage.wire if data.startswith(b"CANCEL"))
    assert unopened(stage.alice)
