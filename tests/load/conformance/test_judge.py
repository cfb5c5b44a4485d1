"""Verdicts on what came."""

from __future__ import annotations

import pytest

from softphone.load.conformance import CaseVerdict, Reply, judge_reply
from softphone.sans_io import Transport
from softphone.sip.message import parse_datagram
from tests.load.conformance.conftest import answer_to, case_of

REQUEST = parse_datagram(
    b"OPTIONS sip:b@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKb\r\nTo: <sip:b@127.0.0.1>\r\n"
    b"From: <sip:a@127.0.0.1>;tag=a\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
PASSED, DEVIATES, FAILED, NOT_JUDGED = CaseVerdict


def reply_of(status, *fields, request=REQUEST):
    """A reply with a response to the request."""
    return Reply(status, parse_datagram(answer_to(request, status, *fields)))


def verdict_of(reply, **case):
    """The verdict and why."""
    return judge_reply(case_of(**case), reply, Transport.UDP, REQUEST)


@pytest.mark.parametrize(
    ("outcome", "good", "bad"),
    [
        ("400", (400,), (404, 200, None)),
        ("4xx", (400, 404, 486), (200, 500, None)),
        ("final", (200, 404, 603), (180, None)),
        ("understood", (180, 200, 404, 401, 407, 486, 501), (400, 416, 420, 505, None)),
        ("silence", (None,), (200, 400)),
    ],
)
def test_what_an_outcome_covers(outcome, good, bad):
    for status in good:
        assert judge_reply(case_of(passes=(outcome,)), Reply(status), Transport.UDP, None) == (
            PASSED,
            "",
        )
    for status in bad:
        verdict, why = judge_reply(case_of(passes=(outcome,)), Reply(status), Transport.UDP, None)
        assert verdict is FAILED
        assert why == "do it (RFC 3261 section 1)"


def test_a_closed_connection_is_a_worse_silence():
    closed = Reply(closed=True)
    assert verdict_of(closed, passes=("closed",))[0] is PASSED
    assert verdict_of(closed, passes=("silence",))[0] is DEVIATES
    assert verdict_of(closed, passes=("400",), deviates=("silence",))[0] is DEVIATES
    assert verdict_of(closed, passes=("400",), deviates=("final",))[0] is FAILED
    assert verdict_of(closed, passes=("2xx",))[0] is FAILED


def test_an_error_of_the_servers_own_deviates_where_it_should_have_understood():
    assert verdict_of(reply_of(500), passes=("understood",))[0] is DEVIATES
    assert verdict_of(reply_of(500), passes=("2xx",))[0] is FAILED


def test_what_is_forbidden_counts_first():
    outcomes = {"passes": ("understood",), "fails": ("2xx",)}
    assert verdict_of(reply_of(200), **outcomes)[0] is FAILED
    assert verdict_of(reply_of(404), **outcomes)[0] is PASSED


@pytest.mark.parametrize(
    ("status", "field"), [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate")]
)
def test_who_asks_for_credentials_first_is_not_judged(status, field):
    challenge = reply_of(status, (field, 'Digest realm="a", nonce="b"'))
    verdict, why = verdict_of(challenge, passes=("420",), deviates=("4xx",), fails=("2xx",))
    assert (verdict, why) == (NOT_JUDGED, f"{status}: credentials were asked for first")
    assert verdict_of(challenge, passes=("understood",))[0] is PASSED


@pytest.mark.parametrize(
    ("status", "field", "section"),
    [
        (405, "Allow", "RFC 3261 section 21.4.6"),
        (415, "Accept", "RFC 3261 section 21.4.13"),
        (420, "Unsupported", "RFC 3261 section 21.4.15"),
        (489, "Allow-Events", "RFC 6665 section 8.3.2"),
    ],
)
def test_a_response_without_the_field_that_its_status_needs_fails(status, field, section):
    verdict, why = verdict_of(reply_of(status), passes=(str(status),))
    assert verdict is FAILED
    assert f"{status} without {field}" in why
    assert section in why
    assert verdict_of(reply_of(status, (field, "x")), passes=(str(status),))[0] is PASSED


def test_the_words_that_a_field_must_have():
    case = {"passes": ("420",), "needs": {"Unsupported": ("novel",)}}
    assert verdict_of(reply_of(420, ("Unsupported", "NOVEL, other")), **case)[0] is PASSED
    verdict, why = verdict_of(reply_of(420, ("Unsupported", "other")), **case)
    assert (verdict, why) == (FAILED, "Unsupported does not name novel (RFC 3261 section 1)")


def test_a_response_repeats_the_fields_of_the_request():
    changed = parse_datagram(REQUEST.encode().replace(b"Call-ID: c", b"Call-ID: other"))
    verdict, why = verdict_of(reply_of(200, request=changed))
    assert verdict is FAILED
    assert why == "the response does not repeat Call-ID (RFC 3261 section 8.2.6.2)"
    lost = parse_datagram(
        REQUEST.encode().replace(b"Via: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bKb\r\n", b"")
    )
    assert "does not repeat Via" in verdict_of(reply_of(200, request=lost))[1]


def test_a_malformed_response_fails_unless_the_request_was_malformed():
    assert verdict_of(Reply(200))[1] == "the 200 response is malformed"
    assert judge_reply(case_of(), Reply(200), Transport.UDP, None)[0] is PASSED
