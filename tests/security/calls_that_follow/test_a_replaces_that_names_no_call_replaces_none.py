"""Replaces names a call by all three parts, once, and from our point of view (RFC 3891 3)."""

from __future__ import annotations

import pytest

from softphone.sans_io import Side
from softphone.sip.invite import InviteState
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER

VALUES = {
    "call-1;to-tag=far;from-tag={tag}": 481,
    "call-1;to-tag={tag};from-tag=far;early-only": 486,
    "call-1;to-tag=0;from-tag=0": 481,
    "call-2;to-tag={tag};from-tag=far": 481,
    "call-1": 400,
    "call-1;to-tag=x;to-tag={tag};from-tag=far": 400,
    "call-1;to-tag={tag};from-tag=far\r\nReplaces: call-1;to-tag={tag};from-tag=far": 400,
}


@pytest.mark.parametrize("value", VALUES)
def test_such_an_invite_is_refused_and_the_call_stays(value):
    lone = Lone(side=Side.SERVER)
    lone.say(lone.request("INVITE", body=SDP))
    usage = lone.take("InviteReceived").usage
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    tag = lone.last().to.tag
    lone.say(lone.request("ACK", to_tag=tag))
    lone.heard()
    header = f"Replaces: {value.format(tag=tag)}"
    lone.say(lone.request("INVITE", call_id="new", from_tag="n", body=SDP, headers=(header,)))
    assert lone.heard() == [VALUES[value]]
    assert not [event for event in lone.events if type(event).__name__ == "InviteReceived"]
    assert usage.state is InviteState.CONFIRMED
