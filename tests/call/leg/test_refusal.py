"""Refusals as header fields and sentences."""

from __future__ import annotations

import pytest

from softphone.call.leg import DescriptionRefusal, policy_refusal, warning_header
from softphone.call.leg.refusal import (
    clear_refused,
    fallback_not_agreed,
    no_usable_key,
    reason_headers,
)
from softphone.security import Shortfall, ShortfallCode
from softphone.sip import Response
from softphone.sip.message import parse_datagram


def test_the_warning_names_the_code_and_the_reason():
    header = warning_header(DescriptionRefusal(399, "no key fits"), "192.0.2.1")
    assert header == ("Warning", '399 192.0.2.1 "no key fits"')


@pytest.mark.parametrize(
    "text", ['a "b" \\ c', "line\r\nInjected: yes", "\x00\x7f", "ü" * 9, "x" * 999]
)
def test_a_text_that_the_far_end_chose_cannot_leave_its_quotation_marks(text):
    for name, value in (
        warning_header(DescriptionRefusal(399, text), "h"),
        *reason_headers(488, 17, text),
    ):
        data = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n"
        data += f"To: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n{name}: {value}\r\n\r\n"
        message = parse_datagram(data.encode())
        assert isinstance(message, Response)
        assert message.headers.get("Injected") is None
        assert message.headers.get(name) == value
        assert value.count('"') == 2


def test_a_clear_description_is_refused_on_security_grounds():
    refusal = clear_refused("answer", "RTP/AVP", "audio")
    assert refusal.warning_code == 302
    assert [s.code for s in refusal.shortfalls] == [ShortfallCode.SRTP_REQUIRED]
    assert "has no crypto line" in no_usable_key("offer", "RTP/SAVP", ()).explanation


def test_what_the_policy_forbids_is_told_with_every_shortfall():
    shortfalls = (
        Shortfall(ShortfallCode.SIGNALING_CLEAR, "no TLS"),
        Shortfall(ShortfallCode.MEDIA_CLEAR, "no SRTP"),
    )
    refusal = policy_refusal(shortfalls)
    assert refusal.shortfalls == shortfalls
    # A sentence for people, who are shown it as the end of the call, too: no codes.
    assert refusal.explanation == "no TLS; no SRTP"


def test_a_fallback_that_nobody_agreed_to_is_a_security_matter():
    refusal = fallback_not_agreed("answer", "RTP/AVP", "audio")
    assert refusal.shortfalls[0].code is ShortfallCode.SRTP_REQUIRED
    assert "RTP/AVP" in refusal.explanation
