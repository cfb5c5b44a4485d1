"""Timers and minimums that a far end names have us send no more than is worth a call."""

from __future__ import annotations

import asyncio

import pytest

from softphone.account.service_control import ServiceControlHandler
from softphone.events import ServiceRequested
from softphone.sans_io import Side
from softphone.sip import InviteRequest, NameAddr, SipUri, SubscribeRequest
from softphone.sip.invite import InviteState
from softphone.sip.message import Request
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, OFFER


def calling(lone):
    """An INVITE of ours."""
    uri = SipUri.parse("sip:far@192.0.2.9")
    invite = InviteRequest(
        uri=uri,
        local=NameAddr.parse("<sip:us@192.0.2.1>"),
        remote=NameAddr(None, uri, ()),
        to=lone.flow,
        body=OFFER,
    )
    usage = lone.endpoint.invite(invite, now=lone.now)
    lone.drain()
    return usage


def refreshes(lone, seconds, headers):
    """How many refreshes go out in so many seconds, each answered with `headers`."""
    count, end = 0, lone.now + seconds
    lone.heard()
    while lone.now < end:
        lone.wait(0.25)
        sent, lone.out = lone.out, []
        for message in sent:
            if isinstance(message, Request) and message.method == "UPDATE":
                count += 1
                lone.say(lone.response(message, 200, to_tag="", headers=headers))
    return count


@pytest.mark.parametrize("delta", [0, 1, 2])
def test_a_session_of_a_second_that_a_caller_asks_for_is_not_refreshed_each_second(delta):
    lone = Lone(side=Side.SERVER)
    asked = (f"Session-Expires: {delta}", "Allow: UPDATE")
    lone.say(lone.request("INVITE", body=SDP, headers=asked))
    usage = lone.take("InviteReceived").usage
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    lone.say(lone.request("ACK", to_tag=lone.last().to.tag))
    assert refreshes(lone, 60, (f"Session-Expires: {delta or 1};refresher=uac",)) <= 4
    assert usage.state is InviteState.CONFIRMED


def test_nor_one_that_a_callee_agrees_to():
    lone = Lone()
    usage = calling(lone)
    agreed = ("Session-Expires: 1;refresher=uac", "Allow: UPDATE")
    lone.say(lone.response(lone.last(), 200, body=SDP, headers=agreed))
    assert 3 <= refreshes(lone, 60, agreed) <= 4
    assert usage.state is InviteState.CONFIRMED


def test_a_minimum_that_grows_with_each_invite_ends_the_call():
    lone = Lone()
    calling(lone)
    count, least = 0, 100
    while invites := [m for m in lone.out if isinstance(m, Request) and m.method == "INVITE"]:
        lone.out = []
        count, least = count + 1, least + 100
        assert count < 20
        lone.say(lone.response(invites[-1], 422, headers=(f"Min-SE: {least}",)))
    assert lone.take("InviteRejected").status == 422
    assert count == 5


@pytest.mark.parametrize(
    ("expires", "state"),
    [(0, "active;expires=0"), (1, ""), (3600, "active;expires=0"), (3600, "pending;expires=1")],
)
def test_a_notifier_whose_subscriptions_end_at_once_is_not_asked_at_once(expires, state):
    lone, us = Lone(), NameAddr.parse("<sip:us@192.0.2.1>")
    far = SipUri.parse("sip:far@192.0.2.9")
    watch = SubscribeRequest(
        uri=far, local=us, remote=NameAddr(None, far), to=lone.flow, event="dialog"
    )
    lone.endpoint.subscribe(watch, now=lone.now)
    count, end = 0, lone.now + 60
    while lone.now < end:
        lone.drain()
        sent, lone.out = lone.out, []
        for message in sent:
            if isinstance(message, Request) and message.method == "SUBSCRIBE":
                count += 1
                lone.say(lone.response(message, 200, headers=(f"Expires: {expires}",)))
                if state:
                    fields = ("Event: dialog", f"Subscription-State: {state}")
                    names = {"call_id": message.call_id, "to_tag": message.from_.tag}
                    lone.say(lone.request("NOTIFY", cseq=count, headers=fields, **names))
        lone.wait(0.25)
    assert 2 <= count <= 7


class Leg:
    """A call, as service control sees it."""

    def __init__(self):
        self.ended = asyncio.get_running_loop().create_future()


async def test_a_thousand_wishes_of_a_server_during_a_call_are_one_afterwards():
    leg, started, asked = Leg(), [], []
    legs = {leg: None}

    async def start_anew():
        started.append(True)

    async def on_service(request):
        asked.append(request.stamps)
        return False

    handler = ServiceControlHandler(legs, start_anew, on_service)
    wishes = [ServiceRequested("restart", (("config", str(n)),)) for n in range(1000)]
    tasks = [asyncio.ensure_future(handler.carry_out(one)) for one in wishes]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sum(not task.done() for task in tasks) == 1
    legs.clear()
    leg.ended.set_result(None)
    await asyncio.gather(*tasks)
    assert started == [True]
    assert asked == [(("config", "999"),)]
    # The next one counts again.
    await handler.carry_out(wishes[0])
    assert started == [True, True]
