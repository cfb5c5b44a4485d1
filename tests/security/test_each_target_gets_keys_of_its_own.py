"""An offer's keys are for the one place that it was sent to (RFC 4568 section 7.1.4).

A server that refuses an INVITE has seen its keys: were they offered to the next one, the first
could hear the call that the other takes.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from softphone.call import OutgoingLeg
from softphone.call.dial_permit import UNJUDGED
from softphone.events import CallState
from softphone.sans_io import Flow, Target, Transport
from softphone.security import SecurityPolicy, SrtpPolicy
from softphone.sip import (
    Failover,
    InviteRequest,
    NameAddr,
    Request,
    SipUri,
)
from softphone.sip.message import parse_datagram
from tests.support.stage import Stage, first_line, identity_of

FIRST, SECOND = (Target(Transport.TLS, f"192.0.2.{n}", 5061, "pbx.test") for n in (11, 12))


def keys(data):
    """The keys that a message shows."""
    return re.findall(rb"inline:([A-Za-z0-9+/=]+)", data)


class Servers:
    """Two servers that Alice may send her call to."""

    def __init__(self, *, delayed=False, policy=None, credentials=None):
        self.stage = stage = Stage()
        stage.alice.policy = policy or SecurityPolicy.strict()
        self.flows = {}
        self.failover = Failover([FIRST, SECOND])
        uri = SipUri.parse("sip:bob@pbx.test")

        def place(body):
            return InviteRequest(
                uri=uri,
                local=NameAddr.parse("<sip:alice@pbx.test>"),
                remote=NameAddr(None, uri, ()),
                to=FIRST,
                body=body,
                failover=self.failover,
                credentials=credentials,
            )

        stage.alice.legs.append(OutgoingLeg(stage.alice.setup(), place, UNJUDGED, delayed=delayed))
        stage.alice.leg.send_invite()

    def open(self, target):
        """A connection to a server comes about."""
        local = ("192.0.2.1", 40000 + target.port)
        number = 90_000 + len(self.flows)
        flow = Flow(number, Transport.TLS, local, (target.host, 5061), identity_of("bob"))
        self.flows[target] = flow
        self.stage.alice.endpoint.connected(flow=flow, target=target, now=self.stage.now)
        self.stage.drain()

    def refuse_connection(self, target):
        endpoint = self.stage.alice.endpoint
        endpoint.disconnected(flow=target, reason="refused", now=self.stage.now)
        self.stage.drain()

    @property
    def invites(self):
        return [data for _, data in self.stage.wire if data.startswith(b"INVITE")]

    def answer(self, target, status, **fields):
        request = parse_datagram(self.invites[-1])
        assert isinstance(request, Request)
        headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
        response = request.response(status, to_tag="them", headers=headers)
        self.stage.deliver("alice", response.encode(), flow=self.flows[target])


@pytest.mark.parametrize("failure", ["503", "broken", "silent"])
async def test_the_next_server_gets_fresh_keys(failure):
    servers = Servers()
    servers.open(FIRST)
    if failure == "503":
        servers.answer(FIRST, 503)
    elif failure == "broken":
        endpoint, flow = servers.stage.alice.endpoint, servers.flows[FIRST]
        endpoint.disconnected(flow=flow, reason="reset", now=servers.stage.now)
        servers.stage.drain()
    else:
        servers.stage.run(33)
    servers.open(SECOND)
    first, second = servers.invites
    assert len(keys(first)) == len(keys(second)) == 4
    assert not {*keys(first)} & {*keys(second)}
    assert len({*keys(first), *keys(second)}) == 8
    assert b"RTP/SAVP" in second


async def test_the_call_goes_on_with_the_keys_that_the_next_server_saw():
    servers = Servers()
    servers.open(FIRST)
    servers.answer(FIRST, 503)
    servers.open(SECOND)
    stage = servers.stage
    bob = stage.bob
    request = servers.invites[-1]
    there = Flow(
        91_000, Transport.TLS, ("192.0.2.2", 5061), ("192.0.2.12", 5061), identity_of("alice")
    )
    stage.flows["bob"] = there
    bob.endpoint.connected(flow=there, now=stage.now)
    stage.deliver("bob", request, flow=there)
    bob.leg.accept()
    (answer,) = [
        data for name, data in stage.wire if name == "bob" and first_line(data).endswith("200 OK")
    ]
    stage.deliver("alice", answer, flow=servers.flows[SECOND])
    assert stage.alice.leg.state is CallState.CONFIRMED
    ours = stage.alice.leg.negotiation._rows["audio"].plan.current
    theirs = bob.leg.negotiation._rows["audio"].plan.current
    assert ours.send_key.reveal() == theirs.receive_key.reveal()
    assert ours.receive_key.reveal() == theirs.send_key.reveal()


async def test_an_invite_without_an_offer_stays_without_one():
    servers = Servers(delayed=True)
    servers.open(FIRST)
    servers.answer(FIRST, 503)
    servers.open(SECOND)
    assert [keys(data) for data in servers.invites] == [[], []]
    assert not any(b"m=audio" in data for data in servers.invites)


class Answers:
    """Credentials that answer any challenge."""

    answers = frozenset({401, 407})

    def preauthorize(self, request, *, to):
        return request

    def authorize(self, request, response, *, flow, alerted=False):
        return request.with_header("Authorization", f'Digest username="a{response.status}"')

    def note_accepted(self, request, response, *, flow):
        pass


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (401, {"WWW_Authenticate": 'Digest realm="pbx.test", nonce="n", algorithm=SHA-256'}),
        (407, {"Proxy_Authenticate": 'Digest realm="pbx.test", nonce="n", algorithm=SHA-256'}),
        (422, {"Min_SE": "3600"}),
    ],
)
async def test_the_same_server_is_offered_the_same_keys_again(status, fields):
    servers = Servers(credentials=Answers())
    servers.open(FIRST)
    servers.answer(FIRST, status, **fields)
    first, again = servers.invites
    assert len(keys(first)) == 4
    assert keys(first) == keys(again)


async def test_a_change_that_waits_for_its_turn_keeps_its_keys():
    stage = Stage()
    caller, _ = stage.answered()
    refused = []

    def busy(name, data):
        if name == "alice" and data.startswith(b"INVITE") and not refused:
            refused.append(data)
            request = parse_datagram(data)
            response = request.response(491)
            stage.deliver("alice", response.encode())
            return b"\r\n\r\n"
        return data

    stage.tamper = busy
    changing = asyncio.ensure_future(caller.renegotiate(held=True))
    await asyncio.sleep(0)
    stage.run(10)
    await changing
    invites = [data for name, data in stage.wire if name == "alice" and data.startswith(b"INVITE")]
    assert len(invites) == 3
    assert len(keys(invites[1])) == 1
    assert keys(invites[1]) == keys(invites[2])


async def test_the_second_invite_of_optional_shows_no_key_that_was_offered_before():
    stage = Stage(transport=Transport.TCP)
    stage.alice.policy = replace(SecurityPolicy.compatible(), srtp=SrtpPolicy.OPTIONAL)
    stage.bob.policy = SecurityPolicy.clear()
    stage.dial()
    stage.run(0.2)
    first, second = (d for n, d in stage.wire if n == "alice" and d.startswith(b"INVITE"))
    assert len(keys(first)) == 4
    assert keys(second) == []
    assert b"RTP/AVP" in second
