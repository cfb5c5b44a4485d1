"""Following a transfer: accepted, called, and reported to its end, whatever that is."""

from __future__ import annotations

import asyncio
import re

import pytest

from softphone.account.transfer import follow_referral
from softphone.call import Call
from softphone.errors import ConfigurationError, LocalProtocolError, TransportError
from softphone.events import CallAnswered, CallEnded, CallRinging, EndedBy
from softphone.security import SecurityState, SignalingSecurity
from softphone.sip import NameAddr
from tests.support.account_context import account_context, idle_driver
from tests.support.stage import Stage

TO_CAROL = NameAddr.parse("<sip:carol@192.0.2.3?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>")
NO_SECURITY = SecurityState(SignalingSecurity())


class Dialed:
    """An outgoing call whose story is written already."""

    def __init__(self, story):
        self.story = story
        self.transfers = 0

    async def events(self):
        for event in self.story:
            if isinstance(event, Exception):
                raise event
            yield event


class Referrer:
    """Bob's account, as far as following a transfer needs one."""

    def __init__(self, stage, story):
        self.stage, self.story = stage, story
        self.dialed, self.tasks = [], []
        self.context = account_context(driver=idle_driver(stage.bob.change), spawn=self.spawn)

    def follow(self, call):
        return follow_referral(self.context, call, self.dial)

    def dial(self, referral):
        if isinstance(self.story, Exception):
            raise self.story
        self.dialed.append((referral.refer_to, referral.replaces))
        self.call = Dialed(self.story)
        return self.call

    def spawn(self, work):
        self.tasks.append(asyncio.ensure_future(work))


def referred(stage):
    """Alice asks Bob to call Carol; gives Bob's call."""
    caller, callee = stage.answered()
    with stage.alice.change() as now:
        caller.usage.refer(TO_CAROL, now=now)
    stage.run(0.1)
    return Call.for_leg(callee)


def reports(stage):
    """The status lines that Bob has sent in NOTIFYs."""
    found = (
        re.search(rb"SIP/2\.0 (\d{3})[^\r]*\r\n$", d)
        for n, d in stage.wire
        if n == "bob" and d.startswith(b"NOTIFY")
    )
    return [int(match[1]) for match in found if match]


@pytest.mark.parametrize(
    ("story", "told"),
    [
        ((CallRinging(180, "Ringing"), CallAnswered(NO_SECURITY)), [100, 180, 200]),
        ((CallEnded(EndedBy.REMOTE, 486, "Busy Here"),), [100, 486]),
        ((CallEnded(EndedBy.LOCAL),), [100, 400]),
        ((TransportError("no way there"),), [100, 503]),
    ],
)
async def test_the_outcome_is_reported(story, told):
    stage = Stage()
    call = referred(stage)
    account = Referrer(stage, story)
    account.follow(call)
    await asyncio.gather(*account.tasks)
    stage.run(0.1)
    assert reports(stage) == told
    ((target, replaces),) = account.dialed
    assert target.startswith("sip:carol@192.0.2.3")
    assert replaces == "abc;to-tag=1;from-tag=2"
    assert not call.transfer_requested
    assert account.call.transfers == 1


async def test_a_target_that_cannot_be_called_is_reported_and_raised():
    stage = Stage()
    call = referred(stage)
    with pytest.raises(ConfigurationError):
        Referrer(stage, ConfigurationError("no SIP URI")).follow(call)
    stage.run(0.1)
    assert reports(stage) == [100, 400]


async def test_nobody_asked():
    stage = Stage()
    _, callee = stage.answered()
    with pytest.raises(LocalProtocolError):
        Referrer(stage, ()).follow(Call.for_leg(callee))


async def test_a_transfer_that_was_asked_for_too_long_ago_is_none():
    stage = Stage()
    call = referred(stage)
    assert call.transfer_requested
    stage.run(40)
    assert not call.transfer_requested
    with pytest.raises(LocalProtocolError):
        Referrer(stage, ()).follow(call)


async def test_a_rejected_transfer_is_answered():
    stage = Stage()
    call = referred(stage)
    call.reject_transfer(603)
    stage.run(0.1)
    assert "603" in stage.sent("bob")
    with pytest.raises(LocalProtocolError):
        call.reject_transfer()
