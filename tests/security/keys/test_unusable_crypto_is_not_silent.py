"""With `srtp = optional`, crypto lines of no use lead to clear with a word, or not at all.

A far end that meant to encrypt, and printed its key wrongly, must not find itself in clear with
nobody told; nor may somebody on the way spoil a line and have that look like a peer without SRTP.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from softphone.events import CallState, CryptoIgnored, EndedBy, SecurityRefused
from softphone.security import SecurityPolicy, ShortfallCode
from tests.support.stage import Stage, edit_body, first_line, in_clear

OPTIONAL = SecurityPolicy.compatible()
STRICTER = replace(OPTIONAL, refuse_unusable_crypto=True)
LINE = re.compile(rb"a=crypto:[^\r\n]*\r\n")
SPOILT = {
    "base64": b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:%%%\r\n",
    "short": b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:Kx3vKx3v\r\n",
    "no tag": b"a=crypto:AES_CM_128_HMAC_SHA1_80 inline:" + b"Kx3v" * 10 + b"\r\n",
    "long tag": b"a=crypto:1000000000 AES_CM_128_HMAC_SHA1_80 inline:" + b"Kx3v" * 10 + b"\r\n",
    "two tags": 2 * (b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"Kx3v" * 10 + b"\r\n"),
    "session": b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"Kx3v" * 10 + b"\r\n",
    "suite": b"a=crypto:1 F8_128_HMAC_SHA1_80 inline:" + b"Kx3v" * 10 + b"\r\n",
}


def spoiling(start: str, line: bytes, *, profile: bytes = b"RTP/AVP"):
    """Bob's descriptions in such messages have this crypto line and no other."""

    def edit(body: bytes) -> bytes:
        body = LINE.sub(b"", body).replace(b"RTP/SAVP", profile)
        # RFC 4568 section 5.1.1: at the session's level the attribute holds for no m-line.
        at = body.index(b"m=") if line == SPOILT["session"] else len(body)
        return body[:at] + line + body[at:]

    def tamper(name: str, data: bytes) -> bytes:
        if name == "bob" and first_line(data).startswith(start):
            return edit_body(data, edit)
        return data

    return tamper


def told(stage: Stage) -> list[CryptoIgnored]:
    return [event for event in stage.alice.events if isinstance(event, CryptoIgnored)]


def codes(leg) -> set[ShortfallCode]:
    return {shortfall.code for shortfall in leg.security.shortfalls}


def called(stage: Stage):
    """Bob calls Alice, who answers; her leg."""
    stage.dial("bob")
    stage.run(0.1)
    leg = stage.alice.leg
    if leg.state is not CallState.TERMINATED:
        leg.accept()
    stage.run(0.3)
    return leg


@pytest.mark.parametrize("fault", list(SPOILT))
async def test_an_offer_that_is_taken_in_clear_is_told_and_seen(fault):
    stage = Stage()
    stage.alice.policy = stage.bob.policy = OPTIONAL
    stage.tamper = spoiling("INVITE", SPOILT[fault])
    leg = called(stage)
    assert leg.state is CallState.CONFIRMED
    (event,) = told(stage)
    assert event.media == "audio"
    assert event.reasons
    assert {ShortfallCode.CRYPTO_UNUSABLE, ShortfallCode.MEDIA_CLEAR} <= codes(leg)
    assert b"Kx3v" not in repr((event, leg.security)).encode()
    assert not leg.security.lock


@pytest.mark.parametrize("fault", list(SPOILT))
async def test_an_answer_that_is_taken_in_clear_is_told_and_seen(fault):
    stage = Stage()
    stage.alice.policy = stage.bob.policy = OPTIONAL
    stage.tamper = spoiling("SIP/2.0 200", SPOILT[fault])
    stage.answered()
    (event,) = told(stage)
    assert event.media == "audio"
    assert ShortfallCode.CRYPTO_UNUSABLE in codes(stage.alice.leg)


@pytest.mark.parametrize("fault", list(SPOILT))
async def test_the_stricter_setting_refuses_the_offer(fault):
    stage = Stage()
    stage.alice.policy, stage.bob.policy = STRICTER, OPTIONAL
    stage.tamper = spoiling("INVITE", SPOILT[fault])
    leg = called(stage)
    assert leg.ended.result().by is EndedBy.POLICY
    assert {s.code for s in leg.refused} == {ShortfallCode.CRYPTO_UNUSABLE}
    assert any(isinstance(event, SecurityRefused) for event in stage.alice.events)
    assert any(first_line(data).startswith("SIP/2.0 488") for _, data in stage.wire)
    assert stage.alice.port.specs == []


@pytest.mark.parametrize("fault", list(SPOILT))
async def test_the_stricter_setting_refuses_the_answer(fault):
    stage = Stage()
    stage.alice.policy, stage.bob.policy = STRICTER, OPTIONAL
    stage.tamper = spoiling("SIP/2.0 200", SPOILT[fault])
    stage.answered()
    leg = stage.alice.leg
    assert leg.ended.result().by is EndedBy.POLICY
    assert {s.code for s in leg.refused} == {ShortfallCode.CRYPTO_UNUSABLE}
    assert stage.alice.port.specs == []


@pytest.mark.parametrize("policy", [OPTIONAL, STRICTER])
async def test_a_line_of_another_kind_beside_it_is_no_way_around(policy):
    """The spoilt line stands under RTP/SAVP, and an m-line in clear beside it."""
    stage = Stage()
    stage.alice.policy = policy
    stage.tamper = spoiling(
        "INVITE", SPOILT["short"] + b"m=audio 5008 RTP/AVP 0\r\n", profile=b"RTP/SAVP"
    )
    leg = called(stage)
    if policy is STRICTER:
        assert {s.code for s in leg.refused} == {ShortfallCode.CRYPTO_UNUSABLE}
        assert stage.alice.port.specs == []
    else:
        assert len(told(stage)) == 1
        assert ShortfallCode.CRYPTO_UNUSABLE in codes(leg)


@pytest.mark.parametrize("policy", [OPTIONAL, STRICTER])
async def test_a_far_end_that_sends_no_crypto_line_at_all_is_in_clear_as_before(policy):
    stage = Stage()
    stage.alice.policy = policy
    stage.bob.policy = SecurityPolicy.clear()
    leg = called(stage)
    assert leg.state is CallState.CONFIRMED
    assert told(stage) == []
    assert ShortfallCode.CRYPTO_UNUSABLE not in codes(leg)
    answered = Stage()
    answered.alice.policy = policy
    answered.tamper = lambda name, data: (
        edit_body(data, in_clear)
        if name == "bob" and first_line(data).startswith("SIP/2.0 200")
        else data
    )
    answered.answered()
    assert answered.alice.leg.state is CallState.CONFIRMED
    assert told(answered) == []


async def test_a_malformed_line_beside_a_good_one_does_no_harm():
    stage = Stage()
    stage.alice.policy = STRICTER
    stage.tamper = lambda name, data: (
        edit_body(data, lambda body: body + SPOILT["base64"])
        if name == "bob" and first_line(data).startswith("INVITE")
        else data
    )
    leg = called(stage)
    assert leg.security.media[0].suite is not None
    assert told(stage) == []


async def test_a_hold_and_its_end_do_not_tell_it_again():
    stage = Stage()
    stage.alice.policy = stage.bob.policy = OPTIONAL
    stage.tamper = spoiling("INVITE", SPOILT["short"])
    leg = called(stage)
    for held in (True, False):
        change = asyncio.ensure_future(stage.bob.leg.renegotiate(held=held))
        await asyncio.sleep(0)
        stage.run(0.5)
        await change
        assert leg.negotiation.direction.sends is not held
    assert len(told(stage)) == 1
    assert ShortfallCode.CRYPTO_UNUSABLE in codes(leg)
