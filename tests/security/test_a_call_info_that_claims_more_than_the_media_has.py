"""A server says "Encrypted" of a call whose own leg is not: no lock, and it is said aloud."""

from __future__ import annotations

import asyncio

from softphone.diagnostics import explain_shortfalls
from softphone.events import SecurityChanged
from softphone.security import (
    Scope,
    SecurityLevel,
    SecurityPolicy,
    SecurityShortfall,
    ShortfallCode,
)
from softphone.sip import security_call_info
from tests.support.stage import Stage, edit_body, first_line, in_clear, with_header

ENCRYPTED = security_call_info(SecurityLevel.ENCRYPTED)


def claiming(stage, *, clear=False):
    """Bob's side says "Encrypted" in everything; with `clear` it answers in RTP, too."""

    def server(name, data):
        if name != "bob" or first_line(data).split()[0] not in ("SIP/2.0", "INVITE", "UPDATE"):
            return data
        data = edit_body(data, in_clear) if clear else data
        return with_header(data, "Call-Info", ENCRYPTED)

    stage.tamper = server


async def test_a_call_answered_in_clear_gets_no_lock_and_says_why():
    stage = Stage()
    stage.alice.policy = stage.bob.policy = SecurityPolicy.compatible()
    stage.alice.vouched = True
    claiming(stage, clear=True)
    caller, _ = stage.answered()
    state = caller.security
    assert not state.lock
    assert state.level is SecurityLevel.NOT_SECURE
    found = {shortfall.code for shortfall in state.shortfalls}
    assert ShortfallCode.CLAIM_EXCEEDS_MEDIA in found
    assert "contradicts what we see" in explain_shortfalls(state.shortfalls)


async def test_a_policy_that_demands_the_lock_ends_the_call():
    stage = Stage()
    stage.alice.policy = SecurityPolicy(scope=Scope.END_TO_END)
    stage.bob.policy = SecurityPolicy.compatible()
    stage.alice.vouched = True
    claiming(stage, clear=True)
    caller = stage.dial()
    stage.run(0.1)
    stage.bob.leg.accept()
    stage.run(0.3)
    assert isinstance(caller.failure, SecurityShortfall)
    assert stage.alice.port.specs == []


async def test_media_that_turns_clear_with_the_claim_shows_no_lock_in_between():
    stage = Stage()
    stage.alice.policy = stage.bob.policy = SecurityPolicy.compatible()
    stage.alice.vouched = True
    caller, callee = stage.answered()
    assert caller.security.scope is Scope.HOP
    claiming(stage, clear=True)
    changing = asyncio.ensure_future(callee.renegotiate(held=False))
    await asyncio.sleep(0)
    stage.run(0.5)
    await asyncio.gather(changing, return_exceptions=True)
    assert not caller.security.lock
    shown = [event.after for event in stage.alice.events if isinstance(event, SecurityChanged)]
    assert shown
    assert not any(state.lock for state in shown)


async def test_a_lower_word_counts_before_the_media_that_comes_with_it():
    stage = Stage()
    stage.alice.vouched = True
    claiming(stage)
    caller, callee = stage.answered()
    assert caller.security.lock
    generation = stage.alice.port.specs[-1].security_generation

    def server(name, data):
        if name == "bob" and first_line(data).startswith("INVITE"):
            return with_header(data, "Call-Info", security_call_info(SecurityLevel.NOT_SECURE))
        return data

    stage.tamper = server
    changing = asyncio.ensure_future(callee.renegotiate(held=False))
    await asyncio.sleep(0)
    count = len(stage.alice.port.specs)
    stage.run(0.5)
    await changing
    assert not caller.security.lock
    # The very next command to the media engine carries the new generation.
    assert stage.alice.port.specs[count].security_generation == generation + 1
