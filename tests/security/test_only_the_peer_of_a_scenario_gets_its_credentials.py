"""A challenge that somebody else than a call's peer writes is answered by no SIPp scenario.

The Call-ID of a call is a number, the number of a process and an address: it can be guessed.
"""

from __future__ import annotations

import pytest

from softphone.load.sipp.authentication import ChallengeAnswers
from softphone.sans_io import Flow, Transport
from tests.load.sipp.conftest import LOCAL, REMOTE, answer, flow_over, head_of, play, scenario, send

__all__ = ["play", "scenario"]

CHALLENGE = 'WWW-Authenticate: Digest realm="chosen", nonce="n", algorithm=SHA-256'
REGISTER = (
    send("REGISTER")
    + '<recv response="401" auth="true"/>'
    + send("REGISTER", more="[authentication username=alice password=secret]")
    + '<recv response="200"/>'
)
STRANGER = ("127.0.0.9", 5060)


def challenged(play, flow, *, transport=Transport.UDP):
    """What a call sends, and to whom, after a challenge that comes by a flow."""
    answers = ChallengeAnswers(None, lambda count: bytes(count))
    played = play(REGISTER, transport=transport, answers=answers)
    played.call()
    message = head_of("401", "for REGISTER", CHALLENGE)
    played.endpoint.receive(message, flow=flow, now=0.1)
    out = played.endpoint.transmits()
    played.drain()
    return out, played


@pytest.mark.parametrize(
    ("home", "flow"),
    [
        (Transport.UDP, Flow(9, Transport.UDP, LOCAL, STRANGER)),
        (Transport.TLS, Flow(9, Transport.TLS, LOCAL, STRANGER)),
        (Transport.TLS, Flow(9, Transport.UDP, LOCAL, REMOTE)),
        (Transport.TLS, Flow(9, Transport.TCP, LOCAL, REMOTE)),
    ],
    ids=["another host", "another host over TLS", "out of TLS by UDP", "out of TLS by TCP"],
)
def test_a_challenge_from_elsewhere(play, home, flow):
    out, played = challenged(play, flow, transport=home)
    assert out == []
    (outcome,) = played.outcomes
    assert outcome.cause == "a challenge that is not answered"
    assert "own server" in next(each.text for each in played.events if hasattr(each, "text"))


@pytest.mark.parametrize("port", [5060, 5999])
def test_the_peer_is_answered_from_whatever_port(play, port):
    flow = Flow(9, Transport.UDP, LOCAL, (REMOTE[0], port))
    ((sent,), _) = challenged(play, flow)
    assert b'Authorization: Digest username="alice", realm="chosen"' in sent.data
    assert sent.to == flow


def test_a_request_goes_to_the_peer_and_a_response_to_who_asked(play):
    """Behind a proxy that stays in no dialog, the far end speaks from an address of its own."""
    played = play(
        '<recv request="INVITE"/>' + answer("200") + '<recv request="ACK"/>' + send("BYE")
    )
    proxy, far_end = flow_over(), Flow(9, Transport.UDP, LOCAL, STRANGER)
    played.endpoint.receive(head_of("INVITE"), flow=proxy, now=0.0)
    (accepted,) = played.endpoint.transmits()
    played.endpoint.receive(head_of("ACK"), flow=far_end, now=0.1)
    (bye,) = played.endpoint.transmits()
    assert (accepted.to, bye.to) == (proxy, proxy)
    options = play('<recv request="INVITE"/><recv request="OPTIONS"/>' + answer("200"))
    options.endpoint.receive(head_of("INVITE"), flow=proxy, now=0.0)
    options.endpoint.receive(head_of("OPTIONS", cseq=2), flow=far_end, now=0.1)
    (answered,) = options.endpoint.transmits()
    assert answered.to == far_end
