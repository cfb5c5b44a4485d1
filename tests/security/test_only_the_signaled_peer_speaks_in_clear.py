"""In clear, who knows tags, branches and Call-IDs of a call changes nothing from another host."""

from __future__ import annotations

import pytest

from softphone.sans_io import Target, Transport
from softphone.sip import Cause
from softphone.sip.dialog import InviteRequest, SubscribeRequest
from softphone.sip.invite import InviteState
from softphone.sip.message import Body, NameAddr, SipUri
from softphone.sip.transport import Failover
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, OFFER, new_flow

NEIGHBOR = "192.0.2.9"
"""Whom the call was set up with, or its proxy."""
ELSEWHERE = "192.0.2.66"


class InClear(Lone):
    """A lone endpoint, and flows of others to it."""

    def another(self, host=ELSEWHERE, transport=Transport.UDP, port=40000):
        """A flow from another host."""
        flow = new_flow(transport, ("192.0.2.1", 5060), (host, port))
        self.endpoint.connected(flow=flow, now=self.now)
        self.drain()
        self.events.clear()
        return flow

    def called(self, *, contact="<sip:far@192.0.2.9:5060>", headers=()):
        """An INVITE of the far end, waiting for our answer."""
        self.say(
            self.request(
                "INVITE", body=SDP, branch="z9hG4bKthe-invite", contact=contact, headers=headers
            )
        )
        return self.take("InviteReceived").usage

    def talking(self, **options):
        """A call that came in and is up, and the tag of ours in it."""
        usage = self.called(**options)
        usage.accept(ANSWER, now=self.now)
        self.drain()
        tag = self.last().to.tag
        self.say(self.request("ACK", to_tag=tag))
        self.heard()
        self.events.clear()
        return usage, tag

    def dialed(self, *, contact="<sip:far@192.0.2.9:5060>", headers=(), answers=None, **changes):
        """A call of ours that is up, answered from the host `answers`; and the tag of ours."""
        invitation = InviteRequest(
            uri=SipUri.parse("sip:far@example.com"),
            local=NameAddr.parse("<sip:us@example.com>"),
            remote=NameAddr.parse("<sip:far@example.com>"),
            to=self.flow,
            body=OFFER,
            session_timer=None,
            **changes,
        )
        usage = self.endpoint.invite(invitation, now=self.now)
        self.drain()
        invite = self.last()
        answer = self.response(invite, 200, body=SDP, contact=contact, headers=headers)
        self.say(answer, flow=None if answers is None else self.another(answers))
        self.take("InviteAnswered")
        self.heard()
        return usage, invite

    def subscribed(self, **changes):
        """A subscription of ours that nobody has answered, and its SUBSCRIBE."""
        subscribe = SubscribeRequest(
            uri=SipUri.parse("sip:far@example.com"),
            local=NameAddr.parse("<sip:us@example.com>"),
            remote=NameAddr.parse("<sip:far@example.com>"),
            to=self.flow,
            event="message-summary",
            **changes,
        )
        subscription = self.endpoint.subscribe(subscribe, now=self.now)
        self.drain()
        return subscription, self.last()

    def notify(self, subscribe, *, from_tag="far"):
        """A NOTIFY of that subscription that ends it."""
        return self.request(
            "NOTIFY",
            cseq=2,
            to_tag=subscribe.from_.tag,
            from_tag=from_tag,
            call_id=subscribe.call_id,
            headers=("Event: message-summary", "Subscription-State: terminated"),
        )

    def ends(self, invite, flow):
        """The far end of a call of ours hangs up on `flow`: what it hears."""
        bye = self.request(
            "BYE", cseq=9, to_tag=invite.from_.tag, from_tag="far", call_id=invite.call_id
        )
        self.say(bye, flow=flow)
        return self.heard()


STRANGERS = [Transport.UDP, Transport.TCP, Transport.TLS]
METHODS = ["BYE", "INVITE", "UPDATE", "INFO", "PRACK", "NOTIFY", "REFER", "SUBSCRIBE", "OPTIONS"]


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("method", METHODS)
def test_a_request_from_another_host_finds_no_dialog(stranger, method):
    lone = InClear()
    usage, tag = lone.talking()
    flow = lone.another(transport=stranger)
    headers = ("Refer-To: <sip:eve@example.com>",) if method == "REFER" else ()
    lone.say(lone.request(method, cseq=2, to_tag=tag, body=SDP, headers=headers), flow=flow)
    assert lone.heard() == [481]
    assert usage.state is InviteState.CONFIRMED
    # Neither the sequence numbers nor the target of the real peer are touched.
    lone.say(lone.request("BYE", cseq=2, to_tag=tag))
    assert lone.take("InviteEnded").cause is Cause.REMOTE


def test_it_is_told_once_for_each_dialog():
    lone = InClear()
    _, tag = lone.talking()
    flow = lone.another()
    for number in range(2, 6):
        lone.say(lone.request("BYE", cseq=number, to_tag=tag), flow=flow)
    told = lone.take("StrangerIgnored")
    assert (told.flow, told.call_id) == (flow, "call-1")
    assert not [event for event in lone.events if type(event).__name__ == "StrangerIgnored"]


def test_a_cancel_from_another_host_cancels_nothing():
    lone = InClear()
    usage = lone.called()
    lone.say(lone.request("CANCEL", branch="z9hG4bKthe-invite"), flow=lone.another())
    assert lone.heard() == [481]
    assert usage.state is not InviteState.TERMINATED
    lone.say(lone.request("CANCEL", branch="z9hG4bKthe-invite"))
    assert lone.heard() == [200, 487]


def test_an_ack_from_another_host_does_not_bring_the_call_up():
    lone = InClear()
    usage = lone.called()
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    tag = lone.last().to.tag
    lone.say(lone.request("ACK", to_tag=tag, body=SDP), flow=lone.another())
    assert not [event for event in lone.events if type(event).__name__ == "AckReceived"]
    lone.say(lone.request("ACK", to_tag=tag))
    lone.take("AckReceived")


@pytest.mark.parametrize("status", [200, 481, 408])
def test_a_response_from_another_host_answers_no_request_of_the_call(status):
    lone = InClear()
    usage, _ = lone.talking()
    usage.info(Body("application/dtmf-relay", b"Signal=1\r\n"), now=lone.now)
    lone.drain()
    info = lone.last()
    lone.events.clear()
    lone.say(lone.response(info, status), flow=lone.another())
    assert lone.take("MessageRejected").status_hint == 481
    assert usage.state is InviteState.CONFIRMED
    lone.say(lone.response(info, 200), flow=lone.another(NEIGHBOR, port=5070))
    assert lone.take("ResponseReceived").response.status == 200


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_the_peer_speaks_from_any_port_and_over_any_transport(transport):
    lone = InClear()
    _, tag = lone.talking()
    flow = lone.another(NEIGHBOR, transport)
    lone.say(lone.request("BYE", cseq=2, to_tag=tag), flow=flow)
    assert lone.heard() == [200]


HONEST = {
    "the far end itself, past a proxy that records no route": (
        {"contact": "<sip:far@192.0.2.66:5062>"},
        200,
    ),
    "another proxy of the route set": (
        {"headers": ("Record-Route: <sip:192.0.2.66;lr>, <sip:192.0.2.9;lr>",)},
        200,
    ),
    "a far end behind a NAT, as its proxy saw it": (
        {
            "contact": "<sip:far@10.0.0.5:5060>",
            "headers": (
                "Via: SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKown;received=192.0.2.66;rport=9",
            ),
        },
        200,
    ),
    "a name that nobody looked up": ({"contact": "<sip:far@phone.example.com>"}, 481),
}


@pytest.mark.parametrize("case", HONEST)
def test_a_call_that_came_in_is_ended_by_whom_its_signaling_names(case):
    options, status = HONEST[case]
    lone = InClear()
    _, tag = lone.talking(**options)
    lone.say(lone.request("BYE", cseq=2, to_tag=tag), flow=lone.another())
    assert lone.heard() == [status]


def test_a_server_of_two_hosts_goes_on_from_the_one_that_it_answered_from():
    lone = InClear()
    _, invite = lone.dialed(answers=ELSEWHERE)
    assert lone.ends(invite, lone.another("192.0.2.67")) == [481]
    assert lone.ends(invite, lone.another()) == [200]


@pytest.mark.parametrize(
    "options",
    [
        {"contact": "<sip:far@192.0.2.66>"},
        {"contact": "<sip:far@pbx.example.com;maddr=192.0.2.66>"},
        {"headers": ("Record-Route: <sip:192.0.2.66;lr>",)},
        {
            "failover": Failover(
                [Target(Transport.UDP, NEIGHBOR, 5060), Target(Transport.UDP, ELSEWHERE, 5060)]
            )
        },
    ],
    ids=["contact", "maddr", "route", "another place of the server"],
)
def test_a_call_of_ours_is_ended_by_whom_its_signaling_names(options):
    lone = InClear()
    _, invite = lone.dialed(**options)
    assert lone.ends(invite, lone.another("192.0.2.67")) == [481]
    assert lone.ends(invite, lone.another()) == [200]


def test_a_peer_that_moves_its_contact_is_heard_from_both_hosts():
    for host in (NEIGHBOR, ELSEWHERE):
        lone = InClear()
        usage, tag = lone.talking()
        moved = "<sip:far@192.0.2.66:5060>"
        lone.say(lone.request("UPDATE", cseq=2, to_tag=tag, contact=moved))
        lone.say(lone.request("BYE", cseq=3, to_tag=tag), flow=lone.another(host))
        assert usage.state is InviteState.TERMINATED


def test_a_server_of_ours_is_heard_wherever_it_is():
    lone = InClear(own_server=lambda flow: flow.remote[0] == ELSEWHERE)
    _, tag = lone.talking()
    lone.say(lone.request("BYE", cseq=2, to_tag=tag), flow=lone.another("192.0.2.67"))
    lone.say(lone.request("BYE", cseq=2, to_tag=tag), flow=lone.another())
    assert lone.heard() == [481, 200]


@pytest.mark.parametrize("tag", ["far", "another"], ids=["its dialog", "a fork of it"])
def test_a_notify_of_a_subscription_comes_from_the_host_that_granted_it(tag):
    lone = InClear()
    subscription, subscribe = lone.subscribed()
    lone.say(lone.response(subscribe, 200, headers=("Expires: 600",)), flow=lone.another())
    lone.heard()
    for host, status in (("192.0.2.67", 481), (ELSEWHERE, 200)):
        lone.say(lone.notify(subscribe, from_tag=tag), flow=lone.another(host))
        assert lone.heard() == [status]
    assert subscription.terminated


def test_a_notify_before_any_dialog_comes_from_whom_the_subscribe_went_to():
    places = [Target(Transport.UDP, host, 5060) for host in (NEIGHBOR, "192.0.2.10")]
    for honest in (NEIGHBOR, "192.0.2.10", "192.0.2.20"):
        lone = InClear(own_server=lambda flow: flow.remote[0] == "192.0.2.20")
        subscription, subscribe = lone.subscribed(failover=Failover(places))
        lone.heard()
        for kind in STRANGERS:
            lone.say(lone.notify(subscribe), flow=lone.another(transport=kind))
            assert lone.heard() == [481]
        assert subscription.dialog is None
        assert not [event for event in lone.events if type(event).__name__ == "NotifyReceived"]
        lone.say(lone.notify(subscribe), flow=lone.another(honest))
        assert lone.heard() == [200]
        assert subscription.terminated


@pytest.mark.parametrize(("host", "status"), [(NEIGHBOR, 200), (ELSEWHERE, 481)])
def test_over_tls_that_verified_nobody_the_host_decides_as_well(host, status):
    lone = InClear(transport=Transport.TLS)
    _, tag = lone.talking()
    flow = lone.another(host, Transport.TLS)
    lone.say(lone.request("BYE", cseq=2, to_tag=tag), flow=flow)
    assert lone.heard() == [status]
