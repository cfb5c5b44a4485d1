"""Who knows tags, branches and Call-IDs of a call over TLS changes nothing from anywhere else."""

from __future__ import annotations

import pytest

from softphone.sans_io import PeerIdentity, Side, Transport
from softphone.sip import Cause
from softphone.sip.dialog import SubscribeRequest
from softphone.sip.invite import InviteState
from softphone.sip.message import NameAddr, SipUri
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, new_flow

FAR = PeerIdentity("CN=far", ("uri:sip:far@example.com", "cn:phone"), "aa", "TLSv1.3", "GCM")
RENEWED = PeerIdentity("CN=far", ("uri:sip:far@example.com",), "bb", "TLSv1.3", "GCM")
OTHER = PeerIdentity("CN=other", ("uri:sip:other@example.com", "cn:phone"), "cc", "TLSv1.3", "GCM")


class Secured(Lone):
    """A lone endpoint whose far end was verified, and flows of others to it."""

    def __init__(self) -> None:
        super().__init__(transport=Transport.TLS, side=Side.SERVER)
        self.flow = self.another(Transport.TLS, FAR)

    def another(self, transport, identity=None):
        """One more flow."""
        flow = new_flow(transport, ("192.0.2.1", 5061), ("192.0.2.66", 40000), identity)
        self.endpoint.connected(flow=flow, now=self.now)
        self.drain()
        return flow

    def called(self):
        """An INVITE of the far end, waiting for our answer."""
        self.say(self.request("INVITE", body=SDP, branch="z9hG4bKthe-invite"))
        return self.take("InviteReceived").usage

    def talking(self):
        """A call that is up, and the tag of ours in it."""
        usage = self.called()
        usage.accept(ANSWER, now=self.now)
        self.drain()
        tag = self.last().to.tag
        self.say(self.request("ACK", to_tag=tag))
        self.heard()
        self.events.clear()
        return usage, tag


STRANGERS = {
    "udp": (Transport.UDP, None),
    "tcp": (Transport.TCP, None),
    "nobody over TLS": (Transport.TLS, None),
    "somebody else over TLS": (Transport.TLS, OTHER),
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "REFER", "INFO"])
def test_a_request_of_a_stranger_finds_no_dialog(stranger, method):
    lone = Secured()
    usage, tag = lone.talking()
    flow = lone.another(*STRANGERS[stranger])
    headers = ("Refer-To: <sip:eve@example.com>",) if method == "REFER" else ()
    lone.say(lone.request(method, cseq=2, to_tag=tag, body=SDP, headers=headers), flow=flow)
    assert lone.heard() == [481]
    assert usage.state is InviteState.CONFIRMED
    assert lone.endpoint.usages() == (usage,)
    # The sequence numbers of the real peer are untouched, too.
    lone.say(lone.request("BYE", cseq=2, to_tag=tag))
    assert lone.take("InviteEnded").cause is Cause.REMOTE


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_cancel_of_a_stranger_cancels_nothing(stranger):
    lone = Secured()
    usage = lone.called()
    flow = lone.another(*STRANGERS[stranger])
    lone.say(lone.request("CANCEL", branch="z9hG4bKthe-invite"), flow=flow)
    assert lone.heard() == [481]
    assert usage.state is not InviteState.TERMINATED
    lone.say(lone.request("CANCEL", branch="z9hG4bKthe-invite"))
    assert lone.heard() == [200, 487]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_an_ack_of_a_stranger_does_not_bring_the_call_up(stranger):
    lone = Secured()
    usage = lone.called()
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    tag = lone.last().to.tag
    flow = lone.another(*STRANGERS[stranger])
    lone.say(lone.request("ACK", to_tag=tag), flow=flow)
    assert not [event for event in lone.events if type(event).__name__ == "AckReceived"]
    lone.say(lone.request("ACK", to_tag=tag))
    lone.take("AckReceived")


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_response_of_a_stranger_answers_nothing(stranger):
    lone = Secured()
    usage, _ = lone.talking()
    usage.bye(now=lone.now)
    lone.drain()
    bye = lone.last()
    flow = lone.another(*STRANGERS[stranger])
    lone.events.clear()
    lone.say(lone.response(bye, 200), flow=flow)
    assert lone.take("MessageRejected").status_hint == 481


def test_the_peer_may_come_back_over_another_connection_with_a_renewed_certificate():
    lone = Secured()
    _, tag = lone.talking()
    flow = lone.another(Transport.TLS, RENEWED)
    lone.say(lone.request("BYE", cseq=2, to_tag=tag), flow=flow)
    assert lone.heard() == [200]
    assert lone.take("InviteEnded").cause is Cause.REMOTE


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_notify_of_a_stranger_speaks_for_no_subscription(stranger, answered):
    lone = Secured()
    subscription = lone.endpoint.subscribe(
        SubscribeRequest(
            uri=SipUri.parse("sip:far@example.com"),
            local=NameAddr.parse("<sip:us@example.com>"),
            remote=NameAddr.parse("<sip:far@example.com>"),
            to=lone.flow,
            event="message-summary",
        ),
        now=lone.now,
    )
    lone.drain()
    subscribe = lone.last()
    if answered:
        lone.say(lone.response(subscribe, 200, headers=("Expires: 600",)))
    lone.heard()
    notify = lone.request(
        "NOTIFY",
        to_tag=subscribe.from_.tag,
        from_tag="another",
        call_id=subscribe.call_id,
        headers=("Event: message-summary", "Subscription-State: terminated"),
    )
    lone.say(notify, flow=lone.another(*STRANGERS[stranger]))
    assert lone.heard() == [481]
    assert not subscription.terminated
