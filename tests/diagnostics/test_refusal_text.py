from __future__ import annotations

import pytest

from softphone.diagnostics import explain_registrar, explain_response, explain_shortfalls
from softphone.diagnostics.refusal_text import (
    explain_change,
    explain_early_end,
    explain_no_answer,
    explain_transfer,
)
from softphone.events import CallEnded, EndedBy
from softphone.security import Shortfall, ShortfallCode
from softphone.sip.message import REASON_PHRASES, Headers, Response
from softphone.sip.message.status import reason_phrase


def response(status: int, *fields, reason: str | None = None) -> Response:
    phrase = reason_phrase(status) if reason is None else reason
    return Response(status, phrase, Headers(fields))


@pytest.mark.parametrize("status", [*(s for s in REASON_PHRASES if s >= 300), 399, 499, 599, 699])
def test_every_refusal_has_a_sentence(status):
    sentence = explain_response(response(status))
    assert sentence.startswith(f"{status} ")
    assert len(sentence) > len(f"{status} {reason_phrase(status)}: ") + 10
    assert sentence.isprintable()


def test_a_488_quotes_the_warning_and_names_what_was_offered():
    refused = response(488, ("Warning", '302 pbx.example.com "SRTP is mandatory"'))
    sentence = explain_response(refused, offered_suites=("AEAD_AES_256_GCM",))
    assert "pbx.example.com warns 302 (incompatible transport protocol" in sentence
    assert '"SRTP is mandatory"' in sentence
    assert sentence.endswith("we offered SRTP with AEAD_AES_256_GCM")
    assert "we offered" not in explain_response(refused)


def test_an_unknown_warning_is_quoted_as_it_is():
    sentence = explain_response(response(606, ("Warning", '399 x "odd"')))
    assert 'x warns 399: "odd"' in sentence


@pytest.mark.parametrize(
    ("status", "field", "expected"),
    [
        (302, ("Contact", "<sip:bob@elsewhere.example>"), "sip:bob@elsewhere.example"),
        (
            401,
            ("WWW-Authenticate", 'Digest realm="pbx", nonce="n0"'),
            'Digest MD5 in the realm "pbx"',
        ),
        (407, ("Proxy-Authenticate", 'Digest realm="p", algorithm=SHA-256'), "Digest SHA-256"),
        (405, ("Allow", "INVITE, ACK"), "it takes INVITE, ACK"),
        (415, ("Accept", "application/sdp"), "it takes application/sdp"),
        (420, ("Unsupported", "100rel"), "it does not support 100rel"),
        (421, ("Require", "timer"), "it requires timer"),
        (422, ("Min-SE", "1800"), "its shortest in seconds is 1800"),
        (423, ("Min-Expires", "3600"), "its shortest in seconds is 3600"),
        (489, ("Allow-Events", "dialog"), "it knows dialog"),
        (494, ("Security-Server", "tls"), "it demands tls"),
        (503, ("Retry-After", "120 (busy)"), "try again after 120 s"),
        (480, ("Reason", 'Q.850;cause=18;text="x"'), 'Q.850 18 (no user responding) "x"'),
        (480, ("Reason", "Q.850;cause=86"), "Q.850 86 (the call was cleared already)"),
        (480, ("Reason", "Q.850;cause=126"), "Q.850 126 (a cause that Q.850 does not name)"),
        (603, ("Reason", "SIP;cause=603"), "SIP 603"),
        (500, ("Reason", "preemption"), "the cause given is preemption"),
    ],
)
def test_what_goes_with_a_status_is_told(status, field, expected):
    assert expected in explain_response(response(status, field))


def test_the_far_ends_words_cannot_steer_a_terminal_or_fill_it():
    evil = response(
        488, ("Warning", '399 a "\x1b[2J' + "x" * 5000 + '"'), reason="a\x1b[1m\u202eb" + "y" * 5000
    )
    sentence = explain_response(evil)
    assert sentence.isprintable()
    assert len(sentence) < 1000


def test_many_warnings_are_not_all_told():
    many = response(488, *(("Warning", f'399 a "w{n}"') for n in range(200)))
    assert explain_response(many).count("warns") == 4


def test_a_secret_in_the_far_ends_words_is_masked():
    refused = response(488, ("Warning", '399 a "bad line a=crypto:1 S inline:SECRETKEY"'))
    assert "SECRETKEY" not in explain_response(refused)
    assert "n0" not in explain_response(response(401, ("WWW-Authenticate", 'Digest nonce="n0"')))


@pytest.mark.parametrize("code", ShortfallCode)
def test_every_shortfall_has_advice(code):
    sentence = explain_shortfalls([Shortfall(code, "something is missing")])
    assert sentence.startswith("something is missing (")
    assert len(sentence) > 40


def test_no_shortfall_is_said_so():
    assert explain_shortfalls(()) == "nothing is missing"


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("Registration is active for another client", "sign out there first"),
        ("TLS authentication failure", "enroll it again"),
        ("TLS authentication failure", "got no client certificate from us (none is in tls.certif"),
        ("Device security mismatch: expected TLS, received TCP/UDP", "sips:"),
        ("SIP OAuth Registration port Mismatch", "5090"),
        ("Unknown device", "device.name"),
        ("the moon is full", ""),
    ],
)
def test_what_cucm_says_of_a_registration_comes_with_advice(words, advice):
    assert advice in explain_registrar(f"Forbidden ({words})")
    assert bool(explain_registrar(words)) is bool(advice)
    assert (advice or "client certificate belongs to it") in explain_registrar(words, 403)
    assert bool(explain_registrar(words, 503)) is bool(advice)
    explained = explain_response(response(403, ("Warning", f'399 cucm "{words}"')))
    assert words in explained
    assert advice in explained


def test_what_was_given_up_without_a_response_says_what_happened():
    assert explain_no_answer("The connection was closed") == "the connection was closed"
    assert explain_no_answer("TLS alert: bad certificate") == "TLS alert: bad certificate"
    assert explain_no_answer("") == "the connection was closed, or could not be made"


def test_a_change_that_nobody_answered_was_not_refused():
    closed = "The connection was closed"
    assert explain_change(503, closed, answered=False) == (
        "the far end did not answer the change: the connection was closed"
    )
    assert explain_change(503, "Busy", answered=True).endswith("refused the change: 503 Busy")
    assert explain_transfer(503, closed, answered=False) == (
        "the far end did not say what became of the transfer: the connection was closed"
    )
    assert explain_transfer(603, "No", answered=True) == "the transfer was refused: 603 No"


def test_how_a_call_ended_before_it_was_up():
    lost = CallEnded(EndedBy.TRANSPORT, 503, "The connection was closed")
    assert explain_early_end(lost) == ("the call ended before it was up: the connection was closed")
    assert explain_early_end(CallEnded(EndedBy.REMOTE, 500, "Oops")).endswith(": 500 Oops")
