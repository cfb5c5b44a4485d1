"""What a registrar's answer means."""

from __future__ import annotations

import pytest

from softphone.sip.auth import DigestSession
from softphone.sip.auth.digest_client import AuthenticationRefused
from softphone.sip.message import Headers, NameAddr, Request, Response, SipUri
from softphone.sip.registration.binding import (
    RegisterOutcome,
    judge_register_status,
    read_binding,
    read_keep_alive_terms,
    why_refused,
)
from softphone.sip.transport import KeepAliveTerms
from tests.support.challenges import own_server_everywhere

CONTACT = NameAddr.parse('<sip:a@192.0.2.1:5061>;+sip.instance="<urn:x:1>";reg-id=1')


def response(*fields, status=200, via=""):
    top = ("Via", f"SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1{via}")
    return Response(status, "R", Headers([top, *fields]))


def read(*fields):
    return read_binding(response(*fields), contact=CONTACT, asked=3600, now=10.0)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, RegisterOutcome.GRANTED),
        (202, RegisterOutcome.GRANTED),
        (423, RegisterOutcome.TOO_BRIEF),
        (439, RegisterOutcome.WITHOUT_OUTBOUND),
        (401, RegisterOutcome.REFUSED),
        (403, RegisterOutcome.REFUSED),
        (404, RegisterOutcome.REFUSED),
        (301, RegisterOutcome.REFUSED),
        (501, RegisterOutcome.REFUSED),
        (600, RegisterOutcome.REFUSED),
        (408, RegisterOutcome.LATER),
        (430, RegisterOutcome.LATER),
        (500, RegisterOutcome.LATER),
        (503, RegisterOutcome.LATER),
    ],
)
def test_a_status_is_judged(status, outcome):
    assert judge_register_status(status) is outcome


@pytest.mark.parametrize(
    ("fields", "expires"),
    [
        ([("Contact", "<sip:a@192.0.2.1:5061>;expires=60")], 60),
        ([("Contact", "<sip:a@192.0.2.1:5061>"), ("Expires", "90")], 90),
        ([("Contact", "<sip:a@192.0.2.1:5061>;expires=junk"), ("Expires", "90")], 90),
        ([("Contact", "<sip:a@192.0.2.1:5061>")], 3600),
        ([], 3600),
        ([("Expires", "50")], 50),
        ([("Contact", "<sip:a@192.0.2.1:5061>;expires=99999")], 3600),
        ([("Contact", "<sip:b@h>;expires=5, <sip:a@192.0.2.1:5061>;expires=60")], 60),
        ([("Contact", "<sip:rewritten@198.51.100.1:1024>;expires=70")], 70),
        (
            [
                (
                    "Contact",
                    '<sip:b@h>;expires=5, <sip:r@h>;+sip.instance="<urn:x:1>";reg-id=1;expires=80',
                )
            ],
            80,
        ),
        (
            [
                (
                    "Contact",
                    '<sip:b@h>;expires=5, <sip:r@h>;+sip.instance="<urn:x:1>";reg-id=2;expires=80',
                )
            ],
            0,
        ),
        ([("Contact", "<sip:b@h>, <sip:c@h>"), ("Expires", "90")], 0),
    ],
    ids=str,
)
def test_the_time_granted_is_that_of_our_own_contact(fields, expires):
    binding = read(*fields)
    assert binding.expires == expires
    assert binding.expires_at == 10.0 + expires
    assert binding.contact == CONTACT


def test_path_and_outbound_are_kept():
    binding = read(("Path", "<sip:p;lr>"), ("Require", "outbound"))
    assert [str(one.uri) for one in binding.path] == ["sip:p;lr"]
    assert binding.outbound


@pytest.mark.parametrize(
    ("fields", "via", "terms"),
    [
        ([], "", KeepAliveTerms()),
        ([("Supported", "outbound")], "", KeepAliveTerms()),
        ([("Require", "outbound")], "", KeepAliveTerms(outbound=True)),
        ([("Require", "outbound"), ("Flow-Timer", "30")], "", KeepAliveTerms(True, 30.0)),
        ([("Flow-Timer", "junk")], "", KeepAliveTerms()),
        ([], ";keep=25", KeepAliveTerms(keep=25.0)),
        ([], ";keep=0", KeepAliveTerms(keep=0.0)),
        ([], ";keep", KeepAliveTerms()),
        ([], ";keep=junk", KeepAliveTerms()),
    ],
    ids=str,
)
def test_terms_hold_only_what_was_agreed(fields, via, terms):
    assert read_keep_alive_terms(response(*fields, via=via)) == terms


def test_the_reason_of_a_refusal_is_ours_where_we_stopped(entropy):
    session = DigestSession(entropy=entropy, policy=own_server_everywhere())
    challenge = response(status=401)
    assert why_refused(response(status=403), session) == "R"
    assert "there are none" in why_refused(challenge, None)
    assert "there are none" in why_refused(challenge, session)
    session.refusal = AuthenticationRefused("because")
    assert why_refused(challenge, session) == "because"


def test_a_refusal_tells_what_its_warning_says():
    request = Request.build(
        "REGISTER",
        SipUri.parse("sip:example.test"),
        [("To", "<sip:a@example.test>"), ("Call-ID", "c"), ("CSeq", "1 REGISTER")],
    )
    text = "Device security mismatch: expected TLS, received TCP/UDP"
    response = request.response(403, headers=[("Warning", f'399 cucm "{text}"')])
    assert why_refused(response, None) == f"Forbidden ({text})"
