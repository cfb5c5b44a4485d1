"""Which m-line, which crypto line, which rule: by offers and answers that do not go together."""

from __future__ import annotations

import base64
import json
import time

import pytest

from softphone.diagnostics import Ladder
from softphone.diagnostics.refusal_analysis import (
    analyze_refusals,
    count_answered_challenges,
    is_readable,
)
from softphone.sans_io import Flow, Transport

KEY = base64.b64encode(bytes(range(30))).decode()
OTHER = base64.b64encode(bytes(range(1, 31))).decode()
CM_80 = "AES_CM_128_HMAC_SHA1_80"


def sdp(*media, crypto=(), protocol="RTP/SAVP", port=4000, formats="0"):
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"]
    for kind in media or ("audio",):
        lines.append(f"m={kind} {port} {protocol} {formats}")
        lines += [f"a=crypto:{line}" for line in crypto]
    return "\n".join(lines) + "\n"


OFFER = sdp(crypto=[f"1 {CM_80} inline:{KEY}"])


@pytest.mark.parametrize(
    ("answer", "line", "rule"),
    [
        (sdp(crypto=[f"1 {CM_80} inline:{OTHER}"]), None, None),
        (sdp(crypto=[f"2 {CM_80} inline:{OTHER}"]), f"a=crypto:2 {CM_80}", "was not offered"),
        (sdp(crypto=[f"1 {CM_80} inline:{OTHER}"] * 2), f"a=crypto:1 {CM_80}", "2 crypto lines"),
        (sdp(crypto=[f"1 {CM_80} inline:{KEY}"]), f"a=crypto:1 {CM_80}", "the key that we sent"),
        (sdp(crypto=[f"1 {CM_80} inline:AAAA"]), f"a=crypto:1 {CM_80}", "RFC 4568"),
        (sdp(), "none", "no crypto line"),
        (sdp(protocol="rtp/savp"), "none", "no crypto line"),
        (sdp(protocol="RTP/AVP"), "", "X-cisco-srtp-fallback"),
        (sdp(protocol="rtp/avp"), "", "X-cisco-srtp-fallback"),
        (sdp(protocol="RTP/SAVPF"), "", "the profile must stay"),
        (sdp(port=0), "", "port 0"),
        (sdp(crypto=[f"1 {CM_80} inline:{OTHER}"], formats="8"), "", "none of the codecs"),
        (sdp("audio", "video", crypto=[f"1 {CM_80} inline:{OTHER}"]), "", "must be as many"),
        ("v=0\nnonsense\n", "", "malformed"),
    ],
)
def test_an_answer_is_judged_against_its_offer(answer, line, rule):
    found = analyze_refusals(OFFER + answer)
    if rule is None:
        assert found == []
        return
    assert found[0].line == line
    assert rule in found[0].rule
    assert KEY not in str(found)
    assert OTHER not in str(found)


def test_the_m_line_is_counted():
    offer = sdp("audio", "video", crypto=[f"1 {CM_80} inline:{KEY}"])
    answer = sdp("audio", crypto=[f"1 {CM_80} inline:{OTHER}"])
    answer += "m=video 4002 RTP/AVP 0\n"
    (found,) = analyze_refusals(offer + answer)
    assert found.place == "m-line 2 (video RTP/SAVP)"


def message(start, body="", call_id="a@lab", cseq="1 INVITE", *more):
    lines = [
        start,
        "Via: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bKx",
        "From: <sip:alice@lab>;tag=1",
        "To: <sip:bob@lab>;tag=2",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq}",
        "Max-Forwards: 70",
        *more,
        f"Content-Length: {len(body)}",
    ]
    if body:
        lines.append("Content-Type: application/sdp")
    return "\n".join(lines) + "\n\n" + body


INVITE = message("INVITE sip:bob@lab SIP/2.0", OFFER)


@pytest.mark.parametrize("protocol", ["RTP/SAVP", "rtp/savp"])
def test_a_refusal_is_explained_with_the_crypto_lines_of_the_offer(protocol):
    lines = [f"1 {CM_80} inline:{KEY}|2^31|256:1", f"2 F8_128_HMAC_SHA1_80 inline:{KEY}"]
    bad = sdp(crypto=lines, protocol=protocol)
    text = message("INVITE sip:bob@lab SIP/2.0", bad)
    text += message("SIP/2.0 488 Not Acceptable Here", "", "a@lab", "1 INVITE")
    found = analyze_refusals(text)
    assert found[0].place == "message 2"
    assert found[0].rule.startswith("488 Not Acceptable Here")
    assert [one.line for one in found[1:]] == [
        f"a=crypto:1 {CM_80}",
        "a=crypto:2 F8_128_HMAC_SHA1_80",
    ]


def test_a_transcript_with_masked_keys_is_read_and_the_same_answer_twice_is_one():
    answer = message("SIP/2.0 200 OK", sdp(crypto=[f"3 {CM_80} inline:***"]))
    masked = INVITE.replace(KEY, "***")
    text = (
        f"--- 0.000 phone -> lab\n{masked}\n--- 0.100 lab -> phone\n{answer}\n--- 0.2 x\n{answer}"
    )
    (found,) = analyze_refusals(text)
    assert "tag 3 was not offered" in found.rule


def test_what_is_malformed_is_said_to_be():
    (found,) = analyze_refusals("INVITE sip:bob@lab SIP/2.0\nnonsense\n\n")
    assert found.rule.startswith("it is malformed")


def test_a_json_log_gives_its_own_reason():
    log = "\n".join(
        json.dumps(one)
        for one in (
            {"event": "registered"},
            {"event": "summary", "result": "refused", "status": 488, "reason": "RTP/AVP, in clear"},
        )
    )
    (found,) = analyze_refusals(log)
    assert (found.place, found.rule) == ("summary 488", "RTP/AVP, in clear")
    assert (
        analyze_refusals(json.dumps({"event": "summary", "result": "completed", "reason": "done"}))
        == []
    )


def test_a_drawn_ladder_tells_of_its_refusals():
    ladder = Ladder()
    flow = Flow(1, Transport.TLS, ("192.0.2.1", 5061), ("192.0.2.9", 5061))
    for data, outgoing in (
        (INVITE, True),
        (message("SIP/2.0 180 Ringing", "", "a@lab", "1 INVITE"), False),
        (message("SIP/2.0 488 Not Acceptable Here", "", "a@lab", "1 INVITE"), False),
    ):
        raw = data.replace("\n", "\r\n").encode()
        ladder.signaling(raw, flow=flow, outgoing=outgoing, now=1.0)
    (found,) = analyze_refusals(ladder.text())
    assert found.place == "ladder, 1 INVITE"
    assert found.rule.startswith("488 Not Acceptable Here: the far end does not accept")
    assert is_readable(ladder.text())


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        (OFFER, True),
        (INVITE, True),
        ('{"event": "registered"}', True),
        ("hello", False),
        ("", False),
        ('{"a": 1}', False),
    ],
)
def test_what_can_be_judged_is_told_from_what_cannot(text, readable):
    assert is_readable(text) is readable


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        ("   0.001  |" + "-" * 300 + "\n") * 9999,
        "1.000  |" * 99999,
        "v=0",
        "v=0\n" * 1000,
        "SIP/2.0 200\n" * 20000,
    ],
)
def test_nothing_that_is_read_breaks_it(text):
    begun = time.process_time()
    analyze_refusals(text)
    assert time.process_time() - begun < 5


def _registering(*exchanges):
    """REGISTER requests and their statuses: (CSeq, with credentials, status)."""
    text = ""
    for number, credentials, status in exchanges:
        fields = (
            "Via: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:a@h>;tag=1\nTo: <sip:a@h>\n"
            f"Call-ID: c\nCSeq: {number} REGISTER\n"
        )
        more = 'Authorization: Digest username="a", response="***"\n' if credentials else ""
        text += f"REGISTER sip:h SIP/2.0\n{fields}{more}Content-Length: 0\n\n"
        text += f"SIP/2.0 {status} Whatever\n{fields}Content-Length: 0\n\n"
    return text


def _drawn(*exchanges):
    rows = []
    for number, _, status in exchanges:
        rows += [
            f"   0.000  |- REGISTER ({number}) sip:h >|",
            f"   0.001  |<-- {status} Whatever ({number} REGISTER) --|",
        ]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("write", [_registering, _drawn])
@pytest.mark.parametrize("challenge", [401, 407])
def test_a_challenge_that_was_answered_is_no_refusal(write, challenge):
    answered = write((1, False, challenge), (2, True, 200))
    assert analyze_refusals(answered) == []
    assert count_answered_challenges(answered) == 1


@pytest.mark.parametrize("write", [_registering, _drawn])
def test_a_challenge_after_the_answer_is_one_and_so_is_one_without(write):
    (finding,) = analyze_refusals(write((1, False, 401), (2, True, 401)))
    assert "did not accept our credentials" in finding.rule
    assert finding.place in ("message 4", "ladder, 2 REGISTER")
    assert len(analyze_refusals(write((1, False, 401)))) == 1
    assert count_answered_challenges(write((1, False, 401))) == 0
    (finding,) = analyze_refusals(write((1, False, 401), (2, True, 403)))
    assert finding.rule.startswith("403")


def test_a_request_without_credentials_answers_no_challenge():
    assert len(analyze_refusals(_registering((1, False, 401), (2, False, 200)))) == 1


CHALLENGE = message("SIP/2.0 407 Proxy Authentication Required", "", "a@lab", "1 INVITE")
AGAIN = ("a@lab", "2 INVITE", 'Proxy-Authorization: Digest username="a", response="***"')


@pytest.mark.parametrize("key", [KEY, "***"])
def test_an_offer_sent_again_with_credentials_is_no_answer(key):
    """Its keys are masked in a transcript, so that it is not known to be the same."""
    lines = [f"{tag} {CM_80} inline:{key}" for tag in (1, 2)]
    offer = sdp(crypto=lines)
    text = message("INVITE sip:bob@lab SIP/2.0", offer) + CHALLENGE
    text += message("INVITE sip:bob@lab SIP/2.0", offer, *AGAIN)
    refused = message("SIP/2.0 404 Not Found", "", "a@lab", "2 INVITE")
    (found,) = analyze_refusals(text + refused)
    assert (found.place, found.media) == ("message 4", False)
    assert found.rule.startswith("404")
    wrong = message(
        "SIP/2.0 200 OK", sdp(crypto=[f"3 {CM_80} inline:{OTHER}"]), "a@lab", "2 INVITE"
    )
    (found,) = analyze_refusals(text + wrong)
    assert "tag 3 was not offered" in found.rule


def test_a_retransmitted_offer_with_masked_keys_is_no_answer():
    masked = INVITE.replace(KEY, "***")
    answer = message("SIP/2.0 200 OK", sdp(crypto=[f"1 {CM_80} inline:***"]))
    assert analyze_refusals(masked + masked + answer) == []


@pytest.mark.parametrize("method", ["ACK", "PRACK"])
def test_an_offer_in_a_response_is_answered_by_the_next_request(method):
    offered = message("SIP/2.0 200 OK", OFFER)
    answer = message(f"{method} sip:bob@lab SIP/2.0", sdp(), "a@lab", f"1 {method}")
    (found,) = analyze_refusals(message("INVITE sip:bob@lab SIP/2.0") + offered + answer)
    assert "no crypto line" in found.rule
