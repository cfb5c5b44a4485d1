"""A re-INVITE that was rewritten to RTP/AVP is answered 488, and the session stays as it was."""

from __future__ import annotations

import asyncio

import pytest

from softphone.errors import NotAcceptable
from softphone.events import CallState, SecurityRefused
from softphone.security import SecurityLevel
from tests.support.attack import assert_never_in_clear, assert_refused, rewriting
from tests.support.stage import Stage


async def test_a_reinvite_in_clear_changes_nothing():
    stage = Stage()
    caller, callee = stage.answered()
    before = list(stage.bob.port.specs)
    stage.tamper = rewriting("INVITE", by="alice")
    hold = asyncio.ensure_future(caller.renegotiate(held=True))
    await asyncio.sleep(0)
    stage.run(0.3)
    with pytest.raises(NotAcceptable):
        await hold
    assert caller.state is callee.state is CallState.CONFIRMED
    assert stage.bob.port.specs == before
    assert any(isinstance(event, SecurityRefused) for event in stage.bob.events)
    assert callee.security.level is SecurityLevel.ENCRYPTED
    assert not caller.negotiation.held
    assert_never_in_clear(stage)


async def test_an_answer_in_clear_to_our_reinvite_ends_the_call():
    stage = Stage()
    caller, _ = stage.answered()
    stage.tamper = rewriting("SIP/2.0 200", by="bob")
    hold = asyncio.ensure_future(caller.renegotiate(held=True))
    await asyncio.sleep(0)
    stage.run(0.3)
    assert_refused(caller)
    assert_never_in_clear(stage)
    with pytest.raises(Exception, match="ended"):
        await hold
