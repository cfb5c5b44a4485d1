"""In clear, only who is where the dialog says changes a call, whatever tags somebody else knows.

Else an UPDATE of Mallory's would make her Contact that of the far end, and her the far end, whose
REFER counts.
"""

from __future__ import annotations

import pytest

from softphone.sans_io import Side, Transport
from softphone.sip import Endpoint
from softphone.sip.invite import InviteState
from tests.support.clock import seeded_entropy
from tests.support.lone import SDP, Lone
from tests.support.pair import ANSWER, new_flow

METHODS = ["BYE", "INVITE", "UPDATE", "INFO", "SUBSCRIBE", "REFER", "MESSAGE"]
EXTRA = {"REFER": ("Refer-To: <sip:eve@example.com>",), "SUBSCRIBE": ("Event: kpml",)}
MALLORY = "192.0.2.66"


def from_place(lone, host, transport=Transport.UDP):
    """A flow from somewhere else."""
    flow = new_flow(transport, ("192.0.2.1", 5060), (host, 40000))
    lone.endpoint.connected(flow=flow, now=lone.now)
    lone.drain()
    return flow


def talking(transport=Transport.UDP, *, contact="<sip:far@192.0.2.9:5060>", headers=(), own=()):
    """A call in clear that is up, our tag in it, and a test that plays the far end."""
    lone = Lone(transport=transport, side=Side.SERVER)
    lone.endpoint = Endpoint(
        side=Side.SERVER, entropy=seeded_entropy(5), own_server=lambda flow: flow.remote[0] in own
    )
    lone.endpoint.connected(flow=lone.flow, now=lone.now)
    lone.drain()
    lone.say(lone.request("INVITE", body=SDP, contact=contact, headers=headers))
    usage = lone.take("InviteReceived").usage
    usage.accept(ANSWER, now=lone.now)
    lone.drain()
    tag = lone.last().to.tag
    lone.say(lone.request("ACK", to_tag=tag))
    lone.heard()
    lone.events.clear()
    return lone, usage, tag


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
@pytest.mark.parametrize("method", METHODS)
def test_a_request_from_another_address_finds_no_dialog(method, transport):
    lone, usage, tag = talking(transport)
    target = usage.remote_target
    body = SDP if method in ("INVITE", "UPDATE") else ""
    mallory = from_place(lone, MALLORY, transport)
    contact = f"<sip:eve@{MALLORY}>"
    lone.say(
        lone.request(
            method, cseq=9, to_tag=tag, body=body, contact=contact, headers=EXTRA.get(method, ())
        ),
        flow=mallory,
    )
    assert lone.heard() == [481]
    assert usage.state is InviteState.CONFIRMED
    assert usage.remote_target == target
    # The sequence numbers of the real peer are untouched, too.
    lone.say(lone.request("BYE", cseq=2, to_tag=tag))
    assert lone.heard() == [200]


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("192.0.2.9", {}),  # another port, after a NAT has forgotten the first
        ("192.0.2.7", {"contact": "<sip:far@192.0.2.7>"}),  # past the proxy that brought the call
        ("192.0.2.8", {"headers": ("Record-Route: <sip:192.0.2.8;lr>",)}),
        ("192.0.2.5", {"own": ("192.0.2.5",)}),  # another server of ours
    ],
    ids=["port", "contact", "route", "own server"],
)
def test_who_may_be_the_far_end_is_heard(host, more):
    lone, usage, tag = talking(**more)
    lone.say(lone.request("BYE", cseq=2, to_tag=tag), flow=from_place(lone, host))
    assert lone.heard() == [200]
    assert usage.state is InviteState.TERMINATED


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_a_cancel_from_another_address_cancels_nothing(transport):
    lone = Lone(transport=transport, side=Side.SERVER)
    lone.say(lone.request("INVITE", body=SDP, branch="z9hG4bKthe-invite"))
    usage = lone.take("InviteReceived").usage
    lone.heard()
    cancel = lone.request("CANCEL", branch="z9hG4bKthe-invite")
    lone.say(cancel, flow=from_place(lone, MALLORY, transport))
    assert lone.heard() == [481]
    assert usage.state is not InviteState.TERMINATED
    lone.say(cancel, flow=from_place(lone, "192.0.2.9", transport))
    assert lone.heard() == [200, 487]
