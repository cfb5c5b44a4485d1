"""The messages of a call bring its keys: when it has ended, nothing in the endpoint holds them."""

from __future__ import annotations

import gc
import weakref

from softphone.sip.message import Body
from tests.support.lone import SDP, Lone

CALLS = 5


def one_call(far, number):
    """An incoming call, taken and hung up; gives a weak reference to its usage."""
    call = {"call_id": f"call{number}", "cseq": 1}
    far.say(far.request("INVITE", **call, body=SDP))
    usage = far.take("InviteReceived").usage
    usage.accept(Body("application/sdp", SDP.encode()), now=far.now)
    far.drain()
    call["to_tag"] = far.last().to.tag
    far.say(far.request("ACK", **call))
    assert far.endpoint.usages() == (usage,)
    far.say(far.request("BYE", **{**call, "cseq": 2}))
    return weakref.ref(usage)


def test_usages_are_gone_when_their_transactions_are():
    far = Lone()
    ended = [one_call(far, number) for number in range(CALLS)]
    assert far.endpoint.usages() == ()
    far.wait(100)
    far.events.clear()
    far.out.clear()
    far.transmits.clear()
    gc.collect()
    assert [usage for usage in ended if usage() is not None] == []


def test_a_call_that_is_up_is_held_by_its_dialog():
    far = Lone()
    far.say(far.request("INVITE", body=SDP))
    far.take("InviteReceived").usage.accept(Body("application/sdp", SDP.encode()), now=far.now)
    far.drain()
    far.say(far.request("ACK", to_tag=far.last().to.tag))
    far.wait(100)
    far.events.clear()
    gc.collect()
    assert len(far.endpoint.usages()) == 1
