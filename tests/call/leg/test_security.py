"""What connections and certificates are worth to a call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from softphone.call.leg.security import (
    certificate_names,
    direct_far_end,
    flow_shortfalls,
    signaling_security,
)
from softphone.sans_io import Flow, PeerIdentity, Transport
from softphone.security import (
    CryptoSuite,
    Scope,
    SecurityLevel,
    SecurityPolicy,
    SignalingSecurity,
)
from softphone.sip import AbsoluteUri, Request, Response, SipUri
from softphone.sip.message import parse_datagram


def identity(*names, cipher="TLS_AES_256_GCM_SHA384"):
    return PeerIdentity("CN=x", names, "00" * 32, "TLSv1.3", cipher)


def flow(who):
    return Flow(1, Transport.TLS, ("192.0.2.1", 5061), ("192.0.2.2", 5061), who)


def request(*extra):
    text = (
        "OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bKa\r\n"
        "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@192.0.2.2>\r\nCall-ID: a\r\n"
        "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n" + "".join(f"{x}\r\n" for x in extra)
    )
    made = parse_datagram((text + "Content-Length: 0\r\n\r\n").encode())
    assert isinstance(made, Request)
    return made


ALICE = SipUri.parse("sip:alice@example.com")


@pytest.mark.parametrize(
    ("names", "speaks"),
    [
        (("uri:sip:alice@example.com",), True),
        (("uri:sips:alice@EXAMPLE.com",), True),
        (("uri:sip:Alice@example.com",), False),
        (("uri:sip:bob@example.com",), False),
        (("uri:sip:bob@example.com", "dns:example.com"), False),
        (("dns:example.com",), True),
        (("uri:sip:example.com",), True),
        (("dns:other.example.com",), False),
        (("cn:example.com",), False),
        (("uri:sip:bob@example.com", "uri:sip:alice@example.com"), True),
        (("uri:sip:alice@other.example.com",), False),
        (("uri:sip:x@alice@example.com",), False),
        (("uri:sip:x:alice@example.com",), False),
        (("uri:sip:alice@example.com:5061",), False),
        (("uri:sips:Example.COM",), True),
        (("dns:x", "dns:EXAMPLE.com"), True),
        (("cn:alice@example.com", "dns:example.com"), True),
        (("srv:example.com", "email:alice@example.com"), False),
        ((), False),
    ],
)
def test_a_certificate_speaks_for_the_users_and_hosts_that_it_names(names, speaks):
    assert certificate_names(identity(*names), ALICE) is speaks


@pytest.mark.parametrize(
    ("names", "uri", "speaks"),
    [
        (("ip:192.0.2.1",), "sip:alice@192.0.2.1", True),
        (("ip:192.0.2.2",), "sip:alice@192.0.2.1", False),
        (("ip:2001:db8::1",), "sip:alice@[2001:DB8::1]", True),
        (("dns:example.com",), "sip:alice@EXAMPLE.com", True),
        (("dns:example.com",), "sip:example.com", True),
        (("uri:sip:@example.com",), "sip:example.com", True),
        (("uri:sip:alice@example.com",), "sip:example.com", False),
        (("uri:sip:alice@example.com",), "sip:alice@EXAMPLE.com", True),
        (("uri:sip:alice%40b@example.com",), "sip:alice%40b@example.com", True),
        (("uri:sip:b@example.com",), "sip:alice%40b@example.com", False),
    ],
)
def test_hosts_are_compared_without_case_and_users_whole(names, uri, speaks):
    assert certificate_names(identity(*names), SipUri.parse(uri)) is speaks


def test_what_a_connection_has_is_told_as_it_is():
    who = PeerIdentity("CN=x", (), "00", "TLSv1.2", "ECDHE-GCM", "pin", "good")
    assert signaling_security(flow(who)) == SignalingSecurity(
        "TLSv1.2", "ECDHE-GCM", "CN=x", "pin", "good", encrypted=True
    )


ANONYMOUS = replace(flow(None), session=("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
"""A TLS connection to a listener, from somebody who has shown no certificate."""


def test_who_shows_no_certificate_has_what_was_proven_otherwise():
    asked = []

    def proof(connection):
        asked.append(connection)
        return "digest"

    assert signaling_security(ANONYMOUS, proof) == SignalingSecurity(
        "TLSv1.3", "TLS_AES_256_GCM_SHA384", verdict="digest", encrypted=True
    )
    assert asked == [ANONYMOUS]
    null = replace(ANONYMOUS, session=("TLSv1.2", "null-sha256"))
    assert not signaling_security(null, proof).encrypted


def test_a_connection_on_which_nothing_was_proven_carries_no_call():
    strict = SecurityPolicy.strict()
    (found,) = flow_shortfalls(strict, ANONYMOUS, fips=False)
    assert (found.code, bool(found.explanation)) == ("signaling_unverified", True)
    assert flow_shortfalls(strict, ANONYMOUS, fips=False, proof=lambda _: "address") == ()


@pytest.mark.parametrize(
    ("who", "policy", "fips", "expected"),
    [
        (identity(), SecurityPolicy.strict(), False, []),
        (None, SecurityPolicy.strict(), False, ["signaling_clear"]),
        (identity(cipher="null-sha"), SecurityPolicy(), False, ["signaling_not_encrypted"]),
        (None, SecurityPolicy.compatible(), False, []),
        (identity(), SecurityPolicy.fips140(), False, ["not_fips"]),
        (identity(), SecurityPolicy.fips140(), True, []),
        (identity(), SecurityPolicy(scope=Scope.END_TO_END), False, []),
        (identity(), SecurityPolicy(suites=(CryptoSuite.AES_CM_128_HMAC_SHA1_32,)), False, []),
    ],
)
def test_a_flow_is_judged_before_anything_leaves_over_it(who, policy, fips, expected):
    found = flow_shortfalls(policy, flow(who), fips=fips)
    assert [shortfall.code for shortfall in found] == expected


def response(*extra):
    text = (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bKa\r\n"
        "From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@192.0.2.2>;tag=2\r\n"
        "Call-ID: a\r\nCSeq: 1 INVITE\r\n" + "".join(f"{x}\r\n" for x in extra)
    )
    made = parse_datagram((text + "Content-Length: 0\r\n\r\n").encode())
    assert isinstance(made, Response)
    return made


def test_whom_we_called_was_verified_by_the_connection():
    verified = flow(identity())
    assert direct_far_end(response(), verified, caller=None) is SecurityLevel.ENCRYPTED
    second = "Via: SIP/2.0/TLS 192.0.2.9;branch=z9hG4bKb"
    assert direct_far_end(response(second), verified, caller=None) is SecurityLevel.ENCRYPTED
    assert direct_far_end(response("Record-Route: <sip:p;lr>"), verified, caller=None) is None
    assert direct_far_end(response(), flow(None), caller=None) is None


def test_no_certificate_speaks_for_a_telephone_number():
    good = flow(identity("dns:example.com"))
    assert direct_far_end(request(), good, caller=AbsoluteUri.parse("tel:+15551234")) is None


def test_no_flow_and_a_clear_flow_have_no_security():
    assert signaling_security(None).level is SecurityLevel.NOT_SECURE
    clear = Flow(1, Transport.TCP, ("192.0.2.1", 5060), ("192.0.2.2", 5060))
    assert signaling_security(clear).level is SecurityLevel.NOT_SECURE


def test_a_null_cipher_authenticates_and_no_more():
    null = flow(identity(cipher="TLS_RSA_WITH_NULL_SHA256"))
    assert signaling_security(null).level is SecurityLevel.AUTHENTICATED
    assert signaling_security(flow(identity())).level is SecurityLevel.ENCRYPTED


def test_a_direct_caller_counts_when_its_certificate_speaks_for_it():
    good = flow(identity("uri:sip:alice@example.com"))
    assert direct_far_end(request(), good, caller=ALICE) is SecurityLevel.ENCRYPTED
    assert direct_far_end(request(), flow(identity("dns:x")), caller=ALICE) is None
    assert direct_far_end(request(), None, caller=ALICE) is None


def test_nothing_that_came_through_a_proxy_is_direct():
    good = flow(identity("uri:sip:alice@example.com"))
    assert direct_far_end(request("Record-Route: <sip:p;lr>"), good, caller=ALICE) is None
    second = "Via: SIP/2.0/TLS 192.0.2.9;branch=z9hG4bKb"
    assert direct_far_end(request(second), good, caller=ALICE) is None
