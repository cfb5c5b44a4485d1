"""The agreement on media security: offered, learned from the server we verified, and repeated."""

from __future__ import annotations

import pytest

from softphone.sans_io import Flow, Transport
from softphone.sip import Request, Response, SipUri
from softphone.sip.auth import AuthenticationRefused
from softphone.sip.auth.authenticator import CHALLENGES
from softphone.sip.auth.media_security import (
    LONGEST_ANSWER,
    MAXIMUM_TRACKED,
    MECHANISM,
    MediaSecuritySession,
)
from softphone.sip.message import parse_datagram
from tests.support.challenges import OWN, OWN_UDP, VERIFIED

SERVER = "msrp-tls;mediasec, sdes-srtp;mediasec, dtls-srtp;mediasec"


class Inner:
    """Credentials that answer everything."""

    answers = CHALLENGES
    refusal = None

    def __init__(self):
        self.accepted = []

    def authorize(self, request, response, *, flow, alerted=False):
        return request.with_header("Authorization", "Digest x")

    def preauthorize(self, request, *, to):
        return request

    def note_accepted(self, request, response, *, flow):
        self.accepted.append(response.status)


def request(method="REGISTER", **fields):
    values = [
        ("Via", "SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1"),
        ("From", "<sip:a@b.test>;tag=1"),
        ("To", "<sip:a@b.test>"),
        ("Call-ID", "1"),
        ("CSeq", f"1 {method}"),
        *((name.replace("_", "-"), value) for name, value in fields.items()),
    ]
    return Request.build(method, SipUri.parse("sip:b.test"), values)


def response(asked, status, *servers):
    made = asked.response(status, headers=[("Security-Server", value) for value in servers])
    return parse_datagram(made.encode())


def agreement(made):
    names = ("Security-Client", "Security-Verify", "Require", "Proxy-Require")
    return {name: tuple(made.headers.get_all(name)) for name in names if made.headers.get(name)}


def test_the_first_registration_offers_it():
    made = MediaSecuritySession(Inner()).preauthorize(request(), to=OWN)
    assert agreement(made) == {
        "Security-Client": (MECHANISM,),
        "Require": ("mediasec",),
        "Proxy-Require": ("mediasec",),
    }


def test_the_servers_answer_is_repeated_with_the_credentials_and_from_then_on():
    session = MediaSecuritySession(Inner())
    asked = session.preauthorize(request(), to=OWN)
    again = session.authorize(asked, response(asked, 401, SERVER), flow=OWN)
    assert again.headers.get("Authorization")
    assert agreement(again)["Security-Verify"] == (SERVER,)
    invite = session.preauthorize(request("INVITE", Require="100rel"), to=OWN)
    assert agreement(invite) == {
        "Security-Verify": (SERVER,),
        "Require": ("100rel", "mediasec"),
        "Proxy-Require": ("mediasec",),
    }


def test_other_requests_have_none_of_it():
    session = MediaSecuritySession(Inner())
    session.authorize(request(), response(request(), 401, SERVER), flow=OWN)
    for method in ("BYE", "OPTIONS", "MESSAGE", "ACK"):
        assert agreement(session.preauthorize(request(method), to=OWN)) == {}


def test_another_connection_begins_anew():
    session = MediaSecuritySession(Inner())
    session.authorize(request(), response(request(), 401, SERVER), flow=OWN)
    other = Flow(90_009, Transport.TLS, OWN.local, OWN.remote, VERIFIED)
    assert "Security-Verify" not in agreement(session.preauthorize(request(), to=other))
    assert agreement(session.preauthorize(request("INVITE"), to=other)) == {}


@pytest.mark.parametrize(
    ("servers", "flow"),
    [
        ((SERVER,), OWN_UDP),
        ((SERVER,), None),
        ((), OWN),
        (("sdes-srtp;mediasec, <script>",), OWN),
        ((f"a;{'b' * LONGEST_ANSWER}",), OWN),
    ],
    ids=["in clear", "no flow", "nothing", "malformed", "long"],
)
def test_what_no_verified_server_says_well_is_not_repeated(servers, flow):
    session = MediaSecuritySession(Inner())
    session.authorize(request(), response(request(), 401, *servers), flow=flow)
    assert "Security-Verify" not in agreement(session.preauthorize(request(), to=OWN))


def test_an_answer_that_is_no_challenge_counts_too():
    inner = Inner()
    session = MediaSecuritySession(inner)
    session.note_accepted(request(), response(request(), 200, SERVER), flow=OWN)
    assert inner.accepted == [200]
    assert session.refusal is None
    assert agreement(session.preauthorize(request(), to=OWN))["Security-Verify"] == (SERVER,)
    assert isinstance(response(request(), 200), Response)


def test_a_demand_for_the_agreement_is_met_once():
    """RFC 3329 section 2.3.1: the same request again, with what the server has."""
    session = MediaSecuritySession(Inner())
    asked = session.preauthorize(request(), to=OWN)
    again = session.authorize(asked, response(asked, 494, SERVER), flow=OWN)
    assert agreement(again) == {
        "Security-Client": (MECHANISM,),
        "Security-Verify": (SERVER,),
        "Require": ("mediasec",),
        "Proxy-Require": ("mediasec",),
    }
    assert again.headers.get("Authorization") is None
    refused = session.authorize(again, response(again, 494, SERVER), flow=OWN)
    assert isinstance(refused, AuthenticationRefused)
    assert "refuses the agreement" in refused.reason


def test_a_later_attempt_may_meet_the_demand_again():
    session = MediaSecuritySession(Inner())
    for _ in range(2):
        again = session.authorize(request(), response(request(), 494, SERVER), flow=OWN)
        assert agreement(again)["Security-Verify"] == (SERVER,)
        session.note_accepted(again, response(again, 200), flow=OWN)


def test_a_demand_for_the_agreement_is_met_by_an_invite_that_keeps_its_offer():
    session = MediaSecuritySession(Inner())
    asked = request("INVITE")
    again = session.authorize(asked, response(asked, 494, SERVER), flow=OWN)
    assert agreement(again)["Security-Verify"] == (SERVER,)
    assert again.body == asked.body


@pytest.mark.parametrize(
    ("servers", "flow"),
    [
        (("sdes-srtp;mediasec",), OWN_UDP),
        (("sdes-srtp;mediasec",), None),
        ((), OWN),
        (("tls, ipsec-3gpp;q=0.1",), OWN),
        (("sdes-srtp",), OWN),
        (("sdes-srtp;mediasec, <script>",), OWN),
    ],
    ids=["in clear", "no flow", "nothing", "others", "not for media", "malformed"],
)
def test_nothing_else_is_agreed_to(servers, flow):
    session = MediaSecuritySession(Inner())
    refused = session.authorize(request(), response(request(), 494, *servers), flow=flow)
    assert isinstance(refused, AuthenticationRefused)
    assert "offers no sdes-srtp;mediasec" in refused.reason


def test_few_demands_are_remembered():
    session = MediaSecuritySession(Inner())
    for number in range(MAXIMUM_TRACKED + 5):
        asked = request().with_header("Call-ID", str(number))
        session.authorize(asked, response(asked, 494, SERVER), flow=OWN)
    assert len(session._repeated) == MAXIMUM_TRACKED
