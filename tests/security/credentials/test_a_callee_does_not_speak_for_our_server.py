"""A callee whose responses a proxy passes on: nothing in them stands for the server.

A 503 with Retry-After closes a server (RFC 3261 section 21.5.4), a 494 or a Security-Server asks
for an agreement with it (RFC 3329).  A proxy should let neither pass, and many do.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.sans_io import Target, Transport
from softphone.sip.auth import AuthenticationRefused
from softphone.sip.auth.media_security import MediaSecuritySession
from softphone.sip.message import Request
from softphone.sip.transport import Failover
from softphone.sip.transport.server_location import LONGEST_CLOSED
from tests.sip.auth.test_media_security import SERVER, Inner, agreement, request, response
from tests.support.challenges import OWN, VERIFIED
from tests.support.lone import Lone
from tests.support.pair import Pair, new_flow

HERE = Target(Transport.TLS, "192.0.2.9", 5061)
THERE = Target(Transport.TLS, "192.0.2.10", 5061)
FORGED = "sdes-srtp;mediasec;q=0.1"
FOREVER = f"Retry-After: {2**32 - 1}"


def agreed():
    """A session whose server has told its mechanisms at the registration."""
    session = MediaSecuritySession(Inner())
    session.note_accepted(request(), response(request(), 200, SERVER), flow=OWN)
    return session


def verified_by(session):
    """What our next requests tell the server that it has."""
    made = [session.preauthorize(request(method), to=OWN) for method in ("REGISTER", "INVITE")]
    return [agreement(each)["Security-Verify"] for each in made]


@pytest.mark.parametrize("status", [180, 200, 403, 486, 503])
def test_a_callees_mechanisms_are_not_the_servers(status):
    session = agreed()
    asked = session.preauthorize(request("INVITE"), to=OWN)
    session.note_accepted(asked, response(asked, status, FORGED), flow=OWN)
    assert verified_by(session) == [(SERVER,), (SERVER,)]


def test_a_challenge_that_is_not_answered_teaches_nothing():
    session = agreed()
    session._inner.authorize = lambda *_, **__: AuthenticationRefused("not the server's")
    asked = session.preauthorize(request("INVITE"), to=OWN)
    session.authorize(asked, response(asked, 407, FORGED), flow=OWN, alerted=True)
    assert verified_by(session) == [(SERVER,), (SERVER,)]


def test_a_494_after_ringing_sends_no_second_invite():
    far = Lone(transport=Transport.TLS)
    far.flow = new_flow(Transport.TLS, ("192.0.2.1", 5061), ("192.0.2.9", 5061), identity=VERIFIED)
    far.endpoint.connected(flow=far.flow, now=far.now)
    session = MediaSecuritySession(Inner())
    invitation = Pair().invitation(to=far.flow, credentials=session)
    far.endpoint.invite(invitation, now=far.now)
    far.drain()
    invite = far.last()
    far.say(far.response(invite, 180))
    far.say(far.response(invite, 494, headers=(f"Security-Server: {FORGED}",)))
    sent = [each for each in far.out if isinstance(each, Request) and each.method == "INVITE"]
    assert sent == [invite]
    assert far.take("InviteRejected").status == 494
    assert "Security-Verify" not in agreement(session.preauthorize(request(), to=far.flow))


def test_a_503_after_the_first_response_closes_the_server_for_an_hour_at_most():
    """Each call to Mallory would otherwise take one more of our servers out for 136 years."""
    places = Failover((HERE, THERE))
    far = Lone(transport=Transport.TLS)
    far.flow = new_flow(Transport.TLS, ("192.0.2.1", 5061), (HERE.host, HERE.port))
    far.endpoint.connected(flow=far.flow, target=HERE, now=far.now)
    invitation = replace(Pair().invitation(to=far.flow), failover=places)
    far.endpoint.invite(invitation, now=far.now)
    far.drain()
    far.say(far.response(far.last(), 503, headers=(FOREVER,)))
    assert places.is_closed(HERE, now=far.now + LONGEST_CLOSED - 1)
    assert not places.is_closed(HERE, now=far.now + LONGEST_CLOSED + 1)
