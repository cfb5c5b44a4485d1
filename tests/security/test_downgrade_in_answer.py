"""A 200 that was rewritten to RTP/AVP ends the call: ACK, then BYE with Reason, no packet."""

from __future__ import annotations

import pytest

from tests.support.attack import REASON, assert_refused, rewriting, unopened
from tests.support.stage import Stage, in_clear, without_keys


@pytest.mark.parametrize("edit", [in_clear, without_keys])
async def test_an_answer_without_keys_ends_the_call(edit):
    stage = Stage()
    stage.tamper = rewriting("SIP/2.0 200", edit, by="bob")
    caller, _ = stage.answered()
    assert_refused(caller)
    assert stage.sent("alice") == ["INVITE", "ACK", "BYE"]
    assert REASON in stage.wire[-2][1]
    assert unopened(stage.alice)
